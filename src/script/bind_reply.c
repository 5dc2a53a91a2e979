/* What another room has answered to stub:fetch: status, statusText, ok, headers, body, text(), json(),
 * headerAll(). */
#include "script/bind.h"
#include "script/quota.h"

#include "http/field.h"

const char reply_type[] = "response";

enum { VALUE_BODY = 1, VALUE_HEADERS, VALUE_REASON, VALUE_LINES, VALUES = VALUE_LINES };

struct reply_box {
    int status;
};

/* reply:text() → the body */
static int reply_text(lua_State *L)
{
    bind_check(L, 1, reply_type);
    lua_getiuservalue(L, 1, VALUE_BODY);
    return 1;
}

/* reply:json() → the body's value. Malformed JSON raises. */
static int reply_json(lua_State *L)
{
    size_t len;

    bind_check(L, 1, reply_type);
    lua_getiuservalue(L, 1, VALUE_BODY);
    const char *text = lua_tolstring(L, -1, &len);
    return json_decode(L, text, len, false) ? 1 : lua_error(L);
}

/* reply:headerAll(name) → an array of the values of all fields of that name */
static int reply_header_all(lua_State *L)
{
    struct span wanted, lines;

    bind_check(L, 1, reply_type);
    wanted.ptr = luaL_checklstring(L, 2, &wanted.len);
    lua_getiuservalue(L, 1, VALUE_LINES);
    lines.ptr = lua_tolstring(L, -1, &lines.len);
    header_lines_push_all(L, lines, wanted);
    return 1;
}

static void push_status(lua_State *L)
{
    lua_pushinteger(L, ((const struct reply_box *)lua_touserdata(L, 1))->status);
}

static void push_ok(lua_State *L)
{
    lua_pushboolean(L, ((const struct reply_box *)lua_touserdata(L, 1))->status < 300);
}

static void push_status_text(lua_State *L)
{
    lua_getiuservalue(L, 1, VALUE_REASON);
}

static void push_headers(lua_State *L)
{
    lua_getiuservalue(L, 1, VALUE_HEADERS);
}

static void push_body(lua_State *L)
{
    lua_getiuservalue(L, 1, VALUE_BODY);
}

static const struct bind_field fields[] = {
    {"status", push_status},   {"ok", push_ok},     {"statusText", push_status_text},
    {"headers", push_headers}, {"body", push_body}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"text", reply_text},
                                   {"json", reply_json},
                                   {"headerAll", reply_header_all},
                                   {NULL, NULL}};

const struct bind_members reply_members = {methods, fields};

static int reply_index(lua_State *L)
{
    bind_check(L, 1, reply_type);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_field(L, fields, key) && !bind_method(L, methods, key))
        lua_pushnil(L);
    return 1;
}

static const luaL_Reg metamethods[] = {{"__index", reply_index},
                                       {"__newindex", bind_read_only},
                                       {NULL, NULL}};

static void push_bytes(lua_State *L, const struct bytes *bytes)
{
    lua_pushlstring(L, bytes ? (const char *)bytes->data : "", bytes ? bytes->len : 0);
}

/* Pushes the headers object; the lines are a string at the top. */
static void make_headers(lua_State *L, const struct http_response *response)
{
    struct span rest, name, value;

    rest.ptr = lua_tolstring(L, -1, &rest.len);
    headers_begin(L, 8);
    if (!response->has_type && response->body)
        headers_add(L, SPAN("content-type"), SPAN("text/plain;charset=UTF-8"));
    while (header_lines_next(&rest, &name, &value))
        headers_add(L, name, value);
    headers_end(L);
}

void reply_push(lua_State *L, const struct http_response *response)
{
    struct reply_box *box = lua_newuserdatauv(L, sizeof *box, VALUES);
    int self = lua_gettop(L);

    box->status = response->status;
    push_bytes(L, response->body);
    lua_setiuservalue(L, self, VALUE_BODY);
    if (response->reason)
        push_bytes(L, response->reason);
    else
        lua_pushstring(L, http_reason(response->status));
    lua_setiuservalue(L, self, VALUE_REASON);
    push_bytes(L, response->headers);
    make_headers(L, response);
    lua_setiuservalue(L, self, VALUE_HEADERS);
    lua_setiuservalue(L, self, VALUE_LINES);
    bind_metatable(L, reply_type, metamethods);
    lua_setmetatable(L, self);
}
