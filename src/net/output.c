/* The writing half of a connection: conn_write and its kin fill the queue, conn_flush empties
 * it as far as the kernel takes it. Makes no upcalls: what its owner has to know is told
 * later in the turn. */
#include "base/check.h"
#include "net/private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Pieces of one system call. */
#define FLUSH_PIECES 64u

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
    size_t in_flight_left = conn->in_flight ? uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp) : 0;
    return conn->queue.len - conn->in_flight + in_flight_left + conn_group_pending(conn);
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
static void take(struct conn *conn, size_t len)
{
    size_t own = len < conn->queue.len ? len : conn->queue.len;
    queue_take(&conn->queue, &conn->net->segments, own);
    conn->group_from += len - own;
}

/* Bytes that the kernel took, or a negative errno. libuv has nothing of this connection in its queue, so
 * this does not overtake it; its own uv_try_write costs a twentieth of a broadcast more. */
static ssize_t send_pieces(const struct conn *conn, const uv_buf_t *pieces, unsigned n)
{
    ssize_t sent;
    uv_os_fd_t fd;

    int rc = uv_fileno((const uv_handle_t *)&conn->tcp, &fd);
    if (rc)
        return rc;
    if (n == 1) {
        sent = send(fd, pieces[0].base, pieces[0].len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else { /* uv_buf_t is made to be a struct iovec on Unix */
        struct msghdr message = {.msg_iov = (struct iovec *)(void *)pieces, .msg_iovlen = n};
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return sent < 0 ? -errno : sent;
}

/* Writes until all is written (1), or the kernel takes no more (0), or a negative errno. */
static int write_now(struct conn *conn)
{
    for (;;) {
        uv_buf_t pieces[FLUSH_PIECES];
        size_t len, from_log = conn_group_pending(conn);
        unsigned n = queue_front(&conn->queue, pieces, FLUSH_PIECES, SIZE_MAX, &len);

        if (from_log > 0 && n < FLUSH_PIECES) { /* then that is all of the queue */
            pieces[n].base = (char *)conn->group->log->data + conn->group_from;
            pieces[n++].len = from_log;
            len += from_log;
        }
        if (n == 0)
            return 1;
        ssize_t sent = send_pieces(conn, pieces, n);
        conn->net->writes++;
        if (sent == -EAGAIN || sent == -EINTR)
            return 0;
        if (sent < 0)
            return (int)sent;
        take(conn, (size_t)sent);
        if ((size_t)sent < len)
            return 0;
    }
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
    conn_mark(conn);
}

/* Leaves the queue's front to libuv, which goes on when the kernel has room. */
static int write_later(struct conn *conn)
{
    uv_buf_t pieces[FLUSH_PIECES];
    size_t len;
    unsigned n = queue_front(&conn->queue, pieces, FLUSH_PIECES, IN_FLIGHT_MAX, &len);
    uv_write_t *req = malloc(sizeof *req);

    if (!req)
        return -ENOMEM;
    int rc = uv_write(req, (uv_stream_t *)&conn->tcp, pieces, n, on_written);
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
    if (conn->queue.len == 0) {
        conn->overflowed = false;
        if (conn->waiting) {
            conn->waiting = false;
            conn->drain_due = true;
            loop_soon(conn->net->loop, &conn->upcalls);
        }
        if (conn->state == CONN_FLUSHING)
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

void conn_flush(struct conn *conn)
{
    list_remove(&conn->dirty);
    if (conn->state >= CONN_LINGERING || conn->error)
        return;
    bool free_to_write = !conn->held && conn->in_flight == 0;
    int rc = free_to_write ? write_now(conn) : 1;
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
