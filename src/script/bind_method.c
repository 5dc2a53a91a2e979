/* A method of the room that another room calls: Party:NAME(…), with copies of the caller's values. */
#include "room/call.h"
#include "script/bind.h"
#include "script/script.h"
#include "script/values.h"

#include <ctype.h>
#include <stdio.h>

/* What the server itself calls is nobody else's to call. */
static bool is_handler(const char *name)
{
    return (strncmp(name, "on", 2) == 0 && isupper((unsigned char)name[2])) ||
           strcmp(name, "getConnectionTags") == 0;
}

/* Nothing has failed here: the caller asks for what there is not. */
static int refuse(lua_State *L, struct event *event, const char *format, const char *name)
{
    char text[200];

    snprintf(text, sizeof text, format, name);
    room_respond(vm_of(L)->room, event, http_response_text(404, text));
    return 0;
}

/* The stack: self, results. */
static int method_returned(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    struct vm *vm = vm_of(L);
    size_t len;

    values_pack(L, 2, lua_gettop(L) - 1,
                &(struct value_terms){.refusal = "can't be returned to another room",
                                      .name = "result",
                                      .limit = "body",
                                      .limit_bytes = vm->script->config->limits.body});
    const char *bytes = lua_tolstring(L, -1, &len);
    struct http_response *response = http_response_new(200);
    if (response && len > 0 && !(response->body = bytes_copy(bytes, len))) {
        http_response_free(response);
        response = NULL;
    }
    if (!response)
        return luaL_error(L, "not enough memory for the results");
    room_respond(vm->room, vm->running->event, response);
    return 0;
}

int method_enter(lua_State *L)
{
    struct event *event = ((struct task *)lua_touserdata(L, 1))->event;
    const struct room_call *call = event->handle;
    const char *name = (const char *)call->args->data;
    size_t name_len = strlen(name);

    if (is_handler(name))
        return refuse(L, event, "%.100s is a handler, which only the server calls", name);
    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF);
    if (lua_getfield(L, 1, name) != LUA_TFUNCTION)
        return refuse(L, event, "no method %.100s", name);
    lua_pushvalue(L, 1);
    int n = values_unpack(L, (struct span){name + name_len + 1, call->args->len - name_len - 1});
    if (n < 0)
        return luaL_error(L, "the arguments are damaged");
    event->handle = NULL; /* it goes with its answer */
    lua_callk(L, n + 1, LUA_MULTRET, 0, method_returned);
    return method_returned(L, LUA_OK, 0);
}
