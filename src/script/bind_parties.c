/* party.parties: the project's parties, by name. party.parties.NAME:get(id) is a stub of a room; :list() tells of the
 * rooms that there are. */
#include "base/suggest.h"
#include "room/listing.h"
#include "script/bind.h"
#include "script/script.h"
#include "script/wait.h"

#include <errno.h>

const char party_type[] = "party";
static const char parties_type[] = "parties";

enum { VALUE_NAME = 1, VALUES = 1 };

/* The party of the object at 1; it is pushed, too. */
static struct span name_check(lua_State *L)
{
    struct span name;

    bind_check(L, 1, party_type);
    lua_getiuservalue(L, 1, VALUE_NAME);
    name.ptr = lua_tolstring(L, -1, &name.len);
    return name;
}

/* ---- stubs ---- */

/* party.parties.NAME:get(id) → a stub of that room, which need not be there */
static int party_get(lua_State *L)
{
    struct span id;

    lua_settop(L, 2);
    (void)name_check(L);
    id.ptr = luaL_checklstring(L, 2, &id.len);
    const char *problem = room_id_problem(id);
    if (problem)
        return luaL_error(L, "there can't be such a room. %s", problem);
    stub_push(L, 3, 2);
    return 1;
}

/* ---- lists ---- */

struct listing_held {
    struct held base;
    struct rooms_listing *listing; /* owned */
    size_t charged;
};

static void release(struct vm *vm, struct held *base)
{
    struct listing_held *held = container_of(base, struct listing_held, base);

    rooms_listing_end(held->listing);
    held->listing = NULL;
    vm_discharge(vm, held->charged);
    held->charged = 0;
}

static void forget(struct task *task)
{
    release(task->vm, &((struct listing_held *)task->waited)->base);
}

static void on_done(struct rooms_listing *listing)
{
    struct task *task = listing->user;
    room_wake(task->vm->room, task);
}

static int listed(lua_State *L, struct task *task)
{
    struct listing_held *held = task->waited;
    const struct rooms_listing *listing = held->listing;

    if (listing->result == -ENOMEM)
        return luaL_error(L, "not enough memory for the list");
    if (listing->result != 0)
        return luaL_error(L, "the storage could not be searched: %s", listing->text);
    lua_createtable(L, (int)listing->n_found, 0);
    for (size_t i = 0; i < listing->n_found; i++) {
        const struct listed_room *room = &listing->found[i];
        lua_createtable(L, 0, 3);
        lua_pushstring(L, room->id);
        lua_setfield(L, -2, "id");
        lua_pushinteger(L, room->connections);
        lua_setfield(L, -2, "connections");
        if (room->active > 0) {
            lua_pushinteger(L, room->active);
            lua_setfield(L, -2, "lastActive");
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    release(task->vm, &held->base);
    return 1;
}

/* prefix, after and limit of the table at 2; the strings live in it. */
static void read_options(lua_State *L, struct span *prefix, struct span *after, lua_Integer *limit)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        bool is_prefix = strcmp(key, "prefix") == 0;
        if (is_prefix || strcmp(key, "after") == 0) {
            struct span *text = is_prefix ? prefix : after;
            if (lua_type(L, -1) != LUA_TSTRING)
                luaL_error(L, "%s is a string, not %s", key, luaL_typename(L, -1));
            text->ptr = lua_tolstring(L, -1, &text->len);
            if (memchr(text->ptr, '\0', text->len))
                luaL_error(L, "%s has a NUL in it", key);
        } else if (strcmp(key, "limit") == 0) {
            *limit = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
            if (*limit < 1 || *limit > LISTING_MAX)
                luaL_error(L, "limit is an integer from 1 to %d", (int)LISTING_MAX);
        } else {
            luaL_error(L, "unknown option %s: prefix, after and limit are known", bind_quote(key).text);
        }
        lua_pop(L, 1);
    }
}

/* party.parties.NAME:list([{ prefix, limit, after }]) → an array of rooms, by id */
static int party_list(lua_State *L)
{
    struct span prefix = SPAN(""), after = {0};
    lua_Integer limit = LISTING_DEFAULT;

    wait_check(L);
    lua_settop(L, 2);
    struct span name = name_check(L);
    if (!lua_isnil(L, 2))
        read_options(L, &prefix, &after, &limit);
    struct vm *vm = vm_of(L);
    struct task *task = vm->running;
    size_t bytes = sizeof(struct rooms_listing) + prefix.len + after.len +
                   2 * (size_t)limit * (sizeof(struct listed_room) + ROOM_ID_MAX + 1);
    vm_demand(L, bytes);
    struct listing_held *held = held_push(L, 0, sizeof *held, release);
    held->listing = rooms_listing_new(name, prefix, after, (uint32_t)limit);
    if (!held->listing)
        return luaL_error(L, "not enough memory");
    vm_charge(vm, bytes);
    held->charged = bytes;
    held->listing->done = on_done;
    held->listing->user = task;
    task->waited = held;
    task->forget = forget;
    rooms_list(held->listing, vm->room->rooms);
    return wait_begin(L, listed);
}

/* ---- the objects ---- */

static void push_name(lua_State *L)
{
    lua_getiuservalue(L, 1, VALUE_NAME);
}

static const struct bind_field fields[] = {{"name", push_name}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"get", party_get}, {"list", party_list}, {NULL, NULL}};

const struct bind_members party_members = {methods, fields};

static int party_index(lua_State *L)
{
    bind_check(L, 1, party_type);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_field(L, fields, key) && !bind_method(L, methods, key))
        lua_pushnil(L);
    return 1;
}

static const luaL_Reg party_metamethods[] = {{"__index", party_index},
                                             {"__newindex", bind_read_only},
                                             {NULL, NULL}};

static int unknown(lua_State *L, const struct project *project, const char *name)
{
    const char **names = lua_newuserdatauv(L, (project->n_parties + 1) * sizeof *names, 0);

    for (size_t i = 0; i < project->n_parties; i++)
        names[i] = project->parties[i]->name;
    names[project->n_parties] = NULL;
    const char *meant = suggest(name, names);
    if (meant)
        return luaL_error(L, "there is no party %s; did you mean %s?", bind_quote(name).text, meant);
    return luaL_error(L, "there is no party %s", bind_quote(name).text);
}

/* party.parties.NAME: a party of the version that runs here, or of the one that counts by now */
static int parties_index(lua_State *L)
{
    const struct vm *vm = vm_of(L);
    struct span name;

    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "a party's name is a string, not %s", luaL_typename(L, 2));
    name.ptr = lua_tolstring(L, 2, &name.len);
    const struct project *project = vm->party->project, *newer = vm->script->project;
    if (!project_party(project, name) && !(newer && project_party(newer, name)))
        return unknown(L, newer ? newer : project, name.ptr);
    lua_newuserdatauv(L, 1, VALUES);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, VALUE_NAME);
    bind_metatable(L, party_type, party_metamethods);
    lua_setmetatable(L, -2);
    return 1;
}

void parties_push(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__index", parties_index},
                                           {"__newindex", bind_read_only},
                                           {NULL, NULL}};
    lua_newuserdatauv(L, 1, 0);
    bind_metatable(L, parties_type, metamethods);
    lua_setmetatable(L, -2);
}
