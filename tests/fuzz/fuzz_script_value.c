/* Any bytes as a value in a real VM: they are a value or none, and take no more memory than they are worth. What
 * they are must be written again, and come back as the same. */
#include "../unit/script_driver.h"
#include "../unit/value_check.h"

#include "script/value.h"
#include "script/value_json.h"

#include <errno.h>
#include <limits.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int operators_rc;

static int round_trip(lua_State *L)
{
    static const struct value_terms terms = {.refusal = "", .name = "", .limit_bytes = INT_MAX};
    const struct span *input = lua_touserdata(L, 1);
    struct vm *vm = vm_of(L);
    size_t limit = vm->limit;

    lua_settop(L, 0);
    vm->limit = vm->used + 16 * 1024 + input->len * 128;
    int rc = value_decode(L, *input);
    vm->limit = limit;
    if (rc != operators_rc) /* what a VM can read, operators' commands can, and nothing else */
        abort();
    if (rc != 0 && (rc != -EINVAL || lua_gettop(L) != 0))
        abort();
    if (rc != 0)
        return 0;
    struct span bytes = value_encode(L, 1, &terms);
    if (bytes.len > 2 * input->len || lua_gettop(L) != 1)
        abort();
    lua_pushlstring(L, bytes.ptr, bytes.len);
    bytes.ptr = lua_tostring(L, 2);
    if (!span_equal(value_encode(L, 1, &terms), bytes) || value_decode(L, bytes) != 0 || !value_same(L, 1, 3))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct script_driver driver;
    struct span input = {(const char *)data, size};
    struct buf json = {0};
    bool exact;

    operators_rc = value_to_json(input, &json, &exact);
    buf_fini(&json);
    if (!driver.script.project)
        script_driver_init(&driver, NULL);
    /* A VM for each input: one that stays would make libFuzzer look for leaks after every one. */
    if (script_driver_run(&driver, round_trip, &input) != 0)
        abort();
    return 0;
}
