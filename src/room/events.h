/* Server-Sent Events (HTML, "Server-sent events"): a client whose request is answered with a stream of them is a peer
 * of the room that hears and can't speak. Its transport is a pipe whose reader is whoever sends the answer.
 *
 * The request's handler returns, its answer passes the gate, and the peer wants to come in as any does; the head
 * of the answer leaves when onConnect has returned. */
#pragma once

#include "room/room.h"

#define EVENTS_RETRY_MAX 86400000 /* ms */

struct events_opening {
    const char *id, *uri, *remote; /* the caller's */
    const struct span *tags;       /* its first tags; the caller's */
    size_t n_tags;
    int64_t retry;                /* ms after which its client is to come again; -1: as it likes */
    struct http_request *request; /* the callee's */
};

/* In a turn of the room: what answers the event, an EVENT_REQUEST, is a stream of events. 0; or -ENOMEM, and it is
 * not answered. */
int room_events(struct room *room, struct event *event, const struct events_opening *opening)
    __attribute__((warn_unused_result));

/* The lines of its head. */
#define EVENTS_HEADERS                                                                                       \
    "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"

/* A message as an event: each of its lines, however they are broken, is a line "data: …". NULL: no memory. */
struct bytes *events_format(const uint8_t *data, size_t len) __attribute__((warn_unused_result));
