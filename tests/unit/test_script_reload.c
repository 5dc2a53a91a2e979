/* Rooms that take over another version of their party, in the same VM. */
#include "script_world.h"

/* The project as it is on disk now takes the place of the one before. */
static void reload_with(struct world *world, struct string_list *env)
{
    struct buf error = {0};
    struct config config;
    struct room_limits limits = world->rooms.limits;
    struct project *before = world->project;

    config_init(&config);
    config.limits = before->config.limits;
    config.dev = before->config.dev;
    world->project = project_open(world->files.root, &config, env, &error);
    if (!world->project)
        fail_msg("%.*s", (int)error.len, (char *)error.data);
    buf_fini(&error);
    config_fini(&config);
    project_prepare(world->project, before);
    world->party = project_party(world->project, SPAN("main"));
    script_adopt(&world->script, world->project);
    rooms_reload(&world->rooms, &limits, script_find_party, &world->script);
    project_unref(before);
}

static void reload(struct world *world, const char *source)
{
    project_files_write(&world->files, "parties/main.lua", source);
    reload_with(world, NULL);
    world_settle(world);
}

static const char *ask(struct room *room, const char *subpath)
{
    static char body[1024], head[128];
    snprintf(head, sizeof head, "GET /parties/main/%s/%s", room->id, subpath);
    struct asked *asked = world_answer(room, head, NULL);
    snprintf(body, sizeof body, "%d %s", asked->status, (char *)asked->body.data);
    return body;
}

/* self, connections and their state stay; what handlers there are comes from the new script. */
static void the_new_script_finds_everything(void **state)
{
    (void)state;
    struct world *world =
        world_of("local P, count = {}, 0\n"
                 "word = 'global'\n"
                 "function P:onStart() self.list = { 'a' } end\n"
                 "function P:onConnect(c) c.state = { name = 'of ' .. c.id } end\n"
                 "function P:onMessage(m) count = count + 1 party.broadcast(m .. count) end\n"
                 "function P:old() return 'old' end\n"
                 "return P\n");
    struct room *room = world_room(world, "r");
    struct world_peer *anna = world_connect(room, "anna");

    world_message(anna, "m");
    world_settle(world);
    world_expect(world, "anna in; anna< m1");
    const void *instance = room->instance;
    reload(world, "local P, count = {}, 10\n"
                  "function P:onStart() self.started = true end\n"
                  "function P:onReload(...)\n"
                  "  self.list[2] = select('#', ...) .. tostring(self.started)\n"
                  "  for c in party.getConnections() do c:send(c.state.name) end\n"
                  "end\n"
                  "function P:onMessage(m, c) count = count + 1 c:send('new' .. count) end\n"
                  "function P:onRequest() return self.list[1] .. self.list[2] .. type(self.old) .. word end\n"
                  "return P\n");
    assert_ptr_equal(room->instance, instance);
    world_expect(world, "anna< of anna");
    world_message(anna, "m");
    world_settle(world);
    world_expect(world, "anna< new11");
    assert_string_equal(ask(room, ""), "200 a0nilnilglobal");
    world_quiet(world);
    world_end(world);
}

/* Timers and handlers that wait go on in the code that they began in, beside the new one. */
static void what_waits_goes_on_in_the_old_code(void **state)
{
    (void)state;
    struct world *world =
        world_of("local P = {}\n"
                 "function P:onStart()\n"
                 "  self.ticks = 0\n"
                 "  self.timer = party.every(1, function() self.ticks = self.ticks + 1 end)\n"
                 "end\n"
                 "function P:onRequest()\n"
                 "  while not self.go do sleep(0) end\n"
                 "  return 'old ' .. self:word()\n"
                 "end\n"
                 "function P:word() return 'old' end\n"
                 "return P\n");
    struct room *room = world_room(world, "r");
    struct asked *asked = world_ask(room, "GET /parties/main/r", NULL);

    world_settle(world);
    reload(world, "local P = {}\n"
                  "function P:onReload() sleep(0) self.before = self.ticks self.go = true end\n"
                  "function P:onRequest()\n"
                  "  while self.ticks < self.before + 3 do sleep(1) end\n"
                  "  self.timer:cancel()\n"
                  "  return 'new'\n"
                  "end\n"
                  "function P:word() return 'new' end\n"
                  "return P\n");
    world_wait(world, asked->n_answers > 0);
    world_answered(asked, 200, "old new"); /* self finds what is there now */
    assert_string_equal(ask(room, ""), "200 new");
    world_quiet(world);
    world_end(world);
}

/* Each version has modules and variables of its own. */
static void modules_and_variables_are_new(void **state)
{
    (void)state;
    static const char party[] = "local P, words = {}, require 'words'\n"
                                "function P:onStart() self.words = words end\n"
                                "function P:onRequest()\n"
                                "  return words.hello .. tostring(words == self.words) .. "
                                "tostring(words == require 'words') .. tostring(party.env.A)\n"
                                "end\n"
                                "return P\n";
    struct world *world = world_begin();
    project_files_write(&world->files, "lib/words.lua", "return { hello = 'one' }");
    project_files_write(&world->files, "parties/main.lua", party);
    world_open(world);
    struct room *room = world_room(world, "r");

    assert_string_equal(ask(room, ""), "200 onetruetruenil");
    project_files_write(&world->files, "lib/words.lua", "return { hello = 'two' }");
    struct string_list env = {0};
    string_list_add(&env, "A=b");
    reload_with(world, &env);
    assert_string_equal(ask(room, ""), "200 twofalsetrueb");
    world_quiet(world);
    world_end(world);
}

/* A file scope that raises in this room: the version before goes on, with its modules and variables. */
static void what_raises_changes_nothing(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "require 'words' .n = 5 if party.id then error('not here') end return {}",
        "local t if party.id then t.x = 1 end return {}",
        "return not party.id and {}",
        "if party.id then sleep(1) end return {}",
        "if party.id then party.broadcast('x') end return {}",
        "if party.id then party.after(1, print) end return {}",
        "if party.id then local t = {} for i = 1, 1e9 do t[i] = i end end return {}",
    };
    struct world *world = world_begin();
    world->config.limits.room_memory = 256 * 1024;
    project_files_write(&world->files, "lib/words.lua", "return { n = 0 }");
    project_files_write(&world->files, "parties/main.lua",
                        "local P = { v = 'one' }\n"
                        "local words = require 'words'\n"
                        "function P:onRequest()\n"
                        "  words.n = words.n + 1\n"
                        "  return self.v .. words.n .. tostring(words == require 'words')\n"
                        "end\n"
                        "return P\n");
    world_open(world);
    struct room *room = world_room(world, "r");

    assert_string_equal(ask(room, ""), "200 one1true");
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char wanted[64];
        reload(world, broken[i]);
        world_logged(world, "the party's new script could not be started; the one before goes on",
                     "\"room\":\"r\"");
        snprintf(wanted, sizeof wanted, "200 one%zutrue", i + 2);
        assert_string_equal(ask(room, ""), wanted);
    }
    assert_int_equal(world_vm(room)->loaded, true);
    reload(world, "return { v = 'three', onRequest = function(self) return self.v end }");
    assert_string_equal(ask(room, ""), "200 three");
    world_quiet(world);
    world_end(world);
}

/* onReload that raises is an error as any other; the new script is there. */
static void on_reload_may_raise(void **state)
{
    (void)state;
    struct world *world = world_of("return { onRequest = function() return 'one' end }");
    struct room *room = world_room(world, "r");

    ask(room, "");
    reload(world, "return { onRequest = function() return 'two' end,\n"
                  "  onReload = function() error('oh') end }");
    world_logged(world, "handler failed", "\"handler\":\"onReload\"", "main.lua:2: oh");
    assert_string_equal(ask(room, ""), "200 two");
    reload(world, "return { onRequest = function() return 'three' end }"); /* without one */
    world_quiet(world);
    assert_string_equal(ask(room, ""), "200 three");
    world_end(world);
}

/* Whatever self's metatable is, self finds the new party; one of the script's that leads to the party stays,
 * and no other table of the script's is changed. */
static void metatables_of_self(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "",
        "P.__index = P setmetatable(self, P)",
        "getmetatable(self).__len = function() return 7 end",
        "Class = { __index = function(_, k) if k == 'x' then return k end end } setmetatable(self, Class)",
        "setmetatable(self, nil)",
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct world *world = world_begin();
        char source[512];
        snprintf(source, sizeof source, "local P = {} function P:onStart() %s end return P", starts[i]);
        project_files_write(&world->files, "parties/main.lua", source);
        world_open(world);
        struct room *room = world_room(world, "r");
        ask(room, "");
        for (int version = 0; version < 3; version++) {
            char wanted[64];
            snprintf(source, sizeof source,
                     "return { onRequest = function(self) return self.word .. #self .. "
                     "tostring(Class and Class.__index(0, 'x')) end, word = 'v%d' }",
                     version);
            reload(world, source);
            snprintf(wanted, sizeof wanted, "200 v%d%d%s", version, i == 2 ? 7 : 0, i == 3 ? "x" : "nil");
            assert_string_equal(ask(room, ""), wanted);
        }
        world_quiet(world);
        world_end(world);
    }
}

/* A party whose file has gone: its rooms go on; when it comes back they take it. */
static void a_party_that_goes_and_comes_back(void **state)
{
    (void)state;
    struct world *world = world_begin();
    project_files_write(&world->files, "parties/main.lua", "return {}");
    project_files_write(&world->files, "parties/other.lua",
                        "return { onRequest = function() return 'one' end }");
    world_open(world);
    struct party *other = project_party(world->project, SPAN("other"));
    struct room *room = rooms_get(&world->rooms, other, SPAN("other"), SPAN("r"));

    assert_string_equal(ask(room, ""), "200 one");
    assert_int_equal(unlink(project_files_path(&world->files, "parties/other.lua")), 0);
    reload(world, "return {}");
    assert_null(script_find_party(&world->script, SPAN("other")));
    assert_ptr_equal(room->party, other);
    assert_string_equal(ask(room, ""), "200 one");
    project_files_write(&world->files, "parties/other.lua",
                        "return { onRequest = function() return 'two' end }");
    reload(world, "return {}");
    assert_string_equal(ask(room, ""), "200 two");
    world_quiet(world);
    world_end(world);
}

/* In festa dev the answer to what failed has all that its author wants to know. */
static void what_failed_is_explained(void **state)
{
    (void)state;
    struct world *world = world_begin();
    project_files_write(&world->files, "lib/deep.lua", "return function(t)\n  return t.x.y\nend\n");
    project_files_write(&world->files, "parties/main.lua",
                        "local deep = require 'deep'\n"
                        "return {\n"
                        "  onStart = function() if party.id == 'start' then error('no start') end end,\n"
                        "  onRequest = function(self, r)\n"
                        "    if r.subpath == '/table' then error({ message = 'a table' }) end\n"
                        "    return deep({})\n"
                        "  end }\n");
    world->config.dev = true;
    world_open(world);
    struct room *room = world_room(world, "r");

    ask(room, "");
    world_logged(world, "lib/deep.lua:2: attempt to index a nil value (field 'x')",
                 "\"source\":", "  >    2 |   return t.x.y");
    ask(room, "table");
    world_logged(world, "a table", "  >    5 |     if r.subpath");
    ask(world_room(world, "start"), "");
    world_logged(world, "no start", "\"handler\":\"onStart\"", "  >    3 |");
    world_end(world);
}

static size_t memory_of(struct room *room)
{
    vm_collect(world_vm(room));
    return world_vm(room)->used;
}

/* A thousand versions leave nothing behind, in the room or in the project's own memory. */
static void a_room_does_not_grow(void **state)
{
    (void)state;
    struct world *world = world_begin();
    project_files_write(&world->files, "lib/words.lua", "return { ('x'):rep(5000) }");
    world_copy(world, "prelude.lua", "lib/more.lua");
    project_files_write(&world->files, "parties/main.lua",
                        "local P, words = {}, require 'words'\n"
                        "local more = ('y'):rep(1000)\n"
                        "function P:onReload() self.n = (self.n or 0) + #party.env.A sleep(0) end\n"
                        "function P:onRequest() return tostring(self.n) .. #words[1] .. #more end\n"
                        "return P\n");
    world_open(world);
    struct room *room = world_room(world, "r");
    size_t before = 0;

    ask(room, "");
    for (int i = 0; i < 1000; i++) {
        struct string_list env = {0};
        string_list_add(&env, i % 2 ? "A=b" : "A=c"); /* else it would be the same version */
        reload_with(world, &env);
        world_wait(world, room->n_waiting == 0 && !room->reload_due);
        if (i == 20)
            before = memory_of(room);
    }
    assert_string_equal(ask(room, ""), "200 100050001000");
    size_t after = memory_of(room);
    print_message("%zu bytes after 20 versions, %zu after 1000\n", before, after);
    assert_true(after <= before + 256);        /* the number in self, and what answering took */
    assert_int_equal(world->project->refs, 4); /* ours, the thread's, the room's, its VM's */
    world_quiet(world);
    world_end(world);
}

/* A version in which nothing differs for the party is none for its rooms; they don't keep the one before. */
static void a_version_that_is_the_same(void **state)
{
    (void)state;
    static const char party[] = "local P, n, words = {}, 0, require 'words'\n"
                                "function P:onReload() error('it is another') end\n"
                                "function P:onRequest() n = n + 1 return tostring(n) .. words.a end\n"
                                "return P\n";
    struct world *world = world_begin();
    project_files_write(&world->files, "lib/words.lua", "return { a = 'a' }");
    project_files_write(&world->files, "parties/main.lua", party);
    world_open(world);
    struct room *room = world_room(world, "r");

    assert_string_equal(ask(room, ""), "200 1a");
    struct project *first = project_ref(world->project);
    project_files_write(&world->files, "parties/other.lua", "return {}");
    reload(world, party);
    assert_int_equal(first->refs, 1);
    assert_ptr_equal(world_vm(room)->party, world->party);
    assert_string_equal(ask(room, ""), "200 2a");
    world_quiet(world);

    project_files_write(&world->files, "lib/words.lua", "\nreturn { a = 'a' }"); /* lines count */
    reload(world, party);
    world_logged(world, "it is another");
    assert_string_equal(ask(room, ""), "200 1a");
    project_unref(first);
    world_end(world);
}

/* However little memory there is, it is the new version or the one before. */
static void without_memory(void **state)
{
    (void)state;
    static const char one[] = "local P = { words = require 'words', v = 'one' }\n"
                              "function P:onRequest() return self.v .. self.words.n end\n"
                              "return P\n";
    static const char two[] = "local P = { words = require 'words', v = 'two' }\n"
                              "function P:onRequest() return self.v .. self.words.n end\n"
                              "return P\n";
    struct world *world = world_begin();
    project_files_write(&world->files, "lib/words.lua", "return { n = 1 }");
    project_files_write(&world->files, "parties/main.lua", one);
    world_open(world);
    struct room *room = world_room(world, "r");
    size_t failures = 0;

    assert_string_equal(ask(room, ""), "200 one1");
    for (uint64_t fail_in = 1;; fail_in++) {
        struct vm *vm = world_vm(room);
        uint64_t fail_at = vm->fail_at = vm->n_allocations + fail_in;
        reload(world, two);
        bool all = vm->n_allocations < fail_at;
        vm->fail_at = 0;
        const char *answer = ask(room, "");
        bool taken = strcmp(answer, "200 two1") == 0;
        if (!taken && strcmp(answer, "200 one1") != 0)
            fail_msg("%s, when allocation %llu failed", answer, (unsigned long long)fail_in);
        failures += !taken;
        if (all)
            break;
        reload(world, one);
        assert_string_equal(ask(room, ""), "200 one1");
    }
    assert_true(failures > 10);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_new_script_finds_everything),
        cmocka_unit_test(what_waits_goes_on_in_the_old_code),
        cmocka_unit_test(modules_and_variables_are_new),
        cmocka_unit_test(what_raises_changes_nothing),
        cmocka_unit_test(on_reload_may_raise),
        cmocka_unit_test(metatables_of_self),
        cmocka_unit_test(a_party_that_goes_and_comes_back),
        cmocka_unit_test(what_failed_is_explained),
        cmocka_unit_test(a_room_does_not_grow),
        cmocka_unit_test(a_version_that_is_the_same),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
