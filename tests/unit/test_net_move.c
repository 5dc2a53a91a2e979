/* Connections that move from one loop to another, both of them turned by this thread. */
#include "net_driver.h"

#include "net/conn_move.h"

static struct world world; /* where they are accepted */
static struct world other; /* where they go */
static struct net_total total;

static int fresh(void **state)
{
    (void)state;
    total = (struct net_total){0};
    world_open(&world, 1 << 20, 100, 3);
    world_open(&other, 1 << 20, 100, 3);
    net_share(&world.net, &total);
    net_share(&other.net, &total);
    return 0;
}

static int done(void **state)
{
    (void)state;
    world_close(&world);
    world_close(&other);
    assert_int_equal(total.n_conns, 0);
    return 0;
}

/* The side's connection, paused, is taken off its loop. */
static void take_off(struct side *side, struct conn_parcel *parcel)
{
    conn_pause(side->conn);
    assert_int_equal(conn_export(side->conn, parcel), 0);
    WAIT(&world, world.net.n_conns == 0);
    assert_int_equal(side->closes, 0); /* it goes on elsewhere */
    assert_int_equal(total.n_conns, 1);
}

static void put_on(struct side *side, struct conn_parcel *parcel)
{
    side->conn = conn_import(&other.net, parcel);
    assert_non_null(side->conn);
    side->world = &other;
    world.n_sides--;
    other.n_sides++;
    conn_set_owner(side->conn, &side_ops, side);
    conn_start(side->conn);
    assert_int_equal(total.n_conns, 1);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

static bool has_got(const struct side *side, const char *text)
{
    return side->got.len == strlen(text) && memcmp(side->got.data, text, side->got.len) == 0;
}

static size_t takes_five(struct side *side, uint8_t *data, size_t len)
{
    (void)data;
    conn_pause(side->conn);
    return len < 5 ? len : 5;
}

static void what_was_left_and_what_comes_later_is_read_on_the_other_loop(void **state)
{
    struct conn_parcel parcel;
    char answer[16] = "";
    int fd;

    (void)state;
    struct side *side = dial(&world, &fd, false);
    side->on_read = takes_five;
    say(fd, "first second");
    WAIT(&world, side->got.len == 5);
    take_off(side, &parcel);
    say(fd, " third");
    side->on_read = NULL;
    put_on(side, &parcel);
    WAIT(&other, has_got(side, "first second third"));
    conn_write(side->conn, "answer", 6);
    WAIT(&other, recv(fd, answer, sizeof answer, 0) == 6);
    assert_string_equal(answer, "answer");
    close(fd);
    WAIT(&other, side->ends == 1);
    conn_close(side->conn);
    WAIT(&other, side->closes == 1);
    side_free(side);
}

static void an_end_that_came_between_is_seen(void **state)
{
    struct conn_parcel parcel;
    int fd;

    (void)state;
    struct side *side = dial(&world, &fd, false);
    take_off(side, &parcel);
    say(fd, "bye");
    close(fd);
    put_on(side, &parcel);
    WAIT(&other, side->ends == 1);
    assert_true(has_got(side, "bye"));
    conn_close(side->conn);
    WAIT(&other, side->closes == 1);
    side_free(side);
}

static void what_was_written_leaves_first(void **state)
{
    struct conn_parcel parcel;
    char text[16] = "";
    int fd;

    (void)state;
    struct side *side = dial(&world, &fd, false);
    conn_write(side->conn, "before", 6);
    take_off(side, &parcel); /* the flush is part of it */
    put_on(side, &parcel);
    conn_write(side->conn, "after", 5);
    WAIT(&other, recv(fd, text, sizeof text, MSG_PEEK) == 11);
    assert_int_equal(recv(fd, text, sizeof text, 0), 11);
    assert_memory_equal(text, "beforeafter", 11);
    close(fd);
    WAIT(&other, side->ends == 1);
    conn_close(side->conn);
    WAIT(&other, side->closes == 1);
    side_free(side);
}

static void one_that_has_to_write_stays_until_it_has(void **state)
{
    static char much[512 * 1024];
    static char sink[sizeof much];
    struct conn_parcel parcel;
    size_t got = 0;
    int fd;

    (void)state;
    struct side *side = dial(&world, &fd, true);
    conn_write(side->conn, much, sizeof much);
    conn_pause(side->conn);
    assert_int_equal(conn_export(side->conn, &parcel), -EAGAIN);
    assert_int_equal(side->conn->state, CONN_OPEN);
    while (side->drains == 0) {
        ssize_t n = recv(fd, sink, sizeof sink, 0);
        got += n > 0 ? (size_t)n : 0;
        loop_step(&world.loop);
    }
    take_off(side, &parcel);
    put_on(side, &parcel);
    while (got < sizeof much) { /* all is on its way */
        ssize_t n = recv(fd, sink, sizeof sink, 0);
        assert_true(n > 0 || errno == EAGAIN);
        got += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    WAIT(&other, side->ends == 1);
    conn_close(side->conn);
    WAIT(&other, side->closes == 1);
    side_free(side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_left_and_what_comes_later_is_read_on_the_other_loop, fresh,
                                        done),
        cmocka_unit_test_setup_teardown(an_end_that_came_between_is_seen, fresh, done),
        cmocka_unit_test_setup_teardown(what_was_written_leaves_first, fresh, done),
        cmocka_unit_test_setup_teardown(one_that_has_to_write_stays_until_it_has, fresh, done),
    };
    return RUN_BOTH_WAYS(tests);
}
