/* The ring itself, and when connections are flushed by it. (That they are flushed rightly is tested by
 * test_net_output, _group, _random and _conn, each of which runs a second time with a ring.) */
#include "net/uring.h"

#include "net_driver.h"

#include <sys/resource.h>
#include <sys/un.h>

/* ---- the ring ---- */

static struct uring *uring;
static int ends[URING_SENDS][2]; /* connected pairs; we send from [0] */
static struct sending sends[URING_SENDS];
static struct iovec pieces[URING_SENDS][3];

static int open_ring(void **state)
{
    int error = 0;
    (void)state;

    uring = uring_open(&error);
    assert_true(uring || error < 0);
    for (unsigned i = 0; i < URING_SENDS; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
        pieces[i][0] = (struct iovec){"one", 3};
        pieces[i][1] = (struct iovec){"two", 3};
        pieces[i][2] = (struct iovec){"three", 5};
        sends[i] = (struct sending){.fd = ends[i][0], .n_pieces = 1, .pieces = pieces[i]};
    }
    return 0;
}

static int close_ring(void **state)
{
    (void)state;
    for (unsigned i = 0; i < URING_SENDS; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
    uring_close(uring);
    uring_close(NULL);
    return 0;
}

static void need_ring(void)
{
    if (!uring)
        skip();
}

static void assert_arrived(unsigned i, const char *text)
{
    char got[100];
    ssize_t n = recv(ends[i][1], got, sizeof got, MSG_DONTWAIT);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, (size_t)n);
}

static void a_full_batch_leaves_and_is_answered(void **state)
{
    (void)state;
    need_ring();
    for (int again = 0; again < 20; again++) {
        for (unsigned i = 0; i < URING_SENDS; i++)
            sends[i].n_pieces = 1 + i % 3;
        assert_true(uring_send(uring, sends, URING_SENDS));
        for (unsigned i = 0; i < URING_SENDS; i++) {
            static const char *const texts[] = {"one", "onetwo", "onetwothree"};
            assert_int_equal(sends[i].result, strlen(texts[i % 3]));
            assert_arrived(i, texts[i % 3]);
        }
    }
    assert_true(uring_send(uring, sends, 0));
}

static void what_can_not_be_sent_is_an_answer_and_waits_for_nobody(void **state)
{
    static char much[1 << 22];
    (void)state;
    need_ring();

    while (send(ends[0][0], much, sizeof much, MSG_DONTWAIT) > 0) {
    }
    close(ends[1][1]);
    sends[2].fd = -1;
    pieces[3][0] = (struct iovec){much, sizeof much};
    pieces[4][0] = (struct iovec){much, sizeof much};
    sends[4].n_pieces = 3;
    assert_true(uring_send(uring, sends, 6));
    assert_int_equal(sends[0].result, -EAGAIN);
    assert_int_equal(sends[1].result, -EPIPE); /* and no SIGPIPE */
    assert_int_equal(sends[2].result, -EBADF);
    assert_in_range(sends[3].result, 1, sizeof much - 1);
    assert_in_range(sends[4].result, 1, sizeof much - 1);
    assert_int_equal(sends[5].result, 3);
    ends[1][1] = -1;
}

/* ---- when it is used ---- */

#define CROWD (URING_SENDS * 2 + 100)

static struct world world;
static struct conn_group group;
static struct side *sides[CROWD];
static int fds[CROWD];

static int fresh(void **state)
{
    (void)state;
    world_open(&world, 1 << 20, 200, 5000);
    conn_group_init(&group, &world.net);
    return 0;
}

static int done(void **state)
{
    (void)state;
    conn_group_fini(&group);
    world_close(&world);
    return 0;
}

static void meet(int n)
{
    for (int i = 0; i < n; i++) {
        sides[i] = dial(&world, &fds[i], false);
        conn_group_join(&group, sides[i]->conn);
    }
}

static void part(int n)
{
    for (int i = 0; i < n; i++)
        hang_up(sides[i], fds[i]);
}

/* Each of n hears the text, which is written in one turn. */
static void say(const char *text, int n)
{
    struct buf got = {0};
    conn_group_write(&group, text, strlen(text), NULL, 0, NULL, 0);
    for (int i = 0; i < n; i++) {
        got.len = 0;
        client_expect(&world, fds[i], &got, strlen(text));
        assert_bytes(&got, text);
    }
    buf_fini(&got);
}

static void use_uring(void)
{
    net_use_uring(&world.net);
    loop_step(&world.loop);
    if (!world.net.batch)
        skip();
}

static void only_who_asks_for_it_gets_it(void **state)
{
    (void)state;
    meet(20);
    say("hello", 20);
    assert_null(world.net.batch);
    assert_int_equal(world.net.batches, 0);
    assert_int_equal(world.net.writes, 20);
    part(20);
}

static void a_small_batch_is_not_worth_it(void **state)
{
    (void)state;
    use_uring();
    world.net.batch_min = 5;
    meet(4);
    say("one by one", 4);
    assert_int_equal(world.net.batches, 0);
    sides[4] = dial(&world, &fds[4], false);
    conn_group_join(&group, sides[4]->conn);
    say("together", 5);
    assert_int_equal(world.net.batches, 1);
    assert_int_equal(world.net.writes, 9);
    part(5);
}

static void more_connections_than_the_ring_has_room_for(void **state)
{
    (void)state;
    use_uring();
    meet(CROWD);
    say("to all", CROWD);
    assert_int_equal(world.net.batches, 3);
    assert_int_equal(world.net.writes, CROWD);
    part(CROWD);
}

/* Pieces are bounded, too: 20 connections of up to 65 each. */
static void more_pieces_than_a_batch_has_room_for(void **state)
{
    struct bytes *bytes = bytes_new(1500);
    struct buf got = {0};
    (void)state;
    use_uring();
    meet(20);

    for (int i = 0; i < 20; i++) {
        for (int j = 0; j < 27 + 2 * i; j++) {
            memset(bytes->data, 'a' + j % 26, bytes->len);
            struct bytes *piece = bytes_copy(bytes->data, bytes->len);
            conn_write_bytes(sides[i]->conn, piece, 0, piece->len);
            bytes_unref(piece);
        }
    }
    conn_group_write(&group, "end", 3, NULL, 0, NULL, 0);
    for (int i = 0; i < 20; i++) {
        size_t n = (27 + 2 * (size_t)i) * 1500;
        got.len = 0;
        client_expect(&world, fds[i], &got, n + 3);
        assert_int_equal(got.len, n + 3);
        for (size_t at = 0; at < n; at++)
            assert_int_equal(got.data[at], 'a' + at / 1500 % 26);
        assert_memory_equal(got.data + n, "end", 3);
    }
    assert_in_range(world.net.batches, 2, 19);
    buf_fini(&got);
    bytes_unref(bytes);
    part(20);
}

/* ---- when there is none ---- */

static int lowest_free_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

static void what_can_not_be_opened_is_done_without(void **state)
{
    struct rlimit before, none;
    (void)state;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)lowest_free_descriptor();
    net_use_uring(&world.net);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    loop_step(&world.loop);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_null(world.net.batch);
    meet(20);
    say("hello", 20);
    assert_int_equal(world.net.batches, 0);
    assert_int_equal(world.net.writes, 20);
    part(20);
}

/* Its descriptor becomes another file's. */
static void a_ring_that_fails_is_given_up_and_nothing_is_lost(void **state)
{
    int ring = lowest_free_descriptor(), other;
    (void)state;

    use_uring();
    meet(20);
    say("by the ring", 20);
    assert_int_equal(world.net.batches, 1);
    other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup3(other, ring, O_CLOEXEC), ring);
    say("one by one", 20);
    assert_null(world.net.batch);
    assert_int_equal(world.net.writes, 40);
    say("for ever", 20);
    assert_int_equal(world.net.batches, 2); /* the one that failed counts */
    close(other);
    part(20);
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(a_full_batch_leaves_and_is_answered),
        RING_TEST(what_can_not_be_sent_is_an_answer_and_waits_for_nobody),
        TEST(only_who_asks_for_it_gets_it),
        TEST(a_small_batch_is_not_worth_it),
        TEST(more_connections_than_the_ring_has_room_for),
        TEST(more_pieces_than_a_batch_has_room_for),
        TEST(what_can_not_be_opened_is_done_without),
        TEST(a_ring_that_fails_is_given_up_and_nothing_is_lost),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
