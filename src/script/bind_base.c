/* The base functions that are not Lua's own: what could reach out of the sandbox is closed, and tables
 * of libraries look as if they were full. */
#include "script/bind_base.h"

#include "base/clock.h"
#include "script/library.h"
#include "script/quota.h"
#include "script/script.h"
#include "script/trace.h"
#include "script/wait.h"

#define DATE_FORMAT_MAX 1000u
#define LOAD_MAX ((size_t)256 * 1024) /* bytes of source that load takes */

/* ---- tables ---- */

int base_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    library_fill(L, 1);
    if (lua_next(L, 1))
        return 2;
    lua_pushnil(L);
    return 1;
}

static int pairs_returned(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 3;
}

/* pairs(t): as in Lua; __pairs may wait. */
static int base_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") == LUA_TNIL) {
        lua_pushcfunction(L, base_next);
        lua_pushvalue(L, 1);
        lua_pushnil(L);
    } else {
        lua_pushvalue(L, 1);
        lua_callk(L, 1, 3, 0, pairs_returned);
    }
    return 3;
}

static int base_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    library_fill(L, 1);
    lua_rawget(L, 1);
    return 1;
}

static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    library_replace(L, 1);
    lua_rawset(L, 1);
    return 1;
}

/* getmetatable(v): as in Lua; that of _G is none of the script's. */
static int base_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (library_is_globals(L, 1) || !lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    luaL_getmetafield(L, 1, "__metatable"); /* this or the metatable itself is at the top */
    return 1;
}

/* setmetatable(t, metatable): as in Lua, but without finalizers, which would run outside of any
 * handler and its limits. Lua looks for __gc here and at no later time. */
static int base_setmetatable(lua_State *L)
{
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (library_is_globals(L, 1))
        library_fill(L, 1); /* from here on it is a table like any other */
    else if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL && !json_marked(L, 1))
        return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "a metatable can't have __gc here; use __close, or clean up in onStop");
        lua_settop(L, 2);
    }
    lua_setmetatable(L, 1);
    return 1;
}

/* ---- load ---- */

static void check_size(lua_State *L, size_t len)
{
    if (len > LOAD_MAX)
        luaL_error(L, "a chunk can have at most %I bytes", (lua_Integer)LOAD_MAX);
}

/* Calls the function at 1 until it returns nothing, and pushes its pieces as one string. */
static void push_pieces(lua_State *L)
{
    luaL_Buffer source;

    luaL_buffinit(L, &source);
    for (;;) {
        lua_pushvalue(L, 1);
        lua_call(L, 0, 1);
        if (lua_isnil(L, -1))
            break;
        if (!lua_isstring(L, -1))
            luaL_error(L, "reader function must return a string");
        size_t len;
        lua_tolstring(L, -1, &len);
        if (len == 0)
            break;
        check_size(L, luaL_bufflen(&source) + len);
        luaL_addvalue(&source);
    }
    lua_pop(L, 1);
    luaL_pushresult(&source);
}

/* The name of a chunk, at index; errors begin with it. One with control characters in it could pass for
 * several lines of the log, or for a terminal's commands. */
static const char *chunk_name(lua_State *L, int index, const char *fallback)
{
    size_t len;
    const char *name = luaL_optlstring(L, index, fallback, &len);

    if (name == fallback || (*name != '=' && *name != '@')) /* others end with their first line anyway */
        return name;
    char *clean = lua_newuserdatauv(L, len + 1, 0);
    memcpy(clean, name, len + 1);
    trace_clean(clean, len);
    return clean;
}

/* load(chunk [, chunkname [, mode [, env]]]): text only, and not without a limit. */
static int base_load(lua_State *L)
{
    struct span source;
    const char *mode = luaL_optstring(L, 3, "bt");
    bool has_env = !lua_isnone(L, 4);
    source.ptr = lua_tolstring(L, 1, &source.len);
    bool given = source.ptr != NULL;
    if (given) {
        check_size(L, source.len);
    } else {
        luaL_checktype(L, 1, LUA_TFUNCTION);
        push_pieces(L);
        source.ptr = lua_tolstring(L, -1, &source.len);
    }
    const char *name = chunk_name(L, 2, given ? source.ptr : "=(load)");
    /* A mode without "t" is refused by Lua itself. */
    if (code_load_text(L, source, name, strchr(mode, 't') ? "t" : "") != LUA_OK) {
        quota_check(L);
        luaL_pushfail(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_env) {
        lua_pushvalue(L, 4);
        if (!lua_setupvalue(L, -2, 1))
            lua_pop(L, 1);
    }
    return 1;
}

/* ---- the rest ---- */

/* collectgarbage("count"): KiB that the room's VM holds. The collector itself is not the script's. */
static int base_collectgarbage(lua_State *L)
{
    const char *option = luaL_optstring(L, 1, "collect");

    if (strcmp(option, "count") != 0)
        return luaL_error(L, "collectgarbage knows \"count\" only, not \"%s\"", bind_quote(option).text);
    lua_pushnumber(L, (lua_Number)vm_of(L)->used / 1024.0);
    return 1;
}

int64_t now_ms(lua_State *L)
{
    const struct loop *loop = vm_of(L)->script->loop;
    return loop ? loop_wall_ms(loop) : clock_wall_ms();
}

/* os.time([table]): as in Lua, but that now is now. */
static int os_time(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        return library_stock(LIBRARY_OS, STOCK_OS_TIME)(L);
    lua_pushinteger(L, now_ms(L) / 1000);
    return 1;
}

/* os.date([format [, time]]): as in Lua, but a format has an end: each letter of it costs a call of the
 * system's. */
static int os_date(lua_State *L)
{
    size_t len;

    luaL_optlstring(L, 1, "", &len);
    luaL_argcheck(L, len <= DATE_FORMAT_MAX, 1, "a format of 1000 bytes at most expected");
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushinteger(L, now_ms(L) / 1000);
    }
    return library_stock(LIBRARY_OS, STOCK_OS_DATE)(L);
}

const luaL_Reg os_functions[] = {{"date", os_date}, {"time", os_time}, {NULL, NULL}};

/* now(): ms since 1970 */
static int base_now(lua_State *L)
{
    lua_pushinteger(L, now_ms(L));
    return 1;
}

const luaL_Reg base_functions[] = {
    {"collectgarbage", base_collectgarbage},
    {"fetch", base_fetch},
    {"getmetatable", base_getmetatable},
    {"load", base_load},
    {"next", base_next},
    {"now", base_now},
    {"pairs", base_pairs},
    {"pcall", base_pcall},
    {"print", base_print},
    {"rawget", base_rawget},
    {"rawset", base_rawset},
    {"require", base_require},
    {"setmetatable", base_setmetatable},
    {"sleep", base_sleep},
    {"tostring", base_tostring},
    {"xpcall", base_xpcall},
    {NULL, NULL},
};
