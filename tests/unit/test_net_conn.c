/* The reading half of a connection, and its life. */
#include "net_driver.h"

static struct world world;

static int fresh(void **state)
{
    (void)state;
    world_open(&world, 1 << 20, 100, 1000);
    return 0;
}

static int done(void **state)
{
    (void)state;
    world_close(&world);
    return 0;
}

/* ---- reading ---- */

static void bytes_are_handed_up(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    client_send(&world, fd, "hello", 5);
    WAIT(&world, side->got.len == 5);
    assert_bytes(&side->got, "hello");
    assert_int_equal(side->reads, 1);
    assert_null(side->conn->left);
    hang_up(side, fd);
}

/* Uses whole words with the space behind them. */
static size_t read_words(struct side *side, uint8_t *data, size_t len)
{
    (void)side;
    uint8_t *space = memchr(data, ' ', len);
    return space ? (size_t)(space - data) + 1 : 0;
}

static void what_is_left_comes_again_with_what_follows(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    side->on_read = read_words;
    client_send(&world, fd, "one two thr", 11);
    WAIT(&world, side->reads == 3); /* "one ", "two ", and "thr" in vain */
    assert_bytes(&side->got, "one two ");
    assert_int_equal(side->conn->left->len, 3);
    assert_true(side->conn->left->cap < 256);

    client_send(&world, fd, "e", 1);
    WAIT(&world, side->conn->left->len == 4);
    assert_int_equal(side->reads, 4);
    client_send(&world, fd, "e fo", 4);
    WAIT(&world, side->got.len == 14);
    assert_bytes(&side->got, "one two three ");
    assert_int_equal(side->conn->left->len, 2);
    client_send(&world, fd, "ur ", 3);
    WAIT(&world, side->got.len == 19);
    assert_null(side->conn->left); /* an idle connection owns none */
    hang_up(side, fd);
}

/* A large piece of input that ends in a small rest must not leave a large buffer behind. */
static void the_rest_is_kept_in_memory_of_its_size(void **state)
{
    static char words[300001];
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    side->on_read = read_words;
    memset(words, 'x', sizeof words);
    client_send(&world, fd, words, sizeof words); /* no space: all of it is left */
    WAIT(&world, side->conn->left && side->conn->left->len == sizeof words);
    client_send(&world, fd, " end", 4);
    WAIT(&world, side->got.len == sizeof words + 1 && side->conn->left->len == 3);
    assert_true(side->conn->left->cap < 256);
    hang_up(side, fd);
}

static size_t change_in_place(struct side *side, uint8_t *data, size_t len)
{
    (void)side;
    for (size_t i = 0; i < len; i++)
        data[i] ^= 0x20;
    return len;
}

static void the_reader_may_change_the_bytes(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    side->on_read = change_in_place;
    client_send(&world, fd, "Hello", 5);
    WAIT(&world, side->got.len == 5);
    assert_bytes(&side->got, "hELLO");
    hang_up(side, fd);
}

/* ---- pausing ---- */

static size_t pause_after_word(struct side *side, uint8_t *data, size_t len)
{
    conn_pause(side->conn);
    conn_pause(side->conn);
    return read_words(side, data, len);
}

static void paused_inside_it_leaves_the_rest(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    side->on_read = pause_after_word;
    client_send(&world, fd, "a b c ", 6);
    WAIT(&world, side->reads == 1);
    for (int i = 0; i < 20; i++)
        loop_step(&world.loop);
    assert_bytes(&side->got, "a ");
    assert_int_equal(side->conn->left->len, 4);

    /* Bytes that come while it is paused stay in the kernel. */
    client_send(&world, fd, "d ", 2);
    for (int i = 0; i < 20; i++)
        loop_step(&world.loop);
    assert_int_equal(side->reads, 1);

    conn_resume(side->conn);
    conn_resume(side->conn);
    assert_int_equal(side->reads, 1); /* not from within */
    WAIT(&world, side->reads == 2);
    assert_bytes(&side->got, "a b ");
    conn_resume(side->conn);
    conn_pause(side->conn); /* thought better of it */
    for (int i = 0; i < 20; i++)
        loop_step(&world.loop);
    assert_int_equal(side->reads, 2);

    for (unsigned reads = 3; reads <= 4; reads++) {
        conn_resume(side->conn);
        WAIT(&world, side->reads == reads);
    }
    assert_bytes(&side->got, "a b c d ");
    assert_null(side->conn->left);
    hang_up(side, fd);
}

static size_t pause_and_resume(struct side *side, uint8_t *data, size_t len)
{
    conn_pause(side->conn);
    conn_resume(side->conn); /* what waited for is there already */
    return read_words(side, data, len);
}

static void resumed_inside_it_goes_on(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    side->on_read = pause_and_resume;
    client_send(&world, fd, "a b c ", 6);
    WAIT(&world, side->got.len == 6);
    client_send(&world, fd, "d ", 2);
    WAIT(&world, side->got.len == 8);
    hang_up(side, fd);
}

static void paused_outside_it_holds_up_the_peer(void **state)
{
    static char noise[1 << 16];
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);
    size_t sent = 0;
    ssize_t n;

    conn_pause(side->conn);
    while ((n = send(fd, noise, sizeof noise, MSG_NOSIGNAL)) > 0) {
        sent += (size_t)n;
        loop_step(&world.loop);
    }
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(side->reads, 0);
    conn_resume(side->conn);
    WAIT(&world, side->got.len == sent);
    hang_up(side, fd);
}

static void end_paused(struct conn *conn)
{
    struct side *side = conn->user;
    conn_reset(side->conn);
}

/* A connection that is not read now is a reason for loop_run to go on. */
static void a_paused_connection_keeps_the_loop(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    conn_pause(side->conn);
    listener_close(world.listener);
    world.listener = NULL;
    conn_set_timer(side->conn, end_paused, 20);
    loop_run(&world.loop);
    assert_int_equal(side->closes, 1);
    close(fd);
    side_free(side);
}

/* ---- owners ---- */

static size_t second_read(struct conn *conn, uint8_t *data, size_t len)
{
    struct side *side = conn->user;
    if (len < 3)
        return 0;
    assert_int_equal(buf_append(&side->got, "[", 1), 0);
    assert_int_equal(buf_append(&side->got, data, 3), 0);
    assert_int_equal(buf_append(&side->got, "]", 1), 0);
    return 3;
}

static struct conn_ops second_ops;

static size_t read_then_switch(struct side *side, uint8_t *data, size_t len)
{
    (void)data;
    (void)len;
    second_ops = side_ops;
    second_ops.on_read = second_read;
    conn_set_owner(side->conn, &second_ops, side);
    return 2;
}

static void the_rest_goes_to_the_new_owner(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    side->on_read = read_then_switch;
    client_send(&world, fd, "HIabcdefg", 9);
    WAIT(&world, side->got.len == 12);
    assert_bytes(&side->got, "HI[abc][def]");
    assert_int_equal(side->conn->left->len, 1);
    client_send(&world, fd, "hi", 2);
    WAIT(&world, side->got.len == 17);
    assert_int_equal(side->reads, 1);
    hang_up(side, fd);
}

static size_t use_nothing(struct side *side, uint8_t *data, size_t len)
{
    (void)side;
    (void)data;
    (void)len;
    return 0;
}

static void a_later_owner_gets_what_was_left(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    side->on_read = use_nothing;
    client_send(&world, fd, "abcdef", 6);
    WAIT(&world, side->reads == 1);
    second_ops = side_ops;
    second_ops.on_read = second_read;
    conn_set_owner(side->conn, &second_ops, side);
    assert_int_equal(side->got.len, 0);
    WAIT(&world, side->got.len == 10);
    assert_bytes(&side->got, "[abc][def]");

    /* While it is paused, resuming is what hands it up. */
    client_send(&world, fd, "gh", 2);
    WAIT(&world, side->conn->left);
    conn_pause(side->conn);
    conn_set_owner(side->conn, &side_ops, side);
    side->on_read = NULL;
    for (int i = 0; i < 20; i++)
        loop_step(&world.loop);
    assert_int_equal(side->got.len, 10);
    conn_resume(side->conn);
    WAIT(&world, side->got.len == 12);
    hang_up(side, fd);
}

/* ---- the peer's end ---- */

static void close_at_end(struct side *side, char event)
{
    if (event == 'e')
        conn_close(side->conn);
}

static void a_fin_is_told_after_all_bytes(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    client_send(&world, fd, "last", 4);
    shutdown(fd, SHUT_WR);
    WAIT(&world, side->ends == 1);
    assert_bytes(&side->got, "last");

    /* It can be written to still; reading on is of no use but does no harm. */
    struct buf got = {0};
    conn_pause(side->conn);
    conn_resume(side->conn);
    conn_write(side->conn, "answer", 6);
    client_expect(&world, fd, &got, 6);
    world.net.linger_ms = 1000000; /* there is nothing to wait for */
    conn_close(side->conn);
    WAIT(&world, side->closes == 1);
    assert_int_equal(client_read(fd, &got, 100), 0);
    assert_int_equal(side->ends, 1);
    assert_int_equal(side->errors, 0);
    buf_fini(&got);
    close(fd);
    side_free(side);
}

static void a_fin_after_a_pause_is_told(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    conn_pause(side->conn);
    client_send(&world, fd, "x", 1);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 20; i++)
        loop_step(&world.loop);
    assert_int_equal(side->ends, 0);
    side->on_event = close_at_end;
    conn_resume(side->conn);
    WAIT(&world, side->closes == 1);
    assert_bytes(&side->got, "x");
    assert_int_equal(side->ends, 1);
    close(fd);
    side_free(side);
}

static void a_reset_by_the_peer_is_an_error(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    client_reset(fd);
    WAIT(&world, side->closes == 1);
    assert_int_equal(side->errors, 1);
    assert_int_equal(side->error, -ECONNRESET);
    assert_int_equal(side->ends, 0);
    side_free(side);
}

static void an_error_while_paused_is_found_by_writing(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    conn_pause(side->conn);
    client_reset(fd);
    for (int i = 0; i < 20; i++)
        loop_step(&world.loop);
    assert_int_equal(side->errors, 0);
    conn_write(side->conn, "x", 1);
    WAIT(&world, side->closes == 1);
    assert_int_equal(side->errors, 1);
    assert_true(side->error == -EPIPE || side->error == -ECONNRESET);
    side_free(side);
}

/* The peer says its last words and is gone before we have read them: writing fails first, but
 * the words count. */
static void last_words_are_heard_though_writing_fails(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    conn_write(side->conn, "unread", 6);
    loop_step(&world.loop);
    conn_pause(side->conn);
    client_send(&world, fd, "bye", 3);
    close(fd); /* with unread bytes: a RST */
    conn_write(side->conn, "x", 1);
    conn_resume(side->conn);
    WAIT(&world, side->closes == 1);
    assert_bytes(&side->got, "bye");
    assert_int_equal(side->errors, 1);
    assert_true(side->error == -EPIPE || side->error == -ECONNRESET);
    side_free(side);
}

/* ---- ending it ---- */

static char end_how; /* 'r'eset or 'c'lose */

static size_t end_in_read(struct side *side, uint8_t *data, size_t len)
{
    (void)data;
    if (end_how == 'r')
        conn_reset(side->conn);
    else
        conn_close(side->conn);
    assert_int_equal(side->closes, 0); /* not from within */
    return len > 2 ? 2 : len;
}

static void closing_inside_on_read(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct buf got = {0};
        int fd;
        struct side *side = dial(&world, &fd, false);

        end_how = "rc"[i];
        side->on_read = end_in_read;
        client_send(&world, fd, "abcdef", 6);
        int rc;
        WAIT(&world, (rc = client_read(fd, &got, 10)) <= 0);
        assert_int_equal(rc, i == 0 ? -ECONNRESET : 0);
        assert_int_equal(side->reads, 1);
        close(fd);
        WAIT(&world, side->closes == 1);
        assert_bytes(&side->got, "ab");
        buf_fini(&got);
        side_free(side);
    }
}

static void end_at_any(struct side *side, char event)
{
    if (event == 'c')
        return;
    if (end_how == 'r')
        conn_reset(side->conn);
    else
        conn_close(side->conn);
}

static void closing_inside_on_error_and_on_end(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        int fd;
        struct side *side = dial(&world, &fd, false);

        end_how = "rc"[i % 2];
        side->on_event = end_at_any;
        if (i < 2) {
            client_reset(fd);
        } else {
            shutdown(fd, SHUT_WR);
        }
        WAIT(&world, side->closes == 1);
        assert_int_equal(side->errors, i < 2);
        assert_int_equal(side->ends, i >= 2);
        if (i >= 2)
            close(fd);
        side_free(side);
    }
}

static struct conn_group late_group;
static struct bytes *late_bytes;

static void do_everything(struct conn *conn)
{
    conn_reset(conn);
    conn_close(conn);
    conn_write(conn, "x", 1);
    conn_write_bytes(conn, late_bytes, 0, late_bytes->len);
    conn_write_message(conn, "x", 1, late_bytes);
    conn_hold(conn);
    conn_release(conn);
    conn_pause(conn);
    conn_resume(conn);
    conn_set_timer(conn, end_paused, 1);
    conn_group_join(&late_group, conn);
    assert_null(conn->group);
    conn_group_leave(conn);
    conn_drop_queued(conn, NULL);
}

static void do_everything_at_close(struct side *side, char event)
{
    if (event == 'c')
        do_everything(side->conn);
}

static void what_is_done_after_the_end_does_nothing(void **state)
{
    (void)state;
    late_bytes = bytes_new(2000);
    conn_group_init(&late_group, &world.net);
    for (int closing = 0; closing < 2; closing++) {
        int fd;
        struct side *side = dial(&world, &fd, false);
        struct conn *conn = side->conn;

        side->on_event = do_everything_at_close;
        if (closing) {
            conn_close(conn);
            conn_group_join(&late_group, conn);
            assert_null(conn->group);
            conn_write(conn, "x", 1);
            assert_int_equal(conn_pending(conn), 0);
        }
        conn_reset(conn);
        do_everything(conn);
        conn_set_owner(conn, &side_ops, side);
        assert_int_equal(conn_pending(conn), 0);
        assert_int_equal(late_group.n_members, 0);
        assert_int_equal(late_bytes->refs, 1);
        WAIT(&world, side->closes == 1);
        for (int i = 0; i < 5; i++)
            loop_step(&world.loop);
        close(fd);
        side_free(side);
    }
    bytes_unref(late_bytes);
    conn_group_fini(&late_group);
}

/* ---- closing in order ---- */

static void closing_sends_all_then_fin_and_awaits_the_peers(void **state)
{
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    conn_write(side->conn, "good", 4);
    conn_write(side->conn, "bye", 3);
    conn_close(side->conn);
    conn_write(side->conn, "too late", 8);
    assert_int_equal(side->conn->state, CONN_FLUSHING);
    WAIT(&world, client_read(fd, &got, 100) == 0);
    assert_bytes(&got, "goodbye");
    assert_int_equal(side->conn->state, CONN_LINGERING);

    /* What the peer still says is discarded; its FIN ends it. */
    client_send(&world, fd, "you too", 7);
    shutdown(fd, SHUT_WR);
    WAIT(&world, side->closes == 1);
    assert_int_equal(side->reads + side->ends + side->errors, 0);
    assert_int_equal(client_read(fd, &got, 100), 0); /* no RST */
    buf_fini(&got);
    close(fd);
    side_free(side);
}

static void input_that_waits_is_discarded_when_it_closes(void **state)
{
    static char noise[1 << 16];
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);
    ssize_t n;

    conn_pause(side->conn);
    while ((n = send(fd, noise, sizeof noise, MSG_NOSIGNAL)) > 0)
        loop_step(&world.loop);
    conn_write(side->conn, "413", 3);
    conn_close(side->conn);
    world.net.linger_ms = 1000000;
    loop_step(&world.loop);
    for (int i = 0; i < 300; i++)
        client_send(&world, fd, noise, sizeof noise); /* it can send on */
    WAIT(&world, client_read(fd, &got, 100) == 0);
    assert_bytes(&got, "413");
    close(fd);
    WAIT(&world, side->closes == 1);
    assert_int_equal(side->reads, 0);
    buf_fini(&got);
    side_free(side);
}

static void a_peer_that_sends_no_fin_is_left_after_a_while(void **state)
{
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);
    uint64_t start = clock_monotonic_ns();

    conn_close(side->conn);
    WAIT(&world, side->closes == 1);
    assert_true(clock_monotonic_ns() - start >= 100 * NS_PER_MS);
    assert_int_equal(client_read(fd, &got, 100), 0);
    close(fd);
    side_free(side);
    buf_fini(&got);
}

static void a_reset_while_closing_is_silent(void **state)
{
    (void)state;
    for (int turns = 0; turns < 4; turns++) {
        int fd;
        struct side *side = dial(&world, &fd, false);

        conn_write(side->conn, "x", 1);
        conn_close(side->conn);
        for (int i = 0; i < turns; i++)
            loop_step(&world.loop);
        if (turns % 2)
            conn_reset(side->conn);
        else
            client_reset(fd);
        WAIT(&world, side->closes == 1);
        assert_int_equal(side->errors, 0);
        if (turns % 2)
            close(fd);
        side_free(side);
    }
}

/* ---- the timer ---- */

static unsigned timed;

static void on_time(struct conn *conn)
{
    struct side *side = conn->user;
    assert_false(side->in_upcall);
    if (++timed < 3)
        conn_set_timer(conn, on_time, 1);
    else
        conn_close(conn);
}

static void the_owners_timer(void **state)
{
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    timed = 0;
    conn_set_timer(side->conn, on_time, 1);
    conn_set_timer(side->conn, on_time, 0);
    assert_false(timer_running(&side->conn->timer));
    conn_set_timer(side->conn, on_time, 1);
    WAIT(&world, timed == 3);
    conn_set_timer(side->conn, on_time, 1); /* no more: it closes */
    close(fd);
    WAIT(&world, side->closes == 1);
    assert_int_equal(timed, 3);
    side_free(side);
}

static void it_knows_its_peer(void **state)
{
    char address[46];
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    conn_remote_address(side->conn, address);
    assert_string_equal(address, "127.0.0.1");
    client_reset(fd);
    WAIT(&world, side->closes == 1);
    side_free(side);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

/* Whatever has come, a connection is given one full buffer in a turn of the loop. */
static void one_that_sends_much_does_not_keep_the_loop(void **state)
{
    static char much[8 * LOOP_READ_BUFFER];
    size_t sent = 0;
    int fd;

    (void)state;
    struct side *side = dial(&world, &fd, false);
    while (side->got.len < sizeof much) {
        while (sent < sizeof much) {
            ssize_t n = send(fd, much + sent, sizeof much - sent, MSG_NOSIGNAL);
            if (n < 0)
                break;
            sent += (size_t)n;
        }
        size_t before = side->got.len;
        loop_step(&world.loop);
        assert_true(side->got.len - before <= LOOP_READ_BUFFER);
    }
    hang_up(side, fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_sends_much_does_not_keep_the_loop),
        TEST(bytes_are_handed_up),
        TEST(what_is_left_comes_again_with_what_follows),
        TEST(the_rest_is_kept_in_memory_of_its_size),
        TEST(the_reader_may_change_the_bytes),
        TEST(paused_inside_it_leaves_the_rest),
        TEST(resumed_inside_it_goes_on),
        TEST(paused_outside_it_holds_up_the_peer),
        TEST(a_paused_connection_keeps_the_loop),
        TEST(the_rest_goes_to_the_new_owner),
        TEST(a_later_owner_gets_what_was_left),
        TEST(a_fin_is_told_after_all_bytes),
        TEST(a_fin_after_a_pause_is_told),
        TEST(a_reset_by_the_peer_is_an_error),
        TEST(an_error_while_paused_is_found_by_writing),
        TEST(last_words_are_heard_though_writing_fails),
        TEST(closing_inside_on_read),
        TEST(closing_inside_on_error_and_on_end),
        TEST(what_is_done_after_the_end_does_nothing),
        TEST(closing_sends_all_then_fin_and_awaits_the_peers),
        TEST(input_that_waits_is_discarded_when_it_closes),
        TEST(a_peer_that_sends_no_fin_is_left_after_a_while),
        TEST(a_reset_while_closing_is_silent),
        TEST(the_owners_timer),
        TEST(it_knows_its_peer),
    };
    alarm(300);
    return RUN_BOTH_WAYS(tests);
}
