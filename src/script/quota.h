/* How long a handler's Lua may run (limit `handlerTime`), and the end of one that runs for longer.
 *
 * No hook is set while all is well. The watchdog finds a slice that has had its time and signals its thread;
 * the signal's handler marks the thread as late and sets a hook on the coroutine that runs, which raises at
 * the next instruction; loops of C ask for the mark themselves (quota_poll). The error can't be caught: what
 * could catch it (pcall, xpcall, coroutine.resume and its like, which are ours) raises it again as long as
 * the mark is there, and the hook ends each __close handler and metamethod that is called on the way.
 *
 * All of this belongs to the thread that runs the Lua. */
#pragma once

#include "script/vm.h"

#include <lua_festa.h>
#include <stdbool.h>
#include <stdint.h>

struct task;

/* Lua begins to run on a coroutine: a slice of the task, which has task->left. stop: it is late already, and
 * whatever runs is to end. */
void quota_begin(struct task *task, bool stop);

/* It has ended; returns whether it was late. Unless the task is over, takes what the slice needed from
 * task->left. */
bool quota_end(struct task *task, bool over);

/* Another coroutine runs from here on, in the same slice. Raises nothing; if the thread is late already, the
 * first instruction that runs there does. */
void quota_switch(lua_State *co);

/* Where it was when it was first found to be late, "parties/main.lua:12", or "". */
const char *quota_place(void);

/* Raises the error. */
_Noreturn void quota_stop(lua_State *L);

/* The same if the thread is late: for C functions that go on after code of the script's has failed. */
static inline void quota_check(lua_State *L)
{
    if (__builtin_expect(festa_lua_late, 0))
        quota_stop(L);
}

/* The same for loops of C in functions that a script calls. */
static inline void quota_poll(void)
{
    festa_lua_poll();
}
