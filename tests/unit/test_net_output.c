/* The writing half of a connection: one system call for each turn, slow readers, limits, what
 * is dropped, and what becomes of it all when the connection closes. */
#include "net_driver.h"

static struct world world;

static int fresh(void **state)
{
    (void)state;
    world_open(&world, 1 << 20, 200, 1000);
    return 0;
}

static int done(void **state)
{
    (void)state;
    world_close(&world);
    return 0;
}

static void turn(int times)
{
    for (int i = 0; i < times; i++)
        loop_step(&world.loop);
}

/* Bytes that tell where in a stream they are. */
static uint8_t noise_at(size_t at)
{
    return (uint8_t)(at ^ at >> 8 ^ at >> 13);
}

static uint8_t *noise(size_t len)
{
    uint8_t *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = noise_at(i);
    return data;
}

static void assert_noise(const struct buf *buf, size_t len)
{
    assert_int_equal(buf->len, len);
    for (size_t i = 0; i < len; i++) {
        if (buf->data[i] != noise_at(i))
            fail_msg("byte %zu of %zu is wrong", i, len);
    }
}

/* Writes noise until the kernel takes no more of it; returns how much was written. */
static size_t fill_up(struct side *side, const uint8_t *data, size_t step)
{
    size_t written = 0;
    while (conn_pending(side->conn) == 0) {
        conn_write(side->conn, data + written, step);
        written += step;
        loop_step(&world.loop);
    }
    return written;
}

/* ---- together ---- */

static void a_turns_writes_leave_with_one_system_call(void **state)
{
    struct bytes *large = bytes_copy("................", 16);
    struct bytes *larger = bytes_new(5000);
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    memset(larger->data, 'L', larger->len);
    uint64_t writes = world.net.writes;
    for (int i = 0; i < 100; i++)
        conn_write(side->conn, "tick ", 5);
    conn_write_bytes(side->conn, large, 4, 4);
    conn_write_bytes(side->conn, larger, 1000, 4000);
    conn_write_message(side->conn, "head", 4, larger);
    conn_write_message(side->conn, "head", 4, large);
    size_t all = 500 + 4 + 4000 + 4 + 5000 + 4 + 16;
    assert_int_equal(conn_pending(side->conn), all);
    assert_int_equal(world.net.writes, writes);
    assert_int_equal(large->refs, 1); /* small: copied */
    assert_int_equal(larger->refs, 3);
    client_expect(&world, fd, &got, all);
    assert_int_equal(world.net.writes, writes + 1);
    assert_int_equal(conn_pending(side->conn), 0);
    assert_int_equal(larger->refs, 1);
    assert_memory_equal(got.data, "tick tick ", 10);
    assert_memory_equal(got.data + 500, "....LLLL", 8);
    assert_memory_equal(got.data + 4504, "headLLLL", 8);
    assert_memory_equal(got.data + 9508, "head................", 20);

    turn(5);
    assert_int_equal(world.net.writes, writes + 1); /* nothing for nothing */
    assert_int_equal(side->drains, 0);              /* nothing had to wait */
    bytes_unref(large);
    bytes_unref(larger);
    buf_fini(&got);
    hang_up(side, fd);
}

static size_t echo(struct side *side, uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        conn_write(side->conn, data + i, 1);
    return len;
}

static void answers_to_what_one_read_brought_leave_together(void **state)
{
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    side->on_read = echo;
    uint64_t writes = world.net.writes;
    client_send(&world, fd, "pipelined", 9);
    client_expect(&world, fd, &got, 9);
    assert_bytes(&got, "pipelined");
    assert_int_equal(world.net.writes - writes, side->reads);
    buf_fini(&got);
    hang_up(side, fd);
}

/* More pieces than fit in one system call. */
static void many_pieces_keep_their_order(void **state)
{
    size_t len = 300 * 1500;
    uint8_t *data = noise(len);
    struct bytes *bytes = bytes_copy(data, len);
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    for (size_t at = 0; at < len; at += 1500)
        conn_write_bytes(side->conn, bytes, at, 1500);
    client_expect(&world, fd, &got, len);
    assert_noise(&got, len);
    turn(3);
    assert_int_equal(bytes->refs, 1);
    bytes_unref(bytes);
    free(data);
    buf_fini(&got);
    hang_up(side, fd);
}

/* ---- a reader that is slow ---- */

static void what_does_not_fit_follows_as_it_is_read(void **state)
{
    size_t len = 900000;
    uint8_t *data = noise(len);
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, true);

    conn_write(side->conn, data, len / 2);
    turn(2);
    assert_in_range(conn_pending(side->conn), 100000, len / 2);
    assert_true(side->conn->in_flight <= 256 * 1024);
    for (size_t at = len / 2; at < len; at += 1000) {
        conn_write(side->conn, data + at, 1000);
        if (at % 3000 == 0) {
            turn(1);
            client_read(fd, &got, 2000);
        }
    }
    assert_int_equal(side->drains, 0);
    client_expect(&world, fd, &got, len);
    assert_noise(&got, len);
    WAIT(&world, side->drains == 1);
    assert_int_equal(side->overflows, 0);
    assert_int_equal(conn_pending(side->conn), 0);
    conn_write(side->conn, "x", 1); /* does not have to wait */
    turn(3);
    assert_int_equal(side->drains, 1);
    free(data);
    buf_fini(&got);
    hang_up(side, fd);
}

/* Pending is what the kernel has not taken, to the byte, while libuv writes too. */
static void pending_is_exact(void **state)
{
    size_t len = 800000;
    uint8_t *data = noise(len);
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, true);

    conn_write(side->conn, data, len);
    assert_int_equal(conn_pending(side->conn), len);
    size_t before = len;
    while (got.len < len) {
        assert_int_equal(client_read(fd, &got, 30000), 1);
        turn(1);
        size_t pending = conn_pending(side->conn);
        assert_true(pending <= before && got.len + pending <= len);
        before = pending;
    }
    assert_int_equal(before, 0);
    assert_noise(&got, len);
    free(data);
    buf_fini(&got);
    hang_up(side, fd);
}

/* ---- the limit ---- */

static void too_much_waiting_is_told_once(void **state)
{
    size_t len = 3 << 20;
    uint8_t *data = noise(len);
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, true);

    /* Within a turn there is no limit: it counts what a flush leaves. */
    conn_write(side->conn, data, len / 2);
    assert_int_equal(side->overflows, 0);
    WAIT(&world, side->overflows == 1);
    conn_write(side->conn, data + len / 2, len / 2);
    turn(10);
    assert_int_equal(side->overflows, 1);
    client_expect(&world, fd, &got, len);
    assert_noise(&got, len);
    WAIT(&world, side->drains == 1);

    /* All has been read: the next time is told again. */
    conn_write(side->conn, data, len);
    WAIT(&world, side->overflows == 2);
    free(data);
    buf_fini(&got);
    hang_up(side, fd);
}

static void without_an_upcall_a_slow_reader_is_reset(void **state)
{
    static struct conn_ops no_overflow;
    size_t len = 3 << 20;
    uint8_t *data = noise(len);
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, true);

    no_overflow = side_ops;
    no_overflow.on_overflow = NULL;
    no_overflow.on_drain = NULL;
    conn_set_owner(side->conn, &no_overflow, side);
    conn_write(side->conn, data, 100000);
    turn(5);
    assert_int_equal(side->closes, 0);
    conn_write(side->conn, data, len);
    WAIT(&world, side->closes == 1);
    assert_int_equal(world.counters.sockets_slow, 1);
    assert_int_equal(side->errors, 0);
    free(data);
    close(fd);
    side_free(side);
}

/* Messages: a byte for the length, then as many bytes. */
static size_t edge(const uint8_t *segment, size_t sent, size_t len)
{
    size_t at = 0;
    while (at < sent)
        at += 1u + segment[at];
    return at < len ? at : len;
}

static void drop_and_close(struct side *side, char event)
{
    if (event != 'o')
        return;
    conn_drop_queued(side->conn, edge);
    assert_true(conn_pending(side->conn) <= 256 * 1024 + 256);
    conn_write(side->conn, "\3bye", 4);
    conn_close(side->conn);
}

/* What was begun is finished, the rest is gone, and the last word arrives. */
static void a_slow_reader_gets_whole_messages_and_the_last_word(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 8; seed++) {
        struct buf got = {0};
        unsigned sent = 0, received = 0;
        int fd;
        struct side *side = dial(&world, &fd, true);

        side->on_event = drop_and_close;
        while (side->conn->state == CONN_OPEN) {
            uint8_t message[256];
            for (unsigned i = 0; i < 40 + seed; i++, sent++) {
                message[0] = (uint8_t)(100 + (sent * 7 + seed) % 150);
                memset(message + 1, (int)sent % 251, message[0]);
                conn_write(side->conn, message, 1u + message[0]);
            }
            loop_step(&world.loop);
        }
        assert_int_equal(side->overflows, 1);
        int rc;
        WAIT(&world, (rc = client_read(fd, &got, SIZE_MAX)) <= 0);
        assert_int_equal(rc, 0);
        close(fd);
        WAIT(&world, side->closes == 1);

        size_t at = 0;
        for (; at + 4 < got.len; received++) {
            assert_int_equal(got.data[at], 100 + (received * 7 + seed) % 150);
            assert_int_equal(got.data[at + 1], received % 251);
            assert_int_equal(got.data[at + got.data[at]], received % 251);
            at += 1u + got.data[at];
        }
        assert_int_equal(got.len - at, 4);
        assert_memory_equal(got.data + at, "\3bye", 4);
        assert_in_range(received, 1, sent - 1); /* some came through, some did not */
        buf_fini(&got);
        side_free(side);
    }
}

/* ---- held ---- */

static void nothing_leaves_while_it_is_held(void **state)
{
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);
    uint64_t writes = world.net.writes;

    conn_hold(side->conn);
    conn_write(side->conn, "after the answer", 16);
    turn(10);
    assert_int_equal(world.net.writes, writes);
    assert_int_equal(conn_pending(side->conn), 16);
    conn_release(side->conn);
    client_expect(&world, fd, &got, 16);
    assert_bytes(&got, "after the answer");
    assert_int_equal(world.net.writes, writes + 1);

    /* The limit holds for it, too. */
    uint8_t *data = noise(2 << 20);
    conn_hold(side->conn);
    conn_write(side->conn, data, 2 << 20);
    WAIT(&world, side->overflows == 1);
    assert_int_equal(world.net.writes, writes + 1);
    free(data);
    buf_fini(&got);
    hang_up(side, fd);
}

static void closed_while_held_it_waits_but_not_for_ever(void **state)
{
    (void)state;
    for (int released = 0; released < 2; released++) {
        struct buf got = {0};
        int fd;
        struct side *side = dial(&world, &fd, false);

        conn_hold(side->conn);
        conn_write(side->conn, "refused", 7);
        conn_close(side->conn);
        turn(3);
        assert_int_equal(side->conn->state, CONN_FLUSHING);
        if (released)
            conn_release(side->conn);
        int rc;
        WAIT(&world, (rc = client_read(fd, &got, 100)) <= 0);
        assert_int_equal(rc, released ? 0 : -ECONNRESET);
        assert_int_equal(got.len, released ? 7 : 0);
        close(fd);
        WAIT(&world, side->closes == 1);
        buf_fini(&got);
        side_free(side);
    }
}

/* ---- closing with a queue ---- */

static void a_long_queue_leaves_before_the_fin(void **state)
{
    size_t len = 3 << 20;
    uint8_t *data = noise(len);
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, true);

    conn_write(side->conn, data, len);
    conn_close(side->conn);
    WAIT(&world, client_read(fd, &got, 10000) == 0);
    assert_noise(&got, len);
    assert_int_equal(side->overflows + side->drains, 0); /* its owner has done with it */
    close(fd);
    WAIT(&world, side->closes == 1);
    free(data);
    buf_fini(&got);
    side_free(side);
}

/* A peer that reads slowly for more than two linger_ms, and says something between, gets all. sndbuf: what the server's
 * kernel keeps for it. */
static void expect_patience(int sndbuf)
{
    size_t len = 200000;
    uint8_t *data = noise(len);
    struct buf got = {0};
    int fd;
    struct side *side = dial(&world, &fd, true);
    uint64_t start = clock_monotonic_ns(), next = start;

    assert_int_equal(setsockopt(side->conn->fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf), 0);
    world.net.linger_ms = 1000; /* many times what goes by between two reads, on a busy machine too */
    conn_write(side->conn, data, len);
    conn_close(side->conn);
    int rc = 1;
    while (rc > 0) {
        loop_step(&world.loop);
        if (clock_monotonic_ns() < next)
            continue;
        rc = client_read(fd, &got, 2500);
        (void)send(fd, "?", 1, MSG_NOSIGNAL);
        next = clock_monotonic_ns() + 30 * NS_PER_MS;
    }
    assert_int_equal(rc, 0);
    assert_noise(&got, len);
    assert_true(clock_monotonic_ns() - start > 2 * 1000 * NS_PER_MS);
    close(fd);
    WAIT(&world, side->closes == 1);
    free(data);
    buf_fini(&got);
    side_free(side);
}

static void slow_is_not_stuck(void **state)
{
    (void)state;
    expect_patience(4096);
}

static void what_the_kernel_has_is_waited_for(void **state)
{
    (void)state;
    expect_patience(400000);
}

static void a_peer_that_takes_nothing_is_reset(void **state)
{
    size_t len = 500000;
    uint8_t *data = noise(len);
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, true);

    fill_up(side, data, 10000);
    conn_write(side->conn, data, len);
    uint64_t start = clock_monotonic_ns();
    conn_close(side->conn);
    WAIT(&world, side->closes == 1);
    assert_true(clock_monotonic_ns() - start >= 200 * NS_PER_MS);
    int rc;
    while ((rc = client_read(fd, &got, 100000)) > 0)
        ;
    assert_int_equal(rc, -ECONNRESET);
    assert_int_equal(side->errors, 0);
    close(fd);
    free(data);
    buf_fini(&got);
    side_free(side);
}

static void resetting_drops_what_waits(void **state)
{
    size_t len = 500000;
    uint8_t *data = noise(len);
    struct bytes *bytes = bytes_copy(data, len);
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, true);

    conn_write_bytes(side->conn, bytes, 0, len);
    turn(2);
    assert_true(side->conn->in_flight > 0); /* libuv is writing from it */
    conn_reset(side->conn);
    WAIT(&world, side->closes == 1);
    assert_int_equal(bytes->refs, 1);
    bytes_unref(bytes);
    free(data);
    close(fd);
    side_free(side);
}

/* ---- errors ---- */

static void a_peer_that_is_gone_is_told_once(void **state)
{
    size_t len = 500000;
    uint8_t *data = noise(len);
    (void)state;

    for (int waiting = 0; waiting < 2; waiting++) {
        struct linger at_once = {1, 0};
        int fd;
        struct side *side = dial(&world, &fd, true);

        conn_pause(side->conn); /* so that writing finds it out */
        if (waiting)
            conn_write(side->conn, data, fill_up(side, data, 10000)); /* libuv does */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(fd);
        conn_write(side->conn, "x", 1);
        loop_step(&world.loop);
        conn_write(side->conn, "y", 1);
        WAIT(&world, side->closes == 1);
        assert_int_equal(side->errors, 1);
        assert_true(side->error == -EPIPE || side->error == -ECONNRESET);
        side_free(side);
    }
    free(data);
}

static void no_memory_for_it_is_an_error(void **state)
{
    struct bytes none = {.refs = 1, .len = 0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    conn_write(side->conn, "never sent, since what follows can't be", SIZE_MAX);
    conn_write(side->conn, "nor this", 8);
    conn_write_message(side->conn, "", 0, &none);
    assert_int_equal(side->errors, 0);
    WAIT(&world, side->closes == 1);
    assert_int_equal(side->errors, 1);
    assert_int_equal(side->error, -ENOMEM);
    struct buf got = {0};
    assert_true(client_read(fd, &got, 100) <= 0);
    assert_int_equal(got.len, 0);
    buf_fini(&got);
    close(fd);
    side_free(side);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_turns_writes_leave_with_one_system_call),
        TEST(answers_to_what_one_read_brought_leave_together),
        TEST(many_pieces_keep_their_order),
        TEST(what_does_not_fit_follows_as_it_is_read),
        TEST(pending_is_exact),
        TEST(too_much_waiting_is_told_once),
        TEST(without_an_upcall_a_slow_reader_is_reset),
        TEST(a_slow_reader_gets_whole_messages_and_the_last_word),
        TEST(nothing_leaves_while_it_is_held),
        TEST(closed_while_held_it_waits_but_not_for_ever),
        TEST(a_long_queue_leaves_before_the_fin),
        TEST(slow_is_not_stuck),
        TEST(what_the_kernel_has_is_waited_for),
        TEST(a_peer_that_takes_nothing_is_reset),
        TEST(resetting_drops_what_waits),
        TEST(a_peer_that_is_gone_is_told_once),
        TEST(no_memory_for_it_is_an_error),
    };
    alarm(300);
    return RUN_BOTH_WAYS(tests);
}
