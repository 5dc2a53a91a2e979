/* A loop thread with all that lives on it: connections, rooms and their scripts. Threads share what is
 * immutable (a version of the project) and meet in their loops' inboxes alone. */
#pragma once

#include "base/config.h"
#include "edge/edge.h"
#include "loop/timer.h"
#include "net/listener.h"
#include "net/net.h"
#include "net/tls.h"
#include "room/crons.h"
#include "script/script.h"

#include <pthread.h>

struct worker;

/* All loop threads of the process. */
struct workers {
    struct worker *items; /* owned; the first one runs on the main thread */
    unsigned count;
    struct edge **edges; /* owned; of team */
    struct edge_team team;
    struct rooms **rooms; /* owned; of rooms_team */
    struct rooms_team rooms_team;
    struct net_total total;
    _Atomic unsigned n_empty; /* threads whose rooms are gone */
    _Atomic bool closing;     /* all of them: connections have their time to end */
    _Atomic bool finished;    /* no connection is left: the loops end */
};

struct worker {
    struct workers *all;
    pthread_t thread;
    struct counters counters;
    struct loop loop;
    struct net net;
    struct script script;
    struct rooms rooms;
    struct edge edge;
    struct crons crons; /* the first one's */
    struct listener *listener;
    struct loop_hook watch; /* waits for the last connection while the server stops */
    struct timer deadline;  /* of the connections' end */
    struct loop_message stop, closed,
        finish; /* from workers_stop, from whose rooms were the last to go, from whoever
                                               * saw the end of the last connection */
};

/* As many threads as the project's configuration says; store has what their rooms keep (NULL: nothing can be kept), tls
 * the certificates (NULL: connections are plain).
 * 0, or a negative code after it was said on stderr why not. */
int workers_init(struct workers *workers, struct project *project, struct store *store,
                 struct tls_server *tls) __attribute__((warn_unused_result));

/* Each listens on the configured address. 0, or a negative code after it was said on stderr why not. */
int workers_listen(struct workers *workers, const struct config *config) __attribute__((warn_unused_result));

/* The port that they listen on. */
int workers_port(const struct workers *workers);

/* The address that they listen on, as text (listener_address). */
void workers_address(const struct workers *workers, char out[INET6_ADDRSTRLEN]);

/* Another version of the project counts for all that comes from here on: each thread takes it over in its
 * turn, and holds it for as long as it needs it. From the first one's thread, as is the next. */
void workers_adopt(struct workers *workers, struct project *project, struct tls_server *tls);

/* The first one's, for what the process counts. */
struct counters *workers_counters(struct workers *workers);

/* Runs them all, the first one on the calling thread, until workers_stop has ended them. Where a thread can't be
 * made, says so on stderr and exits. */
void workers_run(struct workers *workers);

/* Ends them in order: nothing more is accepted, rooms stop, sockets are closed. */
void workers_stop(struct workers *workers);

/* Frees what workers_init made, whether they ran or not. */
void workers_fini(struct workers *workers);
