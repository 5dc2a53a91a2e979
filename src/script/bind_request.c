/* request: an HTTP request, as scripts see it. The object owns the request, so a script that keeps it
 * can read it later; its memory counts as the room's. A hook's is only lent: it goes on to its room, with its body,
 * and with other headers if the hook has changed some. */
#include "script/bind.h"
#include "script/json.h"
#include "script/quota.h"

#include "http/field.h"

#include <errno.h>

const char request_type[] = "request";

enum { VALUE_BODY = 1, VALUE_QUERY, VALUE_HEADERS, VALUES = 3 };

struct request_held {
    struct held base;
    struct http_request *request; /* owned; NULL: it has gone on */
    size_t charged;
    bool lent;
};

static struct http_request *request_check(lua_State *L, int arg)
{
    bind_check(L, arg, request_type);
    struct http_request *request = ((struct request_held *)held_of(L, arg))->request;
    if (!request)
        luaL_error(L, "this request has gone on to its room: its hook is over");
    return request;
}

struct http_request *request_of(lua_State *L, int arg)
{
    return request_check(L, arg);
}

/* Lets go of the body in C once the script has it as a string. */
static void push_body(lua_State *L, int self)
{
    struct http_request *request = request_check(L, self);

    if (lua_getiuservalue(L, self, VALUE_BODY) == LUA_TSTRING)
        return;
    lua_pop(L, 1);
    if (request->body)
        lua_pushlstring(L, (const char *)request->body->data, request->body->len);
    else
        lua_pushliteral(L, "");
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, self, VALUE_BODY);
    if (request->body && !((struct request_held *)held_of(L, self))->lent) {
        vm_discharge(vm_of(L), request->body->len);
        ((struct request_held *)held_of(L, self))->charged -= request->body->len;
        bytes_unref(request->body);
        request->body = NULL;
    }
}

/* ---- methods ---- */

/* request:text() → the body */
static int request_text(lua_State *L)
{
    request_check(L, 1);
    push_body(L, 1);
    return 1;
}

/* request:json() → the body's value. Malformed JSON raises an error that, uncaught, answers 400. */
static int request_json(lua_State *L)
{
    size_t len;

    request_check(L, 1);
    push_body(L, 1);
    const char *text = lua_tolstring(L, -1, &len);
    if (json_decode(L, text, len, false))
        return 1;
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_BAD_JSON);
    vm_of(L)->running->bad_json = true;
    return lua_error(L);
}

/* Pushes the string in a buffer and frees the buffer; raises without leaking it. */
static void push_buf(lua_State *L, struct buf *buf)
{
    lua_pushlstring(L, buf->data ? (const char *)buf->data : "", buf->len);
}

struct pairs {
    struct held base;
    struct buf name, value;
};

static void pairs_release(struct vm *vm, struct held *held)
{
    struct pairs *pairs = container_of(held, struct pairs, base);

    (void)vm;
    buf_fini(&pairs->name);
    buf_fini(&pairs->value);
}

/* Two buffers that go with the stack, whatever raises. */
static struct pairs *push_pairs(lua_State *L)
{
    return held_push(L, 0, sizeof(struct pairs), pairs_release);
}

static int next_pair(lua_State *L, struct span *rest, struct pairs *pairs)
{
    quota_poll();
    int rc = http_query_next(rest, &pairs->name, &pairs->value);
    if (rc < 0)
        luaL_error(L, "not enough memory");
    return rc;
}

/* Pushes the table of a query or form; of a name that comes twice the first value counts. */
static void push_pairs_table(lua_State *L, struct span text)
{
    lua_newtable(L);
    json_mark(L, -1, JSON_OBJECT); /* an empty one, too */
    struct pairs *pairs = push_pairs(L);
    while (next_pair(L, &text, pairs) > 0) {
        push_buf(L, &pairs->name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -4) == LUA_TNIL) {
            lua_pop(L, 1);
            push_buf(L, &pairs->value);
            lua_rawset(L, -4);
        } else {
            lua_pop(L, 2);
        }
    }
    lua_pop(L, 1);
}

/* request:queryAll(name) → an array of all values of that name */
static int request_query_all(lua_State *L)
{
    struct span text = request_check(L, 1)->query;
    struct span wanted;
    lua_Integer n = 0;

    wanted.ptr = luaL_checklstring(L, 2, &wanted.len);
    lua_newtable(L);
    struct pairs *pairs = push_pairs(L);
    while (next_pair(L, &text, pairs) > 0) {
        struct span name = {(const char *)pairs->name.data, pairs->name.len};
        if (!span_equal(name, wanted))
            continue;
        push_buf(L, &pairs->value);
        lua_rawseti(L, -3, ++n);
    }
    lua_pop(L, 1);
    return 1;
}

bool request_push_query(lua_State *L, const struct http_request *request, struct span name)
{
    struct span text = request->query;
    struct pairs *pairs = push_pairs(L);

    while (next_pair(L, &text, pairs) > 0) {
        if (!span_equal((struct span){(const char *)pairs->name.data, pairs->name.len}, name))
            continue;
        push_buf(L, &pairs->value);
        lua_remove(L, -2);
        return true;
    }
    lua_pop(L, 1);
    return false;
}

/* request:form() → the fields of an application/x-www-form-urlencoded body */
static int request_form(lua_State *L)
{
    struct span text, type = http_request_header(request_check(L, 1), "content-type");
    static const char form[] = "application/x-www-form-urlencoded";

    if (type.len < sizeof form - 1 || strncasecmp(type.ptr, form, sizeof form - 1) != 0)
        return luaL_error(L, "request:form() reads %s bodies; this one is of another type", form);
    push_body(L, 1);
    text.ptr = lua_tolstring(L, -1, &text.len);
    push_pairs_table(L, text);
    return 1;
}

static const luaL_Reg methods[] = {{"text", request_text},
                                   {"json", request_json},
                                   {"form", request_form},
                                   {"queryAll", request_query_all},
                                   {NULL, NULL}};

/* ---- headers ---- */

static void push_headers(lua_State *L, const struct http_request *request)
{
    headers_begin(L, request->n_headers);
    for (size_t i = 0; i < request->n_headers; i++)
        headers_add(L, request->headers[i].name, request->headers[i].value);
    headers_end(L);
}

/* ---- fields ---- */

static void push_span(lua_State *L, struct span span)
{
    lua_pushlstring(L, span.ptr ? span.ptr : "", span.len);
}

void request_push_url(lua_State *L, const struct http_request *request)
{
    lua_pushstring(L, request->secure ? "https://" : "http://");
    push_span(L, request->host.len ? request->host : SPAN("localhost"));
    push_span(L, request->target);
    lua_concat(L, 3);
}

/* The field, made at its first use and kept. */
static void push_kept(lua_State *L, int self, int value,
                      void (*make)(lua_State *, const struct http_request *))
{
    if (lua_getiuservalue(L, self, value) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    make(L, request_check(L, self));
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, self, value);
}

static void push_query(lua_State *L, const struct http_request *request)
{
    push_pairs_table(L, request->query);
}

static void push_headers_of(lua_State *L, int self)
{
    push_kept(L, self, VALUE_HEADERS, push_headers);
    if (((struct request_held *)held_of(L, self))->lent)
        headers_open(L, true);
}

static const struct http_request *request_at_1(lua_State *L)
{
    return ((struct request_held *)held_of(L, 1))->request;
}

static void push_method(lua_State *L)
{
    push_span(L, request_at_1(L)->method);
}

static void push_path(lua_State *L)
{
    push_span(L, request_at_1(L)->path);
}

static void push_subpath(lua_State *L)
{
    push_span(L, request_at_1(L)->subpath);
}

static void push_absolute_url(lua_State *L)
{
    request_push_url(L, request_at_1(L));
}

static void push_body_field(lua_State *L)
{
    push_body(L, 1);
}

static void push_query_field(lua_State *L)
{
    push_kept(L, 1, VALUE_QUERY, push_query);
}

static void push_headers_field(lua_State *L)
{
    push_headers_of(L, 1);
}

static void push_remote(lua_State *L)
{
    lua_pushstring(L, request_at_1(L)->remote);
}

static const struct bind_field fields[] = {
    {"method", push_method},
    {"path", push_path},
    {"subpath", push_subpath},
    {"url", push_absolute_url},
    {"body", push_body_field},
    {"query", push_query_field},
    {"headers", push_headers_field},
    {"remoteAddress", push_remote},
    {NULL, NULL},
};

const struct bind_members request_members = {methods, fields};

static int request_index(lua_State *L)
{
    request_check(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_field(L, fields, key) && !bind_method(L, methods, key))
        lua_pushnil(L);
    return 1;
}

static void request_release(struct vm *vm, struct held *base)
{
    struct request_held *held = container_of(base, struct request_held, base);
    http_request_free(held->request);
    vm_discharge(vm, held->charged);
}

static const luaL_Reg metamethods[] = {{"__index", request_index},
                                       {"__newindex", bind_read_only},
                                       {"__gc", held_gc},
                                       {NULL, NULL}};

void request_push(lua_State *L, struct event *event)
{
    bool lent = event->kind == EVENT_HOOK;
    size_t size = lent ? 0 : event_size(event);

    vm_demand(L, size);
    struct request_held *held = held_push(L, VALUES, sizeof *held, request_release);
    bind_metatable(L, request_type, metamethods);
    lua_setmetatable(L, -2); /* the last thing that can raise */
    held->request = event->request;
    event->request = NULL;
    held->charged = size;
    held->lent = lent;
    vm_charge(vm_of(L), size);
    /* The collector sees no more than the box: unless it works as for all that this holds, requests whose
     * bodies nobody reads fill the room. */
    lua_gc(L, LUA_GCSTEP, (int)(size / 1024) + 1);
}

/* ---- going on with a request that was lent ---- */

struct http_request *request_take(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    struct http_request *request = request_check(L, index), *taken = request;
    struct request_held *held = held_of(L, index);
    int top = lua_gettop(L);

    if (lua_getiuservalue(L, index, VALUE_HEADERS) != LUA_TNIL) {
        headers_open(L, false);
        taken = headers_apply(L, request); /* the last thing that can raise */
    }
    if (taken != request)
        http_request_free(request);
    held->request = NULL;
    held->lent = false;
    lua_settop(L, top);
    return taken;
}
