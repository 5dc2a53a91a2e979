/* request: an HTTP request, as scripts see it. The object owns the request, so a script that keeps it
 * can read it later; its memory counts as the room's. A hook's is only lent: it goes on to its room, with its body,
 * and with other headers if the hook has changed some. */
#include "script/bind.h"
#include "script/quota.h"
#include "script/script.h"

#include "http/field.h"

#include <errno.h>

const char request_type[] = "request";
const char headers_type[] = "headers";

enum { VALUE_BODY = 1, VALUE_QUERY, VALUE_HEADERS, VALUES = 3 };

struct request_held {
    struct held base;
    struct http_request *request; /* owned; NULL: it has gone on */
    size_t charged;
    bool lent;
};

/* request.headers: the values lie in a table of lower-case names; those that a hook has set, or removed, are in a
 * set beside it. */
struct headers_box {
    bool writable;
    size_t size; /* bytes of what was set */
};

enum { HEADERS_VALUES = 1, HEADERS_CHANGED, HEADERS_USER_VALUES = 2 };

static const luaL_Reg headers_metamethods[4];

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
        luaL_error(L, "the header %s is %s, not a string", name, luaL_typename(L, index));
    value->ptr = lua_tolstring(L, index, &value->len);
    if (!http_is_field_value(*value))
        luaL_error(L, "the value of the header %s has a line break or another control character", name);
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
        return luaL_error(L, "a header can't have the name '%s'", luaL_tolstring(L, 2, NULL));
    if (is_fixed(name))
        return luaL_error(L, "the header %s belongs to the connection", name.ptr);
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

void headers_add(lua_State *L, struct span name, struct span value)
{
    push_lower(L, name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushlstring(L, value.ptr, value.len);
    } else { /* RFC 9110 §5.3; cookies are joined with "; " (RFC 9113 §8.2.3) */
        lua_pushstring(L, span_equal_nocase(name, SPAN("cookie")) ? "; " : ", ");
        lua_pushlstring(L, value.ptr, value.len);
        lua_concat(L, 3);
    }
    lua_rawset(L, -3);
}

void headers_end(lua_State *L)
{
    lua_setiuservalue(L, -2, HEADERS_VALUES);
    bind_metatable(L, headers_type, headers_metamethods);
    lua_setmetatable(L, -2);
}

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
        ((struct headers_box *)lua_touserdata(L, -1))->writable = true;
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

/* The request at self with other headers, the object of which is at the top. */
static struct http_request *rewrite(lua_State *L, struct http_request *request)
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

struct http_request *request_take(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    struct http_request *request = request_check(L, index), *taken = request;
    struct request_held *held = held_of(L, index);
    int top = lua_gettop(L);

    if (lua_getiuservalue(L, index, VALUE_HEADERS) != LUA_TNIL) {
        taken = rewrite(L, request);
        ((struct headers_box *)lua_touserdata(L, top + 1))->writable = false;
    }
    if (taken != request)
        http_request_free(request);
    held->request = NULL;
    held->lent = false;
    lua_settop(L, top);
    return taken;
}
