/* Handlers that wait: what runs meanwhile, where waiting is possible, timers, and what becomes of those
 * that still wait when their room goes. */
#include "script_world.h"

static void waiting_inside_of_anything(void **state)
{
    (void)state;
    struct world *world = world_begin();
    world_copy(world, "parties/waiting.lua", "parties/main.lua");
    project_files_write(&world->files, "lib/waits_in_a_module.lua", "sleep(0) return 1");
    world_open(world);
    world_run_tests(world);
    world_quiet(world);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_inside_of_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
