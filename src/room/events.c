#include "room/events.h"

#include "base/log.h"
#include "room/pipe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last reference frees it; one is the transport's, which ends with its pipe. */
struct events_peer {
    struct peer peer;
    struct departure departure;   /* of the answer, while it is at the gate */
    struct room *room;            /* meanwhile */
    struct http_request *request; /* owned, meanwhile */
    struct exchange *exchange;    /* NULL once answered */
    struct http_source *source;   /* of the pipe, until the answer has it */
    struct pipe *pipe;            /* NULL: it has ended */
    struct rooms *rooms;
    struct list member;       /* in its group */
    struct peer_group *group; /* NULL: it is in none, or not any more */
    struct timer ping;
    bool skip; /* the broadcast that is being sent is not for it */
    /* What the room is told of its end, later in the turn: it ends in the middle of what the room sends. */
    struct soon ending;
    uint16_t code;
    bool clean;
    char *reason; /* owned; NULL: none */
};

static struct events_peer *of_peer(const struct peer *peer)
{
    return container_of(peer, struct events_peer, peer);
}

/* ---- the format ---- */

/* The end of the line that begins at at, and where the next one does. */
static size_t line_end(const uint8_t *data, size_t len, size_t at, size_t *next)
{
    while (at < len && data[at] != '\n' && data[at] != '\r')
        at++;
    *next = at + 1 + (at + 1 < len && data[at] == '\r' && data[at + 1] == '\n');
    return at;
}

static const char line_head[] = "data: ";

/* Bytes of a message as an event. */
static size_t formatted_size(const uint8_t *data, size_t len)
{
    size_t next, size = 1;

    for (size_t at = 0; at <= len; at = next)
        size += sizeof line_head + line_end(data, len, at, &next) - at;
    return size;
}

struct bytes *events_format(const uint8_t *data, size_t len)
{
    struct bytes *bytes = bytes_new(formatted_size(data, len));
    size_t next;

    if (!bytes)
        return NULL;
    uint8_t *to = bytes->data;
    for (size_t at = 0; at <= len; at = next) {
        size_t n = line_end(data, len, at, &next) - at;
        memcpy(to, line_head, sizeof line_head - 1);
        to += sizeof line_head - 1;
        if (n > 0)
            memcpy(to, data + at, n);
        to += n;
        *to++ = '\n';
    }
    *to = '\n';
    return bytes;
}

/* ---- its end ---- */

static void respond(struct events_peer *events, struct http_response *response)
{
    struct exchange *exchange = events->exchange;

    events->exchange = NULL;
    if (exchange)
        exchange->respond(exchange, response);
    else
        http_response_free(response);
}

static void tell_room(struct soon *soon)
{
    struct events_peer *events = container_of(soon, struct events_peer, ending);
    const char *reason = events->reason ? events->reason : "";

    room_close(&events->peer, events->code, reason, strlen(reason), events->clean);
    peer_unref(&events->peer);
}

/* It ends, once; whole: behind what waits. */
static void end(struct events_peer *events, bool whole, uint16_t code, const char *reason, size_t len)
{
    struct pipe *pipe = events->pipe;

    if (!pipe)
        return;
    events->pipe = NULL;
    peer_group_leave(&events->group, &events->member);
    timer_stop(&events->ping);
    if (whole)
        pipe_end(pipe);
    respond(events,
            http_response_text(503, "Service unavailable")); /* does nothing where the head has left */
    if (events->source)
        events->source->close(events->source);
    events->source = NULL;
    pipe_release(pipe);
    events->code = code;
    events->clean = whole;
    events->reason =
        len > 0 ? strndup(reason, len) : NULL; /* without memory for it onClose does without it */
    loop_soon(events->rooms->loop, &events->ending);
}

/* Something could not be sent to it. */
static void give_up(struct events_peer *events, uint16_t code, const char *reason)
{
    end(events, false, code, reason, strlen(reason));
}

static void on_begin(void *user)
{
    (void)user;
}

static void on_gone(void *user)
{
    give_up(user, 1006, "");
}

static const struct pipe_ops pipe_ops = {.begin = on_begin, .gone = on_gone};

/* ---- sending ---- */

static const char no_memory[] = "Not enough memory";

static void put(struct events_peer *events, struct bytes *bytes)
{
    static const char slow[] = "Too much waits to be sent to this connection";
    struct rooms *rooms = events->rooms;
    uint64_t most = rooms->limits.queue;

    if (!events->pipe)
        return;
    if (most > 0 && events->pipe->waiting > 0 && pipe_size(events->pipe) + bytes->len > most) {
        rooms->counters->sockets_slow++;
        give_up(events, 1013, slow);
        return;
    }
    if (pipe_put(events->pipe, bytes) != 0)
        give_up(events, 1011, no_memory);
}

static void put_text(struct events_peer *events, const char *text, size_t len)
{
    struct bytes *bytes = bytes_copy(text, len);

    if (bytes)
        put(events, bytes);
    bytes_unref(bytes);
}

static void on_ping(struct timer *timer)
{
    static const char comment[] = ": keep-alive\n\n";
    struct events_peer *events = container_of(timer, struct events_peer, ping);

    timer_start(timer->loop, timer, events->rooms->limits.ping_ms);
    if (events->pipe->waiting == 0) /* else there is enough to notice by that it has gone */
        put_text(events, comment, sizeof comment - 1);
}

/* ---- what the room wants (struct peer_kind) ---- */

struct events_group {
    struct peer_group base;
    struct list members; /* of struct events_peer */
    struct room *room;
    bool said; /* that binary messages can't be sent */
};

static struct peer_group *events_group_open(struct room *room)
{
    struct events_group *group = calloc(1, sizeof *group);

    if (!group)
        return NULL;
    group->room = room;
    list_init(&group->members);
    return &group->base;
}

/* The room goes, and nobody can come back to it: the streams end. */
static void events_group_close(struct peer_group *base)
{
    struct events_group *group = container_of(base, struct events_group, base);

    while (!list_empty(&group->members))
        end(container_of(group->members.next, struct events_peer, member), true, 1001, "", 0);
    free(group);
}

static void events_group_send(struct peer_group *base, struct bytes *data, bool binary,
                              struct peer *const *without, size_t n_without)
{
    struct events_group *group = container_of(base, struct events_group, base);
    struct room *room = group->room;

    if (list_empty(&group->members))
        return;
    if (binary) {
        if (!group->said)
            log_event(LOG_WARN, "binary messages are left out of event streams, which are text",
                      log_str("party", room->rooms->script->party_name(room->party).ptr),
                      log_str("room", room->id));
        group->said = true;
        return;
    }
    struct bytes *bytes = events_format(data->data, data->len);
    for (size_t i = 0; i < n_without; i++) {
        if (without[i]->kind == base->kind)
            of_peer(without[i])->skip = true;
    }
    list_each_safe(link, &group->members) {
        struct events_peer *events = container_of(link, struct events_peer, member);
        if (events->skip)
            continue;
        if (bytes)
            put(events, bytes);
        else
            give_up(events, 1011, no_memory);
    }
    for (size_t i = 0; i < n_without; i++) {
        if (without[i]->kind == base->kind)
            of_peer(without[i])->skip = false;
    }
    bytes_unref(bytes);
}

static void events_join(struct peer *peer, struct peer_group *base)
{
    struct events_peer *events = of_peer(peer);

    if (!events->pipe)
        return;
    list_push(&container_of(base, struct events_group, base)->members, &events->member);
    peer_group_count(&events->group, base);
}

/* The head of the answer, once. */
static void let_in(struct events_peer *events)
{
    static const char headers[] = EVENTS_HEADERS;
    struct http_response *response = events->exchange ? http_response_new(200) : NULL;

    if (!events->exchange || !events->pipe) {
        http_response_free(response);
        return;
    }
    if (response && (response->headers = bytes_copy(headers, sizeof headers - 1))) {
        response->has_type = true;
        response->source = events->source;
        events->source = NULL;
    } else {
        http_response_free(response);
        response = NULL;
    }
    if (events->rooms->limits.ping_ms > 0)
        timer_start(events->rooms->loop, &events->ping, events->rooms->limits.ping_ms);
    respond(events, response);
    if (events->source) /* there was no memory for it */
        give_up(events, 1006, "");
}

static void events_accept(struct peer *peer)
{
    let_in(of_peer(peer));
}

static void events_refuse(struct peer *peer, struct http_response *response)
{
    struct events_peer *events = of_peer(peer);

    respond(events, response);
    give_up(events, 1006, "");
}

static void events_send(struct peer *peer, struct bytes *data, bool binary)
{
    struct bytes *bytes = binary ? NULL : events_format(data->data, data->len);

    if (bytes)
        put(of_peer(peer), bytes);
    else if (!binary)
        give_up(of_peer(peer), 1011, no_memory);
    bytes_unref(bytes);
}

static void events_close(struct peer *peer, uint16_t code, const char *reason, size_t len)
{
    struct events_peer *events = of_peer(peer);

    peer_ref(peer);
    let_in(events);
    end(events, true, code ? code : 1005, reason, len);
    peer_unref(peer);
}

/* The event is made once for all; each has a place for it. */
static size_t events_copy_cost(const struct bytes *data, bool binary, size_t n_peers)
{
    return binary ? 0 : formatted_size(data->data, data->len) + n_peers * PIPE_ITEM_COST;
}

static size_t events_pending(const struct peer *peer)
{
    const struct pipe *pipe = of_peer(peer)->pipe;
    return pipe ? pipe->waiting : 0;
}

/* It never asks to be. */
static void events_resume(struct peer *peer)
{
    (void)peer;
}

static void events_free(struct peer *peer)
{
    struct events_peer *events = of_peer(peer);

    http_request_free(events->request);
    free(events->reason);
    free(events);
}

static const struct peer_kind events_kind = {
    .name = "events",
    .text_only = true,
    .group_open = events_group_open,
    .group_close = events_group_close,
    .group_send = events_group_send,
    .copy_cost = events_copy_cost,
    .join = events_join,
    .accept = events_accept,
    .refuse = events_refuse,
    .send = events_send,
    .close = events_close,
    .pending = events_pending,
    .resume = events_resume,
    .free = events_free,
};

/* ---- its beginning ---- */

/* The answer has passed the gate: the peer wants to come in. */
static void leave(struct departure *departure)
{
    struct events_peer *events = container_of(departure, struct events_peer, departure);
    struct room *room = events->room;
    struct http_request *request = events->request;
    size_t held = peer_held(&events->peer);

    events->request = NULL;
    events->room = NULL;
    peer_ref(&events->peer);
    room->held += held; /* before: its handlers may run in there */
    room_connect(room, &events->peer, request);
    if (events->peer.serial == 0) /* it was turned away */
        room->held -= held;
    peer_unref(&events->peer);
}

static void drop(struct departure *departure)
{
    struct events_peer *events = container_of(departure, struct events_peer, departure);
    events_refuse(&events->peer, http_response_text(503, "Service unavailable"));
}

static struct events_peer *events_new(struct room *room, const struct events_opening *opening)
{
    struct events_peer *events = calloc(1, sizeof *events);

    if (!events)
        return NULL;
    events->peer.kind = &events_kind;
    events->peer.refs = 1;
    events->room = room;
    events->rooms = room->rooms;
    events->ping.fn = on_ping;
    events->ending.fn = tell_room;
    events->departure = (struct departure){.leave = leave, .drop = drop, .cost = sizeof *events};
    events->pipe = pipe_new(room->rooms->loop, &pipe_ops, events);
    if (!events->pipe || peer_set_names(&events->peer, opening->id, opening->uri, opening->remote) != 0 ||
        peer_set_tags(&events->peer, opening->tags, opening->n_tags) != 0) {
        if (events->pipe)
            events->pipe->source.close(&events->pipe->source); /* on_gone lets go of all */
        else
            peer_unref(&events->peer);
        return NULL;
    }
    events->source = &events->pipe->source;
    return events;
}

int room_events(struct room *room, struct event *event, const struct events_opening *opening)
{
    struct events_peer *events = events_new(room, opening);
    char text[32];

    if (!events) {
        http_request_free(opening->request);
        return -ENOMEM;
    }
    if (opening->retry >= 0) {
        int len = snprintf(text, sizeof text, "retry: %lld\n\n", (long long)opening->retry);
        put_text(events, text, (size_t)len);
    }
    if (!events->pipe) { /* there was no memory for that, and it has ended */
        http_request_free(opening->request);
        return -ENOMEM;
    }
    events->request = opening->request;
    events->exchange = event->exchange;
    event->exchange = NULL;
    room->n_open--;
    (void)!room_depart(room, &events->departure); /* where it was dropped, it was answered */
    return 0;
}
