/* party: the room that the script runs in. Every function works as party.f() and as party:f(). */
#include "room/data.h"
#include "script/bind.h"
#include "script/json.h"
#include "script/quota.h"
#include "script/script.h"

struct room *room_check(lua_State *L)
{
    const struct vm *vm = vm_of(L);
    if (!vm->room || !vm->loaded) {
        luaL_error(L, "there is no room here: this is for handlers, not for the file scope");
        return NULL; /* not reached */
    }
    if (vm->room->lobby)
        luaL_error(L, "there is no room here: hooks run before one is entered");
    return vm->room;
}

/* ---- broadcast ---- */

/* Whom a broadcast is for; the peers lie in a userdata on the stack, so that raising frees them. */
struct audience {
    struct peer **without;
    size_t n, cap;
    uint32_t number; /* marks those that are in without already */
    int holder;      /* index of the userdata */
    bool binary;
    struct span tag; /* ptr NULL: everybody */
};

static void leave_out(lua_State *L, struct audience *audience, struct peer *peer)
{
    if (peer->left_out == audience->number)
        return;
    if (audience->n == audience->cap) {
        audience->cap = audience->cap ? audience->cap * 2 : 8;
        struct peer **grown = lua_newuserdatauv(L, audience->cap * sizeof(struct peer *), 0);
        if (audience->n > 0)
            memcpy(grown, audience->without, audience->n * sizeof(struct peer *));
        audience->without = grown;
        lua_replace(L, audience->holder);
    }
    audience->without[audience->n++] = peer;
    peer->left_out = audience->number;
}

/* Never 0, which peers have that were never left out. */
static uint32_t next_number(struct room *room)
{
    if (++room->broadcasts == 0)
        room->broadcasts = 1;
    return room->broadcasts;
}

/* A connection or an id at the top; popped. */
static void leave_out_value(lua_State *L, struct room *room, struct audience *audience)
{
    if (lua_type(L, -1) == LUA_TSTRING) {
        struct span id;
        id.ptr = lua_tolstring(L, -1, &id.len);
        for (struct peer *peer = room_find_peer(room, id); peer; peer = room_next_peer(peer))
            leave_out(L, audience, peer);
    } else if (bind_test(L, -1, connection_type)) {
        struct peer *peer = connection_check(L, -1);
        if (peer)
            leave_out(L, audience, peer);
    } else {
        luaL_error(L, "whom to leave out is a connection, an id, or an array of them, not %s",
                   luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

/* A connection, an id, or an array of either at index. */
static void leave_out_all(lua_State *L, int index, struct room *room, struct audience *audience)
{
    if (!lua_istable(L, index)) {
        lua_pushvalue(L, index);
        leave_out_value(L, room, audience);
        return;
    }
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= n; i++) {
        quota_poll();
        lua_rawgeti(L, index, i);
        leave_out_value(L, room, audience);
    }
}

/* { without = , to = , binary = } at index, or false if it is an array. */
static bool read_options(lua_State *L, int index, struct room *room, struct audience *audience)
{
    bool named = false, positional = false;

    if (!lua_istable(L, index))
        return false;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        if (!key) {
            positional = true;
            lua_pop(L, 1);
            continue;
        }
        named = true;
        if (strcmp(key, "without") == 0) {
            leave_out_all(L, lua_gettop(L), room, audience);
        } else if (strcmp(key, "to") == 0) {
            if (lua_type(L, -1) != LUA_TSTRING)
                luaL_error(L, "to is a tag, a string, not %s", luaL_typename(L, -1));
            audience->tag.ptr = lua_tolstring(L, -1, &audience->tag.len);
        } else if (strcmp(key, "binary") == 0) {
            audience->binary = lua_toboolean(L, -1) != 0;
        } else {
            luaL_error(L, "unknown option %s: without, to and binary are known", bind_quote(key).text);
        }
        lua_pop(L, 1);
    }
    if (named && positional)
        luaL_error(L, "options have names, or are an array of whom to leave out: not both");
    return named;
}

static int send_to_tag(struct room *room, const struct audience *audience, struct bytes *bytes)
{
    int rc = 0;
    list_each(link, &room->peers) {
        struct peer *peer = container_of(link, struct peer, link);
        if (rc == 0 && peer_open(peer) && peer->left_out != audience->number &&
            peer_has_tag(peer, audience->tag))
            rc = room_send(peer, bytes, audience->binary);
    }
    return rc;
}

/* party.broadcast(message [, options]): one message to every open connection. options is whom to
 * leave out (a connection, an id, or an array of either), or { without = , to = tag, binary = true }. */
static int party_broadcast(lua_State *L)
{
    struct room *room = room_check(L);
    struct audience audience = {.number = next_number(room), .holder = 3};
    size_t len;

    bind_skip_self(L);
    if (lua_isnone(L, 1))
        skipped_error(L, 1, "value expected");
    lua_settop(L, 3); /* message, options, holder */
    /* Encoding may run a metamethod that closes or even waits: the peers are looked up after it. */
    bool binary = false;
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "binary");
        lua_rawget(L, 2);
        binary = lua_toboolean(L, -1) != 0;
        lua_pop(L, 1);
    }
    const char *text = message_check(L, 1, binary, &len);
    if (!lua_isnil(L, 2) && !read_options(L, 2, room, &audience))
        leave_out_all(L, 2, room, &audience);

    struct bytes *bytes = message_bytes(L, text, len);
    int rc = audience.tag.ptr ? send_to_tag(room, &audience, bytes)
                              : room_broadcast(room, bytes, audience.binary, audience.without, audience.n);
    bytes_unref(bytes);
    output_check(L, rc);
    return 0;
}

/* ---- connections ---- */

static struct span optional_tag(lua_State *L, int arg)
{
    struct span tag = {0};
    return lua_isnoneornil(L, arg) ? tag : skipped_string(L, arg);
}

static bool matches(const struct peer *peer, struct span tag)
{
    return peer_open(peer) && (!tag.ptr || peer_has_tag(peer, tag));
}

/* party.getConnection(id) → the newest open connection with that id, or nil. */
static int party_get_connection(lua_State *L)
{
    struct room *room = room_check(L);

    bind_skip_self(L);
    struct peer *peer = room_find_peer(room, skipped_string(L, 1));
    if (peer)
        connection_push(L, peer);
    else
        lua_pushnil(L);
    return 1;
}

/* Where an iteration stands. Peers may come and go between two steps. */
struct iteration {
    struct peer *last; /* valid while departures is the room's */
    uint64_t serial;   /* of last */
    uint32_t departures;
};

static int next_connection(lua_State *L)
{
    struct room *room = room_check(L);
    struct iteration *at = lua_touserdata(L, lua_upvalueindex(1));
    struct span tag = optional_tag(L, lua_upvalueindex(2));

    struct list *link = room->peers.next;
    if (at->last && at->departures == room->departures)
        link = at->last->link.next;
    for (; link != &room->peers; link = link->next) {
        struct peer *peer = container_of(link, struct peer, link);
        if (peer->serial <= at->serial || !matches(peer, tag))
            continue;
        *at = (struct iteration){peer, peer->serial, room->departures};
        connection_push(L, peer);
        return 1;
    }
    lua_pushnil(L);
    return 1;
}

/* party.getConnections([tag]) → an iterator over the open connections in the order of arrival. */
static int party_get_connections(lua_State *L)
{
    room_check(L);
    bind_skip_self(L);
    optional_tag(L, 1);
    lua_settop(L, 1);
    struct iteration *at = lua_newuserdatauv(L, sizeof *at, 0);
    *at = (struct iteration){0};
    lua_insert(L, 1);
    lua_pushcclosure(L, next_connection, 2);
    return 1;
}

/* party.connectionCount([tag]) → how many are open. */
static int party_connection_count(lua_State *L)
{
    struct room *room = room_check(L);

    bind_skip_self(L);
    struct span tag = optional_tag(L, 1);
    lua_Integer n = 0;
    if (!tag.ptr)
        n = room->n_listed;
    for (struct list *link = room->peers.next; tag.ptr && link != &room->peers; link = link->next)
        n += matches(container_of(link, struct peer, link), tag);
    lua_pushinteger(L, n);
    return 1;
}

/* ---- the room's end ---- */

/* party.destroy(): closes every connection, drops storage and alarm, and forgets the room when the handler is over. */
static int party_destroy(lua_State *L)
{
    struct room *room = room_check(L);

    if (data_transaction(room))
        return luaL_error(L, "destroy is not possible inside of a transaction");
    vm_demand(L, 2 * data_cost(0));
    output_check(L, room_destroy(room));
    return 0;
}

const luaL_Reg party_functions[] = {
    {"broadcast", party_broadcast},
    {"getConnection", party_get_connection},
    {"getConnections", party_get_connections},
    {"connectionCount", party_connection_count},
    {"after", party_after},
    {"every", party_every},
    {"destroy", party_destroy},
    {NULL, NULL},
};

/* ---- values ---- */

static void push_env(lua_State *L)
{
    const struct string_list *env = &vm_of(L)->party->project->env;
    lua_createtable(L, 0, (int)env->count);
    json_mark(L, -1, JSON_OBJECT); /* an empty one, too */
    for (size_t i = 0; i < env->count; i++) {
        const char *equals = strchr(env->items[i], '=');
        lua_pushlstring(L, env->items[i], (size_t)(equals - env->items[i]));
        lua_pushstring(L, equals + 1);
        lua_rawset(L, -3);
    }
}

const char *const party_values[] = {"id", "name", "env", "storage", "parties", NULL};

bool party_value(lua_State *L, const char *key)
{
    struct vm *vm = vm_of(L);

    if (strcmp(key, "id") == 0) {
        if (!vm->room || vm->room->lobby)
            return false;
        lua_pushstring(L, vm->room->id);
    } else if (strcmp(key, "name") == 0) {
        lua_pushstring(L, vm->party->name);
    } else if (strcmp(key, "env") == 0) {
        push_env(L);
    } else if (strcmp(key, "storage") == 0) {
        storage_push(L);
    } else if (strcmp(key, "parties") == 0) {
        parties_push(L);
    } else {
        return false;
    }
    return true;
}
