/* Values of festa.lua: what kind each is, and what is said of one that is none. */
#include "script/config_read.h"

#include "base/suggest.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- complaining ---- */

void config_complain(struct reading *r, const char *key, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->wrong = true;
    code_complain(r->error, r->code->path, r->code->name, code_line_of(r->code->path, key), "%s%.60s %s",
                  r->section, key, text);
}

/* What the value at the top is, for messages. */
static const char *describe(lua_State *L)
{
    size_t len;
    const char *text;

    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &len);
        return strlen(text) == len ? lua_pushfstring(L, "\"%s\"", text) : "a text with a NUL (\\0) in it";
    case LUA_TNUMBER:
    case LUA_TBOOLEAN: return luaL_tolstring(L, -1, NULL);
    default: return lua_pushfstring(L, "a %s", luaL_typename(L, -1));
    }
}

void config_expected(struct reading *r, const char *key, const char *expected)
{
    int top = lua_gettop(r->L);
    config_complain(r, key, "is %s, not %.100s", expected, describe(r->L));
    lua_settop(r->L, top);
}

void config_nameless(struct reading *r, const char *section, const char *example)
{
    const char *within = r->section;

    r->section = "";
    config_complain(r, section, "has a key that is no name; what is known are pairs like %s", example);
    r->section = within;
}

void config_unknown(struct reading *r, const char *key, const char *const *names)
{
    const char *meant = suggest(key, names);

    if (meant)
        config_complain(r, key, "is not known; did you mean %s?", meant);
    else
        config_complain(r, key, "is not known");
}

/* ---- kinds of values ---- */

bool config_whole(struct reading *r, const char *key, uint64_t least, uint64_t most, uint64_t *value)
{
    int whole = 0;
    lua_Integer integer = 0;
    char expected[80];

    if (lua_type(r->L, -1) == LUA_TNUMBER)
        integer = lua_tointegerx(r->L, -1, &whole);
    if (whole && integer >= 0 && (uint64_t)integer >= least && (uint64_t)integer <= most) {
        *value = (uint64_t)integer;
        return true;
    }
    snprintf(expected, sizeof expected, "a whole number from %llu to %llu", (unsigned long long)least,
             (unsigned long long)most);
    config_expected(r, key, expected);
    return false;
}

const char *config_text(struct reading *r, const char *key)
{
    size_t len;
    const char *text = lua_type(r->L, -1) == LUA_TSTRING ? lua_tolstring(r->L, -1, &len) : NULL;

    if (text && len > 0 && strlen(text) == len)
        return text;
    config_expected(r, key, "a text that is not empty");
    return NULL;
}

bool config_flag(struct reading *r, const char *key, bool *value)
{
    if (!lua_isboolean(r->L, -1)) {
        config_expected(r, key, "true or false");
        return false;
    }
    *value = lua_toboolean(r->L, -1) != 0;
    return true;
}

size_t config_count(lua_State *L)
{
    size_t n = 0;

    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    return n;
}

void config_texts(struct reading *r, const char *key, const char *expected, bool (*valid)(const char *text),
                  struct string_list *list)
{
    lua_State *L = r->L;

    if (!lua_istable(L, -1) || config_count(L) != lua_rawlen(L, -1)) {
        config_expected(r, key, "an array of texts");
        return;
    }
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        size_t len = 0;
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
        if (text && strlen(text) == len && valid(text))
            string_list_add(list, text);
        else
            config_expected(r, key, expected);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}
