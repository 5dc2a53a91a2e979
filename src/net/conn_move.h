/* Moving a connection to another loop thread: one takes it off its loop, the other puts it on its own. */
#pragma once

#include "base/buf.h"
#include "net/conn.h"

/* A connection between two threads. */
struct conn_parcel {
    int fd;           /* owned */
    struct buf *left; /* owned; bytes that the reader left, NULL when none */
    struct tls *tls;  /* owned; NULL for a plain one. All of its state lies in memory */
};

/* Takes a connection off its loop that is open, paused, and in no group: 0, and it is gone without on_close.
 * -EAGAIN: something still waits to be written; on_drain follows, then it can be tried again. Any other
 * negative errno: it can't be moved, and is as it was. */
int conn_export(struct conn *conn, struct conn_parcel *parcel) __attribute__((warn_unused_result));

/* Puts it on the loop of net, on that loop's thread. As with a connection that was accepted, the caller sets
 * its owner, and then starts it. */
struct conn *conn_import(struct net *net, struct conn_parcel *parcel);
