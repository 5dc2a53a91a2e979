/* require: modules of the project, each loaded once for a room, and the libraries that are there anyway. */
#include "script/bind_base.h"
#include "script/library.h"
#include "script/module.h"
#include "script/quota.h"
#include "script/script.h"

static const char loading_type[] = "loading module";

/* The stack of a require. */
enum { NAME = 1, MODULES, MARK };

/* ---- what goes with the stack, whatever raises ---- */

struct found {
    struct held base;
    struct code *code; /* a reference, or NULL: */
    struct buf error;  /* why there is none */
};

static void found_release(struct vm *vm, struct held *held)
{
    struct found *found = container_of(held, struct found, base);

    (void)vm;
    code_unref(found->code);
    buf_fini(&found->error);
}

/* ---- a mark in the table of modules: this one is being loaded ---- */

/* However loading ends: a module that has no result yet may be tried again. */
static int loading_close(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, 1, 2);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    if (lua_rawequal(L, 1, -1)) {
        lua_pop(L, 1);
        lua_insert(L, -2);
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
    return 0;
}

/* Puts it in place; closed when the function ends or raises. */
static void push_loading(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__close", loading_close}, {NULL, NULL}};

    lua_newuserdatauv(L, 0, 2);
    lua_pushvalue(L, NAME);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, MODULES);
    lua_setiuservalue(L, -2, 2);
    bind_metatable(L, loading_type, metamethods);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, NAME);
    lua_pushvalue(L, -2);
    lua_rawset(L, MODULES);
    lua_toclose(L, MARK);
}

/* ---- require ---- */

static void push_modules(lua_State *L)
{
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, VM_MODULES) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_MODULES);
}

/* There is no such module: where it was asked for. It does not compile: where it does not. */
static void raise_unfound(lua_State *L, const struct buf *error)
{
    const char *text = lua_pushlstring(L, (const char *)error->data, error->len), *message;

    if (code_error_line(text, &message) == 0)
        luaL_error(L, "%s", text);
    lua_pushlstring(L, text, strcspn(text, "\n")); /* without the lines of source: who shows it adds them */
    lua_error(L);
}

/* Pushes the module's chunk and its path in the project. */
static void push_chunk(lua_State *L)
{
    const struct vm *vm = vm_of(L);
    struct span name;

    struct found *found = held_push(L, 0, sizeof *found, found_release);
    name.ptr = lua_tolstring(L, NAME, &name.len);
    found->code = project_module(vm->party, name, L, &found->error);
    const struct code *code = found->code;
    if (!code) {
        quota_check(L);
        raise_unfound(L, &found->error);
        return; /* not reached */
    }
    if (luaL_loadbufferx(L, (const char *)code->bytecode, code->len, code->name, "b") != LUA_OK)
        lua_error(L);
    lua_pushstring(L, code->name);
    code_unref(found->code); /* now, since it may be of no room's account */
    found->code = NULL;
    lua_remove(L, -3);
}

/* require(name) → what the module returned (true for nothing), and its path when it was loaded by this
 * call. A module's file scope can't wait, so nobody sees it half done. */
int base_require(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);

    lua_settop(L, 1);
    if (len > MODULE_NAME_MAX) /* first: what follows goes over it, and copies it */
        return luaL_error(L, "that is no module's name: it has more than %d bytes", MODULE_NAME_MAX);
    luaL_argcheck(L, strlen(name) == len, 1, "a module's name has no NUL");
    if (library_push(L, name))
        return 1;
    if (module_name_valid((struct span){name, len})) { /* others are shown as they were written */
        luaL_gsub(L, name, "/", ".");                  /* one name for each module */
        lua_replace(L, NAME);
    }
    push_modules(L);
    lua_pushvalue(L, NAME);
    lua_rawget(L, MODULES);
    if (bind_test(L, -1, loading_type))
        return luaL_error(L, "loop or previous error loading module '%s'", lua_tostring(L, NAME));
    if (!lua_isnil(L, -1))
        return 1;
    lua_settop(L, MODULES);
    push_loading(L);

    push_chunk(L); /* chunk, path */
    lua_insert(L, -2);
    lua_pushvalue(L, NAME);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 1); /* path, result */
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, NAME);
    lua_pushvalue(L, -2);
    lua_rawset(L, MODULES);
    lua_insert(L, -2);
    return 2;
}
