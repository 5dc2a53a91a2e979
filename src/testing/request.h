/* Requests of tests: read out of text by the real parser, given to a room, and their answers kept. */
#pragma once

#include "testing/world.h"

struct asked {
    struct exchange exchange;
    struct list link; /* in world->requests */
    uint64_t number;
    bool answered;
    struct http_response *response; /* owned; answered, NULL: there was no memory for one */
    struct http_sink sink;          /* of a body that comes in pieces */
    struct buf body;                /* what has come of that so far */
};

/* A request as it comes from a client, for a room. target: what stands behind the room in its URL, "/users?limit=5", or
 * empty; headers: whole lines, each with CRLF; websocket: an upgrade. Without a party (ptr NULL) it is for no room, and the
 * target is all of the path. NULL: error says what is wrong with it. */
struct http_request *request_make(struct span method, struct span party, struct span room, struct span target,
                                  struct span headers, struct span body, bool websocket, struct buf *error)
    __attribute__((warn_unused_result));

/* One whose answer its exchange gets, when it comes. */
struct asked *request_new(struct world *world);

/* The same, and gives a request to a room. */
struct asked *request_ask(struct world *world, struct room *room, struct http_request *request);

struct asked *request_find(const struct world *world, uint64_t number);

/* Bodies that still come in pieces: nobody reads on. */
void requests_end(struct world *world);

/* The rooms are gone: all are answered. */
void requests_free(struct world *world);
