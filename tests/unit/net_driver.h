/* For the tests of net: a loop with a listener, the server's ends of its connections, which
 * note what they are told, and clients' sockets that never block. All on one thread: WAIT
 * turns the loop until something is true. */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "net/conn_group.h"
#include "net/listener.h"
#include "net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_SECONDS 60

/* Turns the loop until the condition holds. */
#define WAIT(world, condition)                                                                               \
    do {                                                                                                     \
        uint64_t until_ = clock_monotonic_ns() + TEST_SECONDS * 1000000000ull;                               \
        while (!(condition)) {                                                                               \
            assert_true(clock_monotonic_ns() < until_);                                                      \
            loop_step(&(world)->loop);                                                                       \
        }                                                                                                    \
    } while (0)

/* Runs the array of tests twice: each connection written to by itself, and all by io_uring where the
 * kernel allows it. */
static bool world_uses_uring;
#define RUN_BOTH_WAYS(tests) run_both_ways(tests, sizeof(tests) / sizeof *(tests))
static inline int run_both_ways(const struct CMUnitTest *tests, size_t n)
{
    world_uses_uring = false;
    int failed = _cmocka_run_group_tests("one by one", tests, n, NULL, NULL);
    world_uses_uring = true;
    return failed + _cmocka_run_group_tests("by io_uring", tests, n, NULL, NULL);
}

struct side;

struct world {
    struct loop loop;
    struct counters counters;
    struct net net;
    struct listener *listener;
    int port;
    int sndbuf; /* bytes of the kernel's buffer of the next connection; 0: as it is */
    struct side *newest;
    unsigned n_sides; /* that are not closed */
    unsigned n_full;
};

/* The server's end of a connection. It stays, for the test to look at, until side_free. */
struct side {
    struct conn *conn; /* NULL once it is closed */
    struct world *world;
    bool full;
    struct buf got; /* what was used of the input */
    /* NULL: uses everything */
    size_t (*on_read)(struct side *side, uint8_t *data, size_t len);
    void (*on_event)(struct side *side, char event); /* 'e'nd, e'r'ror, 'o'verflow, 'd'rain, 'c'lose */
    unsigned reads, ends, errors, overflows, drains, closes;
    int error;
    bool in_upcall;
    void *user;
};

static inline void side_enter(struct side *side)
{
    assert_false(side->in_upcall); /* upcalls never nest */
    assert_int_equal(side->closes, 0);
    side->in_upcall = true;
}

static inline void side_leave(struct side *side, char event)
{
    if (side->on_event)
        side->on_event(side, event);
    side->in_upcall = false;
}

static inline size_t side_on_read(struct conn *conn, uint8_t *data, size_t len)
{
    struct side *side = conn->user;
    size_t used = len;

    assert_int_equal(conn->state, CONN_OPEN);
    assert_true(len > 0);
    side_enter(side);
    side->reads++;
    if (side->on_read)
        used = side->on_read(side, data, len);
    if (used > 0)
        assert_int_equal(buf_append(&side->got, data, used), 0);
    side->in_upcall = false;
    return used;
}

#define SIDE_UPCALL(name, counter, letter)                                                                   \
    static inline void side_##name(struct conn *conn)                                                        \
    {                                                                                                        \
        struct side *side = conn->user;                                                                      \
        assert_int_equal(conn->state, CONN_OPEN);                                                            \
        side_enter(side);                                                                                    \
        side->counter++;                                                                                     \
        side_leave(side, letter);                                                                            \
    }
SIDE_UPCALL(on_end, ends, 'e')
SIDE_UPCALL(on_overflow, overflows, 'o')
SIDE_UPCALL(on_drain, drains, 'd')

static inline void side_on_error(struct conn *conn, int error)
{
    struct side *side = conn->user;
    assert_int_equal(conn->state, CONN_OPEN);
    assert_true(error < 0);
    side_enter(side);
    side->errors++;
    side->error = error;
    side_leave(side, 'r');
}

static inline void side_on_close(struct conn *conn)
{
    struct side *side = conn->user;
    assert_int_equal(conn->state, CONN_CLOSED);
    side_enter(side);
    side->closes++;
    side->world->n_sides--;
    side_leave(side, 'c');
    side->conn = NULL;
}

static const struct conn_ops side_ops = {
    .on_read = side_on_read,
    .on_end = side_on_end,
    .on_error = side_on_error,
    .on_overflow = side_on_overflow,
    .on_drain = side_on_drain,
    .on_close = side_on_close,
};

static inline void world_on_accept(void *user, struct conn *conn, bool full)
{
    struct world *world = user;
    struct side *side = xcalloc(sizeof *side);

    side->conn = conn;
    side->world = world;
    side->full = full;
    world->newest = side;
    world->n_sides++;
    world->n_full += full;
    conn_set_owner(conn, &side_ops, side);
    if (world->sndbuf)
        assert_int_equal(setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &world->sndbuf, sizeof world->sndbuf),
                         0);
}

static inline void world_open(struct world *world, size_t queue_limit, uint64_t linger_ms, uint64_t max)
{
    static const struct listener_ops ops = {.on_accept = world_on_accept};
    int error = 0;

    *world = (struct world){0};
    assert_int_equal(loop_init(&world->loop), 0);
    net_init(&world->net, &world->loop, &world->counters, queue_limit, linger_ms);
    if (world_uses_uring)
        net_use_uring(&world->net);
    world->net.batch_min = 1;
    world->listener =
        listener_open(&world->net, "127.0.0.1", 0, -1, LISTENER_ALONE, max, &ops, world, &error);
    assert_non_null(world->listener);
    world->port = listener_port(world->listener);
    assert_in_range(world->port, 1, 65535);
}

/* Everything must be gone by itself; loop_fini aborts if a handle is not. */
static inline void world_close(struct world *world)
{
    listener_close(world->listener);
    WAIT(world, world->net.n_conns == 0);
    assert_int_equal(world->n_sides, 0);
    net_fini(&world->net);
    loop_fini(&world->loop);
}

/* ---- clients ---- */

static inline int client_open(const struct world *world, int rcvbuf)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)world->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (rcvbuf)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* The client goes with an RST. */
static inline void client_reset(int fd)
{
    struct linger at_once = {1, 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
}

/* A client and the server's end of it. With small set, the kernel's buffers on the way from
 * the server are as small as can be. */
static inline struct side *dial(struct world *world, int *fd, bool small)
{
    world->newest = NULL;
    world->sndbuf = small ? 4096 : 0;
    *fd = client_open(world, small ? 4096 : 0);
    WAIT(world, world->newest);
    return world->newest;
}

static inline void side_free(struct side *side)
{
    assert_int_equal(side->closes, 1);
    buf_fini(&side->got);
    free(side);
}

/* The client goes, and the server's end with it. */
static inline void hang_up(struct side *side, int fd)
{
    if (fd >= 0)
        close(fd);
    if (side->conn)
        conn_reset(side->conn);
    WAIT(side->world, side->closes == 1);
    side_free(side);
}

/* Reads at most max bytes of what is there. 1: more may come, 0: FIN, or a negative errno. */
static inline int client_read(int fd, struct buf *into, size_t max)
{
    while (max > 0) {
        size_t size = max < 65536 ? max : 65536;
        assert_int_equal(buf_reserve(into, size), 0);
        ssize_t n = recv(fd, into->data + into->len, size, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 1 : -errno;
        if (n == 0)
            return 0;
        into->len += (size_t)n;
        max -= (size_t)n;
    }
    return 1;
}

/* Sends all, turning the loop while the kernel takes no more. */
static inline void client_send(struct world *world, int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            loop_step(&world->loop);
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
}

/* Turns the loop until the client has read len bytes in all. */
static inline void client_expect(struct world *world, int fd, struct buf *into, size_t len)
{
    WAIT(world, (assert_int_equal(client_read(fd, into, len - into->len), 1), into->len >= len));
}

static inline void assert_bytes(const struct buf *buf, const char *text)
{
    assert_int_equal(buf->len, strlen(text));
    assert_memory_equal(buf->data, text, buf->len);
}
