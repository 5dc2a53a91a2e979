/* The turns of loop/loop.h on libuv's. Called by all layers above; calls back through struct
 * soon, struct loop_hook and struct loop_message only. */
#include "loop/loop.h"

#include "base/check.h"
#include "base/clock.h"
#include "loop/timer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How often what was put off may put off more before sockets are looked at again. */
#define SOON_ROUNDS 8

/* Turns in which handles that were closed must be gone. */
#define FINI_TURNS 8

/* ---- a turn's end ---- */

/* Runs what waits, and what that puts off, for a bounded number of rounds. */
static void run_soon(struct loop *loop)
{
    for (int round = 0; round < SOON_ROUNDS && !list_empty(&loop->soon); round++) {
        struct list batch, *link;
        list_init(&batch);
        list_splice(&batch, &loop->soon);
        while ((link = list_pop(&batch)) != NULL) {
            struct soon *soon = container_of(link, struct soon, link);
            soon->fn(soon);
        }
    }
}

/* Each hook is put back before it runs, so that it may remove itself and others. */
static bool run_hooks(struct list *hooks)
{
    struct list batch, *link;
    bool more = false;

    list_init(&batch);
    list_splice(&batch, hooks);
    while ((link = list_pop(&batch)) != NULL) {
        struct loop_hook *hook = container_of(link, struct loop_hook, link);
        list_push(hooks, link);
        if (hook->fn(hook))
            more = true;
    }
    return more;
}

static void turn_end(uv_prepare_t *prepare)
{
    struct loop *loop = container_of(prepare, struct loop, prepare);

    uv_idle_stop(&loop->idle); /* whoever wants another turn from here on starts it again */
    timers_run(loop);
    run_soon(loop);
    bool more = run_hooks(&loop->work);
    run_soon(loop);
    more |= run_hooks(&loop->flush);
    more |= run_hooks(&loop->late);
    timers_arm(loop);
    if (more || !list_empty(&loop->soon))
        loop_keep_turning(loop);
    loop->turn++;
    if (loop->stopping && loop->n_jobs == 0) {
        loop->stopping = false;
        uv_stop(&loop->uv);
    }
}

/* It is there to be active: libuv does not sleep then, and goes on. */
static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* ---- messages from other threads ---- */

static struct loop_message *take_posted(struct loop *loop)
{
    uv_mutex_lock(&loop->post_lock);
    struct loop_message *message = loop->posted;
    loop->posted = NULL;
    loop->posted_end = &loop->posted;
    uv_mutex_unlock(&loop->post_lock);
    return message;
}

static void on_wake(uv_async_t *wake)
{
    struct loop_message *message = take_posted(container_of(wake, struct loop, wake));

    while (message) {
        struct loop_message *next = message->next;
        message->fn(message);
        message = next;
    }
}

void loop_post(struct loop *loop, struct loop_message *message)
{
    message->next = NULL;
    uv_mutex_lock(&loop->post_lock);
    bool first = !loop->posted;
    *loop->posted_end = message;
    loop->posted_end = &message->next;
    /* Under the lock, so that the loop can't end between the two: it takes the lock first. */
    if (first)
        CHECK(uv_async_send(&loop->wake) == 0);
    uv_mutex_unlock(&loop->post_lock);
}

/* ---- life ---- */

int loop_init(struct loop *loop)
{
    *loop = (struct loop){0};
    list_init(&loop->soon);
    list_init(&loop->work);
    list_init(&loop->flush);
    list_init(&loop->late);
    loop->posted_end = &loop->posted;
    loop->read_buffer = malloc(LOOP_READ_BUFFER);
    if (!loop->read_buffer)
        return -ENOMEM;
    int rc = uv_mutex_init(&loop->post_lock);
    if (rc)
        goto free_buffer;
    rc = uv_loop_init(&loop->uv);
    if (rc)
        goto destroy_mutex;
    rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (rc)
        goto close_loop;

    /* These can't fail. */
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_prepare_start(&loop->prepare, turn_end);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->alarm);
    uv_unref((uv_handle_t *)&loop->prepare); /* until something holds the loop */
    uv_unref((uv_handle_t *)&loop->alarm);   /* running timers hold it */
    uv_unref((uv_handle_t *)&loop->wake);
    loop->turn = 1;
    return 0;

close_loop:
    CHECK(uv_loop_close(&loop->uv) == 0);
destroy_mutex:
    uv_mutex_destroy(&loop->post_lock);
free_buffer:
    free(loop->read_buffer);
    return rc;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_step(struct loop *loop)
{
    loop_keep_turning(loop); /* else libuv makes no turn when nothing keeps it alive */
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    loop_keep_turning(loop);
}

static void abort_at_open(uv_handle_t *handle, void *user)
{
    char what[64];

    (void)user;
    snprintf(what, sizeof what, "no %s handle is open at the loop's end",
             uv_handle_type_name(uv_handle_get_type(handle)));
    check_failed(__FILE__, __LINE__, what);
}

void loop_fini(struct loop *loop)
{
    if (!loop || !loop->read_buffer)
        return;
    CHECK(loop->n_timers == 0);
    CHECK(list_empty(&loop->soon) && list_empty(&loop->work) && list_empty(&loop->flush) &&
          list_empty(&loop->late));
    CHECK(!take_posted(loop));
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    for (int turns = 0; uv_loop_close(&loop->uv) != 0; turns++) {
        if (turns == FINI_TURNS) {
            uv_walk(&loop->uv, abort_at_open, NULL);
            check_failed(__FILE__, __LINE__, "no request is under way at the loop's end");
        }
        uv_run(&loop->uv, UV_RUN_NOWAIT); /* close callbacks */
    }
    CHECK(loop->holds == 0);
    uv_mutex_destroy(&loop->post_lock);
    free(loop->heap);
    free(loop->read_buffer);
    *loop = (struct loop){0};
}

/* ---- the rest ---- */

void loop_hold(struct loop *loop)
{
    if (loop->holds++ == 0)
        uv_ref((uv_handle_t *)&loop->prepare);
}

void loop_release(struct loop *loop)
{
    CHECK(loop->holds > 0);
    if (--loop->holds == 0)
        uv_unref((uv_handle_t *)&loop->prepare);
}

void loop_job_begin(struct loop *loop)
{
    loop->n_jobs++;
    loop_hold(loop);
}

void loop_job_end(struct loop *loop)
{
    CHECK(loop->n_jobs > 0);
    loop->n_jobs--;
    loop_release(loop);
}

uint64_t loop_now(const struct loop *loop)
{
    return loop->clock ? loop->clock->ns / NS_PER_MS : uv_now(&loop->uv);
}

uint64_t loop_time_ns(const struct loop *loop)
{
    return loop->clock ? loop->clock->ns : clock_monotonic_ns();
}

int64_t loop_wall_ms(const struct loop *loop)
{
    return loop->clock ? loop->clock->wall_start + (int64_t)(loop->clock->ns / NS_PER_MS) : clock_wall_ms();
}

bool loop_at_rest(struct loop *loop)
{
    uv_mutex_lock(&loop->post_lock);
    bool posted = loop->posted != NULL;
    uv_mutex_unlock(&loop->post_lock);
    return !posted && loop->n_jobs == 0 && list_empty(&loop->soon) && timer_next(loop) > loop_time_ns(loop);
}

void loop_soon(struct loop *loop, struct soon *soon)
{
    if (list_linked(&soon->link))
        return;
    list_push(&loop->soon, &soon->link);
    loop_keep_turning(loop);
}

void loop_soon_cancel(struct soon *soon)
{
    list_remove(&soon->link);
}

void loop_hook_add(struct list *hooks, struct loop_hook *hook)
{
    list_push(hooks, &hook->link);
}

void loop_hook_remove(struct loop_hook *hook)
{
    list_remove(&hook->link);
}

void loop_keep_turning(struct loop *loop)
{
    uv_idle_start(&loop->idle, on_idle);
}
