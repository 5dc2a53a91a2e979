/* What scripts raise: it can neither be misleading nor is it told as something else. */
#include "script_world.h"

/* Names and texts with what moves a terminal's cursor, or looks like another line. */
static void errors_with_control_characters(void **state)
{
    (void)state;
    struct world *world = world_of(
        "local P, cases = {}, {}\n"
        "function cases.name() return load('error(\"x\")', '=a\\nfake:1: \\27[2J')() end\n"
        "function cases.file() return load('local t = nil; t.x = 1', '@b\\rc')() end\n"
        "function cases.method() local t = { ['m\\n\\27[2J'] = function() error('y') end }\n"
        "  local s = ({ ['m\\n\\27[2J'] = 1 }) t['m\\n\\27[2J']() s.x = 1 end\n"
        "function cases.caught() return select(2, pcall(load('error(\"x\")', '=a\\nb'))) end\n"
        "function cases.slow() error(setmetatable({}, { __tostring = function() while true do end end,\n"
        "  __name = ('n'):rep(1e6), __index = function() while true do end end })) end\n"
        "function P:onRequest(request) return cases[request.subpath:sub(2)]() .. '' end\n"
        "return P\n");
    struct room *room = world_room(world, "r");

    assert_int_equal(world_answer(room, "GET /parties/main/r/name", NULL)->status, 500);
    world_logged(world, "\"error\":\"a?fake:1: ?[2J:1: x\"", "a?fake:1: ?[2J:1: in ");
    assert_int_equal(world_answer(room, "GET /parties/main/r/file", NULL)->status, 500);
    world_logged(world, "\"error\":\"b?c:1: attempt to index a nil value (local 't')\"");
    assert_int_equal(world_answer(room, "GET /parties/main/r/method", NULL)->status, 500);
    world_logged(world, "in field 'm??[2J'");
    world_answered(world_answer(room, "GET /parties/main/r/caught", NULL), 200, "a?b:1: x");
    assert_int_equal(world_answer(room, "GET /parties/main/r/slow", NULL)->status, 500);
    world_logged(world, "\"error\":\"error object is a table value\"");
    world_end(world);
}

/* In a room of the usual size endless recursion is told for what it is, again and again. */
static void stack_overflows(void **state)
{
    (void)state;
    struct world *world =
        world_of("local P = {}\n"
                 "local function f() return 1 + f() end\n"
                 "function P:onRequest(request)\n"
                 "  local out = {}\n"
                 "  for i = 1, 3 do\n"
                 "    out[#out + 1] = select(2, pcall(f)):sub(1, 80)\n"
                 "    coroutine.resume(coroutine.create(function() return table.unpack({}, 1, 190000) end))\n"
                 "    out[#out + 1] = select(2, coroutine.resume(coroutine.create(f))):sub(1, 80)\n"
                 "    pcall(error, ('x'):rep(1000000))\n"
                 "    pcall(table.unpack, {}, 1, 1e6)\n"
                 "  end\n"
                 "  return table.concat(out, '\\n')\n"
                 "end\n"
                 "return P\n");
    struct room *room = world_room(world, "r");

    for (int i = 0; i < 3; i++)
        world_answered(world_answer(room, "GET /parties/main/r/", NULL), 200,
                       "parties/main.lua:2: stack overflow\nparties/main.lua:2: stack overflow\n"
                       "parties/main.lua:2: stack overflow\nparties/main.lua:2: stack overflow\n"
                       "parties/main.lua:2: stack overflow\nparties/main.lua:2: stack overflow");
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_with_control_characters),
        cmocka_unit_test(stack_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
