/* party.storage: the room's durable data. Values are encoded as they are at the call (value.h); what is known
 * without the store is answered at once, for anything else the handler waits (room/data.h).
 *
 * A function that finds something unknown asks for it and is called again, with the same arguments, when it is
 * there. Every function works as party.storage.f() and as party.storage:f(). */
#include "script/bind_storage.h"
#include "room/data.h"
#include "script/bind.h"
#include "script/quota.h"
#include "script/script.h"
#include "script/value.h"
#include "script/wait.h"

#include <errno.h>

static const char storage_type[] = "storage", transaction_type[] = "transaction";

/* ---- arguments and errors ---- */

static const struct limits *limits_of(lua_State *L)
{
    return &vm_of(L)->script->config->limits;
}

struct room *storage_room(lua_State *L)
{
    struct room *room = room_check(L);
    if (bind_test(L, 1, storage_type) || bind_test(L, 1, transaction_type))
        lua_remove(L, 1);
    return room;
}

static struct span key_check(lua_State *L, int index, const char *what)
{
    struct span key;
    size_t most = limits_of(L)->storage_key;

    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "%s is a string, not %s", what, luaL_typename(L, index));
    key.ptr = lua_tolstring(L, index, &key.len);
    if (key.len == 0)
        luaL_error(L, "%s is empty", what);
    if (key.len > most)
        luaL_error(L, "%s has %I bytes; %I are allowed (storageKey)", what, (lua_Integer)key.len,
                   (lua_Integer)most);
    return key;
}

void storage_result(lua_State *L, int rc)
{
    switch (rc) {
    case 0: break;
    case -ENOBUFS: luaL_error(L, "too much to store: one event can store a quarter of roomMemory"); break;
    case -ENODEV: luaL_error(L, "there is no storage here"); break;
    default: luaL_error(L, "not enough memory");
    }
}

/* key: the index of the key that it has among several; 0: it is the only one. */
static struct span encode(lua_State *L, int index, int key)
{
    return value_encode(L, index,
                        &(struct value_terms){.refusal = "can't be stored",
                                              .name = key ? "values" : "value",
                                              .key = key,
                                              .limit = "storageValue",
                                              .limit_bytes = limits_of(L)->storage_value});
}

static void push_decoded(lua_State *L, struct span key, struct span value)
{
    if (value_decode(L, value) != 0)
        luaL_error(L, "what is stored under \"%s\" is damaged, or was written by a later version", key.ptr);
}

/* ---- asking the store ---- */

void storage_answer(lua_State *L)
{
    struct data_answer answer;
    data_take(vm_of(L)->room, &answer);
    buf_fini(&answer.entries);
    if (answer.result != 0)
        luaL_error(L, "the room's storage could not be read: %s", answer.text);
}

/* The handler waits for these keys; then again is called. */
static int ask(lua_State *L, const struct span *keys, size_t n, int (*again)(lua_State *L, struct task *task))
{
    wait_check_store(L);
    storage_result(L, data_ask(vm_of(L)->room, keys, n, vm_of(L)->running));
    return wait_begin(L, again);
}

#define ASK_KEYS 128 /* at once */

/* The key of this number in the array at 1, which is pushed; false (and nothing pushed): there is none. An array's
 * length is not asked for: it may be a lie. */
static bool push_key(lua_State *L, lua_Integer number, struct span *key)
{
    quota_poll();
    if (lua_rawgeti(L, 1, number) == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    *key = key_check(L, -1, "a key");
    return true;
}

/* An array without a first key has none at all, or somebody means { a = 1 } by it. */
static void check_empty(lua_State *L)
{
    lua_pushnil(L);
    if (lua_next(L, 1))
        luaL_error(L, "keys are an array of strings, { \"a\", \"b\" }, not a table with other keys");
}

/* Begins with an array of keys: all of them are keys, or nothing is done. The stack is then: array, what has been
 * found (pushed by the caller), number of the key that comes next. */
static void begin_many(lua_State *L)
{
    struct span key;
    lua_Integer i = 1;

    for (; push_key(L, i, &key); i++)
        lua_pop(L, 1);
    if (i == 1)
        check_empty(L);
    lua_pushinteger(L, 1);
}

/* Asks for those that are unknown from this number on, of which it is the first. */
static int ask_many(lua_State *L, lua_Integer number, int (*again)(lua_State *L, struct task *task))
{
    struct span keys[ASK_KEYS], value;
    size_t n = 0;

    lua_pushinteger(L, number);
    lua_replace(L, 3);
    while (n < ASK_KEYS && push_key(L, number++, &keys[n])) {
        n += data_get(vm_of(L)->room, keys[n], &value) == DATA_UNKNOWN;
        lua_pop(L, 1); /* its bytes live in the array */
    }
    return ask(L, keys, n, again);
}

/* ---- get ---- */

static int get_one(lua_State *L);
static int get_many(lua_State *L);

static int get_one_again(lua_State *L, struct task *task)
{
    (void)task;
    storage_answer(L);
    return get_one(L);
}

static int get_many_again(lua_State *L, struct task *task)
{
    (void)task;
    storage_answer(L);
    return get_many(L);
}

static int get_one(lua_State *L)
{
    struct room *room = vm_of(L)->room;
    struct span key = key_check(L, 1, "a key"), value;

    switch (data_get(room, key, &value)) {
    case DATA_UNKNOWN: return ask(L, &key, 1, get_one_again);
    case DATA_ABSENT: lua_pushnil(L); break;
    case DATA_PRESENT: push_decoded(L, key, value); break;
    }
    return 1;
}

static int get_many(lua_State *L)
{
    struct room *room = vm_of(L)->room;
    struct span key, value;

    lua_settop(L, 3);
    for (lua_Integer i = lua_tointeger(L, 3); push_key(L, i, &key); i++) {
        switch (data_get(room, key, &value)) {
        case DATA_UNKNOWN: lua_pop(L, 1); return ask_many(L, i, get_many_again);
        case DATA_ABSENT: lua_pop(L, 1); break;
        case DATA_PRESENT:
            push_decoded(L, key, value);
            lua_rawset(L, 2);
            break;
        }
    }
    lua_settop(L, 2);
    return 1;
}

/* storage:get(key) → the value, or nil. storage:get({keys}) → a table of those that are there. */
static int storage_get(lua_State *L)
{
    storage_room(L);
    lua_settop(L, 1);
    if (!lua_istable(L, 1))
        return get_one(L);
    lua_newtable(L);
    begin_many(L);
    return get_many(L);
}

/* ---- put ---- */

static int relieved(lua_State *L, struct task *task)
{
    (void)L;
    (void)task;
    return 0;
}

/* A script that writes faster than the disk is to wait, where it can. */
static bool relieve(lua_State *L)
{
    struct vm *vm = vm_of(L);
    return !data_transaction(vm->room) && wait_is_possible(L) && data_relieve(vm->room, vm->running);
}

static int written(lua_State *L)
{
    return relieve(L) ? wait_begin(L, relieved) : 0;
}

static int put_one(lua_State *L)
{
    struct span key = key_check(L, 1, "a key");
    if (lua_isnoneornil(L, 2))
        luaL_error(L, "nil can't be stored; use delete");
    struct span value = encode(L, 2, 0);
    if (!data_fits(vm_of(L)->room, 1, key.len + value.len))
        storage_result(L, -ENOBUFS);
    vm_demand(L, data_cost(key.len + value.len));
    storage_result(L, data_put(vm_of(L)->room, key, value));
    return written(L);
}

/* All of them can be stored, or nothing is. */
static int put_many(lua_State *L)
{
    struct room *room = vm_of(L)->room;
    size_t n = 0, bytes = 0;

    for (int pass = 0; pass < 2; pass++) {
        if (pass > 0 && !data_fits(room, n, bytes))
            storage_result(L, -ENOBUFS);
        if (pass > 0)
            vm_demand(L, n * data_cost(0) + 2 * bytes);
        lua_pushnil(L);
        while (lua_next(L, 1)) {
            quota_poll();
            struct span key = key_check(L, -2, "a key");
            struct span value = encode(L, -1, lua_absindex(L, -2));
            if (pass > 0)
                storage_result(L, data_put(room, key, value));
            n++;
            bytes += key.len + value.len;
            lua_pop(L, 1);
        }
    }
    return written(L);
}

/* storage:put(key, value), storage:put({ key = value, … }) */
static int storage_put(lua_State *L)
{
    storage_room(L);
    if (lua_istable(L, 1) && lua_isnone(L, 2))
        return put_many(L);
    lua_settop(L, 2);
    return put_one(L);
}

/* ---- delete ---- */

static int delete_one(lua_State *L);
static int delete_many(lua_State *L);

static int delete_one_again(lua_State *L, struct task *task)
{
    (void)task;
    storage_answer(L);
    return delete_one(L);
}

static int delete_many_again(lua_State *L, struct task *task)
{
    (void)task;
    storage_answer(L);
    return delete_many(L);
}

static int delete_one(lua_State *L)
{
    struct room *room = vm_of(L)->room;
    struct span key = key_check(L, 1, "a key"), value;
    enum data_state state = data_get(room, key, &value);

    if (state == DATA_UNKNOWN)
        return ask(L, &key, 1, delete_one_again);
    vm_demand(L, data_cost(key.len));
    if (state == DATA_PRESENT)
        storage_result(L, data_delete(room, key));
    lua_pushboolean(L, state == DATA_PRESENT);
    return 1;
}

static int delete_many(lua_State *L)
{
    struct room *room = vm_of(L)->room;
    struct span key, value;

    lua_settop(L, 3);
    for (lua_Integer i = lua_tointeger(L, 3); push_key(L, i, &key); i++) {
        enum data_state state = data_get(room, key, &value);
        if (state == DATA_PRESENT) {
            vm_demand(L, data_cost(key.len));
            storage_result(L, data_delete(room, key));
            lua_pushinteger(L, lua_tointeger(L, 2) + 1);
            lua_replace(L, 2);
        }
        lua_pop(L, 1);
        if (state == DATA_UNKNOWN)
            return ask_many(L, i, delete_many_again);
    }
    lua_settop(L, 2);
    return 1;
}

/* storage:delete(key) → was it there? storage:delete({keys}) → how many were. */
static int storage_delete(lua_State *L)
{
    storage_room(L);
    lua_settop(L, 1);
    if (!lua_istable(L, 1))
        return delete_one(L);
    lua_pushinteger(L, 0);
    begin_many(L);
    return delete_many(L);
}

/* storage:deleteAll(): all keys; the alarm stays. */
static int storage_delete_all(lua_State *L)
{
    struct room *room = storage_room(L);
    vm_demand(L, data_cost(0));
    storage_result(L, data_clear(room));
    return written(L);
}

/* ---- transactions ---- */

struct transaction_box {
    uint64_t number; /* 0: it is over */
};

/* It may also have ended with the turn, when the handler was cut. */
static bool is_open(lua_State *L, const struct transaction_box *box)
{
    const struct room *room = vm_of(L)->room;
    return box->number > 0 && room && data_transaction(room) == box->number;
}

static void end_transaction(lua_State *L, struct transaction_box *box, bool keep)
{
    if (is_open(L, box))
        data_transaction_end(vm_of(L)->room, keep);
    box->number = 0;
}

static struct transaction_box *transaction_check(lua_State *L)
{
    return bind_check(L, 1, transaction_type);
}

/* txn:rollback(): takes back what was written in the transaction, which is over then. */
static int transaction_rollback(lua_State *L)
{
    struct transaction_box *box = transaction_check(L);
    if (!is_open(L, box))
        return luaL_error(L, "the transaction is over");
    end_transaction(L, box, false);
    return 0;
}

/* The stack: function, transaction, results. */
static int transaction_over(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    struct transaction_box *box = lua_touserdata(L, 1);
    bool failed = status != LUA_OK && status != LUA_YIELD;

    end_transaction(L, box, !failed);
    if (failed)
        return lua_error(L);
    return lua_gettop(L) - 1;
}

static int run_transaction(lua_State *L, struct task *task)
{
    static const luaL_Reg metamethods[] = {{"__index", storage_index},
                                           {"__newindex", bind_read_only},
                                           {NULL, NULL}};
    struct room *room = task->vm->room;
    struct transaction_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->number = 0;
    bind_metatable(L, transaction_type, metamethods);
    lua_setmetatable(L, -2);
    lua_insert(L, 1);
    lua_pushvalue(L, 1);
    storage_result(L, data_transaction_begin(room));
    box->number = data_transaction(room);
    task->vm->transactor = L;
    return transaction_over(L, lua_pcallk(L, 1, LUA_MULTRET, 0, 0, transaction_over), 0);
}

/* storage:transaction(fn) → what fn(txn) returns. All that it writes is kept, or nothing: when it raises, which is
 * raised again, or calls txn:rollback(). txn has the functions of storage. */
static int storage_transaction(lua_State *L)
{
    struct room *room = storage_room(L);

    skipped_type(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    if (data_transaction(room))
        return luaL_error(L, "a transaction runs already");
    return relieve(L) ? wait_begin(L, run_transaction) : run_transaction(L, vm_of(L)->running);
}

/* ---- sync and alarms ---- */

static int synced(lua_State *L, struct task *task)
{
    (void)L;
    (void)task;
    return 0;
}

/* storage:sync(): waits until all that the room has written is durable. */
static int storage_sync(lua_State *L)
{
    struct room *room = storage_room(L);
    if (data_transaction(room))
        return luaL_error(L, "sync is not possible inside of a transaction");
    wait_check_store(L);
    return data_sync(room, vm_of(L)->running) ? wait_begin(L, synced) : 0;
}

/* As ms these are in 1970 to 1973; as seconds from 2001 on. */
#define SECONDS_FROM 1e9
#define SECONDS_TO 1e11

/* storage:setAlarm(time): onAlarm is called then, in place of the time before. */
static int storage_set_alarm(lua_State *L)
{
    struct room *room = storage_room(L);
    lua_Number time = skipped_number(L, 1);

    if (!(time >= 1 && time < 0x1p53))
        skipped_error(L, 1, "a time in ms since 1970 expected");
    if (time >= SECONDS_FROM && time < SECONDS_TO)
        skipped_error(
            L, 1,
            "a time in ms since 1970 expected; this looks like seconds, as os.time() has them: use now()");
    vm_demand(L, data_cost(0));
    storage_result(L, data_set_alarm(room, (int64_t)time));
    return written(L);
}

/* storage:deleteAlarm() */
static int storage_delete_alarm(lua_State *L)
{
    struct room *room = storage_room(L);
    vm_demand(L, data_cost(0));
    storage_result(L, data_set_alarm(room, 0));
    return written(L);
}

static int push_alarm(lua_State *L);

static int push_alarm_again(lua_State *L, struct task *task)
{
    (void)task;
    storage_answer(L);
    return push_alarm(L);
}

static int push_alarm(lua_State *L)
{
    struct room *room = vm_of(L)->room;
    int64_t time;

    if (!data_alarm(room, &time)) {
        wait_check_store(L);
        storage_result(L, data_ask_head(room, vm_of(L)->running));
        return wait_begin(L, push_alarm_again);
    }
    if (time > 0)
        lua_pushinteger(L, time);
    else
        lua_pushnil(L);
    return 1;
}

/* storage:getAlarm() → ms since 1970, or nil. */
static int storage_get_alarm(lua_State *L)
{
    storage_room(L);
    return push_alarm(L);
}

/* ---- the objects ---- */

static const luaL_Reg methods[] = {
    {"get", storage_get},
    {"put", storage_put},
    {"delete", storage_delete},
    {"list", storage_list},
    {"deleteAll", storage_delete_all},
    {"transaction", storage_transaction},
    {"sync", storage_sync},
    {"setAlarm", storage_set_alarm},
    {"getAlarm", storage_get_alarm},
    {"deleteAlarm", storage_delete_alarm},
    {NULL, NULL},
};

static const luaL_Reg own[] = {{"rollback", transaction_rollback}, {NULL, NULL}}; /* a transaction's */

const struct bind_members storage_members = {methods, NULL}, transaction_members = {own, NULL};

int storage_index(lua_State *L)
{
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    struct transaction_box *box = bind_test(L, 1, transaction_type);

    if (box && !is_open(L, box))
        return luaL_error(L, "the transaction is over");
    if (!(box && bind_method(L, own, key)) && !bind_method(L, methods, key))
        lua_pushnil(L);
    return 1;
}

void storage_push(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__index", storage_index},
                                           {"__newindex", bind_read_only},
                                           {NULL, NULL}};
    lua_newuserdatauv(L, 1, 0);
    bind_metatable(L, storage_type, metamethods);
    lua_setmetatable(L, -2);
}
