/* Header fields as scripts see them: an object whose fields are found in any case. Those of a request may be changed
 * in hooks. */
#include "script/bind.h"
#include "script/bind_base.h"
#include "script/quota.h"
#include "script/script.h"

#include "http/field.h"

const char headers_type[] = "headers";

/* The values lie in a table of lower-case names; those that a hook has set, or removed, are in a
 * set beside it. */
struct headers_box {
    bool writable;
    size_t size; /* bytes of what was set */
};

enum { HEADERS_VALUES = 1, HEADERS_CHANGED, HEADERS_USER_VALUES = 2 };

static void push_lower(lua_State *L, struct span name)
{
    luaL_Buffer lower;
    char *out = luaL_buffinitsize(L, &lower, name.len);
    for (size_t i = 0; i < name.len; i++)
        out[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20 : name.ptr[i]);
    luaL_pushresultsize(&lower, name.len);
}

/* request.headers[name], in any case; the values are in a table of lower-case names. */
static int headers_index(lua_State *L)
{
    bind_check(L, 1, headers_type);
    struct span name = {NULL, 0};
    if (lua_type(L, 2) == LUA_TSTRING)
        name.ptr = lua_tolstring(L, 2, &name.len);
    lua_getiuservalue(L, 1, HEADERS_VALUES);
    push_lower(L, name);
    lua_rawget(L, -2);
    return 1;
}

/* Fields that say how this connection is used: they are not the hook's to change. */
static bool is_fixed(struct span name)
{
    static const char *const names[] = {"connection", "content-length", "expect", "keep-alive",       "te",
                                        "trailer",    "upgrade",        "host",   "transfer-encoding"};
    static const char prefix[] = "sec-websocket-";

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_equal_nocase(name, span_of(names[i])))
            return true;
    }
    return name.len >= sizeof prefix - 1 && strncasecmp(name.ptr, prefix, sizeof prefix - 1) == 0;
}

/* The value at index, as a string there; nil: the field is to go. */
static void check_value(lua_State *L, int index, const char *name, struct span *value)
{
    *value = (struct span){NULL, 0};
    if (lua_isnil(L, index))
        return;
    if (!lua_isstring(L, index))
        luaL_error(L, "the header %s is %s, not a string", bind_quote(name).text, luaL_typename(L, index));
    value->ptr = lua_tolstring(L, index, &value->len);
    if (!http_is_field_value(*value))
        luaL_error(L, "the value of the header %s has a line break or another control character",
                   bind_quote(name).text);
}

/* request.headers[name] = value, in a hook */
static int headers_newindex(lua_State *L)
{
    struct headers_box *box = bind_check(L, 1, headers_type);
    size_t most = (size_t)vm_of(L)->script->config->limits.headers;
    struct span name = {NULL, 0}, value;

    if (!box->writable)
        return bind_read_only(L);
    if (lua_type(L, 2) == LUA_TSTRING)
        name.ptr = lua_tolstring(L, 2, &name.len);
    if (!name.ptr || !http_is_token(name))
        return luaL_error(L, "a header can't have the name '%s'",
                          bind_quote(identity_tolstring(L, 2, NULL)).text);
    if (is_fixed(name))
        return luaL_error(L, "the header %s belongs to the connection", bind_quote(name.ptr).text);
    check_value(L, 3, name.ptr, &value);
    if (box->size + name.len + value.len > most)
        return luaL_error(L, "too much was set in headers: they may have %d bytes (headers)", (int)most);
    push_lower(L, name);
    if (lua_getiuservalue(L, 1, HEADERS_CHANGED) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, HEADERS_CHANGED);
    }
    lua_pushvalue(L, 4);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_getiuservalue(L, 1, HEADERS_VALUES);
    lua_pushvalue(L, 4);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    box->size += name.len + value.len;
    return 0;
}

static int headers_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE); /* a script can call it as it likes */
    lua_settop(L, 2);
    if (lua_next(L, 1))
        return 2;
    lua_pushnil(L);
    return 1;
}

/* Goes over a copy, so that the script can't reach the table itself. */
static int headers_pairs(lua_State *L)
{
    bind_check(L, 1, headers_type);
    lua_getiuservalue(L, 1, HEADERS_VALUES);
    lua_pushcfunction(L, headers_next);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 4);
    }
    lua_pushnil(L);
    return 3;
}

static const luaL_Reg headers_metamethods[4] = {{"__index", headers_index},
                                                {"__newindex", headers_newindex},
                                                {"__pairs", headers_pairs},
                                                {NULL, NULL}};

void headers_begin(lua_State *L, size_t n)
{
    struct headers_box *box = lua_newuserdatauv(L, sizeof *box, HEADERS_USER_VALUES);
    *box = (struct headers_box){0};
    lua_createtable(L, 0, (int)n);
}

/* Values of a name that comes again are gathered in an array: joined one by one, each would copy those before it. */
void headers_add(lua_State *L, struct span name, struct span value)
{
    quota_poll();
    push_lower(L, name);
    lua_pushvalue(L, -1);
    switch (lua_rawget(L, -3)) {
    case LUA_TNIL:
        lua_pop(L, 1);
        lua_pushlstring(L, value.ptr, value.len);
        lua_rawset(L, -3);
        return;
    case LUA_TSTRING:
        lua_createtable(L, 2, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
        break;
    default: break;
    }
    lua_pushlstring(L, value.ptr, value.len);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 2);
}

/* Pushes the values in the array at the top, which are those of the name below it, as one. */
static void push_joined(lua_State *L)
{
    struct span name;
    int values = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, values);
    luaL_Buffer joined;

    name.ptr = lua_tolstring(L, values - 1, &name.len);
    /* RFC 9110 §5.3; cookies are joined with "; " (RFC 9113 §8.2.3) */
    const char *between = span_equal(name, SPAN("cookie")) ? "; " : ", ";
    luaL_buffinit(L, &joined);
    for (lua_Integer i = 1; i <= n; i++) {
        quota_poll();
        if (i > 1)
            luaL_addlstring(&joined, between, 2);
        lua_rawgeti(L, values, i);
        luaL_addvalue(&joined);
    }
    luaL_pushresult(&joined);
}

void headers_end(lua_State *L)
{
    int values = lua_gettop(L);

    for (lua_pushnil(L); lua_next(L, values); lua_pop(L, 1)) {
        if (!lua_istable(L, -1))
            continue;
        push_joined(L);
        lua_pushvalue(L, -3);
        lua_insert(L, -2);
        lua_rawset(L, values); /* in the place of the array: lua_next goes on */
    }
    lua_setiuservalue(L, -2, HEADERS_VALUES);
    bind_metatable(L, headers_type, headers_metamethods);
    lua_setmetatable(L, -2);
}

bool header_lines_next(struct span *lines, struct span *name, struct span *value)
{
    const char *end, *colon;

    quota_poll();
    while ((end = memmem(lines->ptr, lines->len, "\r\n", 2)) != NULL) {
        struct span line = {lines->ptr, (size_t)(end - lines->ptr)};
        *lines = (struct span){end + 2, lines->len - line.len - 2};
        colon = memchr(line.ptr, ':', line.len);
        if (!colon)
            continue;
        *name = (struct span){line.ptr, (size_t)(colon - line.ptr)};
        *value = span_trim((struct span){colon + 1, line.len - name->len - 1});
        return true;
    }
    return false;
}

void header_lines_push_all(lua_State *L, struct span lines, struct span wanted)
{
    struct span name, value;
    lua_Integer n = 0;

    lua_newtable(L);
    while (header_lines_next(&lines, &name, &value)) {
        if (!span_equal_nocase(name, wanted))
            continue;
        lua_pushlstring(L, value.ptr, value.len);
        lua_rawseti(L, -2, ++n);
    }
}

void headers_open(lua_State *L, bool writable)
{
    struct headers_box *box = bind_check(L, -1, headers_type);
    box->writable = writable;
}

/* ---- what was changed ---- */

/* Adds the fields that the hook has set, which the table at values has, to those at list; returns how many. */
static size_t add_changed(lua_State *L, int values, int changed, struct http_header *list)
{
    size_t n = 0;

    for (lua_pushnil(L); lua_next(L, changed); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        if (lua_rawget(L, values) != LUA_TNIL) {
            struct http_header *header = &list[n++];
            header->name.ptr = lua_tolstring(L, -3, &header->name.len);
            header->value.ptr = lua_tolstring(L, -1, &header->value.len); /* the table keeps both */
        }
        lua_pop(L, 1);
    }
    return n;
}

struct http_request *headers_apply(lua_State *L, struct http_request *request)
{
    size_t n = 0, n_changed = 0;

    int headers = lua_gettop(L);
    lua_getiuservalue(L, headers, HEADERS_VALUES);
    if (lua_getiuservalue(L, headers, HEADERS_CHANGED) != LUA_TTABLE)
        return request;
    for (lua_pushnil(L); lua_next(L, headers + 2); lua_pop(L, 1))
        n_changed++;
    struct http_header *list =
        lua_newuserdatauv(L, (request->n_headers + n_changed) * sizeof(struct http_header), 0);
    for (size_t i = 0; i < request->n_headers; i++) {
        quota_poll();
        push_lower(L, request->headers[i].name);
        if (lua_rawget(L, headers + 2) == LUA_TNIL)
            list[n++] = request->headers[i];
        lua_pop(L, 1);
    }
    n += add_changed(L, headers + 1, headers + 2, list + n);
    struct http_request *other = http_request_rewrite(request, list, n);
    if (!other)
        luaL_error(L, "not enough memory");
    return other;
}
