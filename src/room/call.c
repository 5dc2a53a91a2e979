/* The way of a call from a room to another and back, see call.h. */
#include "room/call.h"

#include "base/check.h"
#include "room/private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- who waits for whom ---- */

static uint64_t key_of(const struct room *room)
{
    struct span party = room->rooms->script->party_name(room->party);
    return room->lobby ? 0 : map_hash2(party.ptr, party.len, room->id, strlen(room->id));
}

bool call_chain_extend(struct call_chain *chain, const struct room *room, const struct event *event)
{
    *chain = event && event->chain ? *event->chain : (struct call_chain){0};
    if (chain->depth == CALL_DEPTH_MAX)
        return false;
    chain->rooms[chain->depth++] = key_of(room);
    return true;
}

static bool has_room(const struct call_chain *chain, const struct room *room)
{
    uint64_t key = key_of(room);
    for (uint8_t i = 0; i < chain->depth; i++) {
        if (chain->rooms[i] == key)
            return true;
    }
    return false;
}

bool call_chain_stuck(const struct call_chain *chain, const struct room *room)
{
    bool shut = room->state == ROOM_STARTING || room->state == ROOM_STOPPING ||
                room->n_waiting >= room->rooms->limits.handlers;
    return shut && has_room(chain, room);
}

struct http_response *call_stuck_response(void)
{
    return http_response_text(508, "The room waits for this call itself, and can't take it before that ends");
}

void room_refuse_stuck(struct room *room)
{
    list_each_safe(link, &room->inbox) {
        struct event *event = container_of(link, struct event, link);
        if (!event->chain || !call_chain_stuck(event->chain, room))
            continue;
        if (event->exchange) {
            event->exchange->respond(event->exchange, call_stuck_response());
            event->exchange = NULL;
            room->n_open--;
        } else if (event->kind == EVENT_CONNECT && event->peer->state == PEER_NEW) {
            room->rooms->counters->sockets_refused++;
            event->peer->kind->refuse(event->peer, call_stuck_response());
            room_part(event->peer);
        }
        room_unpost(room, event);
    }
}

/* ---- life ---- */

struct room_call *room_call_new(struct span party, struct span id)
{
    struct room_call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    call->party = strndup(party.ptr, party.len);
    call->id = strndup(id.ptr, id.len);
    if (!call->party || !call->id) {
        room_call_end(call);
        return NULL;
    }
    return call;
}

size_t room_call_size(const struct room_call *call)
{
    const struct http_request *request = call->request;
    size_t size = sizeof *call + strlen(call->party) + strlen(call->id) + bytes_cost(call->args);
    return request ? size + request->size + bytes_cost(request->body) : size;
}

static void call_free(struct room_call *call)
{
    http_request_free(call->request);
    bytes_unref(call->args);
    free(call->party);
    free(call->id);
    free(call);
}

void room_call_end(struct room_call *call)
{
    if (!call)
        return;
    timer_stop(&call->timer);
    http_response_free(call->answer);
    call->answer = NULL;
    call->ended = true;
    if (!call->away)
        call_free(call);
}

/* ---- on the caller's thread ---- */

static void finish(struct room_call *call, struct http_response *response)
{
    timer_stop(&call->timer);
    call->answered = true;
    call->answer = response;
    call->done(call);
}

static void on_timeout(struct timer *timer)
{
    struct room_call *call = container_of(timer, struct room_call, timer);
    char text[96];

    snprintf(text, sizeof text, "The room has not answered within %" PRIu64 " ms (callTimeout)",
             call->from->limits.call_ms);
    finish(call, http_response_text(504, text));
}

/* It is back, or has never left. */
static void come_back(struct room_call *call, struct http_response *response)
{
    call->away = false;
    if (call->ended || call->answered)
        http_response_free(response);
    if (call->ended)
        call_free(call);
    else if (!call->answered)
        finish(call, response);
}

static void on_return(struct mail *mail)
{
    struct room_call *call = container_of(mail, struct room_call, mail);
    struct http_response *response = call->response;

    call->response = NULL;
    mail_release(call->from);
    come_back(call, response);
}

/* ---- on the thread of the room that is called ---- */

/* A struct bytes is counted without atomics: it may cross only while nobody else has it. */
static bool is_alone(const struct bytes *bytes)
{
    return !bytes || bytes->refs == 1;
}

static void on_respond(struct exchange *exchange, struct http_response *response)
{
    struct room_call *call = container_of(exchange, struct room_call, exchange);

    if (response && response->source) { /* its pieces belong to this thread */
        http_response_free(response);
        response = http_response_text(502, "The room answers with a stream, which no other room can read");
    }
    CHECK(!response ||
          (is_alone(response->body) && is_alone(response->headers) && is_alone(response->reason)));
    call->response = response;
    mail_send(&call->mail, call->to, call->from, on_return);
}

static void arrive(struct mail *mail)
{
    struct room_call *call = container_of(mail, struct room_call, mail);
    struct rooms *rooms = call->to;
    struct http_response *refusal = NULL;
    struct room *room = rooms_enter(rooms, span_of(call->party), span_of(call->id), &refusal);

    if (room && call_chain_stuck(&call->chain, room))
        refusal = call_stuck_response();
    if (!room || refusal)
        call->exchange.respond(&call->exchange, refusal);
    else
        room_called(room, call);
}

/* ---- leaving ---- */

static void leave(struct departure *departure)
{
    struct room_call *call = container_of(departure, struct room_call, departure);

    if (call->answered) { /* it was too late at the gate already */
        come_back(call, NULL);
        return;
    }
    mail_hold(call->from);
    mail_send(&call->mail, call->from, call->to, arrive);
}

static void drop(struct departure *departure)
{
    struct room_call *call = container_of(departure, struct room_call, departure);

    if (call->beginning)
        call->away = false;
    else
        come_back(call, http_response_text(503, "What the room had written before the call was not kept"));
}

int room_call_begin(struct room_call *call, struct room *room, const struct event *event)
{
    struct rooms *rooms = room->rooms;

    if (!call_chain_extend(&call->chain, room, event))
        return -ELOOP;
    call->from = rooms;
    call->to = rooms_home(rooms, span_of(call->party), span_of(call->id));
    call->exchange.respond = on_respond;
    call->departure = (struct departure){.leave = leave, .drop = drop, .cost = room_call_size(call)};
    call->timer = (struct timer){.fn = on_timeout};
    call->away = call->beginning = true;
    int rc = room_depart(room, &call->departure);
    call->beginning = false;
    if (rc == 0 && rooms->limits.call_ms > 0)
        timer_start(rooms->loop, &call->timer, rooms->limits.call_ms);
    return rc;
}
