/* What scripts do through party, connection, request and Response, as clients see it. */
#include "script_world.h"

static void bindings_are_checked(void **state)
{
    (void)state;
    struct world *world = world_of_file("bindings.lua");
    world_run_tests(world);
    world_quiet(world);
    world->said.len = 0;
    world_end(world);
}

/* A room that runs the messages that it gets as Lua. */
static const char runs[] =
    "local P = {}\n"
    "function P:getConnectionTags(_, context) return { context.request.query.tag } end\n"
    "function P:onMessage(message, c)\n"
    "  local env = setmetatable({ c = c, self = self }, { __index = _G })\n"
    "  assert(load(message, '=said', 't', env))()\n"
    "end\n"
    "return P\n";

static void whom_a_broadcast_reaches(void **state)
{
    (void)state;
    static const struct {
        const char *code, *said;
    } cases[] = {
        {"party.broadcast('x')", "a< x; b< x; c< x; b< x"},
        {"party:broadcast('x')", "a< x; b< x; c< x; b< x"},
        {"party.broadcast('x', nil)", "a< x; b< x; c< x; b< x"},
        {"party.broadcast('x', {})", "a< x; b< x; c< x; b< x"},
        {"party.broadcast('x', c)", "b< x; c< x; b< x"},
        {"party.broadcast('x', 'b')", "a< x; c< x"},
        {"party.broadcast('x', party.getConnection('b'))", "a< x; b< x; c< x"},
        {"party.broadcast('x', 'nobody')", "a< x; b< x; c< x; b< x"},
        {"party.broadcast('x', { 'a', party.getConnection('c') })", "b< x; b< x"},
        {"party.broadcast('x', { 'a', 'b', 'c', c })", ""},
        {"party.broadcast('x', { to = 'red' })", "a< x; c< x"},
        {"party.broadcast('x', { to = 'b' })", "b< x; b< x"},
        {"party.broadcast('x', { to = 'red', without = c })", "c< x"},
        {"party.broadcast('x', { to = 'red', without = { 'a', 'c' } })", ""},
        {"party.broadcast('x', { to = 'none' })", ""},
        {"party.broadcast('x', { without = 'b', binary = true })", "a binary< x; c binary< x"},
        {"party.broadcast({ 1, { a = json.null } }, 'b')", "a< [1,{\"a\":null}]; c< [1,{\"a\":null}]"},
        {"party.broadcast({}, 'b')", "a< []; c< []"},
        {"party.broadcast(7, 'b')", "a< 7; c< 7"},
        {"party.broadcast(1.0, 'b')", "a< 1.0; c< 1.0"},
        {"party.broadcast('', 'b')", "a< ; c< "},
        {"c:send('1') party.broadcast('2', 'b') c:send('3')", "a< 1; a< 2; c< 2; a< 3"},
        {"c:close(4000) party.broadcast('x', c)", "a closed 4000; b< x; c< x; b< x"},
    };
    struct world *world = world_of(runs);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct room *room = world_room(world, "r");
        struct world_peer *peers[] = {world_connect_with(room, "a", "tag=red"), world_connect(room, "b"),
                                      world_connect_with(room, "c", "tag=red"), world_connect(room, "b")};
        world_settle(world);
        world->said.len = 0;
        world_message(peers[0], cases[i].code);
        world_settle(world);
        world_expect(world, cases[i].said);
        world_quiet(world);
        for (size_t k = 0; k < 4; k++)
            world_gone(peers[k]);
        world_settle(world);
    }
    world_end(world);
}

/* Connections and requests that a script keeps lead nowhere when they are gone, whatever is asked of them. */
static void what_is_kept_when_it_is_gone(void **state)
{
    (void)state;
    struct world *world =
        world_of("local P = {}\n"
                 "function P:onConnect(c, context)\n"
                 "  if not self.c then self.c, self.context = c, context c.state = { 1 } end\n"
                 "end\n"
                 "function P:onClose(c) c:send('never') assert(c == self.c and not c.isOpen and c.uri) end\n"
                 "function P:onRequest(request)\n"
                 "  local old, c = self.request, self.c\n"
                 "  self.request = request\n"
                 "  if not old then return 'first' end\n"
                 "  party.broadcast('x', { c, without = nil })\n"
                 "  c:close(4000) c:setTags({ 'x' })\n"
                 "  local sent, why = c:send('y')\n"
                 "  return { tostring(c), c.state[1], c.isOpen, tostring(c.uri), tostring(c.tags),\n"
                 "    tostring(sent), why, old.body, old.query.q, old.headers.host,\n"
                 "    self.context.request.query.k }\n"
                 "end\n"
                 "return P\n");
    struct room *room = world_room(world, "r");

    struct world_peer *anna = world_connect_with(room, "anna", "k=v");
    world_answered(world_answer(room, "POST /parties/main/r?q=1", "the body"), 200, "first");
    world_gone(anna);
    world_connect(room, "ben");
    world_settle(world);
    world->said.len = 0;
    world_answered(world_answer(room, "GET /parties/main/r", NULL), 200,
                   "[\"connection anna\",1,false,\"nil\",\"nil\",\"nil\",\"closed\",\"the body\",\"1\","
                   "\"example.org\",\"v\"]");
    world_expect(world, "ben< x");
    world_quiet(world);
    world_end(world);
}

static void queries_headers_and_forms(void **state)
{
    (void)state;
    struct world *world =
        world_of("local P = {}\n"
                 "function P:onRequest(r)\n"
                 "  if r.subpath == '/form' then return json.object(r:form()) end\n"
                 "  return json.encode({ json.object(r.query), r:queryAll('a'), r.headers['X-Some'],"
                 " r.headers.cookie, r.headers['x-NONE'] or json.null })\n"
                 "end\n"
                 "return P\n");
    struct room *room = world_room(world, "r");

    world_answered(
        world_answer(room, "GET /parties/main/r?a=1&a=%41+b&a\nx-some: 1\nX-SOME: 2\nCookie: a=1\nCookie: b",
                     NULL),
        200, "[{\"a\":\"1\"},[\"1\",\"A b\",\"\"],\"1, 2\",\"a=1; b\",null]");
    world_answered(world_answer(room,
                                "POST /parties/main/r/form\nContent-Type: application/x-www-form-urlencoded; "
                                "charset=utf-8",
                                "k=v%26&k=w"),
                   200, "{\"k\":\"v&\"}");
    world_quiet(world);
    assert_int_equal(world_answer(room, "POST /parties/main/r/form\nContent-Type: text/plain", "k=v")->status,
                     500);
    world_logged(world, "request:form() reads application/x-www-form-urlencoded bodies");
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bindings_are_checked),
        cmocka_unit_test(whom_a_broadcast_reaches),
        cmocka_unit_test(what_is_kept_when_it_is_gone),
        cmocka_unit_test(queries_headers_and_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
