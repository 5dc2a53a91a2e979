/* The life of an event's memory. */
#include "room/event.h"

#include "base/spare.h"

#define EVENTS_KEPT 64u

static _Thread_local struct spare spare;

struct event *event_new(enum event_kind kind)
{
    struct event *event = spare_take(&spare, sizeof *event);
    if (event)
        *event = (struct event){.kind = (uint8_t)kind};
    return event;
}

size_t event_size(const struct event *event)
{
    const struct http_request *request = event->request;
    size_t size = event->kind == EVENT_MESSAGE || event->kind == EVENT_CALL ? event->len : 0;
    if (request)
        size += request->size + (request->body ? request->body->len : 0);
    return size;
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
    free(event->chain);
    free(event->close_reason);
    spare_give(&spare, event, EVENTS_KEPT);
}

void event_thread_fini(void)
{
    spare_fini(&spare);
}
