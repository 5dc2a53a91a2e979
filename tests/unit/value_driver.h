/* Tests of values as bytes: VMs without rooms, and what is said of values that can't be stored. */
#pragma once

#include "script_driver.h"
#include "value_check.h"

#include "script/value.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct value_terms terms = {.refusal = "can't be stored",
                                         .name = "value",
                                         .limit = "storageValue",
                                         .limit_bytes = 2u << 20};

static struct script_driver driver;

static int set_up(void **state)
{
    (void)state;
    script_driver_init(&driver, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    script_driver_fini(&driver);
    return 0;
}

/* Runs a function in a VM of its own. */
static inline void run(lua_CFunction function, void *data)
{
    assert_int_equal(script_driver_run(&driver, function, data), 0);
}

/* Pushes what the chunk returns. */
static inline void push(lua_State *L, const char *chunk)
{
    if (luaL_loadstring(L, chunk) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK)
        fail_msg("%s: %s", chunk, lua_tostring(L, -1));
}
