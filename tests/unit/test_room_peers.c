/* Peers: how they come in, what a room says of them and to them, and how they go. */
#include "fake_room.h"

#include <errno.h>

static void greet(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    assert_int_equal(fake_broadcast(room, "hello", NULL, 0), 0);
    assert_int_equal(fake_send(event->peer, "hi"), 0);
}

static void close_4000(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    assert_int_equal(room_close_peer(event->peer, 4000, "bye", 3), 0);
}

static void tell_all(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)event;
    assert_int_equal(fake_broadcast(room, "all", NULL, 0), 0);
}

/* ---- coming in ---- */

static void a_peer_joins_is_sent_to_and_let_in(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .what = greet}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join; broadcast hello to a; a send hi; a accept");
    assert_int_equal(a->peer.state, PEER_OPEN);
    assert_int_equal(room->n_listed, 1);
    struct fake_peer *b = fake_connect(fake, room, "b");
    fake_run(fake);
    fake_expect(fake, "r:connect b; b join; broadcast hello to a b; b send hi; b accept");
    assert_true(a->peer.serial < b->peer.serial);
    assert_int_equal(fake->counters.sockets_opened, 2);
    assert_int_equal(fake->counters.sockets_closed, 0);
    fake_end(fake);
}

static void it_is_sent_to_while_its_handler_waits(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .act = ACT_WAIT},
                                {.kind = EVENT_TIMER, .what = tell_all},
                                {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    room_timer_due(room, "t");
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join; r:timer t; broadcast all to a");
    assert_int_equal(a->peer.state, PEER_JOINING);
    assert_true(peer_open(&a->peer));
    assert_ptr_equal(room_find_peer(room, span_of("a")), &a->peer);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; a accept");
    fake_end(fake);
}

static void tag(struct fake *fake, struct room *room, struct event *event)
{
    const struct span tags[] = {SPAN("red"), SPAN("a tag with blanks")};
    (void)fake;
    (void)room;
    assert_int_equal(peer_set_tags(event->peer, tags, 2), 0);
}

static void tags(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .what = tag}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct peer *a = &fake_connect(fake, fake_room(fake, "r"), "a")->peer;

    fake_run(fake);
    assert_true(peer_has_tag(a, SPAN("a")));
    assert_true(peer_has_tag(a, SPAN("red")));
    assert_true(peer_has_tag(a, SPAN("a tag with blanks")));
    assert_false(peer_has_tag(a, SPAN("re")));
    assert_false(peer_has_tag(a, SPAN("")));
    const struct span one[] = {SPAN("blue")};
    assert_int_equal(peer_set_tags(a, one, 1), 0);
    assert_false(peer_has_tag(a, SPAN("red")));
    assert_true(peer_has_tag(a, SPAN("blue")));
    assert_int_equal(peer_set_tags(a, NULL, 0), 0);
    assert_false(peer_has_tag(a, SPAN("blue")));
    assert_true(peer_has_tag(a, SPAN("a")));
    fake_end(fake);
}

/* ---- going before they are in ---- */

static void a_transport_that_ends_before_the_connect_event_leaves_no_trace(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");
    struct fake_exchange x;

    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    struct fake_peer *a = fake_connect(fake, room, "a");
    assert_int_equal(room->n_peers, 1);
    fake_gone(a);
    assert_int_equal(room->n_peers, 0);
    fake_run(fake);
    fake_expect(fake, "");
    assert_int_equal(fake->n_peers, 0);
    assert_int_equal(fake->counters.sockets_opened + fake->counters.sockets_closed, 0);
    fake_end(fake);
}

static void closed_in_its_connect_handler(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .what = close_4000}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join; a close 4000 bye");
    assert_int_equal(a->peer.state, PEER_CLOSING);
    assert_int_equal(room->n_listed, 0);
    fake_gone_with(a, 4000, "bye", true);
    fake_run(fake);
    fake_expect(fake, "r:close a 4000 bye clean");
    assert_int_equal(fake->counters.sockets_opened, 1);
    assert_int_equal(fake->counters.sockets_closed, 1);
    fake_end(fake);
}

/* The client's answer to the close may come while the handler that closed waits. */
static void closed_in_a_connect_handler_that_waits(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .what = close_4000, .act = ACT_WAIT}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join; a close 4000 bye");
    fake_gone_with(a, 4000, "bye", true);
    fake_run(fake);
    fake_expect(fake, "");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:close a 4000 bye clean");
    assert_int_equal(room->n_peers, 0);
    assert_int_equal(fake->n_peers, 0);
    fake_end(fake);
}

static void gone_while_its_connect_handler_waits(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .id = "a", .act = ACT_WAIT}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    a->peer.refs++;
    fake_gone_with(a, 1001, "away", true);
    assert_false(peer_open(&a->peer));
    assert_null(room_find_peer(room, span_of("a")));
    assert_int_equal(room->n_listed, 0);
    assert_int_equal(fake_send(&a->peer, "x"), -EPIPE);
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:close a 1001 away clean");
    assert_int_equal(a->peer.state, PEER_GONE);
    assert_int_equal(a->peer.refs, 1);
    assert_null(a->peer.room);
    peer_unref(&a->peer);
    fake_end(fake);
}

/* ---- a connect handler that fails ---- */

static void a_failed_connect_closes_without_on_close(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .what = greet, .act = ACT_FAIL}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_expect(fake,
                "r:start; r:connect a; a join; broadcast hello to a; a send hi; a close 1011 Internal error");
    assert_null(a->peer.room);
    assert_int_equal(room->n_peers + room->n_listed, 0);
    assert_true(list_linked(&room->in_idle));
    fake_gone_with(a, 1011, "", true);
    fake_run(fake);
    fake_expect(fake, "");
    assert_int_equal(fake->n_peers, 0);
    assert_int_equal(fake->counters.sockets_closed, fake->counters.sockets_opened);
    fake_end(fake);
}

static void ask_for_4001(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    event->close_code = 4001;
    event->close_reason = strdup("no");
}

static void a_failed_connect_may_name_its_close(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .what = ask_for_4001, .act = ACT_FAIL}, {0}};
    struct fake *fake = fake_begin_with(plans);

    fake_connect(fake, fake_room(fake, "r"), "a");
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join; a close 4001 no");
    fake_end(fake);
}

static enum act fails(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    (void)event;
    return ACT_FAIL;
}

/* What happens to the peer while its handler waits, and what it hears when that fails at last. */
static void assert_late_failure(void (*meanwhile)(struct fake_peer *), const char *want)
{
    struct fake_plan plans[] = {{.kind = EVENT_CONNECT, .id = "a", .act = ACT_WAIT}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    meanwhile(a);
    fake->resumed = fails;
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, want);
    assert_int_equal(room->n_listed, 0);
    assert_int_equal(room->n_peers, 0);
    fake_end(fake);
}

static void nothing(struct fake_peer *peer)
{
    (void)peer;
}

static void closed_by_the_room(struct fake_peer *peer)
{
    assert_int_equal(room_close_peer(&peer->peer, 4000, "", 0), 0);
}

static void closed_by_both(struct fake_peer *peer)
{
    closed_by_the_room(peer);
    fake_gone_with(peer, 4000, "", true);
}

static void a_connect_handler_may_fail_late(void **state)
{
    (void)state;
    assert_late_failure(nothing, "r:wake; a close 1011 Internal error");
    assert_late_failure(fake_gone, "r:wake");
    assert_late_failure(closed_by_the_room, "a close 4000; r:wake");
    assert_late_failure(closed_by_both, "a close 4000; r:wake");
}

static void without_memory_for_the_group_a_peer_is_closed(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);

    fake->no_group = true;
    fake_connect(fake, fake_room(fake, "r"), "a");
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a close 1011; a accept");
    fake_end(fake);
}

/* ---- messages, errors, closes ---- */

static void a_peer_closes_once(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    room_error(&a->peer, "broken frame");
    room_close(&a->peer, 1002, "broken", 6, false);
    room_error(&a->peer, "reset");
    room_close(&a->peer, 1006, NULL, 0, false);
    fake_gone(a);
    fake_run(fake);
    fake_expect(fake, "r:error a broken frame; r:close a 1002 broken");
    fake_end(fake);
}

static void after_its_close_nothing_is_told_of_a_peer(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_CLOSE, .act = ACT_WAIT}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    room_close(&a->peer, 1002, "broken", 6, false);
    fake_run(fake);
    fake_message(a, "m");
    room_error(&a->peer, "e");
    assert_true(room_peer_ready(&a->peer));
    assert_int_equal(fake_send(&a->peer, "x"), -EPIPE);
    fake_gone(a);
    fake_run(fake);
    fake_expect(fake, "r:close a 1002 broken");
    assert_int_equal(room->n_peers, 1);
    fake_wake(fake, 0);
    fake_run(fake);
    assert_int_equal(room->n_peers, 0);
    assert_int_equal(fake->n_peers, 0);
    fake_end(fake);
}

static void what_a_peer_sent_before_it_closed_is_told(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_MESSAGE, .what = tell_all}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_connect(fake, room, "b");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    fake_message(a, "last words");
    fake_gone_with(a, 1000, "", true);
    assert_false(peer_open(&a->peer));
    assert_int_equal(room_close_peer(&a->peer, 1000, "", 0), -EPIPE);
    fake_run(fake);
    fake_expect(fake, "r:message a last words; broadcast all to b; r:close a 1000 clean");
    assert_int_equal(fake->counters.messages_dropped, 0);
    fake_end(fake);
}

static void a_peer_that_the_room_closes_closes_once(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_MESSAGE, .what = close_4000}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    fake_message(a, "1");
    fake_message(a, "2");
    fake_run(fake);
    fake_message(a, "3");
    fake_run(fake);
    fake_expect(fake, "r:message a 1; a close 4000 bye");
    assert_int_equal(fake->counters.messages_received, 1);
    assert_int_equal(fake->counters.messages_dropped, 2);
    assert_int_equal(room_close_peer(&a->peer, 4001, "again", 5), -EPIPE);
    assert_int_equal(fake_send(&a->peer, "x"), -EPIPE);
    assert_int_equal(room->n_listed, 0);
    assert_int_equal(room->n_peers, 1);
    fake_gone_with(a, 4000, "bye", true);
    fake_run(fake);
    fake_expect(fake, "r:close a 4000 bye clean");
    fake_end(fake);
}

static void a_closed_peer_s_messages_stay_dropped_when_it_ends(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_MESSAGE, .what = close_4000}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    fake_message(a, "1");
    fake_message(a, "2");
    room_step(room);
    fake_gone_with(a, 4000, "bye", true);
    fake_run(fake);
    fake_expect(fake, "r:message a 1; a close 4000 bye; r:close a 4000 bye clean");
    fake_end(fake);
}

static void tell_the_others(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    assert_int_equal(fake_broadcast(room, "news", &event->peer, 1), 0);
}

static void a_broadcast_leaves_out(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_MESSAGE, .what = tell_the_others},
                                {.kind = EVENT_CLOSE, .what = tell_all},
                                {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    struct fake_peer *b = fake_connect(fake, room, "b");
    struct fake_peer *c = fake_connect(fake, room, "c");
    fake_run(fake);
    fake_forget(fake);
    fake_message(b, "m");
    fake_run(fake);
    fake_expect(fake, "r:message b m; broadcast news to a c");
    fake_gone(b);
    fake_run(fake);
    fake_expect(fake, "r:close b 1006; broadcast all to a c");
    fake_gone(a);
    fake_run(fake);
    fake_gone(c);
    fake_run(fake);
    fake_expect(fake, "r:close a 1006; broadcast all to c; r:close c 1006"); /* to nobody: not at all */
    fake_end(fake);
}

/* The peer stays while a handler that was given it waits, but leads nowhere. */
static void a_handler_may_outlive_its_peer(void **state)
{
    (void)state;
    struct fake_plan plans[] = {{.kind = EVENT_MESSAGE, .act = ACT_WAIT}, {0}};
    struct fake *fake = fake_begin_with(plans);
    struct room *room = fake_room(fake, "r");

    struct fake_peer *a = fake_connect(fake, room, "a");
    fake_run(fake);
    fake_message(a, "m");
    fake_gone(a);
    fake_run(fake);
    fake_expect(fake, "r:start; r:connect a; a join; a accept; r:message a m; r:close a 1006");
    assert_int_equal(fake->n_peers, 1);
    assert_int_equal(a->peer.state, PEER_GONE);
    assert_null(a->peer.room);
    assert_null(a->peer.object);
    assert_int_equal(fake_send(&a->peer, "x"), -EPIPE);
    assert_int_equal(room_close_peer(&a->peer, 1000, "", 0), -EPIPE);
    assert_int_equal(room->n_peers, 0);
    fake_wake(fake, 0);
    fake_run(fake);
    assert_int_equal(fake->n_peers, 0);
    fake_end(fake);
}

static void close_codes(void **state)
{
    (void)state;
    static const int64_t good[] = {1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999};
    static const int64_t bad[] = {-1, 0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000, 1000 + 65536};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(peer_close_code_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(peer_close_code_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_joins_is_sent_to_and_let_in),
        cmocka_unit_test(it_is_sent_to_while_its_handler_waits),
        cmocka_unit_test(tags),
        cmocka_unit_test(a_transport_that_ends_before_the_connect_event_leaves_no_trace),
        cmocka_unit_test(closed_in_its_connect_handler),
        cmocka_unit_test(closed_in_a_connect_handler_that_waits),
        cmocka_unit_test(gone_while_its_connect_handler_waits),
        cmocka_unit_test(a_failed_connect_closes_without_on_close),
        cmocka_unit_test(a_failed_connect_may_name_its_close),
        cmocka_unit_test(a_connect_handler_may_fail_late),
        cmocka_unit_test(without_memory_for_the_group_a_peer_is_closed),
        cmocka_unit_test(a_peer_closes_once),
        cmocka_unit_test(after_its_close_nothing_is_told_of_a_peer),
        cmocka_unit_test(what_a_peer_sent_before_it_closed_is_told),
        cmocka_unit_test(a_peer_that_the_room_closes_closes_once),
        cmocka_unit_test(a_closed_peer_s_messages_stay_dropped_when_it_ends),
        cmocka_unit_test(a_broadcast_leaves_out),
        cmocka_unit_test(a_handler_may_outlive_its_peer),
        cmocka_unit_test(close_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
