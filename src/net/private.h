/* What the files of net call of each other. */
#pragma once

#include "net/conn_group.h"
#include "net/net.h"

/* ---- net.c ---- */

/* Writes what all connections and groups have. Makes no upcalls, so anybody may call it. */
void net_flush(struct net *net);

/* An empty log; NULL: no memory. And back: nobody appends to it any more, though segments
 * may hold it. */
struct bytes *net_log_take(struct net *net);
void net_log_give(struct net *net, struct bytes *log);

/* ---- conn.c ---- */

/* One whose socket is not open yet; it has no owner. */
struct conn *conn_new(struct net *net);

/* Reading or writing failed: it will be told its owner, and reset, later in this turn. */
void conn_fail(struct conn *conn, int error);

/* Closes the descriptor without ending the connection, which has another one; its owner is not told. */
void conn_let_go(struct conn *conn);

/* All is written of one that is CONN_FLUSHING. */
void conn_flushed(struct conn *conn);

/* ---- output.c ---- */

/* Puts it on the list of what is to be flushed. */
void conn_mark(struct conn *conn);

/* Writes what it has, as far as the kernel takes it. Afterwards it needs its group's log
 * no more. */
void conn_flush(struct conn *conn);

/* Opens the ring with which connections are flushed together, if there can be one. */
void batch_open(struct net *net);
void batch_close(struct net *net);

/* Like conn_flush, but it may be done only when the batch is full, or by batch_leave: until
 * then nobody may write to any connection or group. */
void batch_flush(struct conn *conn);
void batch_leave(struct net *net);

/* ---- conn_group.c ---- */

/* Bytes of the group's log that it has yet to send. */
size_t conn_group_pending(const struct conn *conn);

/* Turns that part of the log into a segment of its own queue: something else is to follow it.
 * 0 or -ENOMEM. */
int conn_group_seal(struct conn *conn) __attribute__((warn_unused_result));

/* Flushes every member, in two steps: batch_flush for each, and after batch_leave the log is
 * emptied. */
void conn_group_flush(struct conn_group *group);
void conn_group_flushed(struct conn_group *group);
