/* Where the protocols meet the rooms: HTTP connections, upgrades, WebSockets, routing. One for
 * each loop thread. Knows nothing of scripts. */
#pragma once

#include "base/buf.h"
#include "base/config.h"
#include "http/parser.h"
#include "net/conn.h"
#include "net/net.h"
#include "room/room.h"

struct static_folder; /* static_file.h */

struct edge {
    struct net *net;
    struct rooms *rooms;
    const struct config *config;
    struct counters *counters;
    /* The party with this name, NULL when there is none. */
    struct party *(*find_party)(void *user, struct span name);
    void *user;
    struct http_limits http_limits;
    const struct static_folder *files; /* public/; NULL: no files are served. Whoever made it sets it */
    struct list http_conns; /* of struct http_conn */
    struct list sockets;    /* of struct ws_socket */
    struct buf scratch;     /* a response's head while it is written */
    bool stopping;          /* answers end their connections */
};

void edge_init(struct edge *edge, struct net *net, struct rooms *rooms, const struct config *config,
               struct counters *counters, struct party *(*find_party)(void *, struct span), void *user);

/* All connections must be gone. */
void edge_fini(struct edge *edge);

/* A connection was accepted; full: the process has as many as it may, so it is told 503. */
void edge_accept(struct edge *edge, struct conn *conn, bool full);

/* The server stops: connections that wait for a request are closed, the others after their answer. */
void edge_stop_http(struct edge *edge);

/* The rooms are gone: closes every WebSocket with 1001, and connections with half a request. */
void edge_stop_sockets(struct edge *edge);

/* Resets every connection. */
void edge_reset_all(struct edge *edge);
