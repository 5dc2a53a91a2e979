/* The life of an event's memory. */
#include "room/event.h"

#include <stdlib.h>

struct event *event_new(enum event_kind kind)
{
    struct event *event = calloc(1, sizeof *event);
    if (event)
        event->kind = (uint8_t)kind;
    return event;
}

void event_free(struct event *event)
{
    if (!event)
        return;
    if (event->exchange)
        event->exchange->respond(event->exchange, http_response_text(500, "Internal error"));
    http_request_free(event->request);
    http_response_free(event->failure);
    peer_unref(event->peer);
    free(event->copy);
    free(event->close_reason);
    free(event);
}
