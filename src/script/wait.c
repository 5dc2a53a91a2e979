/* Waiting: how a binding suspends the handler that called it, through any coroutines of the
 * author's in between; and the coroutine functions that make this possible. */
#include "script/wait.h"

#include "room/data.h"
#include "script/bind.h"
#include "script/quota.h"
#include "script/script.h"

/* A coroutine of the author's that is being resumed: who waits for it to come back. Lies on the
 * C stack of its resume, which is left only after the frame was taken out again. */
struct resume_frame {
    lua_State *from;
    struct resume_frame *outer;
};

static bool has_handler(const struct vm *vm)
{
    return vm->room && vm->loaded && vm->running;
}

static bool is_yieldable(lua_State *L)
{
    bool yieldable = lua_isyieldable(L) != 0;

    for (struct resume_frame *frame = vm_of(L)->resumes; frame; frame = frame->outer)
        yieldable = yieldable && lua_isyieldable(frame->from);
    return yieldable;
}

bool wait_is_possible(lua_State *L)
{
    return has_handler(vm_of(L)) && !vm_of(L)->room->destroying && is_yieldable(L);
}

void wait_check_store(lua_State *L)
{
    if (!has_handler(vm_of(L)))
        luaL_error(L, "waiting is possible in handlers and timers only");
    if (vm_of(L)->room->destroying)
        luaL_error(L, "waiting is not possible any more: the room was destroyed by this handler");
    if (!is_yieldable(L))
        luaL_error(L, "waiting is not possible inside of a function that C calls back (table.sort, "
                      "string.gsub, __close and the like)");
}

void wait_check(lua_State *L)
{
    wait_check_store(L);
    if (data_transaction(vm_of(L)->room))
        luaL_error(L, "waiting is not possible inside of a transaction");
}

static int wait_over(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    struct task *task = vm_of(L)->running;
    task->forget = NULL;
    return task->push(L, task);
}

int wait_begin(lua_State *L, int (*push)(lua_State *L, struct task *task))
{
    struct task *task = vm_of(L)->running;

    task->push = push;
    task->suspending = true;
    return lua_yieldk(L, 0, 0, wait_over);
}

/* ---- coroutines of the author's ---- */

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    return co;
}

enum coroutine_status { RUNNING, DEAD, SUSPENDED, NORMAL };

static enum coroutine_status status_of(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    if (L == co)
        return RUNNING;
    switch (lua_status(co)) {
    case LUA_YIELD: return SUSPENDED;
    case LUA_OK:
        if (lua_getstack(co, 0, &ar))
            return NORMAL;
        return lua_gettop(co) == 0 ? DEAD : SUSPENDED;
    default: return DEAD;
    }
}

/* lua_closethread; raises if the handler's time is over. */
static int close_thread(lua_State *L, lua_State *co)
{
    quota_switch(co);
    int status = lua_closethread(co, L);
    quota_switch(L);
    quota_check(L);
    return status;
}

/* As in Lua's own library: n arguments are on L's top. Returns the number of results that it left
 * there, -1 with an error value, or -2 when a wait inside must suspend L too. */
static int resume(lua_State *L, lua_State *co, int n_args)
{
    struct vm *vm = vm_of(L);
    struct resume_frame frame = {L, vm->resumes};
    int n_results;

    if (!lua_checkstack(co, n_args)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, n_args);
    quota_switch(co);
    vm->resumes = &frame;
    int status = lua_resume(co, L, n_args, &n_results);
    vm->resumes = frame.outer;
    quota_switch(L);

    if (status == LUA_YIELD && vm->running->suspending) {
        call_own(co, true);
        return -2;
    }
    if (status == LUA_OK || status == LUA_YIELD) {
        quota_check(L);
        if (!lua_checkstack(L, n_results + 1)) {
            lua_pop(co, n_results);
            lua_pushliteral(L, "too many results to resume");
            return -1;
        }
        lua_xmove(co, L, n_results);
        return n_results;
    }
    lua_xmove(co, L, 1);
    quota_check(L);
    return -1;
}

static int resume_checked(lua_State *L, lua_State *co, int n_args)
{
    if (call_owns(co)) {
        lua_pushliteral(L, "cannot resume a coroutine that waits");
        return -1;
    }
    /* lua_resume says these too, but makes the text outside of any protection: without memory for that the
     * process would end. */
    switch (status_of(L, co)) {
    case SUSPENDED: break;
    case DEAD: lua_pushliteral(L, "cannot resume dead coroutine"); return -1;
    case RUNNING:
    case NORMAL: lua_pushliteral(L, "cannot resume non-suspended coroutine"); return -1;
    }
    return resume(L, co, n_args);
}

static int finish_resume(lua_State *L, int n)
{
    if (n < 0) {
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushboolean(L, 1);
    lua_insert(L, -(n + 1));
    return n + 1;
}

static int resume_again(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    lua_State *co = lua_tothread(L, 1);
    call_own(co, false);
    int n = resume(L, co, 0);
    if (n == -2)
        return lua_yieldk(L, 0, context, resume_again);
    return finish_resume(L, n);
}

static int coroutine_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    int n = resume_checked(L, co, lua_gettop(L) - 1);
    if (n == -2)
        return lua_yieldk(L, 0, 0, resume_again);
    return finish_resume(L, n);
}

static int finish_wrap(lua_State *L, lua_State *co, int n)
{
    if (n >= 0)
        return n;
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) { /* it raised: its variables are closed */
        status = close_thread(L, co);
        lua_xmove(co, L, 1);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int wrap_again(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    call_own(co, false);
    int n = resume(L, co, 0);
    if (n == -2)
        return lua_yieldk(L, 0, context, wrap_again);
    return finish_wrap(L, co, n);
}

static int wrap_call(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int n = resume_checked(L, co, lua_gettop(L));
    if (n == -2)
        return lua_yieldk(L, 0, 0, wrap_again);
    return finish_wrap(L, co, n);
}

static int coroutine_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int coroutine_wrap(lua_State *L)
{
    coroutine_create(L);
    lua_pushcclosure(L, wrap_call, 1);
    return 1;
}

static int coroutine_yield(lua_State *L)
{
    const struct vm *vm = vm_of(L);
    if (call_owns(L))
        return luaL_error(L, "attempt to yield from outside a coroutine");
    /* Nobody might come back to end it, and what is written meanwhile would be part of it. */
    if (vm->transactor == L && vm->room && data_transaction(vm->room))
        return luaL_error(L, "a coroutine can't yield out of its transaction");
    return lua_yield(L, lua_gettop(L));
}

static int coroutine_running(lua_State *L)
{
    lua_pushthread(L);
    lua_pushboolean(L, call_owns(L));
    return 2;
}

static lua_State *optional_coroutine(lua_State *L)
{
    return lua_isnone(L, 1) ? L : check_coroutine(L);
}

static int coroutine_isyieldable(lua_State *L)
{
    lua_State *co = optional_coroutine(L);
    lua_pushboolean(L, !call_owns(co) && lua_isyieldable(co));
    return 1;
}

static int coroutine_status(lua_State *L)
{
    static const char *const names[] = {"running", "dead", "suspended", "normal"};
    lua_pushstring(L, names[status_of(L, check_coroutine(L))]);
    return 1;
}

static int coroutine_close(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    enum coroutine_status status = status_of(L, co);

    if (call_owns(co))
        return luaL_error(L, "cannot close a coroutine that waits");
    if (status != DEAD && status != SUSPENDED)
        return luaL_error(L, "cannot close a %s coroutine", status == RUNNING ? "running" : "normal");
    if (close_thread(L, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

const luaL_Reg coroutine_functions[] = {
    {"close", coroutine_close},   {"create", coroutine_create},   {"isyieldable", coroutine_isyieldable},
    {"resume", coroutine_resume}, {"running", coroutine_running}, {"status", coroutine_status},
    {"wrap", coroutine_wrap},     {"yield", coroutine_yield},     {NULL, NULL},
};

/* ---- sleep ---- */

static void sleep_over(struct timer *timer)
{
    struct task *task = container_of(timer, struct task, timer);
    room_wake(task->vm->room, task);
}

static int sleep_push(lua_State *L, struct task *task)
{
    (void)L;
    (void)task;
    return 0;
}

/* sleep(ms): waits; other events of the room run meanwhile. */
int base_sleep(lua_State *L)
{
    uint64_t ms = duration_check(L, 1);
    wait_check(L);
    struct task *task = vm_of(L)->running;
    task->timer.fn = sleep_over;
    timer_start(vm_of(L)->script->loop, &task->timer, ms);
    return wait_begin(L, sleep_push);
}
