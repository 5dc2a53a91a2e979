/* Work on other threads: done once each, on the loop's thread, and awaited by a loop that stops. */
#include "loop/job.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define JOBS 200

static struct loop loop;
static pthread_t loop_thread;
static unsigned n_done;

struct sum {
    struct job job;
    unsigned number, result, runs_left;
};

static void run(struct job *job)
{
    struct sum *sum = container_of(job, struct sum, job);
    if (pthread_equal(pthread_self(), loop_thread))
        abort();
    for (unsigned i = 0; i <= sum->number; i++)
        sum->result += i;
}

static void done(struct job *job)
{
    struct sum *sum = container_of(job, struct sum, job);
    assert_true(pthread_equal(pthread_self(), loop_thread));
    if (--sum->runs_left > 0) {
        job_start(&loop, job); /* from within */
        return;
    }
    n_done++;
    assert_int_equal(sum->result, sum->number * (sum->number + 1));
    free(sum);
}

static void start(unsigned number)
{
    struct sum *sum = calloc(1, sizeof *sum);
    assert_non_null(sum);
    *sum = (struct sum){.job = {.run = run, .done = done}, .number = number, .runs_left = 2};
    job_start(&loop, &sum->job);
}

static void all_are_done(void **state)
{
    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    n_done = 0;
    for (unsigned i = 0; i < JOBS; i++)
        start(i);
    assert_int_equal(loop.n_jobs, JOBS);
    loop_run(&loop);
    assert_int_equal(n_done, JOBS);
    assert_int_equal(loop.n_jobs, 0);
    loop_fini(&loop);
}

static void a_stop_waits_for_them(void **state)
{
    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    n_done = 0;
    loop_hold(&loop);
    for (unsigned i = 0; i < JOBS; i++)
        start(i);
    loop_stop(&loop);
    loop_run(&loop);
    assert_int_equal(n_done, JOBS);
    loop_release(&loop);
    loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_done),
        cmocka_unit_test(a_stop_waits_for_them),
    };
    loop_thread = pthread_self();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
