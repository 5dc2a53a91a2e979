/* Rooms that run out of memory: by what a script does, and at every single allocation of its VM in a life
 * with everything that can happen to a room. Whatever fails, nothing is leaked, each request is answered
 * once, and the room goes on. */
#include "script_world.h"

/* ---- a life ---- */

/* A room's script; the same things happen to each. */
struct life {
    const char *name, *source;
};

#define PING "  if request.subpath == '/ping' then return 'pong' end\n"

static const struct life lives[] = {
    {"messages", "local P = {}\n"
                 "function P:onStart() self.messages = {} end\n"
                 "function P:onRequest(request)\n" PING "  if request.method == 'POST' then\n"
                 "    local payload = request:json()\n"
                 "    table.insert(self.messages, payload.message)\n"
                 "    party.broadcast(payload.message)\n"
                 "    return Response('OK')\n"
                 "  end\n"
                 "  return Response(json.encode(self.messages))\n"
                 "end\n"
                 "return P\n"},
    {"chat", "local P = {}\n"
             "function P:onStart() self.names = {} end\n"
             "function P:getConnectionTags(c, context) return { context.request.query.tag or 'none' } end\n"
             "function P:onConnect(c, context)\n"
             "  self.names[c.id] = context.request.query.name or 'somebody'\n"
             "  c.state = { since = now() }\n"
             "  c:send({ welcome = self.names[c.id], tags = c.tags, uri = c.uri })\n"
             "  party.broadcast({ online = party.connectionCount() }, c)\n"
             "end\n"
             "function P:onMessage(message, c, binary)\n"
             "  party.broadcast({ from = self.names[c.id], text = #message }, { c, 'ben' })\n"
             "  party.broadcast('x', { to = 'none', without = { c.id }, binary = binary })\n"
             "  for other in party.getConnections('none') do other:send(message, { binary = true }) end\n"
             "  c:setTags({ 'a', 'b' })\n"
             "end\n"
             "function P:onError(c, text) c:close(4000, text) end\n"
             "function P:onClose(c, code, reason)\n"
             "  self.names[c.id] = nil\n"
             "  party.broadcast(tostring(c) .. code .. reason)\n"
             "end\n"
             "function P:onStop() log.info('stop', { left = party.connectionCount() }) end\n"
             "function P:onRequest(request)\n" PING "  return self.names end\n"
             "return P\n"},
    {"waiting",
     "local P = {}\n"
     "function P:onStart() sleep(0) self.n = 0 end\n"
     "function P:onConnect(c) sleep(0) c:send('in') end\n"
     "function P:onMessage(m, c) sleep(0) pcall(function() sleep(0) error({ m }) end) c:send('late') end\n"
     "function P:onClose() sleep(0) self.n = self.n + 1 end\n"
     "function P:onStop() sleep(0) end\n"
     "function P:onRequest(request)\n"
     "  sleep(0)\n" PING "  return { n = self.n, body = request:text() }\n"
     "end\n"
     "return P\n"},
    {"coroutines",
     "local P = {}\n"
     "local function each(n)\n"
     "  return coroutine.wrap(function()\n"
     "    for i = 1, n do\n"
     "      local inner = coroutine.create(function() sleep(0) coroutine.yield(i) return -i end)\n"
     "      coroutine.yield(select(2, coroutine.resume(inner)))\n"
     "      coroutine.resume(inner)\n"
     "    end\n"
     "  end)\n"
     "end\n"
     "function P:onMessage(m, c)\n"
     "  for i in each(3) do c:send(i) end\n"
     "  local t = setmetatable({}, { __index = function(_, k) sleep(0) return k end,\n"
     "    __call = function(...) sleep(0) return ... end })\n"
     "  c:send(t.x .. #{ t(1, 2) })\n"
     "end\n"
     "function P:onRequest(request)\n" PING
     "  return coroutine.wrap(function() return { sum = each(2)() } end)()\n"
     "end\n"
     "return P\n"},
    {"timers", "local P = {}\n"
               "function P:onStart()\n"
               "  self.count = 0\n"
               "  self.every = party.every(1, function(...)\n"
               "    self.count = self.count + 1\n"
               "    if self.count > 2 then self.every:cancel() end\n"
               "    party.broadcast({ tick = self.count })\n"
               "  end)\n"
               "  party.after(0, function() sleep(0) party.broadcast('after') end)\n"
               "end\n"
               "function P:onConnect(c)\n"
               "  c.state = party.after(0, function() c:send('soon') end)\n"
               "  party.after(1000000, function() end):cancel()\n"
               "end\n"
               "function P:onMessage(m, c) c.state:cancel() party.after(0, error) end\n"
               "function P:onClose(c) if self.every then self.every:cancel() end end\n"
               "function P:onRequest(request)\n" PING "  return { count = self.count } end\n"
               "return P\n"},
    {"requests",
     "local P = {}\n"
     "function P:onStart() self.kept = {} end\n"
     "function P:onRequest(request)\n" PING "  table.insert(self.kept, request)\n"
     "  local headers = {}\n"
     "  for name, value in pairs(request.headers) do headers[name] = value end\n"
     "  return { url = request.url, query = request.query, headers = headers, path = request.path,\n"
     "    a = request:queryAll('a'), remote = request.remoteAddress, body = request.body,\n"
     "    form = request.headers['content-type'] and request:form() or nil, n = #self.kept }\n"
     "end\n"
     "function P:onConnect(c, context) self.kept[#self.kept + 1] = context.request end\n"
     "function P:onMessage() for _, request in ipairs(self.kept) do request:text() end end\n"
     "function P:onClose() self.kept = {} end\n"
     "return P\n"},
    {"responses",
     "local P = {}\n"
     "function P:onRequest(request)\n" PING
     "  if request.method == 'POST' then error(Response.json({ no = true }, { status = 403 })) end\n"
     "  assert(not pcall(Response, {}) and not pcall(Response, 'x', { status = 204 }))\n"
     "  assert(not pcall(Response, 'x', { headers = { ['a b'] = 'c' } }))\n"
     "  local r = Response.redirect('/x')\n"
     "  return Response.html(html.escape('<' .. r.status .. '>'), { status = 201, statusText = 'Made',\n"
     "    headers = { ['Set-Cookie'] = { 'a', 'b' }, X = 1 } })\n"
     "end\n"
     "return P\n"},
    {"streams",
     "local P = {}\n"
     "function P:onStart() self.kept = {} end\n"
     "function P:onRequest(request)\n" PING
     "  assert(not pcall(Response.stream, 1) and not pcall(Response.events, { id = '' }))\n"
     "  if request.method == 'POST' then return Response.events({ tags = { 'a' }, retry = 1 }) end\n"
     "  return Response.stream(function(stream)\n"
     "    self.kept[#self.kept + 1] = stream\n"
     "    stream:write('one')\n"
     "    sleep(0)\n"
     "    stream:write('two' .. tostring(stream.isOpen))\n"
     "  end, { headers = { X = 1 } })\n"
     "end\n"
     "function P:onConnect(c, context) c:send(context.request.url .. c.kind) end\n"
     "function P:onMessage(m) party.broadcast(m) end\n"
     "function P:onClose(c) self.kept = {} end\n"
     "return P\n"},
    {"errors",
     "local P = {}\n"
     "function P:onConnect(c) if c.id == 'ben' then error({ close = 4001, reason = 'no' }) end end\n"
     "function P:onMessage(m, c)\n"
     "  sleep(0)\n"
     "  local closing <close> = setmetatable({}, { __close = function() c:send('closing') end })\n"
     "  error(setmetatable({}, { __tostring = error }))\n"
     "end\n"
     "function P:onError(c) error({ close = 4002, reason = 'bad' }) end\n"
     "function P:onClose(c) error() end\n"
     "function P:onStop() error('stop') end\n"
     "function P:onRequest(request)\n" PING
     "  if request.method == 'POST' then return request:json().x.y end\n"
     "  return nil\n"
     "end\n"
     "return P\n"},
    {"modules",
     "local P = {}\n"
     "local shared = require 'shared'\n"
     "function P:onMessage(m, c) c:send(require('late').shout(m)) end\n"
     "function P:onRequest(request)\n" PING
     "  local f = load('return ' .. #request.body .. ' + 1', 'x', 't', {})\n"
     "  return { f(), shared.name, tostring({}), string.format('%s %d', self, 1), #crypto.randomUUID() }\n"
     "end\n"
     "return P\n"},
    {"storage",
     "local P = {}\n"
     "function P:onStart() self.n = party.storage.get('n') or 0 end\n"
     "function P:onConnect(c) party.storage.put('c' .. c.id, { id = c.id, tags = c.tags }) end\n"
     "function P:onMessage(m, c)\n"
     "  local storage = party.storage\n"
     "  storage:put({ a = m, b = { 1, { c = 2.5 } }, n = self.n + 1 })\n"
     "  for key, value in storage:list({ prefix = 'c', reverse = true }) do c:send(key .. value.id) end\n"
     "  pcall(storage.transaction, function(txn)\n"
     "    txn:put('t', 1) txn:delete({ 'a', 'x' }) txn:deleteAll() txn:put('u', txn.get('y') or 1)\n"
     "    if m == 'again' then txn:rollback() else error(m) end\n"
     "  end)\n"
     "  storage:sync()\n"
     "  for key in storage:list({ startAfter = 'a', limit = 3 }) do storage:delete(key) end\n"
     "end\n"
     "function P:onClose(c) party.storage.delete('c' .. c.id) end\n"
     "function P:onStop() party.storage.put('stopped', true) end\n"
     "function P:onRequest(request)\n" PING "  party.storage.setAlarm(5e12)\n"
     "  local found = party.storage.get({ 'a', 'b', 'z', 'canna' })\n"
     "  return { found = found.b, alarm = party.storage.getAlarm() }\n"
     "end\n"
     "return P\n"},
    {"libraries",
     "local P = {}\n"
     "function P:onMessage(m, c)\n"
     "  local out = {}\n"
     "  for name in pairs(_G) do out[#out + 1] = name end\n"
     "  table.sort(out)\n"
     "  print(table.concat(out, ','), utf8.len(m), os.time(), math.pi, debug.traceback('x'))\n"
     "  c:send(json.decode(json.encode({ out, { a = { b = json.null } } }, { pretty = true }))[1][1])\n"
     "  c:send((m:rep(50, '-'):gsub('%w', function(x) return x .. x end)))\n"
     "end\n"
     "function P:onRequest(request)\n" PING
     "  return { name = party.name, id = party.id, env = party.env } end\n"
     "return P\n"},
    {"calls", "local P = {}\n"
              "function P:onMessage(m, c)\n"
              "  if party.id == 'other' then return c:send(m) end\n"
              "  local other = party.parties.main:get('other')\n"
              "  local socket = other:connect('/?_pk=x', { headers = { a = 'b' } })\n"
              "  if socket then\n"
              "    socket:send(m, { binary = true })\n"
              "    for message in socket:messages() do c:send(message, { binary = true }) break end\n"
              "    socket:close(4000, 'done')\n"
              "  end\n"
              "  c:send(tostring(other:call('echo', m, { 1, { a = 'b' } }, nil)))\n"
              "  c:send(tostring(party.parties.main:get(party.id):call('echo', party.parties.main:list({ "
              "prefix = 'o' }))))\n"
              "end\n"
              "function P:onConnect(c) if c.kind == 'room' then c:send('hello') end end\n"
              "function P:echo(...) return ... end\n"
              "function P:onRequest(request)\n" PING "  if party.id == 'other' then return Response('other', "
              "{ headers = { ['Set-Cookie'] = { 'a', 'b' } } }) end\n"
              "  local reply = party.parties.main:get('other'):fetch('/x', { json = { a = 1 }, headers = { b "
              "= 'c' } })\n"
              "  return Response(reply:text() .. tostring(reply.headers['set-cookie']))\n"
              "end\n"
              "return P\n"},
};

static struct world *open_life(const struct life *life)
{
    struct world *world = world_begin();
    project_files_write(&world->files, "parties/main.lua", life->source);
    project_files_write(&world->files, "lib/shared.lua", "return { name = 'shared' }");
    project_files_write(&world->files, "lib/late.lua",
                        "return { shout = function(m) return m:upper() .. '!' end }");
    world_open(world);
    if (strcmp(life->name, "storage") == 0)
        world_open_store(world);
    return world;
}

/* A message of a peer whose transport still listens. */
static void message(struct world_peer *peer, const char *text, bool binary)
{
    if (!peer->refused && !peer->closed)
        world_message_with(peer, text, strlen(text), binary);
}

/* All that happens. */
static void live(struct world *world, struct room *room)
{
    struct world_peer *anna = world_connect_with(room, "anna", "name=Anna&tag=t");
    struct world_peer *ben = world_connect(room, "ben");
    world_ask(room, "GET /parties/main/r/list?a=1&a=%20&b\nAccept: x\nCookie: a\nCookie: b", NULL);
    message(anna, "hello", false);
    world_ask(room, "POST /parties/main/r/", "{\"message\":\"m\",\"list\":[1,{}]}");
    message(ben, "a\xff", true);
    world_ask(room, "POST /parties/main/r/?\nContent-Type: application/x-www-form-urlencoded",
              "x=1&y=%zz&x=2");
    if (!ben->refused)
        world_error(ben, "broken");
    world_settle(world);
    message(anna, "again", false);
    world_gone_with(ben, 4000, "went", true);
    world_gone(world_connect(room, "carl"));
    world_wait(world, world->n_unanswered == 0 && room->n_waiting == 0);
    world_gone(anna);
    world_wait(world, room->n_waiting == 0);
    /* An interval goes on if the script did not come to cancelling it. */
    uint64_t until = clock_monotonic_ns() + 20 * NS_PER_MS;
    while (room->n_holds > 0 && clock_monotonic_ns() < until)
        loop_step(&world->loop);
    world_settle(world);
}

/* A life in which the allocation of this number fails, counted from when the script was loaded. Returns
 * whether it was made. */
static bool live_and_fail(struct world *world, uint64_t fail_in)
{
    world->fail_in = fail_in;
    world->allocated = world->failing = 0;
    world_begin_rooms(world);
    struct room *room = world_room(world, "r");
    live(world, room);
    struct vm *vm = room->instance;
    if (!vm || vm->fail_at == 0 || vm->n_allocations >= vm->fail_at) { /* it did fail */
        if (vm)
            vm->fail_at = 0;
        world_answered(world_answer(room, "GET /parties/main/r/ping", NULL), 200, "pong");
    }
    world_stop(world);
    world_end_rooms(world);
    world->said.len = 0;
    return world->allocated >= world->failing && fail_in > 0;
}

/* ---- one allocation after the other ---- */

#define BUDGET_NS ((uint64_t)1500 * NS_PER_MS) /* for each life */
#define RUNS_MAX 2000u

static void live_without_memory(const struct life *life)
{
    struct world *world = open_life(life);
    uint64_t runs = 0, fail_in = 1;

    world_end_rooms(world); /* each life has its own */
    uint64_t start = clock_monotonic_ns();
    live_and_fail(world, 0);
    uint64_t took = clock_monotonic_ns() - start;
    uint64_t runs_max = took * RUNS_MAX > BUDGET_NS ? BUDGET_NS / took + 8 : RUNS_MAX;
    uint64_t errors = world->counters.memory_errors;
    world_log(world);
    while (runs < runs_max && live_and_fail(world, fail_in)) {
        runs++;
        fail_in += 1 + fail_in * 10 / runs_max;
    }
    print_message("%s: %llu lives, up to allocation %llu\n", life->name, (unsigned long long)runs,
                  (unsigned long long)fail_in);
    assert_true(runs > 5);
    assert_true(world->counters.memory_errors > errors);
    world_begin_rooms(world);
    world_end(world);
}

static void at_each_allocation_in_turn(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++)
        live_without_memory(&lives[i]);
}

/* Too little memory to begin with, up to enough for a while. */
static void with_too_little_memory(void **state)
{
    (void)state;
    size_t failed = 0;

    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        struct world *world = open_life(&lives[i]);
        world_end_rooms(world);
        for (world->project->config.limits.room_memory = 1024;
             world->project->config.limits.room_memory < 32 * 1024;
             world->project->config.limits.room_memory += 997) {
            world_begin_rooms(world);
            struct room *room = world_room(world, "r");
            live(world, room);
            failed += room->instance == NULL;
            world_stop(world);
            world_end_rooms(world);
        }
        world_begin_rooms(world);
        world_end(world);
    }
    assert_true(failed > 0);
}

/* ---- what a script does ---- */

static void a_bomb_ends_its_handler_alone(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world->config.limits.room_memory = 128 * 1024;
    project_files_write(
        &world->files, "parties/main.lua",
        "local P, bombs = {}, {}\n"
        "function P:onStart() self.n = 0 end\n"
        "function bombs.rep() return ('x'):rep(1 << 40) end\n"
        "function bombs.rep_more() return ('x'):rep(40000000) end\n"
        "function bombs.concat()\n"
        "  local s = 'x'\n"
        "  while true do s = s .. s end\n"
        "end\n"
        "function bombs.table()\n"
        "  local t = {}\n"
        "  for i = 1, math.huge do t[i] = i end\n"
        "end\n"
        "function bombs.closures()\n"
        "  local last\n"
        "  while true do\n"
        "    local before = last\n"
        "    last = function() return before end\n"
        "  end\n"
        "end\n"
        "function bombs.coroutines()\n"
        "  local all = {}\n"
        "  while true do all[#all + 1] = coroutine.create(function() end) end\n"
        "end\n"
        "function bombs.unpack() return select('#', table.unpack({}, 1, 1e8)) end\n"
        "function bombs.caught()\n"
        "  local ok, message = pcall(string.rep, 'x', 1 << 26)\n"
        "  assert(not ok and message == 'not enough memory', message)\n"
        "  error('caught')\n"
        "end\n"
        "function bombs.waited() sleep(0) bombs.table() end\n"
        "function bombs.json()\n"
        "  local t = {}\n"
        "  for i = 1, 100 do t[i] = ('\\u{1}'):rep(1000) end\n"
        "  return t\n"
        "end\n"
        "function bombs.requests(self, request)\n"
        "  self.kept = self.kept or {}\n"
        "  table.insert(self.kept, request)\n"
        "  return ('x'):rep(33000000)\n"
        "end\n"
        "function bombs.broadcast() for i = 1, 100 do party.broadcast(('x'):rep(10000)) end return '' end\n"
        "function P:onRequest(request)\n"
        "  self.n = self.n + 1\n"
        "  local name = request.subpath:sub(2)\n"
        "  if name == '' then\n"
        "    local names = {}\n"
        "    for key in pairs(bombs) do names[#names + 1] = key end\n"
        "    return table.concat(names, '\\n')\n"
        "  end\n"
        "  if name == 'ping' then return tostring(self.n) end\n"
        "  return bombs[name](self, request)\n"
        "end\n"
        "return P\n");
    world_open(world);
    struct room *room = world_room(world, "r");
    char head[64], n[32];
    int asked = 1;

    world_connect(room, "anna");
    char *names = strdup((char *)world_answer(room, "GET /parties/main/r", NULL)->body.data);
    size_t used = world_vm(room)->used;
    for (char *rest = names, *name; (name = strsep(&rest, "\n"));) {
        snprintf(head, sizeof head, "GET /parties/main/r/%s", name);
        struct asked *answer = world_answer(room, head, NULL);
        if (answer->status != 500)
            fail_msg("%s: %d\n%s", name, answer->status, world_log(world));
        if (!strstr(world_log(world), "\"handler\":\"onRequest\""))
            fail_msg("%s: was not logged", name);
        snprintf(n, sizeof n, "%d", asked += 2);
        world_answered(world_answer(room, "GET /parties/main/r/ping", NULL), 200, n);
        vm_collect(world_vm(room));
        if (world_vm(room)->used > used + 16 * 1024)
            fail_msg("%s left %zu bytes", name, world_vm(room)->used - used);
    }
    free(names);
    assert_true(world->counters.memory_errors >= 8);
    world->said.len = 0;
    world_end(world);
}

/* Requests that a script keeps count, and those that nobody reads do not fill the room. */
static void bodies_of_requests_count(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "function P:onRequest(request)\n"
                                   "  if request.subpath == '/keep' then\n"
                                   "    self.kept = self.kept or {}\n"
                                   "    table.insert(self.kept, request)\n"
                                   "  elseif request.subpath == '/drop' then\n"
                                   "    self.kept = nil\n"
                                   "  end\n"
                                   "  return tostring(collectgarbage('count') > 2 * 1024)\n"
                                   "end\n"
                                   "return P\n");
    struct room *room = world_room(world, "r");
    size_t len = 4 * 1024 * 1024;
    char *body = calloc(1, len);
    int kept = 0;

    assert_non_null(body);
    for (int i = 0; i < 30; i++) {
        struct asked *asked = world_ask_with(room, "POST /parties/main/r/", body, len);
        world_wait(world, asked->n_answers > 0);
        assert_int_equal(asked->status, 200);
    }
    for (int i = 0; i == kept; i++) {
        struct asked *asked = world_ask_with(room, "POST /parties/main/r/keep", body, len);
        world_wait(world, asked->n_answers > 0);
        kept += asked->status == 200;
    }
    free(body);
    assert_in_range(kept, 6, 10);
    assert_true(world_vm(room)->used > 6 * len);
    assert_int_equal(world_answer(room, "GET /parties/main/r/drop", NULL)->status == 200 ? 200 : 500, 200);
    vm_collect(world_vm(room));
    assert_true(world_vm(room)->used < 100 * 1024);
    world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200, "false");
    world_end(world);
}

/* Each value is the key of the next entry: more of them than the collector follows in one cycle. Nothing that
 * is reachable goes, and nothing else stays for long. */
static void chains_in_weak_tables(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "local weak = setmetatable({}, { __mode = 'k' })\n"
                                   "function P:onRequest(request)\n"
                                   "  if request.subpath == '/make' then\n"
                                   "    local last = {}\n"
                                   "    self.first = last\n"
                                   "    for i = 1, 2000 do weak[last] = {} last = weak[last] end\n"
                                   "    local loop = {}\n"
                                   "    weak[loop] = { loop }\n"
                                   "  elseif request.subpath == '/drop' then\n"
                                   "    self.first = nil\n"
                                   "  end\n"
                                   "  local n, all, at = 0, 0, self.first\n"
                                   "  while at and weak[at] do at = weak[at] n = n + 1 end\n"
                                   "  for k in pairs(weak) do all = all + 1 end\n"
                                   "  return n .. ' ' .. all\n"
                                   "end\n"
                                   "return P\n");
    struct room *room = world_room(world, "r");

    world_answered(world_answer(room, "GET /parties/main/r/make", NULL), 200, "2000 2001");
    for (int i = 0; i < 3; i++)
        vm_collect(world_vm(room));
    struct asked *asked = world_answer(room, "GET /parties/main/r/", NULL);
    assert_int_equal(asked->status, 200);
    assert_memory_equal(asked->body.data, "2000 ", 5);
    world_answer(room, "GET /parties/main/r/drop", NULL);
    for (int i = 0; i < 3; i++)
        vm_collect(world_vm(room));
    world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200, "0 0");
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bomb_ends_its_handler_alone), cmocka_unit_test(bodies_of_requests_count),
        cmocka_unit_test(chains_in_weak_tables),         cmocka_unit_test(with_too_little_memory),
        cmocka_unit_test(at_each_allocation_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
