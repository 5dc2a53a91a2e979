/* The timers of loop/timer.h: a binary heap of pointers, each timer knowing its place. They
 * run at the turn's end, where loop.c calls timers_run; the uv_timer_t only wakes the loop,
 * so moving a timer, which every request does, costs libuv nothing. */
#include "loop/timer.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

#define CAP_MIN 64u

static void place(struct loop *loop, size_t slot, struct timer *timer)
{
    loop->heap[slot - 1] = timer;
    timer->slot = slot;
}

/* Moves the timer, whose slot is free to be overwritten, to where it belongs. */
static void sift(struct loop *loop, size_t slot, struct timer *timer)
{
    struct timer **heap = loop->heap;

    while (slot > 1 && timer->due < heap[slot / 2 - 1]->due) {
        place(loop, slot, heap[slot / 2 - 1]);
        slot /= 2;
    }
    for (size_t child; (child = slot * 2) <= loop->n_timers; slot = child) {
        if (child < loop->n_timers && heap[child]->due < heap[child - 1]->due)
            child++;
        if (timer->due <= heap[child - 1]->due)
            break;
        place(loop, slot, heap[child - 1]);
    }
    place(loop, slot, timer);
}

static void reserve(struct loop *loop)
{
    if (loop->n_timers < loop->cap_timers)
        return;
    size_t cap = loop->cap_timers ? loop->cap_timers * 2 : CAP_MIN;
    struct timer **heap = realloc(loop->heap, cap * sizeof(struct timer *));
    CHECK(heap != NULL);
    loop->heap = heap;
    loop->cap_timers = cap;
}

void timer_start_at(struct loop *loop, struct timer *timer, uint64_t due_ns)
{
    /* Behind those that have run, so that timers which start each other can't keep the loop
     * from its sockets; and behind each other. */
    timer->due = due_ns > loop->timers_ran ? due_ns : ++loop->timers_ran;
    timer->loop = loop;
    if (!timer_running(timer)) {
        reserve(loop);
        timer->slot = ++loop->n_timers;
        loop_hold(loop);
    }
    sift(loop, timer->slot, timer);
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t ms)
{
    uint64_t now = loop_time_ns(loop);

    timer_start_at(loop, timer, ms < (UINT64_MAX - now) / NS_PER_MS ? now + ms * NS_PER_MS : UINT64_MAX);
    if (ms == 0)
        loop_keep_turning(loop);
}

void timer_stop(struct timer *timer)
{
    if (!timer_running(timer))
        return;
    struct loop *loop = timer->loop;
    size_t slot = timer->slot;
    struct timer *last = loop->heap[--loop->n_timers];

    timer->slot = 0;
    if (last != timer)
        sift(loop, slot, last);
    loop_release(loop);
}

void timers_run(struct loop *loop)
{
    if (loop->n_timers == 0)
        return;
    uint64_t now = loop_time_ns(loop);
    if (now > loop->timers_ran)
        loop->timers_ran = now;
    while (loop->n_timers > 0 && loop->heap[0]->due <= now) {
        struct timer *timer = loop->heap[0];
        timer_stop(timer);
        timer->fn(timer);
    }
}

uint64_t timer_next(const struct loop *loop)
{
    return loop->n_timers > 0 ? loop->heap[0]->due : UINT64_MAX;
}

static void on_alarm(uv_timer_t *alarm)
{
    (void)alarm; /* the turn's end does the rest */
}

void timers_arm(struct loop *loop)
{
    if (loop->n_timers == 0) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    uint64_t due = loop->heap[0]->due, now = loop_now(loop);
    uint64_t due_ms = due / NS_PER_MS + (due % NS_PER_MS != 0);
    if (due_ms <= now)
        loop_keep_turning(loop);
    else if (loop->clock)
        uv_timer_stop(&loop->alarm); /* whoever moves the clock makes the loop turn */
    else if (!uv_is_active((uv_handle_t *)&loop->alarm) || uv_timer_get_due_in(&loop->alarm) > due_ms - now)
        uv_timer_start(&loop->alarm, on_alarm, due_ms - now, 0);
    /* else it fires too early and is set again then */
}
