/* fetch in rooms: it leaves by the gate, its memory is the room's, and it ends with the room, wherever it stands. */
#include "fetch_server.h"
#include "script_world.h"
#include "store_faults.h"

#include "fetch/fetch.h"
#include "room/data.h"

static bool serve(int fd, const char *path, const char *request)
{
    (void)request;
    if (strcmp(path, "/slow") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none\n");
        gate_pass(&answers);
        return say_text(fd, "two\n");
    }
    if (strcmp(path, "/large") == 0) {
        static char body[400000];
        memset(body, 'x', sizeof body);
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n");
        return say(fd, body, sizeof body);
    }
    return say_text(fd, "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 11\r\n\r\nline\n[1,2]\n");
}

static struct server server;

/* A room that runs the bodies of its requests as Lua. */
static struct world *world_with_server(void)
{
    char source[1024];

    server_begin(&server);
    snprintf(source, sizeof source,
             "local P = {}\n"
             "O = 'http://127.0.0.1:%d'\n"
             "function P:onRequest(request)\n"
             "  return tostring(assert(load(request:text(), '=said', 't', setmetatable({ self = self }, { "
             "__index = "
             "_G })))() or nil)\n"
             "end\n"
             "function P:onMessage(message) self.heard = message log.info('heard ' .. message) end\n"
             "return P\n",
             server.port);
    return world_of(source);
}

static void world_and_server_end(struct world *world)
{
    gate_set(&answers, false);
    world_end(world);
    server_end(&server);
}

#define PATH "POST /parties/main/r"

/* ---- the gate ---- */

static void it_leaves_when_what_was_written_is_durable(void **state)
{
    (void)state;
    struct world *world = world_with_server();
    world_open_store(world);
    struct room *room = world_room(world, "r");

    world_answered(world_answer(room, PATH, "party.storage:put('k', 0) return 'stored'"), 200, "stored");
    faults_shut();
    struct asked *asked =
        world_ask(room, PATH, "party.storage:put('k', 1) return fetch(O .. '/'):headerAll('x-a')[1]");
    world_settle(world);
    faults_await();
    for (int i = 0; i < 50; i++)
        loop_step(&world->loop);
    assert_int_equal(n_requests, 0);
    assert_int_equal(asked->n_answers, 0);
    assert_int_equal(room->n_waiting, 1);
    struct world_peer *anna = world_connect(room, "anna"); /* other events run */
    world_message(anna, "something");
    world_settle(world);
    world_logged(world, "heard something");
    faults_open();
    world_wait(world, asked->n_answers > 0);
    world_answered(asked, 200, "1");
    assert_int_equal(n_requests, 1);
    assert_int_equal(world->counters.fetches, 1);
    world_and_server_end(world);
}

static void it_does_not_leave_when_that_was_not_kept(void **state)
{
    (void)state;
    struct world *world = world_with_server();
    world_open_store(world);
    struct room *room = world_room(world, "r");

    world_answered(world_answer(room, PATH, "party.storage:put('k', 0) return 'stored'"), 200, "stored");
    faults_plan(FAULT_WRITE, SQLITE_OPEN_WAL, 0, SQLITE_IOERR_WRITE);
    struct asked *asked = world_ask(room, PATH, "party.storage:put('k', 1) fetch(O .. '/')");
    world_wait(world, asked->n_answers > 0);
    faults_end();
    assert_int_equal(asked->status, 503);
    assert_int_equal(n_requests, 0);
    world_logged(world, "could not be stored");
    world_and_server_end(world);
}

/* More than roomMemory waits to be sent. */
static void too_much_at_the_gate(void **state)
{
    (void)state;
    struct world *world = world_with_server();
    struct room *room = world_room(world, "r");

    world->rooms.limits.output = 10000;
    world_answered(
        world_answer(room, PATH,
                     "local good, why = pcall(fetch, O .. '/', { method = 'POST', body = ('x'):rep(20000) }) "
                     "return why:match('too much output at once')"),
        200, "too much output at once");
    assert_int_equal(n_requests, 0);
    world_answered(world_answer(room, PATH, "return fetch(O .. '/').status"), 200, "200");
    world_and_server_end(world);
}

/* ---- rooms that go ---- */

/* Where a fetch may stand when its room goes, and what says that it stands there. */
static void rooms_go_at_any_time(void **state)
{
    (void)state;
    static const char *const codes[] = {
        "fetch(O .. '/slow')",
        "pcall(coroutine.wrap(function() fetch(O .. '/slow') end))",
        "local r = fetch(O .. '/slow', { stream = true }) return r:text()",
        "for line in fetch(O .. '/slow', { stream = true }):lines() do end",
        "self.kept = fetch(O .. '/slow', { stream = true }) sleep(1000000)",
        "self.kept = fetch(O .. '/').chunks sleep(1000000)",
        "party.storage:put('k', 1) fetch(O .. '/')",
    };
    struct world *world = world_with_server();
    world_open_store(world);

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        bool stored = strstr(codes[i], "storage") != NULL;
        struct room *room = world_room(world, "r");
        int before = n_requests;
        if (stored)
            faults_shut();
        gate_set(&answers, true);
        struct asked *asked = world_ask(room, PATH, codes[i]);
        world_settle(world);
        if (stored)
            faults_await();
        else
            world_wait(world, n_requests > before);
        for (int turn = 0; turn < 50; turn++)
            loop_step(&world->loop);
        assert_int_equal(asked->n_answers, 0);
        rooms_drop(&world->rooms);
        world_wait(world, asked->n_answers > 0);
        assert_int_equal(asked->status, 500);
        faults_open();
        gate_set(&answers, false);
        world_end_rooms(world);
        world_begin_rooms(world);
    }
    world_log(world);
    world_and_server_end(world);
}

/* The answer is there and its handler is about to be woken. */
static void rooms_go_when_the_answer_is_there(void **state)
{
    (void)state;
    struct world *world = world_with_server();
    struct room *room = world_room(world, "r");

    struct asked *asked = world_ask(room, PATH, "return fetch(O .. '/').status");
    uint64_t until = clock_monotonic_ns() + WORLD_DEADLINE_NS;
    while (list_empty(&room->wakes) && asked->n_answers == 0 && clock_monotonic_ns() < until)
        uv_run(&world->loop.uv, UV_RUN_NOWAIT);
    rooms_drop(&world->rooms);
    assert_int_equal(asked->n_answers, 1);
    world_log(world);
    world_end_rooms(world);
    world_begin_rooms(world);
    world_and_server_end(world);
}

/* ---- memory ---- */

/* What an object with a finalizer holds goes with the collection behind it. */
static void collect(struct room *room)
{
    vm_collect(world_vm(room));
    vm_collect(world_vm(room));
}

static void its_memory_is_the_rooms(void **state)
{
    (void)state;
    struct world *world = world_with_server();
    struct room *room = world_room(world, "r");

    world_answered(world_answer(room, PATH, "return fetch(O .. '/large'):text():sub(1, 3)"), 200, "xxx");
    collect(room);
    size_t before = vm_memory(world_vm(room));

    gate_set(&answers, true);
    struct asked *asked = world_ask(room, PATH, "return #fetch(O .. '/slow'):text()");
    world_wait(world, n_requests == 2);
    assert_true(vm_memory(world_vm(room)) > before + FETCH_COST);
    gate_set(&answers, false);
    world_wait(world, asked->n_answers > 0);
    world_answered(asked, 200, "8");

    world_answered(world_answer(room, PATH, "self.kept = fetch(O .. '/large') return 'kept'"), 200, "kept");
    collect(room);
    assert_true(vm_memory(world_vm(room)) > before + 400000);
    world_answered(world_answer(room, PATH, "self.kept = nil return 'gone'"), 200, "gone");
    collect(room);
    assert_true(vm_memory(world_vm(room)) < before + 20000);
    assert_int_equal(world_vm(room)->fetches->count, 0);
    world_and_server_end(world);
}

/* URL, method and headers of one that waits, with curl's copies. */
static void its_head_is_the_rooms(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        size_t bytes; /* of it and its copy */
    } calls[] = {
        {"fetch(O .. '/slow#' .. ('x'):rep(60000))", 120000},
        {"fetch(O .. '/slow', { method = ('X'):rep(200000) })", 400000},
        {"fetch(O .. '/slow', { headers = { a = ('x'):rep(200000) } })", 400000},
    };
    struct world *world = world_with_server();
    struct room *room = world_room(world, "r");
    char code[256];

    world_answered(world_answer(room, PATH, "return 'begun'"), 200, "begun");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        collect(room);
        size_t before = vm_memory(world_vm(room));
        int n = n_requests;
        gate_set(&answers, true);
        snprintf(code, sizeof code, "%s return 'done'", calls[i].code);
        struct asked *asked = world_ask(room, PATH, code);
        world_wait(world, n_requests > n);
        collect(room);
        assert_true(vm_memory(world_vm(room)) > before + FETCH_COST + calls[i].bytes);
        gate_set(&answers, false);
        world_wait(world, asked->n_answers > 0);
    }
    /* it is asked for before it is taken */
    world_answered(world_answer(room, PATH,
                                "local m = ('X'):rep(12000000)\n"
                                "return (select(2, pcall(fetch, O .. '/', { method = m })))"),
                   200, "not enough memory");
    world_log(world);
    world_and_server_end(world);
}

/* One allocation after the other fails: an error at worst. */
static void without_memory(void **state)
{
    (void)state;
    static const char code[] =
        "local r = assert(fetch(O .. '/', { method = 'POST', json = { 1 }, headers = { a = 'b', c = { 'd', "
        "'e' } } }))\n"
        "local s = assert(fetch(O .. '/', { stream = true }))\n"
        "local line = s:lines()() .. s:json()[2] .. r.headers['x-a'] .. r:headerAll('x-a')[1]\n"
        "for l in r:lines() do line = line .. l end\n"
        "for c in r:chunks() do line = line .. #c end\n"
        "return line .. r.url:sub(1, 4)\n";
    struct world *world = world_with_server();
    bool hit = true;
    uint64_t runs = 0;

    for (uint64_t fail_in = 1; hit; fail_in += 1 + fail_in / 40, runs++) {
        world->fail_in = fail_in;
        struct room *room = world_room(world, "r");
        struct asked *asked = world_answer(room, PATH, code);
        if (asked->status == 200 && strcmp((char *)asked->body.data, "line211line[1,2]11http") != 0)
            fail_msg("%s, when allocation %llu failed", (char *)asked->body.data,
                     (unsigned long long)fail_in);
        assert_true(asked->status == 200 || asked->status == 500);
        world_log(world);
        hit = room->instance ? world_vm(room)->n_allocations >= world->failing : true;
        world->fail_in = 0;
        world_end_rooms(world);
        world_begin_rooms(world);
    }
    assert_true(runs > 20);
    world_and_server_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_leaves_when_what_was_written_is_durable),
        cmocka_unit_test(it_does_not_leave_when_that_was_not_kept),
        cmocka_unit_test(too_much_at_the_gate),
        cmocka_unit_test(rooms_go_at_any_time),
        cmocka_unit_test(rooms_go_when_the_answer_is_there),
        cmocka_unit_test(its_memory_is_the_rooms),
        cmocka_unit_test(its_head_is_the_rooms),
        cmocka_unit_test(without_memory),
    };
    faults_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
