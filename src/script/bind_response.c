/* Response: what a request is answered with. Everything is checked when it is made, so an answer
 * that can't be sent raises in the script, and the client never gets a broken one. */
#include "script/bind.h"
#include "script/quota.h"

#include "http/field.h"

#define REASON_MAX 1024 /* bytes of a statusText */

const char response_type[] = "Response";

/* In the place of the body: the function that writes a stream; the options of events (events_check). */
enum { VALUE_BODY = 1, VALUE_HEADERS, VALUE_REASON, VALUES = 3 };

struct response_box {
    enum { RESPONSE_WHOLE, RESPONSE_STREAM, RESPONSE_EVENTS } kind;
    int status;
    bool has_type; /* the headers have a Content-Type */
};

static const luaL_Reg response_metamethods[3];

static const char json_type[] = "Content-Type: application/json\r\n";
static const char html_type[] = "Content-Type: text/html;charset=UTF-8\r\n";

/* ---- headers ---- */

/* Fields that say how the message is framed or carried: the server's alone. */
static bool is_framing(struct span name)
{
    static const char *const names[] = {"content-length", "transfer-encoding", "connection", "keep-alive",
                                        "upgrade",        "trailer",           "te",         "date"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_equal_nocase(name, span_of(names[i])))
            return true;
    }
    return false;
}

/* Adds the line of a field whose value is at the top to the array at index lines; pops the value. */
static void add_line(lua_State *L, int lines, struct span name)
{
    struct span value;

    quota_poll();
    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "the header %s is %s, not a string", bind_quote(name.ptr).text, luaL_typename(L, -1));
    value.ptr = lua_tolstring(L, -1, &value.len);
    if (!http_is_field_value(value))
        luaL_error(L, "the value of the header %s has a line break or another control character",
                   bind_quote(name.ptr).text);
    lua_pushfstring(L, "%s: %s\r\n", name.ptr, value.ptr); /* no NUL is left in either */
    lua_rawseti(L, lines, (lua_Integer)lua_rawlen(L, lines) + 1);
    lua_pop(L, 1);
}

/* The array of strings at index becomes one string. */
static void join(lua_State *L, int index)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (lua_Integer i = 1; i <= n; i++) {
        quota_poll();
        lua_rawgeti(L, index, i);
        luaL_addvalue(&out);
    }
    luaL_pushresult(&out);
    lua_replace(L, index);
}

bool header_lines_push(lua_State *L, int index)
{
    bool has_type = false;

    luaL_checktype(L, index, LUA_TTABLE);
    lua_newtable(L);
    int lines = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        struct span name;
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "headers are a table of names and values; one of its keys is %s",
                       luaL_typename(L, -2));
        name.ptr = lua_tolstring(L, -2, &name.len);
        if (!http_is_token(name))
            luaL_error(L, "a header can't have the name '%s'", bind_quote(name.ptr).text);
        if (is_framing(name))
            luaL_error(L, "the header %s is set by the server", name.ptr);
        has_type = has_type || span_equal_nocase(name, SPAN("content-type"));

        if (lua_istable(L, -1)) { /* several lines of the same name: Set-Cookie */
            lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
            for (lua_Integer i = 1; i <= n; i++) {
                lua_rawgeti(L, -1, i);
                add_line(L, lines, name);
            }
            lua_pop(L, 1);
        } else {
            add_line(L, lines, name);
        }
    }
    join(L, lines);
    return has_type;
}

/* ---- making one ---- */

/* A response with the body (a string, a number, or nil) at index body and the options
 * { status, statusText, headers } at index init; type is a line for when no type is given, or "". */
static int response_new(lua_State *L, int body, int init, int status, const char *type)
{
    int kind = lua_type(L, body);

    if (kind != LUA_TSTRING && kind != LUA_TNUMBER && kind != LUA_TNIL && kind != LUA_TNONE)
        return skipped_error(L, 1,
                             lua_pushfstring(L, "a body is a string, not %s (Response.json sends tables)",
                                             luaL_typename(L, body)));
    struct response_box *box = lua_newuserdatauv(L, sizeof *box, VALUES);
    int self = lua_gettop(L);
    *box = (struct response_box){.status = status};
    lua_pushstring(L, type);
    lua_setiuservalue(L, self, VALUE_HEADERS);
    box->has_type = *type != '\0';

    if (!lua_isnoneornil(L, init)) {
        luaL_checktype(L, init, LUA_TTABLE);
        lua_pushnil(L);
        while (lua_next(L, init)) {
            const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
            if (strcmp(key, "status") == 0) {
                lua_Number number = lua_isinteger(L, -1) ? (lua_Number)lua_tointeger(L, -1) : 0;
                if (!(number >= 200 && number <= 599))
                    return luaL_error(L, "a status is an integer from 200 to 599");
                box->status = (int)number;
            } else if (strcmp(key, "statusText") == 0) {
                struct span text = {NULL, 0};
                if (lua_type(L, -1) == LUA_TSTRING)
                    text.ptr = lua_tolstring(L, -1, &text.len);
                if (!text.ptr || !http_is_field_value(text))
                    return luaL_error(L, "statusText is a string without control characters");
                if (text.len > REASON_MAX)
                    return luaL_error(L, "statusText has %I bytes; %d are allowed", (lua_Integer)text.len,
                                      REASON_MAX);
                lua_pushvalue(L, -1);
                lua_setiuservalue(L, self, VALUE_REASON);
            } else if (strcmp(key, "headers") == 0) {
                bool has_type = header_lines_push(L, lua_gettop(L));
                if (!has_type && box->has_type) {
                    lua_getiuservalue(L, self, VALUE_HEADERS);
                    lua_concat(L, 2);
                }
                box->has_type = box->has_type || has_type;
                lua_setiuservalue(L, self, VALUE_HEADERS);
            } else {
                return luaL_error(L, "unknown option %s: status, statusText and headers are known",
                                  bind_quote(key).text);
            }
            lua_pop(L, 1);
        }
    }
    if (kind == LUA_TSTRING || kind == LUA_TNUMBER) {
        size_t len;
        lua_pushvalue(L, body);
        lua_tolstring(L, -1, &len);
        if (len > 0 && http_status_bodyless(box->status))
            return luaL_error(L, "a response of status %d can't have a body", box->status);
        lua_setiuservalue(L, self, VALUE_BODY);
    }
    bind_metatable(L, response_type, response_metamethods);
    lua_setmetatable(L, self);
    lua_settop(L, self);
    return 1;
}

/* Response(body [, { status, statusText, headers }]) */
int response_call(lua_State *L)
{
    lua_settop(L, 3); /* the global Response itself is the first */
    return response_new(L, 2, 3, 200, "");
}

/* Response.json(value [, init]) */
static int response_json(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 2);
    json_push(L, 1, false);
    lua_replace(L, 1);
    return response_new(L, 1, 2, 200, json_type);
}

/* Response.html(text [, init]) */
static int response_html(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_settop(L, 2);
    return response_new(L, 1, 2, 200, html_type);
}

/* The response at the top has no body yet: the value at index makes it. */
static int set_source(lua_State *L, int kind, int index)
{
    struct response_box *box = bind_check(L, -1, response_type);

    if (http_status_bodyless(box->status))
        return luaL_error(L, "a response of status %d can't have a body", box->status);
    box->kind = kind == RESPONSE_STREAM ? RESPONSE_STREAM : RESPONSE_EVENTS;
    lua_pushvalue(L, index);
    lua_setiuservalue(L, -2, VALUE_BODY);
    return 1;
}

/* Response.stream(function(stream) … end [, init]) */
static int response_stream(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_pushnil(L);
    response_new(L, 3, 2, 200, "");
    return set_source(L, RESPONSE_STREAM, 1);
}

/* Response.events([{ id, tags, retry }]) */
static int response_events_new(lua_State *L)
{
    lua_settop(L, 1);
    events_check(L, 1);
    lua_settop(L, 2);
    lua_pushnil(L);
    response_new(L, 3, 3, 200, "");
    return set_source(L, RESPONSE_EVENTS, 2);
}

/* Response.redirect(url [, status]) */
static int response_redirect(lua_State *L)
{
    size_t len;
    const char *url = luaL_checklstring(L, 1, &len);
    lua_Integer status = luaL_optinteger(L, 2, 302);

    luaL_argcheck(L, status == 301 || status == 302 || status == 303 || status == 307 || status == 308, 2,
                  "a redirect's status is 301, 302, 303, 307 or 308");
    luaL_argcheck(L, len > 0 && http_is_field_value((struct span){url, len}), 1,
                  "a URL without control characters expected");
    lua_settop(L, 0);
    lua_pushnil(L);
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, url);
    lua_setfield(L, -2, "Location");
    lua_setfield(L, -2, "headers");
    return response_new(L, 1, 2, (int)status, "");
}

const luaL_Reg response_functions[] = {{"json", response_json},         {"html", response_html},
                                       {"redirect", response_redirect}, {"stream", response_stream},
                                       {"events", response_events_new}, {NULL, NULL}};

/* ---- reading one ---- */

static const struct response_box *box_at_1(lua_State *L)
{
    return lua_touserdata(L, 1);
}

static void push_status(lua_State *L)
{
    lua_pushinteger(L, box_at_1(L)->status);
}

static void push_ok(lua_State *L)
{
    lua_pushboolean(L, box_at_1(L)->status < 300);
}

static void push_body(lua_State *L)
{
    if (box_at_1(L)->kind == RESPONSE_WHOLE)
        lua_getiuservalue(L, 1, VALUE_BODY);
    else
        lua_pushnil(L);
}

static const struct bind_field fields[] = {
    {"status", push_status},
    {"ok", push_ok},
    {"body", push_body},
    {NULL, NULL},
};

const struct bind_members response_members = {NULL, fields};

static int response_index(lua_State *L)
{
    bind_check(L, 1, response_type);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_field(L, fields, key))
        lua_pushnil(L);
    return 1;
}

static const luaL_Reg response_metamethods[3] = {{"__index", response_index},
                                                 {"__newindex", bind_read_only},
                                                 {NULL, NULL}};

/* ---- for the host ---- */

/* A copy of the string at the top, which is popped; NULL when it is empty or none. */
static struct bytes *take_string(lua_State *L, bool *failed)
{
    size_t len = 0;
    const char *text = lua_type(L, -1) == LUA_TNIL ? NULL : lua_tolstring(L, -1, &len);
    struct bytes *bytes = len > 0 ? bytes_copy(text, len) : NULL;
    if (len > 0 && !bytes)
        *failed = true;
    lua_pop(L, 1);
    return bytes;
}

static struct http_response *copy_response(lua_State *L, int index, const struct response_box *box)
{
    struct http_response *response = http_response_new(box->status);
    bool failed = false;

    if (!response)
        return NULL;
    response->has_type = box->has_type;
    if (box->kind == RESPONSE_WHOLE) {
        lua_getiuservalue(L, index, VALUE_BODY);
        response->body = take_string(L, &failed);
    }
    lua_getiuservalue(L, index, VALUE_HEADERS);
    response->headers = take_string(L, &failed);
    lua_getiuservalue(L, index, VALUE_REASON);
    response->reason = take_string(L, &failed);
    if (failed) {
        http_response_free(response);
        return NULL;
    }
    return response;
}

struct http_response *response_take(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        lua_pushvalue(L, index);
        lua_pushnil(L);
        response_new(L, lua_gettop(L) - 1, lua_gettop(L), 200, "");
        break;
    case LUA_TTABLE:
        lua_pushcfunction(L, response_json);
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        break;
    default: lua_pushvalue(L, index);
    }
    struct response_box *box = bind_test(L, -1, response_type);
    if (!box) {
        luaL_error(L, "onRequest returned %s; a Response, a string or a table is expected",
                   luaL_typename(L, index));
        return NULL; /* not reached */
    }
    if (box->kind == RESPONSE_EVENTS)
        luaL_error(L, RESPONSE_EVENTS_ONLY);
    struct http_source *source = NULL;
    int self = lua_gettop(L);
    if (box->kind == RESPONSE_STREAM) {
        lua_getiuservalue(L, self, VALUE_BODY);
        source = stream_open(L, self + 1);
        if (!source)
            return NULL;
    }
    struct http_response *response = copy_response(L, self, box); /* does not raise */
    lua_settop(L, self - 1);
    if (response)
        response->source = source;
    else if (source)
        source->close(source);
    return response;
}

bool response_events(lua_State *L, int index)
{
    const struct response_box *box = bind_test(L, index, response_type);

    if (!box || box->kind != RESPONSE_EVENTS)
        return false;
    lua_getiuservalue(L, index, VALUE_BODY);
    return true;
}

bool response_streams(lua_State *L, int index)
{
    const struct response_box *box = bind_test(L, index, response_type);
    return box && box->kind == RESPONSE_STREAM;
}
