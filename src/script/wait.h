/* Waiting inside of a handler: the coroutine is suspended, the room goes on with other events,
 * and later the handler goes on with what it waited for. Works from the author's own coroutines,
 * from pcall and from metamethods; not from inside of a C function that calls back (table.sort,
 * string.gsub), where it raises. */
#pragma once

#include "script/call.h"

#include <lauxlib.h>

/* The last thing that a binding does: return wait_begin(L, push). The task is vm->running; what
 * wakes it (a timer, an answer) calls room_wake(room, task). push then pushes the binding's
 * results. Raises when it isn't possible here. */
int wait_begin(lua_State *L, int (*push)(lua_State *L, struct task *task));

/* Raises if waiting is not possible here: before anything is begun that would be waited for. */
void wait_check(lua_State *L);

/* The same for what waits for the room's own store, which is possible inside of a transaction too. */
void wait_check_store(lua_State *L);
bool wait_is_possible(lua_State *L);

/* A duration in ms at arg: a number from 0 to a hundred years; raises for anything else. */
uint64_t duration_check(lua_State *L, int arg);

/* The global sleep. */
int base_sleep(lua_State *L);

/* coroutine.create, wrap, resume, yield, close, running, isyieldable, status: as in Lua, but a wait
 * inside of the author's coroutine suspends the handler, and a coroutine that waits can't be resumed
 * by anybody else. */
extern const luaL_Reg coroutine_functions[];
