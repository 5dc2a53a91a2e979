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
    {"close_after_error", "local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
                          "error('first')"},
    {"close_in_pcall", "while true do pcall(function()\n"
                       "  local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
                       "  while true do end\n"
                       "end) end"},
    {"coroutine_close", "while true do\n"
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
        assert_int_equal(buf_printf(&source, "function ways.%s()\n%s\nend\n", ways[i].name, ways[i].source), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_endless_handler_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
