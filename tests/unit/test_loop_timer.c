/* Timers: never early, in order, and free to start, stop and free each other. */
#include "base/clock.h"
#include "loop/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop loop;

static int fresh(void **state)
{
    (void)state;
    return loop_init(&loop);
}

static int done(void **state)
{
    (void)state;
    loop_fini(&loop);
    return 0;
}

/* ---- one ---- */

static unsigned fired;

static void count(struct timer *timer)
{
    assert_true(clock_monotonic_ns() >= timer->due);
    assert_false(timer_running(timer));
    fired++;
}

static void it_fires_once_and_not_early(void **state)
{
    struct timer timer = {.fn = count};
    (void)state;

    for (uint64_t ms = 0; ms < 30; ms++) {
        uint64_t start = clock_monotonic_ns();
        fired = 0;
        timer_start(&loop, &timer, ms);
        assert_true(timer_running(&timer));
        loop_run(&loop); /* returns since it has fired */
        assert_int_equal(fired, 1);
        assert_true(clock_monotonic_ns() - start >= ms * NS_PER_MS);
    }
}

static void a_fraction_of_a_ms_is_not_early(void **state)
{
    struct timer timer = {.fn = count};
    (void)state;

    fired = 0;
    for (uint64_t ns = 1; ns < 10 * NS_PER_MS; ns = ns * 3 + 1) {
        timer_start_at(&loop, &timer, clock_monotonic_ns() + ns);
        loop_run(&loop);
    }
    assert_int_equal(fired, 15);
}

static void stopped_it_does_not_fire(void **state)
{
    struct timer timer = {.fn = count};
    (void)state;

    fired = 0;
    timer_stop(&timer);
    timer_start(&loop, &timer, 0);
    timer_stop(&timer);
    assert_false(timer_running(&timer));
    loop_run(&loop);
    timer_start(&loop, &timer, 1000000000);
    loop_step(&loop);
    timer_stop(&timer);
    timer_stop(&timer);
    loop_run(&loop); /* does not wait for it */
    assert_int_equal(fired, 0);
}

static void starting_moves_it(void **state)
{
    struct timer timer = {.fn = count};
    (void)state;

    fired = 0;
    timer_start(&loop, &timer, 1000000000);
    loop_step(&loop);
    timer_start(&loop, &timer, 5);
    loop_run(&loop);
    assert_int_equal(fired, 1);

    uint64_t start = clock_monotonic_ns();
    timer_start(&loop, &timer, 1);
    loop_step(&loop);
    timer_start(&loop, &timer, 20);
    loop_run(&loop);
    assert_int_equal(fired, 2);
    assert_true(clock_monotonic_ns() - start >= 20 * NS_PER_MS);
}

static void the_longest_time_is_for_ever(void **state)
{
    struct timer timer = {.fn = count};
    (void)state;

    fired = 0;
    timer_start(&loop, &timer, UINT64_MAX);
    loop_step(&loop);
    loop_step(&loop);
    timer_start_at(&loop, &timer, UINT64_MAX);
    loop_step(&loop);
    assert_true(timer_running(&timer));
    assert_int_equal(fired, 0);
    timer_stop(&timer);
}

/* ---- many ---- */

#define MANY 2000

struct one {
    struct timer timer;
    unsigned fired;
};
static struct one many[MANY];
static uint64_t last_due, seed;

static uint64_t draw(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

/* In order; and what it does to others must not upset the heap. */
static void meddle(struct timer *timer)
{
    struct one *one = container_of(timer, struct one, timer);
    struct one *other = &many[draw(MANY)];

    assert_true(clock_monotonic_ns() >= timer->due);
    assert_true(timer->due >= last_due);
    last_due = timer->due;
    one->fired++;
    fired++;
    if (draw(3) == 0 && timer_running(&other->timer)) {
        timer_stop(&other->timer);
        fired++; /* it is done, too */
    } else if (draw(4) == 0 && timer_running(&other->timer)) {
        timer_start_at(&loop, &other->timer, clock_monotonic_ns() + draw(5 * NS_PER_MS));
    }
}

static void many_fire_in_order(void **state)
{
    (void)state;
    for (seed = 1; seed < 20; seed += 7) {
        fired = 0;
        last_due = 0;
        uint64_t now = clock_monotonic_ns();
        for (size_t i = 0; i < MANY; i++) {
            many[i] = (struct one){.timer.fn = meddle};
            timer_start_at(&loop, &many[i].timer, now + draw(20) * NS_PER_MS + draw(3));
        }
        for (size_t i = 0; i < MANY; i++) {
            struct timer *timer = &many[draw(MANY)].timer;
            if (draw(2))
                timer_start_at(&loop, timer, now + draw(20 * NS_PER_MS));
        }
        loop_run(&loop);
        assert_int_equal(fired, MANY);
        for (size_t i = 0; i < MANY; i++) {
            assert_false(timer_running(&many[i].timer));
            assert_in_range(many[i].fired, 0, 1);
        }
    }
}

/* ---- owners and each other ---- */

struct owner {
    struct timer timer;
    struct owner *other;
};
static unsigned freed;

static void free_both(struct timer *timer)
{
    struct owner *owner = container_of(timer, struct owner, timer);
    timer_stop(&owner->other->timer);
    free(owner->other);
    free(owner);
    freed += 2;
}

static void a_timer_may_free_its_owner_and_others(void **state)
{
    (void)state;
    freed = 0;
    for (int i = 0; i < 100; i++) {
        struct owner *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
        assert_true(a && b);
        *a = (struct owner){{.fn = free_both}, b};
        *b = (struct owner){{.fn = free_both}, a};
        timer_start(&loop, &a->timer, (uint64_t)(i % 3));
        timer_start(&loop, &b->timer, (uint64_t)(i % 3)); /* due in the same turn */
    }
    loop_run(&loop);
    assert_int_equal(freed, 200);
}

static unsigned turns;

static bool count_turns(struct loop_hook *hook)
{
    (void)hook;
    turns++;
    return false;
}

static void again(struct timer *timer)
{
    if (++fired < 50)
        timer_start(timer->loop, timer, 0);
}

static void again_in_the_past(struct timer *timer)
{
    if (++fired < 50)
        timer_start_at(timer->loop, timer, 1);
}

/* One that starts itself for at once, or for long ago, runs once in a turn: sockets come between. */
static void a_timer_can_not_hold_up_the_loop(void **state)
{
    struct timer timer = {.fn = again};
    struct loop_hook hook = {.fn = count_turns};
    (void)state;

    loop_hook_add(&loop.work, &hook);
    fired = turns = 0;
    timer_start(&loop, &timer, 0);
    loop_run(&loop);
    assert_int_equal(fired, 50);
    assert_true(turns >= 50);

    timer.fn = again_in_the_past;
    fired = turns = 0;
    timer_start_at(&loop, &timer, 1);
    loop_run(&loop);
    assert_int_equal(fired, 50);
    assert_true(turns >= 50);
    loop_hook_remove(&hook);
}

static char order[8];

static void note_first(struct timer *timer)
{
    (void)timer;
    strcat(order, "a");
}

static void note_second(struct timer *timer)
{
    (void)timer;
    strcat(order, "b");
}

static void those_of_the_past_run_as_they_were_started(void **state)
{
    struct timer first = {.fn = note_first}, second = {.fn = note_second};
    (void)state;

    timer_start(&loop, &first, 0);
    loop_run(&loop); /* from here on these are in the past */
    timer_start_at(&loop, &first, 5);
    timer_start_at(&loop, &second, 3);
    order[0] = '\0';
    loop_run(&loop);
    assert_string_equal(order, "ab");
}

static struct timer from_hook;

static bool start_in_the_past(struct loop_hook *hook)
{
    loop_hook_remove(hook);
    timer_start_at(&loop, &from_hook, (loop_now(&loop) - 1) * NS_PER_MS);
    return false;
}

/* The turn's timers have run when the others' work starts one. */
static void late_in_the_turn_it_is_not_slept_through(void **state)
{
    struct loop_hook hook = {.fn = start_in_the_past};
    (void)state;

    fired = 0;
    from_hook.fn = count;
    loop_hook_add(&loop.work, &hook);
    loop_keep_turning(&loop);
    loop_run(&loop);
    assert_int_equal(fired, 1);
}

/* Moving the first timer to later and later leaves the alarm where it was; the loop must not
 * wake up much more often for it, and must not miss the others. */
static void a_first_timer_that_moves_hides_no_other(void **state)
{
    struct timer moving = {.fn = count}, other = {.fn = count};
    (void)state;

    fired = 0;
    timer_start(&loop, &other, 30);
    for (int i = 0; i < 20; i++) {
        timer_start(&loop, &moving, 10 + (uint64_t)i);
        loop_step(&loop);
    }
    uint64_t turn = loop.turn;
    loop_run(&loop);
    assert_int_equal(fired, 2);
    assert_in_range(loop.turn - turn, 1, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_fires_once_and_not_early),
        TEST(a_fraction_of_a_ms_is_not_early),
        TEST(stopped_it_does_not_fire),
        TEST(starting_moves_it),
        TEST(the_longest_time_is_for_ever),
        TEST(many_fire_in_order),
        TEST(a_timer_may_free_its_owner_and_others),
        TEST(a_timer_can_not_hold_up_the_loop),
        TEST(those_of_the_past_run_as_they_were_started),
        TEST(late_in_the_turn_it_is_not_slept_through),
        TEST(a_first_timer_that_moves_hides_no_other),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
