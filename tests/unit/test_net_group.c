/* Groups: each member gets every message that is for it, in order with its own, once. */
#include "net_driver.h"

static struct world world;
static struct conn_group group;

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

static void turn(int times)
{
    for (int i = 0; i < times; i++)
        loop_step(&world.loop);
}

static void say(const char *text)
{
    size_t half = strlen(text) / 2;
    conn_group_write(&group, text, half, text + half, strlen(text) - half, NULL, 0);
}

static void say_without(const char *text, struct conn *const *without, size_t n)
{
    conn_group_write(&group, text, strlen(text), NULL, 0, without, n);
}

static void write_text(struct side *side, const char *text)
{
    conn_write(side->conn, text, strlen(text));
}

#define MEMBERS 4

struct member {
    struct side *side;
    int fd;
};

static struct member members[MEMBERS];

static void meet(void)
{
    for (int i = 0; i < MEMBERS; i++) {
        members[i].side = dial(&world, &members[i].fd, false);
        conn_group_join(&group, members[i].side->conn);
    }
    assert_int_equal(group.n_members, MEMBERS);
}

static void part(void)
{
    for (int i = 0; i < MEMBERS; i++)
        hang_up(members[i].side, members[i].fd);
    assert_int_equal(group.n_members, 0);
}

/* The member has received this text since it was last asked, and nothing else. */
static void assert_heard(int i, const char *text)
{
    struct buf got = {0};
    client_expect(&world, members[i].fd, &got, strlen(text));
    turn(2);
    assert_int_equal(client_read(members[i].fd, &got, 1000), 1);
    assert_bytes(&got, text);
    buf_fini(&got);
}

/* ---- who gets what ---- */

static void all_members_get_all_messages_with_one_call_each(void **state)
{
    (void)state;
    meet();
    uint64_t writes = world.net.writes;
    for (int i = 0; i < 10; i++)
        say("tick ");
    assert_int_equal(conn_pending(members[0].side->conn), 50);
    for (int i = 0; i < MEMBERS; i++)
        assert_heard(i, "tick tick tick tick tick tick tick tick tick tick ");
    assert_int_equal(world.net.writes, writes + MEMBERS);
    assert_null(group.log);
    assert_int_equal(conn_pending(members[0].side->conn), 0);
    say("");
    turn(3);
    assert_int_equal(world.net.writes, writes + MEMBERS);
    part();
}

static void nobody_is_no_problem(void **state)
{
    (void)state;
    say("hello?");
    assert_null(group.log);
    turn(1);
}

static void own_messages_keep_their_place(void **state)
{
    (void)state;
    meet();
    uint64_t writes = world.net.writes;
    write_text(members[0].side, "a");
    say("B");
    write_text(members[0].side, "c");
    write_text(members[1].side, "x");
    say("D");
    say("E");
    write_text(members[0].side, "f");
    assert_heard(0, "aBcDEf");
    assert_heard(1, "BxDE");
    assert_heard(2, "BDE");
    assert_heard(3, "BDE");
    assert_int_equal(world.net.writes, writes + MEMBERS);
    part();
}

static void those_left_out_get_the_others(void **state)
{
    struct side *stranger;
    int fd;
    (void)state;
    meet();
    stranger = dial(&world, &fd, false);
    struct conn *c[MEMBERS];
    for (int i = 0; i < MEMBERS; i++)
        c[i] = members[i].side->conn;
    uint64_t writes = world.net.writes;

    say("A");
    say_without("b", (struct conn *[]){c[0]}, 1);
    say("C");
    say_without("d", (struct conn *[]){c[0], c[0], c[1], stranger->conn, c[0]}, 5);
    say_without("e", (struct conn *[]){c[1], c[0]}, 2);
    say("F");
    say_without("g", c, MEMBERS);
    say_without("h", c, 2);
    assert_heard(0, "ACF");
    assert_heard(1, "AbCF");
    assert_heard(2, "AbCdeFh");
    assert_heard(3, "AbCdeFh");
    assert_int_equal(world.net.writes, writes + MEMBERS);

    /* In a new turn nobody is left out. */
    say_without("i", c, 1);
    turn(1);
    say("J");
    assert_heard(0, "J");
    assert_heard(1, "iJ");
    assert_heard(2, "iJ");
    assert_heard(3, "iJ");
    hang_up(stranger, fd);
    part();
}

/* Long shares are referred to, not copied; both ways have to do. */
static void leaving_out_works_with_long_messages_too(void **state)
{
    static char text[3000];
    struct buf got = {0};
    (void)state;
    meet();
    struct conn *first = members[0].side->conn;

    for (int i = 0; i < 100; i++) {
        memset(text, 'a' + i % 26, sizeof text - 1);
        say_without(text, &first, i % 3 == 0);
        if (i % 5 == 0)
            write_text(members[1].side, "own");
    }
    for (int m = 0; m < 2; m++) {
        got.len = 0;
        client_expect(&world, members[m].fd, &got, m == 0 ? 66u * 2999 : 100u * 2999 + 20 * 3);
        size_t at = 0;
        for (int i = 0; i < 100; i++) {
            if (m == 0 && i % 3 == 0)
                continue;
            for (size_t j = 0; j < 2999; j++)
                assert_int_equal(got.data[at + j], 'a' + i % 26);
            at += 2999;
            if (m == 1 && i % 5 == 0) {
                assert_memory_equal(got.data + at, "own", 3);
                at += 3;
            }
        }
        assert_int_equal(at, got.len);
    }
    buf_fini(&got);
    part();
}

static void joining_and_leaving_in_mid_turn(void **state)
{
    (void)state;
    meet();
    struct conn *c = members[0].side->conn;

    conn_group_leave(c);
    conn_group_leave(c);
    assert_int_equal(group.n_members, MEMBERS - 1);
    say("a");
    conn_group_join(&group, c);
    say("b");
    write_text(members[0].side, "-");
    say("c");
    conn_group_leave(c); /* what was said so far is still for it */
    say("d");
    conn_group_join(&group, c);
    say("e");
    assert_heard(0, "b-ce");
    assert_heard(1, "abcde");
    say("f");
    conn_group_leave(c); /* and nothing else happens to it */
    assert_heard(0, "f");
    part();
}

static void from_one_group_to_another_within_a_turn(void **state)
{
    struct conn_group other;
    (void)state;
    conn_group_init(&other, &world.net);
    meet();
    struct conn *c = members[0].side->conn;

    for (int i = 0; i < 200; i++)
        say("aaaaaaaaaa");
    conn_group_leave(c);
    conn_group_join(&other, c);
    for (int i = 0; i < 200; i++)
        conn_group_write(&other, "bbbbbbbbbb", 10, NULL, 0, NULL, 0);
    for (int i = 0; i < 5000; i++) /* the log that c's share refers to moves as it grows */
        say("cccccccccc");
    conn_group_leave(c);
    conn_group_join(&group, c);
    say("d");
    struct buf got = {0};
    client_expect(&world, members[0].fd, &got, 4001);
    assert_memory_equal(got.data, "aaaaaaaaaa", 10);
    for (size_t i = 0; i < 4000; i++)
        assert_int_equal(got.data[i], i < 2000 ? 'a' : 'b');
    assert_int_equal(got.data[4000], 'd');
    got.len = 0;
    client_expect(&world, members[1].fd, &got, 52001);
    buf_fini(&got);
    part();
    conn_group_fini(&other);
}

/* The flush in mid-turn of one group may leave libuv writing from another's log: that one must
 * not grow, and move, any more. */
static void a_log_that_is_being_written_stays_where_it_is(void **state)
{
    static char text[300001];
    struct conn_group other;
    struct buf got = {0};
    int fd;
    (void)state;
    conn_group_init(&other, &world.net);
    meet();
    struct side *slow = dial(&world, &fd, true);
    conn_group_join(&group, slow->conn);

    memset(text, 'a', 20000);
    text[20000] = '\0';
    say(text);
    conn_group_leave(slow->conn);
    conn_group_join(&other, slow->conn);
    memset(text, 'b', sizeof text - 1);
    conn_group_write(&other, text, sizeof text - 1, NULL, 0, NULL, 0);
    assert_true(slow->conn->in_flight > 0);
    for (int i = 0; i < 10; i++) {
        text[20000] = '\0';
        say(text);
    }
    client_expect(&world, fd, &got, 20000 + sizeof text - 1);
    for (size_t i = 0; i < got.len; i++)
        assert_int_equal(got.data[i], i < 20000 ? 'a' : 'b');
    buf_fini(&got);
    hang_up(slow, fd);
    part();
    conn_group_fini(&other);
}

/* More pieces of its own than one system call takes come before the group's. */
static void many_pieces_of_its_own_come_first(void **state)
{
    struct bytes *bytes = bytes_new(2000);
    struct buf got = {0};
    (void)state;
    meet();
    memset(bytes->data, 'o', bytes->len);
    for (int i = 0; i < 150; i++)
        conn_write_bytes(members[0].side->conn, bytes, 0, bytes->len);
    say("group");
    client_expect(&world, members[0].fd, &got, 150 * 2000 + 5);
    for (size_t i = 0; i < got.len - 5; i++)
        assert_int_equal(got.data[i], 'o');
    assert_memory_equal(got.data + got.len - 5, "group", 5);
    assert_int_equal(bytes->refs, 1);
    bytes_unref(bytes);
    buf_fini(&got);
    part();
}

/* ---- closing ---- */

static void a_member_that_closes_gets_what_was_said_before(void **state)
{
    (void)state;
    meet();
    say("a");
    conn_close(members[0].side->conn);
    assert_int_equal(group.n_members, MEMBERS - 1);
    say("b");
    conn_reset(members[1].side->conn);
    say("c");
    struct buf got = {0};
    WAIT(&world, client_read(members[0].fd, &got, 100) == 0);
    assert_bytes(&got, "a");
    got.len = 0;
    int rc;
    WAIT(&world, (rc = client_read(members[1].fd, &got, 100)) <= 0);
    assert_int_equal(rc, -ECONNRESET);
    assert_int_equal(got.len, 0);
    buf_fini(&got);
    assert_heard(2, "abc");
    part();
}

static size_t say_then_close(struct side *side, uint8_t *data, size_t len)
{
    (void)data;
    say("last words;");
    if (side->user)
        conn_reset(side->conn);
    else
        conn_close(side->conn);
    say("of the others;");
    return len;
}

static void closing_inside_a_callback(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        meet();
        members[0].side->on_read = say_then_close;
        members[0].side->user = reset ? &group : NULL;
        client_send(&world, members[0].fd, "x", 1);
        for (int i = 1; i < MEMBERS; i++)
            assert_heard(i, "last words;of the others;");
        assert_int_equal(group.n_members, MEMBERS - 1);
        part();
    }
}

static void a_peer_that_went_away_does_not_disturb_the_others(void **state)
{
    (void)state;
    meet();
    conn_pause(members[1].side->conn); /* writing finds it out */
    client_reset(members[1].fd);
    members[1].fd = -1;
    turn(2);
    say("a");
    say("b");
    assert_heard(0, "ab");
    WAIT(&world, members[1].side->closes == 1);
    assert_int_equal(members[1].side->errors, 1);
    assert_int_equal(group.n_members, MEMBERS - 1);
    say("c");
    assert_heard(3, "abc");
    part();
}

/* ---- held and slow ones ---- */

static void a_held_member_gets_all_later(void **state)
{
    (void)state;
    meet();
    conn_hold(members[0].side->conn);
    write_text(members[0].side, "101 ");
    say("a");
    turn(3);
    say("b");
    write_text(members[0].side, " own ");
    turn(3);
    say("c");
    assert_heard(1, "abc");
    turn(3);
    say("d");
    conn_release(members[0].side->conn);
    say("e");
    assert_heard(0, "101 ab own cde");
    part();
}

/* One that does not read keeps its share of every log, and no other is held up by it. */
static void a_slow_member_gets_all_in_the_end(void **state)
{
    char text[500];
    struct buf got = {0}, expected = {0};
    int fd;
    (void)state;
    meet();
    struct side *slow = dial(&world, &fd, true);
    conn_group_join(&group, slow->conn);

    for (int i = 0; i < 1000; i++) {
        int len = snprintf(text, sizeof text, "message %d %0*d;", i, 10 + i % 400, i);
        say(text);
        assert_int_equal(buf_append(&expected, text, (size_t)len), 0);
        if (i % 7 == 0) {
            write_text(slow, "own;");
            assert_int_equal(buf_append(&expected, "own;", 4), 0);
        }
        if (i % 3 == 0)
            turn(1);
        for (int m = 0; m < MEMBERS; m++)
            client_read(members[m].fd, &got, 100000);
        got.len = 0;
    }
    assert_true(conn_pending(slow->conn) > 100000);
    client_expect(&world, fd, &got, expected.len);
    assert_int_equal(got.len, expected.len);
    assert_memory_equal(got.data, expected.data, expected.len);
    buf_fini(&got);
    buf_fini(&expected);
    hang_up(slow, fd);
    part();
}

static void a_member_that_never_reads_overflows(void **state)
{
    static char text[10001];
    int fd;
    (void)state;
    struct side *slow = dial(&world, &fd, true);

    memset(text, 'x', sizeof text - 1);
    conn_group_join(&group, slow->conn);
    size_t said = 0;
    while (slow->overflows == 0) {
        say(text);
        said += 10000;
        turn(1);
        assert_true(said < 2u << 20);
    }
    assert_in_range(conn_pending(slow->conn), 1 << 20, (1 << 20) + 20000);
    assert_int_equal(slow->overflows, 1);
    hang_up(slow, fd);
}

/* A turn that says a lot is sent in between: the log does not grow without end. */
static void a_long_turn_is_sent_in_parts(void **state)
{
    static char text[50001];
    struct buf got = {0};
    int fd;
    (void)state;
    struct side *side = dial(&world, &fd, false);

    memset(text, 'x', sizeof text - 1);
    conn_group_join(&group, side->conn);
    side->conn->limit = SIZE_MAX;
    for (int i = 0; i < 100; i++) {
        say(text);
        assert_true(!group.log || group.log->cap <= 1 << 20);
    }
    client_expect(&world, fd, &got, 100 * 50000);
    buf_fini(&got);
    hang_up(side, fd);
}

/* ---- memory ---- */

static void logs_are_used_again_and_not_kept_by_groups(void **state)
{
    (void)state;
    meet();
    say("a");
    struct bytes *log = group.log;
    assert_heard(0, "a");
    assert_null(group.log);
    assert_int_equal(world.net.n_logs, 1);
    say("b");
    assert_ptr_equal(group.log, log);
    assert_int_equal(world.net.n_logs, 0);
    turn(1);
    part();
}

static void no_memory_for_a_message_is_an_error_of_those_it_is_for(void **state)
{
    (void)state;
    meet();
    struct conn *spared = members[2].side->conn;

    say("a");
    conn_group_write(&group, "b", 1, "c", SIZE_MAX / 2, &spared, 1);
    say("d");
    assert_heard(2, "ad");
    for (int i = 0; i < MEMBERS; i++) {
        if (i != 2)
            WAIT(&world, members[i].side->closes == 1);
        assert_int_equal(members[i].side->errors, i != 2);
        assert_int_equal(members[i].side->error, i != 2 ? -ENOMEM : 0);
    }
    assert_int_equal(group.n_members, 1);
    part();
}

/* ---- many ---- */

#define CROWD 1000

static size_t publish(struct side *side, uint8_t *data, size_t len)
{
    conn_group_write(&group, "<", 1, data, len, &side->conn, 1);
    return len;
}

static void a_thousand_members(void **state)
{
    static struct member crowd[CROWD];
    struct buf got = {0};
    (void)state;

    for (int i = 0; i < CROWD; i++) {
        crowd[i].side = dial(&world, &crowd[i].fd, false);
        crowd[i].side->on_read = publish;
        conn_group_join(&group, crowd[i].side->conn);
    }
    uint64_t writes = world.net.writes;
    for (int i = 0; i < 50; i++)
        say("broadcast;");
    WAIT(&world, world.net.writes == writes + CROWD);
    for (int i = 0; i < CROWD; i++) {
        got.len = 0;
        client_expect(&world, crowd[i].fd, &got, 500);
    }

    /* All publish; each hears everybody but itself. */
    for (int i = 0; i < CROWD; i++) {
        char text[16];
        snprintf(text, sizeof text, "%04d", i);
        client_send(&world, crowd[i].fd, text, 4);
    }
    for (int i = 0; i < CROWD; i++) {
        bool heard[CROWD] = {false};
        got.len = 0;
        client_expect(&world, crowd[i].fd, &got, (CROWD - 1) * 5);
        for (size_t at = 0; at < got.len; at += 5) {
            int who;
            assert_int_equal(sscanf((const char *)got.data + at, "<%4d", &who), 1);
            assert_false(heard[who]);
            assert_int_not_equal(who, i);
            heard[who] = true;
        }
    }
    buf_fini(&got);
    for (int i = 0; i < CROWD; i++)
        hang_up(crowd[i].side, crowd[i].fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_members_get_all_messages_with_one_call_each),
        TEST(nobody_is_no_problem),
        TEST(own_messages_keep_their_place),
        TEST(those_left_out_get_the_others),
        TEST(leaving_out_works_with_long_messages_too),
        TEST(joining_and_leaving_in_mid_turn),
        TEST(from_one_group_to_another_within_a_turn),
        TEST(a_log_that_is_being_written_stays_where_it_is),
        TEST(many_pieces_of_its_own_come_first),
        TEST(a_member_that_closes_gets_what_was_said_before),
        TEST(closing_inside_a_callback),
        TEST(a_peer_that_went_away_does_not_disturb_the_others),
        TEST(a_held_member_gets_all_later),
        TEST(a_slow_member_gets_all_in_the_end),
        TEST(a_member_that_never_reads_overflows),
        TEST(a_long_turn_is_sent_in_parts),
        TEST(logs_are_used_again_and_not_kept_by_groups),
        TEST(no_memory_for_a_message_is_an_error_of_those_it_is_for),
        TEST(a_thousand_members),
    };
    alarm(300);
    return RUN_BOTH_WAYS(tests);
}
