/* What another room has answered to stub:fetch: status, statusText, ok, headers, body, text(), json(). */
#include "script/bind.h"
#include "script/quota.h"

#include "http/field.h"

const char reply_type[] = "response";

enum { VALUE_BODY = 1, VALUE_HEADERS, VALUE_REASON, VALUES = 3 };

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

static const luaL_Reg methods[] = {{"text", reply_text}, {"json", reply_json}, {NULL, NULL}};

static int reply_index(lua_State *L)
{
    const struct reply_box *box = bind_check(L, 1, reply_type);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (strcmp(key, "status") == 0)
        lua_pushinteger(L, box->status);
    else if (strcmp(key, "ok") == 0)
        lua_pushboolean(L, box->status < 300);
    else if (strcmp(key, "statusText") == 0)
        lua_getiuservalue(L, 1, VALUE_REASON);
    else if (strcmp(key, "headers") == 0)
        lua_getiuservalue(L, 1, VALUE_HEADERS);
    else if (strcmp(key, "body") == 0)
        lua_getiuservalue(L, 1, VALUE_BODY);
    else if (!bind_method(L, methods, key))
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

/* Adds a field to the table at the top; lines of the same name are joined, those of Set-Cookie by line feeds, since
 * they have commas of their own. */
static void add_field(lua_State *L, struct span name, struct span value)
{
    char *lower = lua_newuserdatauv(L, name.len + 1, 0);
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20 : name.ptr[i]);
    lua_pushlstring(L, lower, name.len);
    lua_remove(L, -2);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushlstring(L, value.ptr, value.len);
    } else {
        lua_pushstring(L, span_equal_nocase(name, SPAN("set-cookie")) ? "\n" : ", ");
        lua_pushlstring(L, value.ptr, value.len);
        lua_concat(L, 3);
    }
    lua_rawset(L, -3);
}

static void push_fields(lua_State *L, const struct http_response *response)
{
    struct span rest = {0};

    if (response->headers)
        rest = (struct span){(const char *)response->headers->data, response->headers->len};
    lua_newtable(L);
    if (!response->has_type && response->body)
        add_field(L, SPAN("content-type"), SPAN("text/plain;charset=UTF-8"));
    while (rest.len > 0) { /* whole lines, checked when they were made */
        const char *end = memchr(rest.ptr, '\n', rest.len), *colon = memchr(rest.ptr, ':', rest.len);
        quota_poll();
        if (!end || !colon || colon > end)
            break;
        struct span name = {rest.ptr, (size_t)(colon - rest.ptr)},
                    value = {colon + 1, (size_t)(end - colon) - 1};
        if (value.len > 0 && value.ptr[value.len - 1] == '\r')
            value.len--;
        add_field(L, name, span_trim(value));
        rest.len -= (size_t)(end + 1 - rest.ptr);
        rest.ptr = end + 1;
    }
    headers_wrap(L);
}

void reply_push(lua_State *L, const struct http_response *response)
{
    struct reply_box *box = lua_newuserdatauv(L, sizeof *box, VALUES);

    box->status = response->status;
    push_bytes(L, response->body);
    lua_setiuservalue(L, -2, VALUE_BODY);
    if (response->reason)
        push_bytes(L, response->reason);
    else
        lua_pushstring(L, http_reason(response->status));
    lua_setiuservalue(L, -2, VALUE_REASON);
    push_fields(L, response);
    lua_setiuservalue(L, -2, VALUE_HEADERS);
    bind_metatable(L, reply_type, metamethods);
    lua_setmetatable(L, -2);
}
