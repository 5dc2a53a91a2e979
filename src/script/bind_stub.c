/* A stub: another room, by its party's name and its id. stub:fetch asks it for a response, stub:call calls a method of
 * it, stub:connect (bind_socket.c) opens a connection. */
#include "script/bind_stub.h"
#include "room/call.h"
#include "script/script.h"
#include "script/values.h"
#include "script/wait.h"

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

/* ---- calls ---- */

struct call_held {
    struct held base;
    struct room_call *call; /* owned */
    size_t charged;
};

static const char no_room[] = "not enough memory for the answer";

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

/* Answers come whether or not there is room for them. One that there is none for, and for what Lua makes of it, becomes
 * another one. */
static void on_done(struct room_call *call)
{
    struct task *task = call->user;
    struct vm *vm = task->vm;

    if (call->answer && !vm_has_room(vm, 2 * http_response_size(call->answer))) {
        http_response_free(call->answer);
        call->answer = http_response_text(507, no_room);
    }
    charge(vm, task->waited, http_response_size(call->answer));
    room_wake(vm->room, task);
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
        luaL_error(L, no_room);
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

static void push_id(lua_State *L)
{
    lua_getiuservalue(L, 1, STUB_ID);
}

static void push_party(lua_State *L)
{
    lua_getiuservalue(L, 1, STUB_PARTY);
}

static const struct bind_field fields[] = {{"id", push_id}, {"party", push_party}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"fetch", stub_fetch},
                                   {"call", stub_call},
                                   {"connect", stub_connect},
                                   {NULL, NULL}};

const struct bind_members stub_members = {methods, fields};

static int stub_index(lua_State *L)
{
    bind_check(L, 1, stub_type);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_field(L, fields, key) && !bind_method(L, methods, key))
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
