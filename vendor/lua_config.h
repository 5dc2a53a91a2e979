/* What our build of Lua does differently, besides lua.patch; included ahead of each of Lua's own sources. */
#pragma once

#include "lua_festa.h"

/* A VM for each room: start with small string tables. Saves 0.8 KB a room. */
#define MINSTRTABSIZE 32
#define STRCACHE_N 3
#define STRCACHE_M 1

/* gmtime_r and localtime_r: threads run Lua at the same time. */
#define LUA_USE_POSIX

/* Lua's own seed is a clock and some addresses: guessable, and then a client can choose strings
 * that collide. The script layer gives random bits. */
#define luai_makeseed(L) ((void)(L), festa_lua_seed())

/* ThreadSanitizer follows longjmp, but not _longjmp, and would think that every error and every wait is another
 * call without a return. */
#if defined(__SANITIZE_THREAD__)
#define _XOPEN_SOURCE 600 /* as Lua's own sources have it, before the first header */
#include <setjmp.h>
#define LUAI_THROW(L, c) longjmp((c)->b, 1)
#define LUAI_TRY(L, c, a)                                                                                    \
    if (setjmp((c)->b) == 0) {                                                                               \
        a                                                                                                    \
    }
#define luai_jmpbuf jmp_buf
#endif
