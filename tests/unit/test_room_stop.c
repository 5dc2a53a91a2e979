/* The end of all rooms: what may still happen until then, and what the deadline cuts. */
#include "fake_room.h"

/* Longer than any test may take. */
#define LONG_MS (10u * FAKE_DEADLINE_MS)

static void stop(struct fake *fake, uint64_t grace_ms)
{
    rooms_stop(&fake->rooms, grace_ms, fake_on_empty, fake);
}

static void finish(struct fake *fake)
{
    fake_wait(fake, fake_is_empty);
    assert_int_equal(fake->n_vms, 0);
    assert_null(rooms_find(&fake->rooms, span_of("main"), span_of("r")));
}

/* Handlers wait for whose event the test has set a bit in *user. */
static enum act waits(struct fake *fake, struct room *room, struct event *event)
{
    const unsigned *kinds = fake->user;
    (void)room;
    return *kinds & 1u << event->kind ? ACT_WAIT : ACT_DONE;
}

static struct fake *begin(unsigned *kinds)
{
    struct fake *fake = fake_begin(NULL);
    fake->handler = waits;
    fake->user = kinds;
    return fake;
}

static void without_rooms_it_is_over_at_once(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);

    stop(fake, LONG_MS);
    assert_false(fake->empty); /* not from within the call */
    finish(fake);
    fake_end(fake);
}

static void idle_rooms_stop(void **state)
{
    (void)state;
    unsigned kinds = 0;
    struct fake *fake = begin(&kinds);
    struct fake_exchange x, y;

    fake_request(fake, fake_room(fake, "r"), &x, "x");
    fake_request(fake, fake_room(fake, "s"), &y, "y");
    fake_run(fake);
    fake_room(fake, "never started");
    fake_forget(fake);
    stop(fake, LONG_MS);
    finish(fake);
    fake_expect(fake, "r:stop; r:end; s:stop; s:end");
    assert_int_equal(fake->counters.rooms_stopped, 2);
    fake_end(fake);
}

static void what_waits_in_inboxes_runs(void **state)
{
    (void)state;
    unsigned kinds = 0;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r"), *other = fake_room(fake, "s");
    struct fake_exchange x, y;

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    fake_message(a, "1");
    fake_request(fake, other, &x, "x"); /* a room that has not begun */
    fake_request(fake, room, &y, "y");
    stop(fake, LONG_MS);
    finish(fake);
    fake_expect(fake, "r:message a 1; r:request y; y = 200 r; s:start; s:request x; x = 200 s; "
                      "r:stop; r:end; s:stop; s:end");
    assert_null(a->peer.room); /* it stays connected, without a room */
    assert_false(a->closed);
    fake_message(a, "2");
    assert_true(room_peer_ready(&a->peer));
    fake_end(fake);
}

static void nothing_new_is_let_in(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_MESSAGE;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_message(a, "1");
    fake_run(fake);
    fake_forget(fake);
    stop(fake, LONG_MS);
    assert_null(rooms_get(&fake->rooms, &fake->party, span_of("main"), span_of("new")));
    assert_ptr_equal(rooms_get(&fake->rooms, &fake->party, span_of("main"), span_of("r")), room);
    fake_request(fake, room, &x, "x");
    fake_connect(fake, room, "b");
    assert_false(room_peer_ready(&a->peer));
    a->blocked = true;
    fake_expect(fake, "x = 503; b refuse 503");
    room_timer_due(room, "t"); /* steps of the room do not let the peer read on */
    fake_run(fake);
    fake_wake(fake, 0);
    finish(fake);
    fake_expect(fake, "r:timer t; r:wake; r:stop; r:end");
    fake_end(fake);
}

static void handlers_that_wait_may_finish(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_REQUEST;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    room_hold(room); /* timers do not delay the stop */
    fake_request(fake, room, &x, "x");
    fake_run(fake);
    stop(fake, LONG_MS);
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "r:start; r:request x");
    fake_wake(fake, 0);
    finish(fake);
    fake_expect(fake, "r:wake; x = 200 r; r:stop; r:end");
    fake_end(fake);
}

static void peers_that_are_joining_may_finish(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_CONNECT;
    struct fake *fake = begin(&kinds);

    struct fake_peer *a = fake_connect(fake, fake_room(fake, "r"), "a");
    fake_run(fake);
    stop(fake, LONG_MS);
    fake_wake(fake, 0);
    finish(fake);
    fake_expect(fake, "r:start; r:connect a; a join; r:wake; a accept; r:stop; r:end");
    assert_int_equal(a->peer.state, PEER_GONE);
    fake_end(fake);
}

static void on_start_and_on_stop_may_finish(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_START | 1u << EVENT_STOP;
    struct fake *fake = begin(&kinds);
    struct fake_exchange x;

    fake_request(fake, fake_room(fake, "r"), &x, "x");
    stop(fake, LONG_MS);
    fake_run(fake);
    fake_expect(fake, "r:start");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:request x; x = 200 r; r:stop");
    fake_wake(fake, 0);
    finish(fake);
    fake_expect(fake, "r:wake; r:end");
    fake_end(fake);
}

static void closes_are_told_until_then(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_MESSAGE;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    struct fake_peer *b = fake_connect(fake, room, "b");
    fake_message(a, "1");
    fake_run(fake);
    fake_forget(fake);
    stop(fake, LONG_MS);
    fake_gone(b);
    fake_run(fake);
    fake_expect(fake, "r:close b 1006");
    fake_wake(fake, 0);
    finish(fake);
    fake_expect(fake, "r:wake; r:stop; r:end");
    fake_end(fake);
}

static void writes_become_durable_first(void **state)
{
    (void)state;
    unsigned kinds = 0;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_forget(fake);
    room_turn_begin(room);
    fake_write(room);
    room_turn_end(room);
    stop(fake, LONG_MS);
    fake_run(fake);
    fake_expect(fake, "");
    fake_durable(room, 1);
    finish(fake);
    fake_expect(fake, "r:stop; r:end");
    fake_end(fake);
}

static enum act on_stop_takes_long(struct fake *fake, struct room *room, struct event *event)
{
    uint64_t until = clock_thread_ns() + 20u * NS_PER_MS;

    (void)fake;
    (void)room;
    while (event->kind == EVENT_STOP && clock_thread_ns() < until)
        continue;
    return ACT_DONE;
}

/* One turn; returns how many onStop have run in it. */
static int stops_in_a_turn(struct fake *fake)
{
    int n = 0;

    fake_forget(fake);
    loop_step(&fake->loop);
    for (const char *at = (char *)fake->log.data; fake->log.len > 0 && (at = strstr(at, ":stop")) != NULL;
         at++)
        n++;
    return n;
}

/* However many rooms there are: the deadline is seen between two of them. */
static void on_stop_of_many_rooms_takes_turns(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_exchange exchanges[6];
    char id[8];
    int n = 0;

    for (size_t i = 0; i < 6; i++) {
        snprintf(id, sizeof id, "%zu", i);
        fake_request(fake, fake_room(fake, id), &exchanges[i], "x");
    }
    fake_run(fake);
    fake->handler = on_stop_takes_long;
    stop(fake, LONG_MS);
    for (int turns = 0; n < 2; turns++) {
        int ran = stops_in_a_turn(fake);
        assert_in_range(ran, 0, 1);
        assert_in_range(turns, 0, 10);
        n += ran;
    }
    timer_start(&fake->loop, &fake->rooms.evict, 0); /* the deadline */
    while (!fake->rooms.stop_forced || n < 4) {
        int ran = stops_in_a_turn(fake);
        assert_in_range(ran, 0, 1);
        n += ran;
    }
    timer_start(&fake->loop, &fake->rooms.evict, 0); /* the end */
    while (!fake->empty) {
        n += stops_in_a_turn(fake);
        assert_in_range(n, 4, 5);
    }
    fake_end(fake);
}

static enum act goes_on_for_long(struct fake *fake, struct room *room, struct event *event)
{
    uint64_t until = clock_thread_ns() + 20u * NS_PER_MS;

    (void)fake;
    (void)room;
    (void)event;
    while (clock_thread_ns() < until)
        continue;
    return ACT_WAIT;
}

static void turn_with_a_wake(struct fake *fake)
{
    if (fake->n_tasks > 0 && !fake_task(fake, 0)->woken)
        fake_wake(fake, 0);
    loop_step(&fake->loop);
}

/* A handler that takes long in each turn, and goes on in the next, does not keep the others from their onStop; nor does
 * it go on behind the deadline. */
static void a_busy_handler_does_not_hold_up_the_others(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_MESSAGE;
    struct fake *fake = begin(&kinds);
    struct room *busy = fake_room(fake, "busy"), *idle = fake_room(fake, "idle");
    struct fake_exchange x;

    fake->resumed = goes_on_for_long;
    fake_message(fake_connect(fake, busy, "a"), "m");
    fake_request(fake, idle, &x, "x");
    fake_run(fake);
    fake_forget(fake);
    stop(fake, LONG_MS);
    for (int turns = 0; rooms_find(&fake->rooms, span_of("main"), span_of("idle")); turns++) {
        turn_with_a_wake(fake);
        assert_in_range(turns, 0, 20);
    }
    timer_start(&fake->loop, &fake->rooms.evict, 0); /* the deadline */
    fake_forget(fake);
    for (int turns = 0; !fake->empty; turns++) {
        turn_with_a_wake(fake);
        if (!fake->rooms.stop_forced)
            fake_forget(fake);
        assert_in_range(turns, 0, 20);
    }
    fake_expect(fake, "busy:stop; busy:end");
    fake_end(fake);
}

/* An event before it, and its onStop, in different turns too. */
static void on_stop_comes_in_a_turn_of_its_own(void **state)
{
    (void)state;
    unsigned kinds = 0;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    fake_request(fake, room, &x, "x");
    stop(fake, LONG_MS);
    room_step(room);
    fake_expect(fake, "r:request x; x = 200 r");
    finish(fake);
    fake_expect(fake, "r:stop; r:end");
    fake_end(fake);
}

/* ---- the deadline ---- */

static void the_deadline_cuts_handlers_that_wait(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_REQUEST | 1u << EVENT_CONNECT | 1u << EVENT_MESSAGE;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake_request(fake, room, &x, "x");
    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    stop(fake, 1);
    finish(fake);
    fake_expect(fake, "r:stop; r:end; x = 500");
    assert_int_equal(a->peer.state, PEER_GONE);
    assert_false(a->accepted || a->closed); /* edge ends it */
    fake_end(fake);
}

static void the_deadline_cuts_what_waits_in_inboxes(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_START;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r"), *full = fake_room(fake, "s");
    struct fake_exchange x, y, z;

    fake_request(fake, room, &x, "x");
    fake_connect(fake, room, "a");
    kinds = 0;
    fake_request(fake, full, &y, "y");
    fake_run(fake);
    full->input_closed = true;
    fake_request(fake, full, &z, "z");
    fake_run(fake);
    fake_forget(fake);
    stop(fake, 1);
    finish(fake);
    fake_expect(fake, "r:end; x = 503; a refuse 503; s:stop; s:end; z = 503"); /* onStop needs onStart */
    fake_end(fake);
}

static void an_on_stop_that_does_not_end_is_cut(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_STOP;
    struct fake *fake = begin(&kinds);
    struct fake_exchange x;

    fake_request(fake, fake_room(fake, "r"), &x, "x");
    fake_run(fake);
    fake_forget(fake);
    stop(fake, 1);
    finish(fake);
    fake_expect(fake, "r:stop; r:end");
    fake_end(fake);
}

static void on_stop_after_the_deadline_may_wait_for_a_while(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_MESSAGE | 1u << EVENT_STOP;
    struct fake *fake = begin(&kinds);

    struct fake_peer *a = fake_connect(fake, fake_room(fake, "r"), "a");
    fake_message(a, "m");
    fake_run(fake);
    fake_forget(fake);
    stop(fake, LONG_MS);
    timer_start(&fake->loop, &fake->rooms.evict, 0);
    while (fake->n_tasks < 2)
        loop_step(&fake->loop);
    fake_expect(fake, "r:stop");
    timer_start(&fake->loop, &fake->rooms.evict, LONG_MS); /* however long this takes */
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake"); /* handlers go on as well */
    fake_wake(fake, 0);
    finish(fake);
    fake_expect(fake, "r:wake; r:end");
    fake_end(fake);
}

static void the_deadline_leaves_an_on_stop_that_waits_its_time(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_STOP;
    struct fake *fake = begin(&kinds);
    struct fake_exchange x;

    fake_request(fake, fake_room(fake, "r"), &x, "x");
    fake_run(fake);
    stop(fake, LONG_MS);
    timer_start(&fake->loop, &fake->rooms.evict, 0);
    while (!fake->rooms.stop_forced)
        loop_step(&fake->loop);
    timer_start(&fake->loop, &fake->rooms.evict, LONG_MS); /* however long this takes */
    fake_run(fake);
    fake_expect(fake, "r:start; r:request x; x = 200 r; r:stop");
    fake_wake(fake, 0);
    finish(fake);
    fake_expect(fake, "r:wake; r:end");
    fake_end(fake);
}

static void an_eviction_under_way_goes_on(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_STOP;
    struct fake *fake = begin(&kinds);
    struct fake_exchange x, y;
    struct room *room = fake_room(fake, "r");

    fake_request(fake, room, &x, "x");
    fake_run(fake);
    room_stop(room);
    fake_request(fake, room, &y, "y");
    fake_run(fake);
    fake_forget(fake);
    stop(fake, LONG_MS);
    fake_run(fake);
    fake_expect(fake, "");
    fake_wake(fake, 0);
    finish(fake);
    fake_expect(fake, "r:wake; r:end; y = 503");
    fake_end(fake);
}

/* ---- at once ---- */

static void rooms_are_dropped_in_every_state(void **state)
{
    (void)state;
    unsigned kinds = 1u << EVENT_START;
    struct fake *fake = begin(&kinds);
    struct fake_exchange x, y, z;

    fake_request(fake, fake_room(fake, "starting"), &x, "x");
    fake_connect(fake, fake_room(fake, "starting"), "a");
    kinds = 1u << EVENT_REQUEST | 1u << EVENT_STOP | 1u << EVENT_CLOSE;
    fake_request(fake, fake_room(fake, "running"), &y, "y");
    fake_connect(fake, fake_room(fake, "running"), "b");
    struct fake_peer *closing = fake_connect(fake, fake_room(fake, "running"), "c");
    struct fake_peer *ended = fake_connect(fake, fake_room(fake, "running"), "d");
    struct fake_peer *away = fake_connect(fake, fake_room(fake, "running"), "e");
    fake_connect(fake, fake_room(fake, "stopping"), "f");
    fake_run(fake);
    room_close_peer(&closing->peer, 4000, "", 0);
    fake_gone(away); /* its onClose waits */
    fake_run(fake);
    fake_queue(fake);
    fake_gone(ended); /* its onClose is in the inbox */
    fake_message(closing, "m");
    fake_request(fake, fake_room(fake, "new"), &z, "z");
    room_stop(fake_room(fake, "stopping"));
    assert_int_equal(fake_room(fake, "starting")->state, ROOM_STARTING);
    assert_int_equal(fake_room(fake, "running")->state, ROOM_RUNNING);
    assert_int_equal(fake_room(fake, "stopping")->state, ROOM_STOPPING);
    assert_int_equal(fake_room(fake, "new")->state, ROOM_NEW);
    fake_forget(fake);
    rooms_drop(&fake->rooms);
    fake_expect(fake, "starting:end; x = 503; a refuse 503; running:end; y = 500; stopping:end; z = 503");
    assert_int_equal(fake->rooms.n_rooms, 0);
    list_each(it, &fake->peers)
        assert_null(container_of(it, struct fake_peer, link)->peer.room);
    assert_null(rooms_get(&fake->rooms, &fake->party, span_of("main"), span_of("new")));
    fake_end(fake);
}

static void dropped_rooms_have_nothing_to_do(void **state)
{
    (void)state;
    unsigned kinds = 0;
    struct fake *fake = begin(&kinds);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake_connect(fake, room, "a");
    fake_queue(fake);
    fake_request(fake, room, &x, "x");
    rooms_drop(&fake->rooms);
    /* It is there until the end of the turn, and asking it for anything changes nothing. */
    assert_int_equal(room->state, ROOM_GONE);
    room_settle(room);
    room_schedule(room);
    room_remove(room);
    assert_true(!rooms_busy(&fake->rooms) && list_empty(&fake->rooms.idle));
    fake_run(fake);
    assert_true(list_empty(&fake->rooms.dead));
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rooms_it_is_over_at_once),
        cmocka_unit_test(idle_rooms_stop),
        cmocka_unit_test(what_waits_in_inboxes_runs),
        cmocka_unit_test(nothing_new_is_let_in),
        cmocka_unit_test(handlers_that_wait_may_finish),
        cmocka_unit_test(peers_that_are_joining_may_finish),
        cmocka_unit_test(on_start_and_on_stop_may_finish),
        cmocka_unit_test(closes_are_told_until_then),
        cmocka_unit_test(writes_become_durable_first),
        cmocka_unit_test(on_stop_of_many_rooms_takes_turns),
        cmocka_unit_test(a_busy_handler_does_not_hold_up_the_others),
        cmocka_unit_test(on_stop_comes_in_a_turn_of_its_own),
        cmocka_unit_test(the_deadline_cuts_handlers_that_wait),
        cmocka_unit_test(the_deadline_cuts_what_waits_in_inboxes),
        cmocka_unit_test(an_on_stop_that_does_not_end_is_cut),
        cmocka_unit_test(on_stop_after_the_deadline_may_wait_for_a_while),
        cmocka_unit_test(the_deadline_leaves_an_on_stop_that_waits_its_time),
        cmocka_unit_test(an_eviction_under_way_goes_on),
        cmocka_unit_test(rooms_are_dropped_in_every_state),
        cmocka_unit_test(dropped_rooms_have_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
