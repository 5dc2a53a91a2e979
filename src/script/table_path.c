/* Paths into tables (table_path.h). */
#include "script/table_path.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAX 40u /* bytes of a key that is shown */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(const char *text, size_t len)
{
    if (len == 0 || len > KEY_MAX || !is_letter(*text))
        return false;
    for (size_t i = 1; i < len; i++) {
        if (!is_letter(text[i]) && (text[i] < '0' || text[i] > '9'))
            return false;
    }
    return true;
}

/* Can it stand between quotes in a message? */
static bool is_plain(const char *text, size_t len)
{
    if (len > KEY_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
            return false;
    }
    return true;
}

static void put_string(const char *text, size_t len, char *out, size_t size)
{
    if (is_name(text, len))
        snprintf(out, size, ".%.*s", (int)len, text);
    else if (is_plain(text, len))
        snprintf(out, size, "[\"%.*s\"]", (int)len, text);
    else
        snprintf(out, size, "[...]");
}

static void put_step(lua_State *L, const struct table_step *step, char *out, size_t size)
{
    size_t len;

    if (step->key == 0) {
        snprintf(out, size, "[%lld]", (long long)step->place);
        return;
    }
    switch (lua_type(L, step->key)) {
    case LUA_TSTRING: {
        const char *text = lua_tolstring(L, step->key, &len);
        put_string(text, len, out, size);
        break;
    }
    case LUA_TNUMBER:
        if (lua_isinteger(L, step->key))
            snprintf(out, size, "[%lld]", (long long)lua_tointeger(L, step->key));
        else
            snprintf(out, size, "[%.14g]", lua_tonumber(L, step->key));
        break;
    case LUA_TBOOLEAN: snprintf(out, size, lua_toboolean(L, step->key) ? "[true]" : "[false]"); break;
    default: snprintf(out, size, "[...]");
    }
}

void table_path(lua_State *L, const struct table_step *steps, int n, char out[TABLE_PATH_MAX])
{
    static const char cut[] = "…";
    size_t len = 0;

    out[0] = '\0';
    for (int i = 0; i < n; i++) {
        char step[KEY_MAX + 8];
        put_step(L, &steps[i], step, sizeof step);
        size_t more = strlen(step);
        if (len + more + sizeof cut > TABLE_PATH_MAX) {
            memcpy(out + len, cut, sizeof cut);
            return;
        }
        memcpy(out + len, step, more + 1);
        len += more;
    }
}
