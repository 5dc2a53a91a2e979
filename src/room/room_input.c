/* What transports tell a room: requests, peers that come and go, messages; and what a script's
 * own timers and waits bring. Each becomes an event. */
#include "room/call.h"
#include "room/private.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Output that waits for the disk: with more than this a room takes nothing new in. */
#define OUTPUT_PAUSE ((size_t)4 * 1024 * 1024)

bool room_full(const struct room *room)
{
    const struct room_limits *limits = &room->rooms->limits;
    return room->rooms->stopping || room->n_events >= limits->events ||
           (limits->inbox > 0 && room->inbox_size + room->lent >= limits->inbox) ||
           room->n_waiting >= limits->handlers || room->outq.bytes >= OUTPUT_PAUSE;
}

struct http_response *room_unavailable(struct room *room)
{
    static const char retry[] = "Retry-After: 1\r\n";

    room->rooms->counters->requests_overload++;
    struct http_response *response =
        http_response_text(503,
                           room->rooms->stopping ? "The server is stopping" : "The room has too much to do");
    if (response)
        response->headers = bytes_copy(retry, sizeof retry - 1);
    return response;
}

bool room_set_chain(struct event *event, const struct call_chain *chain)
{
    event->chain = chain ? malloc(sizeof *chain) : NULL;
    if (event->chain)
        *event->chain = *chain;
    return event->chain || !chain;
}

void room_called(struct room *room, struct room_call *call)
{
    struct event *event = room_full(room) ? NULL : event_new(call->request ? EVENT_REQUEST : EVENT_CALL);

    if (!event || !room_set_chain(event, &call->chain)) {
        event_free(event);
        call->exchange.respond(&call->exchange, room_unavailable(room));
        return;
    }
    event->exchange = &call->exchange;
    if (call->request) {
        event->request = call->request;
        call->request = NULL;
    } else {
        event->handle = call;
        event->len = call->args->len;
    }
    room->n_open++;
    room_post(room, event);
}

void room_request(struct room *room, struct http_request *request, struct exchange *exchange)
{
    struct event *event = room_full(room) ? NULL : event_new(EVENT_REQUEST);
    if (!event) {
        http_request_free(request);
        exchange->respond(exchange, room_unavailable(room));
        return;
    }
    event->request = request;
    event->exchange = exchange;
    room->n_open++;
    room_post(room, event);
}

/* Has the room all the peers that it may have? One that takes the place of another with its id is none
 * more. */
static bool room_crowded(struct room *room, const struct peer *peer)
{
    uint64_t most = room->rooms->limits.connections;
    if (most == 0 || room->n_connected < most)
        return false;
    return room->rooms->script->duplicate_id(room->party) != DUPLICATE_REPLACE ||
           !room_find_peer(room, span_of(peer->id));
}

static struct http_response *crowded(const struct room *room)
{
    char text[96];
    snprintf(text, sizeof text, "The room is full: it may have %" PRIu64 " connections (connectionsPerRoom)",
             room->rooms->limits.connections);
    return http_response_text(503, text);
}

void room_connect(struct room *room, struct peer *peer, struct http_request *request)
{
    room_connect_from(room, peer, request, NULL);
}

void room_connect_from(struct room *room, struct peer *peer, struct http_request *request,
                       const struct call_chain *chain)
{
    if (room_crowded(room, peer)) {
        room->rooms->counters->sockets_refused++;
        http_request_free(request);
        peer->kind->refuse(peer, crowded(room));
        return;
    }
    struct event *event = room_full(room) ? NULL : event_new(EVENT_CONNECT);
    if (!event || !room_set_chain(event, chain)) {
        event_free(event);
        room->rooms->counters->sockets_refused++;
        http_request_free(request);
        peer->kind->refuse(peer, room_unavailable(room));
        return;
    }
    peer_ref(peer);
    peer->room = room;
    peer->serial = ++room->rooms->last_serial;
    list_push(&room->peers, &peer->link);
    room->n_peers++;
    peer->connected = true;
    room->n_connected++;
    event->peer = peer_ref(peer);
    event->request = request;
    room_post(room, event);
}

bool room_peer_ready(struct peer *peer)
{
    struct room *room = peer->room;
    if (!room || peer->close_reported || !room_full(room))
        return true;
    if (!list_linked(&peer->waiting))
        list_push(&room->blocked, &peer->waiting);
    return false;
}

void room_resume_peers(struct room *room)
{
    struct list waiting, *link;

    if (list_empty(&room->blocked) || room_full(room) || room->n_events > room->rooms->limits.events / 2 ||
        (room->rooms->limits.inbox > 0 && room->inbox_size > room->rooms->limits.inbox / 2))
        return;
    list_init(&waiting);
    list_splice(&waiting, &room->blocked); /* whoever finds it full again comes back there */
    while ((link = list_pop(&waiting)) != NULL) {
        struct peer *peer = container_of(link, struct peer, waiting);
        peer->kind->resume(peer);
    }
}

void room_message(struct peer *peer, const uint8_t *data, size_t len, bool binary)
{
    struct room *room = peer->room;
    if (!room)
        return;
    struct event *event = event_new(EVENT_MESSAGE);
    if (!event) {
        room_close_peer(peer, 1011, NULL, 0);
        return;
    }
    event->peer = peer_ref(peer);
    event->data = data;
    event->len = len;
    event->binary = binary;
    room_post(room, event);
}

void room_error(struct peer *peer, const char *text)
{
    if (!peer->room || peer->state == PEER_NEW || peer->connecting)
        return;
    struct event *event = event_new(EVENT_ERROR);
    if (!event)
        return;
    event->peer = peer_ref(peer);
    event->data = (const uint8_t *)text;
    event->len = strlen(text);
    room_post(peer->room, event);
}

void room_post_close(struct peer *peer, uint16_t code, const char *reason, size_t len, bool clean)
{
    struct room *room = peer->room;
    struct event *event = event_new(EVENT_CLOSE);
    if (!event) { /* without memory for its onClose the peer goes unannounced */
        room_part(peer);
        room_settle(room);
        return;
    }
    event->peer = peer_ref(peer);
    event->code = code;
    event->clean = clean;
    if (len > 0) {
        event->data = (const uint8_t *)reason;
        event->len = len;
    }
    room_post(room, event);
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = len > 0 ? malloc(len + 1) : NULL;
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

void room_close(struct peer *peer, uint16_t code, const char *reason, size_t len, bool clean)
{
    if (!peer->room || peer->close_reported)
        return;
    if (peer->state == PEER_NEW) {
        room_part(peer);
        return;
    }
    peer->close_reported = true;
    room_unlist(peer);
    list_remove(&peer->waiting);
    if (peer_open(peer))
        peer->state = PEER_ENDED;
    if (peer->connecting) { /* its onClose follows when onConnect is over */
        peer->close_code = code;
        peer->close_clean = clean;
        peer->close_reason = copy_text(reason, len);
        return;
    }
    room_post_close(peer, code, reason, len, clean);
}

/* ---- the script's own ---- */

void room_wait_begin(struct room *room)
{
    room->n_waiting++;
    if (room->n_waiting == room->rooms->limits.handlers)
        room_refuse_stuck(room);
}

void room_wait_end(struct room *room)
{
    room->n_waiting--;
}

/* These can't be refused: a handler would never go on, a timer never run again. */
static struct event *own_event(enum event_kind kind, void *handle)
{
    struct event *event = xcalloc(sizeof *event);
    event->kind = (uint8_t)kind;
    event->handle = handle;
    return event;
}

void room_wake(struct room *room, void *handle)
{
    list_push(&room->wakes, &own_event(EVENT_WAKE, handle)->link);
    room_schedule(room);
}

void room_answer(struct room *room, void *handle)
{
    room->answer = own_event(EVENT_WAKE, handle);
    room_schedule(room);
}

void room_alarm_due(struct room *room)
{
    if (room->alarm_due)
        return;
    room->alarm_due = true;
    room_post(room, own_event(EVENT_ALARM, NULL));
}

void room_timer_due(struct room *room, void *handle)
{
    room_post(room, own_event(EVENT_TIMER, handle));
}

void room_forget_handle(struct room *room, void *handle)
{
    struct list *queues[] = {&room->wakes, &room->inbox};
    for (size_t i = 0; i < 2; i++) {
        list_each_safe(link, queues[i]) {
            struct event *event = container_of(link, struct event, link);
            if (event->handle == handle && handle) {
                list_remove(link);
                event_free(event);
            }
        }
    }
}

void room_hold(struct room *room)
{
    room->n_holds++;
    if (!room->rooms->stopping)
        list_remove(&room->in_idle);
}

void room_release(struct room *room)
{
    room->n_holds--;
    room_settle(room);
}
