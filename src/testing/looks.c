/* The functions of a test's that only look: at answers, clients, rooms, storage. See commands.c. */
#include "base/suggest.h"
#include "script/bind.h"
#include "script/value.h"
#include "store/memory.h"
#include "testing/client.h"
#include "testing/request.h"
#include "testing/stage.h"

static struct world *world_of(lua_State *L)
{
    return &stage_of(L)->world;
}

static struct span check_span(lua_State *L, int arg)
{
    struct span text;
    text.ptr = luaL_checklstring(L, arg, &text.len);
    return text;
}

/* answer(number) → status, lines of headers, body, what was raised; nil: there is none yet. false: another test's. */
static int host_answer(lua_State *L)
{
    const struct asked *asked = request_find(world_of(L), (uint64_t)luaL_checkinteger(L, 1));
    const struct http_response *response = asked ? asked->response : NULL;

    if (!asked || !asked->answered) {
        if (asked)
            lua_pushnil(L);
        else
            lua_pushboolean(L, 0);
        return 1;
    }
    lua_pushinteger(L, response ? response->status : 503);
    const struct bytes *headers = response ? response->headers : NULL;
    lua_pushlstring(L, headers ? (const char *)headers->data : "", headers ? headers->len : 0);
    const struct bytes *body = response ? response->body : NULL;
    if (asked->body.len > 0)
        lua_pushlstring(L, (const char *)asked->body.data, asked->body.len);
    else
        lua_pushlstring(L, body ? (const char *)body->data : "", body ? body->len : 0);
    lua_pushstring(L, response && response->problem ? response->problem->message : NULL);
    return 4;
}

static struct client *check_client(lua_State *L)
{
    struct client *client = client_find(world_of(L), (uint64_t)luaL_checkinteger(L, 1));
    if (!client)
        luaL_error(L, "this client is of another test");
    return client;
}

/* receive(number) → data, binary; nil: nothing waits */
static int host_receive(lua_State *L)
{
    struct client *client = check_client(L);

    if (list_empty(&client->messages)) {
        lua_pushnil(L);
        return 1;
    }
    const struct client_message *first = container_of(client->messages.next, struct client_message, link);
    lua_pushlstring(L, (const char *)first->data->data, first->data->len);
    lua_pushboolean(L, first->binary);
    client_message_free(client_take(client));
    return 2;
}

/* client(number) → state, messages that wait, code, reason, status, body */
static int host_client(lua_State *L)
{
    static const char *const names[] = {[CLIENT_CONNECTING] = "connecting",
                                        [CLIENT_OPEN] = "open",
                                        [CLIENT_CLOSED] = "closed",
                                        [CLIENT_REFUSED] = "refused"};
    const struct client *client = check_client(L);
    const struct http_response *refusal = client->refusal;

    lua_pushstring(L, names[client->state]);
    lua_pushinteger(L, client->n_messages);
    if (client->state != CLIENT_CLOSED)
        lua_pushnil(L);
    else
        lua_pushinteger(L, client->code);
    lua_pushlstring(L, client->reason.len ? (const char *)client->reason.data : "", client->reason.len);
    if (client->state != CLIENT_REFUSED)
        return 4;
    lua_pushinteger(L, refusal ? refusal->status : 503);
    if (refusal && refusal->body)
        lua_pushlstring(L, (const char *)refusal->body->data, refusal->body->len);
    else
        lua_pushliteral(L, "");
    return 6;
}

/* inMemory(party, room) → has the room a VM? */
static int host_in_memory(lua_State *L)
{
    const struct room *room = rooms_find(&world_of(L)->rooms, check_span(L, 1), check_span(L, 2));
    lua_pushboolean(L, room && room->instance);
    return 1;
}

static void push_value(lua_State *L, struct span value)
{
    if (value_decode(L, value) != 0)
        luaL_error(L, "what is stored is damaged");
}

/* stored(party, room, key) → the value, or nil */
static int host_stored(lua_State *L)
{
    struct span value;

    if (store_memory_get(world_of(L)->store, check_span(L, 1), check_span(L, 2), check_span(L, 3), &value))
        push_value(L, value);
    else
        lua_pushnil(L);
    return 1;
}

/* storedAll(party, room) → a table of keys and values */
static int host_stored_all(lua_State *L)
{
    struct span party = check_span(L, 1), id = check_span(L, 2), key, value;

    lua_newtable(L);
    for (size_t i = 0; store_memory_nth(world_of(L)->store, party, id, i, &key, &value); i++) {
        lua_pushlstring(L, key.ptr, key.len);
        push_value(L, value);
        lua_rawset(L, -3);
    }
    return 1;
}

/* alarm(party, room) → ms since 1970, or nil */
static int host_alarm(lua_State *L)
{
    int64_t time = store_memory_alarm(world_of(L)->store, check_span(L, 1), check_span(L, 2));
    if (time > 0)
        lua_pushinteger(L, time);
    else
        lua_pushnil(L);
    return 1;
}

/* errors() → an array of what handlers have raised, which the test takes for known */
static int host_errors(lua_State *L)
{
    struct world *world = world_of(L);
    const char *text = (const char *)world->errors.data;

    lua_createtable(L, (int)world->n_errors, 0);
    for (uint32_t i = 0; i < world->n_errors; i++, text += strlen(text) + 1) {
        lua_pushstring(L, text);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    world->errors.len = 0;
    world->n_errors = 0;
    return 1;
}

/* load() → the file of tests, as a function */
static int host_load(lua_State *L)
{
    const struct code *code = stage_of(L)->tests;
    if (luaL_loadbufferx(L, (const char *)code->bytecode, code->len, code->name, "b") != LUA_OK)
        return lua_error(L);
    return 1;
}

/* suggest(name, names) → the one that may have been meant, or nil */
static int host_suggest(lua_State *L)
{
    const char *names[64];
    size_t n = 0;

    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_Integer i = 1; n < 63 && lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
        names[n++] = lua_tostring(L, -1); /* stays alive in the table */
        lua_pop(L, 1);
    }
    names[n] = NULL;
    lua_pushstring(L, suggest(luaL_checkstring(L, 1), names));
    return 1;
}

/* parties() → an array of the names of the project's parties */
static int host_parties(lua_State *L)
{
    const struct project *project = stage_of(L)->project;

    lua_createtable(L, (int)project->n_parties, 0);
    for (size_t i = 0; i < project->n_parties; i++) {
        lua_pushstring(L, project->parties[i]->name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* crons() → an array of the names of the configuration's crons */
static int host_crons(lua_State *L)
{
    const struct config *config = &stage_of(L)->project->config;

    lua_createtable(L, (int)config->n_crons, 0);
    for (size_t i = 0; i < config->n_crons; i++) {
        lua_pushstring(L, config->crons[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

const luaL_Reg stage_looks[] = {{"answer", host_answer},
                                {"receive", host_receive},
                                {"client", host_client},
                                {"inMemory", host_in_memory},
                                {"stored", host_stored},
                                {"storedAll", host_stored_all},
                                {"alarm", host_alarm},
                                {"errors", host_errors},
                                {"load", host_load},
                                {"suggest", host_suggest},
                                {"parties", host_parties},
                                {"crons", host_crons},
                                {NULL, NULL}};
