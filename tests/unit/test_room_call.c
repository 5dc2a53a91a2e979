/* Calls from room to room: the way there and back, what becomes of one whose rooms change, and who is told at once. */
#include "call_driver.h"

static const char stuck[] = "The room waits for this call itself, and can't take it before that ends";

/* ---- the way ---- */

static void a_call_goes_and_comes_back(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    talk_tell(p, "@b");
    fake_expect(fake, "a:message p @b; b:start; b:call ; a got 200 b; a:wake");
    assert_int_equal(fake_room(fake, "a")->n_waiting, 0);
    assert_int_equal(fake_room(fake, "b")->n_open, 0);
    talk_tell(p, "@a"); /* itself */
    fake_expect(fake, "a:message p @a; a:call ; a got 200 a; a:wake");
    talk_end(fake);
}

static void a_call_leaves_in_order_by_the_gate(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");
    struct room *a = fake_room(fake, "a"), *b = fake_room(fake, "b");

    talk_tell(p, "ws@b");
    fake_expect(fake, "a:message p ws@b");
    fake_durable(a, 1);
    for (int i = 0; i < 4; i++)
        fake_run(fake);
    fake_expect(fake, "p send s@b; b:start; b:call ; a got 200 b; a:wake");
    talk_tell(p, "@bw"); /* the answer passes the other gate */
    fake_expect(fake, "a:message p @bw; b:call w");
    fake_durable(b, 1);
    for (int i = 0; i < 4; i++)
        fake_run(fake);
    fake_expect(fake, "a got 200 b; a:wake");
    talk_end(fake);
}

static void nothing_is_called_after_a_write_that_failed(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    talk_tell(p, "w@b");
    fake_expect(fake, "a:message p w@b");
    fake_store_end(&fake->store, fake_store_next(&fake->store, fake_room(fake, "a")->data->store),
                   STORE_FAILED);
    for (int i = 0; i < 4; i++)
        fake_run(fake);
    fake_expect(fake, "a got 503 What the room had written before the call was not kept; p close 1011 "
                      "Internal error; a:end");
    assert_null(rooms_find(&fake->rooms, SPAN("main"), SPAN("b")));
    talk_end(fake);
}

static void an_answer_of_a_write_that_failed_is_none(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    talk_tell(p, "@bw");
    fake_expect(fake, "a:message p @bw; b:start; b:call w");
    fake_store_end(&fake->store, fake_store_next(&fake->store, fake_room(fake, "b")->data->store),
                   STORE_FAILED);
    for (int i = 0; i < 4; i++)
        fake_run(fake);
    fake_expect(fake, "b:end; a got 503 Service unavailable; a:wake");
    talk_end(fake);
}

static void too_much_output_is_refused(void **state)
{
    (void)state;
    static const struct room_limits limits = {.events = 100,
                                              .handlers = 10,
                                              .idle_ms = 1000000,
                                              .output = 200};
    struct fake *fake = talk_begin(&limits);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    talk_tell(p, "@b");
    fake_expect(fake, "a:message p @b; a call -105");
    assert_int_equal(talk_of(fake)->rc, -ENOBUFS);
    talk_end(fake);
}

/* ---- who is told at once ---- */

static void calls_nest_so_deep(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");
    char program[2 * 17 + 1] = "";

    for (int i = 0; i < 17; i++)
        strcat(program, i % 2 ? "@a" : "@b");
    talk_tell(p, program);
    for (int i = 0; i < 40; i++)
        fake_run(fake);
    assert_non_null(strstr((const char *)fake->log.data, " call -40"));
    assert_int_equal(talk_of(fake)->rc, -ELOOP);
    assert_int_equal(talk_of(fake)->n_done, 16);
    talk_end(fake);
}

static enum act calls_when_it_starts(struct fake *fake, struct room *room, struct event *event)
{
    if (event->kind == EVENT_START && strcmp(room->id, "a") == 0)
        return talk_call(fake, room, event, "b", "@a") ? ACT_WAIT : ACT_DONE;
    return talk_handle(fake, room, event);
}

static void a_room_that_starts_is_not_waited_for_by_itself(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_exchange exchange;
    char want[300];

    fake->handler = calls_when_it_starts;
    fake_request(fake, fake_room(fake, "a"), &exchange, "x");
    for (int i = 0; i < 6; i++)
        fake_run(fake);
    snprintf(want, sizeof want,
             "a:start; b:start; b:call @a; b got 508 %s; b:wake; a got 200 b; a:wake; a:request x; x = 200 a",
             stuck);
    fake_expect(fake, want);
    talk_end(fake);
}

/* Each calls the next one, and the last the first. */
static enum act calls_in_a_ring(struct fake *fake, struct room *room, struct event *event)
{
    char next[2] = {room->id[0] == 'c' ? 'a' : (char)(room->id[0] + 1), '\0'};

    if (event->kind == EVENT_START)
        return talk_call(fake, room, event, next, "") ? ACT_WAIT : ACT_DONE;
    return talk_handle(fake, room, event);
}

static void rooms_that_start_are_not_waited_for_in_a_ring(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_exchange exchange;
    char want[300];

    fake->handler = calls_in_a_ring;
    fake_request(fake, fake_room(fake, "a"), &exchange, "x");
    for (int i = 0; i < 8; i++)
        fake_run(fake);
    snprintf(want, sizeof want,
             "a:start; b:start; c:start; c got 508 %s; c:wake; c:call ; b got 200 c; b:wake; b:call ; "
             "a got 200 b; a:wake; a:request x; x = 200 a",
             stuck);
    fake_expect(fake, want);
    talk_end(fake);
}

static void a_room_whose_handlers_wait_is_not_waited_for_by_itself(void **state)
{
    (void)state;
    static const struct room_limits limits = {.events = 100,
                                              .handlers = 2,
                                              .idle_ms = 1000000,
                                              .output = 1 << 20};
    struct fake *fake = talk_begin(&limits);
    struct fake_peer *p = talk_peer(fake, "a", "p");
    char want[300];

    talk_tell(p, "z");
    talk_tell(p, "@b@a"); /* the second that waits */
    snprintf(want, sizeof want,
             "a:message p z; a:message p @b@a; b:start; b:call @a; b got 508 %s; b:wake; a got 200 b; a:wake",
             stuck);
    fake_expect(fake, want);

    /* It is in the inbox when the limit is reached. */
    fake_queue(fake);
    fake_message(p, "@b@a");
    fake_run(fake);
    fake_forget(fake);
    talk_end(fake);
}

static void what_waits_in_the_inbox_is_told_at_the_limit(void **state)
{
    (void)state;
    static const struct room_limits limits = {.events = 100,
                                              .handlers = 2,
                                              .idle_ms = 1000000,
                                              .output = 1 << 20};
    struct fake *fake = talk_begin(&limits);
    struct fake_peer *p = talk_peer(fake, "a", "p");
    struct room *a = fake_room(fake, "a");
    struct call_chain chain;
    struct room_call *call = talk_call_new("a", "");

    talk_tell(p, "z");
    fake_forget(fake);
    /* A call by way of a itself comes behind a handler that will wait. */
    assert_true(call_chain_extend(&call->chain, a, NULL));
    chain = call->chain;
    assert_false(call_chain_stuck(&chain, a));
    call->from = call->to = &fake->rooms;
    fake_queue(fake);
    fake_message(p, "z");
    struct fake_exchange exchange = {.exchange = {.respond = fake_respond_to}, .fake = fake, .name = "x"};
    struct event *event = event_new(EVENT_REQUEST);
    fake->n_exchanges++;
    event->exchange = &exchange.exchange;
    event->chain = malloc(sizeof chain);
    *event->chain = chain;
    event->request = fake_http_request();
    a->n_open++;
    room_post(a, event);
    fake_run(fake);
    fake_expect(fake, "a:message p z; x = 508");
    assert_int_equal(a->n_waiting, 2);
    assert_int_equal(a->n_open, 0);
    assert_int_equal(a->n_events, 0);
    room_call_end(call);
    talk_end(fake);
}

static void a_room_that_has_too_much_to_do_says_so(void **state)
{
    (void)state;
    static const struct room_limits limits = {.events = 100,
                                              .handlers = 1,
                                              .idle_ms = 1000000,
                                              .output = 1 << 20};
    struct fake *fake = talk_begin(&limits);
    struct fake_peer *p = talk_peer(fake, "a", "p"), *q = talk_peer(fake, "b", "q");

    talk_tell(q, "z");
    talk_tell(p, "@b");
    fake_expect(fake, "b:message q z; a:message p @b; a got 503 The room has too much to do; a:wake");
    talk_end(fake);
}

static void there_is_no_such_party_any_more(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    fake->party.name = "other"; /* its rooms keep their name, being found by nobody */
    fake_message(p, "@b");
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "a:message p @b; a got 404 There is no such party any more; a:wake");
    fake->party.name = "main";
    talk_end(fake);
}

static bool is_answered(struct fake *fake)
{
    return talk_of(fake)->n_done > 0;
}

static void an_answer_that_takes_too_long_is_not_waited_for(void **state)
{
    (void)state;
    static const struct room_limits limits = {
        .events = 100, .handlers = 10, .idle_ms = 1000000, .output = 1 << 20, .call_ms = 5};
    struct fake *fake = talk_begin(&limits);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    talk_tell(p, "@bz");
    fake_wait(fake, is_answered);
    for (int i = 0; i < 4; i++)
        fake_run(fake);
    fake_expect(fake, "a:message p @bz; b:start; b:call z; a got 504 The room has not answered within 5 ms "
                      "(callTimeout); a:wake");
    talk_wake(fake, fake_room(fake, "b")); /* late: nobody hears of it */
    for (int i = 0; i < 4; i++)
        fake_run(fake);
    fake_expect(fake, "b:wake");
    talk_end(fake);
}

/* ---- rooms that change meanwhile ---- */

static void who_has_called_may_go(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    talk_of(fake)->early = true; /* it is let go in the same turn: called all the same */
    talk_tell(p, "w@bs");
    fake_expect(fake, "a:message p w@bs; a call 0");
    fake_durable(fake_room(fake, "a"), 1);
    fake->handler = NULL;
    for (int i = 0; i < 4; i++)
        fake_run(fake);
    fake_expect(fake, "b:start; b:call s");
    talk_end(fake);
}

static void a_callee_that_fails_restarts_or_is_destroyed_answers(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p"), *q = talk_peer(fake, "b", "q");

    talk_tell(p, "@bf");
    fake_expect(fake, "a:message p @bf; b:call f; a got 500 Internal error; a:wake");
    talk_tell(p, "@bz");
    talk_tell(q, "R");
    fake_expect(fake, "a:message p @bz; b:call z; b:message q R; q close 1011 Internal error; b:end; "
                      "a got 500 Internal error; a:wake");
    q = talk_peer(fake, "b", "r");
    talk_tell(p, "@bz");
    talk_tell(q, "D");
    fake_expect(fake,
                "a:message p @bz; b:call z; b:message r D; b:end; a got 503 The room was destroyed; a:wake");
    talk_end(fake);
}

static void rooms_that_stop_end_calls(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    talk_tell(p, "@bz");
    fake_forget(fake);
    rooms_stop(&fake->rooms, 1, fake_on_empty, fake);
    while (!list_empty(&talk_of(fake)->calls)) { /* as the end of its VM would */
        struct test_call *call = container_of(talk_of(fake)->calls.next, struct test_call, link);
        test_call_free(call);
    }
    fake_wait(fake, fake_is_empty);
    fake_forget(fake);
    talk_end(fake);
}

/* ---- threads ---- */

static void calls_cross_threads(void **state)
{
    (void)state;
    struct fake *one = talk_begin(NULL), *two = talk_begin(NULL);
    struct rooms *all[] = {&one->rooms, &two->rooms};
    struct rooms_team team = {.rooms = all, .count = 2};
    char there[2] = "a";

    one->rooms.team = two->rooms.team = &team;
    while (rooms_share_of(SPAN("main"), span_of(there), 2) != 1)
        there[0]++;
    assert_true(there[0] < 'z');
    struct fake_peer *p = talk_peer(one, "here", "p");
    char program[8], want[64];
    snprintf(program, sizeof program, "@%s", there);
    fake_message(p, program);
    for (int i = 0; i < 6; i++) {
        fake_run(one);
        fake_run(two);
    }
    snprintf(want, sizeof want, "%s:start; %s:call ", there, there);
    fake_expect(two, want);
    snprintf(want, sizeof want, "here:message p %s; here got 200 %s; here:wake", program, there);
    fake_expect(one, want);
    assert_int_equal(team.away, 0);
    talk_end(two);
    talk_end(one);
}

/* ---- a room that destroys itself ---- */

static size_t stored(const struct fake *fake)
{
    size_t n = 0;
    list_each(link, &fake->store.records)
        n++;
    return n;
}

static void a_destroyed_room_is_forgotten(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");
    struct room *a = fake_room(fake, "a");

    talk_tell(p, "w");
    fake_durable(a, 1);
    assert_int_equal(stored(fake), 1);
    fake_forget(fake);
    fake_message(p, "sDw"); /* what it writes behind that is not kept either */
    fake_run(fake);
    fake_expect(fake, "a:message p sDw; a:end");
    assert_int_equal(a->state, ROOM_STOPPING);
    struct fake_exchange exchange;
    fake_request(fake, a, &exchange, "x"); /* waits for the new one */
    fake_run(fake);
    fake_expect(fake, "");
    fake_durable(a, 2);
    fake_run(fake);
    fake_expect(fake, "p send sDw; p close 1000 The room was destroyed; a:start; a:request x; x = 200 a");
    assert_int_equal(stored(fake), 0);
    talk_end(fake);
}

static void a_room_that_nobody_wants_is_gone(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");

    talk_tell(p, "D");
    struct room *a = fake_room(fake, "a");
    fake_durable(a, 1);
    fake_run(fake);
    assert_null(rooms_find(&fake->rooms, SPAN("main"), SPAN("a")));
    talk_end(fake);
}

static void a_room_whose_end_is_not_kept_lives(void **state)
{
    (void)state;
    struct fake *fake = talk_begin(NULL);
    struct fake_peer *p = talk_peer(fake, "a", "p");
    struct room *a = fake_room(fake, "a");
    struct fake_exchange exchange;

    talk_tell(p, "w");
    fake_durable(a, 1);
    talk_tell(p, "D");
    fake_forget(fake);
    fake_store_end(&fake->store, fake_store_next(&fake->store, a->data->store), STORE_FAILED);
    fake_request(fake, a, &exchange, "x");
    fake_run(fake);
    fake_expect(fake, "p close 1011; a:start; a:request x; x = 200 a");
    assert_int_equal(stored(fake), 1);
    talk_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_goes_and_comes_back),
        cmocka_unit_test(a_call_leaves_in_order_by_the_gate),
        cmocka_unit_test(nothing_is_called_after_a_write_that_failed),
        cmocka_unit_test(an_answer_of_a_write_that_failed_is_none),
        cmocka_unit_test(too_much_output_is_refused),
        cmocka_unit_test(calls_nest_so_deep),
        cmocka_unit_test(a_room_that_starts_is_not_waited_for_by_itself),
        cmocka_unit_test(rooms_that_start_are_not_waited_for_in_a_ring),
        cmocka_unit_test(a_room_whose_handlers_wait_is_not_waited_for_by_itself),
        cmocka_unit_test(what_waits_in_the_inbox_is_told_at_the_limit),
        cmocka_unit_test(a_room_that_has_too_much_to_do_says_so),
        cmocka_unit_test(there_is_no_such_party_any_more),
        cmocka_unit_test(an_answer_that_takes_too_long_is_not_waited_for),
        cmocka_unit_test(who_has_called_may_go),
        cmocka_unit_test(a_callee_that_fails_restarts_or_is_destroyed_answers),
        cmocka_unit_test(rooms_that_stop_end_calls),
        cmocka_unit_test(calls_cross_threads),
        cmocka_unit_test(a_destroyed_room_is_forgotten),
        cmocka_unit_test(a_room_that_nobody_wants_is_gone),
        cmocka_unit_test(a_room_whose_end_is_not_kept_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
