/* Text of values without addresses, which would tell an attacker where memory lies: an object is
 * "table: 0x1", by a number that the VM gives it when its name is first asked for. */
#include "script/bind_base.h"
#include "script/library.h"

#include <stdio.h>

/* Pushes a table whose keys do not keep objects alive. */
static void push_numbers(lua_State *L)
{
    static const char key;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

/* The object's number; it stays the same while the object lives. */
static uint64_t number_of(lua_State *L, int index)
{
    push_numbers(L);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    uint64_t number = (uint64_t)lua_tointeger(L, -1);
    if (number == 0) {
        number = ++vm_of(L)->addresses;
        lua_pushvalue(L, index);
        lua_pushinteger(L, (lua_Integer)number);
        lua_rawset(L, -4);
    }
    lua_pop(L, 2);
    return number;
}

/* Types that Lua shows by their address. */
static bool has_identity(int type)
{
    return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA ||
           type == LUA_TLIGHTUSERDATA || type == LUA_TTHREAD;
}

const char *identity_tolstring(lua_State *L, int index, size_t *len)
{
    char number[24];

    index = lua_absindex(L, index);
    if (!has_identity(lua_type(L, index)))
        return luaL_tolstring(L, index, len);
    if (luaL_callmeta(L, index, "__tostring")) {
        if (!lua_isstring(L, -1))
            luaL_error(L, "'__tostring' must return a string");
        return lua_tolstring(L, -1, len);
    }
    if (lua_islightuserdata(L, index) && !lua_touserdata(L, index)) {
        lua_pushliteral(L, "null"); /* json.null */
        return lua_tolstring(L, -1, len);
    }
    int name = luaL_getmetafield(L, index, "__name");
    if (name != LUA_TSTRING) {
        if (name != LUA_TNIL)
            lua_pop(L, 1);
        const char *type = bind_type_name(L, index);
        lua_pushstring(L, type ? type : luaL_typename(L, index));
    }
    snprintf(number, sizeof number, "0x%llx", (unsigned long long)number_of(L, index));
    lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), number);
    lua_remove(L, -2);
    return lua_tolstring(L, -1, len);
}

int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    identity_tolstring(L, 1, NULL);
    return 1;
}

/* string.format: as in Lua, but %s of an object is its tostring, and there is no %p. */
static int string_format(lua_State *L)
{
    int arg = 1, top = lua_gettop(L);
    size_t len;
    const char *format = luaL_checklstring(L, 1, &len), *end = format + len;

    while ((format = memchr(format, '%', (size_t)(end - format)))) {
        format += 1 + strspn(format + 1, "-+ #0123456789.");
        if (*format == 'p')
            return luaL_error(L, "invalid conversion '%%p' to 'format': objects have no addresses here");
        if (*format != '%' && ++arg > top)
            break; /* Lua's own says which one is missing */
        if (*format == 's' && has_identity(lua_type(L, arg))) {
            identity_tolstring(L, arg, NULL);
            lua_replace(L, arg);
        }
        if (format < end)
            format++;
    }
    return library_stock(LIBRARY_STRING, STOCK_STRING_FORMAT)(L);
}

const luaL_Reg string_functions[] = {{"format", string_format}, {NULL, NULL}};
