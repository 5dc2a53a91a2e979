/* The watchdog's thread. */
#include "script/watchdog.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <stdlib.h>

#define LOOK_NS (5u * NS_PER_MS) /* between two looks */

_Atomic bool watchdog_asleep;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake; /* by the monotonic clock */
static struct list watches; /* of struct watch; under the mutex */
static bool woken;          /* under the mutex */
static pthread_once_t started = PTHREAD_ONCE_INIT;

static uint64_t cpu_time(const struct watch *watch)
{
    struct timespec now;
    CHECK(clock_gettime(watch->clock, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nothing has stopped it: a single instruction of Lua's that takes so long, or a loop of ours that never asks.
 * It is ended as a whole, since a thread can't be; the service manager starts it again. */
static _Noreturn void end_process(const struct watch *watch, uint64_t ns)
{
    const char *room = atomic_load_explicit(&watch->room, memory_order_relaxed);
    log_event(LOG_ERROR, "a handler is stuck and can't be stopped (stuckTime): the server ends",
              log_str("party", atomic_load_explicit(&watch->party, memory_order_relaxed)),
              log_str("room", room ? room : ""),
              log_str("handler", atomic_load_explicit(&watch->handler, memory_order_relaxed)),
              log_int("ms", (int64_t)(ns / NS_PER_MS)));
    log_fini(); /* waits for a second at most */
    abort();
}

/* Returns whether anything ran since the last look. */
static bool look(struct watch *watch)
{
    uint64_t slice = atomic_load_explicit(&watch->slice, memory_order_acquire);

    if (slice != atomic_load_explicit(&watch->seen, memory_order_relaxed)) {
        atomic_store_explicit(&watch->seen_at, slice % 2 ? cpu_time(watch) : 0, memory_order_relaxed);
        atomic_store_explicit(&watch->seen, slice, memory_order_release);
        return true;
    }
    if (slice % 2 == 0)
        return false;
    uint64_t budget = atomic_load_explicit(&watch->budget, memory_order_relaxed);
    uint64_t grace = atomic_load_explicit(&watch->grace, memory_order_relaxed);
    uint64_t ns = cpu_time(watch) - atomic_load_explicit(&watch->seen_at, memory_order_relaxed);
    if (ns >= budget) {
        atomic_store_explicit(&watch->condemned, slice, memory_order_relaxed);
        (void)pthread_kill(watch->thread, WATCHDOG_SIGNAL);
        if (ns - budget >= grace)
            end_process(watch, ns);
    }
    return true;
}

uint64_t watch_spent(const struct watch *watch, uint64_t wall)
{
    uint64_t slice = atomic_load_explicit(&watch->slice, memory_order_relaxed);

    if (wall < 2 * LOOK_NS || atomic_load_explicit(&watch->seen, memory_order_acquire) != slice)
        return wall;
    uint64_t spent = cpu_time(watch) - atomic_load_explicit(&watch->seen_at, memory_order_relaxed) + LOOK_NS;
    return spent < wall ? spent : wall;
}

static bool look_at_all(void)
{
    bool active = false;
    list_each(link, &watches)
        active = look(container_of(link, struct watch, link)) || active;
    return active;
}

static void sleep_for(uint64_t ns)
{
    uint64_t until = clock_monotonic_ns() + ns;
    struct timespec time = {.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
    while (!woken && pthread_cond_timedwait(&wake, &mutex, &time) == 0)
        continue;
}

/* A thread that begins a slice asks whether the watchdog sleeps, without a barrier: what it wrote before may
 * become visible later than its question. So after the watchdog said that it sleeps it looks once more, some
 * ms later, when everything that was written before that question is visible. */
static _Noreturn void *watchdog_main(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    for (;;) {
        sleep_for(LOOK_NS);
        woken = false;
        if (look_at_all())
            continue;
        atomic_store(&watchdog_asleep, true);
        sleep_for(LOOK_NS);
        while (!woken && !look_at_all())
            pthread_cond_wait(&wake, &mutex);
        atomic_store(&watchdog_asleep, false);
    }
}

void watchdog_wake(void)
{
    pthread_mutex_lock(&mutex);
    if (atomic_exchange(&watchdog_asleep, false)) {
        woken = true;
        pthread_cond_signal(&wake);
    }
    pthread_mutex_unlock(&mutex);
}

/* It runs as long as the process. */
static void start(void)
{
    pthread_condattr_t clock;
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, before;

    list_init(&watches);
    CHECK(pthread_condattr_init(&clock) == 0);
    CHECK(pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&wake, &clock) == 0);
    pthread_condattr_destroy(&clock);
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_attr_init(&detached) == 0);
    CHECK(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
    CHECK(pthread_create(&thread, &detached, watchdog_main, NULL) == 0);
    pthread_attr_destroy(&detached);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

void watchdog_add(struct watch *watch)
{
    CHECK(pthread_once(&started, start) == 0);
    watch->thread = pthread_self();
    CHECK(pthread_getcpuclockid(watch->thread, &watch->clock) == 0);
    pthread_mutex_lock(&mutex);
    list_push(&watches, &watch->link);
    pthread_mutex_unlock(&mutex);
}

void watchdog_remove(struct watch *watch)
{
    pthread_mutex_lock(&mutex);
    list_remove(&watch->link);
    pthread_mutex_unlock(&mutex);
}
