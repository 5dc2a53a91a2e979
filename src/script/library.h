/* The globals and libraries that scripts see. Their tables, _G too, get each member when it is first
 * asked for, so that a room does not pay for what it does not use; a script can't tell, since pairs, next,
 * rawget, rawset, getmetatable and setmetatable know it.
 *
 * Functions without upvalues are light C functions: they cost nothing but a place in the
 * table. Which functions of Lua's own libraries scripts may use stands in library.c. */
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

struct library {
    const char *name;          /* of the global */
    const luaL_Reg *functions; /* ours, ended by a NULL name; NULL: only those of Lua's own library */
    lua_CFunction open;        /* opens Lua's own library of this name; NULL: there is none */
    const char *const *stock;  /* names taken from it, ended by NULL; ours go before them; or NULL */
    /* Pushes what is made for each VM (math.pi, party.id) and returns true, or pushes nothing and
     * returns false. NULL: there is nothing. Each is named in values. */
    bool (*value)(lua_State *L, const char *key);
    const char *const *values; /* ended by NULL; or NULL */
    lua_CFunction call;        /* what a call of the table itself does; NULL: it can't be called */
};

/* Indices into libraries and vm->libraries. */
enum library_index {
    LIBRARY_STRING,
    LIBRARY_TABLE,
    LIBRARY_MATH,
    LIBRARY_UTF8,
    LIBRARY_OS,
    LIBRARY_COROUTINE,
    LIBRARY_DEBUG,
    LIBRARY_PARTY,
    LIBRARY_RESPONSE,
    LIBRARY_JSON,
    LIBRARY_CRYPTO,
    LIBRARY_LOG,
    LIBRARY_HTML,
    LIBRARY_GLOBALS, /* _G: the base functions, and the others' tables */
    LIBRARIES
};

/* All of them. */
extern const struct library libraries[LIBRARIES];

/* Makes the globals: the base functions and the tables of the libraries. Called in a protected call,
 * before any code is loaded. */
void library_open_all(lua_State *L);

/* If the value at index is a library's table: fetches all that it does not have yet, so that functions
 * that look past __index find it. */
void library_fill(lua_State *L, int index);

/* Key and value at index + 1 and + 2 are about to be put into the table at index: if that is a library's,
 * its own member of this name is not given any more. */
void library_replace(lua_State *L, int index);

/* The library's member of this name is made for each VM (party.env) and has changed: the script gets it anew
 * when it asks again. */
void library_renew(lua_State *L, enum library_index library, const char *name);

/* Is the value at index _G, still as the host made it? */
bool library_is_globals(lua_State *L, int index);

/* Pushes the library of this name, "_G" included, and returns true; or pushes nothing. */
bool library_push(lua_State *L, const char *name);

/* Does this library ("_G": the globals that are no library) have this name? For the tests of coverage. */
bool library_has(const char *library, const char *name);

/* Lua's own function, where ours has taken its place: the one at this position of the library's stock. */
lua_CFunction library_stock(enum library_index library, size_t position);
enum { STOCK_STRING_FORMAT = 0, STOCK_OS_DATE = 0, STOCK_OS_TIME = 1 };
