/* What a handler raised, taken apart without running script code: no __tostring, no __name,
 * nothing that could take long or be of any size. */
#include "script/bind.h"
#include "script/call.h"
#include "script/quota.h"
#include "script/script.h"
#include "script/trace.h"

#include <stdlib.h>

#define MESSAGE_MAX 4096u

static void message_append(struct buf *message, const char *text, size_t len)
{
    if (len > MESSAGE_MAX)
        len = MESSAGE_MAX;
    (void)!buf_append(message, text, len);
}

/* A number or a string at index, which lua_tolstring may change in place. */
static void message_value(lua_State *L, int index, struct buf *message)
{
    size_t len;
    const char *text;

    switch (lua_type(L, index)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        text = lua_tolstring(L, index, &len);
        message_append(message, text, len);
        break;
    default: (void)!buf_printf(message, "error object is a %s value", luaL_typename(L, index));
    }
}

static void describe_table(lua_State *L, int index, struct failure *failure)
{
    lua_pushliteral(L, "close");
    lua_rawget(L, index);
    int is_integer;
    lua_Integer code = lua_tointegerx(L, -1, &is_integer);
    failure->close = is_integer && peer_close_code_valid(code);
    failure->close_code = failure->close ? (uint16_t)code : 0;
    lua_pushliteral(L, "reason");
    lua_rawget(L, index);
    if (failure->close && lua_isstring(L, -1)) {
        size_t len;
        const char *reason = lua_tolstring(L, -1, &len);
        (void)!buf_append(&failure->close_reason, reason, len < MESSAGE_MAX ? len : MESSAGE_MAX);
    }
    if (failure->close_code == 0 && !lua_isnil(L, -2)) {
        (void)!buf_printf(&failure->message, "error({ close = … }) with a value that is no close code: "
                                             "1000, 1001, 1003, 1007 to 1014 or 3000 to 4999");
        return;
    }
    lua_pushliteral(L, "message");
    lua_rawget(L, index);
    if (failure->close && lua_isnil(L, -1)) {
        (void)!buf_printf(&failure->message,
                          "error({ close = %d }), which is for the handlers of connections", (int)code);
        return;
    }
    message_value(L, lua_type(L, -1) == LUA_TNIL ? index : lua_gettop(L), &failure->message);
}

/* Does the string at index end with the one at tail? coroutine.wrap puts a position in front of what it
 * raises again. */
static bool ends_with(lua_State *L, int index, int tail)
{
    size_t len, tail_len;

    if (lua_type(L, index) != LUA_TSTRING || lua_type(L, tail) != LUA_TSTRING)
        return false;
    const char *text = lua_tolstring(L, index, &len), *end = lua_tolstring(L, tail, &tail_len);
    return len >= tail_len && memcmp(text + len - tail_len, end, tail_len) == 0;
}

struct description {
    struct task *task;
    struct failure *failure;
};

static int describe(lua_State *L)
{
    struct description *description = lua_touserdata(L, 1);
    struct failure *failure = description->failure;

    lua_settop(L, 0);
    lua_xmove(description->task->co, L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_BAD_JSON);
    failure->bad_json = description->task->bad_json && ends_with(L, 1, 2);
    if (failure->bad_json) {
        message_value(L, 2, &failure->message);
    } else if (response_events(L, 1)) {
        message_append(&failure->message, RESPONSE_EVENTS_ONLY, sizeof RESPONSE_EVENTS_ONLY - 1);
    } else if (description->task->vm->room && description->task->vm->room->destroying &&
               response_streams(L, 1)) {
        (void)!buf_printf(&failure->message, AFTER_DESTROY, "Response.stream");
    } else if (bind_test(L, 1, response_type)) {
        failure->response = response_take(L, 1);
        (void)!buf_printf(&failure->message,
                          "error(a Response with the status %d), which is for onRequest and hooks",
                          failure->response ? failure->response->status : 500);
    } else if (lua_istable(L, 1)) {
        describe_table(L, 1, failure);
    } else {
        message_value(L, 1, &failure->message);
    }
    return 0;
}

/* "parties/chat.lua:12: in function 'shout'" for each level; the host's own are left out. */
static void trace(lua_State *co, const char *file, struct failure *failure)
{
    lua_Debug ar;
    int shown = 0;

    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sln", &ar);
        if (failure->line == 0 && ar.currentline > 0 && *ar.source == '@' && strcmp(ar.source + 1, file) == 0)
            failure->line = ar.currentline;
        if (ar.what[0] == 'C' && !ar.name)
            continue; /* where the host enters */
        if (shown++ == TRACE_LEVELS) {
            (void)!buf_printf(&failure->traceback, "\n...");
            return;
        }
        char line[TRACE_LINE_MAX];
        size_t len = trace_line(line, &ar);
        (void)!buf_printf(&failure->traceback, "%s%.*s", failure->traceback.len ? "\n" : "", (int)len, line);
    }
}

void call_failure(struct task *task, enum call_result result, struct failure *failure)
{
    struct description description = {task, failure};
    struct vm *vm = task->vm;

    *failure = (struct failure){0};
    if (task->co && vm->party)
        trace(task->co, vm->party->code->name, failure);
    if (result == CALL_TIME) {
        (void)!buf_printf(&failure->message, "%s time is over (handlerTime = %llu ms)",
                          vm->loaded ? "the handler's" : "the file scope's",
                          (unsigned long long)vm->script->config->limits.handler_time);
        if (*quota_place())
            (void)!buf_printf(&failure->message, " at %s", quota_place());
        return;
    }
    if (result == CALL_MEMORY) {
        (void)!buf_printf(&failure->message, "the room's memory is used up (roomMemory = %zu bytes)",
                          vm->limit);
        return;
    }
    if (call_protected(vm, describe, &description) != 0 && failure->message.len == 0)
        (void)!buf_printf(&failure->message, "an error that there was no memory to describe");
}

void failure_fini(struct failure *failure)
{
    buf_fini(&failure->message);
    buf_fini(&failure->traceback);
    buf_fini(&failure->close_reason);
    http_response_free(failure->response);
    *failure = (struct failure){0};
}
