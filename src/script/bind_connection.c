/* connection: a peer of the room, as scripts see it. The object leads to the peer while that is
 * connected; afterwards it keeps its id and its state, and everything else is over. */
#include "base/utf8.h"
#include "script/bind.h"
#include "script/value.h"

#include <errno.h>

const char connection_type[] = "connection";

enum { VALUE_STATE = 1, VALUE_ID, VALUES = 2 };

struct connection_box {
    struct peer *peer; /* NULL once it is gone; the room tells (connection_forget) */
};

static struct connection_box *box_check(lua_State *L, int arg)
{
    return bind_check(L, arg, connection_type);
}

struct peer *connection_check(lua_State *L, int arg)
{
    return box_check(L, arg)->peer;
}

/* ---- methods ---- */

static int push_closed(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 2;
}

static bool option_binary(lua_State *L, int arg)
{
    bool binary = false;

    if (lua_isnoneornil(L, arg))
        return false;
    luaL_checktype(L, arg, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "binary") != 0)
            luaL_argerror(L, arg, "the only option is binary");
        binary = lua_toboolean(L, -1) != 0;
        lua_pop(L, 1);
    }
    return binary;
}

/* connection:send(message [, { binary = true }]) → true, or nil and "closed"; nil and a message for what its kind
 * can't be sent. */
static int connection_send(lua_State *L)
{
    struct connection_box *box = box_check(L, 1);
    bool binary = option_binary(L, 3);
    size_t len;

    if (!box->peer || !peer_open(box->peer))
        return push_closed(L);
    if (binary && box->peer->kind->text_only) {
        lua_pushnil(L);
        lua_pushliteral(L, "event streams are text: a binary message can't be sent");
        return 2;
    }
    luaL_checkany(L, 2);
    const char *text = message_check(L, 2, binary, &len);
    if (!box->peer || !peer_open(box->peer)) /* encoding may have called a metamethod */
        return push_closed(L);
    struct bytes *bytes = message_bytes(L, text, len);
    int rc = room_send(box->peer, bytes, binary);
    bytes_unref(bytes);
    output_check(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* connection:close([code [, reason]]): begins the closing handshake. */
static int connection_close(lua_State *L)
{
    struct connection_box *box = box_check(L, 1);
    struct closing closing = closing_check(L, 2);

    if (box->peer)
        output_check(L, room_close_peer(box->peer, closing.code, closing.reason, closing.len));
    return 0;
}

void tags_check(lua_State *L, int index, struct span tags[PEER_TAGS_MAX], size_t *n)
{
    if (!lua_istable(L, index))
        luaL_error(L, "tags are an array of strings, not %s", luaL_typename(L, index));
    lua_Unsigned count = lua_rawlen(L, index);
    if (count > PEER_TAGS_MAX)
        luaL_error(L, "a connection can have %d tags besides its id, not %I", (int)PEER_TAGS_MAX,
                   (lua_Integer)count);
    for (lua_Unsigned i = 0; i < count; i++) {
        if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TSTRING)
            luaL_error(L, "tag %I is %s, not a string", (lua_Integer)i + 1, luaL_typename(L, -1));
        tags[i].ptr = lua_tolstring(L, -1, &tags[i].len); /* stays alive in the array */
        lua_pop(L, 1);
        if (tags[i].len == 0 || tags[i].len > PEER_TAG_LEN_MAX)
            luaL_error(L, "tag %I has %I bytes; 1 to %d are allowed", (lua_Integer)i + 1,
                       (lua_Integer)tags[i].len, (int)PEER_TAG_LEN_MAX);
        if (memchr(tags[i].ptr, '\0', tags[i].len))
            luaL_error(L, "tag %I has a NUL in it", (lua_Integer)i + 1);
    }
    *n = (size_t)count;
}

/* connection:setTags(tags): replaces the tags; the id stays the first one. */
static int connection_set_tags(lua_State *L)
{
    struct connection_box *box = box_check(L, 1);
    struct span tags[PEER_TAGS_MAX];
    size_t n;

    tags_check(L, 2, tags, &n);
    if (box->peer)
        vm_demand(L, PEER_TAGS_MAX * (PEER_TAG_LEN_MAX + 1));
    if (box->peer && peer_set_tags(box->peer, tags, n) != 0)
        return luaL_error(L, "not enough memory");
    return 0;
}

static const luaL_Reg methods[] = {
    {"send", connection_send},
    {"close", connection_close},
    {"setTags", connection_set_tags},
    {NULL, NULL},
};

/* ---- fields ---- */

static void push_state(lua_State *L)
{
    lua_getiuservalue(L, 1, VALUE_STATE);
}

static void push_id(lua_State *L)
{
    lua_getiuservalue(L, 1, VALUE_ID);
}

/* These are there as long as the peer is. */
static struct peer *live_peer(lua_State *L)
{
    return ((struct connection_box *)lua_touserdata(L, 1))->peer;
}

static void push_live_string(lua_State *L, const char *text)
{
    if (text)
        lua_pushstring(L, text);
    else
        lua_pushnil(L);
}

static void push_open(lua_State *L)
{
    const struct peer *peer = live_peer(L);
    lua_pushboolean(L, peer && peer_open(peer));
}

static void push_uri(lua_State *L)
{
    const struct peer *peer = live_peer(L);
    push_live_string(L, peer ? peer->uri : NULL);
}

static void push_kind(lua_State *L)
{
    const struct peer *peer = live_peer(L);
    push_live_string(L, peer ? peer->kind->name : NULL);
}

static void push_remote(lua_State *L)
{
    const struct peer *peer = live_peer(L);
    push_live_string(L, peer ? peer->remote : NULL);
}

static void push_buffered(lua_State *L)
{
    const struct peer *peer = live_peer(L);
    if (peer)
        lua_pushinteger(L, (lua_Integer)room_peer_pending(peer));
    else
        lua_pushnil(L);
}

static void push_tags(lua_State *L)
{
    const struct peer *peer = live_peer(L);
    lua_Integer n = 1;

    if (!peer) {
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    lua_pushstring(L, peer->id);
    lua_rawseti(L, -2, n++);
    for (const char *tag = peer->tags; tag && *tag; tag += strlen(tag) + 1) {
        lua_pushstring(L, tag);
        lua_rawseti(L, -2, n++);
    }
}

static const struct bind_field fields[] = {
    {"id", push_id},
    {"state", push_state},
    {"isOpen", push_open},
    {"uri", push_uri},
    {"tags", push_tags},
    {"kind", push_kind},
    {"remoteAddress", push_remote},
    {"bufferedAmount", push_buffered},
    {NULL, NULL},
};

const struct bind_members connection_members = {methods, fields};

static int connection_index(lua_State *L)
{
    box_check(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_method(L, methods, key) && !bind_field(L, fields, key))
        lua_pushnil(L);
    return 1;
}

static int connection_newindex(lua_State *L)
{
    box_check(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    if (strcmp(key, "state") != 0)
        return luaL_error(L, "connection.%s can't be set: only connection.state can", bind_quote(key).text);
    lua_settop(L, 3);
    lua_setiuservalue(L, 1, VALUE_STATE);
    return 0;
}

static int connection_tostring(lua_State *L)
{
    box_check(L, 1);
    lua_getiuservalue(L, 1, VALUE_ID);
    lua_pushfstring(L, "connection %s", lua_tostring(L, -1));
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__index", connection_index},
    {"__newindex", connection_newindex},
    {"__tostring", connection_tostring},
    {NULL, NULL},
};

/* ---- objects of peers ---- */

/* Pushes the table of the connections' objects, made with the first one. */
static void push_connections(lua_State *L)
{
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, VM_CONNECTIONS) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_CONNECTIONS);
}

void connection_push(lua_State *L, struct peer *peer)
{
    push_connections(L);
    if (peer->object) {
        lua_rawgetp(L, -1, peer);
        lua_replace(L, -2);
        return;
    }
    struct connection_box *box = lua_newuserdatauv(L, sizeof *box, VALUES);
    box->peer = NULL;
    lua_pushstring(L, peer->id);
    lua_setiuservalue(L, -2, VALUE_ID);
    if (peer->kept) { /* of an earlier VM */
        if (value_decode(L, (struct span){(const char *)peer->kept->data, peer->kept->len}) != 0)
            luaL_error(L, "the state of connection %s is damaged", peer->id);
        lua_setiuservalue(L, -2, VALUE_STATE);
    }
    bind_metatable(L, connection_type, metamethods);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, peer); /* the last thing that can raise */
    box->peer = peer;
    peer->object = box;
    (void)!peer_keep_state(peer, (struct span){0});
    lua_remove(L, -2);
}

void connection_push_state(lua_State *L, struct peer *peer)
{
    push_connections(L);
    lua_rawgetp(L, -1, peer);
    lua_getiuservalue(L, -1, VALUE_STATE);
}

void connection_forget(struct vm *vm, struct peer *peer)
{
    lua_State *L = vm->L;
    struct connection_box *box = peer->object;

    box->peer = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_CONNECTIONS);
    lua_pushnil(L);
    lua_rawsetp(L, -2, peer); /* the key exists: nothing is allocated, so nothing can raise */
    lua_pop(L, 1);
}
