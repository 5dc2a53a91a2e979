/* Handlers that wait: what runs meanwhile, where waiting is possible, timers, and what becomes of those
 * that still wait when their room goes. */
#include "script_world.h"

static void waiting_inside_of_anything(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world_copy(world, "parties/waiting.lua", "parties/main.lua");
    project_files_write(&world->files, "lib/waits_in_a_module.lua", "sleep(0) return 1");
    world_open(world);
    world_run_tests(world);
    world_quiet(world);
    world_end(world);
}

/* ---- what runs meanwhile ---- */

static void other_events_run_meanwhile(void **state)
{
    (void)state;
    struct world *world =
        world_of("local P = {}\n"
                 "function P:onStart() self.gates = {} end\n"
                 "local function pass(self, name)\n"
                 "  while not self.gates[name] do sleep(0) end\n"
                 "end\n"
                 "function P:onConnect(c) if c.id == 'slow' then pass(self, 'connect') end end\n"
                 "function P:onMessage(m, c)\n"
                 "  if m:sub(1, 4) == 'wait' then pass(self, m) end\n"
                 "  c:send(m)\n"
                 "end\n"
                 "function P:onClose(c)\n"
                 "  c.state = 'closing'\n"
                 "  pass(self, 'close')\n"
                 "  party.broadcast(c.id .. c.state .. tostring(c.isOpen) .. tostring(c.tags[1]))\n"
                 "end\n"
                 "function P:onRequest(r)\n"
                 "  self.gates[r.subpath:sub(2)] = true\n"
                 "  return 'open'\n"
                 "end\n"
                 "return P\n");
    struct room *room = world_room(world, "r");
    struct world_peer *anna = world_connect(room, "anna"), *slow = world_connect(room, "slow");

    world_message(anna, "wait1");
    world_message(anna, "next"); /* of the same connection: not held up */
    world_settle(world);
    world_expect(world, "anna in; anna< next");
    assert_int_equal(room->n_waiting, 2);
    world_answered(world_answer(room, "GET /parties/main/r/connect", NULL), 200, "open");
    world_wait(world, slow->accepted && room->n_waiting == 1);
    world_message(slow, "hello"); /* a transport holds it back until then */
    world_settle(world);
    world_expect(world, "slow in; slow< hello");
    world_gone(slow);
    world_settle(world);
    assert_int_equal(room->n_waiting, 2);
    world_answered(world_answer(room, "GET /parties/main/r/wait1", NULL), 200, "open");
    world_wait(world, room->n_waiting == 1);
    world_expect(world, "anna< wait1");
    world_answered(world_answer(room, "GET /parties/main/r/close", NULL), 200, "open");
    world_wait(world, room->n_waiting == 0);
    world_expect(world, "anna< slowclosingfalseslow");
    world_quiet(world);
    world_end(world);
}

/* Everything else waits for onStart. */
static void nothing_runs_before_on_start_is_over(void **state)
{
    (void)state;
    struct world *world = world_of("local P, open = {}\n"
                                   "function P:onStart()\n"
                                   "  for _ = 1, 5 do sleep(0) end\n"
                                   "  self.started = true\n"
                                   "end\n"
                                   "function P:onConnect(c) c:send(tostring(self.started)) end\n"
                                   "function P:onMessage(m, c) c:send(m) end\n"
                                   "function P:onRequest() return tostring(self.started) end\n"
                                   "return P\n");
    struct room *room = world_room(world, "r");

    struct asked *asked = world_ask(room, "GET /parties/main/r", NULL);
    struct world_peer *anna = world_connect(room, "anna");
    world_message(anna, "m");
    assert_int_equal(room->state, ROOM_STARTING);
    assert_int_equal(asked->n_answers, 0);
    world_wait(world, room->state == ROOM_RUNNING);
    world_settle(world);
    world_answered(asked, 200, "true");
    world_expect(world, "anna< true; anna in; anna< m");
    world_end(world);
}

/* ---- rooms that go ---- */

static const char waits_everywhere[] =
    "local P = {}\n"
    "local function forever() while true do sleep(1000000) end end\n"
    "local meta = { __index = forever }\n"
    "function P:onConnect(c) if c.id == 'ben' then forever() end end\n"
    "function P:onMessage(m, c)\n"
    "  local closing <close> = setmetatable({}, { __close = function() log.error('closed') end })\n"
    "  pcall(coroutine.wrap(function() coroutine.wrap(function() return setmetatable({}, meta).x end)() "
    "end))\n"
    "end\n"
    "function P:onClose() forever() end\n"
    "function P:onRequest(r)\n"
    "  party.every(1, forever)\n"
    "  party.after(0, function() coroutine.resume(coroutine.create(forever)) end)\n"
    "  r:text() forever()\n"
    "end\n"
    "return P\n";

static void handlers_that_wait_are_dropped(void **state)
{
    (void)state;
    struct world *world = world_of(waits_everywhere);
    struct room *room = world_room(world, "r");

    struct world_peer *anna = world_connect(room, "anna");
    world_connect(room, "ben");
    world_message(anna, "m");
    struct asked *asked = world_ask(room, "POST /parties/main/r", "body");
    world_gone(anna);
    world_wait(world, room->n_waiting == 6);
    rooms_drop(&world->rooms);
    world_settle(world);
    assert_int_equal(asked->n_answers, 1);
    assert_int_equal(asked->status, 500);
    world_expect(world, "anna in");
    world_quiet(world); /* no code of the script's ran */
    world_end(world);
}

/* When rooms stop, what waits has its time, then onStop runs. */
static void handlers_that_wait_may_finish(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "function P:onRequest() sleep(2) sleep(2) return 'late' end\n"
                                   "function P:onStop() sleep(1) log.info('stopped ' .. party.id) end\n"
                                   "return P\n");
    struct asked *asked = world_ask(world_room(world, "r"), "GET /parties/main/r", NULL);

    world_stop(world);
    world_answered(asked, 200, "late");
    world_logged(world, "stopped r");
    world_end(world);
}

/* At its deadline the others are dropped. */
static void handlers_that_wait_too_long(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "function P:onRequest() sleep(1000000) return 'late' end\n"
                                   "function P:onStop() log.info('stopped') end\n"
                                   "return P\n");
    struct asked *asked = world_ask(world_room(world, "r"), "GET /parties/main/r", NULL);

    rooms_stop(&world->rooms, 1, world_on_empty, world);
    world_wait(world, world->empty);
    assert_int_equal(asked->n_answers, 1);
    assert_true(asked->status >= 500);
    world_logged(world, "stopped");
    world_end(world);
}

static void no_more_than_the_limit_wait(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world->config.limits.handlers = 3;
    project_files_write(&world->files, "parties/main.lua",
                        "local P = {}\n"
                        "function P:onMessage(m, c) sleep(5) c:send(m) end\n"
                        "function P:onRequest() return 'free' end\n"
                        "return P\n");
    world_open(world);
    struct room *room = world_room(world, "r");
    struct world_peer *anna = world_connect(room, "anna");

    for (int i = 0; i < 3; i++)
        world_message(anna, "x");
    world_settle(world);
    assert_int_equal(room->n_waiting, 3);
    assert_false(room_peer_ready(&anna->peer));
    assert_int_equal(world_answer(room, "GET /parties/main/r", NULL)->status, 503);
    world_wait(world, room->n_waiting == 0);
    world_expect(world, "anna in; anna< x; anna resumed; anna< x; anna< x");
    world_answered(world_answer(room, "GET /parties/main/r", NULL), 200, "free");
    world_end(world);
}

/* ---- timers ---- */

static const char timers[] =
    "local P, tests = {}, {}\n"
    "function tests.after(self, done)\n"
    "  local t = party.after(1, function(...) done(select('#', ...)) end)\n"
    "  assert(tostring(t):match('^timer: 0x') and not getmetatable(t) and t.other == nil)\n"
    "  assert(not pcall(function() t.x = 1 end))\n"
    "end\n"
    "function tests.order(self, done)\n"
    "  local out = {}\n"
    "  for i = 1, 3 do party.after(0, function() out[i] = #out + 1 end) end\n"
    "  party.after(5, function() done(table.concat(out, ' ')) end)\n"
    "end\n"
    "function tests.cancel(self, done)\n"
    "  local t = party.after(1, function() done('not cancelled') end)\n"
    "  t:cancel() t:cancel() party:after(3, function() t:cancel() done('ok') end)\n"
    "end\n"
    "function tests.every(self, done)\n"
    "  local n, t = 0\n"
    "  t = party.every(1, function()\n"
    "    n = n + 1\n"
    "    if n == 3 then t:cancel() t:cancel() party.after(4, function() done(n) end) end\n"
    "  end)\n"
    "end\n"
    "function tests.never_twice(self, done)\n" /* one that waits is not run again meanwhile */
    "  local running, runs, t = 0, 0\n"
    "  t = party.every(1, function()\n"
    "    running, runs = running + 1, runs + 1\n"
    "    assert(running == 1)\n"
    "    sleep(4)\n"
    "    running = running - 1\n"
    "    if runs == 3 then t:cancel() done('ok') end\n"
    "  end)\n"
    "end\n"
    "function tests.cancelled_while_it_waits(self, done)\n"
    "  local t\n"
    "  t = party.every(1, function() sleep(3) done('goes on') end)\n"
    "  party.after(2, function() t:cancel() t = nil collectgarbage('count') end)\n"
    "end\n"
    "function tests.cancelled_while_it_is_queued(self, done)\n"
    "  local a, b\n"
    "  a = party.after(0, function() b:cancel() done('a') end)\n"
    "  b = party.after(0, function() a:cancel() done('b') end)\n"
    "end\n"
    "function tests.errors(self, done)\n"
    "  local n, t = 0\n"
    "  t = party.every(1, function()\n"
    "    n = n + 1\n"
    "    if n == 3 then t:cancel() done(n) end\n"
    "    error('tick ' .. n)\n"
    "  end)\n"
    "end\n"
    "function tests.dropped(self, done)\n" /* nobody holds it: it runs all the same */
    "  do party.after(1, function() done('ok') end) end\n"
    "  for i = 1, 100 do local t = { {}, {} } end\n"
    "end\n"
    "function tests.many(self, done)\n"
    "  local n = 0\n"
    "  for i = 1, 300 do party.after(i % 7, function() n = n + 1 if n == 300 then done(n) end end) end\n"
    "end\n"
    "function P:onRequest(r)\n"
    "  local result\n"
    "  tests[r.subpath:sub(2)](self, function(value) result = result or { value } end)\n"
    "  while not result do sleep(1) end\n"
    "  return tostring(result[1])\n"
    "end\n"
    "return P\n";

static void timers_of_a_script(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"after", "0"},
        {"order", "1 2 3"},
        {"cancel", "ok"},
        {"every", "3"},
        {"never_twice", "ok"},
        {"cancelled_while_it_waits", "goes on"},
        {"cancelled_while_it_is_queued", "a"},
        {"dropped", "ok"},
        {"many", "300"},
    };
    struct world *world = world_of(timers);
    struct room *room = world_room(world, "r");
    char head[64];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(head, sizeof head, "GET /parties/main/r/%s", cases[i][0]);
        world_answered(world_answer(room, head, NULL), 200, cases[i][1]);
    }
    world_wait(world, room->n_holds == 0 && room->n_waiting == 0);
    world_quiet(world);
    world_answered(world_answer(room, "GET /parties/main/r/errors", NULL), 200, "3");
    world_logged(world, "\"handler\":\"timer\",\"error\":\"parties/main.lua:", "tick 1", "tick 2", "tick 3");
    world_wait(world, room->n_holds == 0 && room->n_waiting == 0);
    world_end(world);
}

/* A timer keeps its room in memory, and ends with it. */
static void timers_keep_the_room(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world->config.limits.idle_room = 1;
    project_files_write(
        &world->files, "parties/main.lua",
        "local P = {}\n"
        "function P:onStart()\n"
        "  if party.id == 'kept' then self.t = party.every(1000000, print) end\n"
        "end\n"
        "function P:onRequest(r) if r.subpath == '/cancel' then self.t:cancel() end return 'x' end\n"
        "function P:onStop() party.after(1000000, print) log.info('stop ' .. party.id) end\n"
        "return P\n");
    world_open(world);
    struct room *kept = world_room(world, "kept");

    world_answered(world_answer(kept, "GET /parties/main/kept", NULL), 200, "x");
    world_answered(world_answer(world_room(world, "other"), "GET /parties/main/other", NULL), 200, "x");
    world_wait(world, !rooms_find(&world->rooms, SPAN("main"), SPAN("other")));
    assert_ptr_equal(rooms_find(&world->rooms, SPAN("main"), SPAN("kept")), kept);
    world_logged(world, "stop other");
    world_answered(world_answer(kept, "GET /parties/main/kept/cancel", NULL), 200, "x");
    world_wait(world, !rooms_find(&world->rooms, SPAN("main"), SPAN("kept")));
    world_logged(world, "stop kept");
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_inside_of_anything),
        cmocka_unit_test(other_events_run_meanwhile),
        cmocka_unit_test(nothing_runs_before_on_start_is_over),
        cmocka_unit_test(handlers_that_wait_are_dropped),
        cmocka_unit_test(handlers_that_wait_may_finish),
        cmocka_unit_test(handlers_that_wait_too_long),
        cmocka_unit_test(no_more_than_the_limit_wait),
        cmocka_unit_test(timers_of_a_script),
        cmocka_unit_test(timers_keep_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
