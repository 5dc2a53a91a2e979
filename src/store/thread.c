/* The threads of the store; sqlite_writer.c and sqlite_reader.c say what they do. */
#include "store/thread.h"

#include "base/check.h"
#include "base/clock.h"

#include <signal.h>
#include <stdint.h>

int store_thread_start(struct store_thread *thread, const char *name, void *(*main)(void *), void *user)
{
    pthread_condattr_t clock;
    sigset_t all, before;

    *thread = (struct store_thread){0};
    list_init(&thread->waiting);
    CHECK(pthread_mutex_init(&thread->lock, NULL) == 0);
    CHECK(pthread_condattr_init(&clock) == 0);
    CHECK(pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&thread->wake, &clock) == 0);
    pthread_condattr_destroy(&clock);
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int rc = pthread_create(&thread->id, NULL, main, user);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (rc) {
        pthread_cond_destroy(&thread->wake);
        pthread_mutex_destroy(&thread->lock);
        return -rc;
    }
    (void)pthread_setname_np(thread->id, name);
    return 0;
}

void store_thread_end(struct store_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    thread->ending = true;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->lock);
    pthread_join(thread->id, NULL);
    pthread_cond_destroy(&thread->wake);
    pthread_mutex_destroy(&thread->lock);
}

void store_thread_give_all(struct store_thread *thread, struct list *list)
{
    pthread_mutex_lock(&thread->lock);
    list_splice(&thread->waiting, list);
    bool wake = thread->asleep;
    thread->asleep = false;
    pthread_mutex_unlock(&thread->lock);
    if (wake)
        pthread_cond_signal(&thread->wake);
}

void store_thread_give(struct store_thread *thread, struct list *link)
{
    struct list one;

    list_init(&one);
    list_push(&one, link);
    store_thread_give_all(thread, &one);
}

/* Until something waits, or the thread is to end, or the time has come. Under the lock. */
static void sleep_for(struct store_thread *thread, int ms)
{
    uint64_t until = clock_monotonic_ns() + (uint64_t)(ms < 0 ? 0 : ms) * NS_PER_MS;
    struct timespec time = {.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
    int rc = 0;

    while (list_empty(&thread->waiting) && !thread->ending && rc == 0) {
        thread->asleep = true;
        if (ms < 0)
            rc = pthread_cond_wait(&thread->wake, &thread->lock);
        else
            rc = pthread_cond_timedwait(&thread->wake, &thread->lock, &time);
    }
    thread->asleep = false;
}

bool store_thread_take(struct store_thread *thread, struct list *list, int ms)
{
    pthread_mutex_lock(&thread->lock);
    if (list_empty(list))
        sleep_for(thread, ms);
    list_splice(list, &thread->waiting);
    bool more = !list_empty(list) || !thread->ending;
    pthread_mutex_unlock(&thread->lock);
    return more;
}
