/* The response of a fetch, as scripts see it. One that was asked for with stream = true has a body that comes while it
 * is read; every other one has all of it. */
#include "script/bind_fetch.h"
#include "script/call.h"
#include "script/quota.h"
#include "script/wait.h"

const char fetched_type[] = "response";

static struct fetching *fetched_check(lua_State *L, int arg)
{
    bind_check(L, arg, fetched_type);
    return held_of(L, arg);
}

/* ---- the whole body ---- */

/* Lets go of what is in C, once the script has it. */
static void let_go(struct fetching *fetching)
{
    buf_fini(&fetching->fetch.body);
    fetching->taken = fetching->scanned = 0;
    fetching_account(fetching);
}

/* Pushes what is left of the body, of which nothing more will come, and keeps it; or nil, message, code. The object is
 * at self. Returns how many were pushed. */
static int push_rest(lua_State *L, int self)
{
    struct fetching *fetching = held_of(L, self);
    struct buf *body = &fetching->fetch.body;

    if (lua_getiuservalue(L, self, FETCHED_BODY) == LUA_TSTRING)
        return 1;
    lua_pop(L, 1);
    if (fetching->fetch.state == FETCH_FAILED)
        return fetching_failed(L, fetching);
    lua_pushlstring(L, body->data ? (const char *)body->data + fetching->taken : "",
                    body->len - fetching->taken);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, self, FETCHED_BODY);
    let_go(fetching);
    return 1;
}

/* Calls done, with the object alone on the stack, once all of the body is there. */
static int when_over(lua_State *L, int (*done)(lua_State *L, struct task *task))
{
    struct fetching *fetching = fetched_check(L, 1);

    lua_settop(L, 1);
    if (fetching_over(fetching))
        return done(L, NULL);
    fetching->gathers = true;
    return fetching_wait(L, fetching, fetching_over, done);
}

static int text_done(lua_State *L, struct task *task)
{
    (void)task;
    return push_rest(L, 1);
}

/* response:text() → the body, or nil, message, code when it broke off */
static int fetched_text(lua_State *L)
{
    return when_over(L, text_done);
}

static int json_done(lua_State *L, struct task *task)
{
    size_t len;
    int n = push_rest(L, 1);

    (void)task;
    if (n > 1)
        return n;
    const char *text = lua_tolstring(L, -1, &len);
    if (json_decode(L, text, len, false))
        return 1;
    return luaL_error(L, "the response is not JSON: %s", lua_tostring(L, -1));
}

/* response:json() → the body's value, or nil, message, code when it broke off. Malformed JSON raises. */
static int fetched_json(lua_State *L)
{
    return when_over(L, json_done);
}

/* ---- pieces ---- */

/* The script has had so much more of it. What is left moves to the front only now and then. */
static void take(struct fetching *fetching, size_t len)
{
    size_t held = fetching->fetch.body.len;

    fetching->taken += len;
    fetching->scanned = fetching->taken;
    if (fetching->taken > held / 2 || fetching->taken == held) {
        fetch_consume(&fetching->fetch, fetching->taken);
        fetching->taken = fetching->scanned = 0;
    }
}

static struct span rest_of(const struct fetching *fetching)
{
    const struct buf *body = &fetching->fetch.body;
    return (struct span){body->data ? (const char *)body->data + fetching->taken : "",
                         body->len - fetching->taken};
}

static bool has_piece(struct fetching *fetching)
{
    return fetching_over(fetching) || rest_of(fetching).len > 0;
}

/* Where the next line ends; NULL: not in what is here. */
static const char *line_end(struct fetching *fetching)
{
    const struct buf *body = &fetching->fetch.body;
    const char *data = (const char *)body->data;

    if (fetching->scanned >= body->len)
        return NULL;
    const char *end = memchr(data + fetching->scanned, '\n', body->len - fetching->scanned);
    fetching->scanned = end ? (size_t)(end - data) : body->len;
    return end;
}

static bool has_line(struct fetching *fetching)
{
    return fetching_over(fetching) || line_end(fetching) != NULL;
}

static size_t without_cr(const char *line, size_t len)
{
    return len > 0 && line[len - 1] == '\r' ? len - 1 : len;
}

/* Before the handler waits for more: all of the window is to be had. */
static void make_room(struct fetching *fetching)
{
    if (fetching->taken > 0)
        fetch_consume(&fetching->fetch, fetching->taken);
    fetching->scanned -= fetching->taken;
    fetching->taken = 0;
}

/* Nothing more comes: nil, or an error, since a loop would take nil for the end. */
static int push_end(lua_State *L, const struct fetching *fetching)
{
    if (fetching->fetch.state == FETCH_FAILED)
        return luaL_error(L, "the response broke off: %s", fetching->fetch.message);
    lua_pushnil(L);
    return 1;
}

/* The iterators' upvalues: the response, and how much of its body was given if that is a string. */
enum { UP_RESPONSE = 1, UP_GIVEN, UPVALUES = 2 };

static int next_chunk(lua_State *L);
static int next_line(lua_State *L);

static int chunk_came(lua_State *L, struct task *task)
{
    (void)task;
    return next_chunk(L);
}

static int line_came(lua_State *L, struct task *task)
{
    (void)task;
    return next_line(L);
}

/* Pushes the body that the script has as a string, behind what was given of it, as a span; false: it has none. */
static bool given_text(lua_State *L, struct span *rest, size_t *given)
{
    lua_settop(L, 0);
    if (lua_getiuservalue(L, lua_upvalueindex(UP_RESPONSE), FETCHED_BODY) != LUA_TSTRING)
        return false;
    rest->ptr = lua_tolstring(L, -1, &rest->len);
    *given = (size_t)lua_tointeger(L, lua_upvalueindex(UP_GIVEN));
    *rest = (struct span){rest->ptr + *given, rest->len - *given};
    return true;
}

static void set_given(lua_State *L, size_t given)
{
    lua_pushinteger(L, (lua_Integer)given);
    lua_replace(L, lua_upvalueindex(UP_GIVEN));
}

static int next_chunk(lua_State *L)
{
    struct fetching *fetching = held_of(L, lua_upvalueindex(UP_RESPONSE));
    struct span rest;
    size_t given;

    if (given_text(L, &rest, &given)) {
        if (rest.len == 0)
            return 0;
        set_given(L, given + rest.len);
        lua_pushlstring(L, rest.ptr, rest.len);
        return 1;
    }
    rest = rest_of(fetching);
    if (rest.len == 0 && fetching_over(fetching))
        return push_end(L, fetching);
    if (rest.len == 0) {
        fetching->gathers = false;
        make_room(fetching);
        return fetching_wait(L, fetching, has_piece, chunk_came);
    }
    lua_pushlstring(L, rest.ptr, rest.len);
    take(fetching, rest.len);
    fetching_account(fetching);
    return 1;
}

static int next_line_given(lua_State *L, struct span rest, size_t given)
{
    if (rest.len == 0)
        return 0;
    const char *end = memchr(rest.ptr, '\n', rest.len);
    size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
    set_given(L, given + len + (end ? 1 : 0));
    lua_pushlstring(L, rest.ptr, without_cr(rest.ptr, len));
    return 1;
}

static int next_line(lua_State *L)
{
    struct fetching *fetching = held_of(L, lua_upvalueindex(UP_RESPONSE));
    struct span rest;
    size_t given;

    if (given_text(L, &rest, &given))
        return next_line_given(L, rest, given);
    const char *end = line_end(fetching);
    rest = rest_of(fetching);
    if (!end && !fetching_over(fetching)) {
        fetching->gathers = true;
        make_room(fetching);
        return fetching_wait(L, fetching, has_line, line_came);
    }
    if (!end && (rest.len == 0 || fetching->fetch.state == FETCH_FAILED))
        return push_end(L, fetching);
    size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
    lua_pushlstring(L, rest.ptr, without_cr(rest.ptr, len));
    take(fetching, len + (end ? 1 : 0));
    fetching_account(fetching);
    return 1;
}

/* An iterator over what comes; one over the whole body if that is there, from its beginning. */
static int iterate(lua_State *L, lua_CFunction next)
{
    struct fetching *fetching = fetched_check(L, 1);

    lua_settop(L, 1);
    if (!fetching->stream) {
        push_rest(L, 1);
        lua_settop(L, 1);
    }
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next, UPVALUES);
    return 1;
}

/* response:lines() → an iterator over the lines, without their ends */
static int fetched_lines(lua_State *L)
{
    return iterate(L, next_line);
}

/* response:chunks() → an iterator over the body's pieces, as they come */
static int fetched_chunks(lua_State *L)
{
    return iterate(L, next_chunk);
}

/* response:close(): no more of the body is wanted; the connection ends if it has not come yet */
static int fetched_close(lua_State *L)
{
    fetch_fail(&fetched_check(L, 1)->fetch, FETCH_ABORTED, "the response was closed");
    return 0;
}

/* ---- headers ---- */

static struct span lines_at_top(lua_State *L, int self)
{
    struct span lines;
    lua_getiuservalue(L, self, FETCHED_LINES);
    lines.ptr = lua_tolstring(L, -1, &lines.len);
    return lines;
}

static void push_headers(lua_State *L)
{
    struct span rest, name, value;

    if (lua_getiuservalue(L, 1, FETCHED_HEADERS) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    rest = lines_at_top(L, 1);
    headers_begin(L, 8);
    while (header_lines_next(&rest, &name, &value))
        headers_add(L, name, value);
    headers_end(L);
    lua_remove(L, -2);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, FETCHED_HEADERS);
}

/* response:headerAll(name) → an array of all values of that name */
static int fetched_header_all(lua_State *L)
{
    struct span wanted;

    fetched_check(L, 1);
    wanted.ptr = luaL_checklstring(L, 2, &wanted.len);
    header_lines_push_all(L, lines_at_top(L, 1), wanted);
    return 1;
}

/* ---- the object ---- */

static const struct fetching *fetched_at_1(lua_State *L)
{
    return held_of(L, 1);
}

static void push_status(lua_State *L)
{
    lua_pushinteger(L, fetched_at_1(L)->fetch.status);
}

static void push_status_text(lua_State *L)
{
    lua_pushstring(L, fetched_at_1(L)->fetch.reason);
}

static void push_ok(lua_State *L)
{
    int status = fetched_at_1(L)->fetch.status;
    lua_pushboolean(L, status >= 200 && status <= 299);
}

static void push_url(lua_State *L)
{
    lua_getiuservalue(L, 1, FETCHED_URL);
}

static const struct bind_field fields[] = {
    {"status", push_status}, {"statusText", push_status_text}, {"ok", push_ok},
    {"url", push_url},       {"headers", push_headers},        {NULL, NULL},
};

static const luaL_Reg methods[] = {{"text", fetched_text},
                                   {"json", fetched_json},
                                   {"lines", fetched_lines},
                                   {"chunks", fetched_chunks},
                                   {"headerAll", fetched_header_all},
                                   {"close", fetched_close},
                                   {NULL, NULL}};

const struct bind_members fetched_members = {methods, fields};

static int fetched_index(lua_State *L)
{
    fetched_check(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (!bind_field(L, fields, key) && !bind_method(L, methods, key))
        lua_pushnil(L);
    return 1;
}

static const luaL_Reg metamethods[] = {{"__index", fetched_index},
                                       {"__newindex", bind_read_only},
                                       {"__gc", held_gc},
                                       {NULL, NULL}};

void fetched_make(lua_State *L, int index)
{
    struct fetching *fetching = held_of(L, index);
    struct fetch *fetch = &fetching->fetch;

    lua_pushlstring(L, fetch->headers.data ? (const char *)fetch->headers.data : "", fetch->headers.len);
    lua_setiuservalue(L, index, FETCHED_LINES);
    lua_pushstring(L, fetch->url ? fetch->url : "");
    lua_setiuservalue(L, index, FETCHED_URL);
    bind_metatable(L, fetched_type, metamethods);
    lua_setmetatable(L, index);
    buf_fini(&fetch->headers);
    fetching_account(fetching);
}
