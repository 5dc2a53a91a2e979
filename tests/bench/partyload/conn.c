/*
 * conn - sockets: opening, closing and output. What the socket does not take at once waits, and goes
 * out by conn_flush when epoll says that the socket is writable again.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define BIG_FRAME (32 * 1024) /* above this, frames are sent with writev */

struct conn *conns;
unsigned n_conns, n_open, n_connecting;

static int epfd = -1;
static struct sockaddr_in server;

bool conn_init(const char *host, int port)
{
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &server.sin_addr) != 1 || ntohl(server.sin_addr.s_addr) >> 24 != 127)
        return false;
    if ((epfd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        die("epoll_create1");
    return true;
}

int conn_epoll(void)
{
    return epfd;
}

void *grow(void *p, size_t *cap, size_t need)
{
    size_t n = *cap ? *cap : 1024;
    while (n < need)
        n *= 2;
    if (n != *cap && !(p = realloc(p, *cap = n)))
        die("realloc");
    return p;
}

void conn_watch(struct conn *c, bool out)
{
    if (c->want_write == out)
        return;
    c->want_write = out;
    struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
}

void conn_close(struct conn *c)
{
    if (c->state == CLOSED)
        return;
    if (c->state == CONNECTING || c->state == UPGRADING)
        n_connecting--;
    else if (c->state == OPEN)
        n_open--;
    close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
}

void conn_fail(struct conn *c)
{
    st.errors++;
    conn_close(c);
    on_lost(c);
}

void conn_write(struct conn *c, const void *data, size_t n)
{
    const uint8_t *p = data;
    if (c->out_len == c->out_off) {
        ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);
        if (w < 0) {
            if (errno != EAGAIN) {
                conn_fail(c);
                return;
            }
            w = 0;
        }
        if ((size_t)w == n)
            return;
        p += w;
        n -= (size_t)w;
        c->out_off = c->out_len = 0;
    }
    c->out = grow(c->out, &c->out_cap, c->out_len + n);
    memcpy(c->out + c->out_len, p, n);
    c->out_len += n;
    conn_watch(c, true);
}

/* Sends queued big frames straight from the template. */
static void write_big(struct conn *c)
{
    size_t head = frame_header_len + HEAD;
    while (c->queued || c->big_off) {
        if (!c->big_off) {
            memcpy(c->big_head, frame, frame_header_len);
            write_head(c->big_head + frame_header_len, now_ns(), c->id);
            c->queued--;
        }
        struct iovec v[2];
        int k = 0;
        if (c->big_off < head)
            v[k++] = (struct iovec){c->big_head + c->big_off, head - c->big_off};
        size_t rest = c->big_off > head ? c->big_off : head;
        v[k++] = (struct iovec){frame + rest, frame_len - rest};
        ssize_t w = writev(c->fd, v, k);
        if (w < 0) {
            if (errno != EAGAIN) {
                conn_fail(c);
                return;
            }
            break;
        }
        c->big_off += (size_t)w;
        if (c->big_off < frame_len)
            break;
        c->big_off = 0;
    }
    conn_watch(c, c->queued || c->big_off);
}

void send_messages(struct conn *c, unsigned n, uint64_t ts)
{
    static uint8_t batch[64 * 1024];
    if (c->state != OPEN)
        return;
    st.sent += n;
    if (frame_len > BIG_FRAME) {
        c->queued += n;
        write_big(c);
        return;
    }
    if (!ts)
        ts = now_ns();
    c->last_sent = ts;
    while (n && c->state == OPEN) {
        size_t len = 0;
        while (n && len + frame_len <= sizeof batch) {
            memcpy(batch + len, frame, frame_len);
            write_head(batch + len + frame_header_len, ts, c->id);
            len += frame_len;
            n--;
        }
        conn_write(c, batch, len);
    }
}

void conn_flush(struct conn *c)
{
    if (c->out_off < c->out_len) {
        ssize_t w = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);
        if (w > 0) {
            c->out_off += (size_t)w;
        } else if (errno != EAGAIN) {
            conn_fail(c);
            return;
        }
        if (c->out_off < c->out_len)
            return;
        c->out_off = c->out_len = 0;
    }
    if (c->queued || c->big_off)
        write_big(c);
    else
        conn_watch(c, false);
}

void conn_open(struct conn *c)
{
    static unsigned turn;
    int one = 1;

    c->out_off = c->out_len = c->in_len = 0;
    c->hdr_len = 0;
    c->in_payload = c->bad = false;
    c->msg_len = c->cap_len = c->queued = c->credit = 0;
    c->big_off = c->body_left = 0;
    c->ring_head = c->ring_len = 0;
    c->started = now_ns();

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket (raise ulimit -n?)");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt.sources > 1) { /* more source addresses: more port numbers */
        struct sockaddr_in from = {.sin_family = AF_INET};
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + turn++ % (unsigned)opt.sources);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from))
            die("bind");
    }
    c->state = CONNECTING;
    n_connecting++;
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS)
        die("connect");
    c->want_write = true;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &e))
        die("epoll_ctl");
}
