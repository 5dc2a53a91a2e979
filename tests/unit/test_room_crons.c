/* room: crons, with a party in C and a clock that the test sets. */
#include "fake_room.h"

#include "room/crons.h"

static int64_t wall; /* ms since 1970 */

static int64_t the_clock(const struct loop *loop)
{
    (void)loop;
    return wall;
}

/* onCron: the one that is called slow waits, the one that is called raises fails. */
static enum act on_cron(struct fake *fake, struct room *room, struct event *event)
{
    const struct hook_call *call = event ? event->handle : NULL;

    (void)room;
    if (!event || event->kind != EVENT_HOOK)
        return ACT_DONE;
    assert_int_equal(call->kind, HOOK_CRON);
    assert_null(call->room.ptr);
    fake_forget(fake);
    fake_say(fake, "%s %s %lld", call->cron->name, call->cron->schedule, (long long)call->cron->time);
    return strcmp(call->cron->name, "slow") == 0     ? ACT_WAIT
           : strcmp(call->cron->name, "raises") == 0 ? ACT_FAIL
                                                     : ACT_DONE;
}

#define MINUTE 60000
#define START ((int64_t)1800000000000) /* a full minute: 08:00 on a Friday */

static void add(struct config *config, const char *name, const char *schedule)
{
    struct buf why = {0};
    if (!config_add_cron(config, name, schedule, &why))
        fail_msg("%.*s", (int)why.len, (char *)why.data);
}

static struct fake *begin(struct crons *crons)
{
    struct fake *fake = fake_begin(NULL);
    fake->handler = on_cron;
    wall = START + 30000;
    crons_init(crons, &fake->rooms, the_clock);
    return fake;
}

/* The clock says this, and the timer is due: it may be before anything is. */
static void tick(struct fake *fake, struct crons *crons, int64_t now)
{
    wall = now;
    timer_stop(&crons->timer);
    crons->timer.fn(&crons->timer);
    fake_run(fake);
}

static void end(struct fake *fake, struct crons *crons)
{
    crons_stop(crons);
    rooms_drop(&fake->rooms);
    loop_step(&fake->loop);
    crons_fini(crons);
    fake_end(fake);
}

/* How long it sleeps, in ms. */
static uint64_t sleep_of(const struct crons *crons)
{
    assert_true(timer_running(&crons->timer));
    uint64_t now = clock_monotonic_ns();
    return crons->timer.due > now ? (crons->timer.due - now) / NS_PER_MS : 0;
}

static void each_runs_once_when_it_is_due(void **state)
{
    (void)state;
    struct crons crons;
    struct config config = {0};
    struct fake *fake = begin(&crons);

    add(&config, "fifth", "*/5 * * * *");
    crons_adopt(&crons, &config);
    assert_true(sleep_of(&crons) > 30000 && sleep_of(&crons) <= 60000); /* the clock is looked at */
    wall = START + 4 * MINUTE + 30000;
    crons_adopt(&crons, &config);
    assert_true(sleep_of(&crons) > 1 && sleep_of(&crons) <= 30000);

    tick(fake, &crons, START + 5 * MINUTE - 1);
    fake_expect(fake, "");
    assert_true(sleep_of(&crons) <= 1);
    tick(fake, &crons, START + 5 * MINUTE);
    fake_expect(fake, "fifth */5 * * * * 1800000300000");
    tick(fake, &crons, START + 5 * MINUTE); /* woken early, or twice */
    tick(fake, &crons, START + 5 * MINUTE + 59999);
    tick(fake, &crons, START + 9 * MINUTE + 59999);
    fake_expect(fake, "");
    tick(fake, &crons, START + 10 * MINUTE + 40000); /* the loop was busy: it is its minute yet */
    fake_expect(fake, "fifth */5 * * * * 1800000600000");
    assert_int_equal(crons.entries[0].due, START + 15 * MINUTE);
    end(fake, &crons);
    config_fini(&config);
}

static void what_was_missed_is_not_made_up_for(void **state)
{
    (void)state;
    struct crons crons;
    struct config config = {0};
    struct fake *fake = begin(&crons);

    add(&config, "fifth", "*/5 * * * *");
    crons_adopt(&crons, &config);
    tick(fake, &crons, START + 61 * MINUTE); /* it was asleep */
    fake_expect(fake, "");
    tick(fake, &crons, START + 65 * MINUTE);
    fake_expect(fake, "fifth */5 * * * * 1800003900000");
    end(fake, &crons);
    config_fini(&config);
}

static void a_clock_that_is_set_back(void **state)
{
    (void)state;
    struct crons crons;
    struct config config = {0};
    struct fake *fake = begin(&crons);

    add(&config, "each", "* * * * *");
    crons_adopt(&crons, &config);
    tick(fake, &crons, START + 1 * MINUTE);
    tick(fake, &crons, START + 2 * MINUTE);
    fake_expect(fake, "each * * * * * 1800000120000");
    tick(fake, &crons, START - 5 * MINUTE); /* by a little: nothing is repeated */
    tick(fake, &crons, START + 2 * MINUTE + 5);
    fake_expect(fake, "");
    tick(fake, &crons, START + 3 * MINUTE);
    fake_expect(fake, "each * * * * * 1800000180000");
    tick(fake, &crons, START - 600 * MINUTE); /* by a lot: counted from there */
    fake_expect(fake, "");
    tick(fake, &crons, START - 599 * MINUTE);
    fake_expect(fake, "each * * * * * 1799964060000");
    end(fake, &crons);
    config_fini(&config);
}

static void runs_do_not_overlap(void **state)
{
    (void)state;
    struct crons crons;
    struct config config = {0}, other = {0};
    struct fake *fake = begin(&crons);

    add(&config, "slow", "* * * * *");
    crons_adopt(&crons, &config);
    tick(fake, &crons, START + MINUTE);
    fake_expect(fake, "slow * * * * * 1800000060000");
    tick(fake, &crons, START + 2 * MINUTE);
    assert_int_equal(fake->n_tasks, 1);
    add(&other, "slow", "*/2 * * * *"); /* the run goes on over a change */
    crons_adopt(&crons, &other);
    tick(fake, &crons, START + 4 * MINUTE);
    assert_int_equal(fake->n_tasks, 1);
    fake_wake(fake, 0);
    fake_run(fake);
    assert_true(list_empty(&crons.runs));
    fake_forget(fake);
    tick(fake, &crons, START + 6 * MINUTE);
    fake_expect(fake, "slow */2 * * * * 1800000360000");
    end(fake, &crons); /* with a run that waits */
    config_fini(&config);
    config_fini(&other);
}

/* One that stays as it is does not run again in its minute; nor does one that is new. */
static void a_change_of_the_configuration(void **state)
{
    (void)state;
    struct crons crons;
    struct config one = {0}, two = {0}, none = {0};
    struct fake *fake = begin(&crons);

    add(&one, "each", "* * * * *");
    crons_adopt(&crons, &one);
    tick(fake, &crons, START + MINUTE);
    fake_expect(fake, "each * * * * * 1800000060000");
    add(&two, "each", "* * * * *");
    add(&two, "more", "*/1 * * * *");
    crons_adopt(&crons, &two);
    tick(fake, &crons, START + MINUTE + 1);
    fake_expect(fake, "");
    tick(fake, &crons, START + 2 * MINUTE);
    fake_expect(fake, "more */1 * * * * 1800000120000"); /* the last of the two */
    crons_adopt(&crons, &none);
    assert_false(timer_running(&crons.timer));
    end(fake, &crons);
    config_fini(&one);
    config_fini(&two);
    config_fini(&none);
}

static void a_run_that_fails_is_over(void **state)
{
    (void)state;
    struct crons crons;
    struct config config = {0};
    struct fake *fake = begin(&crons);

    add(&config, "raises", "* * * * *");
    crons_adopt(&crons, &config);
    for (int n = 1; n < 4; n++) {
        tick(fake, &crons, START + n * MINUTE);
        assert_true(list_empty(&crons.runs));
        assert_int_equal(memcmp(fake->log.data, "raises ", 7), 0);
        fake_forget(fake);
    }
    fake->no_vm = true;
    rooms_drop(&fake->rooms);
    fake->rooms.stopping = false;
    tick(fake, &crons, START + 5 * MINUTE);
    assert_true(list_empty(&crons.runs));
    fake_forget(fake);
    end(fake, &crons);
    config_fini(&config);
}

/* The project can't be loaded, as festa dev may find it: there is nobody to run it. */
static void no_party_main(void **state)
{
    (void)state;
    struct crons crons;
    struct config config = {0};
    struct fake *fake = begin(&crons);

    add(&config, "each", "* * * * *");
    crons_adopt(&crons, &config);
    fake->party.name = "other";
    tick(fake, &crons, START + MINUTE);
    assert_int_equal(fake->rooms.n_rooms, 0);
    fake->party.name = "main";
    tick(fake, &crons, START + 2 * MINUTE);
    fake_expect(fake, "each * * * * * 1800000120000");
    end(fake, &crons);
    config_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_runs_once_when_it_is_due),
        cmocka_unit_test(what_was_missed_is_not_made_up_for),
        cmocka_unit_test(a_clock_that_is_set_back),
        cmocka_unit_test(runs_do_not_overlap),
        cmocka_unit_test(a_change_of_the_configuration),
        cmocka_unit_test(a_run_that_fails_is_over),
        cmocka_unit_test(no_party_main),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
