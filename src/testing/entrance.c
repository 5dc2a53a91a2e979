#include "testing/entrance.h"

#include "base/check.h"
#include "room/hook.h"

#include <stdio.h>
#include <stdlib.h>

/* One that waits for its hook. */
struct entering {
    struct hook_call call;
    struct world *world;
    struct client *client; /* or */
    struct asked *asked;
    size_t before; /* bytes of the path in front of the subpath; that may come back in another allocation */
    char *party,
        *room; /* owned; where it goes, unless the hook sends it elsewhere; NULL: to no room (onFetch) */
};

static void refuse(struct client *client, struct asked *asked, struct http_response *response)
{
    if (asked)
        asked->exchange.respond(&asked->exchange, response);
    else
        client_refuse(client, response);
}

/* Into the room. */
static void enter(struct world *world, struct span party_name, struct span id, struct client *client,
                  struct asked *asked, struct http_request *request)
{
    struct party *party = world_party(world, party_name);
    struct room *room = party ? rooms_get(&world->rooms, party, party_name, id) : NULL;
    char text[128];

    if (room && client) {
        client_enter(client, room, request);
        return;
    }
    if (room) {
        room_request(room, request, &asked->exchange);
        return;
    }
    snprintf(text, sizeof text, "Party %.64s not found", party_name.ptr); /* each has a NUL behind it */
    http_request_free(request);
    refuse(client, asked, http_response_text(party ? 503 : 404, party ? "The server is stopping" : text));
}

static void on_answer(struct exchange *exchange, struct http_response *response)
{
    struct entering *self =
        container_of(container_of(exchange, struct hook_call, exchange), struct entering, call);
    struct hook_call *call = &self->call;
    struct http_request *request = call->request;
    bool moved = call->verdict == HOOK_REDIRECT;
    struct span room = moved ? (struct span){call->to, call->to_len} : span_of(self->room);

    if (response || (call->verdict != HOOK_PASS && !moved)) {
        refuse(self->client, self->asked, response);
    } else if (!self->party) {
        refuse(NULL, self->asked, http_response_text(404, "Not found"));
    } else if (moved && !world_room_id_valid(room)) {
        refuse(self->client, self->asked, http_response_text(500, "the hook chose a room that can't be"));
    } else {
        call->request = NULL;
        request->subpath = request->path.len > self->before ? (struct span){request->path.ptr + self->before,
                                                                            request->path.len - self->before}
                                                            : SPAN("/");
        enter(self->world, span_of(moved ? call->party : self->party), room, self->client, self->asked,
              request);
    }
    hook_call_fini(call);
    free(self->party);
    free(self->room);
    free(self);
}

/* By way of the hook, if the party has it. */
static void pass(struct world *world, struct party *party, struct span room, struct http_request *request,
                 enum hook_kind hook, struct client *client, struct asked *asked)
{
    if (!world->rooms.script->has_hook(party, hook)) {
        enter(world, span_of(party->name), room, client, asked, request);
        return;
    }
    struct entering *self = xcalloc(sizeof *self);
    self->world = world;
    self->before = request->subpath.ptr >= request->path.ptr &&
                           request->subpath.ptr < request->path.ptr + request->path.len
                       ? (size_t)(request->subpath.ptr - request->path.ptr)
                       : request->path.len;
    self->client = client;
    self->asked = asked;
    self->party = xstrdup(party->name);
    self->room = strndup(room.ptr, room.len);
    CHECK(self->room != NULL);
    self->call.exchange.respond = on_answer;
    self->call.kind = (uint8_t)hook;
    self->call.room = span_of(self->room);
    room_hook(&world->rooms, party, &self->call, request);
}

struct client *entrance_connect(struct world *world, struct party *party, struct span room,
                                struct http_request *request, const char *id)
{
    struct client *client = client_new(world, request->target, id);
    pass(world, party, room, request, HOOK_CONNECT, client, NULL);
    return client;
}

struct asked *entrance_request(struct world *world, struct party *party, struct span room,
                               struct http_request *request)
{
    struct asked *asked = request_new(world);
    pass(world, party, room, request, HOOK_REQUEST, NULL, asked);
    return asked;
}

struct asked *entrance_fetch(struct world *world, struct http_request *request)
{
    struct asked *asked = request_new(world);
    struct party *party = world_party(world, SPAN("main"));

    if (!party || !world->rooms.script->has_hook(party, HOOK_FETCH)) {
        http_request_free(request);
        refuse(NULL, asked, http_response_text(404, "Not found"));
        return asked;
    }
    struct entering *self = xcalloc(sizeof *self);
    self->world = world;
    self->asked = asked;
    self->call.exchange.respond = on_answer;
    self->call.kind = HOOK_FETCH;
    room_hook(&world->rooms, party, &self->call, request);
    return asked;
}
