/* The order of things in a turn, what keeps a loop going, and what ends it. */
#include "base/clock.h"
#include "loop/loop.h"
#include "loop/timer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What ran, in order: a letter each. */
static char trace[256];

static void note(char what)
{
    size_t len = strlen(trace);
    if (len + 1 < sizeof trace) {
        trace[len] = what;
        trace[len + 1] = '\0';
    }
}

static int fresh(void **state)
{
    struct loop *loop = malloc(sizeof *loop);
    trace[0] = '\0';
    *state = loop;
    return loop ? loop_init(loop) : -1;
}

static int done(void **state)
{
    loop_fini(*state);
    free(*state);
    return 0;
}

/* ---- order ---- */

struct later {
    struct soon soon;
    struct loop *loop;
    char letter;
    struct later *then; /* put off when this one runs */
};

static void later_run(struct soon *soon)
{
    struct later *later = container_of(soon, struct later, soon);
    note(later->letter);
    if (later->then)
        loop_soon(later->loop, &later->then->soon);
}

struct part {
    struct loop_hook hook;
    struct loop *loop;
    char letter;
    int more; /* how often it says that there is more */
    struct later *then;
    struct part *removes;
};

static bool part_run(struct loop_hook *hook)
{
    struct part *part = container_of(hook, struct part, hook);
    note(part->letter);
    if (part->then)
        loop_soon(part->loop, &part->then->soon);
    if (part->removes)
        loop_hook_remove(&part->removes->hook);
    return part->more > 0 && part->more-- > 0;
}

static void timer_run(struct timer *timer)
{
    (void)timer;
    note('t');
}

static void a_turn_has_an_order(void **state)
{
    struct loop *loop = *state;
    struct later d = {.soon.fn = later_run, .loop = loop, .letter = 'd'};
    struct later c = {.soon.fn = later_run, .loop = loop, .letter = 'c', .then = &d};
    struct later from_work = {.soon.fn = later_run, .loop = loop, .letter = 'x'};
    struct later from_flush = {.soon.fn = later_run, .loop = loop, .letter = 'y'};
    struct part work1 = {.hook.fn = part_run, .loop = loop, .letter = '1', .then = &from_work};
    struct part work2 = {.hook.fn = part_run, .loop = loop, .letter = '2'};
    struct part flush = {.hook.fn = part_run, .loop = loop, .letter = 'F', .then = &from_flush};
    struct timer timer = {.fn = timer_run};

    loop_hook_add(&loop->flush, &flush.hook);
    loop_hook_add(&loop->work, &work1.hook);
    loop_hook_add(&loop->work, &work2.hook);
    loop_soon(loop, &c.soon);
    loop_soon(loop, &c.soon); /* once */
    timer_start(loop, &timer, 0);
    uint64_t turn = loop->turn;
    loop_step(loop);
    assert_string_equal(trace, "tcd12xF");
    assert_int_equal(loop->turn, turn + 1);

    trace[0] = '\0';
    flush.then = NULL;
    loop_step(loop); /* what the flush put off */
    assert_string_equal(trace, "y12xF");

    loop_hook_remove(&work1.hook);
    loop_hook_remove(&work2.hook);
    loop_hook_remove(&flush.hook);
    loop_hook_remove(&flush.hook);
}

static void a_cancelled_one_does_not_run(void **state)
{
    struct loop *loop = *state;
    struct later a = {.soon.fn = later_run, .loop = loop, .letter = 'a'};
    struct later b = {.soon.fn = later_run, .loop = loop, .letter = 'b'};

    loop_soon_cancel(&a.soon); /* none waits */
    loop_soon(loop, &a.soon);
    loop_soon(loop, &b.soon);
    loop_soon_cancel(&a.soon);
    loop_step(loop);
    assert_string_equal(trace, "b");
    loop_soon(loop, &a.soon);
    loop_step(loop);
    assert_string_equal(trace, "ba");
}

static void a_batch_may_lose_members_while_it_runs(void **state)
{
    struct loop *loop = *state;
    struct part c = {.hook.fn = part_run, .loop = loop, .letter = 'c'};
    struct part b = {.hook.fn = part_run, .loop = loop, .letter = 'b'};
    struct part a = {.hook.fn = part_run, .loop = loop, .letter = 'a', .removes = &b};

    b.removes = &b;
    loop_hook_add(&loop->work, &a.hook);
    loop_hook_add(&loop->work, &b.hook);
    loop_hook_add(&loop->work, &c.hook);
    loop_step(loop);
    assert_string_equal(trace, "ac");
    loop_hook_add(&loop->work, &b.hook);
    a.removes = &a;
    trace[0] = '\0';
    loop_step(loop); /* a and b remove themselves */
    assert_string_equal(trace, "acb");
    loop_step(loop);
    assert_string_equal(trace, "acbc");
    loop_hook_remove(&c.hook);
}

/* Two that put off each other for ever let the loop go on all the same. */
static void putting_off_is_bounded(void **state)
{
    struct loop *loop = *state;
    struct later a = {.soon.fn = later_run, .loop = loop, .letter = 'a'};
    struct later b = {.soon.fn = later_run, .loop = loop, .letter = 'b', .then = &a};

    a.then = &b;
    loop_soon(loop, &a.soon);
    loop_step(loop);
    size_t first = strlen(trace);
    assert_in_range(first, 2, 100);
    loop_step(loop);
    assert_true(strlen(trace) > first);
    a.then = b.then = NULL;
    loop_step(loop);
    loop_step(loop);
    size_t all = strlen(trace);
    loop_step(loop);
    assert_int_equal(strlen(trace), all);
}

/* ---- what keeps it going ---- */

static void an_empty_loop_returns(void **state)
{
    loop_run(*state);
}

/* With the loop's own handles alone it would return at once, with things undone. */
static void work_is_done_before_it_returns(void **state)
{
    struct loop *loop = *state;
    struct later b = {.soon.fn = later_run, .loop = loop, .letter = 'b'};
    struct later a = {.soon.fn = later_run, .loop = loop, .letter = 'a', .then = &b};
    struct part work = {.hook.fn = part_run, .loop = loop, .letter = 'w', .more = 3};

    loop_hook_add(&loop->work, &work.hook);
    loop_soon(loop, &a.soon);
    loop_run(loop);
    assert_string_equal(trace, "abwwww");
    loop_run(loop); /* nothing to do */
    loop_keep_turning(loop);
    loop_run(loop);
    assert_string_equal(trace, "abwwwww");
    loop_hook_remove(&work.hook);
}

static void stop(struct timer *timer)
{
    note('s');
    loop_stop(timer->loop);
}

static void a_hold_keeps_it_going_until_stop(void **state)
{
    struct loop *loop = *state;
    struct timer timer = {.fn = stop};
    struct part flush = {.hook.fn = part_run, .loop = loop, .letter = 'F'};

    loop_hold(loop);
    loop_hold(loop);
    loop_release(loop);
    timer_start(loop, &timer, 5);
    loop_run(loop);
    assert_string_equal(trace, "s");
    assert_false(timer_running(&timer));

    /* The turn in which it stops is ended. */
    loop_hook_add(&loop->flush, &flush.hook);
    trace[0] = '\0';
    timer_start(loop, &timer, 0);
    loop_run(loop);
    assert_string_equal(trace, "sF");
    loop_hook_remove(&flush.hook);
    loop_release(loop);
    loop_run(loop);
}

static void count_turn(struct timer *timer)
{
    note('t');
    if (strlen(trace) < 5)
        timer_start(timer->loop, timer, 20);
}

/* Sleeping means that turns do not outnumber what happens. */
static void it_sleeps_between(void **state)
{
    struct loop *loop = *state;
    struct timer timer = {.fn = count_turn};
    uint64_t turn = loop->turn;

    timer_start(loop, &timer, 20);
    loop_run(loop);
    assert_string_equal(trace, "ttttt");
    assert_in_range(loop->turn - turn, 5, 40);
}

static void its_clock_is_the_monotonic_one(void **state)
{
    struct loop *loop = *state;
    loop_step(loop);
    uint64_t now = loop_now(loop), ns = clock_monotonic_ns();
    assert_in_range(ns / NS_PER_MS - now, 0, 60000);
}

/* ---- mistakes ---- */

/* Does the function abort? Its message is not shown. */
static bool aborts(void (*fn)(struct loop *))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct loop loop;
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr) || loop_init(&loop) != 0)
            _exit(2);
        fn(&loop);
        loop_fini(&loop);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static uv_tcp_t forgotten_tcp;
static void forget_a_handle(struct loop *loop)
{
    if (uv_tcp_init(&loop->uv, &forgotten_tcp) != 0)
        _exit(3);
}

static struct timer forgotten_timer;
static void forget_a_timer(struct loop *loop)
{
    timer_start(loop, &forgotten_timer, 1000000);
}

static struct loop_message forgotten_message;
static void forget_a_message(struct loop *loop)
{
    loop_post(loop, &forgotten_message);
}

static void forget_nothing(struct loop *loop)
{
    loop_step(loop);
}

/* Handles that were closed, but whose callbacks have not come yet, are no mistake. */
static void close_late(struct loop *loop)
{
    static uv_tcp_t tcp;
    static uv_signal_t on_signal;
    if (uv_tcp_init(&loop->uv, &tcp) != 0 || uv_signal_init(&loop->uv, &on_signal) != 0)
        _exit(3);
    uv_close((uv_handle_t *)&tcp, NULL);
    uv_close((uv_handle_t *)&on_signal, NULL);
}

static void what_is_left_behind_aborts(void **state)
{
    (void)state;
    assert_true(aborts(forget_a_handle));
    assert_true(aborts(forget_a_timer));
    assert_true(aborts(forget_a_message));
    assert_true(aborts(loop_hold));
    assert_false(aborts(forget_nothing));
    assert_false(aborts(close_late));
}

static void fini_accepts_a_zeroed_one(void **state)
{
    struct loop loop = {0};
    (void)state;
    loop_fini(&loop);
    loop_fini(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_turn_has_an_order),
        TEST(a_cancelled_one_does_not_run),
        TEST(a_batch_may_lose_members_while_it_runs),
        TEST(putting_off_is_bounded),
        TEST(an_empty_loop_returns),
        TEST(work_is_done_before_it_returns),
        TEST(a_hold_keeps_it_going_until_stop),
        TEST(it_sleeps_between),
        TEST(its_clock_is_the_monotonic_one),
        cmocka_unit_test(what_is_left_behind_aborts),
        cmocka_unit_test(fini_accepts_a_zeroed_one),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
