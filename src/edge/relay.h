/* Requests whose room lives on another loop thread: either the request goes there and its answer comes back, or
 * the connection moves there with it, for good. Called on the thread of the connection. */
#pragma once

#include "edge/http_conn.h"

/* Sends the request, which is the callee's, as is the route, to its room's thread; http->exchange is answered
 * on this one. */
void relay_request(struct http_conn *http, struct http_request *request, struct edge *home,
                   struct route *route);

/* Moves the connection to the room's thread, where the request and its route, the callee's then, are taken up
 * (http_conn_take). 0: http is gone, as after http_conn_detach. Negative: it stays, as do request and route. */
int relay_connection(struct http_conn *http, struct http_request *request, struct edge *home,
                     struct route *route) __attribute__((warn_unused_result));

/* On the room's thread: a source for the connection's, which gives what inner gives; takes that over. NULL: no
 * memory, and inner is closed. (relay_source.c) */
struct http_source *relay_source(struct edge *from, struct edge *home, struct http_source *inner);

/* Resets the connections that have not left yet. */
void relay_reset_all(struct edge *edge);
