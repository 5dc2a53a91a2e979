/* The request that a stub's fetch and connect send to their room: ([path,] [init]) checked, and taken apart. */
#include "script/bind_stub.h"
#include "script/quota.h"
#include "script/script.h"

#include "http/field.h"

/* Room for what the request is made of; all of it stays on the stack. */
enum {
    ARG_PATH = 2,
    ARG_INIT,
    SLOT_FIELDS,
    SLOT_PARTY,
    SLOT_ID,
    SLOT_TARGET,
    SLOT_METHOD,
    SLOT_BODY,
    SLOT_HEADERS,
    SLOT_KEY,
    SLOT_TOP = SLOT_KEY
};

static const char *const fetch_options[] = {"method", "headers", "body", "json", NULL};
static const char *const connect_options[] = {"headers", "id", NULL};

/* "/parties/PARTY/ID" and the path. */
static void push_target(lua_State *L, struct span party, struct span id, struct span path)
{
    static const char hex[] = "0123456789ABCDEF";
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    luaL_addstring(&out, "/parties/");
    luaL_addlstring(&out, party.ptr, party.len);
    luaL_addchar(&out, '/');
    for (size_t i = 0; i < id.len; i++) { /* RFC 3986 §2.3 */
        unsigned char c = (unsigned char)id.ptr[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
            c == '.' || c == '_' || c == '~') {
            luaL_addchar(&out, (char)c);
        } else {
            luaL_addchar(&out, '%');
            luaL_addchar(&out, hex[c >> 4]);
            luaL_addchar(&out, hex[c & 15]);
        }
    }
    luaL_addlstring(&out, path.ptr, path.len);
    luaL_pushresult(&out);
}

static struct span span_at(lua_State *L, int index)
{
    struct span span;
    span.ptr = lua_tolstring(L, index, &span.len);
    return span;
}

/* The path at ARG_PATH; "/" when there is none. */
static void read_target(lua_State *L, struct stub_request *request)
{
    struct span party, id, path;

    stub_names(L, &party, &id);
    lua_replace(L, SLOT_ID);
    lua_replace(L, SLOT_PARTY);
    if (lua_isnil(L, ARG_PATH)) {
        lua_pushliteral(L, "/");
        lua_replace(L, ARG_PATH);
    }
    path.ptr = luaL_checklstring(L, ARG_PATH, &path.len);
    if (path.len == 0 || *path.ptr != '/')
        luaL_error(L, "a path begins with \"/\": '%s' does not", bind_quote(path.ptr).text);
    if (http_target_run(path.ptr, path.len) != path.len)
        luaL_error(L, "the path '%s' has a character that can't stand in one; percent-encode it",
                   bind_quote(path.ptr).text);
    push_target(L, party, id, path);
    lua_replace(L, SLOT_TARGET);
    request->parts.target = span_at(L, SLOT_TARGET);
    request->parts.subpath = request->parts.target.len - path.len;
}

/* The option of this name, a string or a number, at the index; false: there is none. */
static bool take_text(lua_State *L, const char *name, int index)
{
    lua_pushstring(L, name);
    switch (lua_rawget(L, ARG_INIT)) {
    case LUA_TNIL: lua_pop(L, 1); return false;
    case LUA_TSTRING:
    case LUA_TNUMBER: break;
    default: luaL_error(L, "%s is a string, not %s", name, luaL_typename(L, -1));
    }
    (void)lua_tostring(L, -1);
    lua_replace(L, index);
    return true;
}

/* The connection's id, as Response.events has it. */
static void read_id(lua_State *L, struct stub_request *request)
{
    lua_pushliteral(L, "id");
    int type = lua_rawget(L, ARG_INIT);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    struct span id = {0};
    if (type == LUA_TSTRING)
        id = span_at(L, -1);
    if (!id.ptr || !connection_id_valid(id.ptr, id.len))
        luaL_error(L, CONNECTION_ID_EXPECTED, (int)PEER_ID_MAX);
    lua_replace(L, SLOT_KEY);
    request->connection = id;
}

static void read_method(lua_State *L, struct stub_request *request, bool has_body)
{
    if (!take_text(L, "method", SLOT_METHOD)) {
        lua_pushstring(L, has_body ? "POST" : "GET");
        lua_replace(L, SLOT_METHOD);
    }
    struct span name = span_at(L, SLOT_METHOD);
    luaL_Buffer out;
    char *upper = luaL_buffinitsize(L, &out, name.len);
    for (size_t i = 0; i < name.len; i++)
        upper[i] = (char)(name.ptr[i] >= 'a' && name.ptr[i] <= 'z' ? name.ptr[i] - 0x20 : name.ptr[i]);
    luaL_pushresultsize(&out, name.len);
    lua_replace(L, SLOT_METHOD);
    request->parts.method = span_at(L, SLOT_METHOD);
    if (!http_is_method(request->parts.method))
        luaL_error(L, "'%s' is no method that is served", bind_quote(request->parts.method.ptr).text);
}

/* body or json; returns the type of what there is, NULL: none. */
static const char *read_body(lua_State *L, struct stub_request *request)
{
    const char *type = NULL;
    lua_Integer most = (lua_Integer)vm_of(L)->script->config->limits.body;

    lua_pushliteral(L, "json");
    if (lua_rawget(L, ARG_INIT) != LUA_TNIL) {
        json_push(L, lua_gettop(L), false);
        lua_replace(L, SLOT_BODY);
        type = "application/json";
    }
    lua_pop(L, 1);
    if (take_text(L, "body", type ? SLOT_KEY : SLOT_BODY)) {
        if (type)
            luaL_error(L, "a request has a body or json, not both");
        type = "text/plain;charset=UTF-8";
    }
    if (!type)
        return NULL;
    request->body = span_at(L, SLOT_BODY);
    if (request->body.len > (size_t)most)
        luaL_error(L, "the body has %I bytes; %I are allowed (body)", (lua_Integer)request->body.len, most);
    return type;
}

/* The fields as they are gathered. */
struct fields {
    lua_Integer n; /* names and values, in turn */
    size_t size;   /* bytes of their lines, as a client would send them */
};

/* Name and value at the top become the next two of the fields; popped. */
static void add_field(lua_State *L, struct fields *fields)
{
    size_t most = (size_t)vm_of(L)->script->config->limits.headers;
    struct span name = span_at(L, -2), value;

    quota_poll();
    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "the header %s is %s, not a string", bind_quote(name.ptr).text, luaL_typename(L, -1));
    value = span_at(L, -1);
    if (!http_is_token(name))
        luaL_error(L, "a header can't have the name '%s'", bind_quote(name.ptr).text);
    if (!http_is_field_value(value))
        luaL_error(L, "the value of the header %s has a line break or another control character",
                   bind_quote(name.ptr).text);
    fields->size += name.len + value.len + sizeof ": \r\n" - 1;
    if (fields->size > most)
        luaL_error(L, "the headers are too large: they may have %I bytes (headers)", (lua_Integer)most);
    lua_rawseti(L, SLOT_FIELDS, fields->n + 2);
    lua_rawseti(L, SLOT_FIELDS, fields->n + 1);
    fields->n += 2;
}

/* A Content-Type that was not given comes first. */
static void read_headers(lua_State *L, struct stub_request *request, const char *type)
{
    struct fields fields = {0};
    bool typed = false;

    lua_newtable(L);
    lua_replace(L, SLOT_FIELDS);
    lua_pushliteral(L, "headers");
    if (lua_rawget(L, ARG_INIT) != LUA_TNIL) {
        if (!lua_istable(L, -1))
            luaL_error(L, "headers are a table of names and values, not %s", luaL_typename(L, -1));
        int headers = lua_gettop(L);
        lua_pushnil(L);
        while (lua_next(L, headers)) {
            if (lua_type(L, -2) != LUA_TSTRING)
                luaL_error(L, "headers are a table of names and values; one of its keys is %s",
                           luaL_typename(L, -2));
            typed = typed || span_equal_nocase(span_at(L, -2), SPAN("content-type"));
            lua_Integer lines = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
            for (lua_Integer i = 1; i <= lines; i++) {
                lua_pushvalue(L, -2);
                lua_rawgeti(L, -2, i);
                add_field(L, &fields);
            }
            if (!lua_istable(L, -1)) {
                lua_pushvalue(L, -2);
                lua_pushvalue(L, -2);
                add_field(L, &fields);
            }
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    if (type && !typed) {
        lua_pushliteral(L, "Content-Type");
        lua_pushstring(L, type);
        add_field(L, &fields);
    }
    size_t n = (size_t)fields.n / 2;
    struct http_header *headers = lua_newuserdatauv(L, (n + 1) * sizeof *headers, 0);
    for (size_t i = 0; i < n; i++) { /* the strings live in the table */
        lua_rawgeti(L, SLOT_FIELDS, 2 * (lua_Integer)i + 1);
        lua_rawgeti(L, SLOT_FIELDS, 2 * (lua_Integer)i + 2);
        headers[i] = (struct http_header){span_at(L, -2), span_at(L, -1)};
        lua_pop(L, 2);
    }
    lua_replace(L, SLOT_HEADERS);
    request->parts.headers = headers;
    request->parts.n_headers = n;
}

static void check_options(lua_State *L, const char *const *known)
{
    lua_pushnil(L);
    while (lua_next(L, ARG_INIT)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        size_t i = 0;
        quota_poll();
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            luaL_error(L,
                       known == fetch_options ? "unknown option %s: method, headers, body and json are known"
                                              : "unknown option %s: headers and id are known",
                       bind_quote(key).text);
        lua_pop(L, 1);
    }
}

void stub_request(lua_State *L, bool upgrade, struct stub_request *request)
{
    *request = (struct stub_request){0};
    luaL_checkstack(L, 2 * LUA_MINSTACK, "a request");
    bind_check(L, 1, stub_type);
    if (lua_istable(L, ARG_PATH)) { /* init alone */
        lua_settop(L, 2);
        lua_pushnil(L);
        lua_insert(L, ARG_PATH);
    }
    lua_settop(L, ARG_INIT);
    if (lua_isnil(L, ARG_INIT)) {
        lua_newtable(L);
        lua_replace(L, ARG_INIT);
    }
    luaL_checktype(L, ARG_INIT, LUA_TTABLE);
    lua_settop(L, SLOT_TOP);
    check_options(L, upgrade ? connect_options : fetch_options);
    read_target(L, request);
    const char *type = upgrade ? NULL : read_body(L, request);
    read_method(L, request, type != NULL);
    read_headers(L, request, type);
    if (upgrade)
        read_id(L, request);
}
