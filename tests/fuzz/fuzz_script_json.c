/* JSON both ways in a real VM. What is decoded must be encoded again, compact and pretty, as valid JSON that
 * decodes to the same value: integers as integers, floats bit by bit, empty tables as what they were. */
#include "../unit/json_check.h"
#include "../unit/script_driver.h"

#include "script/bind.h"
#include "script/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const char *text;
    size_t len;
};

/* Are the values at these two places the same? */
static bool same(lua_State *L, int a, int b)
{
    if (!lua_checkstack(L, 10))
        abort();
    if (lua_type(L, a) != lua_type(L, b) || lua_isinteger(L, a) != lua_isinteger(L, b))
        return false;
    if (lua_type(L, a) == LUA_TNUMBER && !lua_isinteger(L, a)) {
        lua_Number x = lua_tonumber(L, a), y = lua_tonumber(L, b);
        return memcmp(&x, &y, sizeof x) == 0;
    }
    if (!lua_istable(L, a))
        return lua_rawequal(L, a, b);
    if (json_mark_of(L, a) != json_mark_of(L, b) && lua_rawlen(L, a) == 0)
        return false;
    size_t left = 0;
    for (lua_pushnil(L); lua_next(L, b); lua_pop(L, 1))
        left++;
    for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 1), left--) {
        int top = lua_gettop(L);
        lua_pushvalue(L, -2);
        lua_rawget(L, b);
        if (!same(L, top, top + 1))
            return false;
        lua_settop(L, top);
    }
    return left == 0;
}

/* Writes the value at index and reads it again: the same must come back. */
static void there_and_back(lua_State *L, int index, bool pretty)
{
    size_t len;
    int top = lua_gettop(L);

    json_push(L, index, pretty);
    const char *text = lua_tolstring(L, -1, &len);
    if (!json_valid(text, len) || !json_decode(L, text, len, true) || !same(L, index, lua_gettop(L)))
        abort();
    lua_settop(L, top);
}

static int round_trip(lua_State *L)
{
    const struct input *input = lua_touserdata(L, 1);

    lua_pushlstring(L, input->text, input->len); /* as scripts have it: a NUL behind it */
    const char *text = lua_tostring(L, -1);
    bool good = json_decode(L, text, input->len, false);
    if (!good && (lua_type(L, -1) != LUA_TSTRING || strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1)))
        abort();
    lua_settop(L, 2);
    if (json_decode(L, text, input->len, true) != good)
        abort();
    if (good) {
        there_and_back(L, 3, false);
        there_and_back(L, 3, true);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct script_driver driver;
    struct input input = {(const char *)data, size};

    if (!driver.script.project)
        script_driver_init(&driver, NULL);
    /* A VM for each input: one that stays would make libFuzzer look for leaks after every one. */
    if (script_driver_run(&driver, round_trip, &input) != 0)
        abort();
    return 0;
}
