/* A stub: another room, by its party's name and its id. stub:fetch asks it for a response, stub:call calls a method of
 * it, stub:connect (bind_socket.c) opens a connection. */
#include "script/bind_stub.h"
#include "room/call.h"
#include "script/quota.h"
#include "script/script.h"
#include "script/values.h"
#include "script/wait.h"

#include "http/field.h"

#include <errno.h>
#include <stdio.h>

const char stub_type[] = "stub";

void stub_names(lua_State *L, struct span *party, struct span *id)
{
    bind_check(L, 1, stub_type);
    lua_getiuservalue(L, 1, STUB_PARTY);
    party->ptr = lua_tolstring(L, -1, &party->len);
    lua_getiuservalue(L, 1, STUB_ID);
    id->ptr = lua_tolstring(L, -1, &id->len);
}

/* ---- requests ---- */

/* Room for what the request is made of; all of it stays on the stack. */
enum { ARG_PATH = 2, ARG_INIT, SLOT_FIELDS, SLOT_PARTY, SLOT_ID, SLOT_TARGET, SLOT_METHOD, SLOT_BODY, SLOT_HEADERS, SLOT_KEY,
       SLOT_TOP = SLOT_KEY };

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
    if (lua_isnil(L, ARG_PATH))
        lua_pushliteral(L, "/");
    else
        lua_pushstring(L, luaL_checkstring(L, ARG_PATH));
    lua_replace(L, ARG_PATH);
    path = span_at(L, ARG_PATH);
    if (path.len == 0 || *path.ptr != '/')
        luaL_error(L, "a path begins with \"/\": '%s' does not", path.ptr);
    if (http_target_run(path.ptr, path.len) != path.len)
        luaL_error(L, "the path '%s' has a character that can't stand in one; percent-encode it", path.ptr);
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
        luaL_error(L, "'%s' is no method that is served", request->parts.method.ptr);
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

/* Name and value at the top become the next two of the fields; popped. */
static void add_field(lua_State *L, lua_Integer *n)
{
    struct span name = span_at(L, -2), value;

    quota_poll();
    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "the header %s is %s, not a string", name.ptr, luaL_typename(L, -1));
    value = span_at(L, -1);
    if (!http_is_token(name))
        luaL_error(L, "a header can't have the name '%s'", name.ptr);
    if (!http_is_field_value(value))
        luaL_error(L, "the value of the header %s has a line break or another control character", name.ptr);
    lua_rawseti(L, SLOT_FIELDS, *n + 2);
    lua_rawseti(L, SLOT_FIELDS, *n + 1);
    *n += 2;
}

/* A Content-Type that was not given comes first. */
static void read_headers(lua_State *L, struct stub_request *request, const char *type)
{
    lua_Integer n = 0;
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
                add_field(L, &n);
            }
            if (!lua_istable(L, -1)) {
                lua_pushvalue(L, -2);
                lua_pushvalue(L, -2);
                add_field(L, &n);
            }
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    if (type && !typed) {
        lua_pushliteral(L, "Content-Type");
        lua_pushstring(L, type);
        add_field(L, &n);
    }
    struct http_header *headers = lua_newuserdatauv(L, (size_t)(n / 2 + 1) * sizeof *headers, 0);
    for (lua_Integer i = 0; i < n / 2; i++) { /* the strings live in the table */
        lua_rawgeti(L, SLOT_FIELDS, 2 * i + 1);
        lua_rawgeti(L, SLOT_FIELDS, 2 * i + 2);
        headers[i] = (struct http_header){span_at(L, -2), span_at(L, -1)};
        lua_pop(L, 2);
    }
    lua_replace(L, SLOT_HEADERS);
    request->parts.headers = headers;
    request->parts.n_headers = (size_t)n / 2;
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
                       key);
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
    if (upgrade && take_text(L, "id", SLOT_KEY))
        request->connection = span_at(L, SLOT_KEY);
}

/* ---- calls ---- */

struct call_held {
    struct held base;
    struct room_call *call; /* owned */
    size_t charged;
};

static void charge(struct vm *vm, struct call_held *held, size_t bytes)
{
    vm_charge(vm, bytes);
    held->charged += bytes;
}

static void release(struct vm *vm, struct held *base)
{
    struct call_held *held = container_of(base, struct call_held, base);

    room_call_end(held->call);
    held->call = NULL;
    vm_discharge(vm, held->charged);
    held->charged = 0;
}

static void forget(struct task *task)
{
    struct call_held *held = task->waited;
    release(task->vm, &held->base);
}

static size_t response_size(const struct http_response *response)
{
    return response ? sizeof *response + bytes_cost(response->headers) + bytes_cost(response->body) : 0;
}

static void on_done(struct room_call *call)
{
    struct task *task = call->user;
    charge(task->vm, task->waited, response_size(call->answer));
    room_wake(task->vm->room, task);
}

/* A call to the stub at 1, which goes with the stack; bytes: those that it is going to hold. */
static struct call_held *push_call(lua_State *L, size_t bytes)
{
    struct span party, id;

    stub_names(L, &party, &id);
    bytes += sizeof(struct room_call) + sizeof(struct call_held) + party.len + id.len;
    vm_demand(L, bytes);
    struct call_held *held = held_push(L, 0, sizeof *held, release);
    held->call = room_call_new(party, id);
    if (!held->call)
        luaL_error(L, "not enough memory");
    charge(vm_of(L), held, bytes);
    return held;
}

/* The handler waits for the answer; then push is called. */
static int begin(lua_State *L, struct call_held *held, int (*push)(lua_State *L, struct task *task))
{
    struct vm *vm = vm_of(L);
    struct task *task = vm->running;

    held->call->done = on_done;
    held->call->user = task;
    task->waited = held;
    int rc = room_call_begin(held->call, vm->room, task->event);
    if (rc == -ELOOP) {
        char text[64];
        snprintf(text, sizeof text, "calls from room to room nest at most %u deep", CALL_DEPTH_MAX);
        held->call->answer = http_response_text(508, text);
        return push(L, task);
    }
    output_check(L, rc);
    task->forget = forget;
    return wait_begin(L, push);
}

static const struct http_response *answer_of(lua_State *L, struct task *task)
{
    const struct http_response *answer = ((struct call_held *)task->waited)->call->answer;
    if (!answer)
        luaL_error(L, "not enough memory for the answer");
    return answer;
}

static int fetched(lua_State *L, struct task *task)
{
    struct call_held *held = task->waited;

    reply_push(L, answer_of(L, task));
    release(task->vm, &held->base);
    return 1;
}

/* stub:fetch([path,] [init]) → a response */
static int stub_fetch(lua_State *L)
{
    struct stub_request asked;

    wait_check(L);
    stub_request(L, false, &asked);
    struct call_held *held = push_call(L, http_request_parts_size(&asked.parts) + asked.body.len);
    struct bytes *body = asked.body.len > 0 ? bytes_copy(asked.body.ptr, asked.body.len) : NULL;
    asked.parts.body = body;
    if (asked.body.len == 0 || body)
        held->call->request = http_request_make(&asked.parts);
    if (!held->call->request) {
        bytes_unref(body);
        return luaL_error(L, "not enough memory");
    }
    return begin(L, held, fetched);
}

static int called(lua_State *L, struct task *task)
{
    struct call_held *held = task->waited;
    const struct http_response *answer = answer_of(L, task);
    struct span body = {0};
    int n = 2;

    if (answer->body)
        body = (struct span){(const char *)answer->body->data, answer->body->len};
    if (answer->status == 200) {
        n = values_unpack(L, body);
        if (n < 0)
            return luaL_error(L, "the results are damaged");
    } else {
        lua_pushnil(L);
        lua_pushlstring(L, body.ptr ? body.ptr : "", body.len);
    }
    release(task->vm, &held->base);
    return n;
}

/* stub:call(name, …) → what the room's method returns, or nil and a message */
static int stub_call(lua_State *L)
{
    size_t name_len, len;

    wait_check(L);
    bind_check(L, 1, stub_type);
    const char *name = luaL_checklstring(L, 2, &name_len);
    luaL_argcheck(L, name_len > 0 && !memchr(name, '\0', name_len), 2, "the name of a method expected");
    values_pack(L, 3, lua_gettop(L) - 2,
                &(struct value_terms){.refusal = "can't be passed to another room",
                                      .name = "argument",
                                      .limit = "body",
                                      .limit_bytes = vm_of(L)->script->config->limits.body});
    int packed = lua_gettop(L);
    const char *values = lua_tolstring(L, packed, &len);
    struct call_held *held = push_call(L, name_len + 1 + len);
    struct bytes *args = bytes_new(name_len + 1 + len);
    if (!args)
        return luaL_error(L, "not enough memory");
    memcpy(args->data, name, name_len + 1);
    memcpy(args->data + name_len + 1, values, len);
    held->call->args = args;
    return begin(L, held, called);
}

/* ---- the object ---- */

static const luaL_Reg methods[] = {
    {"fetch", stub_fetch},
    {"call", stub_call},
    {"connect", stub_connect},
    {NULL, NULL},
};

static int stub_index(lua_State *L)
{
    bind_check(L, 1, stub_type);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (strcmp(key, "id") == 0)
        lua_getiuservalue(L, 1, STUB_ID);
    else if (strcmp(key, "party") == 0)
        lua_getiuservalue(L, 1, STUB_PARTY);
    else if (!bind_method(L, methods, key))
        lua_pushnil(L);
    return 1;
}

static int stub_tostring(lua_State *L)
{
    struct span party, id;

    stub_names(L, &party, &id);
    lua_pushfstring(L, "stub of %s/%s", party.ptr, id.ptr);
    return 1;
}

static const luaL_Reg metamethods[] = {{"__index", stub_index},
                                       {"__newindex", bind_read_only},
                                       {"__tostring", stub_tostring},
                                       {NULL, NULL}};

void stub_push(lua_State *L, int party, int id)
{
    lua_newuserdatauv(L, 1, STUB_VALUES);
    lua_pushvalue(L, party);
    lua_setiuservalue(L, -2, STUB_PARTY);
    lua_pushvalue(L, id);
    lua_setiuservalue(L, -2, STUB_ID);
    bind_metatable(L, stub_type, metamethods);
    lua_setmetatable(L, -2);
}
