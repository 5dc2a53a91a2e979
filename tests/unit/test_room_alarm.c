/* Alarms of rooms: which are found, when they ring, and what becomes of them. The wall clock is the test's: it
 * stands still until a test moves it. */
#include "fake_room.h"

#include "base/log.h"

#include <sys/mman.h>
#include <unistd.h>

static int64_t wall = 1000000000;

int64_t __wrap_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void)
{
    return wall;
}

/* ---- a script with onAlarm ---- */

/* What onAlarm does. */
struct plan {
    void (*what)(struct room *room);
    enum act act;   /* how it ends, or waits */
    enum act later; /* after that */
    bool no_start;  /* onStart fails */
};

static enum act ring(struct fake *fake, struct room *room)
{
    const struct plan *plan = fake->user;

    if (!room_alarm_begin(room)) {
        fake_say(fake, "%s:not due", room->id);
        return ACT_DONE;
    }
    fake_say(fake, "%s:rings", room->id);
    if (plan && plan->what)
        plan->what(room);
    return plan ? plan->act : ACT_DONE;
}

/* A timer's handle says what its handler does: "set N", in so many ms; "clear"; "again" and again. */
static void do_timer(struct room *room, char *what)
{
    if (strncmp(what, "set ", 4) == 0)
        assert_int_equal(data_set_alarm(room, wall + atoi(what + 4)), 0);
    else if (strcmp(what, "clear") == 0)
        assert_int_equal(data_set_alarm(room, 0), 0);
    else if (strcmp(what, "again") == 0)
        room_timer_due(room, what);
}

static enum act handle(struct fake *fake, struct room *room, struct event *event)
{
    const struct plan *plan = fake->user;
    int64_t time;

    if (event->kind == EVENT_START && plan && plan->no_start)
        return ACT_FAIL;
    if (event->kind == EVENT_TIMER)
        do_timer(room, event->handle);
    if (event->kind != EVENT_ALARM)
        return ACT_DONE;
    if (data_alarm(room, &time))
        return ring(fake, room);
    fake->waits = calloc(1, sizeof *fake->waits);
    assert_non_null(fake->waits);
    assert_int_equal(data_ask_head(room, fake->waits), 0);
    return ACT_WAIT;
}

static enum act go_on(struct fake *fake, struct room *room, struct event *event)
{
    const struct plan *plan = fake->user;
    struct data_answer answer;

    if (!event || event->kind != EVENT_ALARM || !fake->from_store)
        return plan ? plan->later : ACT_DONE;
    data_take(room, &answer);
    buf_fini(&answer.entries);
    return answer.result == 0 ? ring(fake, room) : ACT_FAIL;
}

static struct fake *begin(struct plan *plan)
{
    struct fake *fake = fake_begin(NULL);
    fake->handler = handle;
    fake->resumed = go_on;
    fake->user = plan;
    return fake;
}

static void do_in(struct fake *fake, const char *id, char *what)
{
    room_timer_due(fake_room(fake, id), what);
    fake_run(fake);
}

/* An alarm that is stored, of a room that may not be in memory. */
static struct fake_head *stored(struct fake *fake, const char *id, int64_t time)
{
    struct fake_head *head = fake_head(&fake->store, "main", id);
    head->alarm = time;
    return head;
}

static bool a_search(struct fake *fake)
{
    return !list_empty(&fake->store.searches);
}

/* Searches once, and gives the answer. */
static void search(struct fake *fake)
{
    alarms_begin(&fake->rooms.alarms);
    fake_wait(fake, a_search);
    assert_true(fake_store_find(&fake->store, STORE_OK));
}

static bool no_timers(struct fake *fake)
{
    return list_empty(&fake->rooms.alarms.all);
}

/* Until all that is due has got its event. */
static void let_ring(struct fake *fake)
{
    fake_wait(fake, no_timers);
    do {
        fake_run(fake);
        fake_store_settle(&fake->store);
    } while (rooms_busy(&fake->rooms));
}

static size_t count_timers(const struct fake *fake)
{
    size_t n = 0;
    list_each(link, &fake->rooms.alarms.all)
        n += link != NULL;
    return n;
}

/* Has the fake said this? */
static bool said(struct fake *fake, const char *text)
{
    return fake->log.len > 0 && memmem(fake->log.data, fake->log.len, text, strlen(text)) != NULL;
}

static bool z_rang(struct fake *fake)
{
    return said(fake, "z:rings");
}

static bool r_rang(struct fake *fake)
{
    return said(fake, "r:rings");
}

/* ---- what is found ---- */

static void due_alarms_ring_at_the_start(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    const struct fake_head *a = stored(fake, "a", wall - 5000), *b = stored(fake, "b", wall);
    const struct fake_head *c = stored(fake, "c", wall + 1000000);

    search(fake);
    fake_wait(fake, no_timers);
    fake_run(fake);
    fake_expect(fake, "a:start; a:alarm; b:start; b:alarm");
    fake_store_settle(&fake->store); /* their heads are asked for */
    fake_run(fake);
    fake_expect(fake, "a:wake; a:rings; b:wake; b:rings");
    assert_true(a->alarm != 0 && b->alarm != 0);
    fake_store_settle(&fake->store); /* it is taken back by the handler's batch */
    assert_true(a->alarm == 0 && b->alarm == 0 && c->alarm == wall + 1000000);
    assert_int_equal(fake->rooms.n_rooms, 2);
    fake_end(fake);
}

static void they_are_found_in_pages(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    char id[16];

    for (int i = 0; i < 600; i++) {
        snprintf(id, sizeof id, "r%03d", i);
        stored(fake, id, wall - i / 300); /* many at the same time */
    }
    alarms_begin(&fake->rooms.alarms);
    while (fake->rooms.n_rooms < 600) {
        fake_wait(fake, a_search);
        assert_true(fake_store_find(&fake->store, STORE_OK));
        do
            let_ring(fake); /* where that takes long, what the next searches find too */
        while (!no_timers(fake));
        assert_in_range(fake->rooms.n_rooms, 256, fake->store.n_searches * 256);
    }
    assert_int_equal(fake->rooms.n_rooms, 600);
    assert_int_equal(fake->store.n_searches, 3);
    assert_true(timer_running(&fake->rooms.alarms.scan));
    list_each(link, &fake->store.heads)
        assert_int_equal(container_of(link, struct fake_head, link)->alarm, 0);
    fake_end(fake);
}

static void only_those_of_the_thread_s_share_ring(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    char id[16];
    size_t n = 0;

    fake->rooms.shares = 3;
    fake->rooms.share = 1;
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "r%d", i);
        stored(fake, id, wall);
    }
    search(fake);
    let_ring(fake);
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "r%d", i);
        bool ours = rooms_share_of(span_of("main"), span_of(id), 3) == 1;
        assert_int_equal(rooms_find(&fake->rooms, span_of("main"), span_of(id)) != NULL, ours);
        assert_int_equal(fake_head(&fake->store, "main", id)->alarm == 0, ours);
        n += ours;
    }
    assert_true(n > 0 && n < 60);
    fake_end(fake);
}

static void a_party_that_is_gone_has_no_alarms(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    fake_head(&fake->store, "other", "a")->alarm = wall;
    stored(fake, "z", wall);
    search(fake);
    let_ring(fake);
    fake_expect(fake, "z:start; z:alarm; z:wake; z:rings");
    assert_int_equal(fake->rooms.n_rooms, 1);
    assert_int_equal(fake_head(&fake->store, "other", "a")->alarm, wall); /* it may come back */
    fake_end(fake);
}

/* How often the log in this file has the text. */
static size_t count_in_log(int log, const char *text)
{
    static char all[65536];
    ssize_t len = pread(log, all, sizeof all - 1, 0);
    size_t n = 0;

    assert_true(len >= 0);
    all[len] = '\0';
    for (const char *at = all; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

/* Once for each, by the first of the threads, and for alarms that are due. */
static void a_party_that_is_gone_is_said_to_be(void **state)
{
    static const char said[] = "alarms are due, but their party is not in the project";
    (void)state;
    for (unsigned share = 0; share < 2; share++) {
        struct fake *fake = begin(NULL);
        int log = memfd_create("log", MFD_CLOEXEC);

        assert_int_equal(log_init(log, LOG_DEBUG, LOG_JSON), 0);
        fake->rooms.shares = 2;
        fake->rooms.share = share;
        fake_head(&fake->store, "other", "a")->alarm = wall;
        fake_head(&fake->store, "other", "b")->alarm = wall;
        fake_head(&fake->store, "third", "a")->alarm = wall - 5;
        fake_head(&fake->store, "later", "a")->alarm = wall + 5;
        for (int i = 0; i < 3; i++)
            search(fake);
        log_fini();
        assert_int_equal(count_in_log(log, said), share == 0 ? 2 : 0);
        assert_int_equal(count_in_log(log, "later"), 0);
        close(log);
        fake_end(fake);
    }
}

/* At once, not with the next search; also when one is under way, which may be past them. */
static void a_party_that_comes_back_hears_its_alarms(void **state)
{
    (void)state;
    for (int under_way = 0; under_way < 2; under_way++) {
        struct fake *fake = begin(NULL);
        struct room_limits limits = fake->rooms.limits;
        const char *name = fake->party.name;

        fake->party.name = "another";
        stored(fake, "r", wall);
        search(fake);
        fake_wait(fake, no_timers);
        if (under_way) {
            alarms_begin(&fake->rooms.alarms);
            fake_wait(fake, a_search);
        }
        fake->party.name = name;
        rooms_reload(&fake->rooms, &limits, fake_party_find, fake);
        if (under_way)
            assert_true(fake_store_find(&fake->store, STORE_OK));
        fake_wait(fake, a_search);
        assert_true(fake_store_find(&fake->store, STORE_OK));
        let_ring(fake);
        assert_true(r_rang(fake));
        fake_end(fake);
    }
}

static void without_a_store_nothing_is_searched(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    fake->rooms.store = NULL;
    alarms_begin(&fake->rooms.alarms);
    assert_false(timer_running(&fake->rooms.alarms.scan));
    fake->rooms.store = &fake->store.base;
    fake_end(fake);
}

static void a_search_that_fails_is_made_again(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    char text[1024] = "";
    int log = memfd_create("log", MFD_CLOEXEC);

    assert_int_equal(log_init(log, LOG_DEBUG, LOG_JSON), 0);
    stored(fake, "r", wall);
    alarms_begin(&fake->rooms.alarms);
    fake_wait(fake, a_search);
    assert_true(fake_store_find(&fake->store, STORE_FAILED));
    assert_true(no_timers(fake) && timer_running(&fake->rooms.alarms.scan));
    log_fini();
    assert_true(pread(log, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "the alarms could not be looked for"));
    close(log);
    search(fake);
    let_ring(fake);
    assert_true(r_rang(fake));
    fake_end(fake);
}

/* Rooms that always have something to do don't keep alarms from being found. */
static void busy_rooms_do_not_put_searches_off_for_good(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    static char again[] = "again";

    room_timer_due(fake_room(fake, "busy"), again);
    assert_true(rooms_busy(&fake->rooms));
    alarms_begin(&fake->rooms.alarms);
    fake_wait(fake, a_search);
    assert_true(rooms_busy(&fake->rooms));
    fake_end(fake);
}

/* The place at which the search goes on is the search's until its answer. */
static void rooms_may_stop_while_a_search_is_under_way(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    char id[16];

    for (int i = 0; i < 300; i++) {
        snprintf(id, sizeof id, "r%03d", i);
        stored(fake, id, wall + 1000);
    }
    search(fake);
    fake_wait(fake, a_search);
    rooms_drop(&fake->rooms);
    struct store_search *late = fake_store_seek(&fake->store);
    assert_int_equal(late->n_found, 300 - 256);
    fake_store_show(late, STORE_OK);
    assert_true(no_timers(fake) && !timer_running(&fake->rooms.alarms.scan));
    fake_end(fake);
}

/* ---- those that rooms set ---- */

static void one_set_for_soon_rings_when_it_is_due(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    do_in(fake, "r", "set 5");
    assert_true(no_timers(fake)); /* not durable */
    fake_store_settle(&fake->store);
    assert_int_equal(count_timers(fake), 1);
    fake_run(fake);
    fake_expect(fake, "r:start; r:timer set 5");
    wall += 5;
    let_ring(fake);
    fake_expect(fake, "r:alarm; r:rings");
    assert_int_equal(stored(fake, "r", 0)->alarm, 0);
    fake_end(fake);
}

static void one_that_is_not_durable_does_not_ring(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    do_in(fake, "r", "set 1");
    do_in(fake, "z", "set 1");
    wall += 1000;
    fake_store_end(&fake->store, fake_store_next(&fake->store, fake_room(fake, "z")->data->store), STORE_OK);
    fake_wait(fake, z_rang);
    assert_false(said(fake, "r:alarm"));
    fake_store_settle(&fake->store); /* long overdue by now */
    fake_wait(fake, r_rang);
    fake_end(fake);
}

static void one_far_away_is_left_to_the_searches(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    do_in(fake, "r", "set 3600000");
    fake_store_settle(&fake->store);
    assert_true(no_timers(fake));
    wall += 3600000 - 10;
    search(fake);
    assert_int_equal(count_timers(fake), 1);
    wall += 10;
    let_ring(fake);
    assert_true(r_rang(fake));
    fake_end(fake);
}

static void one_that_is_moved_rings_at_its_new_time(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    do_in(fake, "r", "set 5");
    fake_store_settle(&fake->store);
    do_in(fake, "r", "set 40");
    fake_store_settle(&fake->store);
    do_in(fake, "z", "set 6");
    fake_store_settle(&fake->store);
    fake_forget(fake);
    wall += 6;
    fake_wait(fake, z_rang);
    fake_expect(fake, "z:alarm; z:rings");
    wall += 34;
    fake_wait(fake, r_rang);
    do_in(fake, "r", "set 5");
    fake_store_settle(&fake->store);
    assert_int_equal(count_timers(fake), 1);
    do_in(fake, "r", "set 1000000"); /* beyond what has timers */
    fake_store_settle(&fake->store);
    assert_true(no_timers(fake));
    fake_end(fake);
}

static void one_that_is_taken_back_does_not_ring(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    do_in(fake, "r", "set 5");
    fake_store_settle(&fake->store);
    do_in(fake, "r", "clear");
    assert_int_equal(count_timers(fake), 1); /* as long as that is not durable */
    fake_store_settle(&fake->store);
    assert_true(no_timers(fake));
    fake_end(fake);
}

/* It was moved, but its old timer is over before that is durable. */
static void a_timer_that_is_stale_does_no_harm(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    do_in(fake, "r", "set 5");
    fake_store_settle(&fake->store);
    do_in(fake, "r", "set 20");
    fake_forget(fake);
    wall += 5;
    fake_wait(fake, no_timers);
    fake_run(fake);
    fake_expect(fake, "r:alarm; r:not due");
    fake_store_settle(&fake->store);
    assert_int_equal(count_timers(fake), 1);
    wall += 15;
    let_ring(fake);
    fake_expect(fake, "r:alarm; r:rings");
    fake_end(fake);
}

/* What a search has found may be older than what a room has set since. */
static void a_search_does_not_move_what_was_set_meanwhile(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    do_in(fake, "r", "set 5");
    fake_store_settle(&fake->store);
    alarms_begin(&fake->rooms.alarms);
    fake_wait(fake, a_search);
    struct store_search *old = fake_store_seek(&fake->store);
    do_in(fake, "r", "set 30");
    do_in(fake, "z", "set 6");
    fake_store_settle(&fake->store);
    fake_store_show(old, STORE_OK);
    fake_forget(fake);
    wall += 6;
    fake_wait(fake, z_rang);
    fake_run(fake);
    fake_expect(fake, "z:alarm; z:rings");
    wall += 24;
    fake_wait(fake, r_rang);
    fake_end(fake);
}

/* Searches find it as long as its handler runs. */
static void one_that_rings_does_not_ring_again_meanwhile(void **state)
{
    (void)state;
    struct plan plan = {.act = ACT_WAIT};
    struct fake *fake = begin(&plan);
    const struct fake_head *head = stored(fake, "r", wall);

    search(fake);
    let_ring(fake);
    fake_expect(fake, "r:start; r:alarm; r:wake; r:rings");
    search(fake);
    let_ring(fake);
    fake_expect(fake, "");
    fake_wake(fake, 0);
    fake_run(fake);
    search(fake); /* its deletion is not durable: once more it is found */
    fake_wait(fake, no_timers);
    fake_run(fake);
    fake_expect(fake, "r:wake; r:alarm; r:not due");
    fake_store_settle(&fake->store);
    assert_int_equal(head->alarm, 0);
    fake_end(fake);
}

/* The wall clock is set: nothing rings too early, and what is due then rings before long. */
static void the_wall_clock_may_jump(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    do_in(fake, "r", "set 5");
    fake_store_settle(&fake->store);
    wall -= 3600000;
    do_in(fake, "z", "set 6");
    fake_store_settle(&fake->store);
    fake_forget(fake);
    wall += 6;
    fake_wait(fake, z_rang);
    fake_expect(fake, "z:alarm; z:rings");
    wall += 3600000;
    fake_wait(fake, r_rang);
    fake_end(fake);
}

static void look(struct fake *fake)
{
    timer_start(&fake->loop, &fake->rooms.alarms.scan, 0);
    fake_run(fake);
}

/* So it is with one that was too far ahead to have a timer. */
static void the_wall_clock_may_jump_over_an_alarm(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    const struct alarms *alarms = &fake->rooms.alarms;

    stored(fake, "r", wall + 3600000);
    search(fake);
    assert_true(no_timers(fake));
    assert_true(alarms->scan.due <= loop_time_ns(&fake->loop) + (uint64_t)5000 * NS_PER_MS);
    look(fake);
    assert_false(a_search(fake));
    wall += 3600000;
    look(fake);
    assert_true(a_search(fake));
    assert_true(fake_store_find(&fake->store, STORE_OK));
    let_ring(fake);
    fake_expect(fake, "r:start; r:alarm; r:wake; r:rings");
    fake_end(fake);
}

/* Without that there is a search after half a minute. */
static void searches_come_after_looks(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);

    search(fake);
    for (int i = 0; i < 5; i++) {
        look(fake);
        assert_false(a_search(fake));
    }
    look(fake);
    assert_true(a_search(fake));
    assert_true(fake_store_find(&fake->store, STORE_OK));
    fake_end(fake);
}

/* ---- how handlers end ---- */

static void set_another(struct room *room)
{
    assert_int_equal(data_set_alarm(room, wall + 70), 0);
}

static void clear_it(struct room *room)
{
    int64_t time;
    assert_true(data_alarm(room, &time) && time == 0); /* it is taken for gone */
    assert_int_equal(data_set_alarm(room, 0), 0);
}

static void write_a_key(struct room *room)
{
    fake_write(room);
}

static void what_the_handler_sets_stays(void **state)
{
    (void)state;
    static struct {
        struct plan plan;
        int64_t left;
    } cases[] = {
        {{.what = set_another}, 70},
        {{.what = set_another, .act = ACT_FAIL}, 70},
        {{.what = clear_it}, 0},
        {{.what = clear_it, .act = ACT_FAIL}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake *fake = begin(&cases[i].plan);
        const struct fake_head *head = stored(fake, "r", wall - 100);
        search(fake);
        fake_wait(fake, no_timers);
        fake_run(fake);
        fake_store_settle(&fake->store);
        fake_run(fake);
        fake_store_settle(&fake->store);
        assert_int_equal(head->alarm, cases[i].left ? wall + cases[i].left : 0);
        assert_int_equal(head->attempt, 0);
        fake_end(fake);
    }
}

static void a_handler_that_fails_is_called_again(void **state)
{
    (void)state;
    struct plan plan = {.what = write_a_key, .act = ACT_FAIL};
    struct fake *fake = begin(&plan);
    const struct fake_head *head = stored(fake, "r", wall);
    char text[4096] = "";
    int log = memfd_create("log", MFD_CLOEXEC);

    assert_int_equal(log_init(log, LOG_DEBUG, LOG_JSON), 0);
    search(fake);
    fake_wait(fake, no_timers);
    fake_run(fake);
    assert_true(fake_store_answer(&fake->store, STORE_OK));
    for (uint32_t i = 0; i < 7; i++) {
        fake_run(fake);
        assert_true(r_rang(fake));
        fake_forget(fake);
        assert_int_equal(fake->store.n_batches, 1);
        int64_t due = i < 6 ? wall + (2000 << i) : 0;
        wall += i < 6 ? 2000 << i : 0;
        fake_store_settle(&fake->store);
        assert_int_equal(head->alarm, due);
        assert_int_equal(head->attempt, i < 6 ? i + 1 : 0);
        fake_wait(fake, no_timers);
    }
    fake_run(fake);
    fake_expect(fake, "");
    log_fini();
    assert_true(pread(log, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "onAlarm has failed too often"));
    assert_non_null(strstr(text, "\"room\":\"r\""));
    assert_non_null(strstr(text, "\"failures\":7"));
    close(log);
    fake_end(fake);
}

/* How often it has failed is stored with it. */
static void failures_are_counted_beyond_the_room(void **state)
{
    (void)state;
    struct plan plan = {.act = ACT_FAIL};
    struct fake *fake = begin(&plan);
    struct fake_head *head = stored(fake, "r", wall);

    head->attempt = 4;
    search(fake);
    let_ring(fake);
    assert_int_equal(head->alarm, wall + (2000 << 4));
    assert_int_equal(head->attempt, 5);
    plan.act = ACT_DONE;
    wall = head->alarm;
    search(fake);
    fake_wait(fake, no_timers);
    fake_run(fake);
    fake_store_settle(&fake->store);
    assert_int_equal(head->alarm, 0);
    do_in(fake, "r", "set 5"); /* one that is set anew has not failed */
    fake_store_settle(&fake->store);
    assert_int_equal(head->attempt, 0);
    fake_end(fake);
}

static void leave_in_a_transaction(struct room *room)
{
    assert_int_equal(data_transaction_begin(room), 0);
    assert_int_equal(data_put(room, SPAN("key"), SPAN("value")), 0);
}

/* A handler that was cut inside of a transaction has failed as any other. */
static void what_follows_is_no_part_of_a_transaction(void **state)
{
    (void)state;
    struct plan plan = {.what = leave_in_a_transaction, .act = ACT_FAIL};
    struct fake *fake = begin(&plan);
    const struct fake_head *head = stored(fake, "r", wall);

    search(fake);
    let_ring(fake);
    assert_int_equal(head->alarm, wall + 2000);
    assert_int_equal(head->attempt, 1);
    assert_true(list_empty(&fake->store.records));
    fake_end(fake);
}

/* As long as the handler is not over, a crash lets it ring again. */
static void it_is_deleted_with_the_handler_s_last_turn(void **state)
{
    (void)state;
    struct plan plan = {.what = write_a_key, .act = ACT_WAIT};
    struct fake *fake = begin(&plan);
    const struct fake_head *head = stored(fake, "r", wall);

    search(fake);
    let_ring(fake);
    assert_int_equal(fake->store.n_batches, 0);
    assert_false(list_empty(&fake->store.records)); /* the first turn's batch is there */
    assert_int_equal(head->alarm, wall);
    fake_wake(fake, 0);
    fake_run(fake);
    assert_int_equal(fake->store.n_batches, 1);
    assert_int_equal(head->alarm, wall);
    fake_store_settle(&fake->store);
    assert_int_equal(head->alarm, 0);
    fake_end(fake);
}

static void begin_anew(struct room *room)
{
    room_restart(room);
}

static void a_room_that_is_restarted_hears_it_again(void **state)
{
    (void)state;
    struct plan plan = {.what = begin_anew, .act = ACT_WAIT};
    struct fake *fake = begin(&plan);
    const struct fake_head *head = stored(fake, "r", wall);

    search(fake);
    let_ring(fake);
    fake_expect(fake, "r:start; r:alarm; r:wake; r:rings; r:end");
    assert_int_equal(head->alarm, wall);
    plan = (struct plan){0};
    search(fake);
    let_ring(fake);
    fake_expect(fake, "r:start; r:alarm; r:wake; r:rings");
    assert_int_equal(head->alarm, 0);
    fake_end(fake);
}

static void a_room_whose_batch_fails_hears_it_again(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    const struct fake_head *head = stored(fake, "r", wall);

    search(fake);
    fake_wait(fake, no_timers);
    fake_run(fake);
    assert_true(fake_store_answer(&fake->store, STORE_OK));
    fake_run(fake);
    fake_store_end(&fake->store, fake_store_next(&fake->store, NULL), STORE_FAILED);
    fake_run(fake);
    fake_expect(fake, "r:start; r:alarm; r:wake; r:rings; r:end");
    assert_int_equal(head->alarm, wall);
    search(fake);
    let_ring(fake);
    fake_expect(fake, "r:start; r:alarm; r:wake; r:rings");
    assert_int_equal(head->alarm, 0);
    fake_end(fake);
}

static void a_room_that_does_not_start_hears_it_later(void **state)
{
    (void)state;
    struct plan plan = {.no_start = true};
    struct fake *fake = begin(&plan);
    const struct fake_head *head = stored(fake, "r", wall);

    search(fake);
    let_ring(fake);
    fake_expect(fake, "r:start; r:end");
    plan.no_start = false;
    search(fake);
    let_ring(fake);
    fake_expect(fake, "r:start; r:alarm; r:wake; r:rings");
    assert_int_equal(head->alarm, 0);
    fake_end(fake);
}

static void a_room_that_stops_while_it_rings_keeps_it(void **state)
{
    (void)state;
    struct plan plan = {.act = ACT_WAIT};
    struct fake *fake = begin(&plan);
    const struct fake_head *head = stored(fake, "r", wall);

    search(fake);
    let_ring(fake);
    rooms_stop(&fake->rooms, 0, fake_on_empty, fake);
    plan.act = ACT_DONE;
    fake_wait(fake, fake_is_empty);
    fake_expect(fake, "r:start; r:alarm; r:wake; r:rings; r:stop; r:end");
    assert_int_equal(head->alarm, wall);
    fake_end(fake);
}

static void it_is_not_known_when_the_store_can_t_be_read(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    const struct fake_head *head = stored(fake, "r", wall);

    search(fake);
    fake_wait(fake, no_timers);
    fake_run(fake);
    assert_true(fake_store_answer(&fake->store, STORE_FAILED));
    fake_run(fake);
    fake_expect(fake, "r:start; r:alarm; r:wake");
    assert_int_equal(head->alarm, wall);
    search(fake);
    let_ring(fake);
    fake_expect(fake, "r:alarm; r:wake; r:rings");
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(due_alarms_ring_at_the_start),
        cmocka_unit_test(they_are_found_in_pages),
        cmocka_unit_test(only_those_of_the_thread_s_share_ring),
        cmocka_unit_test(a_party_that_is_gone_has_no_alarms),
        cmocka_unit_test(a_party_that_is_gone_is_said_to_be),
        cmocka_unit_test(a_party_that_comes_back_hears_its_alarms),
        cmocka_unit_test(without_a_store_nothing_is_searched),
        cmocka_unit_test(a_search_that_fails_is_made_again),
        cmocka_unit_test(busy_rooms_do_not_put_searches_off_for_good),
        cmocka_unit_test(rooms_may_stop_while_a_search_is_under_way),
        cmocka_unit_test(one_set_for_soon_rings_when_it_is_due),
        cmocka_unit_test(one_that_is_not_durable_does_not_ring),
        cmocka_unit_test(one_far_away_is_left_to_the_searches),
        cmocka_unit_test(one_that_is_moved_rings_at_its_new_time),
        cmocka_unit_test(one_that_is_taken_back_does_not_ring),
        cmocka_unit_test(a_timer_that_is_stale_does_no_harm),
        cmocka_unit_test(a_search_does_not_move_what_was_set_meanwhile),
        cmocka_unit_test(one_that_rings_does_not_ring_again_meanwhile),
        cmocka_unit_test(the_wall_clock_may_jump),
        cmocka_unit_test(the_wall_clock_may_jump_over_an_alarm),
        cmocka_unit_test(searches_come_after_looks),
        cmocka_unit_test(what_the_handler_sets_stays),
        cmocka_unit_test(a_handler_that_fails_is_called_again),
        cmocka_unit_test(failures_are_counted_beyond_the_room),
        cmocka_unit_test(what_follows_is_no_part_of_a_transaction),
        cmocka_unit_test(it_is_deleted_with_the_handler_s_last_turn),
        cmocka_unit_test(a_room_that_is_restarted_hears_it_again),
        cmocka_unit_test(a_room_whose_batch_fails_hears_it_again),
        cmocka_unit_test(a_room_that_does_not_start_hears_it_later),
        cmocka_unit_test(a_room_that_stops_while_it_rings_keeps_it),
        cmocka_unit_test(it_is_not_known_when_the_store_can_t_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
