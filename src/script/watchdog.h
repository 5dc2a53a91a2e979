/* One thread of the process that looks after all threads that run Lua: one whose slice has had its time is
 * sent a signal, and one that nothing stops ends the process. Time is what the thread had of the CPU, so that
 * a busy machine, a debugger or a suspended laptop costs no handler its life.
 *
 * Looks every few ms while something runs and sleeps otherwise. Called by quota.c; knows no Lua. */
#pragma once

#include "base/list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A thread that runs Lua. Written by that thread but for what is the watchdog's; zeroed before
 * watchdog_add. */
struct watch {
    _Atomic uint64_t slice;  /* number of the slice; odd while one runs */
    _Atomic uint64_t budget; /* ns that the slice may take */
    _Atomic uint64_t grace;  /* ns beyond it, until the process ends */
    /* Who runs, for the report; they live as long as the slice. */
    _Atomic(const char *) party, room, handler;

    _Atomic uint64_t condemned; /* the slice that has had its time */
    /* the watchdog's: */
    struct list link;
    pthread_t thread;
    clockid_t clock;          /* the thread's CPU time */
    _Atomic uint64_t seen;    /* the slice that it saw last, some ms after its begin at most, and */
    _Atomic uint64_t seen_at; /* its thread's CPU time then; written before */
};

/* Is sent to a thread while its slice is condemned: again and again, until it is over. */
#define WATCHDOG_SIGNAL (SIGRTMIN + 3)

/* Looks after the calling thread from here on, until watchdog_remove. The first call starts the watchdog. */
void watchdog_add(struct watch *watch);
void watchdog_remove(struct watch *watch);

/* CPU time, in ns, that the slice of the calling thread has had so far; wall is what it took by the clock. Up to a
 * few ms that is taken for the same, since to ask is a system call. */
uint64_t watch_spent(const struct watch *watch, uint64_t wall);

extern _Atomic bool watchdog_asleep;
void watchdog_wake(void);

/* A slice begins; what is written before is seen by whoever sees its number. */
static inline void watch_begin(struct watch *watch)
{
    atomic_store_explicit(&watch->slice, atomic_load_explicit(&watch->slice, memory_order_relaxed) + 1,
                          memory_order_release);
    if (__builtin_expect(atomic_load_explicit(&watchdog_asleep, memory_order_relaxed), 0))
        watchdog_wake();
}

static inline void watch_end(struct watch *watch)
{
    atomic_store_explicit(&watch->slice, atomic_load_explicit(&watch->slice, memory_order_relaxed) + 1,
                          memory_order_release);
}

/* Has the slice that runs had its time? Asked by its thread, in a signal handler too. */
static inline bool watch_condemned(const struct watch *watch)
{
    return atomic_load_explicit(&watch->condemned, memory_order_relaxed) ==
           atomic_load_explicit(&watch->slice, memory_order_relaxed);
}
