/* Hooks: what they are called with, what they may return, what becomes of the request that is lent to them. */
#include "script_world.h"

#include "room/hook.h"

struct ask {
    struct hook_call call;
    struct world *world;
    int answers, status;          /* status 0: there was no response */
    char *body;                   /* owned; of the response */
    struct http_problem *problem; /* owned; its */
    struct http_request *request; /* owned; what goes on */
};

static void on_answer(struct exchange *exchange, struct http_response *response)
{
    struct ask *ask = container_of(container_of(exchange, struct hook_call, exchange), struct ask, call);

    assert_int_equal(ask->answers++, 0);
    if (response) {
        ask->status = response->status;
        ask->body = response->body ? strndup((char *)response->body->data, response->body->len) : strdup("");
        ask->problem = response->problem;
        response->problem = NULL;
    } else {
        ask->request = ask->call.request;
        ask->call.request = NULL;
    }
    http_response_free(response);
}

static void ask_fini(struct ask *ask)
{
    assert_int_equal(ask->answers, 1);
    free(ask->body);
    http_problem_free(ask->problem);
    http_request_free(ask->request);
    hook_call_fini(&ask->call);
    *ask = (struct ask){0};
}

/* The room is what stands in the path. */
static void ask_later(struct world *world, struct ask *ask, enum hook_kind kind, const char *head,
                      const char *body)
{
    struct http_request *request = world_http(head, body, body ? strlen(body) : 0);

    *ask = (struct ask){.call = {.exchange = {.respond = on_answer}, .kind = (uint8_t)kind}, .world = world};
    if (kind != HOOK_FETCH)
        ask->call.room = SPAN("r\xc3\xb6m");
    room_hook(&world->rooms, world->party, &ask->call, request);
}

static void ask_now(struct world *world, struct ask *ask, enum hook_kind kind, const char *head,
                    const char *body)
{
    ask_later(world, ask, kind, head, body);
    world_wait(world, ask->answers > 0);
}

static void expect_body(struct world *world, const struct ask *ask, const char *body)
{
    if (!ask->body || strcmp(ask->body, body) != 0)
        fail_msg("%s, not %s (verdict %d)\n%s", ask->body ? ask->body : "no body", body,
                 (int)ask->call.verdict, world_log(world));
}

#define HEAD "POST /parties/main/x/sub?a=1\nX-One: 1\nX-Two: 2\nX-TWO: 3\nCookie: a=b"

/* All headers of what goes on: "name=value;" each. */
static const char *headers_of(const struct ask *ask)
{
    static char text[4096];
    size_t len = 0;

    assert_non_null(ask->request);
    text[0] = '\0';
    for (size_t i = 0; i < ask->request->n_headers; i++) {
        const struct http_header *header = &ask->request->headers[i];
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s=%.*s;", (int)header->name.len,
                                header->name.ptr, (int)header->value.len, header->value.ptr);
    }
    return text;
}

/* ---- what they are called with ---- */

static void a_self_of_its_own(void **state)
{
    (void)state;
    struct world *world = world_of(
        "local P = {}\n"
        "function P:helper() return 'helper of ' .. self.name end\n"
        "function P:onBeforeRequest(request)\n"
        "  assert(self.left == nil and rawget(self, 'onBeforeRequest') == nil)\n"
        "  self.left = true\n"
        "  assert(self.name == 'main' and self.id == 'r\xc3\xb6m' and self:helper() == 'helper of main')\n"
        "  assert(party.id == nil and party.name == 'main' and party.env.X == nil)\n"
        "  for _, name in ipairs { 'broadcast', 'getConnection', 'getConnections', 'connectionCount' } do\n"
        "    local ok, message = pcall(party[name], 'x')\n"
        "    assert(not ok and message:find('there is no room here', 1, true), name)\n"
        "  end\n"
        "  assert(not pcall(party.after, 1, print) and not pcall(party.every, 1, print))\n"
        "  assert(not pcall(party.storage.get, party.storage, 'x'))\n"
        "  assert(not pcall(party.storage.put, party.storage, 'x', 1))\n"
        "  assert(request.method == 'POST' and request.subpath == '/sub' and request.query.a == '1')\n"
        "  assert(request.remoteAddress == '192.0.2.7' and request.body == '{\"x\":1}')\n"
        "  assert(request:json().x == 1 and request:text() == request.body)\n"
        "  for _, field in ipairs { 'method', 'url', 'body', 'path', 'subpath', 'query', 'headers', 'x' } "
        "do\n"
        "    assert(not pcall(function() request[field] = 'x' end), field)\n"
        "  end\n"
        "end\n"
        "function P:onFetch(request)\n"
        "  assert(self.id == nil and self.name == 'main' and self.left == nil)\n"
        "  log.info('fetched')\n"
        "end\n"
        "function P:onStart() error('a lobby has none') end\n"
        "function P:onStop() error('a lobby has none') end\n"
        "P.options = { persist = true }\n"
        "return P\n");
    struct ask ask;

    for (int i = 0; i < 3; i++) {
        ask_now(world, &ask, HOOK_REQUEST, HEAD, "{\"x\":1}");
        if (ask.call.verdict != HOOK_PASS)
            fail_msg("%s", world_log(world));
        assert_int_equal(ask.request->body->len, 7);
        ask_fini(&ask);
    }
    ask_now(world, &ask, HOOK_FETCH, "GET /parties/main/x", NULL);
    assert_int_equal(ask.call.verdict, HOOK_PASS);
    ask_fini(&ask);
    const char *log = world_log(world);
    assert_non_null(strstr(log, "\"msg\":\"fetched\",\"party\":\"main\"}"));
    assert_int_equal(world->rooms.n_rooms, 1);
    assert_int_equal(world->counters.rooms_started, 0);
    world_stop(world);
    world_quiet(world);
    world_end(world);
}

static void many_wait_at_once(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "local n = 0\n"
                                   "function P:onBeforeRequest(request)\n"
                                   "  n = n + 1\n"
                                   "  request.headers['x-n'] = n\n"
                                   "  self.n = n\n"
                                   "  sleep(20 - 2 * n)\n"
                                   "  assert(request.headers['x-n'] == tostring(self.n))\n"
                                   "end\n"
                                   "return P\n");
    struct ask asks[8];

    for (int i = 0; i < 8; i++)
        ask_later(world, &asks[i], HOOK_REQUEST, "GET /parties/main/x", "body");
    for (int i = 0; i < 8; i++) {
        char wanted[64];
        world_wait(world, asks[i].answers > 0);
        snprintf(wanted, sizeof wanted, "Host=example.org;Content-Length=4;x-n=%d;", i + 1);
        assert_string_equal(headers_of(&asks[i]), wanted);
        assert_memory_equal(asks[i].request->body->data, "body", 4);
        ask_fini(&asks[i]);
    }
    world_end(world);
}

/* ---- headers ---- */

static void headers_may_be_changed(void **state)
{
    (void)state;
    struct world *world = world_of(
        "local P = {}\n"
        "function P:onBeforeRequest(request)\n"
        "  local h = request.headers\n"
        "  h['X-Two'] = nil\n"
        "  h['x-NEW'] = 'a, b'\n"
        "  h['x-number'] = 12\n"
        "  h['cookie'] = ''\n"
        "  h['x-gone'] = 'x'\n"
        "  h['X-GONE'] = nil\n"
        "  assert(h['x-two'] == nil and h['X-new'] == 'a, b' and h['x-number'] == '12' and h.cookie == '')\n"
        "  local seen = {}\n"
        "  for name, value in pairs(h) do seen[name] = value end\n"
        "  assert(seen['x-new'] == 'a, b' and seen['x-two'] == nil and seen['x-one'] == '1')\n"
        "  for _, bad in ipairs { { 'a b', 'x' }, { '', 'x' }, { 'x:', 'x' }, { 'a\\r\\nb', 'x' }, { 1, 'x' "
        "},\n"
        "    { 'x-v', 'a\\rb' }, { 'x-v', 'a\\nb' }, { 'x-v', 'a\\0b' }, { 'x-v', true }, { 'x-v', {} },\n"
        "    { 'Host', 'x' }, { 'content-length', '1' }, { 'Transfer-Encoding', nil }, { 'connection', 'x' "
        "},\n"
        "    { 'Upgrade', nil }, { 'sec-websocket-key', nil }, { 'Sec-WebSocket-Protocol', 'x' },\n"
        "    { 'x-big', ('x'):rep(20000) } } do\n"
        "    local ok, message = pcall(function() h[bad[1]] = bad[2] end)\n"
        "    assert(not ok and message:find('header'), bad[1])\n"
        "  end\n"
        "  assert(h['x-v'] == nil)\n"
        "  stashed, kept = h, request\n"
        "end\n"
        "function P:onFetch(request)\n"
        "  assert(not pcall(function() stashed['x-late'] = 'x' end))\n"
        "  local ok, message = pcall(function() return kept.method end)\n"
        "  assert(not ok and message:find('has gone on to its room', 1, true))\n"
        "  assert(not pcall(function() return kept:json() end) and not pcall(function() return kept.headers "
        "end))\n"
        "end\n"
        "function P:onRequest(request)\n"
        "  assert(not pcall(function() request.headers.x = 'y' end))\n"
        "  return request.headers['x-new'] or 'none'\n"
        "end\n"
        "return P\n");
    struct ask ask;

    ask_now(world, &ask, HOOK_REQUEST, HEAD, "the body");
    if (ask.call.verdict != HOOK_PASS)
        fail_msg("%s", world_log(world));
    const char *headers = headers_of(&ask);
    assert_memory_equal(headers, "Host=example.org;X-One=1;Content-Length=8;", 42);
    assert_non_null(strstr(headers, ";x-new=a, b;"));
    assert_non_null(strstr(headers, ";x-number=12;"));
    assert_non_null(strstr(headers, ";cookie=;"));
    assert_null(strstr(headers, "gone"));
    assert_int_equal(ask.request->n_headers, 6);
    assert_true(span_equal(ask.request->method, SPAN("POST")));
    assert_true(span_equal(ask.request->target, SPAN("/parties/main/x/sub?a=1")));
    assert_true(span_equal(ask.request->path, SPAN("/parties/main/x/sub")));
    assert_true(span_equal(ask.request->query, SPAN("a=1")));
    assert_true(span_equal(ask.request->host, SPAN("example.org")));
    assert_string_equal(ask.request->remote, "192.0.2.7");
    assert_memory_equal(ask.request->body->data, "the body", 8);
    ask_fini(&ask);

    ask_now(world, &ask, HOOK_FETCH, "GET /parties/main/x", NULL);
    if (ask.call.verdict != HOOK_PASS)
        fail_msg("%s", world_log(world));
    ask_fini(&ask);
    world_answered(world_answer(world_room(world, "r"), "GET /parties/main/r", NULL), 200, "none");
    world_end(world);
}

/* ---- what they return ---- */

static const char returns[] = //
    "local P, ways = {}, {}\n"
    "function ways.answer() return Response('no', { status = 403 }) end\n"
    "function ways.raised() error(Response('raised', { status = 418 })) end\n"
    "function ways.party() return { party = 'other' } end\n"
    "function ways.room() return { room = 'a\\0b' } end\n"
    "function ways.number() return { room = 7 } end\n"
    "function ways.both() return { party = 'p', room = 'q' } end\n"
    "function ways.raise() error('a secret') end\n"
    "function ways.bad() return 42 end\n"
    "function ways.text() return 'text' end\n"
    "function ways.truth() return true end\n"
    "function ways.self(self, request) return request end\n"
    "function ways.empty() return {} end\n"
    "function ways.strange() return { room = 'x', rom = 'y' } end\n"
    "function ways.typed() return { room = {} } end\n"
    "function ways.json(_, request) return request:json() end\n"
    "function ways.header(_, request) request.headers.x = 'a\\nb' end\n"
    "function ways.loop() while true do end end\n"
    "function ways.swallow() while true do pcall(ways.loop) end end\n"
    "function ways.memory() local t = {} while true do t[#t + 1] = ('x'):rep(1e5) .. #t end end\n"
    "function ways.waiting() sleep(1) error('late') end\n"
    "local function hook(self, request) return ways[request.query.way](self, request) end\n"
    "P.onBeforeConnect, P.onBeforeRequest, P.onFetch = hook, hook, hook\n"
    "return P\n";

static const struct {
    const char *way;
    enum hook_verdict verdict; /* of both hooks before a room */
    int status;
    const char *body; /* its beginning */
    const char *party, *room;
    enum hook_verdict fetched; /* of onFetch */
    int fetch_status;
    const char *logged;
} rows[] = {
    {"answer", HOOK_ANSWER, 403, "no", NULL, NULL, HOOK_ANSWER, 403, NULL},
    {"raised", HOOK_ANSWER, 418, "raised", NULL, NULL, HOOK_ANSWER, 418, NULL},
    {"party", HOOK_REDIRECT, 0, NULL, "other", "r\xc3\xb6m", HOOK_FAILED, 500, "onFetch returned table"},
    {"room", HOOK_REDIRECT, 0, NULL, "main", "a", HOOK_FAILED, 500, "onFetch returned table"},
    {"number", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500,
     "a table whose room is number, not a string"},
    {"both", HOOK_REDIRECT, 0, NULL, "p", "q", HOOK_FAILED, 500, "onFetch returned table"},
    {"raise", HOOK_ANSWER, 401, "Unauthorized", NULL, NULL, HOOK_FAILED, 500, "a secret"},
    {"waiting", HOOK_ANSWER, 401, "Unauthorized", NULL, NULL, HOOK_FAILED, 500, "late"},
    {"bad", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500,
     "onBeforeConnect returned number; a Response, { party = , room = } or nil is expected"},
    {"text", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500,
     "onFetch returned string; a Response or nil is expected"},
    {"truth", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500,
     "onBeforeRequest returned boolean"},
    {"self", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500,
     "onBeforeRequest returned request"},
    {"empty", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500, "returned an empty table"},
    {"strange", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500,
     "returned a table that is not { party = , room = }"},
    {"typed", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500,
     "a table whose room is table, not a string"},
    {"json", HOOK_ANSWER, 400, "JSON error in line 1, column 1", NULL, NULL, HOOK_ANSWER, 400, NULL},
    {"header", HOOK_ANSWER, 401, "Unauthorized", NULL, NULL, HOOK_FAILED, 500,
     "the value of the header x has a line break"},
    {"loop", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500, "the handler's time is over"},
    {"swallow", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500,
     "the handler's time is over"},
    {"memory", HOOK_FAILED, 500, "Internal error", NULL, NULL, HOOK_FAILED, 500, "memory is used up"},
};

static void play(struct world *world, size_t i, enum hook_kind kind)
{
    struct ask ask;
    char head[64];
    bool fetch = kind == HOOK_FETCH;

    snprintf(head, sizeof head, "GET /parties/main/x?way=%s", rows[i].way);
    ask_now(world, &ask, kind, head, NULL);
    enum hook_verdict verdict = fetch ? rows[i].fetched : rows[i].verdict;
    int status = fetch ? rows[i].fetch_status : rows[i].status;
    if (ask.call.verdict != verdict || ask.status != status)
        fail_msg("%s, %d: %d %d\n%s", rows[i].way, kind, ask.call.verdict, ask.status, world_log(world));
    if (!fetch && rows[i].body)
        assert_memory_equal(ask.body, rows[i].body, strlen(rows[i].body));
    if (verdict == HOOK_REDIRECT) {
        assert_string_equal(ask.call.party, rows[i].party);
        assert_string_equal(ask.call.to, rows[i].room);
        assert_int_equal(ask.call.to_len, strcmp(rows[i].way, "room") == 0 ? 3 : strlen(rows[i].room));
    }
    assert_int_equal(ask.request != NULL, status == 0);
    assert_null(ask.problem); /* festa run says nothing of scripts */
    ask_fini(&ask);
}

static void what_they_may_return(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world->config.limits.handler_time = 200;
    world->config.limits.room_memory = 2 * 1024 * 1024;
    project_files_write(&world->files, "parties/main.lua", returns);
    world_open(world);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int kind = HOOK_CONNECT; kind <= HOOK_FETCH; kind++)
            play(world, i, (enum hook_kind)kind);
        if (rows[i].logged)
            world_logged(world, rows[i].logged);
        else
            world_quiet(world);
    }
    assert_int_equal(rooms_lobby(&world->rooms, world->party)->lent, 0);
    world_end(world);
}

/* festa dev shows its author what was wrong, with the right names. */
static void errors_are_shown_to_authors(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world->config.dev = true;
    project_files_write(&world->files, "parties/main.lua", returns);
    world_open(world);
    struct ask ask;

    ask_now(world, &ask, HOOK_REQUEST, "GET /parties/main/x?way=raise", NULL);
    assert_int_equal(ask.status, 401);
    assert_string_equal(ask.problem->message, "a secret");
    assert_string_equal(ask.problem->title, "onBeforeRequest, room r\xc3\xb6m of the party main");
    assert_int_equal(ask.problem->line, 8);
    ask_fini(&ask);
    ask_now(world, &ask, HOOK_FETCH, "GET /parties/main/x?way=raise", NULL);
    assert_int_equal(ask.status, 500);
    assert_string_equal(ask.problem->title, "onFetch of the party main");
    ask_fini(&ask);
    world_end(world);
}

static void a_file_scope_that_fails(void **state)
{
    (void)state;
    struct world *world = world_of("if party.name and now() == 0 then error('never') end\n"
                                   "local P = {}\n"
                                   "function P:onFetch() return Response('fine') end\n"
                                   "function P:onBeforeConnect() end\n"
                                   "return P\n");
    struct ask ask;

    world->fail_in = 0;
    ask_now(world, &ask, HOOK_REQUEST, "GET /parties/main/x",
            NULL); /* it has no such hook: as after a reload */
    assert_int_equal(ask.call.verdict, HOOK_PASS);
    ask_fini(&ask);
    ask_now(world, &ask, HOOK_FETCH, "GET /parties/main/x", NULL);
    expect_body(world, &ask, "fine");
    ask_fini(&ask);
    world_end(world);
}

/* ---- another version ---- */

static void reload(struct world *world, const char *source)
{
    struct config config;
    struct buf error = {0};
    struct room_limits limits = world->rooms.limits;

    project_files_write(&world->files, "parties/main.lua", source);
    config_init(&config);
    struct project *next = project_open(world->files.root, &config, NULL, &error);
    if (!next)
        fail_msg("%.*s", (int)error.len, (char *)error.data);
    script_adopt(&world->script, next);
    rooms_reload(&world->rooms, &limits, script_find_party, &world->script);
    project_unref(world->project);
    world->project = next;
    world->party = project_party(next, SPAN("main"));
    config_fini(&config);
}

static void a_reload_changes_them(void **state)
{
    (void)state;
    struct world *world = world_of("local P = { options = { persist = true } }\n"
                                   "function P:onBeforeRequest(r) return Response('one') end\n"
                                   "function P:onFetch(r) sleep(300) return self:later() end\n"
                                   "function P:later() return Response('old') end\n"
                                   "return P\n");
    struct ask ask, waits;

    ask_now(world, &ask, HOOK_REQUEST, "GET /parties/main/x", NULL);
    expect_body(world, &ask, "one");
    ask_fini(&ask);
    ask_later(world, &waits, HOOK_FETCH, "GET /parties/main/x", NULL);
    world_wait(world, !rooms_busy(&world->rooms)); /* it sleeps */
    reload(world, "local P = { options = { persist = true } }\n"
                  "function P:onBeforeRequest(r) return Response('two') end\n"
                  "function P:later() return Response('new') end\n"
                  "function P:onReload() error('a lobby has none') end\n"
                  "return P\n");
    ask_now(world, &ask, HOOK_REQUEST, "GET /parties/main/x", NULL);
    expect_body(world, &ask, "two");
    ask_fini(&ask);
    world_wait(world, waits.answers > 0);
    expect_body(world, &waits, "new");
    ask_fini(&waits);
    reload(world, "return {}");
    ask_now(world, &ask, HOOK_REQUEST, "GET /parties/main/x", NULL);
    assert_int_equal(ask.call.verdict, HOOK_PASS);
    ask_fini(&ask);
    world_end(world);
}

/* ---- memory ---- */

/* Whatever fails, each is answered once, nothing is lost, and the lobby goes on. */
static void without_memory(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "function P:onBeforeRequest(request)\n"
                                   "  for i = 1, 5 do request.headers['x-' .. i] = i end\n"
                                   "  request.headers['x-one'] = nil\n"
                                   "  if #request.body > 3 then sleep(0) end\n"
                                   "  if request.query.a == '1' then return { room = 'b', party = 'c' } end\n"
                                   "  if request.query.a == '2' then error(Response('x')) end\n"
                                   "end\n"
                                   "return P\n");
    static const char *const heads[] = {HEAD, "POST /parties/main/x?a=2", "POST /parties/main/x"};
    uint64_t most = 1;

    for (uint64_t n = 1; n <= most + 5; n++) {
        struct ask asks[3];
        world->fail_in = n;
        for (int i = 0; i < 3; i++)
            ask_later(world, &asks[i], HOOK_REQUEST, heads[i], "body");
        for (int i = 0; i < 3; i++) {
            world_wait(world, asks[i].answers > 0);
            assert_true(asks[i].status == 0 || asks[i].status == 500 || asks[i].status == 200 ||
                        asks[i].status == 401);
            if (asks[i].status == 0)
                assert_memory_equal(asks[i].request->body->data, "body", 4);
            ask_fini(&asks[i]);
        }
        struct ask after;
        int tries = 0;
        bool passed = false;
        while (!passed && tries++ < 3) { /* what is to fail may not have come before */
            ask_now(world, &after, HOOK_REQUEST, "POST /parties/main/x", "body");
            passed = after.call.verdict == HOOK_PASS;
            ask_fini(&after);
        }
        assert_true(passed);
        rooms_drop(&world->rooms);
        world->rooms.stopping = false;
        loop_step(&world->loop);
        most = world->allocated > most ? world->allocated : most;
        world_log(world);
        if (n > 400) /* the rest is what loading takes, which fails elsewhere */
            break;
    }
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_self_of_its_own),           cmocka_unit_test(many_wait_at_once),
        cmocka_unit_test(headers_may_be_changed),      cmocka_unit_test(what_they_may_return),
        cmocka_unit_test(errors_are_shown_to_authors), cmocka_unit_test(a_file_scope_that_fails),
        cmocka_unit_test(a_reload_changes_them),       cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
