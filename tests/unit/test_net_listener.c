/* Listening: addresses, inherited descriptors, errors, and the limit of connections. */
#include "net_driver.h"

#include <sys/resource.h>

static struct world world;

static int fresh(void **state)
{
    (void)state;
    world_open(&world, 1 << 20, 100, 3);
    return 0;
}

static int done(void **state)
{
    (void)state;
    world_close(&world);
    return 0;
}

static const struct listener_ops ops = {.on_accept = world_on_accept};

static struct listener *open_at(const char *host, int port, int fd, int *error)
{
    *error = 1;
    return listener_open(&world.net, host, port, fd, LISTENER_ALONE, 3, &ops, &world, error);
}

/* ---- where ---- */

static struct listener *share(int port, enum listener_share how, int *error)
{
    *error = 1;
    return listener_open(&world.net, "127.0.0.1", port, -1, how, 3, &ops, &world, error);
}

static void several_may_share_a_port(void **state)
{
    int error;
    (void)state;
    struct listener *first = share(0, LISTENER_FIRST, &error);
    assert_non_null(first);
    struct listener *second = share(listener_port(first), LISTENER_FURTHER, &error);
    assert_non_null(second);
    assert_int_equal(listener_port(second), listener_port(first));
    listener_close(first);
    listener_close(second);
}

static void but_not_with_another_program(void **state)
{
    int error;
    (void)state;
    struct listener *first = share(0, LISTENER_FIRST, &error);
    assert_non_null(first);
    assert_null(share(listener_port(first), LISTENER_FIRST, &error)); /* the same program, started again */
    assert_int_equal(error, -EADDRINUSE);
    assert_null(share(listener_port(first), LISTENER_ALONE, &error));
    assert_int_equal(error, -EADDRINUSE);
    assert_null(share(world.port, LISTENER_FIRST, &error));
    assert_int_equal(error, -EADDRINUSE);
    listener_close(first);
}

static void a_port_in_use_is_an_error(void **state)
{
    int error;
    (void)state;
    assert_null(open_at("127.0.0.1", world.port, -1, &error));
    assert_int_equal(error, -EADDRINUSE);
    listener_close(NULL);
}

static void what_is_no_host_is_an_error(void **state)
{
    int error;
    (void)state;
    assert_null(open_at("no such host", 0, -1, &error));
    assert_true(error < 0);
    assert_null(open_at("", 0, -1, &error));
    assert_true(error < 0);
    assert_null(open_at("203.0.113.1", 0, -1, &error)); /* nobody's (RFC 5737) */
    assert_int_equal(error, -EADDRNOTAVAIL);
}

static void a_name_is_looked_up(void **state)
{
    int error, fd;
    (void)state;
    struct listener *listener = open_at("localhost", 0, -1, &error);
    assert_non_null(listener);
    assert_int_equal(error, 0);
    world.port = listener_port(listener);
    struct side *side = dial(&world, &fd, false);
    hang_up(side, fd);
    listener_close(listener);
}

/* IPv6 where the machine has it; an IPv4 client of an IPv6 socket has an IPv4 address. */
static void ipv6(void **state)
{
    char address[46];
    int error, fd;
    (void)state;
    struct listener *listener = open_at("::", 0, -1, &error);
    if (!listener) {
        assert_int_equal(error, -EAFNOSUPPORT);
        skip();
    }
    world.port = listener_port(listener);
    assert_in_range(world.port, 1, 65535);
    struct side *side = dial(&world, &fd, false);
    conn_remote_address(side->conn, address);
    assert_string_equal(address, "127.0.0.1");
    hang_up(side, fd);

    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                              .sin6_port = htons((uint16_t)world.port)};
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    world.newest = NULL;
    if (connect(fd, (struct sockaddr *)&v6, sizeof v6) == 0) {
        WAIT(&world, world.newest);
        conn_remote_address(world.newest->conn, address);
        assert_string_equal(address, "::1");
        hang_up(world.newest, fd);
    } else {
        close(fd);
    }
    listener_close(listener);
}

static void an_inherited_descriptor(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int error, client, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 10), 0);
    struct listener *listener = open_at("ignored", 0, fd, &error);
    assert_non_null(listener);
    world.port = listener_port(listener);
    struct side *side = dial(&world, &client, false);
    hang_up(side, client);
    listener_close(listener);
    WAIT(&world, fcntl(fd, F_GETFD) < 0); /* it was the listener's */

    /* One that is no socket, and one that is nothing. */
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_null(open_at("ignored", 0, pipes[0], &error));
    assert_int_equal(error, -ENOTSOCK);
    WAIT(&world, fcntl(pipes[0], F_GETFD) < 0);
    close(pipes[1]);
    assert_null(open_at("ignored", 0, 12345, &error));
    assert_int_equal(error, -EBADF);
}

/* ---- accepting ---- */

static void no_delay_is_set(void **state)
{
    int fd, on = 0;
    socklen_t len = sizeof on;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    assert_int_equal(getsockopt(side->conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_int_equal(on, 1);
    assert_int_equal(world.counters.connections_accepted, 1);
    hang_up(side, fd);
}

/* The next one that was accepted, in the turn in which it was. */
static struct side *accepted(void)
{
    WAIT(&world, world.newest);
    return world.newest;
}

static void what_was_sent_before_is_read_at_once(void **state)
{
    (void)state;
    int fd = client_open(&world, 0);

    assert_int_equal(send(fd, "hello", 5, 0), 5);
    struct side *side = accepted();
    assert_int_equal(side->reads, 1);
    assert_bytes(&side->got, "hello");
    assert_int_equal(send(fd, "!", 1, 0), 1);
    WAIT(&world, side->reads == 2);
    assert_bytes(&side->got, "hello!");
    hang_up(side, fd);
}

static void one_that_has_gone_before(void **state)
{
    (void)state;
    int fd = client_open(&world, 0);

    assert_int_equal(send(fd, "bye", 3, 0), 3);
    close(fd);
    struct side *side = accepted();
    assert_bytes(&side->got, "bye");
    WAIT(&world, side->ends == 1);
    hang_up(side, -1);

    world.newest = NULL;
    client_reset(client_open(&world, 0));
    side = accepted();
    WAIT(&world, side->closes == 1);
    assert_int_equal(side->errors, 1);
    assert_int_equal(side->error, -ECONNRESET);
    assert_int_equal(side->ends, 0);
    side_free(side);
}

static void closed_it_accepts_no_more(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)world.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;

    listener_close(world.listener);
    world.listener = NULL;
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

#define CROWD 60

/* Over the limit some are told so, and many are reset; and whoever leaves makes room. */
static void the_limit_of_connections(void **state)
{
    struct side *sides[3], *refused[CROWD];
    int fds[3], crowd[CROWD], told = 0, reset = 0;
    (void)state;

    for (int i = 0; i < 3; i++) {
        sides[i] = dial(&world, &fds[i], false);
        assert_false(sides[i]->full);
    }
    for (int i = 0; i < CROWD; i++) {
        struct buf got = {0};
        int rc;

        world.newest = NULL;
        crowd[i] = client_open(&world, 0);
        WAIT(&world, world.counters.connections_refused == (uint64_t)i + 1);
        if (!world.newest) {
            WAIT(&world, (rc = client_read(crowd[i], &got, 100)) <= 0);
            assert_int_equal(rc, -ECONNRESET);
            reset++;
        } else {
            assert_true(world.newest->full);
            conn_write(world.newest->conn, "503", 3);
            conn_close(world.newest->conn);
            world.net.linger_ms = 1000000; /* they stay */
            refused[told++] = world.newest;
            client_expect(&world, crowd[i], &got, 3);
        }
        buf_fini(&got);
    }
    assert_int_equal(told, 32);
    assert_int_equal(reset, CROWD - 32);
    assert_int_equal(world.net.n_conns, 3 + 32);
    assert_int_equal(world.counters.connections_accepted, 3);

    /* The refused ones do not take the room of the others. */
    hang_up(sides[0], fds[0]);
    sides[0] = dial(&world, &fds[0], false);
    assert_false(sides[0]->full);

    for (int i = 0; i < CROWD; i++)
        close(crowd[i]);
    for (int i = 0; i < told; i++) {
        WAIT(&world, refused[i]->closes == 1);
        side_free(refused[i]);
    }
    assert_int_equal(world.net.total->n_refused, 0);
    for (int i = 0; i < 3; i++)
        hang_up(sides[i], fds[i]);
}

static void stop(struct timer *timer)
{
    loop_stop(timer->loop);
}

/* Without a descriptor to accept with, the loop must neither spin nor go deaf. */
static void no_descriptor_left(void **state)
{
    struct timer timer = {.fn = stop};
    struct buf got = {0};
    struct rlimit old, few;
    int fd, rc;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    int waiting = client_open(&world, 0); /* in the kernel's queue */
    int next = dup(fd);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    WAIT(&world, (rc = client_read(waiting, &got, 100)) <= 0); /* turned away */
    client_send(&world, fd, "still", 5);                       /* the others go on */
    WAIT(&world, side->got.len == 5);
    uint64_t turn = world.loop.turn;
    timer_start(&world.loop, &timer, 50);
    loop_run(&world.loop);
    assert_in_range(world.loop.turn - turn, 1, 20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

    int fd2;
    struct side *after = dial(&world, &fd2, false);
    hang_up(after, fd2);
    hang_up(side, fd);
    close(waiting);
    buf_fini(&got);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(several_may_share_a_port),     TEST(what_is_no_host_is_an_error),
        TEST(but_not_with_another_program), TEST(what_is_no_host_is_an_error),
        TEST(a_port_in_use_is_an_error),    TEST(what_is_no_host_is_an_error),
        TEST(a_name_is_looked_up),          TEST(ipv6),
        TEST(an_inherited_descriptor),      TEST(no_delay_is_set),
        TEST(closed_it_accepts_no_more),    TEST(the_limit_of_connections),
        TEST(no_descriptor_left),           TEST(what_was_sent_before_is_read_at_once),
        TEST(one_that_has_gone_before),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
