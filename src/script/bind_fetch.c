/* fetch(url [, init]): the request leaves through the room's gate, behind what was sent before it and once what was
 * written is durable; the handler waits, and other events of the room run. */
#include "script/bind_fetch.h"

#include "base/check.h"
#include "http/field.h"
#include "script/call.h"
#include "script/script.h"
#include "script/wait.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define HEAD_COPIES 2 /* of URL, method and headers, while a fetch is under way: ours and curl's */

/* What is to be sent, while it waits at the gate: the room's queue may outlive the VM. */
struct sending {
    struct departure departure;
    struct fetching *fetching; /* NULL: the script has gone */
    struct fetch_options options;
    char *url, *method, *headers; /* owned; of options */
};

/* ---- what a script holds ---- */

static void sending_free(struct sending *sending)
{
    if (!sending)
        return;
    if (sending->options.share)
        sending->options.share->count--;
    fetch_share_unref(sending->options.share);
    bytes_unref(sending->options.body);
    free(sending->url);
    free(sending->method);
    free(sending->headers);
    free(sending);
}

static void fetching_release(struct vm *vm, struct held *held)
{
    struct fetching *fetching = container_of(held, struct fetching, held);

    if (fetching->sending && fetching->sending->departure.leave)
        fetching->sending->fetching = NULL; /* the gate's */
    else
        sending_free(fetching->sending);
    if (vm->script->fetch_stub)
        vm->script->fetch_stub->close(vm->script->fetch_stub, &fetching->fetch);
    fetch_close(&fetching->fetch);
    vm_discharge(vm, fetching->charged);
}

void fetching_account(struct fetching *fetching)
{
    const struct fetch *fetch = &fetching->fetch;
    bool under_way = fetching->sending || fetch->state == FETCH_RUNNING || fetch->state == FETCH_HEAD;
    size_t body = fetch->body.cap;

    if (under_way && body < fetching->granted)
        body = fetching->granted;
    vm_discharge(fetching->vm, fetching->charged);
    fetching->charged = sizeof *fetching + fetch->headers.cap + body + fetch_decoding(fetch) +
                        (under_way ? FETCH_COST + fetching->request : 0);
    vm_charge(fetching->vm, fetching->charged);
}

/* ---- waiting ---- */

bool fetching_over(struct fetching *fetching)
{
    return fetching->dropped || fetching->fetch.state == FETCH_COMPLETE ||
           fetching->fetch.state == FETCH_FAILED;
}

/* All of the response, or its head if the script reads the body while it comes. */
static bool has_response(struct fetching *fetching)
{
    return fetching_over(fetching) || (fetching->stream && fetching->fetch.state == FETCH_HEAD);
}

int fetching_failed(lua_State *L, const struct fetching *fetching)
{
    enum fetch_error error = fetching->dropped ? FETCH_ABORTED : fetching->fetch.error;

    lua_pushnil(L);
    lua_pushstring(
        L, fetching->dropped
               ? "it was not sent: what was written before it could not be stored, or the room has gone"
               : fetching->fetch.message);
    lua_pushstring(L, fetch_error_code(error));
    return 3;
}

/* More of the body may wait in memory, for the handler that wants all of it. Its VM does not run now, and what waits
 * is alive. */
static void grow(struct fetching *fetching)
{
    struct vm *vm = fetching->vm;
    struct fetch *fetch = &fetching->fetch;
    size_t more = fetch->allowed, most = (size_t)vm->script->config->limits.fetch_body;

    if (fetching->stream && fetch->allowed >= most) {
        fetch_fail(fetch, FETCH_TOO_LARGE, "the body is too large");
        return;
    }
    if (fetching->stream && more > most - fetch->allowed)
        more = most - fetch->allowed;
    if (!vm_has_room(vm, more))
        fetch_fail(fetch, FETCH_TOO_LARGE, "the body is too large for the room's memory");
    else
        fetch_allow(fetch, fetching->granted = fetch->allowed + more);
    fetching_account(fetching); /* before the next one asks */
}

static void wake(struct fetching *fetching)
{
    struct task *task = fetching->task;

    fetching->task = NULL;
    room_wake(fetching->vm->room, task);
}

static void on_changed(struct fetch *fetch)
{
    struct fetching *fetching = container_of(fetch, struct fetching, fetch);

    fetching_account(fetching);
    if (fetch->starved && fetching->task && fetching->gathers)
        grow(fetching);
    if (fetching->task && fetching->ready(fetching))
        wake(fetching);
}

static void forget(struct task *task)
{
    ((struct fetching *)task->waited)->task = NULL;
}

int fetching_wait(lua_State *L, struct fetching *fetching, bool (*ready)(struct fetching *fetching),
                  int (*push)(lua_State *L, struct task *task))
{
    struct task *task = vm_of(L)->running;

    wait_check(L);
    if (fetching->task)
        return luaL_error(L, "another handler is reading this response");
    fetching->task = task;
    fetching->ready = ready;
    task->waited = fetching;
    task->forget = forget;
    if (fetching->gathers && fetching->fetch.starved)
        fetch_touch(&fetching->fetch); /* it may grow once this one waits */
    return wait_begin(L, push);
}

/* ---- through the gate ---- */

static void leave(struct departure *departure)
{
    struct sending *sending = container_of(departure, struct sending, departure);
    struct fetching *fetching = sending->fetching;

    if (fetching) {
        fetching->sending = NULL;
        fetching->vm->script->counters->fetches++;
        const struct fetch_stub *stub = fetching->vm->script->fetch_stub;
        if (stub)
            stub->start(stub, &fetching->fetch, &sending->options);
        else
            fetch_start(fetching->vm->script->fetcher, &fetching->fetch, &sending->options);
        fetching_account(fetching);
    }
    sending_free(sending);
}

static void drop(struct departure *departure)
{
    struct sending *sending = container_of(departure, struct sending, departure);
    struct fetching *fetching = sending->fetching;

    if (fetching) {
        fetching->sending = NULL;
        fetching->dropped = true;
        fetching_account(fetching);
        if (fetching->task)
            wake(fetching);
    }
    sending_free(sending);
}

/* ---- the call ---- */

/* The stack of fetch. */
enum { AT_URL = 1, AT_INIT, AT_METHOD, AT_HEADERS, AT_BODY, AT_FETCHING };

struct call {
    bool stream, json, typed;
    double timeout; /* ms; 0: not said */
    enum fetch_redirect redirect;
};

/* Bytes of a URL. curl takes up to 8 MB, and looks at a host's name for a tenth of a second. */
#define URL_MAX (64u * 1024u)

static void check_url(lua_State *L)
{
    size_t len;
    const char *url = luaL_checklstring(L, AT_URL, &len);
    int rc = -EINVAL;

    luaL_argcheck(L, len <= URL_MAX, AT_URL, "a URL has at most 64 KiB");
    if (strlen(url) == len && http_is_field_value((struct span){url, len}))
        rc = fetch_url_check(url);
    luaL_argcheck(L, rc != -EPROTONOSUPPORT, AT_URL, "the URL is not of http or https");
    luaL_argcheck(L, rc != -EINVAL, AT_URL, "a whole URL expected, like https://example.com/path");
    if (rc != 0)
        luaL_error(L, "not enough memory");
}

/* The method at the top; those that everybody knows may be written in small letters. */
static void take_method(lua_State *L)
{
    static const char *const known[] = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"};
    struct span method = SPAN("");

    if (lua_type(L, -1) == LUA_TSTRING)
        method.ptr = lua_tolstring(L, -1, &method.len);
    if (!http_is_token(method))
        luaL_error(L, "method is a name like \"POST\"");
    if (span_equal_nocase(method, SPAN("CONNECT")) || span_equal_nocase(method, SPAN("TRACE")))
        luaL_error(L, "the method %s can't be used", bind_quote(method.ptr).text);
    lua_pushvalue(L, -1);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_equal_nocase(method, span_of(known[i]))) {
            lua_pop(L, 1);
            lua_pushstring(L, known[i]);
        }
    }
    lua_replace(L, AT_METHOD);
}

static enum fetch_redirect redirect_at_top(lua_State *L)
{
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";

    if (strcmp(name, "follow") == 0)
        return FETCH_FOLLOW;
    if (strcmp(name, "manual") == 0)
        return FETCH_MANUAL;
    if (strcmp(name, "error") != 0)
        luaL_error(L, "redirect is \"follow\", \"manual\" or \"error\"");
    return FETCH_REFUSE;
}

static void take_body(lua_State *L, bool json)
{
    if (!lua_isnil(L, AT_BODY))
        luaL_error(L, "body and json can't be used together");
    if (json)
        json_push(L, lua_gettop(L), false);
    else if (lua_type(L, -1) == LUA_TSTRING)
        lua_pushvalue(L, -1);
    else
        luaL_error(L, "body is a string, not %s (json sends tables)", luaL_typename(L, -1));
    lua_replace(L, AT_BODY);
}

static void take_option(lua_State *L, const char *name, struct call *call)
{
    if (strcmp(name, "method") == 0) {
        take_method(L);
    } else if (strcmp(name, "headers") == 0) {
        if (!lua_istable(L, -1))
            luaL_error(L, "headers is a table of names and values, not %s", luaL_typename(L, -1));
        call->typed = header_lines_push(L, lua_gettop(L));
        lua_replace(L, AT_HEADERS);
    } else if (strcmp(name, "body") == 0 || strcmp(name, "json") == 0) {
        call->json = *name == 'j';
        take_body(L, call->json);
    } else if (strcmp(name, "timeout") == 0) {
        call->timeout = lua_type(L, -1) == LUA_TNUMBER ? ceil(lua_tonumber(L, -1)) : 0;
        if (!(call->timeout >= 1 && call->timeout <= 86400000))
            luaL_error(L, "timeout is a number of ms, from 1 to a day");
    } else if (strcmp(name, "redirect") == 0) {
        call->redirect = redirect_at_top(L);
    } else if (strcmp(name, "stream") == 0) {
        if (!lua_isboolean(L, -1))
            luaL_error(L, "stream is true or false");
        call->stream = lua_toboolean(L, -1) != 0;
    } else {
        luaL_error(L,
                   "unknown option %s: method, headers, body, json, timeout, redirect and stream are known",
                   bind_quote(name).text);
    }
}

/* Everything at its place on the stack, checked. */
static void read_call(lua_State *L, struct call *call)
{
    lua_settop(L, AT_INIT);
    check_url(L);
    if (!lua_isnil(L, AT_INIT))
        luaL_checktype(L, AT_INIT, LUA_TTABLE);
    lua_pushliteral(L, "GET");
    lua_pushliteral(L, "");
    lua_pushnil(L); /* AT_BODY */
    for (lua_pushnil(L); lua_istable(L, AT_INIT) && lua_next(L, AT_INIT); lua_settop(L, AT_BODY + 1))
        take_option(L, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?", call);
    lua_settop(L, AT_BODY);
    if (lua_isnil(L, AT_BODY))
        return;
    const char *method = lua_tostring(L, AT_METHOD);
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        luaL_error(L, "a %s has no body: say method = \"POST\"", method);
    if (!call->typed) {
        lua_pushvalue(L, AT_HEADERS);
        lua_pushstring(L, call->json ? "Content-Type: application/json\r\n"
                                     : "Content-Type: text/plain;charset=UTF-8\r\n");
        lua_concat(L, 2);
        lua_replace(L, AT_HEADERS);
    }
}

/* A copy of the string at index; raises when there is no memory. */
static char *copy_string(lua_State *L, int index, size_t *len)
{
    const char *text = lua_tolstring(L, index, len);
    char *copy = malloc(*len + 1);

    if (!copy)
        luaL_error(L, "not enough memory");
    else
        memcpy(copy, text, *len + 1);
    return copy;
}

/* What is on the stack, in C: all of it is the object's that is at AT_FETCHING. */
static struct sending *make_sending(lua_State *L, struct fetching *fetching, const struct call *call)
{
    struct vm *vm = vm_of(L);
    const struct config *config = vm->script->config;
    size_t url_len, method_len, headers_len, body_len = 0;
    struct sending *sending = calloc(1, sizeof *sending);

    if (!sending) {
        luaL_error(L, "not enough memory");
        return NULL; /* not reached */
    }
    struct fetch_options *options = &sending->options;
    fetching->sending = sending;
    sending->fetching = fetching;
    sending->url = copy_string(L, AT_URL, &url_len);
    sending->method = copy_string(L, AT_METHOD, &method_len);
    sending->headers = copy_string(L, AT_HEADERS, &headers_len);
    fetching->request = HEAD_COPIES * (url_len + method_len + headers_len);
    *options = (struct fetch_options){
        .url = sending->url,
        .method = sending->method,
        .headers = {sending->headers, headers_len},
        .ca_file = config->fetch_ca,
        .timeout_ms = call->timeout > 0 ? (uint64_t)call->timeout : config->limits.fetch_timeout,
        .most = (size_t)config->limits.fetch_body,
        .redirect = call->redirect,
        .stream = call->stream,
        .public_only = !config->fetch_private,
    };
    const char *body = lua_isnil(L, AT_BODY) ? NULL : lua_tolstring(L, AT_BODY, &body_len);
    if (body)
        options->body = message_bytes(L, body, body_len);
    fetching->request += body_len;
    options->share = fetch_share_ref(vm->fetches);
    options->share->count++;
    sending->departure = (struct departure){leave, drop, sizeof *sending + fetching->request};
    return sending;
}

/* There is a response, or none. */
static int push_result(lua_State *L, struct task *task)
{
    struct fetching *fetching = task->waited;

    if (fetching->dropped ||
        (fetching->fetch.state == FETCH_FAILED && !(fetching->stream && fetching->fetch.has_head))) {
        task->vm->script->counters->fetches_failed++;
        return fetching_failed(L, fetching);
    }
    lua_settop(L, AT_FETCHING);
    fetched_make(L, AT_FETCHING);
    return 1;
}

/* Is there one more in the room? */
static bool may_begin(lua_State *L, struct vm *vm)
{
    if (!vm->fetches)
        vm->fetches = fetch_share_new();
    if (!vm->fetches) {
        luaL_error(L, "not enough memory");
        return false; /* not reached */
    }
    return vm->fetches->count < vm->script->config->limits.fetches;
}

/* fetch(url [, { method, headers, body, json, timeout, redirect, stream }]) → response, or nil, message, code */
int base_fetch(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct call call = {0};

    read_call(L, &call);
    wait_check(L);
    if (!may_begin(L, vm)) {
        lua_pushnil(L);
        lua_pushfstring(L, "too many fetches at once: %I (fetches)",
                        (lua_Integer)vm->script->config->limits.fetches);
        lua_pushliteral(L, "too_many");
        return 3;
    }
    if (!vm->script->fetcher)
        vm->script->fetcher = fetcher_new(vm->script->loop);
    vm_demand(L, sizeof(struct fetching) + FETCH_COST + FETCH_WINDOW +
                     HEAD_COPIES *
                         (lua_rawlen(L, AT_URL) + lua_rawlen(L, AT_METHOD) + lua_rawlen(L, AT_HEADERS)) +
                     (lua_isnil(L, AT_BODY) ? 0 : lua_rawlen(L, AT_BODY)));
    struct fetching *fetching = held_push(L, FETCHED_VALUES, sizeof *fetching, fetching_release);
    fetching->vm = vm;
    fetching->fetch.changed = on_changed;
    fetching->stream = call.stream;
    fetching->gathers = !call.stream;
    lua_gc(L, LUA_GCSTEP, (int)(FETCH_COST / 1024)); /* the collector sees no more than the box */
    struct sending *sending = make_sending(L, fetching, &call);
    fetching_account(fetching);
    output_check(L, room_depart(vm->room, &sending->departure));
    return fetching_wait(L, fetching, has_response, push_result);
}
