/* What outlives a room's VM: self (persist), and the state of connections (hibernate). */
#include "fake_store.h"
#include "script_world.h"

#include "script/value.h"

static struct fake_store store;

#define PERSIST "local P = { options = { persist = true } }\n"
#define HIBERNATE "local P = { options = { hibernate = true, persist = true } }\n"

/* A party, how long a room is idle before it leaves, and how long a handler may run; 0: for long. */
static struct world *begin_within(const char *source, uint64_t idle_ms, uint64_t handler_ms)
{
    struct world *world = world_begin();
    if (idle_ms)
        world->config.limits.idle_room = idle_ms;
    if (handler_ms)
        world->config.limits.handler_time = handler_ms;
    project_files_write(&world->files, "parties/main.lua", source);
    world_open(world);
    fake_store_init(&store);
    world->rooms.store = &store.base;
    return world;
}

static struct world *begin(const char *source, uint64_t idle_ms)
{
    return begin_within(source, idle_ms, 0);
}

static void end(struct world *world)
{
    rooms_drop(&world->rooms);
    fake_store_settle(&store);
    fake_store_fini(&store);
    world_end(world);
}

/* Turns until it is so, with a store that answers at once. */
#define until(world, condition)                                                                              \
    do {                                                                                                     \
        uint64_t deadline_ = clock_monotonic_ns() + WORLD_DEADLINE_NS;                                       \
        while (!(condition)) {                                                                               \
            assert_true(clock_monotonic_ns() < deadline_);                                                   \
            loop_step(&(world)->loop);                                                                       \
            fake_store_settle(&store);                                                                       \
        }                                                                                                    \
    } while (0)

static void settle(struct world *world)
{
    do {
        fake_store_settle(&store);
        world_settle(world);
    } while (!list_empty(&store.batches) || !list_empty(&store.reads));
}

static struct asked *begin_to_ask_room(struct world *world, const char *id, const char *subpath)
{
    char head[128];
    snprintf(head, sizeof head, "GET /parties/main/%s/%s", id, subpath);
    return world_ask(world_room(world, id), head, NULL);
}

static struct asked *begin_to_ask(struct world *world, const char *subpath)
{
    return begin_to_ask_room(world, "r", subpath);
}

static const char *answer_of(struct world *world, struct asked *asked)
{
    static char text[1024];
    until(world, asked->n_answers > 0);
    snprintf(text, sizeof text, "%d %s", asked->status, (char *)asked->body.data);
    return text;
}

static const char *ask(struct world *world, const char *subpath)
{
    return answer_of(world, begin_to_ask(world, subpath));
}

static void write_party(struct world *world, const char *source)
{
    struct buf error = {0};
    struct config config;
    struct room_limits limits = world->rooms.limits;
    struct project *before = world->project;

    project_files_write(&world->files, "parties/main.lua", source);
    config_init(&config);
    config.limits = before->config.limits;
    world->project = project_open(world->files.root, &config, NULL, &error);
    if (!world->project)
        fail_msg("%.*s", (int)error.len, (char *)error.data);
    buf_fini(&error);
    config_fini(&config);
    world->party = project_party(world->project, SPAN("main"));
    script_adopt(&world->script, world->project);
    rooms_reload(&world->rooms, &limits, script_find_party, &world->script);
    project_unref(before);
    settle(world);
}

/* ---- persist ---- */

#define COUNTER                                                                                              \
    "function P:onStart(restored) if not restored then self.n = 0 end self.restored = restored end\n"        \
    "function P:onRequest(request)\n"                                                                        \
    "  if request.subpath == '/add' then self.n = self.n + 1 end\n"                                          \
    "  return self.n .. ' ' .. tostring(self.restored)\n"                                                    \
    "end\n"                                                                                                  \
    "return P\n"

static void self_comes_back(void **state)
{
    (void)state;
    struct world *world =
        begin(PERSIST "function P:onStart(restored) self.restored = restored end\n"
                      "function P:onRequest(request)\n"
                      "  if request.subpath == '/fill' then\n"
                      "    self.list, self.map = { 1, 2.5, 'x\\0y', { true } }, { a = { b = json.null } }\n"
                      "    self.none, self.object, self[7] = json.array({}), json.object({}), 'seven'\n"
                      "  end\n"
                      "  local mt = getmetatable(self)\n"
                      "  return json.encode({ self.restored, self.list, self.map, self.none, self.object,\n"
                      "    self[7], mt.__index.method(self), math.type(self.list[1]) })\n"
                      "end\n"
                      "function P:method() return self.restored and 'again' or 'first' end\n"
                      "return P\n",
              1);

    assert_string_equal(
        ask(world, "fill"),
        "200 "
        "[false,[1,2.5,\"x\\u0000y\",[true]],{\"a\":{\"b\":null}},[],{},\"seven\",\"first\",\"integer\"]");
    until(world, world->rooms.n_rooms == 0);
    assert_string_equal(
        ask(world, "look"),
        "200 [true,[1,2.5,\"x\\u0000y\",[true]],{\"a\":{\"b\":null}},[],{},\"seven\",\"again\",\"integer\"]");
    world_quiet(world);
    end(world);
}

static void self_is_saved_while_events_come(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST COUNTER, 0);

    assert_string_equal(ask(world, "add"), "200 1 false");
    assert_int_equal(store.n_selves, 0);
    until(world, store.n_selves == 1);
    settle(world);
    size_t idle = world->loop.n_timers; /* nothing is looked at without events */
    assert_string_equal(ask(world, "look"), "200 1 false");
    assert_int_equal(world->loop.n_timers, idle + 1);
    until(world, world->loop.n_timers == idle);
    settle(world);
    assert_int_equal(store.n_selves, 1); /* not changed: not written */
    assert_string_equal(ask(world, "add"), "200 2 false");
    until(world, store.n_selves == 2);

    rooms_drop(&world->rooms); /* as a crash does */
    settle(world);
    world_end_rooms(world);
    world_begin_rooms(world);
    world->rooms.store = &store.base;
    assert_string_equal(ask(world, "look"), "200 2 true");
    end(world);
}

static void self_is_saved_after_on_stop(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST "function P:onStop() self.stops = (self.stops or 0) + 1 end\n"
                                        "function P:onRequest() return tostring(self.stops) end\n"
                                        "return P\n",
                                1);

    assert_string_equal(ask(world, ""), "200 nil");
    until(world, world->rooms.n_rooms == 0);
    assert_string_equal(ask(world, ""), "200 1");
    until(world, world->rooms.n_rooms == 0);
    assert_string_equal(ask(world, ""), "200 2");
    end(world);
}

static void reloads_turn_it_on_and_off(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST COUNTER, 0);
    const struct fake_head *head;

    ask(world, "add");
    write_party(world, "local P = { options = { persist = true } } -- another\n" COUNTER);
    assert_int_equal(store.n_selves, 1); /* at once */
    head = fake_head(&store, "main", "r");
    assert_true(head->self.len > 0);
    assert_string_equal(ask(world, "add"), "200 2 false");
    write_party(world, "local P = {}\n" COUNTER);
    assert_int_equal(store.n_selves, 2); /* for the last time */
    assert_string_equal(ask(world, "add"), "200 3 false");
    write_party(world, PERSIST COUNTER);
    assert_string_equal(ask(world, "look"), "200 3 false");
    size_t n = store.n_selves;
    until(world, store.n_selves > n);
    end(world);
}

static void a_self_that_can_t_be_kept_is_said_once(void **state)
{
    (void)state;
    struct world *world =
        begin(PERSIST "function P:onStart(restored) self.restored = restored end\n"
                      "function P:onRequest(request)\n"
                      "  if request.subpath == '/bad' then self.deep = { run = print } end\n"
                      "  if request.subpath == '/good' then self.deep = nil end\n"
                      "  if request.subpath == '/cycle' then self.deep = { me = self } end\n"
                      "  self.n = (self.n or 0) + 1\n"
                      "  return self.n .. ' ' .. tostring(self.restored)\n"
                      "end\n"
                      "return P\n",
              0);

    ask(world, "");
    until(world, store.n_selves == 1);
    settle(world);
    size_t idle = world->loop.n_timers;
    ask(world, "bad");
    until(world, world->loop.n_timers == idle);
    world_logged(world, "self is not saved (persist)", "self.deep.run is a function", "\"room\":\"r\"");
    assert_string_equal(ask(world, ""), "200 3 false");
    until(world, world->loop.n_timers == idle);
    world_quiet(world);
    assert_int_equal(store.n_selves, 1);
    assert_string_equal(ask(world, "good"), "200 4 false");
    until(world, store.n_selves == 2);
    settle(world);
    ask(world, "cycle"); /* though self has a metatable, too */
    until(world, world->loop.n_timers == idle);
    world_logged(world, "self is not saved (persist)", "self.deep.me is self again, a cycle",
                 "\"room\":\"r\"");
    end(world);
}

static void damaged_bytes_are_not_overwritten(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST COUNTER, 1);
    struct fake_head *head = fake_head(&store, "main", "r");

    assert_int_equal(buf_append(&head->self, "\x7f\x01\x02", 3), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(strncmp(ask(world, "add"), "500 ", 4), 0);
        world_logged(world, "what was kept of self (persist) is damaged", "\"room\":\"r\"", "onStart");
        until(world, world->rooms.n_rooms == 0);
    }
    assert_int_equal(store.n_selves, 0);
    assert_int_equal(head->self.len, 3);
    end(world);
}

/* Until it is back, and onStart is over, self is not what is to be kept. */
static void a_self_that_is_not_whole_is_not_saved(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST "function P:onStart(restored)\n"
                                        "  self.first = true\n"
                                        "  party.storage.get('key')\n"
                                        "  self.second = true\n"
                                        "end\n"
                                        "function P:onRequest() return 'ok' end\n"
                                        "return P\n",
                                0);
    world_room(world, "r");
    size_t n_timers = world->loop.n_timers;
    struct asked *asked = begin_to_ask(world, "");

    for (size_t i = 0; i < 2; i++) { /* for its head, and for the key */
        world_settle(world);
        assert_int_equal(store.n_reads, i + 1);
        assert_int_equal(world->loop.n_timers, n_timers);
        assert_true(fake_store_answer(&store, STORE_OK));
    }
    assert_string_equal(answer_of(world, asked), "200 ok");
    assert_int_equal(world->loop.n_timers, n_timers + 1);
    until(world, store.n_selves == 1);
    end(world);
}

static void what_can_t_be_read_does_not_start(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST COUNTER, 0);
    struct asked *asked = begin_to_ask(world, "add");

    world_settle(world);
    assert_true(fake_store_answer(&store, STORE_FAILED));
    assert_int_equal(strncmp(answer_of(world, asked), "500 ", 4), 0);
    world_logged(world, "the room's storage could not be read: the disk can't be read");
    assert_string_equal(ask(world, "add"), "200 1 false");
    end(world);
}

/* A VM that takes the place of another finds what that one has saved last, be it still on its way. */
static void a_restart_waits_for_what_is_being_saved(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST COUNTER, 0);

    assert_string_equal(ask(world, "add"), "200 1 false");
    world_wait(world, store.n_batches == 1);
    room_restart(world_room(world, "r"));
    struct asked *first = begin_to_ask(world, "look"), *second;
    world_settle(world);
    assert_int_equal(first->n_answers, 1);
    second = begin_to_ask(world, "look");
    size_t n_reads = store.n_reads;
    world_settle(world);
    assert_int_equal(store.n_reads, n_reads);
    assert_string_equal(answer_of(world, second), "200 1 true");
    end(world);
}

/* A handler that waits since too much is on its way to the disk goes on when that was a copy of self. */
static void a_large_self_holds_nobody_up(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST "function P:onRequest(request)\n"
                                        "  if request.subpath == '/big' then\n"
                                        "    self.big = ('x'):rep(1500000)\n"
                                        "  else\n"
                                        "    party.storage.put('a', 1)\n"
                                        "  end\n"
                                        "  return 'ok'\n"
                                        "end\n"
                                        "return P\n",
                                0);

    assert_string_equal(ask(world, "big"), "200 ok");
    world_wait(world, store.n_batches == 1);
    struct asked *asked = begin_to_ask(world, "put");
    world_settle(world);
    assert_int_equal(store.n_batches, 1);
    assert_int_equal(asked->n_answers, 0);
    assert_string_equal(answer_of(world, asked), "200 ok");
    end(world);
}

/* Of an emptied table many times, which takes no bytes to speak of; a long string many times, which takes no time to
 * speak of; and what of them is garbage. */
#define LARGE                                                                                                \
    "local t, n, garbage = {}, 0\n"                                                                          \
    "local function large(what)\n"                                                                           \
    "  if what == 'fill' then for i = 1, 2048 do n = n + 1.5 t[n] = true end end\n"                          \
    "  if what == 'empty' then for i = 1, 2048 do t[n] = nil n = n - 1.5 end end\n"                          \
    "  local of, times = tostring(what):match('^(%a+)(%d+)$')\n"                                             \
    "  if not of then return end\n"                                                                          \
    "  local all, one = {}, of == 'table' and t or ('x'):rep(1048576)\n"                                     \
    "  for i = 1, times do all[i] = of == 'distinct' and ('x'):rep(1048576 + i) or one end\n"                \
    "  return all\n"                                                                                         \
    "end\n"

#define LARGE_SELF                                                                                           \
    LARGE "function P:onRequest(request)\n"                                                                  \
          "  local what = request.subpath:sub(2)\n"                                                          \
          "  if what == 'full' then garbage = large('distinct28') return 'ok' end\n"                         \
          "  if what == 'garbage' then large('distinct14') return 'ok' end\n"                                \
          "  self.large = large(what)\n"                                                                     \
          "  return 'ok'\n"                                                                                  \
          "end\n"                                                                                            \
          "return P\n"

#define PIECES 32 /* of its making, each of which a slow build has the time for */

static void make_emptied_table(struct world *world, const char *id)
{
    for (int i = 0; i < 2 * PIECES; i++) {
        struct asked *asked = begin_to_ask_room(world, id, i < PIECES ? "fill" : "empty");
        assert_string_equal(answer_of(world, asked), "200 ok");
    }
}

/* Turns until the room's self has been looked at. */
static void until_looked_at(struct world *world, size_t idle)
{
    until(world, world->loop.n_timers == idle && list_empty(&store.batches));
}

static void a_self_that_takes_long_is_not_saved(void **state)
{
    (void)state;
    struct world *world = begin_within(PERSIST LARGE_SELF, 0, 200);
    world_room(world, "r");
    size_t idle = world->loop.n_timers;

    make_emptied_table(world, "r");
    until_looked_at(world, idle);
    size_t n = store.n_selves;
    assert_string_equal(ask(world, "table20000"), "200 ok");
    until_looked_at(world, idle);
    world_logged(world, "self is not saved (persist)", "self takes longer than 200 ms (handlerTime)",
                 "\"room\":\"r\"");
    assert_int_equal(store.n_selves, n);
    assert_string_equal(ask(world, "table1"), "200 ok"); /* with all the time that it has otherwise */
    until(world, store.n_selves == n + 1);
    world_quiet(world);
    end(world);
}

/* Between two that take long all else has its turn. */
static void one_self_that_takes_long_is_saved_in_a_turn(void **state)
{
    (void)state;
    struct world *world = begin_within(PERSIST LARGE_SELF, 0, 200);
    const struct timespec until_due = {.tv_sec = 1, .tv_nsec = 100000000};

    world_room(world, "r");
    world_room(world, "s");
    size_t idle = world->loop.n_timers;
    make_emptied_table(world, "r");
    make_emptied_table(world, "s");
    until_looked_at(world, idle);
    assert_string_equal(ask(world, "table20000"), "200 ok");
    assert_string_equal(answer_of(world, begin_to_ask_room(world, "s", "table20000")), "200 ok");
    settle(world);
    nanosleep(&until_due, NULL);
    for (size_t n = 0; n < 2;) {
        loop_step(&world->loop);
        const char *said = strstr(world_log(world), "self takes longer than 200 ms");
        n += said != NULL;
        assert_true(!said || !strstr(said + 1, "self takes longer"));
    }
    end(world);
}

/* One handler's time for both, and a little, so that a self that is small is saved in any case. */
static void self_has_the_time_that_on_stop_has_left(void **state)
{
    (void)state;
    struct world *world =
        begin_within(PERSIST "function P:onStop() while true do end end\n" LARGE_SELF, 0, 200);
    struct room *room = world_room(world, "r");
    size_t idle = world->loop.n_timers;

    make_emptied_table(world, "r");
    until_looked_at(world, idle);
    size_t n = store.n_selves;
    assert_string_equal(ask(world, "table20000"), "200 ok");
    settle(world);
    assert_int_equal(rooms_evict(room), 0);
    world_logged(world, "\"handler\":\"onStop\"", "self is not saved (persist)",
                 "self takes longer than 40 ms (handlerTime)");
    until(world, world->rooms.n_rooms == 0);
    assert_int_equal(store.n_selves, n);

    room = world_room(world, "r");
    assert_string_equal(ask(world, "table0"), "200 ok");
    settle(world);
    assert_int_equal(rooms_evict(room), 0);
    world_logged(world, "\"handler\":\"onStop\"");
    until(world, world->rooms.n_rooms == 0);
    assert_int_equal(store.n_selves, n + 1);
    end(world);
}

/* A file scope and the onReload behind it, and the saving before them. */
static void a_reload_has_the_time_of_one_handler(void **state)
{
    (void)state;
    struct world *world = begin_within(PERSIST COUNTER, 0, 200);
    static const char half[] =
        "local function half() local t = os.clock() while os.clock() - t < 0.15 do end end\n"
        "half()\n"
        "function P:onReload() half() self.n = 100 end\n";
    char source[1024];

    ask(world, "add");
    snprintf(source, sizeof source, "%s%s%s", PERSIST, half, COUNTER);
    write_party(world, source);
    world_logged(world, "\"handler\":\"onReload\"", "handlerTime");
    assert_string_equal(ask(world, "look"), "200 1 false");
    assert_int_equal(store.n_selves, 1);
    end(world);
}

static void a_self_that_is_too_large_is_not_saved(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST LARGE_SELF, 0);
    struct room *room = world_room(world, "r");
    size_t idle = world->loop.n_timers;

    assert_string_equal(ask(world, "string17"), "200 ok");
    until_looked_at(world, idle);
    world_logged(world, "self is not saved (persist)", "can't be kept: self takes more than",
                 "bytes (half of what is left of roomMemory)");
    assert_int_equal(store.n_selves, 0);
    assert_true(world->script.encoded.cap <= 1048576);

    assert_string_equal(ask(world, "string14"), "200 ok");
    assert_string_equal(ask(world, "garbage"), "200 ok"); /* which does not count */
    world_wait(world, store.n_batches == 1);
    assert_true(room->held > 14 * 1048576);
    assert_true(world->script.encoded.cap <= 1048576);
    until_looked_at(world, idle);
    assert_int_equal(store.n_selves, 1);
    assert_int_equal(room->held, 0);
    world_quiet(world);
    end(world);
}

/* A room that has used up its memory does not lose a self that is small. */
static void a_full_room_saves_what_is_small(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST LARGE_SELF, 0);
    world_room(world, "r");
    size_t idle = world->loop.n_timers;

    assert_string_equal(ask(world, "string2"), "200 ok");
    assert_string_equal(ask(world, "full"), "200 ok");
    until_looked_at(world, idle);
    assert_int_equal(store.n_selves, 1);
    assert_string_equal(ask(world, "string5"), "200 ok");
    until_looked_at(world, idle);
    world_logged(world, "self is not saved (persist)", "half of what is left of roomMemory");
    assert_int_equal(store.n_selves, 1);
    end(world);
}

/* Whatever allocation fails in a VM's life, what is kept is whole. */
static void memory_may_fail_at_any_time(void **state)
{
    (void)state;
    struct world *world = begin(PERSIST COUNTER, 1);
    bool hit = true;

    ask(world, "add");
    until(world, world->rooms.n_rooms == 0);
    for (uint64_t fail_in = 1; hit; fail_in++) {
        world->fail_in = fail_in;
        const char *answer = ask(world, "look");
        if (strcmp(answer, "200 1 true") != 0 && strncmp(answer, "500 ", 4) != 0)
            fail_msg("%s, when allocation %llu failed", answer, (unsigned long long)fail_in);
        until(world, world->rooms.n_rooms == 0);
        hit = world->allocated >= world->failing;
        world->fail_in = 0;
        assert_string_equal(ask(world, "look"), "200 1 true");
        until(world, world->rooms.n_rooms == 0);
    }
    (void)world_log(world);
    end(world);
}

/* ---- hibernate ---- */

#define SLEEPER                                                                                              \
    "function P:onStart(restored)\n"                                                                         \
    "  if restored and self.fails then error('no') end\n"                                                    \
    "  self.starts = (self.starts or 0) + 1\n"                                                               \
    "end\n"                                                                                                  \
    "function P:getConnectionTags(c) return { 'tag of ' .. c.id } end\n"                                     \
    "function P:onConnect(c) c.state = { name = 'state of ' .. c.id, n = 0 } end\n"                          \
    "function P:onMessage(m, c)\n"                                                                           \
    "  if m == 'fail' then self.fails = true return end\n"                                                   \
    "  if m == 'all' then party.broadcast('to all') return end\n"                                            \
    "  if m == 'hold' then self.timer = nil party.after(100000000, function() end) return end\n"             \
    "  if m == 'wait' then sleep(100000000) end\n"                                                           \
    "  if m == 'bad' then c.state = { print } return end\n"                                                  \
    "  if m == 'self' then self.bad = print return end\n"                                                    \
    "  c.state.n = c.state.n + 1\n"                                                                          \
    "  c:send(('%s %s %s %d %d %d'):format(c.id, c.tags[2], c.state.name, c.state.n,\n"                      \
    "    party.connectionCount(), self.starts))\n"                                                           \
    "end\n"                                                                                                  \
    "function P:onClose(c) party.broadcast('gone: ' .. c.state.name) end\n"                                  \
    "function P:onRequest()\n"                                                                               \
    "  local names = {}\n"                                                                                   \
    "  for c in party.getConnections() do names[#names + 1] = c.state.name end\n"                            \
    "  return self.starts .. ' ' .. table.concat(names, ', ')\n"                                             \
    "end\n"                                                                                                  \
    "return P\n"

static struct room *with_two(struct world *world, struct world_peer **anna, struct world_peer **ben)
{
    struct room *room = world_room(world, "r");
    *anna = world_connect(room, "anna");
    *ben = world_connect(room, "ben");
    settle(world);
    return room;
}

static void connections_outlive_their_vm(void **state)
{
    (void)state;
    struct world *world = begin(HIBERNATE SLEEPER, 1);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    until(world, !room->instance);
    world_expect(world, "anna in; ben in");
    assert_int_equal(room->n_listed, 2);
    assert_true(anna->peer.kept && ben->peer.kept);
    assert_int_equal(room->held, peer_held(&anna->peer) + peer_held(&ben->peer));
    assert_null(room->data);
    world_message(anna, "m");
    settle(world);
    assert_null(anna->peer.kept); /* its object has it now */
    assert_non_null(ben->peer.kept);
    assert_int_equal(room->held, peer_held(&anna->peer) + peer_held(&ben->peer));
    world_expect(world, "anna< anna tag of anna state of anna 1 2 2");
    until(world, !room->instance);
    assert_true(anna->peer.kept && ben->peer.kept);
    world_message(anna, "m");
    settle(world);
    world_expect(world, "anna< anna tag of anna state of anna 2 2 3");
    until(world, !room->instance);
    world_message(ben, "all");
    settle(world);
    world_expect(world, "anna< to all; ben< to all");
    world_quiet(world);
    end(world);
}

static void closes_and_requests_wake_the_room(void **state)
{
    (void)state;
    struct world *world = begin(HIBERNATE SLEEPER, 1);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    until(world, !room->instance);
    assert_string_equal(ask(world, ""), "200 2 state of anna, state of ben");
    until(world, !room->instance);
    world_expect(world, "anna in; ben in");
    world_gone(anna);
    settle(world);
    world_expect(world, "ben< gone: state of anna");
    until(world, !room->instance);
    assert_int_equal(room->held, peer_held(&ben->peer));
    world_gone(ben);
    until(world, world->rooms.n_rooms == 0);
    world_quiet(world);
    end(world);
}

static void without_persist_self_is_new(void **state)
{
    (void)state;
    struct world *world = begin("local P = { options = { hibernate = true } }\n" SLEEPER, 1);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    for (int i = 0; i < 3; i++) {
        until(world, !room->instance);
        assert_string_equal(ask(world, ""), "200 1 state of anna, state of ben");
    }
    assert_int_equal(store.n_selves, 0);
    end(world);
}

/* Such a room is not even idle. */
static void timers_and_handlers_that_wait_keep_the_vm(void **state)
{
    (void)state;
    static const char *const reasons[] = {"hold", "wait"};

    for (size_t i = 0; i < 2; i++) {
        struct world *world = begin(HIBERNATE SLEEPER, 0);
        struct world_peer *anna, *ben;
        struct room *room = with_two(world, &anna, &ben);
        assert_true(list_linked(&room->in_idle));
        world_message(anna, reasons[i]);
        settle(world);
        assert_false(list_linked(&room->in_idle));
        end(world);
    }
}

static void what_can_t_be_kept_keeps_the_vm(void **state)
{
    (void)state;
    struct world *world = begin(HIBERNATE SLEEPER, 1);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    until(world, !room->instance);
    world_message(ben, "bad");
    settle(world);
    until(world, room->instance && !list_linked(&room->in_idle) && store.n_batches == 0);
    const char *log = world_log(world);
    assert_non_null(strstr(log, "the room does not hibernate"));
    assert_non_null(strstr(log, "connection.state[1] is a function"));
    assert_null(ben->peer.kept);
    assert_int_equal(room->held, peer_held(&anna->peer) + peer_held(&ben->peer));
    world_gone(ben);
    until(world, !room->instance);

    world_message(anna, "self");
    settle(world);
    until(world, room->instance && !list_linked(&room->in_idle));
    world_logged(world, "self is not saved (persist)", "self.bad is a function");
    assert_null(anna->peer.kept);
    end(world);
}

#define LARGE_STATES                                                                                         \
    LARGE "function P:onRequest(request)\n"                                                                  \
          "  local all = large(request.subpath:sub(2))\n"                                                    \
          "  for c in party.getConnections() do c.state = all end\n"                                         \
          "  return 'ok'\n"                                                                                  \
          "end\n"                                                                                            \
          "return P\n"

/* One bound is for all of them together. */
static void states_that_are_too_large_keep_the_vm(void **state)
{
    (void)state;
    struct world *world = begin("local P = { options = { hibernate = true } }\n" LARGE_STATES, 1);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    until(world, !room->instance);
    assert_string_equal(ask(world, "string12"), "200 ok");
    until(world, room->instance && !list_linked(&room->in_idle));
    world_logged(world, "the room does not hibernate", "can't be kept: connection.state takes more than",
                 "bytes (half of what is left of roomMemory)");
    assert_true(!anna->peer.kept && !ben->peer.kept);
    assert_int_equal(room->held, 0);
    assert_true(world->script.encoded.cap <= 1048576);

    assert_string_equal(ask(world, "string8"), "200 ok");
    until(world, !room->instance);
    assert_true(room->held > 2 * 8 * 1048576);
    assert_true(world->script.encoded.cap <= 1048576);
    world_quiet(world);
    end(world);
}

/* And one time. */
static void states_that_take_long_keep_the_vm(void **state)
{
    (void)state;
    struct world *world =
        begin_within("local P = { options = { hibernate = true } }\n" LARGE_STATES, 300, 200);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    make_emptied_table(world, "r");
    assert_string_equal(ask(world, "table20000"), "200 ok");
    until(world, room->instance && !list_linked(&room->in_idle));
    world_logged(world, "the room does not hibernate",
                 "connection.state takes longer than 200 ms (handlerTime)", "\"room\":\"r\"");
    assert_true(!anna->peer.kept && !ben->peer.kept);
    assert_string_equal(ask(world, "table1"), "200 ok");
    until(world, !room->instance);
    world_quiet(world);
    end(world);
}

/* The VM goes when self is durable, and not before. */
static void hibernation_waits_for_self(void **state)
{
    (void)state;
    struct world *world = begin(HIBERNATE SLEEPER, 1);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    world_wait(world, store.n_batches == 1);
    for (int i = 0; i < 100; i++)
        loop_step(&world->loop);
    assert_non_null(room->instance);
    until(world, !room->instance);
    world->said.len = 0;
    world_message(anna, "m");
    settle(world);
    world_expect(world, "anna< anna tag of anna state of anna 1 2 2");
    end(world);
}

static void a_start_that_fails_at_waking_is_tried_again(void **state)
{
    (void)state;
    struct world *world = begin(HIBERNATE SLEEPER, 1);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    world_message(anna, "fail");
    settle(world);
    until(world, !room->instance);
    world->said.len = 0;
    for (int i = 0; i < 2; i++) {
        world_message(anna, "m");
        settle(world);
        world_logged(world, "onStart", "no");
    }
    assert_int_equal(world->counters.messages_dropped, 2);
    assert_int_equal(strncmp(ask(world, ""), "500 ", 4), 0);
    world_expect(world, ""); /* they stay connected */
    write_party(world, "local P = { options = { hibernate = true } }\n" SLEEPER);
    world_message(anna, "m");
    settle(world);
    world_expect(world, "anna< anna tag of anna state of anna 1 2 1");
    end(world);
}

static void many_cycles_leave_nothing_behind(void **state)
{
    (void)state;
    struct world *world = begin(HIBERNATE SLEEPER, 1);
    struct world_peer *anna, *ben;
    struct room *room = with_two(world, &anna, &ben);

    until(world, !room->instance);
    size_t held = room->held, n_timers = world->loop.n_timers;
    for (int i = 1; i <= 30; i++) {
        world_message(i % 2 ? anna : ben, "m");
        settle(world);
        until(world, !room->instance);
        assert_int_equal(room->held, held);
        assert_int_equal(world->script.n_warm, 0);
        assert_true(world->loop.n_timers <= n_timers + 1);
    }
    world_quiet(world);
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_comes_back),
        cmocka_unit_test(self_is_saved_while_events_come),
        cmocka_unit_test(self_is_saved_after_on_stop),
        cmocka_unit_test(reloads_turn_it_on_and_off),
        cmocka_unit_test(a_self_that_can_t_be_kept_is_said_once),
        cmocka_unit_test(damaged_bytes_are_not_overwritten),
        cmocka_unit_test(a_self_that_is_not_whole_is_not_saved),
        cmocka_unit_test(what_can_t_be_read_does_not_start),
        cmocka_unit_test(a_restart_waits_for_what_is_being_saved),
        cmocka_unit_test(a_large_self_holds_nobody_up),
        cmocka_unit_test(a_self_that_takes_long_is_not_saved),
        cmocka_unit_test(one_self_that_takes_long_is_saved_in_a_turn),
        cmocka_unit_test(self_has_the_time_that_on_stop_has_left),
        cmocka_unit_test(a_reload_has_the_time_of_one_handler),
        cmocka_unit_test(a_self_that_is_too_large_is_not_saved),
        cmocka_unit_test(a_full_room_saves_what_is_small),
        cmocka_unit_test(memory_may_fail_at_any_time),
        cmocka_unit_test(connections_outlive_their_vm),
        cmocka_unit_test(closes_and_requests_wake_the_room),
        cmocka_unit_test(without_persist_self_is_new),
        cmocka_unit_test(timers_and_handlers_that_wait_keep_the_vm),
        cmocka_unit_test(what_can_t_be_kept_keeps_the_vm),
        cmocka_unit_test(states_that_are_too_large_keep_the_vm),
        cmocka_unit_test(states_that_take_long_keep_the_vm),
        cmocka_unit_test(hibernation_waits_for_self),
        cmocka_unit_test(a_start_that_fails_at_waking_is_tried_again),
        cmocka_unit_test(many_cycles_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
