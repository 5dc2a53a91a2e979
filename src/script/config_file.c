/* Reading festa.lua: it runs in an empty environment, with little memory and time, and the table that it returns is read
 * key by key; all that is wrong is said at once. */
#include "script/config_file.h"

#include "script/bounded.h"
#include "script/config_read.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <unistd.h>

#define MEMORY_MAX ((size_t)16 * 1024 * 1024) /* bytes that the file may use */
#define STEPS_MAX 1000000                     /* instructions that it may run */

static void stop(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    luaL_error(L, "the configuration runs too long; it is plain data");
}

/* Runs the file, and reads the table that it returns. */
static int run(lua_State *L)
{
    struct reading *r = lua_touserdata(L, 1);
    bool nameless = false;

    if (luaL_loadbufferx(L, (const char *)r->code->bytecode, r->code->len, r->code->name, "b") != LUA_OK)
        return lua_error(L);
    lua_newtable(L); /* the environment */
    if (!lua_setupvalue(L, -2, 1))
        lua_pop(L, 1);
    lua_sethook(L, stop, LUA_MASKCOUNT, STEPS_MAX);
    lua_call(L, 0, 1);
    lua_sethook(L, NULL, 0, 0);
    if (!lua_istable(L, -1)) {
        r->wrong = true;
        code_complain(r->error, r->code->path, r->code->name, 0,
                      "must return a table, like return { port = 1999 }; it returned %s%s",
                      lua_isnil(L, -1) ? "nothing" : "a ", lua_isnil(L, -1) ? "" : luaL_typename(L, -1));
        return 0;
    }
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            config_key(r, lua_tostring(L, -2));
            continue;
        }
        if (!nameless)
            config_complain(r, "return",
                            "gives a table in which something has no name; what is known are pairs like "
                            "port = 1999");
        nameless = true;
    }
    return 0;
}

static int run_protected(struct reading *r)
{
    struct bounded_memory memory = {.limit = MEMORY_MAX};
    const char *message;

    r->L = lua_newstate(bounded_alloc, &memory);
    if (!r->L)
        return -ENOMEM;
    lua_pushcfunction(r->L, run);
    lua_pushlightuserdata(r->L, r);
    if (lua_pcall(r->L, 1, 0, 0) != LUA_OK) {
        const char *text =
            lua_type(r->L, -1) == LUA_TSTRING ? lua_tostring(r->L, -1) : "an error that is no text";
        int line = code_error_line(text, &message);
        code_complain(r->error, r->code->path, r->code->name, line, "%s", message);
        r->wrong = true;
    }
    lua_close(r->L);
    return r->wrong ? -EINVAL : 0;
}

int config_file_read(struct config *config, const char *path, bool optional, struct buf *error)
{
    if (optional && access(path, F_OK) != 0 && errno == ENOENT)
        return 0;
    struct code *code = code_compile(path, strncmp(path, "./", 2) == 0 ? path + 2 : path, error);
    if (!code)
        return -EINVAL;
    struct reading reading = {.config = config, .code = code, .error = error, .section = ""};
    size_t from = error->len;
    int rc = run_protected(&reading);
    code_sort_complaints(error, from, code->name);
    code_unref(code);
    return rc;
}
