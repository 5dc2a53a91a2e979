/* Values whose bytes are damaged, and VMs without memory: whatever happens, it is a value or a clean failure, and
 * no more memory is taken than the bytes are worth. */
#include "value_driver.h"

#include <errno.h>

/* A bit of everything. */
static const char sample[] =
    "local wide = {} for i = 1, 20 do wide[i] = i end\n"
    "local keys = {} for i = 1, 17 do keys['key' .. i] = -i * 1000 end\n"
    "return { 1, -40000, 1 << 62, 0.5, 'short', ('long'):rep(20), true, json.null, {}, json.array({ 1 }),\n"
    "  json.object({}), wide, keys, [1.25] = 'float', [false] = { { { {} } } }, [-7] = 'integer', a = 'a' }";

/* Pushes a copy of the bytes of the value at the top, which the VM keeps. */
static struct span push_bytes(lua_State *L)
{
    struct span bytes = value_encode(L, -1, &terms);
    lua_pushlstring(L, bytes.ptr, bytes.len);
    bytes.ptr = lua_tostring(L, -1);
    return bytes;
}

/* ---- reading with a memory that is just enough ---- */

struct attempt {
    struct span bytes;
    int result;
};

static int decode(lua_State *L)
{
    struct attempt *attempt = lua_touserdata(L, 1);
    lua_settop(L, 0);
    attempt->result = value_decode(L, attempt->bytes);
    assert_int_equal(lua_gettop(L), attempt->result == 0 ? 1 : 0);
    return lua_gettop(L);
}

/* Reads a copy of exactly that length, in a VM that has no more memory than the largest value of it would need:
 * 16 bytes for an element, 40 for a pair, whose number is rounded up to a power of two; and a table's own 56,
 * a string's 24, for each byte at worst. Pushes the value, if it is one. */
static int read_within_bound(lua_State *L, const uint8_t *data, size_t len)
{
    struct vm *vm = vm_of(L);
    struct attempt attempt = {.result = 1};
    size_t limit = vm->limit;
    char *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    memcpy(copy, data, len);
    attempt.bytes = (struct span){copy, len};
    lua_pushcfunction(L, decode);
    lua_pushlightuserdata(L, &attempt);
    lua_gc(L, LUA_GCCOLLECT);
    vm->limit = vm->used + 8 * 1024 + len * 128;
    int status = lua_pcall(L, 1, LUA_MULTRET, 0);
    vm->limit = limit;
    free(copy);
    if (status != LUA_OK)
        fail_msg("%zu bytes: %s", len, lua_tostring(L, -1));
    assert_true(attempt.result == 0 || attempt.result == -EINVAL);
    return attempt.result;
}

/* ---- damage ---- */

static int check_truncations(lua_State *L)
{
    push(L, sample);
    struct span bytes = push_bytes(L);

    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(read_within_bound(L, (const uint8_t *)bytes.ptr, len), -EINVAL);
    int top = lua_gettop(L);
    assert_int_equal(read_within_bound(L, (const uint8_t *)bytes.ptr, bytes.len), 0);
    assert_true(value_same(L, top - 1, top + 1));
    return 0;
}

static void each_truncation(void **state)
{
    (void)state;
    run(check_truncations, NULL);
}

/* What is read of damaged bytes is a value, which can be written and comes back. */
static void check_again(lua_State *L)
{
    int top = lua_gettop(L);
    struct span bytes = push_bytes(L);

    assert_int_equal(value_decode(L, bytes), 0);
    assert_true(value_same(L, top, top + 2));
    lua_settop(L, top);
}

#define DAMAGES (8u + 2u + 16u)

/* Each bit, each neighbour, and the tags that are no ranges. */
static uint8_t damage(uint8_t right, unsigned kind)
{
    unsigned wrong = kind < 8    ? right ^ 1u << kind
                     : kind < 10 ? right + (kind == 8 ? 1u : 0xffu)
                                 : VALUE_FALSE + kind - 10;
    return (uint8_t)wrong;
}

static int check_corruptions(lua_State *L)
{
    push(L, sample);
    struct span bytes = push_bytes(L);
    uint8_t *damaged = lua_newuserdatauv(L, bytes.len + 1, 0);
    size_t n_good = 0, n_bad = 0;
    int top = lua_gettop(L);

    memcpy(damaged, bytes.ptr, bytes.len);
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t right = damaged[i];
        for (unsigned kind = 0; kind < DAMAGES; kind++) {
            damaged[i] = damage(right, kind);
            if (read_within_bound(L, damaged, bytes.len) == 0) {
                n_good++;
                if (kind % 4 == 0)
                    check_again(L);
            } else {
                n_bad++;
            }
            lua_settop(L, top);
        }
        damaged[i] = right;
    }
    damaged[bytes.len] = 0;
    assert_int_equal(read_within_bound(L, damaged, bytes.len + 1), -EINVAL);
    assert_true(n_good > 100 && n_bad > 100);
    return 0;
}

static void each_byte_corrupted(void **state)
{
    (void)state;
    run(check_corruptions, NULL);
}

/* ---- bytes that were never written ---- */

struct crafted {
    const char *bytes;
    size_t len;
    int result;
};

#define CRAFTED(literal, result)                                                                             \
    {                                                                                                        \
        literal, sizeof(literal) - 1, result                                                                 \
    }
#define NINE "\xff\xff\xff\xff\xff\xff\xff\xff\xff"

static const struct crafted crafted[] = {
    CRAFTED("", -EINVAL),
    CRAFTED("\0", -EINVAL),
    CRAFTED("\1", -EINVAL),
    CRAFTED("\0\2", -EINVAL),
    CRAFTED("\2\2", -EINVAL), /* a later version */
    CRAFTED("\1\2\2", -EINVAL),
    CRAFTED("\1\xaa", -EINVAL),
    CRAFTED("\1\xff", -EINVAL),
    /* varints: padded, too long, too large, cut */
    CRAFTED("\1\xa3\x80\x80\0", 0),
    CRAFTED("\1\xa3" NINE "\1", 0),
    CRAFTED("\1\xa3" NINE "\2", -EINVAL),
    CRAFTED("\1\xa3" NINE "\xff\1", -EINVAL),
    CRAFTED("\1\xa3" NINE, -EINVAL),
    CRAFTED("\1\xa3", -EINVAL),
    /* strings */
    CRAFTED("\1\xa5\1x", 0),
    CRAFTED("\1\xa5\2x", -EINVAL),
    CRAFTED("\1\xa5" NINE "\1x", -EINVAL),
    CRAFTED("\1\xa5\xff\xff\xff\xff\x07x", -EINVAL),
    /* tables of more than there is */
    CRAFTED("\1\x90", 0),
    CRAFTED("\1\x8f", -EINVAL),
    CRAFTED("\1\xa6\xff\xff", -EINVAL),
    CRAFTED("\1\xa6\xff", -EINVAL),
    CRAFTED("\1\xa7\xff\xff\xff\xff\xff\xff\xff\xff", -EINVAL),
    CRAFTED("\1\xa7\xff\xff\xff\x7f\0\0\0\0\0", -EINVAL),
    CRAFTED("\1\xa7\0\0\0\0\xff\xff\xff\x7f\0\0", -EINVAL),
    CRAFTED("\1\xa7\1\0\0\0\1\0\0\0\0\0\0", 0),
    CRAFTED("\1\xa7\1\0\0", -EINVAL),
    CRAFTED("\1\x82\xa6\4\0\0\0\0\0\0", 0),
    CRAFTED("\1\x82\xa6\5\0\0\0\0\0\0", -EINVAL), /* its last element was promised to the outer one */
    /* keys: the last of two counts; none that Lua does not take */
    CRAFTED("\1\x92\x41\x61\2\x41\x61\4", 0),
    CRAFTED("\1\xa6\1\1\2\2\4", 0),
    CRAFTED("\1\x91\xa4\0\0\0\0\0\0\xf0\x3f\0", 0), /* 1.0 */
    CRAFTED("\1\x91\xa4\0\0\0\0\0\0\xf8\x7f\0", -EINVAL),
    CRAFTED("\1\x91\xa4\1\0\0\0\0\0\xf0\xff\0", -EINVAL),
    CRAFTED("\1\x91\xa2\0", -EINVAL),
    CRAFTED("\1\x91\x80\0", -EINVAL),
    CRAFTED("\1\x91\xa8\x80\0", -EINVAL),
    /* marks */
    CRAFTED("\1\xa8\x90", 0),
    CRAFTED("\1\xa9\xa6\0\0", 0),
    CRAFTED("\1\xa8", -EINVAL),
    CRAFTED("\1\xa8\0", -EINVAL),
    CRAFTED("\1\xa8\x41\x61", -EINVAL),
    CRAFTED("\1\xa8\xa2", -EINVAL),
    CRAFTED("\1\xa8\xa9\x80", -EINVAL),
    CRAFTED("\1\xa8\xff", -EINVAL),
};

static int check_crafted(lua_State *L)
{
    for (size_t i = 0; i < sizeof crafted / sizeof *crafted; i++) {
        int top = lua_gettop(L);
        int result = read_within_bound(L, (const uint8_t *)crafted[i].bytes, crafted[i].len);
        if (result != crafted[i].result)
            fail_msg("row %zu: %d", i, result);
        if (result == 0)
            check_again(L);
        lua_settop(L, top);
    }
    return 0;
}

static void crafted_bytes(void **state)
{
    (void)state;
    run(check_crafted, NULL);
}

/* Tables in tables, each for all that is left; and too deep ones, of both kinds. */
static int check_nests(lua_State *L)
{
    static const struct {
        const char *unit;
        size_t len;
    } nests[] = {{"\xa6\xff\xff", 3},
                 {"\xa7\x00\x08\0\0\0\0\0\0", 9},
                 {"\xa7\0\0\0\0\0\2\0\0", 9},
                 {"\x81", 1}};
    size_t size = 4096;
    uint8_t *data = lua_newuserdatauv(L, size, 0);

    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
        memset(data, 0, size);
        data[0] = VALUE_VERSION;
        for (size_t at = 1; at + nests[i].len < size / 2; at += nests[i].len)
            memcpy(data + at, nests[i].unit, nests[i].len);
        assert_int_equal(read_within_bound(L, data, size), -EINVAL);
    }
    memset(data + 1, 0x81, VALUE_DEPTH_MAX + 1);
    data[VALUE_DEPTH_MAX] = 0x80;
    assert_int_equal(read_within_bound(L, data, 1 + VALUE_DEPTH_MAX), 0);
    check_again(L);
    data[VALUE_DEPTH_MAX] = 0x81;
    data[VALUE_DEPTH_MAX + 1] = 0x80;
    assert_int_equal(read_within_bound(L, data, 2 + VALUE_DEPTH_MAX), -EINVAL);
    return 0;
}

static void tables_for_all_that_is_left(void **state)
{
    (void)state;
    run(check_nests, NULL);
}

/* ---- no memory ---- */

static struct span stored; /* the sample, from outside of the VM */

static int store_sample(lua_State *L)
{
    push(L, sample);
    struct span bytes = value_encode(L, -1, &terms);
    char *copy = malloc(bytes.len);
    assert_non_null(copy);
    memcpy(copy, bytes.ptr, bytes.len);
    stored = (struct span){copy, bytes.len};
    return 0;
}

static int decode_stored(lua_State *L)
{
    assert_int_equal(value_decode(L, stored), 0);
    return 0;
}

/* Deep, so that the stack has to grow. */
static int encode_deep(lua_State *L)
{
    lua_settop(L, 0);
    for (int i = 0; i < VALUE_DEPTH_MAX; i++) {
        lua_createtable(L, 1, 0);
        if (i > 0) {
            lua_insert(L, 1);
            lua_rawseti(L, 1, 1);
        }
    }
    value_encode(L, 1, &terms);
    return 0;
}

/* Each allocation in turn fails, and the same VM can do it afterwards. Returns how many there were. */
static uint64_t fail_each(lua_CFunction function)
{
    uint64_t n = 0;

    for (uint64_t k = 1;; k++) {
        struct vm *vm = vm_new(&driver.script, &driver.party, NULL);
        assert_non_null(vm);
        vm->fail_at = vm->n_allocations + k;
        int rc = call_protected(vm, function, NULL);
        bool failed = vm->n_allocations >= vm->fail_at;
        assert_true(rc == 0 || (failed && (rc == -ENOMEM || rc == -EINVAL)));
        n += rc != 0;
        vm->fail_at = 0;
        assert_int_equal(call_protected(vm, function, NULL), 0);
        vm_free(vm);
        if (!failed)
            return n;
    }
}

static void without_memory(void **state)
{
    (void)state;
    run(store_sample, NULL);
    assert_true(fail_each(decode_stored) > 20);
    assert_true(fail_each(encode_deep) > 2 * VALUE_DEPTH_MAX / 2);
    free((char *)stored.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_truncation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_byte_corrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(crafted_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tables_for_all_that_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
