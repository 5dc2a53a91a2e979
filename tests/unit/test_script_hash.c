/* Keys of tables that somebody chose so that they collide. */
#include "script_world.h"

/* Numbers that all have one hash in stock Lua: putting so many into a table takes it ten seconds and more, and
 * most of that in one instruction. */
static void keys_that_collide(void **state)
{
    (void)state;
    struct world *world = world_of("local P = {}\n"
                                   "local keys = {\n"
                                   "  ['/integers'] = function(i) return i * ((1 << 18) - 1) end,\n"
                                   "  ['/negative'] = function(i) return -i * ((1 << 18) - 1) end,\n"
                                   "  ['/high'] = function(i) return i << 46 end,\n"
                                   "  ['/floats'] = function(i) return 1.0 + i * 2.0 ^ -52 end,\n"
                                   "}\n"
                                   "function P:onRequest(request)\n"
                                   "  local key, t = keys[request.subpath], {}\n"
                                   "  for i = 1, 1 << 17 do t[key(i)] = i end\n"
                                   "  for i = 1, 1 << 17 do assert(t[key(i)] == i) end\n"
                                   "  local n = 0\n"
                                   "  for k, v in pairs(t) do n = n + 1 assert(key(v) == k) end\n"
                                   "  return tostring(n)\n"
                                   "end\n"
                                   "return P\n");
    static const char *const kinds[] = {"integers", "negative", "high", "floats"};
    char path[64];

    world->config.limits.handler_time = 5000;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        uint64_t began = clock_monotonic_ns();
        snprintf(path, sizeof path, "GET /parties/main/r/%s", kinds[i]);
        world_answered(world_answer(world_room(world, "r"), path, NULL), 200, "131072");
        print_message("%-9s %4llu ms\n", kinds[i],
                      (unsigned long long)((clock_monotonic_ns() - began) / NS_PER_MS));
    }
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_that_collide)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
