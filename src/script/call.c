/* The door: starting, suspending and ending handlers. What a handler raised is taken apart in
 * failure.c. */
#include "script/call.h"

#include "base/check.h"
#include "base/clock.h"
#include "script/bind.h"
#include "script/quota.h"
#include "script/report.h"
#include "script/script.h"

#include <errno.h>
#include <stdlib.h>

/* Coroutines of the host, and those that wait, carry a mark beside the VM's address. */
bool call_owns(lua_State *co)
{
    return ((uintptr_t) * (void **)lua_getextraspace(co) & 1) != 0;
}

void call_own(lua_State *co, bool own)
{
    uintptr_t vm = (uintptr_t)vm_of(co);
    *(void **)lua_getextraspace(co) = (void *)(vm | (own ? 1u : 0u));
}

uint64_t call_time(const struct vm *vm)
{
    uint64_t time = vm->script->config->limits.handler_time * NS_PER_MS;
    uint64_t took = vm->room ? rooms_step_took(vm->room->rooms) : 0;

    return took < time ? time - took : 0;
}

struct protected_call {
    lua_CFunction function;
    void *data;
};

static int protected_enter(lua_State *L)
{
    struct protected_call *call = lua_touserdata(L, 1);
    lua_settop(L, 0);
    lua_pushlightuserdata(L, call->data);
    return call->function(L);
}

int call_protected(struct vm *vm, lua_CFunction function, void *data)
{
    struct protected_call call = {function, data};

    lua_pushcfunction(vm->L, protected_enter);
    lua_pushlightuserdata(vm->L, &call);
    int status = lua_pcall(vm->L, 1, 0, 0);
    lua_settop(vm->L, 0);
    return status == LUA_OK ? 0 : status == LUA_ERRMEM ? -ENOMEM : -EINVAL;
}

int call_protected_for(struct vm *vm, const char *what, lua_CFunction function, void *data, uint64_t *left)
{
    struct task task = {.vm = vm, .co = vm->L, .handler = what, .left = *left};
    uint64_t began = clock_thread_ns();

    quota_begin(&task, false);
    int rc = call_protected(vm, function, data);
    bool late = quota_end(&task, true);
    lua_sethook(vm->L, NULL, 0, 0); /* coroutines would inherit it */
    uint64_t took = clock_thread_ns() - began;
    *left = took < *left ? *left - took : 0;
    return late && rc != -ENOMEM ? -ETIMEDOUT : rc;
}

static int make_coroutine(lua_State *L)
{
    struct task *task = lua_touserdata(L, 1);
    task->co = lua_newthread(L);
    call_own(task->co, true);
    lua_rawsetp(L, LUA_REGISTRYINDEX, task);
    return 0;
}

/* Lets the collector have the coroutine. The key exists, so nothing is allocated. */
static void task_free(struct task *task)
{
    lua_State *L = task->vm->L;
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, task);
    free(task);
}

static struct task *task_get(struct vm *vm)
{
    struct task *task = vm->spare;
    if (task) {
        vm->spare = NULL;
        return task;
    }
    task = calloc(1, sizeof *task);
    if (!task)
        return NULL;
    task->vm = vm;
    if (call_protected(vm, make_coroutine, task) != 0) {
        free(task);
        return NULL;
    }
    return task;
}

/* Over: a coroutine that returned serves again, one that raised does not. */
static void task_put(struct task *task, bool reusable)
{
    struct vm *vm = task->vm;
    timer_stop(&task->timer);
    if (!reusable || vm->spare) {
        task_free(task);
        return;
    }
    lua_settop(task->co, 0);
    lua_State *co = task->co;
    *task = (struct task){.vm = vm, .co = co};
    vm->spare = task;
}

void call_drop_spare(struct vm *vm)
{
    struct task *task = vm->spare;
    vm->spare = NULL;
    if (task)
        task_free(task);
}

/* Closes the variables that a coroutine which raised has left open. What runs for that belongs to the handler,
 * and has what is left of its time; after the end of that, nothing of the script's runs. */
static void close_variables(struct task *task, bool late)
{
    struct vm *vm = task->vm;

    vm->running = task;
    quota_begin(task, late);
    lua_closethread(task->co, vm->L);
    bool ended = quota_end(task, true) && !late;
    vm->running = NULL;
    if (ended)
        report_handler(task, CALL_TIME);
}

static enum call_result result_of(int status, bool late)
{
    switch (status) {
    case LUA_OK: return CALL_DONE;
    case LUA_YIELD: return CALL_WAITING;
    default: return late ? CALL_TIME : status == LUA_ERRMEM ? CALL_MEMORY : CALL_RAISED;
    }
}

static enum call_result run(struct task *task, int n_args)
{
    struct vm *vm = task->vm;
    int n_results = 0;

    CHECK(!vm->running);
    task->suspending = false;
    vm->running = task;
    vm->collected = false;
    vm->resumes = NULL;
    quota_begin(task, false);
    int status = lua_resume(task->co, vm->L, n_args, &n_results);
    bool late = quota_end(task, status == LUA_OK);
    vm->running = NULL;
    enum call_result result = result_of(status, late);

    if (result == CALL_WAITING) {
        CHECK(task->suspending); /* coroutine.yield of ours refuses any other */
        if (!list_linked(&task->link))
            list_push(&vm->tasks, &task->link);
        return CALL_WAITING;
    }
    list_remove(&task->link);
    task->done(task, result);
    task->event = NULL;
    if (result != CALL_DONE)
        close_variables(task, late);
    task_put(task, result == CALL_DONE);
    vm_account(vm, result == CALL_MEMORY); /* the next handler is to find what this one has left */
    return result;
}

enum call_result call_start(struct vm *vm, const char *handler, lua_CFunction enter, struct event *event,
                            void *data, void (*done)(struct task *, enum call_result))
{
    struct task *task = task_get(vm);
    if (!task) {
        struct task none = {.vm = vm, .handler = handler, .event = event, .data = data};
        done(&none, CALL_MEMORY);
        vm_account(vm, true);
        return CALL_MEMORY;
    }
    task->handler = handler;
    task->event = event;
    task->data = data;
    task->done = done;
    task->left = call_time(vm);
    lua_pushcfunction(task->co, enter);
    lua_pushlightuserdata(task->co, task);
    return run(task, 1);
}

enum call_result call_resume(struct task *task)
{
    return run(task, 0);
}

void call_drop(struct task *task)
{
    list_remove(&task->link);
    timer_stop(&task->timer);
    if (task->forget)
        task->forget(task);
    room_event_dropped(task->vm->room, task->event);
    task_free(task);
}
