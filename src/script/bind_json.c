/* json: encode, decode, null, and marks for tables that don't show what they are.
 *
 * A mark is a metatable with __jsontype = "array" or "object". json.array and json.object give a table one
 * that all tables of the VM share, and so does decoding of {}: it costs nothing for each table, goes
 * where the table goes, and setmetatable may replace it. A class can have the field in its own. */
#include "script/bind_base.h"
#include "script/json.h"

static const char *const mark_names[] = {[JSON_ARRAY] = "array", [JSON_OBJECT] = "object"};
static const char mark_keys[] = {
    [JSON_ARRAY] = 'a', [JSON_OBJECT] = 'o'}; /* their addresses, in the registry */

enum json_mark json_mark_of(lua_State *L, int index)
{
    int type = luaL_getmetafield(L, index, "__jsontype");
    if (type == LUA_TNIL)
        return JSON_UNMARKED;
    const char *name = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
    enum json_mark mark = strcmp(name, mark_names[JSON_ARRAY]) == 0    ? JSON_ARRAY
                          : strcmp(name, mark_names[JSON_OBJECT]) == 0 ? JSON_OBJECT
                                                                       : JSON_UNMARKED;
    lua_pop(L, 1);
    if (mark == JSON_UNMARKED)
        luaL_error(L, "json: __jsontype is \"array\" or \"object\"");
    return mark;
}

/* Pushes the metatable that stands for a mark alone; made at first use. */
static void push_mark(lua_State *L, enum json_mark mark)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_keys[mark]) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, mark_names[mark]);
    lua_setfield(L, -2, "__jsontype");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &mark_keys[mark]);
}

void json_mark(lua_State *L, int index, enum json_mark mark)
{
    index = lua_absindex(L, index);
    push_mark(L, mark);
    lua_setmetatable(L, index);
}

enum json_mark json_mark_alone(lua_State *L, int index)
{
    enum json_mark found = JSON_UNMARKED;

    if (!lua_getmetatable(L, index))
        return JSON_UNMARKED;
    for (enum json_mark mark = JSON_ARRAY; mark <= JSON_OBJECT && found == JSON_UNMARKED; mark++) {
        if (lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_keys[mark]) == LUA_TTABLE && lua_rawequal(L, -1, -2))
            found = mark;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return found;
}

bool json_marked(lua_State *L, int index)
{
    return json_mark_alone(L, index) != JSON_UNMARKED;
}

static int set_mark(lua_State *L, enum json_mark mark)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1) && !json_marked(L, 1))
        return luaL_error(L, "the table has a metatable; give that the field __jsontype = \"%s\"",
                          mark_names[mark]);
    lua_settop(L, 1);
    json_mark(L, 1, mark);
    return 1;
}

/* json.array(t) → t, which is written as an array */
static int json_array(lua_State *L)
{
    return set_mark(L, JSON_ARRAY);
}

/* json.object(t) → t, which is written as an object; integer keys become strings */
static int json_object(lua_State *L)
{
    return set_mark(L, JSON_OBJECT);
}

/* The value of the one option that the table at 2 may have, at the top; nil when it is not there. */
static void push_option(lua_State *L, const char *option)
{
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_pushnil(L);
        return;
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), option) != 0)
            luaL_error(L, "the only option here is \"%s\"", option);
        lua_pop(L, 1);
    }
    lua_getfield(L, 2, option);
}

/* json.encode(value [, { pretty = true }]) → text */
static int json_encode_value(lua_State *L)
{
    luaL_checkany(L, 1);
    push_option(L, "pretty");
    json_push(L, 1, lua_toboolean(L, -1) != 0);
    return 1;
}

/* json.decode(text [, { null = json.null }]) → value */
static int json_decode_text(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    push_option(L, "null");
    bool keep = !lua_isnil(L, -1);
    if (keep && !(lua_islightuserdata(L, -1) && !lua_touserdata(L, -1)))
        return luaL_error(L, "the option \"null\" is json.null or nothing");
    if (!json_decode(L, text, len, keep))
        return lua_error(L);
    return 1;
}

const luaL_Reg json_functions[] = {
    {"array", json_array},
    {"decode", json_decode_text},
    {"encode", json_encode_value},
    {"object", json_object},
    {NULL, NULL},
};

const char *const json_values[] = {"null", NULL};

bool json_value(lua_State *L, const char *key)
{
    if (strcmp(key, "null") != 0)
        return false;
    lua_pushlightuserdata(L, NULL);
    return true;
}
