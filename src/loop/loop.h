/* One loop thread: libuv's loop, and the order of things within one turn of it.
 *
 * A turn: sockets are polled and read; then, before the loop sleeps again (uv_prepare), the
 * timers that are due, the work that was put off, and after these everything that was
 * written is flushed. So what a turn's events write leaves together, with one system call
 * for each socket. Last comes what may take long: nobody's answer waits for it.
 *
 * Everything but loop_post belongs to the loop's own thread. */
#pragma once

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Something to be done later in this turn, once. Zeroed memory is an idle one. */
struct soon {
    struct list link;
    void (*fn)(struct soon *soon);
};

/* A part of every turn. */
struct loop_hook {
    struct list link;
    bool (*fn)(struct loop_hook *hook); /* true: there is more to do, so the loop must not sleep */
};

/* A message from another thread. The receiver's loop calls fn and owns it from there on. */
struct loop_message {
    struct loop_message *next;
    void (*fn)(struct loop_message *message);
};

struct timer;

/* A clock that stands still until its owner moves it, in the place of the machine's: `festa test`. Timers of the loop,
 * and all that rooms and scripts take for the time, follow it. What is measured of the machine (how long an event took)
 * does not. */
struct loop_clock {
    uint64_t ns;        /* in the place of clock_monotonic_ns; never goes back */
    int64_t wall_start; /* ms since 1970 when ns was 0 */
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;           /* the end of a turn */
    uv_idle_t idle;                 /* active while the loop must not sleep */
    uv_timer_t alarm;               /* wakes the loop when the first timer is due */
    uv_async_t wake;                /* loop_post */
    size_t holds;                   /* loop_hold */
    size_t n_jobs;                  /* under way on other threads (loop_job_begin) */
    struct list soon;               /* of struct soon */
    struct list work;               /* of struct loop_hook: rooms that have events */
    struct list flush;              /* of struct loop_hook: sockets to write */
    struct list late;               /* of struct loop_hook: rooms whose events may take long */
    const struct loop_clock *clock; /* NULL, as it is from loop_init: the machine's */
    struct timer **heap;            /* owned; by deadline */
    size_t n_timers, cap_timers;
    uint64_t timers_ran; /* ns: timers due up to here have run; others are due later */
    uint64_t turn;       /* number of this turn */
    bool stopping;       /* loop_stop */
    uv_mutex_t post_lock;
    struct loop_message *posted, **posted_end; /* under post_lock */
    char *read_buffer;                         /* owned; LOOP_READ_BUFFER bytes, shared by all connections */
};

#define LOOP_READ_BUFFER (512u * 1024u)

/* 0 or a negative errno. */
int loop_init(struct loop *loop) __attribute__((warn_unused_result));

/* Runs until nothing is left that keeps it alive (listeners, connections, timers, what
 * loop_hold names, work that waits), or loop_stop. */
void loop_run(struct loop *loop);

/* One turn that does not sleep; for tests. It ends the turn before (what that wrote leaves),
 * then polls. */
void loop_step(struct loop *loop);

/* loop_run returns at the end of this turn, or of the first one in which no job is under way. */
void loop_stop(struct loop *loop);

/* Closes the loop's own handles and the loop. A handle that is still open, or a message
 * that was not taken, is our mistake: aborts and names it. */
void loop_fini(struct loop *loop);

/* Keeps loop_run going until loop_release, as often as it was called: something will come
 * that libuv does not know of (a connection that is not read now, another thread's answer). */
void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);

/* Work for this loop begins on another thread, and ends: meanwhile the loop runs on, and does not stop. */
void loop_job_begin(struct loop *loop);
void loop_job_end(struct loop *loop);

/* Milliseconds on the monotonic clock, as of when this turn's sockets were polled.
 * (loop_time_ns is the same clock, as of now.) */
uint64_t loop_now(const struct loop *loop);

/* The time by which timers run: ns on the monotonic clock. And the date: ms since 1970. */
uint64_t loop_time_ns(const struct loop *loop);
int64_t loop_wall_ms(const struct loop *loop);

/* Is there nothing left to do now: no timer due, nothing put off, no message that was not taken, no job under way?
 * Rooms say for themselves (rooms_busy). */
bool loop_at_rest(struct loop *loop);

/* Calls soon->fn once, before this turn's flush. One that waits already is left alone. */
void loop_soon(struct loop *loop, struct soon *soon);
void loop_soon_cancel(struct soon *soon);

/* Adds a hook to loop->work, loop->flush or loop->late; loop_hook_remove takes it out. A hook
 * may remove any. What a late one has written leaves in the next turn, so it says that there is more. */
void loop_hook_add(struct list *hooks, struct loop_hook *hook);
void loop_hook_remove(struct loop_hook *hook);

/* Makes the loop turn again without sleeping (a hook's `true` from outside of a hook). */
void loop_keep_turning(struct loop *loop);

/* From any thread: message->fn will be called on the loop's thread, in order. The bound on
 * how many may wait is the sender's: each room and connection has a limited number out. */
void loop_post(struct loop *loop, struct loop_message *message);
