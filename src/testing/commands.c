/* The C functions that lua/harness/harness.lua stands on: a table `host` of them. Those that do something wait until
 * it is done and all has come to rest (struct command); those that only look (looks.c) return at once. What fails for a reason
 * that a test can meet is nil and a text; harness.lua makes an error of the test of it. */
#include "base/utf8.h"
#include "script/bind.h"
#include "script/wait.h"
#include "testing/entrance.h"
#include "testing/stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static struct span check_span(lua_State *L, int arg)
{
    struct span text;
    text.ptr = luaL_checklstring(L, arg, &text.len);
    return text;
}

static struct span optional_span(lua_State *L, int arg)
{
    return lua_isnoneornil(L, arg) ? (struct span){NULL, 0} : check_span(L, arg);
}

/* ---- commands ---- */

static void forget(struct task *task)
{
    struct command *command = task->waited;
    list_remove(&command->link);
}

/* Makes a command at the top of the stack. */
static struct command *new_command(lua_State *L, bool (*run)(struct stage *, struct command *))
{
    wait_check(L);
    struct command *command = lua_newuserdatauv(L, sizeof *command, 0);
    *command = (struct command){.run = run, .task = vm_of(L)->running};
    return command;
}

/* The last thing that a function does: waits until it is carried out. */
static int give(lua_State *L, struct command *command, int (*push)(lua_State *, struct task *))
{
    struct task *task = command->task;

    task->waited = command;
    task->forget = forget;
    list_push(&stage_of(L)->commands, &command->link);
    return wait_begin(L, push);
}

/* true, or nil and why not. */
static int push_done(lua_State *L, struct task *task)
{
    const struct command *command = task->waited;
    const struct buf *text = &stage_of(L)->text;

    if (!command->failed) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushlstring(L, (const char *)text->data, text->len);
    return 2;
}

/* The number of what was made, or nil and why not. */
static int push_number(lua_State *L, struct task *task)
{
    const struct command *command = task->waited;

    if (command->failed)
        return push_done(L, task);
    lua_pushinteger(L, (lua_Integer)command->number);
    return 1;
}

static bool fail(struct stage *stage, struct command *command, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool fail(struct stage *stage, struct command *command, const char *format, ...)
{
    va_list args;

    command->failed = true;
    stage->text.len = 0;
    va_start(args, format);
    (void)!buf_vprintf(&stage->text, format, args);
    va_end(args);
    return true;
}

/* ---- connections and requests ---- */

/* The party that the command names; NULL after it has failed. */
static struct party *party_of(struct stage *stage, struct command *command)
{
    struct party *party = world_party(&stage->world, command->party);
    if (!party)
        fail(stage, command, "there is no party %.*s", (int)command->party.len, command->party.ptr);
    return party;
}

static struct http_request *make_request(struct stage *stage, struct command *command, bool websocket)
{
    struct buf error = {0};

    if (!world_room_id_valid(command->id)) {
        fail(stage, command, "a room's id is 1 to 256 bytes of UTF-8 without control characters and \"/\"");
        return NULL;
    }
    struct http_request *request = request_make(command->method, command->party, command->id, command->target,
                                                command->headers, command->data, websocket, &error);
    if (!request)
        fail(stage, command, "this request would not reach a room: %.*s", (int)error.len,
             (const char *)error.data);
    buf_fini(&error);
    return request;
}

static bool run_connect(struct stage *stage, struct command *command)
{
    struct party *party = party_of(stage, command);
    struct http_request *request = party ? make_request(stage, command, true) : NULL;
    char id[PEER_ID_MAX + 1];

    if (!request)
        return true;
    snprintf(id, sizeof id, "%.*s", (int)command->client.len, command->client.ptr);
    command->number = entrance_connect(&stage->world, party, command->id, request, id)->number;
    return true;
}

/* connect(party, room, target, headers, id) → its number */
static int host_connect(lua_State *L)
{
    struct span client = check_span(L, 5);

    luaL_argcheck(L,
                  client.len > 0 && client.len <= PEER_ID_MAX && utf8_valid(client.ptr, client.len) &&
                      !memchr(client.ptr, '\0', client.len),
                  5, "an id is 1 to 256 bytes of UTF-8");
    struct command *command = new_command(L, run_connect);
    command->party = check_span(L, 1);
    command->id = check_span(L, 2);
    command->method = SPAN("GET");
    command->target = check_span(L, 3);
    command->headers = check_span(L, 4);
    command->client = client;
    return give(L, command, push_number);
}

static bool run_request(struct stage *stage, struct command *command)
{
    struct party *party = party_of(stage, command);
    struct http_request *request = party ? make_request(stage, command, false) : NULL;

    if (!request)
        return true;
    command->number = entrance_request(&stage->world, party, command->id, request)->number;
    return true;
}

/* request(party, room, method, target, headers [, body]) → its number */
static int host_request(lua_State *L)
{
    lua_settop(L, 6);
    struct span body = optional_span(L, 6);
    struct command *command = new_command(L, run_request);
    command->party = check_span(L, 1);
    command->id = check_span(L, 2);
    command->method = check_span(L, 3);
    command->target = check_span(L, 4);
    command->headers = check_span(L, 5);
    command->data = body;
    return give(L, command, push_number);
}

static bool run_fetch(struct stage *stage, struct command *command)
{
    struct buf error = {0};
    struct http_request *request =
        request_make(command->method, (struct span){0}, (struct span){0}, command->target, command->headers,
                     command->data, false, &error);

    if (request)
        command->number = entrance_fetch(&stage->world, request)->number;
    else
        fail(stage, command, "this request would not reach a party: %.*s", (int)error.len,
             (const char *)error.data);
    buf_fini(&error);
    return true;
}

/* fetch(method, target, headers [, body]) → its number */
static int host_fetch(lua_State *L)
{
    lua_settop(L, 4);
    struct span body = optional_span(L, 4);
    struct command *command = new_command(L, run_fetch);
    command->method = check_span(L, 1);
    command->target = check_span(L, 2);
    command->headers = check_span(L, 3);
    command->data = body;
    return give(L, command, push_number);
}

static bool run_cron(struct stage *stage, struct command *command)
{
    if (!crons_run(&stage->world.crons, command->data))
        fail(stage, command, "the configuration has no cron %.*s", (int)command->data.len, command->data.ptr);
    return true;
}

/* cron(name) */
static int host_cron(lua_State *L)
{
    struct span name = check_span(L, 1);
    struct command *command = new_command(L, run_cron);
    command->data = name;
    return give(L, command, push_done);
}

/* ---- what clients do ---- */

static struct client *client_of(struct stage *stage, struct command *command)
{
    struct client *client = client_find(&stage->world, command->number);

    if (!client)
        fail(stage, command, "this client is of another test");
    else if (client->state == CLIENT_OPEN)
        return client;
    else if (client->state == CLIENT_CONNECTING)
        fail(stage, command, "the client is not let in yet: its onConnect waits for something");
    else if (client->state == CLIENT_REFUSED)
        fail(stage, command, "the client was refused");
    else
        fail(stage, command, "the client's connection is closed, with %d%s%.*s", client->code,
             client->reason.len ? " " : "", (int)client->reason.len,
             client->reason.len ? (const char *)client->reason.data : "");
    return NULL;
}

static bool run_send(struct stage *stage, struct command *command)
{
    struct client *client = client_of(stage, command);
    uint64_t most = stage->project->config.limits.message;

    if (client && command->data.len > most)
        return fail(stage, command, "the server takes messages of up to %" PRIu64 " bytes, not %zu", most,
                    command->data.len);
    if (client && !command->binary && !utf8_valid(command->data.ptr, command->data.len))
        return fail(stage, command, "the text is not valid UTF-8; send it with { binary = true }");
    if (client)
        client_send(client, command->data, command->binary);
    return true;
}

/* send(number, data, binary) */
static int host_send(lua_State *L)
{
    lua_settop(L, 3);
    struct span data = check_span(L, 2);
    struct command *command = new_command(L, run_send);
    command->number = (uint64_t)luaL_checkinteger(L, 1);
    command->data = data;
    command->binary = lua_toboolean(L, 3) != 0;
    return give(L, command, push_done);
}

static bool run_close(struct stage *stage, struct command *command)
{
    struct client *client = client_find(&stage->world, command->number);
    if (client)
        client_close(client, command->code, command->data, command->code != 1006);
    return true;
}

/* close(number, code, reason): 0: without a code; 1006: the connection is lost */
static int host_close(lua_State *L)
{
    lua_settop(L, 3);
    struct span reason = optional_span(L, 3);
    lua_Integer code = luaL_checkinteger(L, 2);
    bool known = code == 0 || code == 1006 || peer_close_code_valid(code);
    if (!known || reason.len > 123) {
        lua_pushnil(L);
        lua_pushstring(L, known ? "a reason has up to 123 bytes"
                                : "a client closes with 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999");
        return 2;
    }
    struct command *command = new_command(L, run_close);
    command->number = (uint64_t)luaL_checkinteger(L, 1);
    command->code = (uint16_t)code;
    command->data = reason;
    return give(L, command, push_done);
}

/* ---- time, and the rooms' lives ---- */

static bool run_advance(struct stage *stage, struct command *command)
{
    return world_advance(&stage->world, &stage->rooms, command->ms);
}

/* advance(ms) */
static int host_advance(lua_State *L)
{
    uint64_t ms = duration_check(L, 1);
    struct command *command = new_command(L, run_advance);
    command->ms = ms;
    return give(L, command, push_done);
}

static bool run_evict(struct stage *stage, struct command *command)
{
    struct world *world = &stage->world;
    struct room *room = rooms_find(&world->rooms, command->party, command->id);
    int rc = 0;

    if (room && room->instance) {
        rc = rooms_evict(room);
        if (rc == 0 && !world_rest(world, &stage->rooms))
            return false;
        room = rooms_find(&world->rooms, command->party, command->id);
    }
    if (rc == 0 && (!room || !room->instance))
        return true;
    if (room && room->n_peers > 0 && !script_ops.hibernates(room->party))
        return fail(stage, command, "the room has connections, and its party does not hibernate");
    return fail(stage, command,
                "the room has a reason to stay: a timer, a handler that waits, a state that can't be "
                "stored");
}

/* evict(party, room) */
static int host_evict(lua_State *L)
{
    struct command *command = new_command(L, run_evict);
    command->party = check_span(L, 1);
    command->id = check_span(L, 2);
    return give(L, command, push_done);
}

static bool run_restart(struct stage *stage, struct command *command)
{
    return world_restart(&stage->world, &stage->rooms, command->binary);
}

/* restart(crash) */
static int host_restart(lua_State *L)
{
    bool crash = lua_toboolean(L, 1) != 0;
    struct command *command = new_command(L, run_restart);
    command->binary = crash;
    return give(L, command, push_done);
}

void stage_push_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {{"connect", host_connect}, {"request", host_request},
                                         {"fetch", host_fetch},     {"cron", host_cron},
                                         {"send", host_send},       {"close", host_close},
                                         {"advance", host_advance}, {"evict", host_evict},
                                         {"restart", host_restart}, {NULL, NULL}};

    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    luaL_setfuncs(L, stage_looks, 0);
}
