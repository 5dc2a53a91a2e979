/* Calling hooks, and what becomes of what they return. */
#include "script/hooks.h"

#include "room/hook.h"
#include "script/bind.h"
#include "script/party.h"

#include <stdlib.h>

/* The stack of a hook. */
enum { HOOK_SELF = 1, HOOK_ARGUMENT, HOOK_RESULT };

const char *hook_name(const struct event *event)
{
    const struct hook_call *call = event->handle;
    return party_hooks[call->kind];
}

/* ---- self ---- */

/* Pushes a table that finds the party as the self of a room does, with the names of party and room in it. */
static void push_self(lua_State *L, const struct hook_call *call)
{
    lua_createtable(L, 0, 2);
    lua_pushstring(L, vm_of(L)->party->name);
    lua_setfield(L, -2, "name");
    if (call->room.ptr) {
        lua_pushlstring(L, call->room.ptr, call->room.len);
        lua_setfield(L, -2, "id");
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF);
    if (lua_getmetatable(L, -1)) {
        lua_remove(L, -2);
        lua_setmetatable(L, -2);
    } else {
        lua_pop(L, 1);
    }
}

static void push_cron(lua_State *L, const struct hook_cron *cron)
{
    lua_createtable(L, 0, 3);
    lua_pushstring(L, cron->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, cron->schedule);
    lua_setfield(L, -2, "schedule");
    lua_pushinteger(L, cron->time);
    lua_setfield(L, -2, "scheduledTime");
}

/* ---- answers ---- */

/* The last that is done with the call, which is the asker's from here on. */
static void answer(struct vm *vm, struct event *event, enum hook_verdict verdict,
                   struct http_response *response)
{
    struct hook_call *call = event->handle;

    call->verdict = (uint8_t)verdict;
    event->handle = NULL;
    room_respond(vm->room, event, response);
}

/* A copy of the string at the top, which is popped, with a NUL behind it. */
static char *take_name(lua_State *L, size_t *len)
{
    const char *text = lua_tolstring(L, -1, len);
    char *copy = malloc(*len + 1);

    if (!copy) {
        luaL_error(L, "not enough memory");
        return NULL; /* not reached */
    }
    memcpy(copy, text, *len + 1);
    lua_pop(L, 1);
    return copy;
}

/* Pushes the field of the table that a hook has returned, a string; else, or another one that is missing. */
static void push_place(lua_State *L, const char *key, const char *otherwise, size_t otherwise_len)
{
    lua_pushstring(L, key);
    switch (lua_rawget(L, HOOK_RESULT)) {
    case LUA_TSTRING: return;
    case LUA_TNIL:
        lua_pop(L, 1);
        lua_pushlstring(L, otherwise, otherwise_len);
        return;
    default:
        luaL_error(L, "%s returned a table whose %s is %s, not a string", vm_of(L)->running->handler, key,
                   luaL_typename(L, -1));
    }
}

/* { party = , room = }: where the one goes who asks. What is left out stays as it is. */
static void redirect(lua_State *L, struct hook_call *call)
{
    const char *handler = vm_of(L)->running->handler;
    size_t party_len;
    int fields = 0;

    for (lua_pushnil(L); lua_next(L, HOOK_RESULT); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcmp(key, "party") != 0 && strcmp(key, "room") != 0)
            luaL_error(L, "%s returned a table that is not { party = , room = }", handler);
        fields++;
    }
    if (fields == 0)
        luaL_error(L, "%s returned an empty table; { party = , room = } names a room", handler);
    push_place(L, "room", call->room.ptr, call->room.len);
    push_place(L, "party", vm_of(L)->party->name, strlen(vm_of(L)->party->name));
    call->party = take_name(L, &party_len);
    if (strlen(call->party) != party_len) /* no party has such a name */
        call->party[0] = '\0';
    call->to = take_name(L, &call->to_len);
}

static int complain_of_result(lua_State *L)
{
    const struct task *task = vm_of(L)->running;
    const struct hook_call *call = task->event->handle;
    const char *type = bind_type_name(L, HOOK_RESULT);

    return luaL_error(L, "%s returned %s; %s is expected", task->handler,
                      type ? type : luaL_typename(L, HOOK_RESULT),
                      call->kind == HOOK_FETCH ? "a Response or nil"
                                               : "a Response, { party = , room = } or nil");
}

/* The hook has returned, or there is none. */
static int hook_returned(lua_State *L, int status, lua_KContext context)
{
    struct vm *vm = vm_of(L);
    struct event *event = vm->running->event;
    struct hook_call *call = event->handle;
    bool before = call->kind == HOOK_CONNECT || call->kind == HOOK_REQUEST;

    (void)status;
    (void)context;
    call->unusable = true; /* what raises from here on is no refusal */
    if (call->kind == HOOK_CRON) {
        answer(vm, event, HOOK_PASS, NULL);
    } else if (bind_test(L, HOOK_RESULT, response_type)) {
        struct http_response *response = response_take(L, HOOK_RESULT);
        if (!response)
            return luaL_error(L, "not enough memory for the response");
        answer(vm, event, HOOK_ANSWER, response);
    } else if (lua_isnil(L, HOOK_RESULT)) {
        call->request = request_take(L, HOOK_ARGUMENT);
        answer(vm, event, HOOK_PASS, NULL);
    } else if (before && lua_istable(L, HOOK_RESULT)) {
        redirect(L, call);
        call->request = request_take(L, HOOK_ARGUMENT);
        answer(vm, event, HOOK_REDIRECT, NULL);
    } else {
        return complain_of_result(L);
    }
    return 0;
}

int hook_enter(lua_State *L)
{
    struct event *event = ((struct task *)lua_touserdata(L, 1))->event;
    struct hook_call *call = event->handle;
    const char *name = hook_name(event);

    lua_settop(L, 0);
    push_self(L, call);
    if (call->kind == HOOK_CRON)
        push_cron(L, call->cron);
    else
        request_push(L, event);
    if (lua_getfield(L, HOOK_SELF, name) == LUA_TNIL)
        return hook_returned(L, LUA_OK, 0);
    if (!lua_isfunction(L, -1))
        luaL_error(L, "%s is %s, not a function", name, luaL_typename(L, -1));
    lua_pushvalue(L, HOOK_SELF);
    lua_pushvalue(L, HOOK_ARGUMENT);
    lua_callk(L, 2, 1, 0, hook_returned);
    return hook_returned(L, LUA_OK, 0);
}

/* ---- failures ---- */

void hook_fail(struct task *task, struct http_response *response, bool decided)
{
    if (task->event->handle)
        answer(task->vm, task->event, decided ? HOOK_ANSWER : HOOK_FAILED, response);
    else
        http_response_free(response);
}

bool hook_refuses(const struct event *event, enum call_result result)
{
    const struct hook_call *call = event->handle;
    return result == CALL_RAISED && call && !call->unusable &&
           (call->kind == HOOK_CONNECT || call->kind == HOOK_REQUEST);
}

struct span hook_room(const struct vm *vm, const struct event *event)
{
    const struct hook_call *call = event && event->kind == EVENT_HOOK ? event->handle : NULL;

    if (!vm->room)
        return (struct span){NULL, 0};
    if (!vm->room->lobby)
        return span_of(vm->room->id);
    return call ? call->room : (struct span){NULL, 0};
}
