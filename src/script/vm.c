/* Makes and ends the VM of a room. */
#include "script/vm.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "script/bind.h"
#include "script/call.h"
#include "script/keep.h"
#include "script/library.h"
#include "script/pool.h"
#include "script/script.h"

#include <errno.h>
#include <lua_festa.h>
#include <stdlib.h>

#define PAUSE 200 /* Lua's own: a cycle begins when twice as much is used as after the last one */

size_t vm_memory(const struct vm *vm)
{
    return vm->used + (vm->room ? vm->room->held : 0);
}

/* The VM's account: what Lua holds, against the room's limit. A block that gets smaller is
 * never refused. */
static void *vm_alloc(void *user, void *block, size_t old_size, size_t new_size)
{
    struct vm *vm = user;

    if (!block)
        old_size = 0; /* Lua gives the type of the object there */
    if (new_size > old_size) {
        if (vm_memory(vm) + (new_size - old_size) > vm->limit)
            return NULL;
        uint64_t n = ++vm->n_allocations;
        if (vm->fail_at > 0 && (n == vm->fail_at || n == vm->fail_at + 1))
            return NULL;
    }
    void *result = pool_realloc(vm->script->pool, block, old_size, new_size);
    if (result || new_size == 0)
        vm->used = vm->used - old_size + new_size;
    return result;
}

/* Reaching this is a mistake of ours: something called Lua outside of the door. */
static int vm_panic(lua_State *L)
{
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no message";
    log_event(LOG_ERROR, "unprotected error in Lua", log_str("error", message));
    log_fini();
    abort();
}

static int set_up(lua_State *L)
{
    static const char *const texts[] = {"handlerTime is over", "C stack overflow", "error in error handling"};
    for (int i = 0; i < VM_TEXTS; i++) {
        lua_pushstring(L, texts[i]);
        lua_rawseti(L, LUA_REGISTRYINDEX, VM_LATE + i);
    }
    library_open_all(L);
    return 0;
}

struct vm *vm_new(struct script *script, struct party *party, struct room *room)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm)
        return NULL;
    vm->script = script;
    vm->party = party;
    project_ref(party->project);
    vm->room = room;
    vm->limit = script->config->limits.room_memory;
    list_init(&vm->tasks);
    list_init(&vm->timers);
    list_init(&vm->held);
    vm->pause = PAUSE;
    vm->L = lua_newstate(vm_alloc, vm);
    if (!vm->L) {
        project_unref(party->project);
        free(vm);
        return NULL;
    }
    lua_atpanic(vm->L, vm_panic);
    *(void **)lua_getextraspace(vm->L) = vm;
    if (call_protected(vm, set_up, NULL) != 0) {
        vm_free(vm);
        return NULL;
    }
    return vm;
}

struct load {
    int result; /* 1: loaded */
    struct buf *error;
    int *line;
};

/* Does the metatable at the top lead to the party of the version before? */
static bool leads_to_party(lua_State *L)
{
    lua_pushliteral(L, "__index");
    lua_rawget(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_PARTY);
    bool leads = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return leads;
}

/* The party at the top becomes what self finds, which is made if it isn't there. A metatable that the script
 * has given to self stays if it leads to the party. Nothing changes if this raises. */
static void put_behind_self(lua_State *L)
{
    int party = lua_gettop(L);

    if (lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SELF) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, LUA_REGISTRYINDEX, VM_SELF);
    }
    if (!lua_getmetatable(L, -1) || !leads_to_party(L)) {
        lua_settop(L, party + 1);
        lua_createtable(L, 0, 1);
    }
    lua_pushliteral(L, "__index");
    lua_pushvalue(L, party);
    lua_rawset(L, -3);
    lua_setmetatable(L, -2);
    lua_settop(L, party);
}

/* Keeps what the file scope returned as the party. */
static int adopt_party(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    struct vm *vm = vm_of(L);
    if (lua_type(L, -1) != LUA_TTABLE)
        return luaL_error(L, "%s:%d: must return the party, a table of handlers, at its end; it returned %s",
                          vm->party->code->name, vm->party->code->lines, luaL_typename(L, -1));
    put_behind_self(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_PARTY);
    return 0;
}

static int enter_file_scope(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const struct code *code = vm->party->code;

    lua_settop(L, 0);
    if (luaL_loadbufferx(L, (const char *)code->bytecode, code->len, code->name, "b") != LUA_OK)
        return lua_error(L);
    lua_callk(L, 0, 1, 0, adopt_party);
    return adopt_party(L, LUA_OK, 0);
}

static void file_scope_done(struct task *task, enum call_result result)
{
    struct load *load = task->data;
    struct failure failure;

    if (result == CALL_DONE) {
        load->result = 1;
        return;
    }
    call_failure(task, result, &failure);
    *load->line = failure.line;
    (void)!buf_append(load->error, failure.message.data, failure.message.len);
    if (failure.traceback.len > 0)
        (void)!buf_printf(load->error, "\n%.*s", (int)failure.traceback.len,
                          (const char *)failure.traceback.data);
    failure_fini(&failure);
}

/* Runs the file scope of vm->party, in which there is no room. */
static int load_party(struct vm *vm, struct buf *error, int *line)
{
    struct load load = {.error = error, .line = line};

    *line = 0;
    vm->loaded = false;
    if (call_start(vm, "file scope", enter_file_scope, NULL, &load, file_scope_done) == CALL_DONE &&
        load.result == 1)
        return 0;
    if (error->len == 0)
        (void)!buf_printf(error, "not enough memory to load %s", vm->party->code->name);
    return -EINVAL;
}

int vm_load(struct vm *vm, struct buf *error, int *line)
{
    int rc = load_party(vm, error, line);

    vm->loaded = rc == 0;
    return rc;
}

/* ---- memory that C holds ---- */

void vm_demand(lua_State *L, size_t bytes)
{
    struct vm *vm = vm_of(L);

    if (vm_memory(vm) + bytes <= vm->limit)
        return;
    lua_gc(L, LUA_GCCOLLECT);
    if (vm_memory(vm) + bytes > vm->limit)
        lua_newuserdatauv(L, vm->limit, 0); /* can't be had: this is how C raises Lua's error for memory */
}

static void held_end(struct vm *vm, struct held *held)
{
    list_remove(&held->link);
    held->release(vm, held);
    free(held);
}

void *held_push(lua_State *L, int n, size_t size, void (*release)(struct vm *vm, struct held *held))
{
    static const char type[] = "held";
    static const luaL_Reg metamethods[] = {{"__gc", held_gc}, {NULL, NULL}};
    struct vm *vm = vm_of(L);

    struct held **box = lua_newuserdatauv(L, sizeof *box, n);
    *box = NULL;
    bind_metatable(L, type, metamethods);
    lua_setmetatable(L, -2);
    struct held *held = calloc(1, size);
    if (!held) {
        luaL_error(L, "not enough memory");
        return NULL; /* not reached */
    }
    held->release = release;
    list_push(&vm->held, &held->link);
    *box = held;
    return held;
}

void *held_of(lua_State *L, int index)
{
    return *(struct held **)lua_touserdata(L, index);
}

int held_gc(lua_State *L)
{
    struct held **box = lua_touserdata(L, 1);
    if (*box)
        held_end(vm_of(L), *box);
    *box = NULL;
    return 0;
}

static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    return 0;
}

/* For what is ours alone, which has to be done: a finalizer that could not be called would never be. */
static void lift_limit(struct vm *vm)
{
    vm->limit = SIZE_MAX;
    vm->fail_at = 0;
}

void vm_collect(struct vm *vm)
{
    size_t limit = vm->limit;

    lift_limit(vm);
    (void)call_protected(vm, collect, NULL);
    vm->limit = limit;
    vm->collected = true;
}

/* Collecting takes a tenth of the time at most: no handler's time counts it, and a script could want it again and
 * again. */
#define COLLECT_REST 10u

bool vm_has_room(struct vm *vm, size_t bytes)
{
    uint64_t began = clock_monotonic_ns();

    if (vm_memory(vm) + bytes > vm->limit && !vm->collected && began >= vm->rests_until) {
        vm_collect(vm);
        uint64_t ended = clock_monotonic_ns();
        vm->rests_until = ended + COLLECT_REST * (ended - began);
    }
    return vm_memory(vm) + bytes <= vm->limit;
}

/* ---- another version ---- */

/* false in the place of a table keeps the key, so that the way back needs no memory. */
static int set_modules_aside(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_MODULES);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_ASIDE);
    lua_pushboolean(L, 0);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_MODULES);
    library_renew(L, LIBRARY_PARTY, "env");
    return 0;
}

static int forget_modules_aside(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_ASIDE);
    return 0;
}

static int take_modules_back(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_ASIDE);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_MODULES);
    library_renew(L, LIBRARY_PARTY, "env");
    return forget_modules_aside(L);
}

void vm_rebase(struct vm *vm, struct party *party)
{
    struct party *before = vm->party;

    vm->limit = vm->script->config->limits.room_memory;
    vm->party = party;
    project_ref(party->project);
    project_unref(before->project);
}

int vm_reload(struct vm *vm, struct party *party, struct buf *error, int *line)
{
    struct party *before = vm->party;
    int rc = -ENOMEM;

    *line = 0;
    vm->limit = vm->script->config->limits.room_memory;
    if (call_protected(vm, set_modules_aside, NULL) == 0) {
        vm->party = party;
        rc = load_party(vm, error, line);
        vm->loaded = true;
    }
    size_t limit = vm->limit;
    lift_limit(vm);
    (void)call_protected(vm, rc == 0 ? forget_modules_aside : take_modules_back, NULL);
    vm->limit = limit;
    vm->party = before;
    if (rc == 0)
        vm_rebase(vm, party);
    return rc;
}

/* ---- the collector's pace, and the room's end ---- */

#define MEMORY_ERRORS 3 /* in a row, and the room is restarted */

/* Near the limit the next cycle is to begin before the limit is reached, and not because of it. */
static void set_pace(struct vm *vm)
{
    size_t used = vm_memory(vm);
    int pause = used > vm->limit / 2 ? (int)(vm->limit / 100 * 90 / (used / 100 + 1)) : PAUSE;

    if (pause > PAUSE)
        pause = PAUSE;
    if (pause != vm->pause)
        lua_gc(vm->L, LUA_GCINC, pause, 0, 0);
    vm->pause = pause;
}

void vm_account(struct vm *vm, bool no_memory)
{
    if (vm_memory(vm) > vm->limit / 2 || vm->pause != PAUSE)
        set_pace(vm);
    if (!no_memory) {
        vm->memory_errors = 0;
        return;
    }
    vm_collect(vm);
    vm->memory_errors++;
    size_t used = vm_memory(vm);
    if (!vm->room || !vm->loaded || (used < vm->limit - vm->limit / 20 && vm->memory_errors < MEMORY_ERRORS))
        return;
    log_event(LOG_ERROR, "the room is restarted: its memory stays used up (roomMemory)",
              log_str("party", vm->party->name), log_str("room", vm->room->id),
              log_int("used", (int64_t)used), log_int("limit", (int64_t)vm->limit));
    vm->memory_errors = 0;
    room_restart(vm->room);
}

/* How many VMs of a thread stay as they are after they ran, and how much larger than after it
 * was last tidied up one may be without being tidied up again. */
#define WARM_MAX 256u
#define COLD_SLACK 2048u
#define COLD_MAX ((size_t)256 * 1024) /* a larger one is left to its own collector: it would take long */

static void tidy_up(struct vm *vm)
{
    if (vm->used <= vm->cold_size + COLD_SLACK || vm->used > COLD_MAX)
        return;
    call_drop_spare(vm);
    vm_collect(vm);
    festa_lua_shrink(vm->L);
    vm->cold_size = vm->used;
}

void vm_ran(struct vm *vm)
{
    struct script *script = vm->script;

    if (list_linked(&vm->warm))
        list_remove(&vm->warm);
    else
        script->n_warm++;
    list_push(&script->warm, &vm->warm);
    if (script->n_warm > WARM_MAX) {
        script->n_warm--;
        tidy_up(container_of(list_pop(&script->warm), struct vm, warm));
    }
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    if (list_linked(&vm->warm)) {
        list_remove(&vm->warm);
        vm->script->n_warm--;
    }
    timers_stop(vm);
    keep_free(vm->keep);
    while (!list_empty(&vm->tasks))
        call_drop(container_of(vm->tasks.next, struct task, link));
    call_drop_spare(vm);
    lift_limit(vm);
    lua_close(vm->L); /* scripts have no finalizers: this runs ours alone */
    while (!list_empty(&vm->held))
        held_end(vm, container_of(vm->held.next, struct held, link));
    CHECK(vm->used == 0);
    fetch_share_unref(vm->fetches);
    project_unref(vm->party->project);
    free(vm);
}

struct vm *vm_of(lua_State *L)
{
    uintptr_t word = (uintptr_t) * (void **)lua_getextraspace(L);
    return (struct vm *)(word & ~(uintptr_t)1);
}
