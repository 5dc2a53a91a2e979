/* Several connections with one id: all are allowed, the newest stays, or the oldest does. */
#include "fake_room.h"

static void tell_all(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)event;
    assert_int_equal(fake_broadcast(room, "all", NULL, 0), 0);
}

static enum act fails(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    (void)event;
    return ACT_FAIL;
}

static void duplicates_may_be_allowed(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_TIMER, .what = tell_all}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");
    struct fake_peer *peers[3];

    for (size_t i = 0; i < 3; i++)
        peers[i] = fake_connect(fake, room, "a");
    fake_connect(fake, fake_room(fake, "s"), "a"); /* another room's is another's */
    room_timer_due(room, "t");
    fake_run(fake);
    fake_forget(fake);
    struct peer *peer = room_find_peer(room, span_of("a"));
    assert_ptr_equal(peer, &peers[2]->peer);
    assert_ptr_equal(peer = room_next_peer(peer), &peers[1]->peer);
    assert_ptr_equal(peer = room_next_peer(peer), &peers[0]->peer);
    assert_null(room_next_peer(peer));
    room_timer_due(room, "t");
    fake_run(fake);
    fake_expect(fake, "r:timer t; broadcast all to a a a");

    fake_gone(peers[1]);
    fake_run(fake);
    assert_ptr_equal(room_find_peer(room, span_of("a")), &peers[2]->peer);
    assert_ptr_equal(room_next_peer(&peers[2]->peer), &peers[0]->peer);
    fake_gone(peers[2]);
    fake_run(fake);
    assert_ptr_equal(room_find_peer(room, span_of("a")), &peers[0]->peer);
    assert_null(room_find_peer(room, span_of("b")));
    assert_int_equal(room->departures, 2);
    fake_end(fake);
}

static void duplicates_may_be_turned_away(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    fake->party.duplicate = DUPLICATE_REJECT;
    struct fake_peer *older = fake_connect(fake, room, "a");
    struct fake_peer *newer = fake_connect(fake, room, "a");
    fake_connect(fake, room, "b");
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join; a accept; a close 4409 This id is connected; "
                      "r:connect b; b join; b accept");
    assert_null(newer->peer.room);
    assert_ptr_equal(room_find_peer(room, span_of("a")), &older->peer);
    fake_gone_with(newer, 4409, "", true);
    fake_gone(older);
    fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake, "r:close a 1006; r:connect a; a join; a accept");
    assert_int_equal(fake->counters.sockets_opened, 4);
    assert_int_equal(fake->counters.sockets_closed, 2);
    fake_end(fake);
}

static void duplicates_may_be_replaced(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    fake->party.duplicate = DUPLICATE_REPLACE;
    struct fake_peer *older = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    struct fake_peer *newer = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake, "r:close a 4409 Replaced by a newer connection; "
                      "a close 4409 Replaced by a newer connection; r:connect a; a join; a accept");
    assert_true(older->closed && older->close_done && !newer->closed);
    assert_null(older->peer.room);
    assert_int_equal(room->n_peers, 1);
    fake_message(older, "too late");
    fake_gone_with(older, 4409, "", true);
    fake_run(fake);
    fake_expect(fake, "");
    assert_true(peer_open(&newer->peer));
    fake_end(fake);
}

static void replacing_takes_all_older_ones(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    for (int i = 0; i < 3; i++)
        fake_connect(fake, room, "a");
    fake->party.duplicate = DUPLICATE_REPLACE;
    fake_run(fake);
    struct fake_peer *newest = fake_connect(fake, room, "a");
    fake_run(fake);
    assert_int_equal(room->n_peers, 1);
    assert_ptr_equal(room_find_peer(room, span_of("a")), &newest->peer);
    fake_end(fake);
}

static enum act take_long(struct fake *fake, struct room *room, struct event *event)
{
    uint64_t until = clock_thread_ns() + 20u * NS_PER_MS;

    (void)fake;
    (void)room;
    (void)event;
    while (clock_thread_ns() < until)
        continue;
    return ACT_DONE;
}

static size_t times_said(struct fake *fake, const char *what)
{
    size_t n = 0;

    for (const char *at = (char *)fake->log.data; fake->log.len > 0 && (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* However many onClose there are, and however long each of them takes. */
static void others_come_between_those_who_make_way(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    for (int i = 0; i < 3; i++)
        fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake->party.duplicate = DUPLICATE_REPLACE;
    fake->handler = take_long;
    struct fake_peer *newest = fake_connect(fake, room, "a");
    for (size_t n = 0, turns = 0; !newest->accepted; turns++) {
        size_t ran = times_said(fake, "r:close") + times_said(fake, "r:connect");
        assert_in_range(ran, 0, 1);
        n += ran;
        assert_int_equal(times_said(fake, "r:connect"), 0);
        fake_forget(fake);
        loop_step(&fake->loop);
        assert_in_range(turns, 0, 20);
        assert_true(!newest->accepted || n == 3);
    }
    assert_int_equal(times_said(fake, "r:close"), 0);
    assert_int_equal(room->n_peers, 1);
    fake_end(fake);
}

/* It is not let in any more, but the older ones that were closed for it stay closed. */
static void a_newcomer_may_go_while_others_make_way(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    for (int i = 0; i < 2; i++)
        fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake->party.duplicate = DUPLICATE_REPLACE;
    struct fake_peer *newest = fake_connect(fake, room, "a");
    fake_expect(fake, "r:close a 4409 Replaced by a newer connection; "
                      "a close 4409 Replaced by a newer connection");
    fake_gone(newest);
    fake_run(fake);
    fake_expect(fake, "");
    assert_int_equal(room->n_peers, 1);
    assert_int_equal(room->n_events, 0);
    fake_end(fake);
}

static void a_peer_that_is_joining_can_be_replaced(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .act = ACT_WAIT}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    fake->party.duplicate = DUPLICATE_REPLACE;
    struct fake_peer *older = fake_connect(fake, room, "a");
    fake_run(fake);
    struct fake_peer *newer = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join; a close 4409 Replaced by a newer connection; "
                      "r:connect a; a join");
    fake_gone_with(older, 4409, "", true);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:close a 4409 Replaced by a newer connection");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; a accept");
    assert_true(newer->accepted);
    fake_end(fake);
}

static void a_replaced_peer_whose_connect_fails_gets_no_on_close(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .act = ACT_WAIT}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    fake->party.duplicate = DUPLICATE_REPLACE;
    fake_connect(fake, room, "a");
    fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake->resumed = fails;
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake");
    assert_int_equal(room->n_peers, 1);
    fake_end(fake);
}

static void the_on_close_of_a_replaced_peer_may_wait(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CLOSE, .act = ACT_WAIT}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    fake->party.duplicate = DUPLICATE_REPLACE;
    struct fake_peer *older = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_queue(fake);
    fake_connect(fake, room, "a");
    fake_message(older, "m"); /* comes too late, as does what follows */
    room_error(&older->peer, "e");
    fake_run(fake);
    fake_forget(fake);
    room_error(&older->peer, "e");
    fake_gone(older);
    fake_run(fake);
    fake_expect(fake, "");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake");
    assert_int_equal(room->n_peers, 1);
    assert_int_equal(fake->n_peers, 1);
    fake_end(fake);
}

/* What was to be said of the older one comes too late: its object must not be made again. */
static void events_of_a_replaced_peer_are_dropped(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    fake->party.duplicate = DUPLICATE_REPLACE;
    struct fake_peer *older = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    fake_connect(fake, room, "a");
    fake_message(older, "m");
    room_error(&older->peer, "e");
    fake_run(fake);
    fake_gone(older);
    fake_run(fake);
    fake_expect(fake, "r:close a 4409 Replaced by a newer connection; "
                      "a close 4409 Replaced by a newer connection; r:connect a; a join; a accept");
    assert_int_equal(fake->counters.messages_dropped, 1);
    fake_end(fake);
}

/* The older one's onClose waits for the store: the newcomer's onConnect comes when it is over. */
static enum act closes_wait_for_the_store(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    if (event->kind != EVENT_CLOSE)
        return ACT_DONE;
    room->input_closed = true;
    return ACT_WAIT;
}

static void an_on_close_that_waits_for_the_store_comes_first(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    fake->party.duplicate = DUPLICATE_REPLACE;
    struct room *room = fake_room(fake, "r");

    fake_connect(fake, room, "a");
    fake_run(fake);
    fake->handler = closes_wait_for_the_store;
    fake_forget(fake);
    struct fake_peer *newer = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake, "r:close a 4409 Replaced by a newer connection");
    assert_false(newer->accepted);
    struct fake_task *task = fake_task(fake, 0);
    task->woken = true;
    room_answer(room, task);
    fake_run(fake);
    assert_true(strstr((char *)fake->log.data, "r:wake; ") && strstr((char *)fake->log.data, "r:connect a"));
    assert_true(newer->accepted);
    assert_int_equal(fake->counters.sockets_opened, 2);
    fake_forget(fake);
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duplicates_may_be_allowed),
        cmocka_unit_test(duplicates_may_be_turned_away),
        cmocka_unit_test(duplicates_may_be_replaced),
        cmocka_unit_test(replacing_takes_all_older_ones),
        cmocka_unit_test(others_come_between_those_who_make_way),
        cmocka_unit_test(a_newcomer_may_go_while_others_make_way),
        cmocka_unit_test(a_peer_that_is_joining_can_be_replaced),
        cmocka_unit_test(a_replaced_peer_whose_connect_fails_gets_no_on_close),
        cmocka_unit_test(the_on_close_of_a_replaced_peer_may_wait),
        cmocka_unit_test(events_of_a_replaced_peer_are_dropped),
        cmocka_unit_test(an_on_close_that_waits_for_the_store_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
