/* Timers that lie inside their owners. Starting and stopping takes effect at once and
 * needs no close, so a timer goes with its owner; one uv_timer_t serves all of a loop. */
#pragma once

#include "loop/loop.h"

struct timer {
    uint64_t due;               /* ns on the monotonic clock; never runs earlier */
    size_t slot;                /* place in the heap plus one; 0: not running */
    void (*fn)(struct timer *); /* set before timer_start; may start or stop any timer */
    struct loop *loop;          /* set by timer_start */
};

/* Fires once, ms from now (0: when the loop next comes to its timers); starting a running
 * one moves it.
 * A running timer keeps loop_run going. Aborts when there is no memory for the heap. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t ms);

/* The same for a moment on the monotonic clock, in ns; one that has passed is like 0. */
void timer_start_at(struct loop *loop, struct timer *timer, uint64_t due_ns);

/* Accepts one that does not run. */
void timer_stop(struct timer *timer);

static inline bool timer_running(const struct timer *timer)
{
    return timer->slot != 0;
}

/* When the first one is due (ns); UINT64_MAX: none runs. */
uint64_t timer_next(const struct loop *loop);

/* ---- for loop.c ---- */

/* Runs the timers that are due, in the order of their deadlines. */
void timers_run(struct loop *loop);

/* Makes sure that the loop wakes up for the first timer. */
void timers_arm(struct loop *loop);
