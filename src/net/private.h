/* What the files of net call of each other. */
#pragma once

#include "net/conn_group.h"
#include "net/net.h"

#include <sys/uio.h>

/* ---- net.c ---- */

/* Writes what all connections and groups have. Makes no upcalls, so anybody may call it. */
void net_flush(struct net *net);

/* An empty log; NULL: no memory. And back: nobody appends to it any more, though segments
 * may hold it. */
struct bytes *net_log_take(struct net *net);
void net_log_give(struct net *net, struct bytes *log);

/* ---- conn.c ---- */

/* One with a socket that does not block, which is its own from here on; it has no owner. */
struct conn *conn_new(struct net *net, int fd);

/* Lets libuv have the socket, which polls it then. A negative errno: it could not. */
int conn_poll(struct conn *conn) __attribute__((warn_unused_result));

/* Plain bytes of the peer, for the reader; conn is CONN_OPEN. */
void conn_bytes(struct conn *conn, uint8_t *data, size_t len);

/* Nothing more comes from the peer. */
void conn_peer_ended(struct conn *conn);

/* Ends it, what is queued is lost; the peer sees FIN, or RST if it has sent what was not read. */
void conn_drop(struct conn *conn);

/* Reading or writing failed: it will be told its owner, and reset, later in this turn. */
void conn_fail(struct conn *conn, int error);

/* Takes the socket out of the connection, which goes; its owner is not told. A negative errno: it could not be, and all
 * is as it was. */
int conn_let_go(struct conn *conn, int *fd) __attribute__((warn_unused_result));

/* All is written of one that is CONN_FLUSHING. */
void conn_flushed(struct conn *conn);

/* ---- output.c ---- */

/* Puts it on the list of what is to be flushed. */
void conn_mark(struct conn *conn);

/* What is to leave next, of its own and then of its group's log: pieces, how many, and their length. Room for
 * FLUSH_PIECES of them. And len bytes of it have left. */
#define FLUSH_PIECES 64u
unsigned conn_front(const struct conn *conn, struct iovec *pieces, size_t *len);
void conn_take(struct conn *conn, size_t len);

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

/* ---- conn_tls.c ---- */

/* Bytes came from the peer of one of TLS. */
void conn_tls_received(struct conn *conn, const uint8_t *data, size_t len);

/* Goes on with what came before: the handshake, or what the reader had no time for. */
void conn_tls_pump(struct conn *conn);

/* As write_now and write_later of output.c: encrypts what is queued, and sends it. */
int conn_tls_write(struct conn *conn, int fd);
int conn_tls_write_later(struct conn *conn, uv_write_cb on_written);

/* Ciphertext that waits to be taken by the kernel. */
size_t conn_tls_waiting(const struct conn *conn);

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
