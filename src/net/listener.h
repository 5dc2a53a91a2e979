/* Accepts TCP connections on an address, or on a descriptor that was inherited. */
#pragma once

#include "net/conn.h"

#include <netinet/in.h>

struct listener;

struct listener_ops {
    /* A connection was accepted; the callee sets its owner (conn_set_owner). With full set
     * the process has as many as it may: answer so, and close. */
    void (*on_accept)(void *user, struct conn *conn, bool full);
};

/* Several loop threads may each listen on one address; the kernel spreads the connections. */
enum listener_share {
    LISTENER_ALONE,
    LISTENER_FIRST,  /* others will join; another program on the address is an error all the same */
    LISTENER_FURTHER /* joins the first */
};

/* Listens on host (an address, or a name: its IPv4 address if it has one) and port (0: any),
 * or, when fd >= 0, on that descriptor, which is the listener's from here on. At most max
 * connections are handed up as not full. On error NULL, and *error is a negative errno or
 * one of libuv's for names (uv_strerror). Looks the name up synchronously. */
struct listener *listener_open(struct net *net, const char *host, int port, int fd, enum listener_share share,
                               uint64_t max, const struct listener_ops *ops, void *user, int *error);

/* The port that it listens on. */
int listener_port(const struct listener *listener);

/* The address that it listens on, as text: IPv4 as such also where IPv6 has it mapped. */
void listener_address(const struct listener *listener, char out[INET6_ADDRSTRLEN]);

/* Stops accepting; the memory goes when libuv is done with it. Accepts NULL. */
void listener_close(struct listener *listener);
