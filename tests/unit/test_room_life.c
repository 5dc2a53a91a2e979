/* A room's life: made by its first event, onStart, failures of it, timers, eviction and onStop. */
#include "fake_room.h"

static const struct room_limits soon = {.events = 1024, .handlers = 256, .idle_ms = 1, .output = 1 << 20};

static enum act start_waits(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_START ? ACT_WAIT : ACT_DONE;
}

static enum act start_fails(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_START ? ACT_FAIL : ACT_DONE;
}

static enum act stop_waits(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_STOP ? ACT_WAIT : ACT_DONE;
}

static enum act fails(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    (void)event;
    return ACT_FAIL;
}

static bool no_rooms(struct fake *fake)
{
    return fake->rooms.n_rooms == 0;
}

static bool one_room(struct fake *fake)
{
    return fake->rooms.n_rooms == 1;
}

static bool a_task(struct fake *fake)
{
    return fake->n_tasks > 0;
}

/* ---- the beginning ---- */

static void the_first_event_makes_the_room(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_exchange x, y;

    assert_null(rooms_find(&fake->rooms, span_of("main"), span_of("r")));
    struct room *room = fake_room(fake, "r");
    assert_ptr_equal(rooms_find(&fake->rooms, span_of("main"), span_of("r")), room);
    assert_int_equal(room->state, ROOM_NEW);
    fake_expect(fake, "");

    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_expect(fake, "r:start; r:request x; x = 200 r");
    fake_request(fake, fake_room(fake, "r"), &y, "y");
    fake_run(fake);
    fake_expect(fake, "r:request y; y = 200 r");
    assert_int_equal(fake->counters.rooms_started, 1);
    fake_end(fake);
}

static void rooms_differ_by_party_and_id(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct party other = {.name = "other"};
    struct room *r = fake_room(fake, "r");

    assert_ptr_not_equal(fake_room(fake, "s"), r);
    struct room *third = rooms_get(&fake->rooms, &other, span_of("other"), span_of("r"));
    assert_true(third && third != r);
    assert_ptr_equal(rooms_find(&fake->rooms, span_of("other"), span_of("r")), third);
    assert_ptr_equal(fake_room(fake, "r"), r);
    assert_null(rooms_find(&fake->rooms, span_of("mai"), span_of("nr")));
    assert_string_equal(third->id, "r");
    assert_int_equal(fake->rooms.n_rooms, 3);
    fake_end(fake);
}

static void everything_waits_for_on_start(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x, y;

    fake->handler = start_waits;
    fake_request(fake, room, &x, "x");
    fake_connect(fake, room, "a");
    room_timer_due(room, "t");
    fake_request(fake, room, &y, "y");
    fake_run(fake);
    fake_expect(fake, "r:start");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(
        fake,
        "r:wake; r:request x; x = 200 r; r:connect a; a join; a accept; r:timer t; r:request y; y = 200 r");
    fake_end(fake);
}

/* The data of an event that makes the room is its sender's, who does not wait for onStart. */
static void what_makes_the_room_is_kept_while_on_start_waits(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    char text[] = "text";
    struct event *event = event_new(EVENT_ERROR);

    fake->handler = start_waits;
    event->data = (uint8_t *)text;
    event->len = strlen(text);
    room_post(fake_room(fake, "r"), event);
    memset(text, '#', sizeof text);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:start; r:wake; r:error  text");
    fake_end(fake);
}

/* ---- when onStart fails ---- */

static void a_failed_start_is_told_to_what_woke_the_room(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x, y;

    fake->handler = start_fails;
    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_expect(fake, "r:start; r:end; x = 500");
    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake, "r:start; r:end; a refuse 500");
    assert_null(a->peer.room);
    fake_gone(a);
    assert_int_equal(fake->n_peers, 0);
    assert_int_equal(room->n_peers + room->n_events + room->n_open, 0);

    fake->handler = NULL;
    fake_request(fake, room, &y, "y");
    fake_run(fake);
    fake_expect(fake, "r:start; r:request y; y = 200 r");
    assert_int_equal(fake->counters.rooms_started, 3);
    assert_int_equal(fake->counters.rooms_stopped, 2);
    assert_int_equal(fake->counters.sockets_refused, 1);
    fake_end(fake);
}

/* Fails while *user is not 0, which it counts down, with an answer of its own. */
static enum act start_fails_at_last(struct fake *fake, struct room *room, struct event *event)
{
    int *failures = fake->user;
    (void)room;
    if (event->kind != EVENT_START || (*failures)-- <= 0)
        return ACT_DONE;
    event->failure = http_response_text(500 + *failures, "");
    return ACT_FAIL;
}

static void a_start_that_waited_may_fail(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x, y, z;
    int failures = 2;

    fake->handler = start_waits;
    fake->resumed = start_fails_at_last;
    fake->user = &failures;
    fake_request(fake, room, &x, "x");
    fake_connect(fake, room, "a");
    fake_request(fake, room, &y, "y");
    fake_request(fake, room, &z, "z");
    fake_wake(fake, 0);
    fake_run(fake);
    /* What woke the room is told; for the next in the inbox there is another VM. */
    fake_expect(fake, "r:start; r:wake; r:end; x = 501; r:start");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:end; a refuse 500; r:start");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:request y; y = 200 r; r:request z; z = 200 r");
    fake_end(fake);
}

static void a_peer_that_left_during_a_failing_start_is_not_refused(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    fake->handler = start_waits;
    fake->resumed = start_fails;
    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_gone(a);
    fake_wake(fake, 0);
    fake->handler = start_fails;
    fake_run(fake);
    fake_expect(fake, "r:start; r:wake; r:end");
    assert_int_equal(fake->n_peers, 0);
    assert_int_equal(room->state, ROOM_NEW);
    fake_end(fake);
}

static void without_a_vm_every_event_tries_again(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x, y, z;

    fake->no_vm = true;
    fake_queue(fake);
    fake_request(fake, room, &x, "x");
    fake_connect(fake, room, "a");
    fake_request(fake, room, &y, "y");
    fake_run(fake);
    fake_expect(fake, "x = 500; a refuse 500; y = 500");
    fake->no_vm = false;
    fake_request(fake, room, &z, "z");
    fake_run(fake);
    fake_expect(fake, "r:start; r:request z; z = 200 r");
    assert_int_equal(fake->counters.rooms_started, 1);
    fake_end(fake);
}

/* ---- handlers that fail ---- */

static void a_failed_handler_leaves_the_room_alone(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x, y;
    struct fake_peer *a = fake_connect(fake, room, "a");

    fake_run(fake);
    fake_forget(fake);
    fake->handler = fails;
    fake_request(fake, room, &x, "x");
    fake_message(a, "m");
    room_timer_due(room, "t");
    fake_run(fake);
    fake->handler = NULL;
    fake_request(fake, room, &y, "y");
    fake_run(fake);
    fake_expect(fake, "r:request x; x = 500; r:message a m; r:timer t; r:request y; y = 200 r");
    assert_true(peer_open(&a->peer));
    fake_end(fake);
}

/* ---- out of memory ---- */

static void idle_rooms_leave_the_longest_idle_first(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    static const char *const rooms[] = {"a", "b", "c", "b", "a"};
    struct fake_exchange x[5];

    for (size_t i = 0; i < 5; i++) {
        fake_request(fake, fake_room(fake, rooms[i]), &x[i], "x");
        fake_run(fake);
    }
    fake_forget(fake);
    fake->rooms.limits.idle_ms = 1;
    timer_start(&fake->loop, &fake->rooms.evict, 1);
    fake_wait(fake, no_rooms);
    fake_expect(fake, "c:stop; c:end; b:stop; b:end; a:stop; a:end");
    assert_int_equal(fake->counters.rooms_stopped, fake->counters.rooms_started);
    assert_false(timer_running(&fake->rooms.evict));
    fake_end(fake);
}

static void a_room_that_is_not_idle_for_long_enough_stays(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    timer_start(&fake->loop, &fake->rooms.evict, 0);
    while (fake->rooms.evict.due <= clock_monotonic_ns())
        loop_step(&fake->loop);
    assert_true(timer_running(&fake->rooms.evict)); /* for when it is due */
    assert_ptr_equal(rooms_find(&fake->rooms, span_of("main"), span_of("r")), room);
    fake_end(fake);
}

static void a_room_without_any_event_leaves(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(&soon);

    fake_room(fake, "r");
    assert_true(timer_running(&fake->rooms.evict));
    fake_wait(fake, no_rooms);
    fake_expect(fake, "");
    fake_end(fake);
}

static void a_room_that_could_not_start_leaves(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(&soon);
    struct fake_exchange x;

    fake->no_vm = true;
    fake_request(fake, fake_room(fake, "r"), &x, "x");
    fake_wait(fake, no_rooms);
    fake_expect(fake, "x = 500");
    fake_end(fake);
}

static void a_failing_on_stop_does_not_keep_the_room(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(&soon);
    struct fake_exchange x;

    fake_request(fake, fake_room(fake, "r"), &x, "x");
    fake_run(fake);
    fake->handler = fails;
    fake_wait(fake, no_rooms);
    fake_expect(fake, "r:start; r:request x; x = 200 r; r:stop; r:end");
    fake_end(fake);
}

static enum act waits(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_START || event->kind == EVENT_STOP ? ACT_DONE : ACT_WAIT;
}

/* One more room comes and goes: by then this one would have left, were it idle. */
static void assert_stays(struct fake *fake, const char *id)
{
    assert_non_null(rooms_find(&fake->rooms, span_of("main"), span_of(id)));
    fake_forget(fake);
    fake_room(fake, "passing");
    assert_int_equal(fake->rooms.n_rooms, 2);
    fake_wait(fake, one_room);
    assert_non_null(rooms_find(&fake->rooms, span_of("main"), span_of(id)));
    fake_expect(fake, "");
}

static void reasons_to_stay(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(&soon);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    assert_stays(fake, "r"); /* a connection */

    room_hold(room);
    room_hold(room);
    fake_gone(a);
    fake_run(fake);
    assert_stays(fake, "r"); /* timers */

    fake->handler = waits;
    room_timer_due(room, "t");
    fake_run(fake);
    room_release(room);
    room_release(room);
    assert_stays(fake, "r"); /* a handler that waits */
    fake_wake(fake, 0);
    fake_run(fake);
    fake_wait(fake, no_rooms);
    fake_end(fake);
}

static void the_inbox_is_a_reason_to_stay(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(&soon);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x, y;

    fake_request(fake, room, &x, "x");
    fake_run(fake);
    room->input_closed = true;
    fake_request(fake, room, &y, "y");
    assert_stays(fake, "r");
    room->input_closed = false;
    room_schedule(room);
    fake_wait(fake, no_rooms);
    fake_expect(fake, "r:request y; y = 200 r; r:stop; r:end");
    fake_end(fake);
}

static void what_comes_during_on_stop_makes_the_room_anew(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(&soon);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x, y;

    fake_request(fake, room, &x, "x");
    fake->handler = stop_waits;
    fake_wait(fake, a_task);
    fake_expect(fake, "r:start; r:request x; x = 200 r; r:stop");
    assert_int_equal(room->state, ROOM_STOPPING);

    assert_ptr_equal(fake_room(fake, "r"), room);
    fake_request(fake, room, &y, "y");
    fake_connect(fake, room, "a");
    room_timer_due(room, "of the old VM");
    fake_run(fake);
    fake_expect(fake, "");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:end; r:start; r:request y; y = 200 r; r:connect a; a join; a accept");
    assert_int_equal(room->state, ROOM_RUNNING);
    assert_int_equal(room->n_open, 0);
    fake_end(fake);
}

static void a_peer_that_came_and_went_during_on_stop_is_forgotten(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(&soon);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake_request(fake, room, &x, "x");
    fake->handler = stop_waits;
    fake_wait(fake, a_task);
    fake_gone(fake_connect(fake, room, "a"));
    fake->handler = NULL;
    fake_wake(fake, 0);
    fake_wait(fake, no_rooms);
    assert_int_equal(fake->n_peers, 0);
    fake_end(fake);
}

static void a_peer_that_connects_to_a_stopping_room_finds_it_anew(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(&soon);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake_request(fake, room, &x, "x");
    fake->handler = stop_waits;
    fake_wait(fake, a_task);
    fake_forget(fake);
    fake_connect(fake, room, "a");
    fake->handler = start_fails;
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:end; r:start; r:end; a refuse 500");
    fake_end(fake);
}

/* ---- timers ---- */

static void timers_of_a_vm_end_with_it(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake->handler = start_waits;
    fake->resumed = start_fails;
    fake_request(fake, room, &x, "x");
    room_timer_due(room, "t");
    room_hold(room);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:start; r:wake; r:end; x = 500");
    assert_int_equal(room->n_holds, 0);
    assert_false(room->input_closed);
    assert_true(list_linked(&room->in_idle));
    fake_end(fake);
}

static void events_of_a_handle_are_taken_back(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;
    static char t[] = "t", u[] = "u";

    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    room_timer_due(room, t);
    room_timer_due(room, u);
    room_forget_handle(room, t);
    fake_run(fake);
    fake_expect(fake, "r:timer u");
    fake_queue(fake);
    room_timer_due(room, t);
    room_forget_handle(room, t);
    fake_run(fake);
    fake_expect(fake, "");
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_event_makes_the_room),
        cmocka_unit_test(rooms_differ_by_party_and_id),
        cmocka_unit_test(everything_waits_for_on_start),
        cmocka_unit_test(what_makes_the_room_is_kept_while_on_start_waits),
        cmocka_unit_test(a_failed_start_is_told_to_what_woke_the_room),
        cmocka_unit_test(a_start_that_waited_may_fail),
        cmocka_unit_test(a_peer_that_left_during_a_failing_start_is_not_refused),
        cmocka_unit_test(without_a_vm_every_event_tries_again),
        cmocka_unit_test(a_failed_handler_leaves_the_room_alone),
        cmocka_unit_test(idle_rooms_leave_the_longest_idle_first),
        cmocka_unit_test(a_room_that_is_not_idle_for_long_enough_stays),
        cmocka_unit_test(a_room_without_any_event_leaves),
        cmocka_unit_test(a_room_that_could_not_start_leaves),
        cmocka_unit_test(a_failing_on_stop_does_not_keep_the_room),
        cmocka_unit_test(reasons_to_stay),
        cmocka_unit_test(the_inbox_is_a_reason_to_stay),
        cmocka_unit_test(what_comes_during_on_stop_makes_the_room_anew),
        cmocka_unit_test(a_peer_that_came_and_went_during_on_stop_is_forgotten),
        cmocka_unit_test(a_peer_that_connects_to_a_stopping_room_finds_it_anew),
        cmocka_unit_test(timers_of_a_vm_end_with_it),
        cmocka_unit_test(events_of_a_handle_are_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
