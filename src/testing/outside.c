#include "testing/outside.h"

#include "base/check.h"
#include "fetch/fetch.h"
#include "testing/request.h"

#include <stdio.h>
#include <stdlib.h>

/* A fetch that waits for the test's answer. */
struct outside_call {
    struct exchange exchange;
    struct list link; /* in world->outside, while there is somebody who waits */
    struct world *world;
    struct fetch *fetch; /* NULL: nobody waits any more */
    struct soon soon;    /* hands the request over, when no script runs */
    struct http_request *request;
    char *url;
};

static void call_free(struct outside_call *call)
{
    list_remove(&call->link);
    loop_soon_cancel(&call->soon);
    http_request_free(call->request);
    free(call->url);
    free(call);
}

/* The author is to know, also if the party does not mind. */
static void complain(struct outside_call *call, const char *why)
{
    struct world *world = call->world;
    CHECK(buf_printf(&world->errors, "fetch of %s: %s", call->url, why) == 0 &&
          buf_append(&world->errors, "", 1) == 0);
    world->n_errors++;
}

static void complete(struct outside_call *call, const struct http_response *response)
{
    static const char type[] = "Content-Type: text/plain;charset=UTF-8\r\n";
    struct fetch *fetch = call->fetch;

    fetch->status = response->status;
    fetch->url = xstrdup(call->url);
    if (response->headers)
        CHECK(buf_append(&fetch->headers, response->headers->data, response->headers->len) == 0);
    if (response->body && !response->has_type)
        CHECK(buf_append(&fetch->headers, type, sizeof type - 1) == 0);
    if (response->body)
        CHECK(buf_append(&fetch->body, response->body->data, response->body->len) == 0);
    fetch->state = FETCH_COMPLETE;
    fetch_touch(fetch);
}

static void on_respond(struct exchange *exchange, struct http_response *response)
{
    struct outside_call *call = container_of(exchange, struct outside_call, exchange);
    const char *why = NULL;

    if (!response)
        why = "not enough memory";
    else if (response->problem)
        why = response->problem->message;
    else if (response->status == OUTSIDE_NOBODY)
        why = "a test reaches no network; harness.fetch(pattern, function(request) … end) answers it";
    if (call->fetch && why) {
        complain(call, why);
        fetch_fail(call->fetch, FETCH_NETWORK, why);
    } else if (call->fetch) {
        complete(call, response);
    }
    http_response_free(response);
    call_free(call);
}

static void hand_over(struct soon *soon)
{
    struct outside_call *call = container_of(soon, struct outside_call, soon);
    struct http_request *request = call->request;

    call->request = NULL;
    room_request(call->world->test_room(call->world->test_user), request, &call->exchange);
}

static void start(const struct fetch_stub *stub, struct fetch *fetch, const struct fetch_options *options)
{
    struct world *world = container_of(stub, struct world, outside_stub);
    struct outside_call *call = xcalloc(sizeof *call);
    struct buf headers = {0}, error = {0};
    struct span body = {NULL, 0};

    fetch->fetcher = world->script.fetcher;
    fetch->state = FETCH_RUNNING;
    fetch->allowed = SIZE_MAX;
    *call = (struct outside_call){.exchange = {.respond = on_respond},
                                  .world = world,
                                  .fetch = fetch,
                                  .soon = {.fn = hand_over},
                                  .url = xstrdup(options->url)};
    list_push(&world->outside, &call->link);
    if (options->body)
        body = (struct span){(const char *)options->body->data, options->body->len};
    CHECK(buf_printf(&headers, "Festa-Url: %s\r\nFesta-Method: %s\r\n%.*s", options->url, options->method,
                     (int)options->headers.len, options->headers.ptr ? options->headers.ptr : "") == 0);
    call->request = request_make(SPAN("POST"), SPAN("tests"), SPAN("tests"), span_of(OUTSIDE_PATH),
                                 (struct span){(const char *)headers.data, headers.len}, body, false, &error);
    if (call->request) {
        loop_soon(world->loop, &call->soon);
    } else {
        CHECK(buf_append(&error, "", 1) == 0);
        complain(call, (const char *)error.data);
        fetch_fail(fetch, FETCH_NETWORK, (const char *)error.data);
        call_free(call);
    }
    buf_fini(&headers);
    buf_fini(&error);
}

static void stop(const struct fetch_stub *stub, struct fetch *fetch)
{
    struct world *world = container_of(stub, struct world, outside_stub);

    list_each_safe(link, &world->outside) {
        struct outside_call *call = container_of(link, struct outside_call, link);
        if (call->fetch != fetch)
            continue;
        call->fetch = NULL;
        list_remove(&call->link);
        if (call->request) /* it was not asked yet */
            call_free(call);
    }
}

void outside_take(struct world *world)
{
    world->outside_stub = (struct fetch_stub){.start = start, .close = stop};
    world->script.fetch_stub = &world->outside_stub;
}
