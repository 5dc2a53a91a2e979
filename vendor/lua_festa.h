/* What our build of Lua asks of Festa, and Festa of it, beside Lua's own API. Lua's sources see it by
 * lua_config.h. */
#pragma once

struct lua_State;

/* ---- given by the script layer ---- */

/* The seed of a state's hashes of strings: random bits. Also sees to the multiplier. */
unsigned int festa_lua_seed(void);

/* A random odd number, by which numbers are hashed that are keys of tables; the same for all states, and
 * set before the first one is made. */
extern unsigned long long festa_lua_multiplier;

/* Not 0: the Lua that runs on this thread has had its time and is to stop. */
extern _Thread_local volatile unsigned char festa_lua_late;

/* Raises the error for that in the coroutine that runs. */
_Noreturn void festa_lua_stop(void);

/* ThreadSanitizer delivers signals late, and to a VM that does not leave Lua never. There coroutines always
 * have a hook, and asking is a call. */
#ifdef __SANITIZE_THREAD__
#define FESTA_LUA_HOOKED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FESTA_LUA_HOOKED 1
#endif
#endif
#ifndef FESTA_LUA_HOOKED
#define FESTA_LUA_HOOKED 0
#endif
void festa_lua_ask(void);

/* Called in loops of C that a script can make long. */
static inline void festa_lua_poll(void)
{
    if (FESTA_LUA_HOOKED)
        festa_lua_ask();
    else if (__builtin_expect(festa_lua_late, 0))
        festa_lua_stop();
}

/* ---- given by our Lua ---- */

/* An error that is raised in a hook leaves hooks switched off in its coroutine, for message handlers and for
 * what is closed afterwards. This switches them on again; called in a hook that raises next. */
void festa_lua_allow_hooks(struct lua_State *L);

/* The userdata at an index of the stack if it has this metatable (an address as lua_topointer gives it, not NULL), else
 * NULL. Pushes nothing: scripts have it asked with each use of an object. */
void *festa_lua_object(struct lua_State *L, int index, const void *metatable);

/* Gives back what the coroutine's stack does not need now. A collection does so too, but grows the stack for
 * finalizers afterwards. Never raises. Not while it runs a function of Lua's. */
void festa_lua_shrink(struct lua_State *L);
