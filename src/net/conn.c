/* A connection's life and its reading half (output.c has the writing one). Upcalls are made
 * from libuv's callbacks, from timers, and for all that came up elsewhere from a struct soon,
 * so that none is ever made from within another. */
#include "base/buf.h"
#include "base/check.h"
#include "net/private.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void upcalls(struct soon *soon);

/* ---- life ---- */

struct conn *conn_new(struct net *net, int fd)
{
    struct conn *conn = xcalloc(sizeof *conn);

    CHECK(uv_tcp_init(&net->loop->uv, &conn->tcp) == 0);
    conn->fd = fd;
    conn->net = net;
    conn->limit = net->queue_limit;
    conn->upcalls.fn = upcalls;
    net->n_conns++;
    net->total->n_conns++;
    loop_hold(net->loop); /* libuv counts only what it reads or writes */
    return conn;
}

static void left_free(struct buf *left)
{
    buf_fini(left);
    free(left);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = container_of((uv_tcp_t *)handle, struct conn, tcp);
    struct net *net = conn->net;

    net->n_conns--;
    if (conn->refused)
        net->total->n_refused--;
    if (!conn->exported)
        net->total->n_conns--;
    if (conn->ops)
        conn->ops->on_close(conn);
    queue_clear(&conn->queue, &net->segments);
    left_free(conn->left);
    tls_free(conn->tls);
    free(conn);
    loop_release(net->loop);
}

static void enter(struct conn *conn, enum conn_state state)
{
    CHECK(state > conn->state);
    conn->state = (uint8_t)state;
}

/* The descriptor goes; the memory follows later in the turn. */
static void close_socket(struct conn *conn, bool reset)
{
    static const struct linger at_once = {.l_onoff = 1};

    if (!conn->polled && conn->fd >= 0) {
        if (reset)
            (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(conn->fd);
    }
    /* It fails when the peer has reset it before: there is nobody to tell, then. */
    if (!conn->polled || !reset || uv_tcp_close_reset(&conn->tcp, on_closed) != 0)
        uv_close((uv_handle_t *)&conn->tcp, on_closed);
    conn->fd = -1;
}

static void end(struct conn *conn, bool reset)
{
    enter(conn, CONN_CLOSED);
    if (conn->tls && !tls_ready(conn->tls))
        conn->net->counters->tls_failed++;
    timer_stop(&conn->timer);
    loop_soon_cancel(&conn->upcalls);
    conn_group_leave(conn);
    list_remove(&conn->dirty);
    close_socket(conn, reset);
}

void conn_reset(struct conn *conn)
{
    if (conn->state != CONN_CLOSED)
        end(conn, true);
}

void conn_drop(struct conn *conn)
{
    if (conn->state != CONN_CLOSED)
        end(conn, false);
}

int conn_let_go(struct conn *conn, int *fd)
{
    /* libuv can't give up a socket that it has: closing the first descriptor ends nothing while there is a second. */
    *fd = conn->polled ? fcntl(conn->fd, F_DUPFD_CLOEXEC, 0) : conn->fd;
    if (*fd < 0)
        return -errno;
    if (!conn->polled)
        conn->fd = -1;
    conn->exported = true;
    conn->ops = NULL;
    end(conn, false);
    return 0;
}

int conn_poll(struct conn *conn)
{
    int rc = conn->polled ? 0 : uv_tcp_open(&conn->tcp, conn->fd);

    conn->polled = conn->polled || rc == 0;
    return rc;
}

void conn_fail(struct conn *conn, int error)
{
    if (conn->error || conn->state == CONN_CLOSED)
        return;
    conn->error = error;
    loop_soon(conn->net->loop, &conn->upcalls);
}

/* ---- closing in order ---- */

size_t conn_unsent(const struct conn *conn)
{
    int in_kernel = 0;
    ioctl(conn->fd, SIOCOUTQ, &in_kernel);
    return conn_pending(conn) + (size_t)in_kernel;
}

static void start_linger(struct conn *conn);

static void on_linger(struct timer *timer)
{
    struct conn *conn = container_of(timer, struct conn, timer);

    /* A slow peer may take as long as it needs, but one that takes nothing may not. Were the socket closed while the
     * kernel still sends, what the peer says would be answered by an RST, which costs it the rest (RFC 9112 §9.6). */
    size_t now = conn_unsent(conn);
    bool lingering = conn->state == CONN_LINGERING;
    if (now >= conn->unsent || (lingering && now == 0)) {
        end(conn, !lingering);
        return;
    }
    conn->unsent = now;
    start_linger(conn);
}

static void start_linger(struct conn *conn)
{
    conn->timer.fn = on_linger;
    timer_start(conn->net->loop, &conn->timer, conn->net->linger_ms);
}

static void read_on(struct conn *conn);

void conn_close(struct conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    if (conn->tls && !tls_ready(conn->tls) && !conn->refused) { /* it has asked for nothing yet */
        end(conn, false);
        return;
    }
    conn_group_leave(conn); /* what the group has sent to it so far it still gets */
    enter(conn, CONN_FLUSHING);
    conn->unsent = SIZE_MAX; /* looked at for the first time when the time is over; most have ended by then */
    start_linger(conn);
    conn_mark(conn);
    /* Reads on to discard: were there unread bytes when it is closed, the kernel would send RST,
     * and the peer could lose what was sent before. */
    conn->paused = false;
    read_on(conn);
}

void conn_finish(struct conn *conn)
{
    conn->finished = !conn->tls;
    conn_close(conn);
}

/* Bytes that may be on their way to a peer that has said its last: a Close frame. */
#define LAST_BYTES 256u

void conn_flushed(struct conn *conn)
{
    enter(conn, CONN_LINGERING);
    /* uv_shutdown would do the same, later: nothing is left in libuv's queue. */
    if (conn->ended || (conn->finished && conn_unsent(conn) <= LAST_BYTES) ||
        shutdown(conn->fd, SHUT_WR) != 0)
        end(conn, false);
    else
        start_linger(conn);
}

/* ---- reading ---- */

void conn_read_little(struct conn *conn, bool little)
{
    conn->little = little;
}

static size_t read_size(const struct conn *conn)
{
    return conn->little ? CONN_READ_LITTLE : LOOP_READ_BUFFER;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *conn = container_of((uv_tcp_t *)handle, struct conn, tcp);

    (void)suggested;
    buf->base = conn->net->loop->read_buffer;
    buf->len = read_size(conn);
}

/* Gives bytes to the reader, again as long as it makes headway: it may have handed the
 * connection to another one. Returns how many were used. */
static size_t hand_up(struct conn *conn, uint8_t *data, size_t len)
{
    size_t used = 0, n = 1;

    while (used < len && n > 0 && conn->state == CONN_OPEN && !conn->paused) {
        n = conn->ops->on_read(conn, data + used, len - used);
        CHECK(n <= len - used);
        used += n;
    }
    return used;
}

/* Keeps the rest of the bytes that were handed up for the next time. own is the buffer in
 * which they lie, NULL if that is the loop's; it becomes conn->left or is freed. */
static void keep(struct conn *conn, struct buf *own, const uint8_t *rest, size_t len)
{
    struct buf *left = NULL;

    if (len == 0 || conn->state != CONN_OPEN) {
        left_free(own);
    } else if (own && len > own->cap / 2) {
        buf_consume(own, own->len - len);
        conn->left = own;
    } else { /* in memory of the right size, since it may have to stay for long */
        left = calloc(1, sizeof *left);
        int rc = left ? buf_append(left, rest, len) : -ENOMEM;
        left_free(own);
        conn->left = left;
        if (rc)
            conn_fail(conn, rc);
    }
}

/* Hands up what was left before. */
static void hand_up_left(struct conn *conn)
{
    struct buf *own = conn->left;

    conn->left = NULL;
    size_t used = hand_up(conn, own->data, own->len);
    keep(conn, own, own->data + used, own->len - used);
}

void conn_bytes(struct conn *conn, uint8_t *data, size_t len)
{
    if (!conn->left) {
        size_t used = hand_up(conn, data, len);
        keep(conn, NULL, data + used, len - used);
        return;
    }
    int rc = buf_append(conn->left, data, len);
    if (rc)
        conn_fail(conn, rc);
    else
        hand_up_left(conn);
}

static void read_off(struct conn *conn)
{
    if (conn->reading)
        uv_read_stop((uv_stream_t *)&conn->tcp);
    conn->reading = false;
}

static void read_soon(struct conn *conn)
{
    conn->read_due = true;
    loop_soon(conn->net->loop, &conn->upcalls);
}

void conn_peer_ended(struct conn *conn)
{
    read_off(conn);
    if (conn->ended)
        return;
    conn->ended = true;
    if (conn->state == CONN_OPEN)
        conn->ops->on_end(conn);
    else if (conn->state == CONN_LINGERING)
        end(conn, false);
}

static void on_received(struct conn *conn, uint8_t *data, size_t len)
{
    if (conn->tls)
        conn_tls_received(conn, data, len);
    else if (conn->state == CONN_OPEN)
        conn_bytes(conn, data, len);
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *conn = container_of((uv_tcp_t *)stream, struct conn, tcp);

    /* When writing has failed and the owner does not know it yet, what the peer had sent before
     * still counts. */
    if (n > 0) {
        on_received(conn, (uint8_t *)buf->base, (size_t)n);
        if ((size_t)n == buf->len && conn->reading && conn->state == CONN_OPEN) {
            read_off(conn); /* more is there: next turn, after the others and what was written */
            read_soon(conn);
        }
    } else if (n == UV_EOF) {
        conn_peer_ended(conn);
    } else if (n < 0) {
        read_off(conn);
        conn_fail(conn, (int)n);
    }
}

static void read_on(struct conn *conn)
{
    if (conn->reading || conn->paused || conn->ended || conn->error || conn->state == CONN_CLOSED)
        return;
    int rc = conn_poll(conn);
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_input);
    if (rc)
        conn_fail(conn, rc);
    else
        conn->reading = true;
}

void conn_read_now(struct conn *conn)
{
    uint8_t *buffer = (uint8_t *)conn->net->loop->read_buffer;

    if (conn->state != CONN_OPEN || conn->paused)
        return;
    ssize_t n = recv(conn->fd, buffer, read_size(conn), MSG_DONTWAIT);
    if (n > 0)
        on_received(conn, buffer, (size_t)n);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        conn_fail(conn, -errno);
    /* an end is found again when reading goes on */
}

void conn_start(struct conn *conn)
{
    CHECK(conn->ops || conn->state == CONN_CLOSED);
    read_on(conn);
}

void conn_pause(struct conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->paused = true;
    read_off(conn);
}

void conn_resume(struct conn *conn)
{
    if (conn->state != CONN_OPEN || !conn->paused)
        return;
    conn->paused = false;
    read_soon(conn);
}

/* ---- upcalls ---- */

static bool take_flag(bool *flag)
{
    bool was = *flag;
    *flag = false;
    return was;
}

/* What came up since the connection was last in libuv's hands. Each upcall may close it, or
 * hand it to another owner. */
static void upcalls(struct soon *soon)
{
    struct conn *conn = container_of(soon, struct conn, upcalls);

    if (conn->error) {
        read_off(conn);
        if (conn->state == CONN_OPEN)
            conn->ops->on_error(conn, conn->error);
        conn_reset(conn);
        return;
    }
    if (take_flag(&conn->overflow_due) && conn->state == CONN_OPEN) {
        if (conn->ops->on_overflow) {
            conn->ops->on_overflow(conn);
        } else {
            conn->net->counters->sockets_slow++;
            conn_reset(conn);
        }
    }
    if (take_flag(&conn->drain_due) && conn->state == CONN_OPEN && conn->ops->on_drain)
        conn->ops->on_drain(conn);
    if (take_flag(&conn->read_due) && conn->state == CONN_OPEN && !conn->paused) {
        if (conn->left)
            hand_up_left(conn);
        if (conn->tls && tls_pending(conn->tls))
            conn_tls_pump(conn);
        read_on(conn);
    }
}

static void on_owners_timer(struct timer *timer)
{
    struct conn *conn = container_of(timer, struct conn, timer);
    if (conn->state == CONN_OPEN)
        conn->on_timer(conn);
}

void conn_set_timer(struct conn *conn, void (*on_timer)(struct conn *), uint64_t ms)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->on_timer = on_timer;
    conn->timer.fn = on_owners_timer;
    if (ms == 0)
        timer_stop(&conn->timer);
    else
        timer_start(conn->net->loop, &conn->timer, ms);
}

void conn_watch(struct conn *conn, unsigned seconds)
{
    int on = 1, probes = 3, idle = seconds > 0 ? (int)seconds : 1, between = idle > 3 ? idle / 3 : 1;
    int fd = conn->fd;

    /* These fail on sockets that are dead already, whose end is on its way. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static bool is_in_state(const struct conn *conn, int state)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;

    return getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == state;
}

bool conn_dead(const struct conn *conn)
{
    return is_in_state(conn, TCP_CLOSE);
}

bool conn_half_closed(const struct conn *conn)
{
    return conn->ended || is_in_state(conn, TCP_CLOSE_WAIT);
}

void conn_set_owner(struct conn *conn, const struct conn_ops *ops, void *user)
{
    conn->ops = ops;
    conn->user = user;
    conn->little = false;
    if ((conn->left || (conn->tls && tls_pending(conn->tls))) && conn->state == CONN_OPEN)
        read_soon(conn);
}

/* ---- the peer ---- */

void conn_remote_address(const struct conn *conn, char out[ADDRESS_TEXT_MAX])
{
    struct sockaddr_storage asked = {0};
    socklen_t len = sizeof asked;
    const struct sockaddr_storage *peer = &asked;

    out[0] = '\0';
    if (conn->net->accepted == conn)
        peer = &conn->net->accepted_from;
    else if (getpeername(conn->fd, (struct sockaddr *)&asked, &len) != 0)
        return;
    if (peer->ss_family == AF_INET) {
        uv_ip4_name((const struct sockaddr_in *)(const void *)peer, out, ADDRESS_TEXT_MAX);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)peer;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            uv_inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, ADDRESS_TEXT_MAX);
        else
            uv_ip6_name(v6, out, ADDRESS_TEXT_MAX);
    }
}
