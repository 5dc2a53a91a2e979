/* Keeps self and the state of connections beyond their VM. */
#include "script/keep.h"

#include "base/log.h"
#include "loop/timer.h"
#include "room/data.h"
#include "script/bind.h"
#include "script/script.h"
#include "script/value.h"
#include "store/store.h"

#include <stdlib.h>

/* While events come in, self is saved this often. */
#define SAVE_MS 1000u

struct keep {
    struct vm *vm;
    struct timer timer;
    struct buf restored; /* while it is being decoded */
    uint64_t hash;       /* of what was saved or restored last */
    bool has_hash;
    bool failed; /* the last try, which was said in the log */
};

static void on_timer(struct timer *timer)
{
    struct vm *vm = container_of(timer, struct keep, timer)->vm;
    if (data_saving(vm->room)) /* the disk is behind: one copy at a time */
        timer_start(timer->loop, timer, SAVE_MS);
    else
        (void)keep_self(vm);
}

/* Made when it is first needed. NULL: no memory. */
static struct keep *keep_of(struct vm *vm)
{
    if (!vm->keep) {
        vm->keep = calloc(1, sizeof *vm->keep);
        if (vm->keep) {
            vm->keep->vm = vm;
            vm->keep->timer.fn = on_timer;
        }
    }
    return vm->keep;
}

void keep_free(struct keep *keep)
{
    if (!keep)
        return;
    timer_stop(&keep->timer);
    buf_fini(&keep->restored);
    free(keep);
}

/* ---- encoding, protected ---- */

/* A value to be encoded, and what came of it. */
struct encoding {
    struct peer *peer; /* its connection's state; NULL: self */
    struct span bytes; /* the thread's (value_encode) */
    char error[256];   /* empty: none */
};

static int encode(lua_State *L)
{
    struct encoding *encoding = lua_touserdata(L, 1);
    struct value_terms terms = {.refusal = "can't be kept",
                                .name = "self",
                                .limit = "roomMemory",
                                .limit_bytes = vm_of(L)->script->config->limits.room_memory,
                                .bare = true};

    if (encoding->peer) {
        terms.name = "connection.state";
        terms.bare = false;
        connection_push_state(L, encoding->peer);
        if (lua_isnil(L, -1)) {
            encoding->bytes = (struct span){0};
            return 0;
        }
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF);
    }
    encoding->bytes = value_encode(L, -1, &terms);
    return 0;
}

static int try_encode(lua_State *L)
{
    struct encoding *encoding = lua_touserdata(L, 1);

    lua_pushcfunction(L, encode);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        snprintf(encoding->error, sizeof encoding->error, "%s",
                 lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no message");
    return 0;
}

static bool encoded(struct vm *vm, struct encoding *encoding)
{
    if (call_protected(vm, try_encode, encoding) != 0)
        snprintf(encoding->error, sizeof encoding->error, "not enough memory");
    return encoding->error[0] == '\0';
}

/* ---- self ---- */

static void say_failed(struct vm *vm, const char *what, const char *why)
{
    log_event(LOG_ERROR, what, log_str("party", vm->party->name), log_str("room", vm->room->id),
              log_str("error", why));
}

bool keep_self(struct vm *vm)
{
    struct keep *keep = keep_of(vm);
    struct encoding encoding = {0};

    if (!keep)
        return false;
    timer_stop(&keep->timer);
    if (!encoded(vm, &encoding)) {
        if (!keep->failed)
            say_failed(vm, "self is not saved (persist)", encoding.error);
        keep->failed = true;
        return false;
    }
    uint64_t hash = map_hash(encoding.bytes.ptr, encoding.bytes.len);
    keep->failed = false;
    if (keep->has_hash && keep->hash == hash)
        return true;
    if (data_save_self(vm->room, encoding.bytes) != 0)
        return false;
    keep->hash = hash;
    keep->has_hash = true;
    return true;
}

void keep_ran(struct vm *vm)
{
    if (vm->room->state == ROOM_STARTING) /* a self that is not restored, or not whole yet */
        return;
    struct keep *keep = keep_of(vm);
    if (keep && !timer_running(&keep->timer))
        timer_start(vm->script->loop, &keep->timer, SAVE_MS);
}

/* The pairs of the table at the top become self's. */
static void fill_self(lua_State *L)
{
    int kept = lua_gettop(L);

    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF);
    lua_pushnil(L);
    while (lua_next(L, kept)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, kept + 1);
    }
    lua_settop(L, kept - 1);
}

bool keep_restore(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct keep *keep = keep_of(vm);
    struct data_answer answer;
    struct span rest, self;

    data_take(vm->room, &answer);
    if (!keep) {
        buf_fini(&answer.entries);
        luaL_error(L, "not enough memory");
        return false; /* not reached */
    }
    buf_fini(&keep->restored);
    keep->restored = answer.entries;
    if (answer.result != 0)
        luaL_error(L, "the room's storage could not be read: %s", answer.text);
    rest = (struct span){(const char *)keep->restored.data, keep->restored.len};
    if (!store_next_bytes(&rest, &self))
        return false;
    if (value_decode(L, self) != 0 || !lua_istable(L, -1))
        luaL_error(L, "what was kept of self (persist) is damaged, or was written by a later version");
    fill_self(L);
    keep->hash = map_hash(self.ptr, self.len);
    keep->has_hash = true;
    buf_fini(&keep->restored);
    return true;
}

/* ---- connections ---- */

/* Their objects have the states still. */
static void forget_connections(struct vm *vm)
{
    list_each(it, &vm->room->peers) {
        struct peer *peer = container_of(it, struct peer, link);
        if (peer->object)
            (void)!peer_keep_state(peer, (struct span){0});
    }
}

bool keep_connections(struct vm *vm)
{
    list_each(it, &vm->room->peers) {
        struct encoding encoding = {.peer = container_of(it, struct peer, link)};
        if (!encoding.peer->object)
            continue; /* what it had before, or nothing */
        if (encoded(vm, &encoding) && peer_keep_state(encoding.peer, encoding.bytes) == 0)
            continue;
        say_failed(vm, "the room does not hibernate",
                   encoding.error[0] ? encoding.error : "not enough memory");
        forget_connections(vm);
        return false;
    }
    return true;
}
