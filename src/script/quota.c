/* Time of Lua, on the side of the thread that runs it. */
#include "script/quota.h"

#include "base/check.h"
#include "base/clock.h"
#include "script/call.h"
#include "script/script.h"
#include "script/trace.h"
#include "script/watchdog.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define HOOK_COUNT 1000 /* instructions between two looks of a hook that is always set */

_Thread_local volatile unsigned char festa_lua_late;

static _Thread_local struct {
    bool watched;
    struct watch watch;
    lua_State *volatile current; /* the coroutine that runs; NULL: none */
    uint64_t began;              /* ns */
    char place[LUA_IDSIZE + 16];
} here;

static void stop_hook(lua_State *L, lua_Debug *ar);

/* As it is while all is well. */
static void unhook(lua_State *L)
{
    if (FESTA_LUA_HOOKED)
        lua_sethook(L, stop_hook, LUA_MASKCOUNT, HOOK_COUNT);
    else
        lua_sethook(L, NULL, 0, 0);
}

static void stop_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    if (FESTA_LUA_HOOKED && here.current && watch_condemned(&here.watch))
        festa_lua_late = 1;
    if (festa_lua_late)
        quota_stop(L);
    unhook(L); /* one that was let go in time: it is another event now */
}

/* The slice may have ended since the signal was sent, and another one begun. */
static void on_signal(int number)
{
    (void)number;
    lua_State *L = here.current;
    /* Once is enough, and setting a hook visits all calls that are under way: in a deep recursion it could take longer
     * than the time to the next signal. */
    if (!L || festa_lua_late || !watch_condemned(&here.watch))
        return;
    festa_lua_late = 1;
    lua_sethook(L, stop_hook, LUA_MASKCOUNT, 1); /* made for signal handlers */
}

/* ---- threads ---- */

static pthread_key_t at_thread_end;

static void unwatch(void *watch)
{
    watchdog_remove(watch);
}

static void install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(WATCHDOG_SIGNAL, &action, NULL) == 0);
    CHECK(pthread_key_create(&at_thread_end, unwatch) == 0);
}

/* The first slice of a thread. */
static void watch_this_thread(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, install) == 0);
    watchdog_add(&here.watch);
    CHECK(pthread_setspecific(at_thread_end, &here.watch) == 0);
    here.watched = true;
}

/* ---- slices ---- */

void quota_begin(struct task *task, bool stop)
{
    const struct vm *vm = task->vm;
    const struct limits *limits = &vm->script->config->limits;

    CHECK(!here.current);
    if (!here.watched)
        watch_this_thread();
    here.began = vm->room ? vm->room->rooms->began : clock_monotonic_ns();
    here.place[0] = '\0';
    atomic_store_explicit(&here.watch.budget, task->left, memory_order_relaxed);
    atomic_store_explicit(&here.watch.grace, limits->stuck_time * NS_PER_MS, memory_order_relaxed);
    atomic_store_explicit(&here.watch.party, vm->party->name, memory_order_relaxed);
    atomic_store_explicit(&here.watch.room, vm->room ? vm->room->id : NULL, memory_order_relaxed);
    atomic_store_explicit(&here.watch.handler, task->handler, memory_order_relaxed);
    festa_lua_late = stop;
    quota_switch(task->co);
    watch_begin(&here.watch);
}

bool quota_end(struct task *task, bool over)
{
    uint64_t took = over ? 0 : watch_spent(&here.watch, clock_monotonic_ns() - here.began);
    watch_end(&here.watch); /* a signal that comes from here on is too late */
    here.current = NULL;
    bool late = festa_lua_late;
    festa_lua_late = 0;
    if (!over) {
        task->left = late || took > task->left ? 0 : task->left - took;
    }
    return late;
}

void quota_switch(lua_State *co)
{
    here.current = co;
    if (festa_lua_late) /* a signal that comes from here on finds co */
        lua_sethook(co, stop_hook, LUA_MASKCOUNT, 1);
    else if (FESTA_LUA_HOOKED)
        unhook(co);
}

/* ---- stopping ---- */

/* Where the script is, for the log: the first function of its own from the top. */
static void note_place(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; here.place[0] == '\0' && lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0)
            trace_clean(here.place, (size_t)snprintf(here.place, sizeof here.place, "%s:%d", ar.short_src,
                                                     ar.currentline));
    }
}

const char *quota_place(void)
{
    return here.place;
}

void quota_stop(lua_State *L)
{
    if (here.place[0] == '\0')
        note_place(L);
    lua_sethook(L, stop_hook, LUA_MASKCOUNT, 1);
    festa_lua_allow_hooks(L);
    if (!lua_checkstack(L, 1)) /* no memory for one more */
        lua_pop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_LATE); /* made with the VM: nothing is allocated here */
    lua_error(L);
    abort(); /* not reached */
}

void festa_lua_stop(void)
{
    quota_stop(here.current);
}

void festa_lua_ask(void)
{
    if (festa_lua_late || (here.current && watch_condemned(&here.watch))) {
        festa_lua_late = 1;
        festa_lua_stop();
    }
}
