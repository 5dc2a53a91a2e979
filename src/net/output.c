/* The writing half of a connection: conn_write and its kin fill the queue, conn_flush empties
 * it as far as the kernel takes it, batch_flush does so together with others. Makes no upcalls:
 * what its owner has to know is told later in the turn. */
#include "base/check.h"
#include "base/log.h"
#include "net/private.h"
#include "net/tls.h"
#include "net/uring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Pieces of a batch. */
#define BATCH_PIECES (2 * URING_SENDS)

/* What is handed to libuv at once when the kernel takes no more. It stays there until it is
 * written, so this is not all of a long queue. */
#define IN_FLIGHT_MAX (256u * 1024)

/* Shared bytes up to this length are copied: cheaper than a segment of their own. */
#define SHARE_MIN 1024u

/* ---- filling the queue ---- */

void conn_mark(struct conn *conn)
{
    if (conn->state != CONN_CLOSED && !list_linked(&conn->dirty))
        list_push(&conn->net->dirty_conns, &conn->dirty);
}

/* May be written to: then what its group sent so far goes before. */
static bool begin(struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn->error)
        return false;
    int rc = conn_group_seal(conn);
    if (rc)
        conn_fail(conn, rc);
    return rc == 0;
}

static void end(struct conn *conn, int rc)
{
    if (rc)
        conn_fail(conn, rc);
    else
        conn_mark(conn);
}

void conn_write(struct conn *conn, const void *data, size_t len)
{
    if (begin(conn))
        end(conn, queue_copy(&conn->queue, &conn->net->segments, data, len, NULL, 0));
}

void conn_write_bytes(struct conn *conn, struct bytes *bytes, size_t from, size_t len)
{
    CHECK(from <= bytes->len && len <= bytes->len - from);
    if (len < SHARE_MIN)
        conn_write(conn, bytes->data + from, len);
    else if (begin(conn))
        end(conn, queue_share(&conn->queue, bytes, from, len, false));
}

void conn_write_message(struct conn *conn, const void *head, size_t head_len, struct bytes *body)
{
    if (!begin(conn))
        return;
    struct queue *queue = &conn->queue;
    bool copied = body->len < SHARE_MIN;
    int rc = queue_copy(queue, &conn->net->segments, head, head_len, body->data, copied ? body->len : 0);
    if (rc == 0 && !copied)
        rc = queue_share(queue, body, 0, body->len, head_len > 0);
    end(conn, rc);
}

size_t conn_pending(const struct conn *conn)
{
    bool in_flight = conn->in_flight > 0 || conn->tls_sending;
    size_t in_flight_left = in_flight ? uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp) : 0;
    return conn->queue.len - conn->in_flight + in_flight_left + conn_tls_waiting(conn) +
           conn_group_pending(conn);
}

void conn_drop_queued(struct conn *conn, size_t (*edge)(const uint8_t *segment, size_t sent, size_t len))
{
    if (conn->group && conn->group->log)
        conn->group_from = conn->group->log->len;
    queue_drop(&conn->queue, &conn->net->segments, conn->in_flight, edge);
    conn_mark(conn);
}

void conn_hold(struct conn *conn)
{
    conn->held = true;
}

void conn_release(struct conn *conn)
{
    conn->held = false;
    conn_mark(conn);
}

/* ---- emptying it ---- */

/* The group's log follows what is its own, and is not counted as taken before that is. */
void conn_take(struct conn *conn, size_t len)
{
    size_t own = len < conn->queue.len ? len : conn->queue.len;
    queue_take(&conn->queue, &conn->net->segments, own);
    conn->group_from += len - own;
}

unsigned conn_front(const struct conn *conn, struct iovec *pieces, size_t *len)
{
    size_t from_log = conn_group_pending(conn);
    /* uv_buf_t is made to be a struct iovec on Unix. */
    unsigned n = queue_front(&conn->queue, (uv_buf_t *)(void *)pieces, FLUSH_PIECES, SIZE_MAX, len);

    if (from_log > 0 && n < FLUSH_PIECES) { /* then that is all of the queue */
        pieces[n++] = (struct iovec){conn->group->log->data + conn->group_from, from_log};
        *len += from_log;
    }
    return n;
}

/* libuv has nothing of this connection in its queue, so this does not overtake it; its own
 * uv_try_write costs a twentieth of a broadcast more. */
static void send_alone(struct sending *sending)
{
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

    if (sending->n_pieces == 1) {
        sending->result = send(sending->fd, sending->pieces->iov_base, sending->pieces->iov_len, flags);
    } else {
        struct msghdr message = {.msg_iov = sending->pieces, .msg_iovlen = sending->n_pieces};
        sending->result = sendmsg(sending->fd, &message, flags);
    }
    if (sending->result < 0)
        sending->result = -errno;
}

/* After a send of len bytes. 1: it took them all, 0: it takes no more, or a negative errno. */
static int sent(struct conn *conn, ssize_t result, size_t len)
{
    conn->net->writes++;
    if (result == -EAGAIN || result == -EINTR)
        return 0;
    if (result < 0)
        return (int)result;
    conn_take(conn, (size_t)result);
    return (size_t)result == len;
}

/* Writes until all is written (1), or the kernel takes no more (0), or a negative errno. */
static int write_now(struct conn *conn, int fd)
{
    int rc = 1;

    while (rc == 1) {
        struct iovec pieces[FLUSH_PIECES];
        size_t len;
        struct sending sending = {.fd = fd, .pieces = pieces, .n_pieces = conn_front(conn, pieces, &len)};
        if (sending.n_pieces == 0)
            return 1;
        send_alone(&sending);
        rc = sent(conn, sending.result, len);
    }
    return rc;
}

static void on_written(uv_write_t *req, int status)
{
    struct conn *conn = container_of((uv_tcp_t *)req->handle, struct conn, tcp);

    free(req);
    if (conn->state == CONN_CLOSED)
        return; /* the queue goes in the close callback, which follows */
    if (status < 0) {
        conn_fail(conn, status);
        return;
    }
    queue_take(&conn->queue, &conn->net->segments, conn->in_flight);
    conn->in_flight = 0;
    conn->tls_sending = false;
    conn_mark(conn);
}

/* Leaves the queue's front to libuv, which goes on when the kernel has room. */
static int write_later(struct conn *conn)
{
    uv_buf_t pieces[FLUSH_PIECES];
    size_t len;

    int rc = conn_poll(conn);
    if (rc)
        return rc;
    if (conn->tls)
        return conn_tls_write_later(conn, on_written);
    unsigned n = queue_front(&conn->queue, pieces, FLUSH_PIECES, IN_FLIGHT_MAX, &len);
    uv_write_t *req = malloc(sizeof *req);

    if (!req)
        return -ENOMEM;
    rc = uv_write(req, (uv_stream_t *)&conn->tcp, pieces, n, on_written);
    conn->net->writes++;
    if (rc)
        free(req);
    else
        conn->in_flight = len;
    return rc;
}

/* What the flush has left, or not. */
static void after_flush(struct conn *conn)
{
    if (conn->queue.len == 0 && !conn->tls_sending && conn_tls_waiting(conn) == 0) {
        conn->overflowed = false;
        if (conn->waiting) {
            conn->waiting = false;
            conn->drain_due = true;
            loop_soon(conn->net->loop, &conn->upcalls);
        }
        if (conn->state != CONN_FLUSHING)
            return;
        if (conn->tls && tls_shutdown(conn->tls))
            conn_mark(conn);
        else
            conn_flushed(conn);
        return;
    }
    conn->waiting = true;
    if (!conn->overflowed && conn_pending(conn) > conn->limit) {
        conn->overflowed = true;
        conn->overflow_due = true;
        loop_soon(conn->net->loop, &conn->upcalls);
    }
}

/* Its turn to write is over: rc is 1 (or nothing was tried), 0 when the kernel takes no more, or a
 * negative errno. */
static void settle(struct conn *conn, int rc)
{
    if (rc >= 0) {
        int sealed = conn_group_seal(conn);
        if (sealed)
            rc = sealed;
    }
    if (rc == 0)
        rc = write_later(conn);
    if (rc < 0)
        conn_fail(conn, rc);
    else
        after_flush(conn);
}

/* Takes it off the list of what is to be flushed. Its descriptor if it may write now, or -1. */
static int flush_begin(struct conn *conn)
{
    list_remove(&conn->dirty);
    if (conn->state >= CONN_LINGERING || conn->error)
        return -1;
    if (!conn->held && conn->in_flight == 0 && !conn->tls_sending)
        return conn->fd;
    settle(conn, 1);
    return -1;
}

void conn_flush(struct conn *conn)
{
    int fd = flush_begin(conn);
    if (fd >= 0)
        settle(conn, conn->tls ? conn_tls_write(conn, fd) : write_now(conn, fd));
}

/* ---- the batch ---- */

/* The first sends of several connections, which leave together. Nobody writes between the
 * first batch_flush and batch_leave, so what the pieces point at stays where it is. */
struct batch {
    struct uring *uring;
    unsigned n, n_pieces;
    struct sending sends[URING_SENDS];
    struct conn *conns[URING_SENDS];
    size_t lens[URING_SENDS];
    struct iovec pieces[BATCH_PIECES];
};

void batch_open(struct net *net)
{
    int error = 0;
    struct uring *uring = uring_open(&error);

    if (uring) {
        net->batch = xcalloc(sizeof *net->batch);
        net->batch->uring = uring;
    } else {
        log_event(LOG_DEBUG, "no io_uring: each socket is sent to by itself",
                  log_str("error", uv_strerror(error)));
    }
}

void batch_close(struct net *net)
{
    if (!net->batch)
        return;
    CHECK(net->batch->n == 0);
    uring_close(net->batch->uring);
    free(net->batch);
    net->batch = NULL;
}

void batch_leave(struct net *net)
{
    struct batch *batch = net->batch;
    bool works = true;

    if (!batch || batch->n == 0)
        return;
    if (batch->n >= net->batch_min) {
        works = uring_send(batch->uring, batch->sends, batch->n);
        net->batches++;
    }
    for (unsigned i = 0; i < batch->n; i++) {
        struct conn *conn = batch->conns[i];
        struct sending *sending = &batch->sends[i];
        if (sending->result == SENDING_DUE)
            send_alone(sending);
        int rc = sent(conn, sending->result, batch->lens[i]);
        settle(conn, rc == 1 ? write_now(conn, sending->fd) : rc);
    }
    batch->n = batch->n_pieces = 0;
    if (!works) {
        log_line(LOG_WARN, "io_uring has failed: each socket is sent to by itself from here on", NULL, 0);
        batch_close(net);
    }
}

static void batch_add(struct conn *conn, int fd)
{
    struct batch *batch = conn->net->batch;
    struct sending *sending = &batch->sends[batch->n];

    *sending = (struct sending){.fd = fd, .pieces = batch->pieces + batch->n_pieces, .result = SENDING_DUE};
    sending->n_pieces = conn_front(conn, sending->pieces, &batch->lens[batch->n]);
    if (sending->n_pieces == 0) {
        settle(conn, 1);
        return;
    }
    batch->conns[batch->n++] = conn;
    batch->n_pieces += sending->n_pieces;
    if (batch->n == URING_SENDS || batch->n_pieces > BATCH_PIECES - FLUSH_PIECES)
        batch_leave(conn->net);
}

void batch_flush(struct conn *conn)
{
    if (!conn->net->batch || conn->tls) {
        conn_flush(conn);
        return;
    }
    int fd = flush_begin(conn);
    if (fd >= 0)
        batch_add(conn, fd);
}
