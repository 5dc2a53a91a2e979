/* Memory that C holds for a script counts as its room's, and a room whose memory stays used up is restarted. */
#include "script_world.h"

#define KIB 1024u

static struct world *memory_world(uint64_t memory, const char *source)
{
    struct world *world = world_begin();
    world->config.limits.room_memory = memory;
    project_files_write(&world->files, "parties/main.lua", source);
    return world_open(world);
}

/* ---- floods ---- */

/* Each way would take a multiple of the limit. */
static void floods_stop_at_the_limit(void **state)
{
    (void)state;
    struct world *world =
        memory_world(512 * KIB, "local P, ways = {}, {}\n"
                                "function ways.timers() for i = 1, 1e7 do party.after(1e9, print) end end\n"
                                "function ways.tables() local t = {} while true do t = { t } end end\n"
                                "function ways.coroutines()\n"
                                "  kept = {}\n"
                                "  while true do kept[#kept + 1] = coroutine.wrap(print) end\n"
                                "end\n"
                                "function P:onRequest(request)\n"
                                "  local way = ways[request.subpath:sub(2)]\n"
                                "  if way then way() end\n"
                                "  return 'fine'\n"
                                "end\n"
                                "return P\n");
    static const char *const ways[] = {"timers", "tables", "coroutines"};
    struct room *room = world_room(world, "r");
    char path[64];

    for (size_t i = 0; i < 3 * sizeof ways / sizeof *ways; i++) {
        snprintf(path, sizeof path, "GET /parties/main/r/%s", ways[i / 3]);
        assert_int_equal(world_answer(room, path, NULL)->status, 500);
        world_logged(world, "the room's memory is used up (roomMemory = 524288 bytes)");
        assert_true(world->loop.n_timers < 512 * KIB / (sizeof(struct event) + sizeof(struct timer)) + 2);
        world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200, "fine");
    }
    assert_int_equal(world->counters.memory_errors, 9);
    world_end(world);
}

static size_t most_used(const struct room *room)
{
    static size_t most;
    size_t used = vm_memory(world_vm(room));
    return most = used > most ? used : most;
}

/* Twenty at once, of which there is room for some: those are given, and who gets none is told so. */
static void answers_have_to_fit(void **state)
{
    (void)state;
    struct world *world =
        memory_world(512 * KIB,
                     "local P, other = {}, 'o'\n"
                     "function P:big() sleep(5) return ('x'):rep(100000) end\n"
                     "function P:onRequest(request)\n"
                     "  if party.id ~= 'r' then sleep(5) return ('x'):rep(100000) end\n"
                     "  local got, over, garbage = {}, 0, ('x'):rep(150000)\n"
                     "  for i = 1, 20 do party.after(0, function()\n"
                     "    local stub, result = party.parties.main:get('o' .. i)\n"
                     "    if request.subpath == '/call' then\n"
                     "      local value, message = stub:call('big')\n"
                     "      result = value and 'got' or message\n"
                     "    else\n"
                     "      local reply = stub:fetch('/')\n"
                     "      result = reply.ok and 'got' or reply.status .. ' ' .. reply.body\n"
                     "    end\n"
                     "    got[result] = (got[result] or 0) + 1\n"
                     "    over = over + 1\n"
                     "  end) end\n"
                     "  garbage = nil\n"
                     "  while over < 20 do sleep(1) end\n"
                     "  local texts = {}\n"
                     "  for text, n in pairs(got) do texts[#texts + 1] = (n > 2 and '' or n) .. text end\n"
                     "  table.sort(texts)\n"
                     "  return table.concat(texts, ', ')\n"
                     "end\n"
                     "return P\n");
    struct room *room = world_room(world, "r");

    struct asked *asked = world_ask(room, "GET /parties/main/r/call", NULL);
    world_wait(world, most_used(room) == 0 || asked->n_answers == 1);
    world_answered(asked, 200, "got, not enough memory for the answer");
    assert_in_range(most_used(room), 300 * KIB, 516 * KIB);
    asked = world_ask(room, "GET /parties/main/r/fetch", NULL);
    world_wait(world, most_used(room) == 0 || asked->n_answers == 1);
    world_answered(asked, 200, "507 not enough memory for the answer, got");
    assert_in_range(most_used(room), 300 * KIB, 516 * KIB);
    world_end(world);
}

static void tags_count(void **state)
{
    (void)state;
    struct world *world = memory_world(256 * KIB, "local P = {}\n"
                                                  "local long = {}\n"
                                                  "for i = 1, 9 do long[i] = (tostring(i)):rep(256) end\n"
                                                  "function P:onRequest(request)\n"
                                                  "  local n = 0\n"
                                                  "  for c in party.getConnections() do\n"
                                                  "    c:setTags(request.subpath == '/more' and long or {})\n"
                                                  "    n = n + 1\n"
                                                  "  end\n"
                                                  "  return tostring(n)\n"
                                                  "end\n"
                                                  "return P\n");
    struct room *room = world_room(world, "r");
    char id[16];

    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "p%d", i);
        world_connect(room, id);
    }
    world_answered(world_answer(room, "GET /parties/main/r/more", NULL), 200, "60");
    assert_true(room->held > 60 * 9 * 256u);
    world_answered(world_answer(room, "GET /parties/main/r/less", NULL), 200, "60");
    assert_int_equal(room->held, 0);
    for (int i = 60; i < 200; i++) {
        snprintf(id, sizeof id, "p%d", i);
        world_connect(room, id);
    }
    assert_int_equal(world_answer(room, "GET /parties/main/r/more", NULL)->status, 500);
    world_logged(world, "the room's memory is used up");
    assert_true(room->held <= 256 * KIB);
    world_end_rooms(world);
    world_begin_rooms(world);
    world_end(world);
}

/* While onStart waits everything else does too. */
static void what_waits_in_an_inbox_is_bounded(void **state)
{
    (void)state;
    struct world *world = memory_world(128 * KIB, "local P = {}\n"
                                                  "function P:onStart() sleep(100) end\n"
                                                  "function P:onRequest() return 'fine' end\n"
                                                  "return P\n");
    struct room *room = world_room(world, "r");
    struct asked *asked[20];
    size_t len = 16 * KIB;
    char *body = calloc(1, len);
    int fine = 0;

    assert_non_null(body);
    for (int i = 0; i < 20; i++)
        asked[i] = world_ask_with(room, "POST /parties/main/r/", body, len);
    free(body);
    assert_in_range(room->inbox_size, 128 * KIB - 1, 128 * KIB + 2 * len);
    world_wait(world, world->n_unanswered == 0);
    for (int i = 0; i < 20; i++) {
        assert_true(asked[i]->status == 200 || asked[i]->status == 503);
        fine += asked[i]->status == 200;
    }
    assert_in_range(fine, 6, 9);
    assert_int_equal(room->inbox_size, 0);
    world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200, "fine");
    world_end(world);
}

/* ---- restarting ---- */

static const char hoarder[] = //
    "local P = {}\n"
    "function P:onStart() log.info('begun') self.n = 0 end\n"
    "function P:onConnect(c) c:send('hello') end\n"
    "function P:onMessage(m, c)\n"
    "  if m == 'hoard' then self.kept = {} while true do table.insert(self.kept, ('x'):rep(100) .. "
    "#self.kept) end end\n"
    "  if m == 'burst' then local t = {} while true do t = { t } end end\n"
    "  c:send('pong')\n"
    "end\n"
    "function P:onClose(c) log.info('closed ' .. c.id) end\n"
    "function P:onStop() log.info('stopped') end\n"
    "function P:onRequest(request)\n"
    "  if request.subpath == '/wait' then sleep(1e9) end\n"
    "  party.after(1e9, print)\n"
    "  self.n = self.n + 1\n"
    "  return tostring(self.n)\n"
    "end\n"
    "return P\n";

static void a_room_that_keeps_its_memory_is_restarted(void **state)
{
    (void)state;
    struct world *world = memory_world(512 * KIB, hoarder);
    struct room *room = world_room(world, "r");

    struct world_peer *anna = world_connect(room, "anna"), *ben = world_connect(room, "ben");
    world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200, "1");
    struct asked *waiting = world_ask(room, "GET /parties/main/r/wait", NULL);
    world_settle(world);
    world_expect(world, "anna< hello; anna in; ben< hello; ben in");
    world_log(world);

    world_message(anna, "hoard");
    world_settle(world);
    world_expect(world, "anna closed 1011 Internal error; ben closed 1011 Internal error");
    world_answered(waiting, 500, "Internal error");
    const char *log = world_log(world);
    assert_non_null(strstr(log, "the room's memory is used up (roomMemory = 524288 bytes)"));
    assert_non_null(strstr(log, "\"msg\":\"the room is restarted: its memory stays used up (roomMemory)\""
                                ",\"party\":\"main\",\"room\":\"r\""));
    assert_null(strstr(log, "closed anna"));
    assert_null(strstr(log, "stopped"));
    assert_int_equal(world->counters.rooms_restarted, 1);
    assert_null(room->instance);
    assert_int_equal(room->n_peers + room->n_holds + room->n_waiting, 0);

    world_message(ben, "from the old one");
    world_gone(ben);
    world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200, "1");
    world_logged(world, "begun");
    struct world_peer *carl = world_connect(room, "carl");
    world_message(carl, "x");
    world_settle(world);
    world_expect(world, "carl< hello; carl in; carl< pong");
    world_end(world);
}

/* What it does takes all of it each time, though nothing is kept. */
static void a_room_without_memory_three_times_is_restarted(void **state)
{
    (void)state;
    struct world *world = memory_world(512 * KIB, hoarder);
    struct room *room = world_room(world, "r");
    struct world_peer *anna = world_connect(room, "anna");

    for (int i = 0; i < 4; i++) { /* with a success in between it goes on */
        world_message(anna, i % 2 ? "ping" : "burst");
        world_message(anna, i % 2 ? "ping" : "burst");
    }
    world_settle(world);
    assert_int_equal(world->counters.memory_errors, 4);
    assert_int_equal(world->counters.rooms_restarted, 0);
    world_expect(world, "anna< hello; anna in; anna< pong; anna< pong; anna< pong; anna< pong");
    for (int i = 0; i < 3; i++)
        world_message(anna, "burst");
    world_settle(world);
    world_expect(world, "anna closed 1011 Internal error");
    assert_int_equal(world->counters.rooms_restarted, 1);
    world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200, "1");
    world_end(world);
}

/* Those who wait to be let in meet the new VM. */
static void what_waits_gets_the_new_vm(void **state)
{
    (void)state;
    struct world *world = memory_world(512 * KIB, hoarder);
    struct room *room = world_room(world, "r");
    struct world_peer *anna = world_connect(room, "anna");

    world_settle(world);
    world->rooms.running = room; /* as if its turn was: what comes waits */
    world_message(anna, "hoard");
    world_message(anna, "lost");
    world_connect(room, "ben");
    struct asked *asked = world_ask(room, "GET /parties/main/r/", NULL);
    world->rooms.running = NULL;
    world_wait(world, asked->n_answers > 0);
    world_answered(asked, 200, "1");
    world_expect(world, "anna< hello; anna in; anna closed 1011 Internal error; ben< hello; ben in");
    assert_int_equal(world->counters.rooms_restarted, 1);
    assert_int_equal(world->counters.messages_dropped, 1);
    world_end(world);
}

/* A room may be told to stop while it has no memory. */
static void a_room_without_memory_stops(void **state)
{
    (void)state;
    struct world *world = memory_world(512 * KIB, hoarder);
    struct room *room = world_room(world, "r");
    struct world_peer *anna = world_connect(room, "anna");

    world_settle(world);
    world_message(anna, "hoard");
    world_stop(world);
    assert_int_equal(world->counters.rooms_restarted, 1);
    world_end(world);
}

/* ---- the collector ---- */

/* With half of the memory in use garbage is collected before the limit is reached. */
static void garbage_does_not_reach_the_limit(void **state)
{
    (void)state;
    struct world *world =
        memory_world(4096 * KIB, "local P = {}\n"
                                 "function P:onStart()\n"
                                 "  self.kept = {}\n"
                                 "  for i = 1, 2600 do self.kept[i] = ('x'):rep(1000) .. i end\n"
                                 "end\n"
                                 "function P:onRequest()\n"
                                 "  for i = 1, 200 do local s = ('y'):rep(1000) .. i end\n"
                                 "  return tostring(collectgarbage('count') // 1)\n"
                                 "end\n"
                                 "return P\n");
    struct room *room = world_room(world, "r");
    size_t most = 0;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(world_answer(room, "GET /parties/main/r/", NULL)->status, 200);
        if (world_vm(room)->used > most)
            most = world_vm(room)->used;
    }
    print_message("at most %zu of 4194304 bytes\n", most);
    assert_true(most < 4000 * KIB);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_stop_at_the_limit),
        cmocka_unit_test(answers_have_to_fit),
        cmocka_unit_test(tags_count),
        cmocka_unit_test(what_waits_in_an_inbox_is_bounded),
        cmocka_unit_test(a_room_that_keeps_its_memory_is_restarted),
        cmocka_unit_test(a_room_without_memory_three_times_is_restarted),
        cmocka_unit_test(what_waits_gets_the_new_vm),
        cmocka_unit_test(a_room_without_memory_stops),
        cmocka_unit_test(garbage_does_not_reach_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
