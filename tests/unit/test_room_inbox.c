/* The inbox: which event runs when, turns of rooms among each other, and limits. */
#include "fake_room.h"

static struct room_limits limits(uint64_t events, uint64_t handlers)
{
    return (
        struct room_limits){.events = events, .handlers = handlers, .idle_ms = 1000000, .output = 1 << 20};
}

/* A room that runs, with a peer. */
static struct fake_peer *open_room(struct fake *fake, const char *id, const char *peer_id)
{
    struct fake_peer *peer = fake_connect(fake, fake_room(fake, id), peer_id);
    fake_run(fake);
    assert_true(peer->accepted);
    fake_forget(fake);
    return peer;
}

static void message_in_turn(struct fake_peer *peer, const char *text)
{
    loop_step(&peer->fake->loop);
    fake_message(peer, text);
}

static enum act messages_wait(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_MESSAGE ? ACT_WAIT : ACT_DONE;
}

/* ---- at once, or queued ---- */

static void an_event_runs_at_once_when_nothing_is_before_it(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a");

    message_in_turn(a, "1");
    fake_expect(fake, "r:message a 1");
    fake_end(fake);
}

static void queued_events_keep_their_order(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a");

    fake_queue(fake);
    fake_message(a, "1");
    fake_expect(fake, "");
    fake_message(a, "");
    fake_message(a, "3");
    message_in_turn(a, "4"); /* a new turn begins with what is queued */
    fake_run(fake);
    fake_expect(fake, "r:message a 1; r:message a ; r:message a 3; r:message a 4");
    fake_end(fake);
}

static void an_event_waits_behind_those_in_the_inbox(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a");

    a->peer.room->input_closed = true;
    message_in_turn(a, "1");
    a->peer.room->input_closed = false;
    fake_message(a, "2");
    fake_expect(fake, "");
    fake_run(fake);
    fake_expect(fake, "r:message a 1; r:message a 2");
    fake_end(fake);
}

/* So long of the CPU, which is what counts. */
static void keep_busy(uint64_t ms)
{
    uint64_t until = clock_thread_ns() + ms * NS_PER_MS;
    while (clock_thread_ns() < until)
        ;
}

static enum act is_busy(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    (void)event;
    keep_busy(10);
    return ACT_DONE;
}

static void the_time_for_events_at_once_is_bounded(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_room(fake, "s", "b");

    fake->handler = is_busy;
    message_in_turn(a, "1");
    fake_message(b, "2");
    fake_expect(fake, "r:message a 1");
    fake_run(fake);
    fake_expect(fake, "s:message b 2");
    fake_end(fake);
}

static void the_time_for_queued_events_is_bounded(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_room(fake, "s", "b");

    fake_queue(fake);
    fake_message(a, "1");
    fake_message(b, "2");
    fake->handler = is_busy;
    loop_step(&fake->loop);
    fake_expect(fake, "r:message a 1");
    loop_step(&fake->loop);
    fake_expect(fake, "s:message b 2");
    fake_end(fake);
}

/* A handler brings about events of its own room and of another. */
static enum act posts(struct fake *fake, struct room *room, struct event *event)
{
    if (fake_says(event, "go")) {
        room_timer_due(room, "t");
        fake_message(fake->user, "other");
        assert_ptr_equal(fake->rooms.running, room);
        fake_say(fake, "went");
    }
    return ACT_DONE;
}

static void handlers_do_not_run_inside_of_each_other(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_room(fake, "s", "b");

    fake->handler = posts;
    fake->user = b;
    message_in_turn(a, "go");
    fake_expect(fake, "r:message a go; went");
    fake_run(fake);
    fake_expect(fake, "r:timer t; s:message b other");
    fake_end(fake);
}

/* What comes while a woken handler waits for its turn has to be kept: that one may go first. */
static void an_event_does_not_overtake_a_wake(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a");

    fake->handler = messages_wait;
    message_in_turn(a, "1");
    fake->handler = NULL;
    fake_wake(fake, 0);
    message_in_turn(a, "2");
    fake_run(fake);
    fake_expect(fake, "r:message a 1; r:wake; r:message a 2");

    fake->handler = messages_wait;
    message_in_turn(a, "3");
    fake->handler = NULL;
    loop_step(&fake->loop);
    fake_wake(fake, 0);
    fake_message(a, "4");
    fake_expect(fake, "r:message a 3");
    fake_run(fake);
    fake_expect(fake, "r:wake; r:message a 4");
    fake_end(fake);
}

static void wakes_and_events_take_turns(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a");

    fake->handler = messages_wait;
    for (int i = 0; i < 3; i++)
        message_in_turn(a, "w");
    fake->handler = NULL;
    fake_forget(fake);
    fake_queue(fake);
    for (int i = 0; i < 4; i++)
        fake_message(a, "m");
    for (size_t i = 0; i < 3; i++)
        fake_wake(fake, i);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:message a m; r:wake; r:message a m; r:wake; r:message a m; r:message a m");
    assert_int_equal(a->peer.room->n_waiting, 0);
    fake_end(fake);
}

static void rooms_take_turns(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_room(fake, "s", "b"),
                     *c = open_room(fake, "t", "c");

    fake_queue(fake);
    for (int i = 0; i < 5; i++)
        fake_message(a, "m");
    fake_message(b, "m");
    fake_message(c, "m");
    fake_message(b, "m");
    fake_run(fake);
    fake_expect(fake, "r:message a m; s:message b m; t:message c m; r:message a m; s:message b m; "
                      "r:message a m; r:message a m; r:message a m");
    fake_end(fake);
}

/* While a handler waits for anything but storage, other events run; the same peer's too. */
static void other_events_run_while_a_handler_waits(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a");
    struct fake_exchange x;

    fake->handler = messages_wait;
    message_in_turn(a, "1");
    fake_request(fake, a->peer.room, &x, "x");
    fake_message(a, "2");
    fake_run(fake);
    fake_expect(fake, "r:message a 1; r:request x; x = 200 r; r:message a 2");
    assert_int_equal(a->peer.room->n_waiting, 2);
    fake_wake(fake, 1);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:wake");
    assert_int_equal(fake->n_tasks + a->peer.room->n_waiting, 0);
    fake_end(fake);
}

/* While a handler waits for the store, nothing else of the room runs. */
static void closed_input_keeps_everything(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct fake_peer *a = open_room(fake, "r", "a");
    struct room *room = a->peer.room;

    fake->handler = messages_wait;
    message_in_turn(a, "1");
    fake->handler = NULL;
    room->input_closed = true;
    fake_message(a, "2");
    room_timer_due(room, "t");
    fake_run(fake);
    fake_expect(fake, "r:message a 1");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "");
    room->input_closed = false;
    room_schedule(room);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:message a 2; r:timer t");
    fake_end(fake);
}

/* ---- limits ---- */

static void assert_ready(struct fake_peer *peer, bool ready)
{
    assert_int_equal(room_peer_ready(&peer->peer), ready);
    peer->blocked = !ready;
}

static void a_full_inbox_refuses_and_blocks(void **state)
{
    (void)state;
    struct room_limits few = limits(4, 256);
    struct fake *fake = fake_begin(&few);
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_room(fake, "r", "b");
    struct room *room = a->peer.room;
    struct fake_exchange x, y;

    fake_queue(fake);
    fake_message(a, "1");
    fake_message(a, "2");
    fake_request(fake, room, &x, "x");
    assert_ready(a, true);
    fake_connect(fake, room, "c");
    assert_ready(a, false);
    assert_ready(a, false); /* asking twice changes nothing */
    assert_ready(b, false);
    fake_request(fake, room, &y, "y");
    struct fake_peer *d = fake_connect(fake, room, "d");
    fake_expect(fake, "y = 503; d refuse 503");
    assert_null(d->peer.room);
    assert_int_equal(d->peer.refs, 1);
    assert_int_equal(fake->counters.requests_overload, 2);
    assert_int_equal(fake->counters.sockets_refused, 1);

    /* A timer and a close are no client's to make at will. */
    room_timer_due(room, "t");
    fake_gone_with(b, 1000, "", true);
    assert_int_equal(room->n_events, 4);
    fake_run(fake);
    fake_expect(fake, "r:message a 1; r:message a 2; a resume; r:request x; x = 200 r; r:connect c; c join; "
                      "c accept; r:timer t; r:close b 1000 clean");
    assert_ready(a, true);
    assert_int_equal(room->n_events, 0);
    fake_end(fake);
}

static void check_overload(struct exchange *base, struct http_response *response)
{
    struct fake_exchange *exchange = container_of(base, struct fake_exchange, exchange);
    assert_int_equal(response->status, 503);
    assert_memory_equal(response->headers->data, "Retry-After: 1\r\n", response->headers->len);
    exchange->n_answers++;
    http_response_free(response);
}

static void an_overload_says_when_to_come_again(void **state)
{
    (void)state;
    struct room_limits one = limits(1, 256);
    struct fake *fake = fake_begin(&one);
    struct fake_peer *a = open_room(fake, "r", "a");
    struct fake_exchange x = {.exchange = {.respond = check_overload}};

    fake_queue(fake);
    fake_message(a, "1");
    room_request(a->peer.room, fake_http_request(), &x.exchange);
    assert_int_equal(x.n_answers, 1);
    assert_ready(a, false);
    fake_run(fake);
    fake_expect(fake, "r:message a 1; a resume");
    fake_end(fake);
}

static void the_limit_holds_while_on_start_waits(void **state)
{
    (void)state;
    struct room_limits two = limits(2, 256);
    struct fake *fake = fake_begin(&two);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x, y, z;

    fake_queue(fake);
    fake_request(fake, room, &x, "x");
    fake_request(fake, room, &y, "y");
    fake_request(fake, room, &z, "z");
    fake_run(fake);
    fake_expect(fake, "z = 503; r:start; r:request x; x = 200 r; r:request y; y = 200 r");
    fake_end(fake);
}

static void too_many_waiting_handlers_close_the_inbox(void **state)
{
    (void)state;
    struct room_limits two = limits(1024, 2);
    struct fake *fake = fake_begin(&two);
    struct fake_peer *a = open_room(fake, "r", "a");
    struct room *room = a->peer.room;
    struct fake_exchange x, y;

    fake->handler = messages_wait;
    fake_queue(fake);
    for (const char *const *m = (const char *const[]){"1", "2", "3", "4", NULL}; *m; m++)
        fake_message(a, *m);
    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_expect(fake, "r:message a 1; r:message a 2");
    fake_request(fake, room, &y, "y");
    struct fake_peer *b = fake_connect(fake, room, "b");
    assert_ready(a, false);
    fake_expect(fake, "y = 503; b refuse 503");
    assert_true(b->refused);

    /* Wakes come through, so that it never stands still. */
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; a resume; r:message a 3");
    fake_wake(fake, 1);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:message a 4; r:wake; r:request x; x = 200 r");
    assert_int_equal(room->n_waiting, 1);
    fake_wake(fake, 0);
    fake_run(fake);
    assert_int_equal(room->n_waiting, 0);
    fake_end(fake);
}

/* A woken handler that waits again stays counted. */
static enum act waits_again(struct fake *fake, struct room *room, struct event *event)
{
    int *times = fake->user;
    (void)room;
    (void)event;
    return (*times)-- > 0 ? ACT_WAIT : ACT_DONE;
}

static void a_handler_may_wait_again(void **state)
{
    (void)state;
    struct room_limits one = limits(1024, 1);
    struct fake *fake = fake_begin(&one);
    struct fake_peer *a = open_room(fake, "r", "a");
    int times = 1;

    fake->handler = messages_wait;
    fake->resumed = waits_again;
    fake->user = &times;
    message_in_turn(a, "1");
    fake_message(a, "2");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:message a 1; r:wake");
    assert_int_equal(a->peer.room->n_waiting, 1);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:message a 2");
    fake_end(fake);
}

/* A peer that reads on may find the inbox full at once. */
static void resume_and_block(struct peer *base)
{
    struct fake_peer *peer = fake_peer_of(base);
    fake_say(peer->fake, "%s resume", base->id);
    while (room_peer_ready(base))
        fake_message(peer, "m");
}

static void resumed_peers_may_block_again(void **state)
{
    (void)state;
    struct room_limits two = limits(2, 256);
    struct fake *fake = fake_begin(&two);
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_room(fake, "r", "b");
    struct peer_kind kind = fake_kind;

    kind.resume = resume_and_block;
    a->peer.kind = b->peer.kind = &kind;
    fake_queue(fake);
    fake_message(a, "1");
    fake_message(a, "2");
    assert_ready(a, false);
    assert_ready(b, false);
    loop_step(&fake->loop);
    /* Not for ever: each of them is asked once for each round. */
    assert_non_null(a->peer.room);
    a->peer.kind = b->peer.kind = &fake_kind;
    fake_run(fake);
    assert_true(list_empty(&a->peer.room->blocked));
    fake_end(fake);
}

static void a_blocked_peer_that_goes_is_not_resumed(void **state)
{
    (void)state;
    struct room_limits one = limits(1, 256);
    struct fake *fake = fake_begin(&one);
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_room(fake, "r", "b");
    struct room *room = a->peer.room;

    fake_queue(fake);
    fake_message(a, "1");
    assert_ready(b, false);
    assert_ready(a, false);
    room_close(&b->peer, 1006, NULL, 0, false);
    assert_ready(b, true); /* what is left of its input may go */
    fake_gone(b);
    fake_run(fake);
    fake_expect(fake, "r:message a 1; a resume; r:close b 1006");
    assert_true(list_empty(&room->blocked));
    fake_end(fake);
}

static void blocked_peers_of_a_room_that_fails_to_start_are_resumed(void **state)
{
    (void)state;
    struct room_limits one = limits(1, 256);
    struct fake *fake = fake_begin(&one);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake->no_vm = true;
    fake_queue(fake);
    struct fake_peer *a = fake_connect(fake, room, "a");
    a->peer.refs++;
    assert_ready(a, false);
    fake_run(fake);
    fake_expect(fake, "a refuse 500");
    assert_false(list_linked(&a->peer.waiting));
    peer_unref(&a->peer);
    fake->no_vm = false;
    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_expect(fake, "r:start; r:request x; x = 200 r");
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_runs_at_once_when_nothing_is_before_it),
        cmocka_unit_test(queued_events_keep_their_order),
        cmocka_unit_test(an_event_waits_behind_those_in_the_inbox),
        cmocka_unit_test(the_time_for_events_at_once_is_bounded),
        cmocka_unit_test(the_time_for_queued_events_is_bounded),
        cmocka_unit_test(handlers_do_not_run_inside_of_each_other),
        cmocka_unit_test(an_event_does_not_overtake_a_wake),
        cmocka_unit_test(wakes_and_events_take_turns),
        cmocka_unit_test(rooms_take_turns),
        cmocka_unit_test(other_events_run_while_a_handler_waits),
        cmocka_unit_test(closed_input_keeps_everything),
        cmocka_unit_test(a_full_inbox_refuses_and_blocks),
        cmocka_unit_test(an_overload_says_when_to_come_again),
        cmocka_unit_test(the_limit_holds_while_on_start_waits),
        cmocka_unit_test(too_many_waiting_handlers_close_the_inbox),
        cmocka_unit_test(a_handler_may_wait_again),
        cmocka_unit_test(resumed_peers_may_block_again),
        cmocka_unit_test(a_blocked_peer_that_goes_is_not_resumed),
        cmocka_unit_test(blocked_peers_of_a_room_that_fails_to_start_are_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
