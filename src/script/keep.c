/* Keeps self and the state of connections beyond their VM. */
#include "script/keep.h"

#include "base/clock.h"
#include "base/log.h"
#include "loop/timer.h"
#include "room/data.h"
#include "script/bind.h"
#include "script/call.h"
#include "script/quota.h"
#include "script/script.h"
#include "script/value.h"
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

/* While events come in, self is saved this often. */
#define SAVE_MS 1000u

struct keep {
    struct vm *vm;
    struct timer timer; /* behind it, the chore */
    struct room_chore chore;
    struct buf restored; /* while it is being decoded */
    uint64_t hash;       /* of what was saved or restored last */
    bool has_hash;
    bool failed; /* the last try, which was said in the log */
};

/* One part in so many of handlerTime there is for self in any case, when onStop has left less; and no more of it before a
 * reload. */
#define LEAST_PART 5u

/* The buffer in which the thread encodes is let go when it is larger than this. */
#define BUFFER_MAX ((size_t)1024 * 1024)

/* A room that has used up its memory may have so much all the same, a quarter of roomMemory at most: else its self
 * would be lost. */
#define SPARE_MAX ((size_t)8 * 1024 * 1024)

static void save(struct room_chore *chore)
{
    struct keep *keep = container_of(chore, struct keep, chore);

    if (data_saving(chore->room)) /* the disk is behind: one copy at a time */
        timer_start(keep->vm->script->loop, &keep->timer, SAVE_MS);
    else
        (void)keep_self(keep->vm);
}

static void on_timer(struct timer *timer)
{
    keep_soon(container_of(timer, struct keep, timer)->vm);
}

/* Made when it is first needed. NULL: no memory. */
static struct keep *keep_of(struct vm *vm)
{
    if (!vm->keep) {
        vm->keep = calloc(1, sizeof *vm->keep);
        if (vm->keep) {
            vm->keep->vm = vm;
            vm->keep->timer.fn = on_timer;
            vm->keep->chore.fn = save;
        }
    }
    return vm->keep;
}

static void stop(struct keep *keep)
{
    timer_stop(&keep->timer);
    list_remove(&keep->chore.link);
}

void keep_free(struct keep *keep)
{
    if (!keep)
        return;
    stop(keep);
    buf_fini(&keep->restored);
    free(keep);
}

/* ---- encoding, in the time that a handler has ---- */

/* What is to be encoded, and what came of it. */
struct encoding {
    struct vm *vm;
    lua_CFunction encode; /* called with a light userdata of this */
    uint64_t time;        /* ns of the CPU that it has */
    uint64_t left;        /* of these */
    bool brief;           /* it has little time, and failing is no matter */
    struct span self;     /* the thread's (value_encode) */
    char error[256];      /* empty: none */
};

/* Bytes that may be encoded now. They are there twice, since what is kept is a copy. */
static size_t bytes_left(const struct vm *vm)
{
    size_t used = vm_memory(vm), held = vm->room->held;
    size_t left = used < vm->limit ? vm->limit - used : 0;
    size_t spare = vm->limit / 4 < SPARE_MAX ? vm->limit / 4 : SPARE_MAX;

    spare = held < spare ? spare - held : 0;
    return (left > spare ? left : spare) / 2;
}

static size_t bytes_left_without_garbage(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    return bytes_left(vm_of(L));
}

static struct value_terms terms_of(const struct vm *vm, const char *name, bool bare)
{
    return (struct value_terms){.refusal = "can't be kept",
                                .name = name,
                                .limit = "half of what is left of roomMemory",
                                .limit_bytes = bytes_left(vm),
                                .more = bytes_left_without_garbage,
                                .bare = bare};
}

static int encode_self(lua_State *L)
{
    struct encoding *encoding = lua_touserdata(L, 1);
    struct value_terms terms = terms_of(encoding->vm, "self", true);

    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF);
    encoding->self = value_encode(L, -1, &terms);
    return 0;
}

/* The state of each goes to its peer, and counts there when the next one is encoded. */
static int encode_states(lua_State *L)
{
    struct encoding *encoding = lua_touserdata(L, 1);

    list_each(it, &encoding->vm->room->peers) {
        struct peer *peer = container_of(it, struct peer, link);
        struct span state = {0};

        quota_poll();
        if (!peer->object)
            continue; /* what it had before, or nothing */
        connection_push_state(L, peer);
        if (!lua_isnil(L, -1)) {
            struct value_terms terms = terms_of(encoding->vm, "connection.state", false);
            state = value_encode(L, -1, &terms);
        }
        lua_settop(L, 1);
        if (peer_keep_state(peer, state) != 0)
            return luaL_error(L, "not enough memory");
    }
    return 0;
}

static int try_encode(lua_State *L)
{
    struct encoding *encoding = lua_touserdata(L, 1);

    lua_pushcfunction(L, encoding->encode);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        snprintf(encoding->error, sizeof encoding->error, "%s",
                 lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no message");
    return 0;
}

/* what: for the log. */
static bool encoded(struct encoding *encoding, lua_CFunction encode, const char *what)
{
    struct vm *vm = encoding->vm;

    encoding->encode = encode;
    int rc = call_protected_for(vm, what, try_encode, encoding, &encoding->left);
    if (rc == -ETIMEDOUT && encoding->error[0])
        snprintf(encoding->error, sizeof encoding->error,
                 "can't be kept: to go through %s takes longer than %llu ms (handlerTime); less may be in it",
                 what, (unsigned long long)(encoding->time / NS_PER_MS));
    else if (rc != 0 && rc != -ETIMEDOUT)
        snprintf(encoding->error, sizeof encoding->error, "not enough memory");
    return encoding->error[0] == '\0';
}

static void begin(struct encoding *encoding, struct vm *vm, bool brief)
{
    uint64_t time = call_time(vm), least = vm->script->config->limits.handler_time * NS_PER_MS / LEAST_PART;

    if (brief || time < least)
        time = least;
    *encoding = (struct encoding){.vm = vm, .time = time, .left = time, .brief = brief};
}

/* The bytes have been used. */
static void end(struct encoding *encoding)
{
    struct buf *buf = &encoding->vm->script->encoded;
    if (buf->cap > BUFFER_MAX)
        buf_fini(buf);
}

/* ---- self ---- */

static void say_failed(struct vm *vm, const char *what, const char *why)
{
    log_event(LOG_ERROR, what, log_str("party", vm->party->name), log_str("room", vm->room->id),
              log_str("error", why));
}

static bool save_self(struct encoding *encoding)
{
    struct vm *vm = encoding->vm;
    struct keep *keep = keep_of(vm);

    if (!keep)
        return false;
    stop(keep);
    if (!encoded(encoding, encode_self, "self")) {
        if (!keep->failed && !encoding->brief)
            say_failed(vm, "self is not saved (persist)", encoding->error);
        keep->failed |= !encoding->brief;
        return false;
    }
    uint64_t hash = map_hash(encoding->self.ptr, encoding->self.len);
    keep->failed = false;
    if (keep->has_hash && keep->hash == hash && !data_self_lost(vm->room))
        return true;
    if (data_save_self(vm->room, encoding->self) != 0)
        return false;
    keep->hash = hash;
    keep->has_hash = true;
    return true;
}

bool keep_self(struct vm *vm)
{
    struct encoding encoding;

    begin(&encoding, vm, false);
    bool saved = save_self(&encoding);
    end(&encoding);
    return saved;
}

void keep_soon(struct vm *vm)
{
    struct keep *keep = keep_of(vm);
    if (keep)
        room_do_later(vm->room, &keep->chore);
}

void keep_first(struct vm *vm)
{
    struct encoding encoding;

    begin(&encoding, vm, true);
    if (!save_self(&encoding))
        keep_soon(vm);
    end(&encoding);
}

bool keep_due(const struct vm *vm)
{
    return vm->keep && (timer_running(&vm->keep->timer) || list_linked(&vm->keep->chore.link));
}

void keep_ran(struct vm *vm)
{
    if (vm->room->state == ROOM_STARTING) /* a self that is not restored, or not whole yet */
        return;
    struct keep *keep = keep_of(vm);
    if (keep && !keep_due(vm))
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

static bool keep_connections(struct encoding *encoding)
{
    if (encoded(encoding, encode_states, "connection.state"))
        return true;
    say_failed(encoding->vm, "the room does not hibernate", encoding->error);
    forget_connections(encoding->vm);
    return false;
}

bool keep_room(struct vm *vm)
{
    struct encoding encoding;

    begin(&encoding, vm, false);
    bool kept = (!vm->party->options.persist || save_self(&encoding)) &&
                !data_busy(vm->room) && /* once self is durable, the room is idle again */
                keep_connections(&encoding);
    end(&encoding);
    return kept;
}
