/* Gives a room's events to its party: which handler is called with what, and what follows when it
 * raises. This is what rooms know as struct script_ops. */
#include "script/script.h"

#include "base/log.h"
#include "fetch/fetch.h"
#include "room/data.h"
#include "script/bind.h"
#include "script/bind_storage.h"
#include "script/call.h"
#include "script/hooks.h"
#include "script/keep.h"
#include "script/party.h"
#include "script/pool.h"
#include "script/report.h"
#include "script/wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- calling handlers; all of this runs inside of the door ---- */

/* Pushes the handler and self, above another self; false (and nothing) when the party has none. */
static bool push_handler(lua_State *L, const char *name)
{
    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF);
    switch (lua_getfield(L, 1, name)) {
    case LUA_TNIL: lua_settop(L, 0); return false;
    case LUA_TFUNCTION: break;
    default: luaL_error(L, "%s is %s, not a function", name, luaL_typename(L, -1));
    }
    lua_pushvalue(L, 1);
    return true;
}

int handler_returned(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

static int call_handler(lua_State *L, int n_args)
{
    lua_callk(L, n_args + 1, 0, 0, handler_returned);
    return 0;
}

static struct event *event_of(lua_State *L)
{
    return ((struct task *)lua_touserdata(L, 1))->event;
}

static int start(lua_State *L, bool restored)
{
    if (!push_handler(L, "onStart"))
        return 0;
    lua_pushboolean(L, restored);
    return call_handler(L, 1);
}

static int start_restored(lua_State *L, struct task *task)
{
    (void)task;
    return start(L, keep_restore(L));
}

/* onStart(restored) */
static int enter_start(lua_State *L)
{
    struct vm *vm = vm_of(L);

    if (!vm->party->options.persist)
        return start(L, false);
    storage_result(L, data_ask_head(vm->room, vm->running));
    return wait_begin(L, start_restored);
}

/* onStop() */
static int enter_stop(lua_State *L)
{
    return push_handler(L, "onStop") ? call_handler(L, 0) : 0;
}

/* onAlarm(), if the alarm still stands. */
static int ring(lua_State *L)
{
    const struct vm *vm = vm_of(L);

    if (!room_alarm_begin(vm->room))
        return 0;
    if (push_handler(L, "onAlarm"))
        return call_handler(L, 0);
    log_event(LOG_WARN, "an alarm is dropped: the party has no onAlarm", log_str("party", vm->party->name),
              log_str("room", vm->room->id));
    return 0;
}

static int ring_when_known(lua_State *L, struct task *task)
{
    (void)task;
    storage_answer(L);
    return ring(L);
}

static int enter_alarm(lua_State *L)
{
    struct vm *vm = vm_of(L);
    int64_t time;

    if (data_alarm(vm->room, &time))
        return ring(L);
    storage_result(L, data_ask_head(vm->room, vm->running));
    return wait_begin(L, ring_when_known);
}

/* onReload() */
static int enter_reload(lua_State *L)
{
    return push_handler(L, "onReload") ? call_handler(L, 0) : 0;
}

/* ---- connections ---- */

/* The stack of a connect event. */
enum { CONNECT_SELF = 1, CONNECT_TAGS, CONNECT_HANDLER, CONNECT_CONNECTION, CONNECT_CONTEXT, CONNECT_RESULT };

static void push_connect_call(lua_State *L, int function, const char *name)
{
    if (!lua_isfunction(L, function))
        luaL_error(L, "%s is %s, not a function", name, luaL_typename(L, function));
    lua_pushvalue(L, function);
    lua_pushvalue(L, CONNECT_SELF);
    lua_pushvalue(L, CONNECT_CONNECTION);
    lua_pushvalue(L, CONNECT_CONTEXT);
}

/* getConnectionTags has returned, or there is none: its tags, then onConnect. */
static int connect_tagged(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    if (lua_gettop(L) >= CONNECT_RESULT && !lua_isnil(L, CONNECT_RESULT)) {
        struct span tags[PEER_TAGS_MAX];
        size_t n;
        tags_check(L, CONNECT_RESULT, tags, &n);
        vm_demand(L, PEER_TAGS_MAX * (PEER_TAG_LEN_MAX + 1));
        if (peer_set_tags(vm_of(L)->running->event->peer, tags, n) != 0)
            return luaL_error(L, "not enough memory");
    }
    vm_of(L)->running->handler = "onConnect";
    lua_settop(L, CONNECT_CONTEXT);
    if (lua_isnil(L, CONNECT_HANDLER))
        return 0;
    push_connect_call(L, CONNECT_HANDLER, "onConnect");
    lua_callk(L, 3, 0, 0, handler_returned);
    return 0;
}

/* getConnectionTags(connection, context), then onConnect(connection, context). Without both the
 * connection gets no object. */
static int enter_connect(lua_State *L)
{
    struct event *event = event_of(L);

    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF);
    lua_getfield(L, CONNECT_SELF, "getConnectionTags");
    lua_getfield(L, CONNECT_SELF, "onConnect");
    if (lua_isnil(L, CONNECT_TAGS) && lua_isnil(L, CONNECT_HANDLER))
        return 0;
    connection_push(L, event->peer);
    lua_createtable(L, 0, 1);
    request_push(L, event);
    lua_setfield(L, CONNECT_CONTEXT, "request");
    if (!lua_isnil(L, CONNECT_TAGS)) {
        vm_of(L)->running->handler = "getConnectionTags";
        push_connect_call(L, CONNECT_TAGS, "getConnectionTags");
        lua_callk(L, 3, 1, 0, connect_tagged);
    }
    return connect_tagged(L, LUA_OK, 0);
}

/* onMessage(message, connection, binary) */
static int enter_message(lua_State *L)
{
    struct event *event = event_of(L);

    if (!push_handler(L, "onMessage"))
        return 0;
    lua_pushlstring(L, (const char *)event->data, event->len);
    connection_push(L, event->peer);
    lua_pushboolean(L, event->binary);
    return call_handler(L, 3);
}

/* onError(connection, err) */
static int enter_error(lua_State *L)
{
    struct event *event = event_of(L);

    if (!push_handler(L, "onError"))
        return 0;
    connection_push(L, event->peer);
    lua_pushlstring(L, (const char *)event->data, event->len);
    return call_handler(L, 2);
}

/* onClose(connection, code, reason, clean) */
static int enter_close(lua_State *L)
{
    struct event *event = event_of(L);

    if (!push_handler(L, "onClose"))
        return 0;
    connection_push(L, event->peer);
    lua_pushinteger(L, event->code);
    lua_pushlstring(L, event->len ? (const char *)event->data : "", event->len);
    lua_pushboolean(L, event->clean);
    return call_handler(L, 4);
}

/* ---- requests ---- */

/* The stack of a request event: the request stays for an answer that needs it. */
enum { REQUEST_SELF = 1, REQUEST_OBJECT };

static int request_answered(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    struct vm *vm = vm_of(L);

    if (lua_isnil(L, -1))
        return luaL_error(L, "onRequest returned nothing; a Response, a string or a table is expected");
    if (response_events(L, -1)) {
        if (vm->room->destroying)
            return luaL_error(L, AFTER_DESTROY, "Response.events");
        events_answer(L, lua_gettop(L), REQUEST_OBJECT);
        return 0;
    }
    struct http_response *response = response_take(L, -1);
    if (!response)
        return luaL_error(L, "not enough memory for the response");
    room_respond(vm->room, vm->running->event, response);
    return 0;
}

/* onRequest(request) → Response */
static int enter_request(lua_State *L)
{
    struct event *event = event_of(L);

    if (!push_handler(L, "onRequest")) {
        room_respond(vm_of(L)->room, event, http_response_text(404, "Not implemented"));
        return 0;
    }
    request_push(L, event);
    lua_pushvalue(L, -1);
    lua_insert(L, REQUEST_OBJECT);
    lua_callk(L, 2, 1, 0, request_answered);
    return request_answered(L, LUA_OK, 0);
}

/* Nothing of the event runs any more. */
static void end_event(struct vm *vm, struct event *event, enum outcome outcome)
{
    bool last = event->kind == EVENT_STOP;

    room_event_done(vm->room, event, outcome);
    if (last && (vm->party->options.persist || keep_due(vm)))
        (void)keep_self(vm);
}

static void event_done(struct task *task, enum call_result result)
{
    if (result != CALL_DONE)
        report_event(task, result);
    end_event(task->vm, task->event, result == CALL_DONE ? OUTCOME_DONE : OUTCOME_FAILED);
}

/* ---- struct script_ops ---- */

static void *script_open(void *user, struct room *room)
{
    struct script *script = user;
    struct buf error = {0};
    int line;

    struct vm *vm = vm_new(script, room->party, room);
    if (!vm || vm_load(vm, &error, &line) != 0) {
        room_fail_start(room, report_start(script, room, &error));
        vm_free(vm);
        vm = NULL;
    }
    buf_fini(&error);
    return vm;
}

/* Is self kept for another VM? A lobby has none to keep. */
static bool persists(const struct vm *vm)
{
    return vm->party->options.persist && !vm->room->lobby;
}

/* The room's party has another version: its script takes over, and true; or the one before goes on, since
 * it is the same or the new one raises. */
static bool take_over(struct vm *vm)
{
    struct buf error = {0};
    int line;

    if (persists(vm))
        keep_first(vm);
    if (party_same(vm->party, vm->room->party)) {
        vm_rebase(vm, vm->room->party);
        return false;
    }
    int rc = vm_reload(vm, vm->room->party, &error, &line);
    if (rc != 0)
        report_reload(vm->script, vm->room, &error);
    buf_fini(&error);
    return rc == 0;
}

static const struct entry {
    const char *handler;
    lua_CFunction enter;
    const char *other; /* one that is called too; NULL: none */
    bool often;        /* so often that it is not worth asking first if there is a handler */
} entries[] = {
    [EVENT_START] = {"onStart", enter_start, NULL, false},
    [EVENT_CONNECT] = {"onConnect", enter_connect, "getConnectionTags", false},
    [EVENT_MESSAGE] = {"onMessage", enter_message, NULL, true},
    [EVENT_ERROR] = {"onError", enter_error, NULL, false},
    [EVENT_CLOSE] = {"onClose", enter_close, NULL, false},
    [EVENT_REQUEST] = {"onRequest", enter_request, NULL, true},
    [EVENT_CALL] = {"method", method_enter, NULL, true},
    [EVENT_RELOAD] = {"onReload", enter_reload, NULL, false},
    [EVENT_ALARM] = {"onAlarm", enter_alarm, NULL, true},
    [EVENT_HOOK] = {"hook", hook_enter, NULL, true},
    [EVENT_STOP] = {"onStop", enter_stop, NULL, false},
};

struct handler_search {
    const struct entry *entry;
    bool none;
};

static int search_handlers(lua_State *L)
{
    struct handler_search *search = lua_touserdata(L, 1);
    const char *other = search->entry->other;

    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF);
    lua_pushvalue(L, -1);
    search->none = !party_may_find(L, search->entry->handler);
    lua_settop(L, 2);
    search->none = search->none && !(other && party_may_find(L, other));
    return 0;
}

/* Has the party nothing to do with such an event? Then its VM need not make a coroutine: a room whose
 * party has no onConnect holds its sockets for less. */
static bool unhandled(struct vm *vm, const struct entry *entry)
{
    struct handler_search search = {.entry = entry};
    if (entry->enter == enter_start && vm->party->options.persist)
        return false;
    return !entry->often && call_protected(vm, search_handlers, &search) == 0 && search.none;
}

/* Runs the handler; the number of those that wait is the room's to know. */
static void script_run(void *instance, struct event *event)
{
    struct vm *vm = instance;
    enum call_result result;

    if (event->kind == EVENT_WAKE) {
        room_wait_end(vm->room);
        result = call_resume(event->handle);
    } else if (event->kind == EVENT_TIMER) {
        result = ((struct due *)event->handle)->run(vm, event->handle);
    } else if (event->kind == EVENT_RELOAD && (!take_over(vm) || vm->room->lobby)) {
        room_event_done(vm->room, event, OUTCOME_DONE);
        vm_ran(vm);
        return;
    } else if (unhandled(vm, &entries[event->kind])) {
        end_event(vm, event, OUTCOME_DONE);
        return;
    } else {
        const struct entry *entry = &entries[event->kind];
        const char *name = event->kind == EVENT_HOOK ? hook_name(event) : entry->handler;
        result = call_start(vm, name, entry->enter, event, NULL, event_done);
    }
    if (result == CALL_WAITING)
        room_wait_begin(vm->room);
    if (persists(vm))
        keep_ran(vm);
    vm_ran(vm);
}

static bool script_hibernates(const struct party *party)
{
    return party->options.hibernate;
}

static bool script_hibernate(void *instance)
{
    return keep_room(instance);
}

static void script_forget(void *instance, struct peer *peer)
{
    connection_forget(instance, peer);
}

static void script_close(void *instance)
{
    vm_free(instance);
}

static struct span script_party_name(const struct party *party)
{
    return span_of(party->name);
}

static struct party *script_party_ref(struct party *party)
{
    project_ref(party->project);
    return party;
}

static void script_party_unref(struct party *party)
{
    project_unref(party->project);
}

static bool script_has_hook(const struct party *party, enum hook_kind hook)
{
    return party->hooks[hook];
}

static enum duplicate_id script_duplicate_id(const struct party *party)
{
    return party->options.duplicate_id;
}

const struct script_ops script_ops = {
    .open = script_open,
    .run = script_run,
    .hibernates = script_hibernates,
    .hibernate = script_hibernate,
    .forget = script_forget,
    .close = script_close,
    .party_ref = script_party_ref,
    .party_unref = script_party_unref,
    .party_find = script_find_party,
    .party_name = script_party_name,
    .has_hook = script_has_hook,
    .duplicate_id = script_duplicate_id,
};

int script_init(struct script *script, struct project *project, struct loop *loop, struct counters *counters)
{
    *script = (struct script){.loop = loop, .counters = counters, .pool = pool_new()};
    list_init(&script->warm);
    if (!script->pool)
        return -ENOMEM;
    script_adopt(script, project);
    return 0;
}

void script_adopt(struct script *script, struct project *project)
{
    struct project *before = script->project;
    script->project = project_ref(project);
    script->config = &project->config;
    project_unref(before);
}

struct party *script_find_party(void *script, struct span name)
{
    return project_party(((struct script *)script)->project, name);
}

void script_fini(struct script *script)
{
    fetcher_free(script->fetcher);
    script->fetcher = NULL;
    pool_free(script->pool);
    script->pool = NULL;
    buf_fini(&script->encoded);
    project_unref(script->project);
    script->project = NULL;
}
