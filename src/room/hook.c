/* Hooks and lobbies. A lobby is a room as others are: inbox, turns, pace, quotas, reload, restart and eviction are
 * theirs. What is different is said with `lobby` where it is. */
#include "room/hook.h"

#include "room/private.h"

#include <stdlib.h>

struct room *rooms_lobby(struct rooms *rooms, struct party *party)
{
    return rooms_make(rooms, party, rooms->script->party_name(party), SPAN(""), true);
}

static struct http_response *no_lobby(const struct rooms *rooms)
{
    return http_response_text(503, rooms->stopping ? "The server is stopping" : "Not enough memory");
}

void room_hook(struct rooms *rooms, struct party *party, struct hook_call *call, struct http_request *request)
{
    struct room *lobby = rooms_lobby(rooms, party);
    bool full = lobby && room_full(lobby);
    struct event *event = lobby && !full ? event_new(EVENT_HOOK) : NULL;

    call->verdict = HOOK_FAILED;
    call->unusable = false;
    call->request = NULL;
    call->party = call->to = NULL;
    if (!event) {
        http_request_free(request);
        call->exchange.respond(&call->exchange, full ? room_unavailable(lobby) : no_lobby(rooms));
        return;
    }
    event->request = request;
    event->exchange = &call->exchange;
    event->handle = call;
    lobby->n_open++;
    room_post(lobby, event);
}

void hook_call_fini(struct hook_call *call)
{
    http_request_free(call->request);
    free(call->party);
    free(call->to);
    call->request = NULL;
    call->party = call->to = NULL;
}

/* A request belongs to whoever has asked, and goes on from here: it is no memory of the script's. What the hooks
 * that wait have of them bounds what is let in, as does what waits in an inbox. */
void room_lend(struct room *room, struct event *event)
{
    event->len = event_size(event);
    room->lent += event->len;
}

void room_lent_back(struct room *room, const struct event *event)
{
    room->lent -= event->len;
}
