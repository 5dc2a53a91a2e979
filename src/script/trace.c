#include "script/trace.h"

#include "script/bind_base.h"

#include <limits.h>
#include <stdio.h>

#define NAME_LEN 80 /* of a name, at most */

void trace_clean(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            text[i] = '?';
    }
}

size_t trace_line(char out[TRACE_LINE_MAX], const lua_Debug *ar)
{
    size_t len = (size_t)snprintf(out, TRACE_LINE_MAX, "%.80s:", ar->short_src);

    if (ar->currentline > 0)
        len += (size_t)snprintf(out + len, TRACE_LINE_MAX - len, "%d:", ar->currentline);
    if (*ar->namewhat)
        len += (size_t)snprintf(out + len, TRACE_LINE_MAX - len, " in %s '%.*s'", ar->namewhat, NAME_LEN,
                                ar->name);
    else if (*ar->what == 'm')
        len += (size_t)snprintf(out + len, TRACE_LINE_MAX - len, " in the file scope");
    else if (*ar->what == 'C')
        len += (size_t)snprintf(out + len, TRACE_LINE_MAX - len, " in a function of the host");
    else
        len +=
            (size_t)snprintf(out + len, TRACE_LINE_MAX - len, " in a function at line %d", ar->linedefined);
    trace_clean(out, len);
    return len;
}

/* debug.traceback([thread,] [message [, level]]): as in Lua, but bounded. */
static int debug_traceback(lua_State *L)
{
    int arg = lua_isthread(L, 1) ? 2 : 1;
    lua_State *of = arg == 2 ? lua_tothread(L, 1) : L;
    lua_Integer from = luaL_optinteger(L, arg + 1, of == L ? 1 : 0);
    int level = from >= 0 && from < INT_MAX ? (int)from : INT_MAX;
    luaL_Buffer text;
    lua_Debug ar;

    if (!lua_isnoneornil(L, arg) && !lua_isstring(L, arg)) { /* any other value is given back */
        lua_pushvalue(L, arg);
        return 1;
    }
    luaL_buffinit(L, &text);
    if (lua_isstring(L, arg)) {
        lua_pushvalue(L, arg);
        luaL_addvalue(&text);
        luaL_addchar(&text, '\n');
    }
    luaL_addstring(&text, "stack traceback:");
    for (int shown = 0; lua_getstack(of, level, &ar); level++) {
        if (shown++ == TRACE_LEVELS) {
            luaL_addstring(&text, "\n\t...");
            break;
        }
        lua_getinfo(of, "Sln", &ar);
        char line[TRACE_LINE_MAX];
        size_t len = trace_line(line, &ar);
        luaL_addstring(&text, "\n\t");
        luaL_addlstring(&text, line, len);
    }
    luaL_pushresult(&text);
    return 1;
}

const luaL_Reg debug_functions[] = {{"traceback", debug_traceback}, {NULL, NULL}};
