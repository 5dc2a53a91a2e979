/* A socket: this room's end of a connection to another room, see room/link.h. */
#include "base/random.h"
#include "base/utf8.h"
#include "room/link.h"
#include "script/bind_stub.h"
#include "script/quota.h"
#include "script/script.h"
#include "script/wait.h"

#include "http/field.h"

#include <errno.h>

const char socket_type[] = "socket";

/* Bytes that a link takes besides its request: its two ends, their last messages, its names. */
#define LINK_COST ((size_t)2048)

struct socket_held {
    struct held base;
    struct link *link; /* owned; NULL: it was never open */
    struct task *task; /* that waits for something to change; NULL: none does */
    size_t charged;
};

static struct socket_held *socket_check(lua_State *L, int arg)
{
    bind_check(L, arg, socket_type);
    return held_of(L, arg);
}

static void release(struct vm *vm, struct held *base)
{
    struct socket_held *held = container_of(base, struct socket_held, base);

    link_free(held->link);
    held->link = NULL;
    vm_discharge(vm, held->charged);
    held->charged = 0;
}

static void forget(struct task *task)
{
    ((struct socket_held *)task->waited)->task = NULL;
}

static void on_changed(struct link *link)
{
    struct socket_held *held = link->user;
    struct task *task = held->task;

    held->task = NULL;
    if (task)
        room_wake(task->vm->room, task);
}

static int wait_for_change(lua_State *L, struct socket_held *held, int (*push)(lua_State *, struct task *))
{
    struct task *task = vm_of(L)->running;

    held->task = task;
    task->waited = held;
    task->forget = forget;
    return wait_begin(L, push);
}

/* ---- what has come ---- */

static int next_message(lua_State *L);

static int message_came(lua_State *L, struct task *task)
{
    (void)task;
    return next_message(L);
}

/* The iterator: message, binary; nil when it is closed and all was read. */
static int next_message(lua_State *L)
{
    struct socket_held *held = held_of(L, lua_upvalueindex(1));
    const struct link_mail *mail = link_next(held->link);

    if (mail) {
        lua_settop(L, 0);
        lua_pushlstring(L, (const char *)mail->data->data, mail->len);
        lua_pushboolean(L, mail->binary);
        link_take(held->link);
        return 2;
    }
    if (held->link->state != LINK_OPEN) {
        lua_pushnil(L);
        return 1;
    }
    wait_check(L);
    if (held->task)
        return luaL_error(L, "another handler waits for this socket's messages");
    return wait_for_change(L, held, message_came);
}

/* socket:messages() → an iterator: for message, binary in socket:messages() do */
static int socket_messages(lua_State *L)
{
    socket_check(L, 1);
    lua_settop(L, 1);
    lua_pushcclosure(L, next_message, 1);
    return 1;
}

/* ---- what is sent ---- */

static bool option_binary(lua_State *L, int arg)
{
    if (lua_isnoneornil(L, arg))
        return false;
    luaL_checktype(L, arg, LUA_TTABLE);
    lua_pushliteral(L, "binary");
    lua_rawget(L, arg);
    bool binary = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "binary") != 0)
            luaL_argerror(L, arg, "the only option is binary");
        lua_pop(L, 1);
    }
    return binary;
}

/* socket:send(message [, { binary = true }]) → true, or nil and "closed" */
static int socket_send(lua_State *L)
{
    struct socket_held *held = socket_check(L, 1);
    bool binary = option_binary(L, 3);
    lua_Integer most = (lua_Integer)vm_of(L)->script->config->limits.message;
    size_t len;

    luaL_checkany(L, 2);
    const char *text = message_check(L, 2, binary, &len);
    if (len > (size_t)most)
        return luaL_error(L, "the message has %I bytes; %I are allowed (message)", (lua_Integer)len, most);
    vm_demand(L, link_cost(len));
    int rc = link_send(held->link, text, len, binary);
    if (rc == -EPIPE) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    output_check(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* socket:close([code [, reason]]) */
static int socket_close(lua_State *L)
{
    struct socket_held *held = socket_check(L, 1);
    struct closing closing = closing_check(L, 2);

    output_check(L, link_close(held->link, closing.code, closing.reason, closing.len));
    on_changed(held->link); /* who waits for messages is done */
    return 0;
}

static const luaL_Reg methods[] = {{"send", socket_send},
                                   {"close", socket_close},
                                   {"messages", socket_messages},
                                   {NULL, NULL}};

/* ---- fields ---- */

static const struct link *link_of(lua_State *L)
{
    return ((struct socket_held *)held_of(L, 1))->link;
}

static void push_is_open(lua_State *L)
{
    lua_pushboolean(L, link_of(L)->state == LINK_OPEN);
}

static void push_buffered(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)link_of(L)->pending);
}

static void push_socket_id(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
}

static void push_close_code(lua_State *L)
{
    const struct link *link = link_of(L);

    if (link->state == LINK_CLOSED)
        lua_pushinteger(L, link->code ? link->code : 1005);
    else
        lua_pushnil(L);
}

static void push_close_reason(lua_State *L)
{
    const struct link *link = link_of(L);
    const struct bytes *reason = link->reason;

    if (link->state == LINK_CLOSED)
        lua_pushlstring(L, reason ? (const char *)reason->data : "", reason ? reason->len : 0);
    else
        lua_pushnil(L);
}

static const struct bind_field fields[] = {
    {"id", push_socket_id},         {"isOpen", push_is_open},           {"bufferedAmount", push_buffered},
    {"closeCode", push_close_code}, {"closeReason", push_close_reason}, {NULL, NULL}};

const struct bind_members socket_members = {methods, fields};

static int socket_index(lua_State *L)
{
    socket_check(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_field(L, fields, key) && !bind_method(L, methods, key))
        lua_pushnil(L);
    return 1;
}

static const luaL_Reg metamethods[] = {{"__index", socket_index},
                                       {"__newindex", bind_read_only},
                                       {"__gc", held_gc},
                                       {NULL, NULL}};

/* ---- opening ---- */

struct id_held {
    struct held base;
    struct buf name, id;
    char text[PEER_ID_MAX + 1];
};

static void release_id(struct vm *vm, struct held *base)
{
    struct id_held *held = container_of(base, struct id_held, base);

    (void)vm;
    buf_fini(&held->name);
    buf_fini(&held->id);
}

/* Its id: init's, the query's _pk, or a random one. Pushes what it lies in. */
static const char *push_id(lua_State *L, const struct stub_request *asked)
{
    struct id_held *held = held_push(L, 0, sizeof *held, release_id);
    struct span id = asked->connection;
    const char *mark = memchr(asked->parts.target.ptr, '?', asked->parts.target.len);
    struct span query = {0};

    if (mark)
        query =
            (struct span){mark + 1, asked->parts.target.len - (size_t)(mark + 1 - asked->parts.target.ptr)};
    while (!id.ptr && query.len > 0) {
        quota_poll();
        int rc = http_query_next(&query, &held->name, &held->id);
        if (rc < 0)
            luaL_error(L, "not enough memory");
        if (rc == 0)
            break;
        if (span_equal((struct span){(const char *)held->name.data, held->name.len}, SPAN("_pk")))
            id = (struct span){(const char *)held->id.data, held->id.len};
    }
    if (!id.ptr || id.len == 0) {
        random_uuid(held->text);
        return held->text;
    }
    if (id.len > PEER_ID_MAX || !utf8_valid(id.ptr, id.len) || memchr(id.ptr, '\0', id.len))
        luaL_error(L, "a connection's id is a text of up to 256 bytes of UTF-8");
    memcpy(held->text, id.ptr, id.len);
    return held->text;
}

/* The stack: …, the socket. */
static int connected(lua_State *L, struct task *task)
{
    struct socket_held *held = task->waited;
    struct link *link = held->link;

    if (link->state == LINK_OPEN)
        return 1;
    lua_pushnil(L);
    if (!link->refused)
        lua_pushfstring(L, "closed with %d%s", link->code, link->reason ? ": " : "");
    else
        lua_pushstring(L, link->reason ? "" : "not let in");
    if (link->reason) {
        lua_pushlstring(L, (const char *)link->reason->data, link->reason->len);
        lua_concat(L, 2);
    }
    release(task->vm, &held->base);
    return 2;
}

/* stub:connect([path,] [init]) → a socket, or nil and a message */
int stub_connect(lua_State *L)
{
    struct stub_request asked;
    struct span party, id;
    struct vm *vm = vm_of(L);
    struct task *task = vm->running;

    wait_check(L);
    stub_request(L, true, &asked);
    const char *peer_id = push_id(L, &asked);
    lua_pushfstring(L, "http://localhost%s", asked.parts.target.ptr);
    const char *uri = lua_tostring(L, -1);
    stub_names(L, &party, &id);
    size_t bytes = LINK_COST + 2 * asked.parts.target.len + http_request_parts_size(&asked.parts);
    vm_demand(L, bytes);
    struct socket_held *held = held_push(L, 1, sizeof *held, release);
    lua_pushstring(L, peer_id);
    lua_setiuservalue(L, -2, 1);
    bind_metatable(L, socket_type, metamethods);
    lua_setmetatable(L, -2);
    struct http_request *request = http_request_make(&asked.parts);
    if (request)
        held->link = link_new(party, id, peer_id, uri, request);
    if (!held->link)
        return luaL_error(L, "not enough memory");
    vm_charge(vm, bytes);
    held->charged = bytes;
    held->link->changed = on_changed;
    held->link->user = held;
    int rc = link_open(held->link, vm->room, task->event);
    if (rc == -ELOOP) {
        lua_pushnil(L);
        lua_pushfstring(L, "calls from room to room nest at most %d deep", (int)CALL_DEPTH_MAX);
        return 2;
    }
    output_check(L, rc);
    return wait_for_change(L, held, connected);
}
