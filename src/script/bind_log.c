/* print and log.debug/info/warn/error: lines of a script in the server's log, with party and room. */
#include "script/bind_base.h"

#include "base/log.h"
#include "script/hooks.h"

#include <stdlib.h>

#define FIELDS_MAX 16 /* of one line, besides party and room */

/* The message of a line ends at a NUL: those inside of the string at the top become "\0". */
static const char *message_of(lua_State *L)
{
    size_t len;
    const char *text = lua_tolstring(L, -1, &len), *end = text + len, *nul;
    luaL_Buffer message;

    if (!memchr(text, '\0', len))
        return text;
    luaL_buffinit(L, &message);
    while ((nul = memchr(text, '\0', (size_t)(end - text)))) {
        luaL_addlstring(&message, text, (size_t)(nul - text));
        luaL_addstring(&message, "\\0");
        text = nul + 1;
    }
    luaL_addlstring(&message, text, (size_t)(end - text));
    luaL_pushresult(&message);
    return lua_tostring(L, -1);
}

/* The name of a field; those that the log gives itself are taken and get an underscore. */
static const char *field_name(const char *key)
{
    static const char *const taken[][2] = {{"ts", "_ts"},   {"level", "_level"}, {"msg", "_msg"},
                                           {"cut", "_cut"}, {"party", "_party"}, {"room", "_room"}};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (strcmp(key, taken[i][0]) == 0)
            return taken[i][1];
    }
    return key;
}

/* The field of the value at the top, whose key lies below it. What it points to stays alive in the table
 * of the fields, or on the stack below the key. */
static struct log_field field_of(lua_State *L)
{
    struct span text;

    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "the names of a log line's fields are strings, not %s", luaL_typename(L, -2));
    const char *name = field_name(lua_tostring(L, -2));
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: text.ptr = lua_tolstring(L, -1, &text.len); return log_text(name, text);
    case LUA_TNUMBER:
        return lua_isinteger(L, -1) ? log_int(name, lua_tointeger(L, -1))
                                    : log_real(name, lua_tonumber(L, -1));
    default:
        json_push(L, -1, false);
        text.ptr = lua_tolstring(L, -1, &text.len);
        lua_insert(L, -3);
        return log_raw(name, text);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct log_field *)a)->name, ((const struct log_field *)b)->name);
}

/* A line with the message at the top and the fields of the table at index fields; 0: none. */
static void write_line(lua_State *L, enum log_level level, int table)
{
    const struct vm *vm = vm_of(L);
    struct log_field fields[2 + FIELDS_MAX];
    size_t n = 0;

    const char *message = message_of(L);
    fields[n++] = log_str("party", vm->party->name);
    struct span room = hook_room(vm, vm->running ? vm->running->event : NULL);
    if (room.ptr)
        fields[n++] = log_text("room", room);
    size_t own = n;
    if (table) {
        luaL_checkstack(L, FIELDS_MAX + 4, NULL);
        lua_pushnil(L);
        while (lua_next(L, table)) {
            if (n - own == FIELDS_MAX)
                luaL_error(L, "a log line can have %d fields", FIELDS_MAX);
            fields[n++] = field_of(L);
            lua_pop(L, 1);
        }
        qsort(fields + own, n - own, sizeof *fields, by_name); /* as they lie is another order each time */
    }
    log_line(level, message, fields, n);
}

int base_print(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_Buffer line;

    luaL_buffinit(L, &line);
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addchar(&line, '\t');
        identity_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    write_line(L, LOG_INFO, 0);
    return 0;
}

/* log.LEVEL(message [, fields]): the message may be any value; fields is a table of names and values. */
static int log_at(lua_State *L, enum log_level level)
{
    luaL_checkany(L, 1);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    if (!log_enabled(level))
        return 0;
    identity_tolstring(L, 1, NULL);
    write_line(L, level, lua_isnil(L, 2) ? 0 : 2);
    return 0;
}

static int log_debug(lua_State *L)
{
    return log_at(L, LOG_DEBUG);
}

static int log_info(lua_State *L)
{
    return log_at(L, LOG_INFO);
}

static int log_warn(lua_State *L)
{
    return log_at(L, LOG_WARN);
}

static int log_error(lua_State *L)
{
    return log_at(L, LOG_ERROR);
}

const luaL_Reg log_functions[] = {
    {"debug", log_debug}, {"info", log_info}, {"warn", log_warn}, {"error", log_error}, {NULL, NULL}};
