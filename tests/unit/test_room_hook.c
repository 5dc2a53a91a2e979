/* Lobbies: rooms in which a party's hooks run, and that nobody can enter. */
#include "fake_room.h"

struct ask {
    struct hook_call call;
    struct fake *fake;
    const char *name;
    int status; /* of the answer; 0: it may go on */
    int answers;
};

static void on_answer(struct exchange *exchange, struct http_response *response)
{
    struct ask *ask = container_of(container_of(exchange, struct hook_call, exchange), struct ask, call);

    ask->answers++;
    ask->status = response ? response->status : 0;
    if (!response)
        assert_int_equal(ask->call.verdict, HOOK_PASS);
    fake_say(ask->fake, "%s = %d", ask->name, ask->status);
    http_response_free(response);
    hook_call_fini(&ask->call);
}

static void ask(struct fake *fake, struct ask *ask, const char *name)
{
    struct http_request *request = fake_http_request();
    request->size = 100;
    *ask = (struct ask){.call = {.exchange = {.respond = on_answer}, .kind = HOOK_REQUEST},
                        .fake = fake,
                        .name = name};
    ask->call.room = span_of(name);
    room_hook(&fake->rooms, &fake->party, &ask->call, request);
}

static enum act hooks_wait(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_HOOK ? ACT_WAIT : ACT_DONE;
}

/* No onStart, no onStop, no counter of rooms, and no way to it by a name. */
static void a_lobby_is_no_room(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct ask a, b;

    ask(fake, &a, "r");
    ask(fake, &b, "s");
    fake_run(fake);
    fake_expect(fake, "hook r; r = 0; hook s; s = 0");
    struct room *lobby = rooms_lobby(&fake->rooms, &fake->party);
    assert_int_equal(fake->rooms.n_rooms, 1);
    assert_string_equal(lobby->id, "");
    assert_int_equal(lobby->state, ROOM_RUNNING);
    assert_int_equal(lobby->lent, 0);
    assert_null(rooms_find(&fake->rooms, SPAN("main"), SPAN("")));
    struct room *named = fake_room(fake, "");
    assert_ptr_not_equal(named, lobby);
    assert_int_equal(fake->counters.rooms_started, 0);
    rooms_drop(&fake->rooms);
    fake_expect(fake, ":end");
    assert_int_equal(fake->counters.rooms_stopped, 0);
    fake_end(fake);
}

static void many_wait_at_once(void **state)
{
    (void)state;
    static const struct room_limits limits = {.events = 1024,
                                              .handlers = 3,
                                              .idle_ms = 1000000,
                                              .output = 1 << 20};
    struct fake *fake = fake_begin(&limits);
    struct ask asks[5];
    static const char *const names[] = {"a", "b", "c", "d", "e"};

    fake->handler = hooks_wait;
    for (int i = 0; i < 3; i++)
        ask(fake, &asks[i], names[i]);
    fake_run(fake);
    fake_expect(fake, "hook a; hook b; hook c");
    ask(fake, &asks[3], "d"); /* more than may wait */
    fake_expect(fake, "d = 503");
    assert_int_equal(fake->counters.requests_overload, 1);
    fake_wake(fake, 1);
    fake_run(fake);
    fake_expect(fake, ":wake; b = 0");
    ask(fake, &asks[4], "e");
    fake_expect(fake, "hook e");
    fake_end(fake); /* each is answered */
    for (int i = 0; i < 5; i++)
        assert_int_equal(asks[i].answers, 1);
    assert_int_equal(asks[0].status, 500);
}

/* What is lent to hooks that wait is bounded as an inbox is. */
static void requests_that_are_lent_are_counted(void **state)
{
    (void)state;
    static const struct room_limits limits = {
        .events = 1024, .handlers = 256, .idle_ms = 1000000, .output = 1 << 20, .inbox = 250};
    struct fake *fake = fake_begin(&limits);
    struct ask a, b, c, d;

    fake->handler = hooks_wait;
    ask(fake, &a, "a");
    ask(fake, &b, "b");
    ask(fake, &c, "c");
    fake_run(fake);
    assert_int_equal(rooms_lobby(&fake->rooms, &fake->party)->lent, 300);
    ask(fake, &d, "d");
    fake_expect(fake, "hook a; hook b; hook c; d = 503");
    fake_wake(fake, 0);
    fake_run(fake);
    assert_int_equal(rooms_lobby(&fake->rooms, &fake->party)->lent, 200);
    ask(fake, &d, "d");
    fake_expect(fake, ":wake; a = 0; hook d");
    room_restart(rooms_lobby(&fake->rooms, &fake->party));
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, ":wake; b = 0; :end; c = 500; d = 500");
    assert_int_equal(rooms_lobby(&fake->rooms, &fake->party)->lent, 0);
    fake_end(fake);
}

static void a_vm_that_can_not_be_made(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct ask a;

    fake->no_vm = true;
    ask(fake, &a, "r");
    fake_run(fake);
    fake_expect(fake, "r = 500");
    fake->no_vm = false;
    ask(fake, &a, "r");
    fake_run(fake);
    fake_expect(fake, "hook r; r = 0");
    fake_end(fake);
}

/* Handlers that wait may finish; nothing new is let in. */
static void the_rooms_stop(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct ask a, b;

    fake->handler = hooks_wait;
    ask(fake, &a, "a");
    fake_run(fake);
    rooms_stop(&fake->rooms, 100000, fake_on_empty, fake);
    ask(fake, &b, "b");
    fake_run(fake);
    fake_expect(fake, "hook a; b = 503");
    assert_false(fake->empty);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_wait(fake, fake_is_empty);
    fake_expect(fake, ":wake; a = 0; :end");
    ask(fake, &b, "b");
    fake_expect(fake, "b = 503");
    fake_end(fake);
}

static void the_stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct ask a;

    fake->handler = hooks_wait;
    ask(fake, &a, "a");
    fake_run(fake);
    rooms_stop(&fake->rooms, 10, fake_on_empty, fake);
    fake_wait(fake, fake_is_empty);
    fake_expect(fake, "hook a; :end; a = 500");
    fake_end(fake);
}

static struct party *find_newer(void *user, struct span name)
{
    struct party *newer = user;
    return span_equal(name, span_of(newer->name)) ? newer : NULL;
}

static void another_version(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct party newer = {.name = "main"};
    struct room_limits limits = fake->rooms.limits;
    struct ask a;

    ask(fake, &a, "a");
    fake_run(fake);
    rooms_reload(&fake->rooms, &limits, find_newer, &newer);
    ask(fake, &a, "b");
    fake_run(fake);
    fake_expect(fake, "hook a; a = 0; :reload; hook b; b = 0");
    assert_ptr_equal(rooms_lobby(&fake->rooms, &newer)->party, &newer);
    fake_end(fake);
}

/* As any room, and without an onStop. */
static void an_idle_lobby_leaves(void **state)
{
    (void)state;
    static const struct room_limits limits = {.events = 1024,
                                              .handlers = 256,
                                              .idle_ms = 5,
                                              .output = 1 << 20};
    struct fake *fake = fake_begin(&limits);
    struct ask a;

    ask(fake, &a, "a");
    fake_run(fake);
    while (fake->rooms.n_rooms > 0)
        uv_run(&fake->loop.uv, UV_RUN_ONCE);
    fake_expect(fake, "hook a; a = 0; :end");
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lobby_is_no_room),
        cmocka_unit_test(many_wait_at_once),
        cmocka_unit_test(requests_that_are_lent_are_counted),
        cmocka_unit_test(a_vm_that_can_not_be_made),
        cmocka_unit_test(the_rooms_stop),
        cmocka_unit_test(the_stop_does_not_wait_for_ever),
        cmocka_unit_test(another_version),
        cmocka_unit_test(an_idle_lobby_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
