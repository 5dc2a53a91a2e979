/* The one door into Lua. Every handler runs here: on a coroutine, with its arguments pushed
 * inside of the protection, and every way in which it can end becomes one enum. Nothing that
 * is called through it can raise into the caller. */
#pragma once

#include "loop/timer.h"
#include "room/event.h"
#include "script/vm.h"

enum call_result {
    CALL_DONE,    /* the function returned */
    CALL_WAITING, /* it waits (wait.h): task_resume will go on */
    CALL_RAISED,  /* it raised; see struct failure */
    CALL_MEMORY,  /* the room's memory is used up */
    CALL_TIME,    /* it has had its time (quota.h) */
};

/* A handler under way. */
struct task {
    struct list link; /* in vm->tasks while it waits */
    struct vm *vm;
    lua_State *co;       /* its coroutine, anchored in the registry under the task's address */
    struct event *event; /* NULL: a timer's function, or the file scope */
    const char *handler; /* its name for logs: "onMessage"; a literal */
    lua_CFunction enter; /* called with a light userdata of the task; pushes the rest */
    void *data;          /* for enter */
    bool suspending;     /* a wait has begun: the yields that lead out of it are ours */
    bool bad_json;       /* request:json() has failed in it */
    uint64_t left;       /* ns of Lua that it still has */
    /* Called when the task is over, however; the task is freed after it. */
    void (*done)(struct task *task, enum call_result result);
    struct timer timer;                       /* of sleep */
    int (*push)(lua_State *L, struct task *); /* pushes what the wait returns; may raise */
    void *waited;                             /* what it waits for, or has waited for; its binding's */
    /* The task is dropped while it waits: whatever would wake it is to forget it. NULL: nothing has to be told.
     * Set by a binding before wait_begin, and taken back when the wait is over. */
    void (*forget)(struct task *task);
};

/* What a handler raised, taken apart without running script code. */
struct failure {
    struct buf message;             /* as it was raised; at most 4 KiB */
    struct buf traceback;           /* lines; at most 22 levels */
    int line;                       /* where in the party's own file; 0: not known */
    struct http_response *response; /* error(Response(…)): owned; else NULL */
    bool bad_json;                  /* an uncaught error of request:json() */
    bool close;                     /* error({ close = , reason = }) */
    uint16_t close_code;
    struct buf close_reason;
};

/* ns that Lua may run which begins now: handlerTime, less what has run in the same step of the room before, a file scope
 * before onStart. */
uint64_t call_time(const struct vm *vm);

/* Starts a handler. enter runs on the coroutine with one argument, a light userdata of the
 * task. NULL and *result CALL_MEMORY when not even that could be made. A task that is over
 * is gone when this returns. */
enum call_result call_start(struct vm *vm, const char *handler, lua_CFunction enter, struct event *event,
                            void *data, void (*done)(struct task *, enum call_result));

/* Lets go of the task that is kept for the next handler. */
void call_drop_spare(struct vm *vm);

/* Goes on with a task that waited. */
enum call_result call_resume(struct task *task);

/* In done(), after CALL_RAISED, CALL_MEMORY or CALL_TIME: what was raised. To be ended by failure_fini. */
void call_failure(struct task *task, enum call_result result, struct failure *failure);
void failure_fini(struct failure *failure);

/* Is the coroutine the host's, or does it wait? Then nobody else may resume it. */
bool call_owns(lua_State *co);
void call_own(lua_State *co, bool own);

/* Drops a task that waits, without running any of its code. Its event is freed. */
void call_drop(struct task *task);

/* Runs a C function that pushes what it wants, on the main thread, protected; for the host's
 * own needs. 0, or -ENOMEM, or -EINVAL for any other error. */
int call_protected(struct vm *vm, lua_CFunction function, void *data);

/* The same in a slice of its own (quota.h) that may take *left ns, for work whose length is the script's to choose; takes
 * from *left what it needed. what: its name for the log. -ETIMEDOUT: it was late, and was stopped unless it was at its
 * end just then. Not while the VM runs. */
int call_protected_for(struct vm *vm, const char *what, lua_CFunction function, void *data, uint64_t *left);
