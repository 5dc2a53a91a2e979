/* The way of a test's clients and requests to a room: what the server has between a socket and a room is here. */
#pragma once

#include "testing/client.h"
#include "testing/request.h"

/* Both own the request, and find the room, or make it. NULL: the rooms stop, or there is no memory; nothing was begun. */
struct client *entrance_connect(struct world *world, struct party *party, struct span room,
                                struct http_request *request, const char *id)
    __attribute__((warn_unused_result));
struct asked *entrance_request(struct world *world, struct party *party, struct span room,
                               struct http_request *request) __attribute__((warn_unused_result));
