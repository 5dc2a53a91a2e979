/*
 * loop - one epoll set: hands what is readable and writable to the files that know what it means.
 */
#include "load.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define READ_SIZE (256 * 1024)
#define MAX_CONNECTING 256 /* handshakes under way at the same time */
#define MAX_EVENTS 1024

static void on_writable(struct conn *c)
{
    if (c->state == CONNECTING) {
        int err = 0;
        socklen_t len = sizeof err;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
        if (err) {
            conn_fail(c);
            return;
        }
        conn_watch(c, false);
        if (opt.mode == HTTP || opt.mode == ROOMS)
            on_open(c);
        else
            send_upgrade(c);
        return;
    }
    conn_flush(c);
}

static void on_readable(struct conn *c)
{
    static uint8_t buf[READ_SIZE];
    ssize_t n;
    do {
        n = recv(c->fd, buf, sizeof buf, 0);
        if (n < 0) {
            if (errno != EAGAIN)
                conn_fail(c);
            return;
        }
        if (n == 0) {
            on_closed_by_server(c);
            return;
        }
        uint64_t now = now_ns();
        if (c->state == UPGRADING)
            upgrade_input(c, buf, (size_t)n, now);
        else if (opt.mode == HTTP || opt.mode == ROOMS)
            http_input(c, buf, (size_t)n, now);
        else
            ws_input(c, buf, (size_t)n, now);
    } while (n == sizeof buf && (c->state == OPEN || c->state == CLOSING));
}

void run_until(uint64_t end, bool (*done)(void))
{
    static struct epoll_event ev[MAX_EVENTS];
    static unsigned next_connect;
    for (;;) {
        uint64_t now = now_ns(), wake;
        if (now >= end || (done && done()))
            return;
        while (next_connect < n_conns && n_connecting < MAX_CONNECTING)
            conn_open(&conns[next_connect++]);
        wake = on_time(now, end);
        uint64_t wait = wake > now ? wake - now : 0;
        if (wait > NS / 10)
            wait = NS / 10;
        struct timespec t = {0, opt.spin ? 0 : (long)wait};
        int n = epoll_pwait2(conn_epoll(), ev, MAX_EVENTS, &t, NULL);
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (c->state != CLOSED && ev[i].events & EPOLLOUT)
                on_writable(c);
            if (c->state != CLOSED && ev[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
                on_readable(c);
        }
    }
}
