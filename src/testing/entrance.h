/* The way of a test's clients and requests to a room: what the server has between a socket and a room is here, the hooks
 * onBeforeConnect and onBeforeRequest; and onFetch, for requests that go to none. */
#pragma once

#include "testing/client.h"
#include "testing/request.h"

/* Both own the request, and find the room, or make it, once the hooks have let them pass. */
struct client *entrance_connect(struct world *world, struct party *party, struct span room,
                                struct http_request *request, const char *id);
struct asked *entrance_request(struct world *world, struct party *party, struct span room,
                               struct http_request *request);

/* Owns the request, which is for no room; there are no files. */
struct asked *entrance_fetch(struct world *world, struct http_request *request);
