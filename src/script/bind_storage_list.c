/* party.storage:list: goes through a range of keys, a page at a time. */
#include "base/buf.h"
#include "room/data.h"
#include "script/bind.h"
#include "script/bind_storage.h"
#include "script/script.h"
#include "script/value.h"
#include "script/wait.h"
#include "store/store.h"

#include <errno.h>

/* Where an iteration stands. */
struct listing {
    struct held held;
    struct buf start, finish; /* of what is still to come */
    bool bounded;             /* finish counts */
    bool reverse;
    bool ended;          /* there is no page behind this one */
    lua_Integer left;    /* entries that may still be given; -1: any number */
    struct buf page;     /* key, value, … */
    size_t at;           /* bytes of it that were given */
    size_t given;        /* where the last entry lies in it that was, if at is not 0 */
    struct buf next;     /* where the page behind it begins, or (reverse) ends */
    bool tentative;      /* it was read in a transaction: what it has may be taken back */
    uint64_t taken_back; /* data_taken_back then */
    size_t charged;      /* for all of these */
};

static void release(struct vm *vm, struct held *held)
{
    struct listing *list = container_of(held, struct listing, held);
    vm_discharge(vm, list->charged);
    buf_fini(&list->start);
    buf_fini(&list->finish);
    buf_fini(&list->page);
    buf_fini(&list->next);
}

static struct span span_over(const struct buf *buf)
{
    return (struct span){buf->data ? (const char *)buf->data : "", buf->len};
}

static void set_bytes(lua_State *L, struct buf *buf, struct span bytes)
{
    buf->len = 0;
    if (buf_append(buf, bytes.ptr, bytes.len) != 0)
        luaL_error(L, "not enough memory");
}

/* The room's account has what the iteration holds now. */
static void account(struct vm *vm, struct listing *list)
{
    vm_discharge(vm, list->charged);
    list->charged = sizeof *list + list->start.cap + list->finish.cap + list->page.cap + list->next.cap;
    vm_charge(vm, list->charged);
}

/* ---- options ---- */

/* The first key behind this one. */
static void step_behind(lua_State *L, struct buf *key)
{
    if (buf_append(key, "", 1) != 0)
        luaL_error(L, "not enough memory");
}

/* The first key behind all those that begin with this; false: there is none. */
static bool step_over(struct buf *prefix)
{
    while (prefix->len > 0 && prefix->data[prefix->len - 1] == 0xff)
        prefix->len--;
    if (prefix->len == 0)
        return false;
    prefix->data[prefix->len - 1]++;
    return true;
}

static void begin_at(lua_State *L, struct listing *list, struct span key, bool behind)
{
    if (span_compare(key, span_over(&list->start)) < 0)
        return;
    set_bytes(L, &list->start, key);
    if (behind)
        step_behind(L, &list->start);
}

static void end_before(lua_State *L, struct listing *list, struct span key)
{
    if (list->bounded && span_compare(key, span_over(&list->finish)) > 0)
        return;
    set_bytes(L, &list->finish, key);
    list->bounded = true;
}

static struct span option_key(lua_State *L, const char *name)
{
    struct span key;
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "%s is a string, not %s", name, luaL_typename(L, -1));
    key.ptr = lua_tolstring(L, -1, &key.len);
    vm_demand(L, 2 * key.len); /* it is copied, and a buffer has up to twice of what is in it */
    return key;
}

static void read_limit(lua_State *L, struct listing *list)
{
    int is_integer;
    list->left = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || list->left < 1)
        luaL_error(L, "limit is an integer, 1 or more");
}

static void read_prefix(lua_State *L, struct listing *list)
{
    struct span prefix = option_key(L, "prefix");
    struct buf behind = {0};
    begin_at(L, list, prefix, false);
    if (buf_append(&behind, prefix.ptr, prefix.len) != 0)
        luaL_error(L, "not enough memory");
    if (step_over(&behind) &&
        (!list->bounded || span_compare(span_over(&behind), span_over(&list->finish)) <= 0)) {
        buf_fini(&list->finish);
        list->finish = behind; /* it has an owner now */
        list->bounded = true;
    } else {
        buf_fini(&behind);
    }
}

static void read_options(lua_State *L, int index, struct listing *list)
{
    bool start = false, after = false;

    lua_pushnil(L);
    while (lua_next(L, index)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (strcmp(name, "prefix") == 0) {
            read_prefix(L, list);
        } else if (strcmp(name, "start") == 0) {
            start = true;
            begin_at(L, list, option_key(L, name), false);
        } else if (strcmp(name, "startAfter") == 0) {
            after = true;
            begin_at(L, list, option_key(L, name), true);
        } else if (strcmp(name, "finish") == 0) {
            end_before(L, list, option_key(L, name));
        } else if (strcmp(name, "reverse") == 0) {
            list->reverse = lua_toboolean(L, -1) != 0;
        } else if (strcmp(name, "limit") == 0) {
            read_limit(L, list);
        } else {
            luaL_error(L, "unknown option %s: prefix, start, startAfter, finish, reverse and limit are known",
                       bind_quote(name).text);
        }
        lua_pop(L, 1);
    }
    if (start && after)
        luaL_error(L, "start and startAfter can't be used together");
}

/* ---- pages ---- */

static int next_entry(lua_State *L);

/* The range goes on at this key, which is the list's then: without it, when it goes backwards. */
static void go_on_at(lua_State *L, struct listing *list, struct buf *key)
{
    struct buf *border = list->reverse ? &list->finish : &list->start;

    buf_fini(border);
    *border = *key;
    *key = (struct buf){0};
    list->bounded = list->bounded || list->reverse;
    if (!list->reverse)
        step_behind(L, border);
}

/* The page has what a transaction had written that was taken back: what follows the last entry is read anew. */
static void drop_page(lua_State *L, struct listing *list)
{
    struct span last = {(const char *)list->page.data + list->given, list->page.len - list->given}, key;

    if (list->at > 0) {
        (void)store_next_bytes(&last, &key);
        set_bytes(L, &list->next, key);
        go_on_at(L, list, &list->next);
    }
    buf_fini(&list->next);
    buf_fini(&list->page);
    list->at = 0;
    list->ended = list->tentative = false;
}

/* The page has come. */
static int page_came(lua_State *L, struct task *task)
{
    struct listing *list = held_of(L, lua_upvalueindex(1));
    struct vm *vm = task->vm;
    struct data_answer answer;

    data_take(vm->room, &answer);
    buf_fini(&list->page);
    list->page = answer.entries;
    list->at = 0;
    list->ended = !answer.more;
    list->tentative = data_transaction(vm->room) != 0;
    list->taken_back = data_taken_back(vm->room);
    buf_fini(&list->next);
    list->next = answer.end;
    account(vm, list);
    if (answer.result != 0)
        return luaL_error(L, "the room's storage could not be read: %s", answer.text);
    return next_entry(L);
}

static int ask_page(lua_State *L, struct listing *list)
{
    struct vm *vm = vm_of(L);
    if (list->next.len > 0) /* else it is the first page */
        go_on_at(L, list, &list->next);
    struct data_range range = {.start = span_over(&list->start),
                               .finish = list->bounded ? span_over(&list->finish) : (struct span){0},
                               .reverse = list->reverse,
                               .limit = list->left < 0 || list->left > UINT32_MAX ? 0 : (uint32_t)list->left};

    wait_check_store(L);
    vm_demand(L, STORE_PAGE);
    storage_result(L, data_ask_range(vm->room, &range, vm->running));
    return wait_begin(L, page_came);
}

/* The iterator: key, value; nil at the end. */
static int next_entry(lua_State *L)
{
    struct listing *list = held_of(L, lua_upvalueindex(1));
    struct span key, value;

    room_check(L);
    lua_settop(L, 0);
    if (list->tentative && list->taken_back != data_taken_back(vm_of(L)->room))
        drop_page(L, list);
    struct span rest = {(const char *)list->page.data + list->at, list->page.len - list->at};
    if (list->left == 0) {
        lua_pushnil(L);
        return 1;
    }
    if (rest.len == 0) {
        if (!list->ended)
            return ask_page(L, list);
        lua_pushnil(L);
        return 1;
    }
    (void)store_next_bytes(&rest, &key);
    (void)store_next_bytes(&rest, &value);
    list->given = list->at;
    list->at = list->page.len - rest.len;
    if (list->left > 0)
        list->left--;
    lua_pushlstring(L, key.ptr, key.len);
    if (value_decode(L, value) != 0)
        return luaL_error(L, "what is stored under \"%s\" is damaged, or was written by a later version",
                          lua_tostring(L, 1));
    return 2;
}

int storage_list(lua_State *L)
{
    storage_room(L);
    lua_settop(L, 1);
    struct listing *list = held_push(L, 0, sizeof *list, release);
    list->left = -1;
    if (!lua_isnil(L, 1)) {
        skipped_type(L, 1, LUA_TTABLE);
        read_options(L, 1, list);
    }
    account(vm_of(L), list);
    if (list->bounded && span_compare(span_over(&list->start), span_over(&list->finish)) >= 0)
        list->ended = true;
    lua_pushcclosure(L, next_entry, 1);
    return 1;
}
