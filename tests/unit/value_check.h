/* Are two values of Lua the same, as far as their bytes keep it (script/value.h)? */
#pragma once

#include "script/json.h"

#include <lua.h>
#include <stdlib.h>

static inline bool value_same(lua_State *L, int a, int b);

static inline size_t value_pairs(lua_State *L, int table)
{
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        n++;
    return n;
}

static inline bool value_same_table(lua_State *L, int a, int b)
{
    if (json_mark_alone(L, a) != json_mark_alone(L, b) || value_pairs(L, a) != value_pairs(L, b))
        return false;
    for (lua_pushnil(L); lua_next(L, a);) {
        int top = lua_gettop(L);
        lua_pushvalue(L, -2);
        lua_rawget(L, b);
        if (!value_same(L, top, top + 1))
            return false;
        lua_settop(L, top - 1);
    }
    return true;
}

/* a and b are absolute. Leaves something on the stack when they are not. */
static inline bool value_same(lua_State *L, int a, int b)
{
    if (!lua_checkstack(L, 10))
        abort();
    if (lua_type(L, a) != lua_type(L, b) || lua_isinteger(L, a) != lua_isinteger(L, b))
        return false;
    if (lua_type(L, a) == LUA_TNUMBER && !lua_isinteger(L, a)) {
        lua_Number x = lua_tonumber(L, a), y = lua_tonumber(L, b);
        return memcmp(&x, &y, sizeof x) == 0;
    }
    return lua_istable(L, a) ? value_same_table(L, a, b) : lua_rawequal(L, a, b);
}
