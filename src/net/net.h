/* What the connections of one loop thread share: the list of those that have something to
 * write, memory for what they write, and the counters. */
#pragma once

#include "base/counters.h"
#include "base/span.h"
#include "loop/loop.h"
#include "net/queue.h"

#include <sys/socket.h>

#define NET_LOGS 16

struct batch;      /* net/output.c */
struct conn;       /* net/conn.h */
struct tls_server; /* net/tls.h */

/* What the loop threads' connections are together. */
struct net_total {
    _Atomic size_t
        n_conns; /* open ones of all threads and those between two, refused and lingering ones included */
    _Atomic size_t n_refused; /* of those, the ones that were accepted over the limit */
};

struct net {
    struct loop *loop;
    struct loop_hook flush;
    struct list dirty_conns, dirty_groups;
    struct counters *counters;
    struct net_total *total;
    struct net_total own_total;  /* the total of a thread that is alone */
    size_t n_conns;              /* open ones of this thread, refused and lingering ones included */
    size_t queue_limit;          /* of a connection; limits.queue */
    uint64_t linger_ms;          /* how long a FIN of the peer is awaited that takes nothing meanwhile */
    uint64_t writes;             /* times that the kernel was given bytes of one connection */
    uint64_t batches;            /* times that it was given those of several together (net_use_uring) */
    struct tls_server *tls;      /* a reference; connections that are accepted speak TLS. NULL: they don't */
    struct span plain_answer;    /* what who speaks HTTP to a TLS port is sent; a constant */
    unsigned batch_min;          /* connections; fewer cost less one by one */
    bool batch_due;              /* net_use_uring was called */
    const struct conn *accepted; /* the connection that is just being accepted, */
    struct sockaddr_storage accepted_from; /* and its peer's address */
    struct batch *batch;                   /* owned; NULL: each connection is written to by itself */
    struct segment_pool segments;
    struct bytes *logs[NET_LOGS]; /* empty ones, for the groups' next turn */
    unsigned n_logs;
};

/* Also makes the process ignore SIGPIPE: a connection that its peer has reset must be an
 * error of write(). */
void net_init(struct net *net, struct loop *loop, struct counters *counters, size_t queue_limit,
              uint64_t linger_ms);

/* Lets it write to many connections with one system call, by io_uring, if the kernel allows it; it
 * finds that out at the next flush, on the loop's thread. Without this it never does. */
void net_use_uring(struct net *net);

/* Counts its connections together with those of other threads; before the first one. */
void net_share(struct net *net, struct net_total *total);

/* What is accepted from here on speaks TLS with these certificates; NULL: none. Connections that are there keep
 * theirs. */
void net_set_tls(struct net *net, struct tls_server *tls);

/* All connections must be gone. */
void net_fini(struct net *net);
