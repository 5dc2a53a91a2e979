/* A party's handlers: which is called with what, in which order, and what follows from what it returns
 * or raises. */
#include "script_world.h"

/* ---- which handler, with what ---- */

static const char tell_all[] = //
    "local P = {}\n"
    "local function tell(...)\n"
    "  local out = {}\n"
    "  for i = 1, select('#', ...) do out[i] = tostring((select(i, ...))) end\n"
    "  log.info(table.concat(out, ' '))\n"
    "end\n"
    "function P:onStart(...) tell('start', ...) end\n"
    "function P:getConnectionTags(c, context)\n"
    "  tell('tags', c, context.request.query.name)\n"
    "  return { context.request.query.name }\n"
    "end\n"
    "function P:onConnect(c, context, ...)\n"
    "  tell('connect', c, context.request.method, context.request.query.name, table.concat(c.tags, '+'), "
    "...)\n"
    "  c:send('welcome')\n"
    "end\n"
    "function P:onMessage(...) tell('message', ...) end\n"
    "function P:onError(...) tell('error', ...) end\n"
    "function P:onClose(c, ...) tell('close', c, ...) tell(c.isOpen, party.connectionCount()) end\n"
    "function P:onRequest(request, ...) tell('request', request.method, request.subpath, ...) return 'fine' "
    "end\n"
    "function P:onStop(...) tell('stop', ...) end\n"
    "return P\n";

static void every_handler_has_its_arguments(void **state)
{
    (void)state;
    struct world *world = world_of(tell_all);
    struct room *room = world_room(world, "r");

    struct world_peer *anna = world_connect_with(room, "anna", "name=host");
    world_settle(world);
    world_expect(world, "anna< welcome; anna in");
    world_logged(world, "\"msg\":\"start false\",\"party\":\"main\",\"room\":\"r\"",
                 "\"msg\":\"tags connection anna host\"",
                 "\"msg\":\"connect connection anna GET host anna+host\"");

    world_message(anna, "h\xc3\xa9llo");
    world_settle(world);
    world_logged(world, "\"msg\":\"message h\xc3\xa9llo connection anna false\"");
    world_message_with(anna, "", 0, true);
    world_settle(world);
    world_logged(world, "\"msg\":\"message  connection anna true\"");
    world_error(anna, "it was wrong");
    world_settle(world);
    world_logged(world, "\"msg\":\"error connection anna it was wrong\"");
    world_answered(world_answer(room, "PUT /parties/main/r/a%20b?x", ""), 200, "fine");
    world_logged(world, "\"msg\":\"request PUT /a%20b\"");
    world_gone_with(anna, 4001, "bye", true);
    world_settle(world);
    world_logged(world, "\"msg\":\"close connection anna 4001 bye true\"", "\"msg\":\"false 0\"");
    world_stop(world);
    world_logged(world, "\"msg\":\"stop\"");
    world_expect(world, "");
    world_end(world);
}

/* A lost connection, and one that is there while the room ends. */
static void a_connection_that_is_lost(void **state)
{
    (void)state;
    struct world *world = world_of(tell_all);
    struct room *room = world_room(world, "r");

    struct world_peer *anna = world_connect_with(room, "anna", "name=x");
    world_connect_with(room, "ben", "name=y");
    world_settle(world);
    world_log(world);
    world_gone(anna);
    world_settle(world);
    world_logged(world, "\"msg\":\"close connection anna 1006  false\"", "\"msg\":\"false 1\"");
    world_stop(world);
    world_end(world);
}

static void a_party_without_handlers(void **state)
{
    (void)state;
    struct world *world = world_of("return {}");
    struct room *room = world_room(world, "r");

    struct asked *asked = world_answer(room, "GET /parties/main/r", NULL);
    world_answered(asked, 404, "Not implemented");
    assert_false(asked->has_type);
    struct world_peer *anna = world_connect(room, "anna");
    world_message(anna, "hello");
    world_error(anna, "wrong");
    world_settle(world);
    world_gone(anna);
    world_stop(world);
    world_expect(world, "anna in");
    world_quiet(world);
    world_end(world);
}

static void a_handler_that_is_no_function(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "function P:onRequest(request)\n"
                                   "  self[request.subpath:sub(2)] = 7\n"
                                   "  return 'set'\n"
                                   "end\n"
                                   "return P\n");
    struct room *room = world_room(world, "r");

    world_answered(world_answer(room, "GET /parties/main/r/onConnect", NULL), 200, "set");
    world_answered(world_answer(room, "GET /parties/main/r/onMessage", NULL), 200, "set");
    world_answered(world_answer(room, "GET /parties/main/r/getConnectionTags", NULL), 200, "set");
    world_connect(room, "anna");
    world_settle(world);
    world_expect(world, "anna closed 1011 Internal error");
    world_logged(world, "getConnectionTags is number, not a function");
    world_end(world);
}

/* self finds its handlers behind its metatable; however that is made, nothing of a script's runs on the
 * host's own coroutine. */
static void handlers_behind_metamethods(void **state)
{
    (void)state;
    struct world *world =
        world_of("local P = {}\n"
                 "local calls = {}\n"
                 "setmetatable(P, { __index = function(_, key)\n"
                 "  local step = coroutine.wrap(function() coroutine.yield(1) return 2 end)\n"
                 "  step()\n"
                 "  calls[key] = (calls[key] or 0) + step()\n"
                 "  local co, main = coroutine.running()\n"
                 "  assert(main and not coroutine.isyieldable())\n"
                 "  if key == 'onConnect' then\n"
                 "    return function(_, connection) connection:send('found') end\n"
                 "  end\n"
                 "end })\n"
                 "function P:onRequest() return json.encode({ calls.onConnect, calls.onClose, "
                 "calls.onMessage }) end\n"
                 "return P\n");
    struct room *room = world_room(world, "r");

    struct world_peer *anna = world_connect(room, "anna");
    world_message(anna, "x");
    world_gone(anna);
    world_settle(world);
    world_expect(world, "anna< found; anna in");
    world_answered(world_answer(room, "GET /parties/main/r", NULL), 200, "[2,2,2]");
    world_quiet(world);
    world_end(world);
}

static void a_start_that_fails_is_tried_again(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "function P:onStart() local x = nil; x.y = 1 end\n"
                                   "function P:onRequest() return 'no' end\n"
                                   "return P\n");
    struct room *room = world_room(world, "r");

    for (int i = 0; i < 2; i++) {
        struct asked *asked = world_answer(room, "GET /parties/main/r", NULL);
        assert_int_equal(asked->status, 500);
        assert_memory_equal(asked->body.data, "Internal error (reference ", 26);
        world_logged(world, "\"handler\":\"onStart\"",
                     "parties/main.lua:2: attempt to index a nil value (local 'x')", "\"reference\":");
        world_connect(room, "anna");
        world_settle(world);
        world_expect(world, "anna refused 500");
        assert_null(room->instance);
        world_log(world);
    }
    assert_int_equal(world->counters.handler_errors, 4);
    world_end(world);
}

/* ---- what onRequest returns ---- */

struct answer {
    const char *source; /* what it returns */
    int status;
    const char *body, *headers;
    const char *logged; /* of a 500 */
};

static const struct answer answers[] = {
    {"'text'", 200, "text", "", NULL},
    {"''", 200, "", "", NULL},
    {"{ a = 1 }", 200, "{\"a\":1}", "Content-Type: application/json\r\n", NULL},
    {"{}", 200, "[]", "Content-Type: application/json\r\n", NULL},
    {"json.object({})", 200, "{}", "Content-Type: application/json\r\n", NULL},
    {"Response('x')", 200, "x", "", NULL},
    {"Response()", 200, "", "", NULL},
    {"Response(nil, nil)", 200, "", "", NULL},
    {"Response(7)", 200, "7", "", NULL},
    {"Response('no', { status = 418 })", 418, "no", "", NULL},
    {"Response(nil, { status = 204 })", 204, "", "", NULL},
    {"Response('', { status = 304 })", 304, "", "", NULL},
    {"Response('a', { headers = { ['x-a'] = 1, } })", 200, "a", "x-a: 1\r\n", NULL},
    {"Response('a', { headers = { ['Set-Cookie'] = { 'a=1', 'b=2' } } })", 200, "a",
     "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", NULL},
    {"Response('a', { headers = { ['Content-Type'] = 'image/png' } })", 200, "a",
     "Content-Type: image/png\r\n", NULL},
    {"Response('a', { headers = {} })", 200, "a", "", NULL},
    {"Response.json({ 1, 2 })", 200, "[1,2]", "Content-Type: application/json\r\n", NULL},
    {"Response.json(json.null, { status = 201 })", 201, "null", "Content-Type: application/json\r\n", NULL},
    {"Response.json(1, { headers = { ['x-b'] = 'c' } })", 200, "1",
     "x-b: c\r\nContent-Type: application/json\r\n", NULL},
    {"Response.json(1, { headers = { ['content-TYPE'] = 'a/b' } })", 200, "1", "content-TYPE: a/b\r\n", NULL},
    {"Response.html('<p>')", 200, "<p>", "Content-Type: text/html;charset=UTF-8\r\n", NULL},
    {"Response.redirect('/there')", 302, "", "Location: /there\r\n", NULL},
    {"Response.redirect('/there', 308)", 308, "", "Location: /there\r\n", NULL},
    {"error(Response('stop', { status = 403 }))", 403, "stop", "", NULL},
    {"error(Response.json({ no = 1 }, { status = 400 }), 2)", 400, "{\"no\":1}",
     "Content-Type: application/json\r\n", NULL},
    {"coroutine.wrap(function() error(Response('deep', { status = 402 })) end)()", 402, "deep", "", NULL},
    {"select(2, pcall(error, Response('caught')))", 200, "caught", "", NULL},
    {"nil", 500, NULL, NULL, "onRequest returned nothing"},
    {"", 500, NULL, NULL, "onRequest returned nothing"},
    {"7", 500, NULL, NULL, "onRequest returned number"},
    {"true", 500, NULL, NULL, "onRequest returned boolean"},
    {"false", 500, NULL, NULL, "onRequest returned boolean"},
    {"print", 500, NULL, NULL, "onRequest returned function"},
    {"json.null", 500, NULL, NULL, "onRequest returned userdata"},
    {"request", 500, NULL, NULL, "onRequest returned userdata"},
    {"Response", 500, NULL, NULL, "json: "},
    {"{ print }", 500, NULL, NULL, "json: "},
    {"{ 1, a = 2 }", 500, NULL, NULL, "json: "},
    {"error({ close = 4001, reason = 'x' })", 500, NULL, NULL,
     "error({ close = 4001 }), which is for the handlers of connections"},
    {"error()", 500, NULL, NULL, "error object is a nil value"},
    {"error(nil)", 500, NULL, NULL, "error object is a nil value"},
    {"error(json.null)", 500, NULL, NULL, "error object is a userdata value"},
    {"error({ message = 'in a table' })", 500, NULL, NULL, "in a table"},
    {"error({ message = 12 })", 500, NULL, NULL, "12"},
    {"error({ message = {} })", 500, NULL, NULL, "error object is a table value"},
    {"error(setmetatable({}, { __tostring = function() while true do end end }))", 500, NULL, NULL,
     "error object is a table value"},
    {"error(setmetatable({}, { __index = function() while true do end end, __name = 'x' }))", 500, NULL, NULL,
     "error object is a table value"},
    {"error('line\\nbreak\\0nul', 0)", 500, NULL, NULL, "line\\nbreak"},
    {"error(12)", 500, NULL, NULL, "\"error\":\"12\""},
    {"json.decode('{')", 500, NULL, NULL, "JSON error in line 1"},
    {"pcall(request.json, request) and '' or json.decode('[')", 500, NULL, NULL, "JSON error in line 1"},
};

static void what_a_request_is_answered_with(void **state)
{
    (void)state;
    struct buf source = {0};
    char head[64];

    assert_int_equal(buf_printf(&source, "local P, cases = {}, {}\n"), 0);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        assert_int_equal(buf_printf(&source, "cases[%zu] = function(request) return %s end\n", i,
                                    answers[i].source),
                         0);
    assert_int_equal(buf_printf(&source,
                                "function P:onRequest(request)\n"
                                "  return cases[math.tointeger(request.subpath:sub(2))](request)\n"
                                "end\nreturn P\n%c",
                                0),
                     0);
    struct world *world = world_of((char *)source.data);
    struct room *room = world_room(world, "r");
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct answer *answer = &answers[i];
        snprintf(head, sizeof head, "GET /parties/main/r/%zu", i);
        struct asked *asked = world_answer(room, head, NULL);
        const char *log = world_log(world);
        bool right = asked->status == answer->status;
        if (answer->logged)
            right = right && strstr(log, answer->logged) &&
                    strstr(log, "\"party\":\"main\",\"room\":\"r\"") &&
                    strncmp((char *)asked->body.data, "Internal error (reference ", 26) == 0;
        else
            right = right && !*log && strcmp((char *)asked->body.data, answer->body) == 0 &&
                    strcmp((char *)asked->headers.data, answer->headers) == 0 &&
                    asked->has_type == (strcasestr(answer->headers, "content-type") != NULL);
        if (!right)
            fail_msg("%s: %d %s\n%s\n%s", answer->source, asked->status, (char *)asked->body.data,
                     (char *)asked->headers.data, log);
    }
    buf_fini(&source);
    world_end(world);
}

static void malformed_json_is_the_clients_fault(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "function P:onRequest(request)\n"
                                   "  if request.subpath == '/caught' then\n"
                                   "    local ok, err = pcall(request.json, request)\n"
                                   "    return tostring(ok) .. ' ' .. err\n"
                                   "  elseif request.subpath == '/again' then\n"
                                   "    local ok, err = pcall(request.json, request)\n"
                                   "    error(err, 0)\n"
                                   "  elseif request.subpath == '/inside' then\n"
                                   "    return { coroutine.wrap(function() return request:json() end)() }\n"
                                   "  elseif request.subpath == '/other' then\n"
                                   "    return { json.decode(request.body) }\n"
                                   "  end\n"
                                   "  return { got = request:json() }\n"
                                   "end\n"
                                   "function P:onMessage(message) end\n"
                                   "return P\n");
    struct room *room = world_room(world, "r");

    world_answered(world_answer(room, "POST /parties/main/r", "[1,null,2.5]"), 200, "{\"got\":[1,null,2.5]}");
    struct asked *asked = world_answer(room, "POST /parties/main/r", "{\n \"a\": nope}");
    assert_int_equal(asked->status, 400);
    assert_non_null(strstr((char *)asked->body.data, "line 2"));
    assert_int_equal(world_answer(room, "POST /parties/main/r/again", "{\n \"a\": nope}")->status, 400);
    assert_int_equal(world_answer(room, "POST /parties/main/r/inside", "{\n \"a\": nope}")->status, 400);
    world_quiet(world);
    asked = world_answer(room, "POST /parties/main/r/caught", "{\n \"a\": nope}");
    assert_int_equal(asked->status, 200);
    assert_memory_equal(asked->body.data, "false JSON error in line 2", 26);
    /* The same text, read by json.decode, is the script's own fault, whoever sent it before. */
    assert_int_equal(world_answer(room, "POST /parties/main/r/other", "{\n \"a\": nope}")->status, 500);
    world_logged(world, "\"handler\":\"onRequest\"", "line 2");
    assert_int_equal(world_answer(room, "POST /parties/main/r", NULL)->status, 400);
    world_end(world);
}

/* ---- errors of connections ---- */

static void errors_that_close(void **state)
{
    (void)state;
    struct world *world = world_of(
        "local P = {}\n"
        "function P:onConnect(c, context)\n"
        "  local how = context.request.query.how\n"
        "  if how == 'close' then error({ close = 4001, reason = 'full' }) end\n"
        "  if how == 'bare' then error({ close = 4002 }) end\n"
        "  if how == 'code' then error({ close = 1005 }) end\n"
        "  if how == 'huge' then error({ close = math.maxinteger }) end\n"
        "  if how == 'text' then error('oops') end\n"
        "  if how == 'response' then error(Response('no', { status = 403 })) end\n"
        "  if how == 'long' then error({ close = 4003, reason = ('\\u{e9}'):rep(100) }) end\n"
        "  if how == 'bad' then error({ close = 4004, reason = '\\255' }) end\n"
        "  if how == 'own' then c:close(4005, 'own') error({ close = 4006 }) end\n"
        "  if how == 'wait' then sleep(0) error({ close = 4007, reason = 'late' }) end\n"
        "end\n"
        "function P:onMessage(m, c)\n"
        "  if m == 'close' then error({ close = 4010, reason = 'said' }) end\n"
        "  if m == 'wait' then sleep(0) error({ close = 4011 }) end\n"
        "  error(m, 0)\n"
        "end\n"
        "function P:onError(c, m) error({ close = 4012, reason = m }) end\n"
        "function P:onClose(c, code) log.info('closed ' .. c.id .. ' ' .. code) error({ close = 4013 }) end\n"
        "return P\n");
    struct room *room = world_room(world, "r");
    static const struct {
        const char *how, *said, *logged;
    } cases[] = {
        {"how=close", "a closed 4001 full", NULL},
        {"how=bare", "a closed 4002", NULL},
        {"how=code", "a closed 1011 Internal error", "with a value that is no close code"},
        {"how=huge", "a closed 1011 Internal error", "with a value that is no close code"},
        {"how=text", "a closed 1011 Internal error", "parties/main.lua:8: oops"},
        {"how=response", "a closed 1011 Internal error", "a Response"},
        {"how=bad", "a closed 4004", NULL},
        {"how=own", "a closed 4005 own", NULL},
        {"how=wait", "a closed 4007 late", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world_connect_with(room, "a", cases[i].how);
        world_wait(world, room->n_peers == 0);
        world_expect(world, cases[i].said);
        if (cases[i].logged)
            world_logged(world, cases[i].logged);
        else
            world_quiet(world); /* no onClose either */
    }
    world_connect_with(room, "a", "how=long");
    world_settle(world);
    assert_int_equal(world->said.len, strlen("a closed 4003 ") + 122);
    world->said.len = 0;

    struct world_peer *b = world_connect(room, "b"), *c = world_connect(room, "c");
    struct world_peer *d = world_connect(room, "d"), *e = world_connect(room, "e");
    world_message(b, "text");
    world_settle(world);
    world_expect(world, "b in; c in; d in; e in");
    world_logged(world, "\"handler\":\"onMessage\",\"error\":\"text\"");
    world_message(b, "close");
    world_message(b, "not heard");
    world_message(c, "wait");
    world_error(d, "so");
    world_wait(world, c->closed);
    world_expect(world, "b closed 4010 said; d closed 4012 so; c closed 4011");
    world_quiet(world);
    world_gone_with(b, 4010, "said", true);
    world_gone(c);
    world_gone(d);
    world_gone(e);
    world_settle(world);
    world_logged(world, "closed b 4010", "closed c 1006", "closed d 1006", "closed e 1006");
    world_expect(world, "");
    world_end(world);
}

static void tags_are_checked(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "function P:getConnectionTags(c, context)\n"
                                   "  return load('return ' .. context.request.query.tags)()\n"
                                   "end\n"
                                   "function P:onConnect(c) c:send(table.concat(c.tags, ' ')) end\n"
                                   "return P\n");
    struct room *room = world_room(world, "r");
    static const struct {
        const char *tags, *said, *logged;
    } cases[] = {
        {"tags=nil", "a< a; a in", NULL},
        {"tags={}", "a< a; a in", NULL},
        {"tags={'x'}", "a< a x; a in", NULL},
        {"tags={'1','2','3','4','5','6','7','8','9'}", "a< a 1 2 3 4 5 6 7 8 9; a in", NULL},
        {"tags={'1','2','3','4','5','6','7','8','9','10'}", NULL, "9 tags besides its id, not 10"},
        {"tags=7", NULL, "tags are an array of strings, not number"},
        {"tags={1}", NULL, "tag 1 is number, not a string"},
        {"tags={''}", NULL, "tag 1 has 0 bytes; 1 to 256 are allowed"},
        {"tags={'a',('x'):rep(257)}", NULL, "tag 2 has 257 bytes"},
        {"tags={'%5C0'}", NULL, "tag 1 has a NUL in it"},
        {"tags=error('x')", NULL, "\"handler\":\"getConnectionTags\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world_peer *a = world_connect_with(room, "a", cases[i].tags);
        world_settle(world);
        world_expect(world, cases[i].said ? cases[i].said : "a closed 1011 Internal error");
        if (cases[i].logged)
            world_logged(world, cases[i].logged);
        else
            world_quiet(world);
        world_gone(a);
    }
    world_end(world);
}

/* ---- what the log says ---- */

static void errors_are_told_in_full_and_bounded(void **state)
{
    (void)state;
    struct world *world = world_of(
        "local P, cases = {}, {}\n"
        "local function deep(...) return 1 + deep(...) end\n" /* a few calls fill a stack */
        "function cases.deep() return deep(table.unpack({}, 1, 40000)) end\n"
        "function cases.huge() error(('x'):rep(1000000)) end\n"
        "function cases.twice()\n"
        "  xpcall(error, function() error('in the error') end, 'first')\n"
        "  error(select(2, xpcall(error, function() error('again') end, 'first')), 0)\n"
        "end\n"
        "local function inner(x)\n"
        "  sleep(0)\n"
        "  return x.y.z\n"
        "end\n"
        "function cases.waited() return inner({}) .. '' end\n"
        "function cases.pcalled() return select(2, pcall(deep, table.unpack({}, 1, 40000))):sub(1, 40) end\n"
        "function cases.table()\n"
        "  local t = setmetatable({}, { __index = function(t, k) return t[k] end })\n"
        "  return t.x\n"
        "end\n"
        "function cases.long() return string.rep('x', 1e6, ', ') .. nil end\n"
        "function P:onRequest(request)\n"
        "  local result = cases[request.subpath:sub(2)](self)\n"
        "  return result\n"
        "end\n"
        "return P\n");
    struct room *room = world_room(world, "r");

    assert_int_equal(world_answer(room, "GET /parties/main/r/deep", NULL)->status, 500);
    world_logged(world, "parties/main.lua:2: stack overflow", "\"traceback\":\"parties/main.lua:2: in ");
    assert_int_equal(world_answer(room, "GET /parties/main/r/huge", NULL)->status, 500);
    const char *log = world_log(world);
    assert_non_null(strstr(log, "parties/main.lua:4: xxxx"));
    assert_true(strlen(log) < 16 * 1024);
    assert_int_equal(world_answer(room, "GET /parties/main/r/twice", NULL)->status, 500);
    world_logged(world, "\"msg\":\"handler failed\"");
    assert_int_equal(world_answer(room, "GET /parties/main/r/waited", NULL)->status, 500);
    world_logged(world, "parties/main.lua:11: attempt to index a nil value (field 'y')",
                 "\"traceback\":\"parties/main.lua:11: in upvalue 'inner'\\nparties/main.lua:13: in ");
    struct asked *asked = world_answer(room, "GET /parties/main/r/pcalled", NULL);
    assert_int_equal(asked->status, 200);
    assert_string_equal((char *)asked->body.data, "parties/main.lua:2: stack overflow");
    world_quiet(world);
    assert_int_equal(world_answer(room, "GET /parties/main/r/table", NULL)->status, 500);
    world_logged(world, "C stack overflow");
    assert_int_equal(world_answer(room, "GET /parties/main/r/long", NULL)->status, 500);
    world_logged(world, "attempt to concatenate a nil value");
    world_end(world);
}

/* Endless recursion in a small room: its memory is used up, the traceback is cut, and it goes on. */
static void endless_recursion(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world->config.limits.room_memory = 128 * 1024;
    project_files_write(&world->files, "parties/main.lua",
                        "local P = {}\n"
                        "local function deep(n) return 1 + deep(n + 1) end\n"
                        "function P:onRequest(request)\n"
                        "  if request.subpath == '/' then return deep(0) end\n"
                        "  local ok, message = pcall(deep, 0)\n"
                        "  return message\n"
                        "end\n"
                        "return P\n");
    world_open(world);
    struct room *room = world_room(world, "r");

    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_answer(room, "GET /parties/main/r", NULL)->status, 500);
        world_logged(world, "the room's memory is used up (roomMemory = 131072 bytes)",
                     "\"traceback\":\"parties/main.lua:2: in upvalue 'deep'\\nparties/main.lua:2: in ",
                     "\\n...");
        world_answered(world_answer(room, "GET /parties/main/r/caught", NULL), 200, "not enough memory");
        world_quiet(world);
    }
    assert_int_equal(world->counters.memory_errors, 3);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_handler_has_its_arguments),
        cmocka_unit_test(a_connection_that_is_lost),
        cmocka_unit_test(a_party_without_handlers),
        cmocka_unit_test(a_handler_that_is_no_function),
        cmocka_unit_test(handlers_behind_metamethods),
        cmocka_unit_test(a_start_that_fails_is_tried_again),
        cmocka_unit_test(what_a_request_is_answered_with),
        cmocka_unit_test(malformed_json_is_the_clients_fault),
        cmocka_unit_test(errors_that_close),
        cmocka_unit_test(tags_are_checked),
        cmocka_unit_test(errors_are_told_in_full_and_bounded),
        cmocka_unit_test(endless_recursion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
