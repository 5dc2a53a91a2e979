/* party.after and party.every: functions that run later, one at a time like every handler. */
#include "script/bind.h"
#include "script/call.h"
#include "script/report.h"
#include "script/script.h"
#include "script/wait.h"

const char timer_type[] = "timer";

/* Bytes that a timer takes in C: its place in the loop's heap, its event when it is due. */
#define TIMER_COST (sizeof(struct event) + 2 * sizeof(void *))

/* Lies in the Lua object. In vm->timers, and anchored in the registry, while it is to run again. */
struct timer_box {
    struct due due;
    struct list link;
    struct vm *vm;
    struct timer timer;
    uint64_t interval_ns; /* of every; 0: after */
    bool queued;          /* its event waits, or its function runs: no second one */
};

static struct timer_box *box_of(struct timer *timer)
{
    return container_of(timer, struct timer_box, timer);
}

static void timer_due(struct timer *timer)
{
    struct timer_box *box = box_of(timer);
    struct room *room = box->vm->room;

    if (box->interval_ns > 0) { /* from when it was due, so that it does not drift */
        uint64_t next = timer->due + box->interval_ns, now = loop_time_ns(timer->loop);
        if (next <= now)
            next += (now - next) / box->interval_ns * box->interval_ns + box->interval_ns;
        timer_start_at(timer->loop, timer, next);
    }
    if (room->rooms->stopping) /* handlers may finish, but nothing begins */
        return;
    if (!box->queued) {
        box->queued = true;
        room_timer_due(room, &box->due);
    }
}

/* It will not run any more; its object may be collected. */
static void timer_end(lua_State *L, struct timer_box *box)
{
    if (!list_linked(&box->link))
        return;
    list_remove(&box->link);
    vm_discharge(box->vm, TIMER_COST);
    timer_stop(&box->timer);
    lua_pushnil(L); /* the key exists, so nothing is allocated */
    lua_rawsetp(L, LUA_REGISTRYINDEX, box);
    room_release(box->vm->room);
}

/* timer:cancel(): it does not run any more; what runs already goes on. */
static int timer_cancel(lua_State *L)
{
    struct timer_box *box = bind_check(L, 1, timer_type);
    if (list_linked(&box->link)) {
        room_forget_handle(box->vm->room, &box->due);
        timer_end(L, box);
    }
    return 0;
}

static const luaL_Reg methods[] = {{"cancel", timer_cancel}, {NULL, NULL}};
const struct bind_members timer_members = {methods, NULL};

static int timer_index(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING || !bind_method(L, methods, lua_tostring(L, 2)))
        lua_pushnil(L);
    return 1;
}

static const luaL_Reg metamethods[] = {{"__index", timer_index},
                                       {"__newindex", bind_read_only},
                                       {NULL, NULL}};

static int enter_timer(lua_State *L)
{
    struct task *task = lua_touserdata(L, 1);
    struct timer_box *box = task->data;

    lua_settop(L, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, box); /* the object stays on the stack while its function runs */
    lua_getiuservalue(L, 1, 1);
    if (box->interval_ns == 0)
        timer_end(L, box);
    lua_callk(L, 0, 0, 0, handler_returned);
    return 0;
}

static void timer_done(struct task *task, enum call_result result)
{
    struct timer_box *box = task->data;
    if (result != CALL_DONE) {
        report_handler(task, result);
        if (box->interval_ns == 0) /* there may have been no memory to begin */
            timer_end(task->vm->L, box);
    }
    box->queued = false; /* the object is alive: it lies on the coroutine's stack or in the registry */
}

static enum call_result timer_run(struct vm *vm, struct due *due)
{
    struct timer_box *box = container_of(due, struct timer_box, due);
    return call_start(vm, "timer", enter_timer, NULL, box, timer_done);
}

static int timer_new(lua_State *L, bool repeat)
{
    bind_skip_self(L);
    struct vm *vm = vm_of(L);
    lua_settop(L, 2);
    double ms = skipped_number(L, 1);
    (void)duration_check(L, 1);
    if (repeat && ms < 1)
        skipped_error(L, 1, "an interval of 1 ms at least expected");
    skipped_type(L, 2, LUA_TFUNCTION);
    if (!vm->room || vm->room->lobby || !vm->loaded)
        return luaL_error(L, "timers belong to rooms: start them in onStart or later");

    vm_demand(L, TIMER_COST);
    struct timer_box *box = lua_newuserdatauv(L, sizeof *box, 1);
    *box = (struct timer_box){.due = {.run = timer_run}, .vm = vm, .timer = {.fn = timer_due}};
    bind_metatable(L, timer_type, metamethods);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, box); /* the last thing that can raise */
    uint64_t ns = (uint64_t)(ms * 1e6);
    box->interval_ns = repeat ? ns : 0;
    list_push(&vm->timers, &box->link);
    vm_charge(vm, TIMER_COST);
    room_hold(vm->room);
    timer_start_at(vm->script->loop, &box->timer, loop_time_ns(vm->script->loop) + ns);
    return 1;
}

/* party.after(ms, fn) → timer */
int party_after(lua_State *L)
{
    return timer_new(L, false);
}

/* party.every(ms, fn) → timer */
int party_every(lua_State *L)
{
    return timer_new(L, true);
}

void timers_stop(struct vm *vm)
{
    struct list *link;
    while ((link = list_pop(&vm->timers)) != NULL) {
        vm_discharge(vm, TIMER_COST);
        timer_stop(&container_of(link, struct timer_box, link)->timer);
    }
}
