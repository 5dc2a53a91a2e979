/* Handlers that run for too long: each is ended, whatever it does and tries to catch, and the room goes on. */
#include "script_world.h"

#include "script/watchdog.h"

#define TIME_MS 30 /* handlerTime of most tests */

/* A party with a handler that runs what the path names, out of these ways not to end. */
struct way {
    const char *name, *source;
};

static const struct way ways[] = {
    {"loop", "while true do end"},
    {"pcall", "while true do pcall(function() while true do end end) end"},
    {"pcall_of_c", "while true do pcall(error) end"},
    {"pcall_deep", "local function f() return pcall(f) end while true do f() end"},
    {"xpcall", "local function f() while true do end end while true do xpcall(f, f) end"},
    {"xpcall_handler", "xpcall(error, function() while true do end end)"},
    {"coroutine", "while true do coroutine.resume(coroutine.create(function() while true do end end)) end"},
    {"wrap", "while true do pcall(coroutine.wrap(function() while true do end end)) end"},
    {"generator", "for x in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end"},
    {"nested", "local function f() while true do pcall(coroutine.wrap(f)) end end f()"},
    {"close", "local t = setmetatable({}, { __close = function() while true do end end })\n"
              "local x <close> = t\n"
              "local y <close> = t\n"
              "while true do end"},
    {"close_alone", "local x <close> = setmetatable({}, { __close = function() while true do end end })"},
    {"close_after_error",
     "local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
     "error('first')"},
    {"close_in_pcall",
     "while true do pcall(function()\n"
     "  local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
     "  while true do end\n"
     "end) end"},
    {"coroutine_close",
     "while true do\n"
     "  local co = coroutine.create(function()\n"
     "    local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
     "    coroutine.yield()\n"
     "  end)\n"
     "  coroutine.resume(co)\n"
     "  coroutine.close(co)\n"
     "end"},
    {"index", "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end })\n"
              "while true do pcall(function() return t[1] end) end"},
    {"metamethods", "local function f() while true do end end\n"
                    "local t = setmetatable({}, { __add = f, __eq = f, __len = f, __concat = f })\n"
                    "while true do pcall(function() return t + 1 end) pcall(function() return #t end) end"},
    {"tostring", "tostring(setmetatable({}, { __tostring = function() while true do end end }))"},
    {"pairs", "for k in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end"},
    {"sort", "local t = {} for i = 1, 1000 do t[i] = i end\n"
             "table.sort(t, function(a, b) while true do end end)"},
    {"gsub", "string.gsub('aaa', 'a', function() while true do end end)"},
    {"load_function", "load(function() while true do end end)"},
    {"jump", "::again:: goto again"},
    {"rep_empty", "string.rep('', 1 << 60)"},
    {"find", "string.find(('a'):rep(100000), ('.-'):rep(100) .. 'b')"},
    {"find_plain", "string.find(('a'):rep(4000000), ('a'):rep(2000000) .. 'b', 1, true)"},
    {"set", "string.find(('a'):rep(1000000), '[' .. ('b'):rep(1000000) .. 'a]*c')"},
    {"gmatch", "for x in string.gmatch(('a'):rep(100000), '.-.-.-.-b') do end"},
    {"gsub_pattern", "string.gsub(('a'):rep(100000), '(a*)*.-b', '')"},
    {"balance", "string.find(('('):rep(1000000), '%b()')"},
    {"insert", "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)"},
    {"remove", "table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)"},
    {"move", "table.move({}, 1, 1 << 60, 2)"},
    {"concat", "table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, 1 << 60)"},
    {"sort_long", "table.sort(setmetatable({}, { __len = function() return (1 << 31) - 2 end,\n"
                  "  __index = function() return 1 end, __newindex = function() end }))"},
    {"json_encode", "local t = {} for i = 1, 100 do t = { t, t } end json.encode(t)"},
    {"json_loop", "local s = json.encode({ a = ('x'):rep(1000) }) while true do json.decode(s) end"},
    {"broadcast", "local t = {} for i = 1, 100000 do t[i] = 'x' end\n"
                  "while true do party.broadcast('x', t) end"},
    {"headers", "local t = {} for i = 1, 1000000 do t[i] = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' end\n"
                "Response('', { headers = { ['X'] = t } })"},
    {"labels", "local t = {} for i = 1, 20000 do t[i] = ('::l%x::'):format(i) end\n"
               "local s = table.concat(t) while true do load(s) end"},
    {"string_loop", "local s = ('x'):rep(100000) while true do s:upper() end"},
};
#define N_WAYS (sizeof ways / sizeof *ways)

/* The file of a party whose onRequest goes all these ways. */
static void write_ways(struct world *world)
{
    struct buf source = {0};

    assert_int_equal(buf_printf(&source, "local P, ways = {}, {}\n"), 0);
    for (size_t i = 0; i < N_WAYS; i++)
        assert_int_equal(buf_printf(&source, "function ways.%s()\n%s\nend\n", ways[i].name, ways[i].source),
                         0);
    assert_int_equal(buf_printf(&source, "function P:onStart() self.n = 0 end\n"
                                         "function P:onRequest(request)\n"
                                         "  self.n = self.n + 1\n"
                                         "  local way = ways[request.subpath:sub(2)]\n"
                                         "  if way then way() end\n"
                                         "  return tostring(self.n)\n"
                                         "end\n"
                                         "return P\n"),
                     0);
    assert_int_equal(buf_append(&source, "", 1), 0);
    project_files_write(&world->files, "parties/main.lua", (const char *)source.data);
    buf_fini(&source);
}

static struct world *time_world(const char *source)
{
    struct world *world = world_begin();
    world->config.limits.handler_time = TIME_MS;
    if (source)
        project_files_write(&world->files, "parties/main.lua", source);
    else
        write_ways(world);
    return world_open(world);
}

static void every_endless_handler_is_ended(void **state)
{
    (void)state;
    struct world *world = time_world(NULL);
    struct room *room = world_room(world, "r");
    char path[128], count[16];

    for (size_t i = 0; i < N_WAYS; i++) {
        uint64_t began = clock_monotonic_ns();
        snprintf(path, sizeof path, "GET /parties/main/r/%s", ways[i].name);
        struct asked *asked = world_answer(room, path, NULL);
        print_message("%-18s %4llu ms\n", ways[i].name,
                      (unsigned long long)((clock_monotonic_ns() - began) / NS_PER_MS));
        if (asked->status != 500 || !strstr((char *)asked->body.data, "Internal error"))
            fail_msg("%s: %d %s", ways[i].name, asked->status, (char *)asked->body.data);
        world_logged(world, "\"party\":\"main\",\"room\":\"r\",\"handler\":\"onRequest\"",
                     "handlerTime = 30 ms");
        snprintf(count, sizeof count, "%zu", 2 * i + 2);
        world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200, count);
    }
    assert_int_equal(world->counters.time_errors, N_WAYS);
    assert_int_equal(world->counters.rooms_started, 1);
    world_end(world);
}

/* ---- what counts ---- */

/* A party with a function busy(ms), which takes so long of the CPU. */
#define BUSY                                                                                                 \
    "local function busy(ms) local till = os.clock() + ms / 1000 while os.clock() < till do end end\n"       \
    "local P = {}\n"

static void waits_do_not_count(void **state)
{
    (void)state;
    struct world *world = time_world(BUSY "function P:onRequest()\n"
                                          "  for i = 1, 3 do busy(1) pcall(sleep, 50) end\n"
                                          "  coroutine.wrap(function() sleep(50) busy(1) end)()\n"
                                          "  return 'rested'\n"
                                          "end\n"
                                          "return P\n");
    world_answered(world_answer(world_room(world, "r"), "GET /parties/main/r", NULL), 200, "rested");
    world_quiet(world);
    assert_int_equal(world->counters.time_errors, 0);
    world_end(world);
}

/* Between two waits this one is never too long. */
static void what_ran_before_a_wait_counts(void **state)
{
    (void)state;
    struct world *world = time_world(BUSY "function P:onRequest(request)\n"
                                          "  if request.subpath == '/n' then return tostring(self.n) end\n"
                                          "  for n = 1, 100 do self.n = n busy(12) pcall(sleep, 0) end\n"
                                          "  return 'done'\n"
                                          "end\n"
                                          "return P\n");
    struct room *room = world_room(world, "r");

    assert_int_equal(world_answer(room, "GET /parties/main/r", NULL)->status, 500);
    world_logged(world, "handlerTime = 30 ms) at parties/main.lua:");
    struct asked *asked = world_answer(room, "GET /parties/main/r/n", NULL);
    assert_int_equal(asked->status, 200);
    int n = atoi((char *)asked->body.data);
    print_message("%d slices of 12 ms\n", n);
    assert_in_range(n, 1, 50);
    assert_int_equal(room->n_waiting, 0);
    world_end(world);
}

/* What was stopped stays so, and what was not goes on: in the next event, with its own time. */
static void coroutines_that_outlive_the_end(void **state)
{
    (void)state;
    struct world *world = time_world(
        "local P = {}\n"
        "local closing = setmetatable({}, { __close = function() closed = (closed or 0) + 1 end })\n"
        "function P:onRequest(request)\n"
        "  if request.subpath == '/begin' then\n"
        "    self.idle = coroutine.create(function() coroutine.yield(1) coroutine.yield(2) end)\n"
        "    coroutine.resume(self.idle)\n"
        "    self.busy = coroutine.create(function()\n"
        "      local x <close> = closing\n"
        "      while true do coroutine.resume(self.idle) end\n"
        "    end)\n"
        "    self.outer = coroutine.create(function() coroutine.resume(self.busy) end)\n"
        "    coroutine.resume(self.outer)\n"
        "  end\n"
        "  local out = {}\n"
        "  for _, name in ipairs { 'idle', 'busy', 'outer' } do\n"
        "    out[#out + 1] = tostring(coroutine.resume(self[name]))\n"
        "    out[#out + 1] = tostring(coroutine.close(self[name]))\n"
        "  end\n"
        "  for i = 1, 10000 do self.i = i end\n"
        "  out[#out + 1] = tostring(closed)\n"
        "  return table.concat(out, ' ')\n"
        "end\n"
        "return P\n");
    struct room *room = world_room(world, "r");

    assert_int_equal(world_answer(room, "GET /parties/main/r/begin", NULL)->status, 500);
    struct asked *asked = world_answer(room, "GET /parties/main/r/after", NULL);
    world_answered(asked, 200, "false true false false false false 1");
    assert_int_equal(world->counters.time_errors, 1);
    world_end(world);
}

/* ---- what follows ---- */

static void handlers_of_connections(void **state)
{
    (void)state;
    struct world *world =
        time_world("local P = {}\n"
                   "function P:getConnectionTags(c) if c.id == 'tags' then while true do end end end\n"
                   "function P:onConnect(c)\n"
                   "  if c.id == 'connect' then while true do end end\n"
                   "  c:send('hello')\n"
                   "end\n"
                   "function P:onMessage(m, c)\n"
                   "  c:send('before')\n"
                   "  if m == 'loop' then while true do end end\n"
                   "  if m == 'timer' then party.after(0, function() while true do end end) end\n"
                   "end\n"
                   "function P:onClose() while true do end end\n"
                   "function P:onStop() while true do end end\n"
                   "return P\n");
    struct room *room = world_room(world, "r");

    world_connect(room, "tags");
    world_settle(world);
    world_expect(world, "tags closed 1011 Internal error");
    world_logged(world, "\"handler\":\"getConnectionTags\"", "handlerTime");
    world_connect(room, "connect");
    world_settle(world);
    world_expect(world, "connect closed 1011 Internal error");
    world_logged(world, "\"handler\":\"onConnect\"", "handlerTime");

    struct world_peer *anna = world_connect(room, "anna");
    world_settle(world);
    world_message(anna, "loop");
    world_settle(world);
    world_expect(world, "anna< hello; anna in; anna< before");
    world_logged(world, "\"handler\":\"onMessage\"", "handlerTime");
    world_message(anna, "timer");
    world_wait(world, world->counters.time_errors == 4);
    world_logged(world, "\"handler\":\"timer\"", "handlerTime");
    world_message(anna, "x");
    world_settle(world);
    world_expect(world, "anna< before; anna< before");
    world_gone(anna);
    world_settle(world);
    world_logged(world, "\"handler\":\"onClose\"", "handlerTime");
    world_stop(world);
    world_logged(world, "\"handler\":\"onStop\"", "handlerTime");
    assert_int_equal(world->counters.time_errors, 6);
    world_end(world);
}

/* onStart, and a file scope that goes wrong in the room alone. */
static void starts_that_do_not_end(void **state)
{
    (void)state;
    struct world *world =
        time_world("local P = {}\n"
                   "if party.id == 'scope' then while true do end end\n"
                   "function P:onStart() if party.id == 'start' then while true do end end end\n"
                   "function P:onRequest() return 'on' end\n"
                   "return P\n");
    struct room *room = world_room(world, "start");
    for (int i = 0; i < 2; i++)
        assert_int_equal(world_answer(room, "GET /parties/main/start", NULL)->status, 500);
    world_logged(world, "\"handler\":\"onStart\"", "handlerTime");
    room = world_room(world, "scope");
    for (int i = 0; i < 2; i++)
        assert_int_equal(world_answer(room, "GET /parties/main/scope", NULL)->status, 500);
    world_logged(world, "the party's script could not be started",
                 "handlerTime = 30 ms) at parties/main.lua:2");
    world_answered(world_answer(world_room(world, "other"), "GET /parties/main/other", NULL), 200, "on");
    world_end(world);
}

/* A module that is stopped while it loads can be required again. */
static void a_module_that_does_not_end(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world->config.limits.handler_time = TIME_MS;
    project_files_write(&world->files, "lib/slow.lua", "while not quick do end return 'loaded'");
    project_files_write(&world->files, "parties/main.lua",
                        "local P = {}\n"
                        "function P:onRequest(request)\n"
                        "  quick = request.subpath == '/quick'\n"
                        "  return (require 'slow')\n"
                        "end\n"
                        "return P\n");
    struct room *room = world_room(world_open(world), "r");
    assert_int_equal(world_answer(room, "GET /parties/main/r", NULL)->status, 500);
    world_logged(world, "handlerTime = 30 ms) at lib/slow.lua:1");
    world_answered(world_answer(room, "GET /parties/main/r/quick", NULL), 200, "loaded");
    world_end(world);
}

/* Nor what its compiler needs; what it was asked for is where the handler was. */
static void a_module_that_takes_long_to_compile(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct buf source = {0};

    world->config.limits.handler_time = TIME_MS;
    assert_int_equal(buf_printf(&source, "return "), 0);
    for (int i = 0; i < 200000; i++)
        assert_int_equal(buf_append(&source, "a or ", 5), 0);
    assert_int_equal(buf_append(&source, "a", 2), 0);
    project_files_write(&world->files, "lib/long.lua", (const char *)source.data);
    project_files_write(&world->files, "parties/main.lua",
                        "local P = {}\n"
                        "function P:onRequest(request)\n"
                        "  pcall(require, 'long')\n"
                        "  return 'caught'\n"
                        "end\n"
                        "return P\n");
    struct room *room = world_room(world_open(world), "r");
    assert_int_equal(world_answer(room, "GET /parties/main/r", NULL)->status, 500);
    world_logged(world, "handlerTime = 30 ms) at parties/main.lua:3");
    project_files_write(&world->files, "lib/long.lua", "return 1");
    world_answered(world_answer(room, "GET /parties/main/r", NULL), 200, "caught"); /* nothing was kept */
    buf_fini(&source);
    world_end(world);
}

/* A party whose file scope does not end stops the start. */
static void a_project_that_does_not_end(void **state)
{
    (void)state;
    struct project_files files;
    struct config config;
    struct buf error = {0};

    project_files_init(&files);
    config_init(&config);
    config.limits.handler_time = TIME_MS;
    project_files_write(&files, "parties/main.lua", "local n = 0\nwhile true do n = n + 1 end\nreturn {}");
    assert_null(project_open(files.root, &config, NULL, &error));
    assert_int_equal(buf_append(&error, "", 1), 0);
    assert_non_null(strstr((char *)error.data, "parties/main.lua:2: the file scope's time is over"));
    buf_fini(&error);
    config_fini(&config);
    project_files_fini(&files);
}

/* Nothing runs: the watchdog does not look. */
static void the_watchdog_sleeps(void **state)
{
    (void)state;
    struct world *world = time_world("return { onRequest = function() return 'on' end }");
    struct room *room = world_room(world, "r");

    for (int i = 0; i < 3; i++) {
        world_answered(world_answer(room, "GET /parties/main/r", NULL), 200, "on");
        world_wait(world, atomic_load(&watchdog_asleep));
    }
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_endless_handler_is_ended),
        cmocka_unit_test(waits_do_not_count),
        cmocka_unit_test(what_ran_before_a_wait_counts),
        cmocka_unit_test(coroutines_that_outlive_the_end),
        cmocka_unit_test(handlers_of_connections),
        cmocka_unit_test(starts_that_do_not_end),
        cmocka_unit_test(a_module_that_does_not_end),
        cmocka_unit_test(a_module_that_takes_long_to_compile),
        cmocka_unit_test(a_project_that_does_not_end),
        cmocka_unit_test(the_watchdog_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
