/* A TCP connection: bytes in, bytes out, and how it ends.
 *
 * Reading: bytes are handed up straight from the loop's shared read buffer. What the
 * reader leaves is kept and handed up again, in one piece with what follows.
 * Writing: everything is queued; the queue leaves once for each turn of the loop, with one
 * system call. A group (conn_group.h) sends the same bytes to many connections from one log.
 * TLS stands behind the same functions (conn_tls.c): what is queued is plain, and encrypted as it leaves. Knows
 * neither HTTP nor WebSocket.
 *
 * Life: CONN_OPEN → (conn_close) CONN_FLUSHING, what is queued leaves → CONN_LINGERING, FIN
 * sent, input discarded until the peer's FIN → CONN_CLOSED, on_close, memory freed. conn_reset
 * goes to CONN_CLOSED from anywhere. The memory goes in libuv's close callback alone, so a
 * handler may close its own connection. */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/queue.h"

struct conn;
struct conn_group;
struct net; /* net.h */
struct tls; /* tls.h */

enum conn_state { CONN_OPEN, CONN_FLUSHING, CONN_LINGERING, CONN_CLOSED };

/* What the owner of a connection does with it. All but on_close may be called only while
 * the connection is CONN_OPEN; none is called from within a function of this header. */
struct conn_ops {
    /* len bytes came in, what was left before included; the reader may change them in
     * place. Returns how many were used; the rest comes again: at once when some were used
     * and the connection is not paused, else in front of what follows. */
    size_t (*on_read)(struct conn *conn, uint8_t *data, size_t len);
    /* The peer's FIN: nothing more will be read. Called after all bytes were handed up. */
    void (*on_end)(struct conn *conn);
    /* Reading or writing failed (a negative errno; -ENOMEM: there was no memory for what was to
     * be written); the connection is reset after this. */
    void (*on_error)(struct conn *conn, int error);
    /* After a flush more than the limit waits to be written; once until all of it is. May be
     * NULL: then the connection is reset, and counted as a slow one. */
    void (*on_overflow)(struct conn *conn);
    /* What waited after a flush has been written. May be NULL. */
    void (*on_drain)(struct conn *conn);
    /* It is gone, for whatever reason; called exactly once, the last call of all. */
    void (*on_close)(struct conn *conn);
};

struct conn {
    uv_tcp_t tcp; /* has the socket from when it is polled for the first time */
    struct net *net;
    const struct conn_ops *ops;
    void *user;               /* the owner's */
    struct queue queue;       /* what waits to be written, but for the share of a group's log */
    size_t in_flight;         /* bytes at the queue's front that a uv_write_t is sending */
    size_t limit;             /* of conn_pending after a flush */
    size_t unsent;            /* closing: what the kernel had to send when last looked at; SIZE_MAX: never */
    struct buf *left;         /* owned; bytes that the reader left, NULL when none */
    struct list dirty;        /* in net's list of what is to be flushed */
    struct list member;       /* in its group */
    struct conn_group *group; /* NULL: in none */
    size_t group_from;        /* offset in the group's log from where it has yet to send */
    struct soon upcalls;      /* makes the calls that are due, see below */
    struct timer timer;       /* the owner's while CONN_OPEN (conn_set_timer) */
    void (*on_timer)(struct conn *); /* the owner's */
    int fd;                          /* its socket, owned until tcp has it */
    int error;                       /* it failed: on_error is due, nothing is read or written any more */
    struct tls *tls;                 /* owned; NULL: bytes go as they are */
    uint8_t state;                   /* enum conn_state */
    bool read_due, overflow_due, drain_due; /* upcalls */
    bool secure : 1;                        /* it is one of TLS */
    bool tls_begun : 1;                     /* the peer has said something */
    bool tls_sending : 1;                   /* libuv sends ciphertext; none may be added */
    bool polled : 1;                        /* tcp has the socket */
    bool paused : 1, held : 1;
    bool reading : 1;    /* libuv reads it */
    bool ended : 1;      /* the peer's FIN came */
    bool finished : 1;   /* conn_finish was called */
    bool refused : 1;    /* accepted over the limit */
    bool exported : 1;   /* it goes on elsewhere: conn_move.h */
    bool waiting : 1;    /* a flush left something: on_drain will follow */
    bool overflowed : 1; /* more than limit waited, and it has not been empty since */
    bool little : 1;     /* reads CONN_READ_LITTLE bytes at once */
};

/* Begins to read, once it has its owner: for those who make connections, the listener and who imports one. */
void conn_start(struct conn *conn);

/* Hands up what the peer has sent already, without waiting for the poll to say so: a client sends its request
 * right behind its connecting. Before conn_start, in a callback of libuv's. */
void conn_read_now(struct conn *conn);

/* Appends a copy of the bytes: whole messages, if conn_drop_queued is to find their edges.
 * Nothing happens unless it is CONN_OPEN. Out of memory ends the connection (on_error). */
void conn_write(struct conn *conn, const void *data, size_t len);

/* The same without a copy: a range of shared bytes, of which it takes a reference. What is
 * small is copied all the same. */
void conn_write_bytes(struct conn *conn, struct bytes *bytes, size_t from, size_t len);

/* Two pieces that make one message: a copy of the head, and shared bytes. */
void conn_write_message(struct conn *conn, const void *head, size_t head_len, struct bytes *body);

/* Bytes written and not yet taken by the kernel, its share of the group's log included. */
size_t conn_pending(const struct conn *conn);

/* Bytes written that are not with the peer's kernel yet. */
size_t conn_unsent(const struct conn *conn);

/* Drops what is queued but for the message that was begun (or, when none was, everything).
 * edge() is told where messages begin of which some have left, how many bytes have, and how
 * many there are; it returns the offset of the first message's edge at or after what left,
 * at most len. The last message may go on elsewhere: it is dropped or kept with that. */
void conn_drop_queued(struct conn *conn, size_t (*edge)(const uint8_t *segment, size_t sent, size_t len));

/* Nothing is written while it is held: the answer to an upgrade waits for its handler. One
 * that is closed while it is held is reset when it was not released in time. */
void conn_hold(struct conn *conn);
void conn_release(struct conn *conn);

/* Stops reading (the kernel's buffer fills, and the peer waits; its FIN is not seen);
 * conn_resume hands up what was left, later in this turn, and reads on. Both may be called
 * twice. */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);

/* For owners that leave what they read for long: reads this much at once, and not all that the loop's buffer takes
 * (LOOP_READ_BUFFER), so no more than this is kept for each such connection. Holds until it is said otherwise, or it
 * has another owner. */
#define CONN_READ_LITTLE 16384u
void conn_read_little(struct conn *conn, bool little);

/* Calls on_timer once, ms from now; 0 stops it. Nothing happens unless it is CONN_OPEN. */
void conn_set_timer(struct conn *conn, void (*on_timer)(struct conn *), uint64_t ms);

/* Has the kernel ask the peer for a sign of life when nothing was heard of it for so many seconds; one that gives
 * none for as long again is gone (on_error). For connections on which nothing may be sent for long. */
void conn_watch(struct conn *conn, unsigned seconds);

/* Is the peer known to be gone? For one whose FIN came: nothing is read from it any more, so nobody is told. */
bool conn_dead(const struct conn *conn);

/* Has the peer said that it sends no more, be it behind bytes that were not read yet? */
bool conn_half_closed(const struct conn *conn);

/* Hands the connection to another owner (an upgrade). Inside on_read the rest of the bytes
 * goes to the new owner; elsewhere what was left goes to it later in this turn. */
void conn_set_owner(struct conn *conn, const struct conn_ops *ops, void *user);

/* Ends it in order: what is queued leaves, FIN, the peer's FIN is awaited for linger_ms. It
 * is reset when for as long nothing of what is queued can be sent. */
void conn_close(struct conn *conn);

/* The same, of a peer that has said its last, but for the FIN: that is not awaited when all but a few bytes has
 * arrived, and the kernel sees to those. Should it send more all the same, it gets RST. One of TLS still has to say that it
 * ends, and is awaited. */
void conn_finish(struct conn *conn);

/* Ends it at once with RST; what is queued is lost. */
void conn_reset(struct conn *conn);

/* The peer's address as text without the port (an IPv4 one that came by IPv6 as IPv4); "" if
 * not known. */
void conn_remote_address(const struct conn *conn, char out[ADDRESS_TEXT_MAX]);
