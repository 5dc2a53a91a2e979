/* Response.events: the answer to a request is a stream of events, and its client a connection of the room. */
#include "base/random.h"
#include "base/utf8.h"
#include "room/events.h"
#include "script/bind.h"

/* Places in the array of a Response's options. */
enum { OPTION_ID = 1, OPTION_TAGS, OPTION_RETRY, OPTIONS = OPTION_RETRY };

bool connection_id_valid(const char *id, size_t len)
{
    return len > 0 && len <= PEER_ID_MAX && !memchr(id, '\0', len) && utf8_valid(id, len);
}

/* The option's value is at the top. */
static void check_option(lua_State *L, const char *key, int options)
{
    struct span tags[PEER_TAGS_MAX];
    size_t n;

    if (strcmp(key, "id") == 0) {
        const char *id = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
        if (!id || !connection_id_valid(id, n))
            luaL_error(L, CONNECTION_ID_EXPECTED, (int)PEER_ID_MAX);
        lua_pushvalue(L, -1);
        lua_rawseti(L, options, OPTION_ID);
    } else if (strcmp(key, "tags") == 0) {
        tags_check(L, lua_gettop(L), tags, &n);
        lua_createtable(L, (int)n, 0); /* the script's own may change */
        for (size_t i = 0; i < n; i++) {
            lua_rawgeti(L, -2, (lua_Integer)i + 1);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        lua_rawseti(L, options, OPTION_TAGS);
    } else if (strcmp(key, "retry") == 0) {
        int is_integer = 0;
        lua_Integer retry = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_integer) : -1;
        if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || retry < 0 || retry > EVENTS_RETRY_MAX)
            luaL_error(L, "retry is an integer of milliseconds from 0 to %d", EVENTS_RETRY_MAX);
        lua_pushvalue(L, -1);
        lua_rawseti(L, options, OPTION_RETRY);
    } else {
        luaL_error(L, "unknown option %s: id, tags and retry are known", bind_quote(key).text);
    }
}

void events_check(lua_State *L, int index)
{
    lua_createtable(L, OPTIONS, 0);
    int options = lua_gettop(L);

    if (lua_isnoneornil(L, index))
        return;
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        check_option(L, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?", options);
        lua_settop(L, options + 1);
    }
}

/* Pushes the id of the connection: the option, else the query's _pk, else a random UUID; false: _pk can't be one,
 * and nothing is pushed. */
static bool push_id(lua_State *L, int options, const struct http_request *request)
{
    char uuid[UUID_LEN + 1];
    size_t len;

    if (lua_rawgeti(L, options, OPTION_ID) == LUA_TSTRING)
        return true;
    lua_pop(L, 1);
    if (request_push_query(L, request, SPAN("_pk"))) {
        const char *id = lua_tolstring(L, -1, &len);
        if (connection_id_valid(id, len))
            return true;
        lua_pop(L, 1);
        if (len > 0)
            return false;
    }
    random_uuid(uuid);
    lua_pushstring(L, uuid);
    return true;
}

/* The head alone, for who wants no more: HEAD. */
static struct http_response *head_response(void)
{
    static const char headers[] = EVENTS_HEADERS;
    struct http_response *response = http_response_new(200);
    struct bytes *lines = bytes_copy(headers, sizeof headers - 1);

    if (!response || !lines) {
        http_response_free(response);
        bytes_unref(lines);
        return NULL;
    }
    response->headers = lines;
    response->has_type = true;
    return response;
}

void events_answer(lua_State *L, int options, int request_index)
{
    struct vm *vm = vm_of(L);
    struct room *room = room_check(L);
    struct event *event = vm->running->event;
    const struct http_request *request = request_of(L, request_index);
    struct events_opening opening = {.remote = request->remote, .retry = -1};
    struct span tags[PEER_TAGS_MAX] = {{NULL, 0}};

    if (span_equal(request->method, SPAN("HEAD"))) {
        room_respond(room, event, head_response());
        return;
    }
    if (!push_id(L, options, request)) {
        room_respond(room, event, http_response_text(400, "_pk is an id of up to 256 bytes of UTF-8"));
        return;
    }
    opening.id = lua_tostring(L, -1);
    request_push_url(L, request);
    opening.uri = lua_tostring(L, -1);
    if (lua_rawgeti(L, options, OPTION_RETRY) == LUA_TNUMBER)
        opening.retry = lua_tointeger(L, -1);
    if (lua_rawgeti(L, options, OPTION_TAGS) == LUA_TTABLE)
        tags_check(L, lua_gettop(L), tags, &opening.n_tags);
    opening.tags = tags;
    vm_demand(L, PEER_TAGS_MAX * (PEER_TAG_LEN_MAX + 1));
    if (!event->exchange)
        return;
    opening.request = http_request_copy(request);
    if (!opening.request || room_events(room, event, &opening) != 0)
        luaL_error(L, "not enough memory");
}
