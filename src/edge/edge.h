/* Where the protocols meet the rooms: HTTP connections, upgrades, WebSockets, routing. One for
 * each loop thread. Knows nothing of scripts. */
#pragma once

#include "base/buf.h"
#include "base/config.h"
#include "edge/router.h"
#include "http/parser.h"
#include "net/conn.h"
#include "net/net.h"
#include "room/room.h"

struct edge;
struct static_folder; /* static_file.h */

/* The edges of all loop threads. A room lives on one of them, by the hash of its party and id. */
struct edge_team {
    struct edge *const *edges;
    unsigned count;
    _Atomic size_t
        away; /* requests that were sent to another thread and whose answer is not back yet, and answers
                          * whose pieces come from another thread */
};

struct edge {
    struct edge_team *team; /* NULL: it is alone */
    struct net *net;
    struct rooms *rooms;
    const struct config *config;
    struct counters *counters;
    /* The party with this name, NULL when there is none. */
    struct party *(*find_party)(void *user, struct span name);
    void *user;
    struct http_limits http_limits;
    struct list http_conns; /* of struct http_conn */
    struct list sockets;    /* of struct ws_socket */
    struct list answered;   /* of struct http_conn (waiting): their further requests wait for the next turn */
    uint64_t answering;     /* ns of this turn that went into requests that were answered at once */
    struct list inflating;  /* of struct peer (waiting): their compressed messages wait for the next turn */
    struct loop_hook late;
    struct list leaving; /* connections that move to another thread once what waits has left (relay.c) */
    struct map intakes;  /* of struct intake: bodies that are being read (intake.c) */
    struct buf scratch;  /* a response's head while it is written */
    bool stopping;       /* answers end their connections */
    struct static_folder *files;       /* a reference; public/; NULL: no files are served */
    const struct http_problem *broken; /* why there are no parties: what everybody is answered; or NULL */
};

void edge_init(struct edge *edge, struct net *net, struct rooms *rooms, const struct config *config,
               struct counters *counters, struct party *(*find_party)(void *, struct span), void *user);

/* The edge on whose thread the room lives. */
struct edge *edge_home(struct edge *edge, struct span party, struct span room);

/* Gives a request to its room, which has to live on this thread; party NULL: there is none of that name here
 * (the project has changed meanwhile). The request is the callee's. The exchange is answered in any case. */
void edge_request(struct edge *edge, struct party *party, const struct route *route,
                  struct http_request *request, struct exchange *exchange);

/* Another version of the configuration counts from here on; it must stay until the next one. broken, which
 * must too, is why there are no parties; NULL: there are. edge_init begins with none. */
void edge_adopt(struct edge *edge, const struct config *config, const struct http_problem *broken);

/* Static files come from the folder behind this descriptor from here on, which stays the caller's; -1: there
 * are none. 0, or -ENOMEM; then there are none. */
int edge_serve(struct edge *edge, int public_fd) __attribute__((warn_unused_result));

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
