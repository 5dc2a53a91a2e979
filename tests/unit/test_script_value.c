/* Values as bytes: what is written, byte by byte, and that it comes back as it went in. What is refused is in
 * test_script_value_refused.c, what happens to damaged bytes in test_script_value_damage.c. */
#include "value_driver.h"

#include <limits.h>
#include <stdio.h>

static void hex(struct span bytes, char *out, size_t size)
{
    size_t len = 0;
    *out = '\0';
    for (size_t i = 0; i < bytes.len && len + 4 < size; i++)
        len += (size_t)snprintf(out + len, size - len, i ? " %02x" : "%02x", (unsigned char)bytes.ptr[i]);
}

/* Writes the value at the top, reads it, and writes that again; the bytes, which the VM keeps. */
static struct span there_and_back(lua_State *L, const char *name)
{
    int top = lua_gettop(L);
    struct span bytes = value_encode(L, -1, &terms);

    assert_int_equal(lua_gettop(L), top);
    lua_pushlstring(L, bytes.ptr, bytes.len);
    bytes.ptr = lua_tostring(L, -1);
    assert_int_equal(value_decode(L, bytes), 0);
    assert_int_equal(lua_gettop(L), top + 2);
    if (!value_same(L, top, top + 2))
        fail_msg("%s: came back as another value", name);
    assert_true(span_equal(value_encode(L, top, &terms), bytes));
    lua_settop(L, top + 2);
    assert_int_equal(value_encode(L, -1, &terms).len, bytes.len);
    return bytes;
}

/* ---- the bytes ---- */

struct row {
    const char *chunk, *bytes; /* the version ahead of them is left out */
};

static const struct row rows[] = {
    {"false", "a0"},
    {"true", "a1"},
    {"json.null", "a2"},
    {"0", "00"},
    {"-1", "01"},
    {"1", "02"},
    {"31", "3e"},
    {"-32", "3f"},
    {"32", "a3 40"},
    {"-33", "a3 41"},
    {"63", "a3 7e"},
    {"64", "a3 80 01"},
    {"-64", "a3 7f"},
    {"-65", "a3 81 01"},
    {"1 << 31", "a3 80 80 80 80 10"},
    {"math.maxinteger", "a3 fe ff ff ff ff ff ff ff ff 01"},
    {"math.mininteger", "a3 ff ff ff ff ff ff ff ff ff 01"},
    {"1.5", "a4 00 00 00 00 00 00 f8 3f"},
    {"1.0", "a4 00 00 00 00 00 00 f0 3f"},
    {"0.0", "a4 00 00 00 00 00 00 00 00"},
    {"-0.0", "a4 00 00 00 00 00 00 00 80"},
    {"math.huge", "a4 00 00 00 00 00 00 f0 7f"},
    {"-math.huge", "a4 00 00 00 00 00 00 f0 ff"},
    {"5e-324", "a4 01 00 00 00 00 00 00 00"},
    {"1.7976931348623157e308", "a4 ff ff ff ff ff ff ef 7f"},
    {"(string.unpack('<d', '\\1\\2\\3\\4\\5\\6\\xf8\\x7f'))", "a4 01 02 03 04 05 06 f8 7f"},
    {"(string.unpack('<d', '\\1\\0\\0\\0\\0\\0\\xf8\\xff'))", "a4 01 00 00 00 00 00 f8 ff"},
    {"''", "40"},
    {"'a'", "41 61"},
    {"'\\0\\xff\\n'", "43 00 ff 0a"},
    {"{}", "80"},
    {"{ 1, 2, 3 }", "83 02 04 06"},
    {"{ {}, { {} } }", "82 80 81 80"},
    {"{ a = 1 }", "91 41 61 02"},
    {"{ 1, a = 2 }", "a6 01 01 02 41 61 04"},
    {"{ [3] = 1 }", "91 06 02"},
    {"{ 1, nil, 3 }", "a6 01 01 02 06 06"},
    {"{ nil, 2 }", "91 04 04"},
    {"{ [0] = 1 }", "91 00 02"},
    {"{ [1.5] = true }", "91 a4 00 00 00 00 00 00 f8 3f a1"},
    {"{ [2.0] = true }", "91 04 a1"},
    {"{ [false] = true }", "91 a0 a1"},
    {"{ ['1'] = '' }", "91 41 31 40"},
    {"{ json.null, false }", "82 a2 a0"},
    {"json.array({})", "a8 80"},
    {"json.object({})", "a9 80"},
    {"json.object({ 1 })", "a9 81 02"},
    {"json.decode('{\"a\":{}}')", "91 41 61 a9 80"},
    {"{ json.array({ json.object({}) }) }", "81 a8 81 a9 80"},
};

static int check_row(lua_State *L)
{
    const struct row *row = lua_touserdata(L, 1);
    char chunk[256], bytes[256];

    snprintf(chunk, sizeof chunk, "return %s", row->chunk);
    push(L, chunk);
    hex(there_and_back(L, row->chunk), bytes, sizeof bytes);
    assert_memory_equal(bytes, "01 ", 3);
    if (strcmp(bytes + 3, row->bytes) != 0)
        fail_msg("%s: %s", row->chunk, bytes);
    return 0;
}

static void each_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        run(check_row, (void *)&rows[i]);
}

/* The first bytes where the number of something passes a border, and how many there are. */
struct border {
    const char *chunk;
    lua_Integer n;
    const char *first;
    size_t len;
};

#define ELEMENTS "local t = {} for i = 1, ... do t[i] = 0 end return t"
#define PAIRS "local t = {} for i = 1, ... do t[-i] = false end return t"
#define STRING "return ('x'):rep((...))"

static const struct border borders[] = {
    {STRING, 63, "01 7f 78", 1 + 1 + 63},
    {STRING, 64, "01 a5 40 78", 1 + 2 + 64},
    {STRING, 127, "01 a5 7f 78", 1 + 2 + 127},
    {STRING, 128, "01 a5 80 01 78", 1 + 3 + 128},
    {STRING, 16384, "01 a5 80 80 01 78", 1 + 4 + 16384},
    {ELEMENTS, 15, "01 8f 00", 1 + 1 + 15},
    {ELEMENTS, 16, "01 a6 10 00 00", 1 + 3 + 16},
    {ELEMENTS, 255, "01 a6 ff 00 00", 1 + 3 + 255},
    {ELEMENTS, 256, "01 a7 00 01 00 00 00 00 00 00 00", 1 + 9 + 256},
    {ELEMENTS, 70000, "01 a7 70 11 01 00 00 00 00 00 00", 1 + 9 + 70000},
    {PAIRS, 15, "01 9f", 1 + 1 + 2 * 15},
    {PAIRS, 16, "01 a6 00 10", 1 + 3 + 2 * 16},
    {PAIRS, 32, "01 a6 00 20", 1 + 3 + 2 * 32},
    {PAIRS, 256, "01 a7 00 00 00 00 00 01 00 00", 0},
    {"local t = {} for i = 1, ... do t[i] = t[i - 1] and { t[i - 1] } or {} t[i - 1] = false end return t",
     40, "01 a6 28 01", 0},
    {"local t = { n = 0 } for i = 1, ... do t[i] = i t['k' .. i] = -i end return t", 300, "01 a7", 0},
    {"local t = {} for i = ..., 1, -1 do t[i] = i end return t", 50, "01 a6", 0},
    {"local t = {} for i = 1, ... do t[i * i] = i t[i + 0.5] = i end return t", 500, "01 a7", 0},
    {"local t = {} for i = 1, ... do t = { t } end return t", VALUE_DEPTH_MAX - 1, "01 81 81",
     1 + VALUE_DEPTH_MAX},
    {"local t = {} for i = 1, ... do t = { a = t } end return t", VALUE_DEPTH_MAX - 1, "01 91 41 61 91", 0},
};

static int check_border(lua_State *L)
{
    const struct border *border = lua_touserdata(L, 1);
    char bytes[64];

    assert_int_equal(luaL_loadstring(L, border->chunk), LUA_OK);
    lua_pushinteger(L, border->n);
    lua_call(L, 1, 1);
    struct span span = there_and_back(L, border->chunk);
    hex(span, bytes, sizeof bytes);
    if (strncmp(bytes, border->first, strlen(border->first)) != 0 || (border->len && border->len != span.len))
        fail_msg("%s with %d: %zu bytes, %s", border->chunk, (int)border->n, span.len, bytes);
    return 0;
}

static void borders_of_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
        run(check_border, (void *)&borders[i]);
}

/* Each power of two and what lies beside it, both signs. */
static int check_integers(lua_State *L)
{
    for (int i = 0; i < 64; i++) {
        for (int beside = -2; beside <= 2; beside++) {
            lua_settop(L, 0);
            lua_pushinteger(L, (lua_Integer)(((uint64_t)1 << i) + (uint64_t)beside));
            there_and_back(L, "integer");
            lua_settop(L, 0);
            lua_pushinteger(L, (lua_Integer)(0 - ((uint64_t)1 << i) + (uint64_t)beside));
            there_and_back(L, "integer");
        }
    }
    return 0;
}

static void integers(void **state)
{
    (void)state;
    run(check_integers, NULL);
}

/* ---- tables ---- */

/* A table in two places comes back as two; a kept self without its metatable; the same bytes as long as nothing
 * changes, whatever is collected meanwhile. */
static int check_tables(lua_State *L)
{
    struct value_terms bare = terms;
    bare.bare = true;

    push(L, "local t = { 1 } return { t, t, t }");
    struct span bytes = there_and_back(L, "shared");
    assert_int_equal(bytes.len, 1 + 1 + 3 * 2);
    assert_int_equal(value_decode(L, bytes), 0);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    assert_false(lua_rawequal(L, -1, -2));

    push(L, "return setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error })");
    int self = lua_gettop(L);
    bytes = value_encode(L, self, &bare);
    lua_pushlstring(L, bytes.ptr, bytes.len);
    assert_string_equal(lua_tostring(L, -1), "\001\x91\x41\x61\x02");

    push(L, "local t = {} for i = 1, 200 do t['k' .. i] = { i } t[i * 3] = i end\n"
            "for i = 1, 200, 2 do t['k' .. i] = nil end return t");
    int table = lua_gettop(L);
    bytes = value_encode(L, table, &terms);
    lua_pushlstring(L, bytes.ptr, bytes.len);
    lua_gc(L, LUA_GCCOLLECT);
    lua_pushliteral(L, "k2");
    lua_rawget(L, table);
    lua_setfield(L, table, "k2");
    bytes = value_encode(L, table, &terms);
    assert_true(span_equal(bytes, (struct span){lua_tostring(L, -1), lua_rawlen(L, -1)}));
    return 0;
}

static void tables(void **state)
{
    (void)state;
    run(check_tables, NULL);
}

/* ---- what the thread keeps ---- */

static int check_buffer(lua_State *L)
{
    const struct buf *kept = &driver.script.encoded;

    push(L, "return ('x'):rep(1 << 20)");
    value_encode(L, -1, &terms);
    const uint8_t *data = kept->data;
    assert_true(kept->cap > 1 << 20);
    value_encode(L, -1, &terms);
    assert_ptr_equal(kept->data, data); /* large ones in a row */
    lua_pushinteger(L, 1);
    value_encode(L, -1, &terms);
    value_encode(L, -1, &terms);
    assert_true(kept->cap <= 1024);
    return 0;
}

static void the_buffer_shrinks(void **state)
{
    (void)state;
    run(check_buffer, NULL);
}

/* ---- time ---- */

/* So many values that it would not end, under no limit that would end it. */
static int write_forever(lua_State *L)
{
    const struct value_terms wide = {.refusal = "", .name = "", .limit_bytes = INT_MAX};

    push(L, "local t = {} for i = 1, 100 do t = { t, t } end return t");
    value_encode(L, -1, &wide);
    return 0;
}

static void note_result(struct task *task, enum call_result result)
{
    *(enum call_result *)task->data = result;
}

static void it_ends_in_time(void **state)
{
    (void)state;
    enum call_result result = CALL_DONE;

    driver.project->config.limits.handler_time = 20;
    struct vm *vm = vm_new(&driver.script, &driver.party, NULL);
    assert_non_null(vm);
    call_start(vm, "test", write_forever, NULL, &result, note_result);
    assert_int_equal(result, CALL_TIME);
    vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(borders_of_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(integers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_buffer_shrinks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_ends_in_time, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
