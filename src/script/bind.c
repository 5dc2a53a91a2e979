/* What the bindings share: types of objects, and arguments that several functions take. */
#include "script/bind.h"

#include "base/utf8.h"
#include "script/library.h"
#include "script/wait.h"

#include <errno.h>
#include <lua_festa.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The types that scripts hold objects of. Where each one's metatable lies is kept beside the VM, since
 * every use of an object asks for it. */
static const char *const types[VM_TYPES] = {connection_type, request_type, headers_type, response_type,
                                            timer_type,      stream_type,  fetched_type, reply_type,
                                            stub_type,       party_type,   socket_type};

/* Index into types, or -1: a type of the host's own. */
static int type_index(const char *name)
{
    for (int i = 0; i < VM_TYPES; i++) {
        if (types[i] == name)
            return i;
    }
    return -1;
}

void bind_metatable(lua_State *L, const char *name, const luaL_Reg *metamethods)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, name) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 4);
    luaL_setfuncs(L, metamethods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, name);
    int type = type_index(name);
    if (type >= 0)
        vm_of(L)->metatables[type] = lua_topointer(L, -1);
}

void *bind_test(lua_State *L, int arg, const char *name)
{
    int type = type_index(name);
    const void *metatable;

    if (type >= 0) {
        metatable = vm_of(L)->metatables[type];
    } else {
        lua_rawgetp(L, LUA_REGISTRYINDEX, name);
        metatable = lua_topointer(L, -1);
        lua_pop(L, 1);
    }
    return metatable ? festa_lua_object(L, arg, metatable) : NULL;
}

void *bind_check(lua_State *L, int arg, const char *name)
{
    void *object = bind_test(L, arg, name);
    if (!object)
        luaL_typeerror(L, arg, name);
    return object;
}

bool bind_method(lua_State *L, const luaL_Reg *methods, const char *key)
{
    for (const luaL_Reg *method = methods; method->name; method++) {
        if (strcmp(method->name, key) == 0) {
            lua_pushcfunction(L, method->func);
            return true;
        }
    }
    return false;
}

bool bind_field(lua_State *L, const struct bind_field *fields, const char *key)
{
    for (const struct bind_field *field = fields; field->name; field++) {
        if (strcmp(field->name, key) == 0) {
            field->push(L);
            return true;
        }
    }
    return false;
}

const char *bind_type_name(lua_State *L, int index)
{
    for (int i = 0; i < VM_TYPES; i++) {
        if (bind_test(L, index, types[i]))
            return types[i];
    }
    return NULL;
}

struct quote bind_quote(const char *text)
{
    struct quote quote;
    size_t most = sizeof quote.text - sizeof "…";
    size_t len = strnlen(text, most + 1);

    (void)snprintf(quote.text, sizeof quote.text, "%.*s%s", (int)utf8_cut(text, len, most), text,
                   len > most ? "…" : "");
    return quote;
}

int bind_read_only(lua_State *L)
{
    const char *type = bind_type_name(L, 1);

    return luaL_error(L, "%s.%s is read-only", type ? type : luaL_typename(L, 1),
                      bind_quote(lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?").text);
}

void bind_skip_self(lua_State *L)
{
    if (lua_istable(L, 1) && lua_topointer(L, 1) == vm_of(L)->libraries[LIBRARY_PARTY])
        lua_remove(L, 1);
}

int skipped_error(lua_State *L, int arg, const char *message)
{
    lua_Debug ar = {0};

    if (lua_getstack(L, 0, &ar))
        lua_getinfo(L, "n", &ar);
    return luaL_error(L, "bad argument #%d to '%s' (%s)", arg, ar.name ? ar.name : "?", message);
}

static void skipped_mismatch(lua_State *L, int arg, const char *expected)
{
    const char *type = bind_type_name(L, arg);
    const char *got = lua_isnone(L, arg) ? "no value" : type ? type : luaL_typename(L, arg);
    skipped_error(L, arg, lua_pushfstring(L, "%s expected, got %s", expected, got));
}

lua_Number skipped_number(lua_State *L, int arg)
{
    int is_number;
    lua_Number number = lua_tonumberx(L, arg, &is_number);

    if (!is_number)
        skipped_mismatch(L, arg, "number");
    return number;
}

struct span skipped_string(lua_State *L, int arg)
{
    struct span text = {0};

    text.ptr = lua_tolstring(L, arg, &text.len);
    if (!text.ptr)
        skipped_mismatch(L, arg, "string");
    return text;
}

void skipped_type(lua_State *L, int arg, int type)
{
    if (lua_type(L, arg) != type)
        skipped_mismatch(L, arg, lua_typename(L, type));
}

uint64_t duration_check(lua_State *L, int arg)
{
    static const double longest = 100.0 * 365 * 24 * 3600 * 1000;
    double ms = skipped_number(L, arg);
    if (!(ms >= 0 && ms <= longest))
        skipped_error(L, arg, "a duration in ms from 0 to a hundred years expected");
    return (uint64_t)ceil(ms);
}

/* The message is the first argument, of broadcast, whatever that was called on; or the one behind the connection. */
static int message_error(lua_State *L, int arg, const char *message)
{
    return arg == 1 ? skipped_error(L, arg, message) : luaL_argerror(L, arg, message);
}

const char *message_check(lua_State *L, int arg, bool binary, size_t *len)
{
    switch (lua_type(L, arg)) {
    case LUA_TSTRING:
    case LUA_TNUMBER: break;
    case LUA_TTABLE:
        json_push(L, arg, false);
        lua_replace(L, arg);
        binary = true; /* an encoder's text is valid */
        break;
    default:
        message_error(L, arg,
                      lua_pushfstring(L, "a message is a string, a number or a table, not %s",
                                      luaL_typename(L, arg)));
    }
    const char *text = lua_tolstring(L, arg, len);
    if (!binary && !utf8_valid(text, *len))
        message_error(L, arg, "the text is not valid UTF-8; send it with { binary = true }");
    return text;
}

struct bytes *message_bytes(lua_State *L, const char *text, size_t len)
{
    struct bytes *bytes = bytes_copy(text, len);
    if (!bytes)
        luaL_error(L, "not enough memory");
    return bytes;
}

struct closing closing_check(lua_State *L, int arg)
{
    lua_Integer code = luaL_optinteger(L, arg, 0);
    size_t len = 0;
    const char *reason = luaL_optlstring(L, arg + 1, "", &len);

    luaL_argcheck(L, lua_isnoneornil(L, arg) || peer_close_code_valid(code), arg,
                  "a close code is 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999");
    luaL_argcheck(L, utf8_valid(reason, len), arg + 1, "the reason is not valid UTF-8");
    luaL_argcheck(L, code != 0 || len == 0, arg, "a reason needs a code");
    return (struct closing){(uint16_t)code, reason, utf8_cut(reason, len, 123)};
}

void output_check(lua_State *L, int rc)
{
    if (rc == -ENOBUFS)
        luaL_error(L, "too much output at once: this event has more than roomMemory waiting to be sent");
    if (rc == -ENOMEM)
        luaL_error(L, "not enough memory");
}
