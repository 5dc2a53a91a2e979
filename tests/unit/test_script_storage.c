/* party.storage in rooms with their real scripts, on real files. */
#include "script_world.h"

static void storage_is_checked(void **state)
{
    (void)state;
    struct world *world = world_of_file("storage.lua");
    world_open_store(world);
    world_run_tests(world);
    world_quiet(world);
    world->said.len = 0;
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storage_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
