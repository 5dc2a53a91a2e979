/* Rooms whose party has another version: when the script hears of it, and what becomes of the versions. */
#include "fake_room.h"

static struct party *find_newer(void *user, struct span name)
{
    struct party *newer = user;
    return span_equal(name, span_of(newer->name)) ? newer : NULL;
}

static void reload(struct fake *fake, struct party *newer)
{
    struct room_limits limits = fake->rooms.limits;
    rooms_reload(&fake->rooms, &limits, find_newer, newer);
}

static enum act requests_wait(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_REQUEST ? ACT_WAIT : ACT_DONE;
}

static enum act start_waits(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_START ? ACT_WAIT : ACT_DONE;
}

static enum act start_fails_later(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event && event->kind == EVENT_START ? ACT_FAIL : ACT_DONE;
}

static enum act reloads_fail(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_RELOAD ? ACT_FAIL : ACT_DONE;
}

static enum act stop_waits(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    (void)room;
    return event->kind == EVENT_STOP || event->kind == EVENT_RELOAD ? ACT_WAIT : ACT_DONE;
}

static struct room *running(struct fake *fake, const char *id)
{
    struct fake_exchange x;
    struct room *room = fake_room(fake, id);
    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake->log.len = 0;
    return room;
}

/* Before what waits in the inbox, and before what comes from then on. */
static void it_comes_first(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct party newer = {.name = "main"};
    struct fake_exchange x, y;
    struct room *room = running(fake, "r");

    fake_queue(fake);
    fake_request(fake, room, &x, "x");
    reload(fake, &newer);
    assert_ptr_equal(room->party, &newer);
    fake_request(fake, room, &y, "y");
    fake_run(fake);
    fake_expect(fake, "r:reload; r:request x; x = 200 r; r:request y; y = 200 r");

    reload(fake, &fake->party); /* without a queue */
    fake_request(fake, room, &x, "x");
    fake_expect(fake, "");
    fake_run(fake);
    fake_expect(fake, "r:reload; r:request x; x = 200 r");
    fake_end(fake);
    assert_int_equal(newer.refs, 0);
}

/* Several at once are one: the last version counts. */
static void the_last_version_counts(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct party second = {.name = "main"}, third = {.name = "main"};
    struct room *room = running(fake, "r");

    assert_int_equal(fake->party.refs, 1);
    reload(fake, &second);
    reload(fake, &third);
    assert_int_equal(fake->party.refs + second.refs, 0);
    assert_ptr_equal(room->party, &third);
    fake_run(fake);
    fake_expect(fake, "r:reload");
    reload(fake, &third); /* no other version */
    fake_run(fake);
    fake_expect(fake, "");
    fake_end(fake);
    assert_int_equal(third.refs, 0);
}

/* A room without a VM hears nothing: its next one has the new script. */
static void rooms_without_a_vm_take_it_silently(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct party newer = {.name = "main"};
    struct fake_exchange x;
    struct room *room = fake_room(fake, "r");

    reload(fake, &newer);
    assert_ptr_equal(room->party, &newer);
    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_expect(fake, "r:start; r:request x; x = 200 r");
    fake_end(fake);
    assert_int_equal(newer.refs, 0);
}

static void other_parties_keep_theirs(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct party newer = {.name = "another"};
    struct room *room = running(fake, "r");

    reload(fake, &newer);
    fake_run(fake);
    assert_ptr_equal(room->party, &fake->party);
    assert_int_equal(fake->party.refs, 1);
    fake_expect(fake, "");
    fake_end(fake);
}

/* onStart of the version before comes to its end first; if it fails, the newer one is not told. */
static void it_waits_for_on_start(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        struct fake *fake = fake_begin(NULL);
        struct party newer = {.name = "main"};
        struct fake_exchange x;
        struct room *room = fake_room(fake, "r");

        fake->handler = start_waits;
        fake_request(fake, room, &x, "x");
        fake_run(fake);
        reload(fake, &newer);
        fake_run(fake);
        fake_expect(fake, "r:start");
        if (fails)
            fake->resumed = start_fails_later;
        fake_wake(fake, 0);
        fake_run(fake);
        fake_expect(fake, fails ? "r:wake; r:end; x = 500" : "r:wake; r:reload; r:request x; x = 200 r");
        assert_int_equal(fake->party.refs, 0);
        fake_end(fake);
    }
}

/* Handlers that wait go on by and by; what is as many as may wait holds the new version up too. */
static void handlers_that_wait_go_on(void **state)
{
    (void)state;
    static const struct room_limits one = {.events = 1024, .handlers = 1, .idle_ms = 1000, .output = 1 << 20};
    struct fake *fake = fake_begin(&one);
    struct party newer = {.name = "main"};
    struct fake_exchange x, y;
    struct room *room = running(fake, "r");

    fake->handler = requests_wait;
    fake_request(fake, room, &x, "x");
    fake_run(fake);
    reload(fake, &newer);
    fake_run(fake);
    fake_expect(fake, "r:request x");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; x = 200 r; r:reload");

    fake_request(fake, room, &x, "x"); /* more may wait: what did so goes on */
    fake_request(fake, room, &y, "y");
    fake_run(fake);
    fake_expect(fake, "r:request x; y = 503");
    struct room_limits more = one;
    more.handlers = 5;
    rooms_reload(&fake->rooms, &more, find_newer, &newer);
    fake_request(fake, room, &y, "y");
    fake_run(fake);
    fake_expect(fake, "r:request y");
    fake_wake(fake, 0);
    fake_wake(fake, 1);
    fake_run(fake);
    fake_expect(fake, "r:wake; x = 200 r; r:wake; y = 200 r");
    fake_end(fake);
}

static void a_script_that_does_not_take_over_changes_nothing(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct party newer = {.name = "main"};
    struct fake_exchange x;
    struct room *room = running(fake, "r");

    fake->handler = reloads_fail;
    reload(fake, &newer);
    fake_request(fake, room, &x, "x");
    fake_run(fake);
    fake_expect(fake, "r:reload; r:request x; x = 200 r");
    fake_end(fake);
}

/* A room that is about to leave is not told; one that waits in onReload stays until that is over. */
static void rooms_that_leave(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct party newer = {.name = "main"};
    struct room *room = running(fake, "r");

    fake->handler = stop_waits;
    reload(fake, &newer);
    fake_run(fake);
    fake_expect(fake, "r:reload");
    rooms_stop(&fake->rooms, 100000, fake_on_empty, fake);
    fake_run(fake);
    assert_int_equal(room->state, ROOM_RUNNING);
    fake_wake(fake, 0);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:stop");
    reload(fake, &fake->party);
    fake_run(fake);
    fake_expect(fake, "");
    fake_wake(fake, 0);
    fake_wait(fake, fake_is_empty);
    fake_expect(fake, "r:wake; r:end");
    fake_end(fake);
    assert_int_equal(newer.refs, 0);
}

static bool no_rooms(struct fake *fake)
{
    return fake->rooms.n_rooms == 0;
}

/* A shorter time for idle rooms counts for those that are idle already. */
static void limits_count_at_once(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    running(fake, "r");

    struct room_limits soon = fake->rooms.limits;
    soon.idle_ms = 1;
    rooms_reload(&fake->rooms, &soon, find_newer, &fake->party);
    fake_wait(fake, no_rooms);
    fake_expect(fake, "r:stop; r:end");
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_first),
        cmocka_unit_test(the_last_version_counts),
        cmocka_unit_test(rooms_without_a_vm_take_it_silently),
        cmocka_unit_test(other_parties_keep_theirs),
        cmocka_unit_test(it_waits_for_on_start),
        cmocka_unit_test(handlers_that_wait_go_on),
        cmocka_unit_test(a_script_that_does_not_take_over_changes_nothing),
        cmocka_unit_test(rooms_that_leave),
        cmocka_unit_test(limits_count_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
