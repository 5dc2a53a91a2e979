/* Response.stream: a body that a function of the script's writes while it is sent. The function runs in a task of
 * its own, from when the head of the answer has left and its client asks for the body; so it never runs for a
 * request that wants none. */
#include "base/log.h"
#include "room/stream.h"
#include "script/bind.h"
#include "script/report.h"
#include "script/script.h"
#include "script/wait.h"

#include <stdlib.h>

const char stream_type[] = "stream";

/* More than this must not wait for its client when more is written; nor is more written at once. */
#define WAITING_MAX 65536u

/* Bytes that a stream takes in C, besides what waits. */
#define STREAM_COST 512u

static const char client_gone[] = "the client has gone";

/* Its object is anchored in the registry under its address until it is over. */
struct stream_held {
    struct held base;
    struct due due;
    struct vm *vm;
    struct room_stream *stream; /* owned; NULL: none was made */
    bool queued;                /* the event that will run its function waits */
    bool begun;                 /* the function runs, or has run */
    bool over;                  /* it has, or never will */
};

static struct stream_held *stream_check(lua_State *L, int arg)
{
    bind_check(L, arg, stream_type);
    return held_of(L, arg);
}

/* ---- its end ---- */

/* Nothing runs for it any more; its object may be collected. */
static void finish(struct stream_held *held)
{
    struct vm *vm = held->vm;

    if (held->over)
        return;
    held->over = true;
    lua_pushnil(vm->L); /* the key exists, so nothing is allocated */
    lua_rawsetp(vm->L, LUA_REGISTRYINDEX, held);
    room_release(vm->room);
}

static void stream_release(struct vm *vm, struct held *base)
{
    struct stream_held *held = container_of(base, struct stream_held, base);

    if (!held->stream)
        return;
    if (held->queued)
        room_forget_handle(vm->room, &held->due);
    room_stream_release(held->stream);
    vm_discharge(vm, STREAM_COST);
}

/* ---- writing ---- */

static bool full(const struct stream_held *held)
{
    return room_stream_waiting(held->stream) >= WAITING_MAX;
}

/* The stack of stream:write. */
enum { WRITE_STREAM = 1, WRITE_DATA, WRITE_AT };

static int write_on(lua_State *L, struct task *task)
{
    struct stream_held *held = held_of(L, WRITE_STREAM);
    size_t len, at = (size_t)lua_tointeger(L, WRITE_AT);
    const char *data = lua_tolstring(L, WRITE_DATA, &len);

    while (at < len) {
        if (held->over)
            return luaL_error(L, "the stream has ended");
        if (!room_stream_open(held->stream))
            return luaL_error(L, client_gone);
        if (full(held)) {
            lua_pushinteger(L, (lua_Integer)at);
            lua_replace(L, WRITE_AT);
            task->waited = held;
            return wait_begin(L, write_on);
        }
        size_t n = len - at < WAITING_MAX ? len - at : WAITING_MAX;
        struct bytes *bytes = message_bytes(L, data + at, n);
        int rc = room_stream_write(held->stream, bytes);
        bytes_unref(bytes);
        output_check(L, rc);
        at += n;
    }
    return 0;
}

/* stream:write(data): waits while much waits for the client; raises when it has gone. */
static int stream_write(lua_State *L)
{
    struct stream_held *held = stream_check(L, 1);
    size_t len;

    (void)luaL_checklstring(L, WRITE_DATA, &len);
    lua_settop(L, WRITE_DATA);
    if (held->over)
        return luaL_error(L, "the stream has ended");
    if (!room_stream_open(held->stream))
        return luaL_error(L, client_gone);
    if (full(held) || len > WAITING_MAX)
        wait_check(L);
    lua_pushinteger(L, 0);
    return write_on(L, vm_of(L)->running);
}

static const luaL_Reg methods[] = {{"write", stream_write}, {NULL, NULL}};

static void push_open(lua_State *L)
{
    const struct stream_held *held = held_of(L, 1);
    lua_pushboolean(L, !held->over && room_stream_open(held->stream));
}

static const struct bind_field fields[] = {{"isOpen", push_open}, {NULL, NULL}};

const struct bind_members stream_members = {methods, fields};

static int stream_index(lua_State *L)
{
    stream_check(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_field(L, fields, key) && !bind_method(L, methods, key))
        lua_pushnil(L);
    return 1;
}

static const luaL_Reg metamethods[] = {{"__index", stream_index},
                                       {"__newindex", bind_read_only},
                                       {"__gc", held_gc},
                                       {NULL, NULL}};

/* ---- its function ---- */

static int enter_stream(lua_State *L)
{
    struct task *task = lua_touserdata(L, 1);

    lua_settop(L, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, task->data);
    lua_getiuservalue(L, 1, 1);
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 1);
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 0, 0, handler_returned);
    return 0;
}

static bool ends_with(const struct buf *text, struct span end)
{
    return text->len >= end.len && memcmp(text->data + text->len - end.len, end.ptr, end.len) == 0;
}

/* Clients leave: that is nothing to complain of. */
static bool left_alone(struct task *task, enum call_result result, const struct stream_held *held)
{
    struct failure failure;

    if (result != CALL_RAISED || room_stream_open(held->stream))
        return false;
    call_failure(task, result, &failure);
    bool same = ends_with(&failure.message, SPAN(client_gone));
    failure_fini(&failure);
    return same;
}

static void stream_done(struct task *task, enum call_result result)
{
    struct stream_held *held = task->data; /* alive: its object is on the coroutine's stack, or anchored */
    struct vm *vm = task->vm;

    if (result != CALL_DONE && left_alone(task, result, held))
        log_event(LOG_DEBUG, "a stream's client has gone", log_str("party", vm->party->name),
                  log_str("room", vm->room->id));
    else if (result != CALL_DONE)
        report_handler(task, result);
    room_stream_end(held->stream, result == CALL_DONE);
    finish(held);
}

static enum call_result stream_run(struct vm *vm, struct due *due)
{
    struct stream_held *held = container_of(due, struct stream_held, due);

    held->queued = false;
    held->begun = true;
    return call_start(vm, "stream", enter_stream, NULL, held, stream_done);
}

/* ---- struct room_stream_ops ---- */

static void on_begin(void *user)
{
    struct stream_held *held = user;

    held->queued = true;
    room_timer_due(held->vm->room, &held->due);
}

static void on_moved(void *user)
{
    struct stream_held *held = user;
    struct vm *vm = held->vm;
    bool open = room_stream_open(held->stream);

    if (!open && !held->begun) {
        if (held->queued)
            room_forget_handle(vm->room, &held->due);
        held->queued = false;
        finish(held);
        return;
    }
    if (open && full(held))
        return;
    list_each(link, &vm->tasks) {
        struct task *task = container_of(link, struct task, link);
        if (task->waited != held || task->push != write_on)
            continue;
        task->waited = NULL;
        room_wake(vm->room, task);
    }
}

static const struct room_stream_ops stream_ops = {.begin = on_begin, .moved = on_moved};

struct http_source *stream_open(lua_State *L, int index)
{
    struct vm *vm = vm_of(L);

    if (!vm->room || !vm->loaded)
        luaL_error(L, "there is no room here: this is for handlers, not for the file scope");
    if (vm->room->destroying)
        luaL_error(L, AFTER_DESTROY, "Response.stream");
    vm_demand(L, STREAM_COST);
    struct stream_held *held = held_push(L, 1, sizeof *held, stream_release);
    bind_metatable(L, stream_type, metamethods);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, index);
    lua_setiuservalue(L, -2, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, held); /* the last thing that can raise */
    held->due.run = stream_run;
    held->vm = vm;
    held->stream = room_stream_new(vm->room, &stream_ops, held);
    if (!held->stream) {
        lua_pushnil(L);
        lua_rawsetp(L, LUA_REGISTRYINDEX, held);
        return NULL;
    }
    vm_charge(vm, STREAM_COST);
    room_hold(vm->room);
    return room_stream_source(held->stream);
}
