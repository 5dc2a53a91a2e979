/* Rooms that talk to other rooms, with their real scripts. */
#include "script_world.h"

static void calls_are_checked(void **state)
{
    (void)state;
    struct world *world = world_of_file("calls.lua");
    world_run_tests(world);
    world->said.len = 0;
    world_log(world); /* of methods that raise */
    world_end(world);
}

static void with_storage(void **state)
{
    (void)state;
    struct world *world = world_of(
        "local P = {}\n"
        "function P:onRequest(r) return tostring(party.parties.main:get('keeper'):call(r.body)) end\n"
        "function P:put() party.storage.put('k', 1) return 'put' end\n"
        "function P:get() return party.storage.get('k') end\n"
        "function P:destroy() party.storage.put('other', 1) party.destroy() party.storage.put('late', 1)\n"
        "  return tostring(party.storage.get('k')) .. tostring(pcall(sleep, 0)) end\n"
        "function P:late() return tostring(party.storage.get('late')) .. "
        "tostring(party.storage.get('other')) end\n"
        "function P:list() local l = party.parties.main:list()\n"
        "  return #l .. l[1].id .. tostring(l[1].lastActive ~= nil) end\n"
        "return P\n");
    struct room *r = world_room(world, "r");

    world_open_store(world);
    world_answered(world_answer(r, "POST /parties/main/r", "put"), 200, "put");
    world_answered(world_answer(r, "POST /parties/main/r", "get"), 200, "1");
    world_answered(world_answer(r, "POST /parties/main/r", "list"), 200, "2keepertrue");
    world_answered(world_answer(r, "POST /parties/main/r", "destroy"), 200, "nilfalse");
    world_answered(world_answer(r, "POST /parties/main/r", "get"), 200, "nil");
    world_answered(world_answer(r, "POST /parties/main/r", "late"), 200, "nilnil");
    world_quiet(world);
    world_end(world);
}

/* A handler that waits for another room is dropped with its own. */
static void rooms_go_while_they_wait(void **state)
{
    (void)state;
    struct world *world = world_of(
        "local P = {}\n"
        "function P:onRequest(r)\n"
        "  local other = party.parties.main:get('other')\n"
        "  if r.subpath == '/call' then return tostring(other:call('wait')) end\n"
        "  if r.subpath == '/fetch' then return other:fetch('/wait'):text() end\n"
        "  if r.subpath == '/wait' then sleep(1e9) end\n"
        "  if r.subpath == '/connect' then return tostring(other:connect('/wait')) end\n"
        "  if r.subpath == '/read' then for m in other:connect():messages() do end end\n"
        "  if r.subpath == '/list' then return #party.parties.main:list() end\n"
        "end\n"
        "function P:onConnect(c, context) if context.request.subpath == '/wait' then sleep(1e9) end end\n"
        "function P:wait() sleep(1e9) end\n"
        "return P\n");
    static const char *const paths[] = {"/call", "/fetch", "/connect", "/read", "/list"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        for (int turns = 0; turns < 6; turns++) { /* at each step of the way */
            char head[64];
            snprintf(head, sizeof head, "GET /parties/main/r%s", paths[i]);
            struct asked *asked = world_ask(world_room(world, "r"), head, NULL);
            for (int turn = 0; turn < turns && asked->n_answers == 0; turn++)
                loop_step(&world->loop);
            struct room *gone =
                rooms_find(&world->rooms, SPAN("main"), i % 2 == 0 ? SPAN("r") : SPAN("other"));
            if (gone)
                room_remove(gone);
            world_settle(world);
            rooms_drop(&world->rooms);
            world->rooms.stopping = false;
            world_wait(world, asked->n_answers == 1);
        }
    }
    world_log(world);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_checked),
        cmocka_unit_test(with_storage),
        cmocka_unit_test(rooms_go_while_they_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
