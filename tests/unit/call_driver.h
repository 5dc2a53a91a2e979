/* Fake rooms that talk to each other. A message is a program of one letter a command, run in turn; a call's method is
 * one too:
 *
 *   w        writes
 *   s        sends the sender (of a message) its program
 *   a to z behind "@"   calls that room, with the rest as its method, and waits for the answer
 *   f        fails
 *   z        waits for ever
 *   D, R     room_destroy, room_restart
 *
 * What a call brings back is said as "ROOM got STATUS TEXT". */
#pragma once

#include "fake_room.h"

#include <errno.h>

struct test_call {
    struct list link;
    struct fake *fake;
    struct room *room; /* that has called; NULL: it was let go */
    struct room_call *call;
};

struct talk {
    struct list calls; /* of struct test_call */
    bool early;        /* the answers are not waited for: each call is ended at once */
    int rc;            /* of the last room_call_begin */
    size_t n_done;
};

static inline struct talk *talk_of(struct fake *fake)
{
    return fake->user;
}

static inline void test_call_free(struct test_call *call)
{
    list_remove(&call->link);
    room_call_end(call->call);
    free(call);
}

/* The handler that waits in this room goes on; the last that began to. */
static inline void talk_wake(struct fake *fake, const struct room *room)
{
    struct fake_task *last = NULL;
    list_each(it, &fake->tasks) {
        struct fake_task *task = container_of(it, struct fake_task, link);
        if (task->vm->room == room && !task->woken)
            last = task;
    }
    assert_non_null(last);
    last->woken = true;
    room_wake(last->vm->room, last);
}

static inline void talk_done(struct room_call *base)
{
    struct test_call *call = base->user;
    const struct http_response *answer = base->answer;

    talk_of(call->fake)->n_done++;
    fake_say(call->fake, "%s got %d %.*s", call->room->id, answer ? answer->status : 0,
             answer && answer->body ? (int)answer->body->len : 0,
             answer && answer->body ? (const char *)answer->body->data : "");
    talk_wake(call->fake, call->room);
    test_call_free(call);
}

static inline struct room_call *talk_call_new(const char *id, const char *method)
{
    struct room_call *call = room_call_new(SPAN("main"), span_of(id));
    assert_non_null(call);
    call->args = bytes_copy(method, strlen(method) + 1);
    assert_non_null(call->args);
    return call;
}

/* Calls, in a turn of the room; returns whether its answer is to be waited for. */
static inline bool talk_call(struct fake *fake, struct room *room, const struct event *event, const char *id,
                             const char *method)
{
    struct talk *talk = talk_of(fake);
    struct test_call *call = calloc(1, sizeof *call);

    assert_non_null(call);
    call->fake = fake;
    call->room = room;
    call->call = talk_call_new(id, method);
    call->call->done = talk_done;
    call->call->user = call;
    list_push(&talk->calls, &call->link);
    talk->rc = room_call_begin(call->call, room, event);
    if (talk->rc != 0 || talk->early) {
        fake_say(fake, "%s call %d", room->id, talk->rc);
        test_call_free(call);
        return false;
    }
    return true;
}

static inline enum act talk_run(struct fake *fake, struct room *room, struct event *event,
                                const char *program)
{
    for (; *program; program++) {
        switch (*program) {
        case 'w': fake_write(room); break;
        case 's': assert_int_equal(fake_send(event->peer, program), 0); break;
        case 'f': return ACT_FAIL;
        case 'z': return ACT_WAIT;
        case 'R': room_restart(room); break;
        case 'D': assert_int_equal(room_destroy(room), 0); break;
        case '@': {
            char id[2] = {program[1], '\0'};
            return talk_call(fake, room, event, id, program + 2) ? ACT_WAIT : ACT_DONE;
        }
        default: break;
        }
    }
    return ACT_DONE;
}

static inline enum act talk_handle(struct fake *fake, struct room *room, struct event *event)
{
    if (event->kind == EVENT_CALL) {
        const struct room_call *call = event->handle;
        char program[64];
        snprintf(program, sizeof program, "%s", (const char *)call->args->data);
        return talk_run(fake, room, event, program);
    }
    if (event->kind == EVENT_MESSAGE) {
        char program[64];
        snprintf(program, sizeof program, "%.*s", (int)event->len, (const char *)event->data);
        return talk_run(fake, room, event, program);
    }
    return ACT_DONE;
}

static inline struct fake *talk_begin(const struct room_limits *limits)
{
    struct fake *fake = fake_begin(limits);
    struct talk *talk = calloc(1, sizeof *talk);

    assert_non_null(talk);
    list_init(&talk->calls);
    fake->user = talk;
    fake->handler = talk_handle;
    return fake;
}

/* What still waits for answers is let go, as the VMs' end does. */
static inline void talk_end(struct fake *fake)
{
    struct talk *talk = talk_of(fake);
    struct list *link;

    while ((link = talk->calls.next) != &talk->calls)
        test_call_free(container_of(link, struct test_call, link));
    free(talk);
    fake->user = NULL;
    fake->handler = NULL;
    rooms_drop(&fake->rooms);
    fake_store_settle(&fake->store);
    for (int i = 0; i < 4; i++)
        loop_step(&fake->loop);
    fake_end(fake);
}

static inline struct fake_peer *talk_peer(struct fake *fake, const char *room, const char *id)
{
    struct fake_peer *peer = fake_connect(fake, fake_room(fake, room), id);
    fake_run(fake);
    fake_forget(fake);
    return peer;
}

static inline void talk_tell(struct fake_peer *peer, const char *program)
{
    fake_message(peer, program);
    for (int i = 0; i < 4; i++)
        fake_run(peer->fake);
}
