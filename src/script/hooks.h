/* Hooks: onBeforeConnect, onBeforeRequest, onFetch and onCron, which run in a party's lobby (room/hook.h). Called by
 * script.c and report.c. */
#pragma once

#include "script/call.h"

/* The name of the hook that an EVENT_HOOK is about. */
const char *hook_name(const struct event *event);

/* For call_start: calls the hook with a self of its own, and answers. */
int hook_enter(lua_State *L);

/* It has failed; response, which may be NULL, is owned by the callee. decided: it is what the hook wants its client to
 * be told. */
void hook_fail(struct task *task, struct http_response *response, bool decided);

/* Is it a hook before a room, that raised? Then its client is told that it is not let in. */
bool hook_refuses(const struct event *event, enum call_result result);

/* The room that a handler of the VM is about: its own; in a lobby the one that the event's hook is asked for. ptr
 * NULL: there is none. */
struct span hook_room(const struct vm *vm, const struct event *event);
