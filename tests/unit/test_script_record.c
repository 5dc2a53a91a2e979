/* Stored values as JSON without a VM, and lines of an export: what is written comes back byte for byte, and what is
 * read is what a VM would have stored. */
#include "value_driver.h"

#include "script/record.h"
#include "script/value_json.h"

#include <errno.h>
#include <stdio.h>

static struct span span_in(const struct buf *buf)
{
    return (struct span){buf->data ? (const char *)buf->data : "", buf->len};
}

static void assert_text(struct span text, const char *expected)
{
    if (!span_equal(text, span_of(expected)))
        fail_msg("%.*s, not %s", (int)text.len, text.ptr, expected);
}

/* ---- values ---- */

struct row {
    const char *chunk, *json;
    bool exact;
};

static const struct row rows[] = {
    {"true", "true", true},
    {"false", "false", true},
    {"json.null", "null", true},
    {"0", "0", true},
    {"-33", "-33", true},
    {"math.maxinteger", "9223372036854775807", true},
    {"math.mininteger", "-9223372036854775808", true},
    {"1.0", "1.0", true},
    {"-0.0", "-0.0", true},
    {"0.1", "0.1", true},
    {"5e-324", "5e-324", true},
    {"2.0^63", "9223372036854776000.0", true},
    {"0/0", "null", false},
    {"-math.huge", "null", false},
    {"'a\\0\\n\"\\\\\\127'", "\"a\\u0000\\u000a\\\"\\\\\\u007f\"", true},
    {"'é😀'", "\"é😀\"", true},
    {"'é\\xff'", "\"\\u00c3\\u00a9\\u00ff\"", false},
    {"{}", "[]", true},
    {"json.object({})", "{}", true},
    {"json.array({})", "[]", false},
    {"{ 1, json.null, { 2 } }", "[1,null,[2]]", true},
    {"{ a = 1 }", "{\"a\":1}", true},
    {"{ a = { b = {} } }", "{\"a\":{\"b\":[]}}", true},
    {"json.object({ a = 1 })", "{\"a\":1}", false},
    {"json.object({ 'x' })", "{\"1\":\"x\"}", false},
    {"{ 5, x = 1 }", "{\"1\":5,\"x\":1}", false},
    {"{ [7] = 1 }", "{\"7\":1}", false},
    {"{ ['7'] = 1 }", "{\"7\":1}", true},
    {"{ [1.5] = 1 }", "{\"1.5\":1}", false},
    {"{ [true] = 1 }", "{\"true\":1}", false},
    {"{ [math.huge] = 1 }", "{\"Infinity\":1}", false},
};

static int show_all(lua_State *L)
{
    (void)lua_touserdata(L, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf json = {0};
        char chunk[128];
        bool exact = !rows[i].exact;

        snprintf(chunk, sizeof chunk, "return %s", rows[i].chunk);
        push(L, chunk);
        assert_int_equal(value_to_json(value_encode(L, -1, &terms), &json, &exact), 0);
        assert_text(span_in(&json), rows[i].json);
        if (exact != rows[i].exact)
            fail_msg("%s: %s", rows[i].chunk, exact ? "exact" : "not exact");
        buf_fini(&json);
        lua_pop(L, 1);
    }
    return 0;
}

static void values_are_shown(void **state)
{
    (void)state;
    run(show_all, NULL);
}

/* What a VM makes of the same text. */
static int read_all(lua_State *L)
{
    static const char *const texts[] = {
        "null",
        "[]",
        "{}",
        "[[],{}]",
        "{\"a\":null,\"b\":[null,1,2.0,-3,1e2]}",
        "1e308",
        "9223372036854775807",
        "-9223372036854775808",
        "\"\\u0000\\ud83d\\ude00\"",
        "[1,2,3]",
        "{\"\":{\"1\":1,\"2\":{}}}",
        " [ true , false ] ",
    };

    (void)lua_touserdata(L, 1);
    push(L, "return function(text) return json.decode(text, { null = json.null }) end");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf bytes = {0};
        const char *why = NULL;
        int top = lua_gettop(L);

        assert_int_equal(value_from_json(span_of(texts[i]), &bytes, &why), 0);
        assert_int_equal(value_decode(L, span_in(&bytes)), 0);
        lua_pushvalue(L, top);
        lua_pushstring(L, texts[i]);
        if (lua_pcall(L, 1, 1, 0) != LUA_OK)
            fail_msg("%s: %s", texts[i], lua_tostring(L, -1));
        if (!value_same(L, top + 1, top + 2))
            fail_msg("%s is another value than in a VM", texts[i]);
        buf_fini(&bytes);
        lua_settop(L, top);
    }
    return 0;
}

static void texts_are_what_a_vm_reads(void **state)
{
    (void)state;
    run(read_all, NULL);
}

static void wrong_texts_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "x",
                                        "[1,]",
                                        "{a:1}",
                                        "NaN",
                                        "\"\xff\"",
                                        "1 2",
                                        "\"\\ud800\"",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "1e999"};
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf bytes = {0};
        const char *why = NULL;
        int rc = value_from_json(span_of(texts[i]), &bytes, &why);
        assert_int_equal(rc, strchr(texts[i], '9') ? -ERANGE : -EINVAL);
        assert_non_null(why);
        assert_int_equal(bytes.len, 0);
        buf_fini(&bytes);
    }
}

static void depth_has_a_limit_both_ways(void **state)
{
    char text[2 * (VALUE_DEPTH_MAX + 1) + 1];
    struct buf bytes = {0}, json = {0};
    const char *why = NULL;
    bool exact = false;
    (void)state;

    for (int depth = VALUE_DEPTH_MAX; depth <= VALUE_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        int rc = value_from_json((struct span){text, 2 * (size_t)depth}, &bytes, &why);
        assert_int_equal(rc, depth == VALUE_DEPTH_MAX ? 0 : -ERANGE);
        if (rc == 0)
            assert_int_equal(value_to_json(span_in(&bytes), &json, &exact), 0);
    }
    assert_true(exact);
    assert_int_equal(json.len, 2 * VALUE_DEPTH_MAX);
    char deeper[VALUE_DEPTH_MAX + 3] = {VALUE_VERSION};
    memset(deeper + 1, VALUE_ELEMENTS | 1, VALUE_DEPTH_MAX + 1);
    assert_int_equal(value_to_json((struct span){deeper, sizeof deeper}, &json, &exact), -EINVAL);
    buf_fini(&bytes);
    buf_fini(&json);
}

static void damaged_bytes_are_refused(void **state)
{
    static const struct span damaged[] = {
        {"", 0},
        {"\x01", 1},
        {"\x02\x00", 2},
        {"\x01\x00\x00", 3},
        {"\x01\x41", 2},
        {"\x01\xa3\x80", 3},
        {"\x01\xa3\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 12},
        {"\x01\xa4\x00", 3},
        {"\x01\xa5\x05x", 4},
        {"\x01\x81", 2},
        {"\x01\x91\xa2\x00", 4},                                  /* null is no key */
        {"\x01\x91\xa4\x00\x00\x00\x00\x00\x00\xf8\x7f\x00", 12}, /* nor is NaN */
        {"\x01\xa7\xff\xff\xff\xff\xff\xff\xff\xff", 10},
        {"\x01\xa8", 2},
        {"\x01\xa8\xa8\x80", 4},
        {"\x01\xa9\x41x", 4},
        {"\x01\xff", 2},
    };
    struct buf json = {0};
    bool exact;
    (void)state;

    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        if (value_to_json(damaged[i], &json, &exact) != -EINVAL)
            fail_msg("%zu: %.*s", i, (int)json.len, json.len ? (char *)json.data : "");
        assert_int_equal(json.len, 0);
    }
    buf_fini(&json);
}

/* ---- lines ---- */

static void assert_line(const struct record *record, const char *expected)
{
    struct buf line = {0}, error = {0};
    struct record back;

    assert_int_equal(record_write(&line, record), 0);
    assert_text(span_in(&line), expected);
    line.len--; /* its end */
    if (record_read(&back, span_in(&line), &error) != 0)
        fail_msg("%s: %.*s", expected, (int)error.len, (char *)error.data);
    assert_int_equal(back.kind, record->kind);
    assert_true(span_equal(back.party, record->party) && span_equal(back.room, record->room));
    assert_true(span_equal(back.key, record->key) && span_equal(back.value, record->value));
    assert_true(back.alarm == record->alarm && back.attempt == record->attempt);
    record_fini(&back);
    buf_fini(&line);
}

static void lines_come_back(void **state)
{
    (void)state;
    assert_line(&(struct record){.party = SPAN("p"),
                                 .room = SPAN("r"),
                                 .kind = RECORD_KEY,
                                 .key = SPAN("k\0\"é"),
                                 .value = SPAN("\x01\x0e")},
                "{\"party\":\"p\",\"room\":\"r\",\"key\":\"k\\u0000\\\"é\",\"value\":7}\n");
    for (size_t len = 1; len <= 3; len++) { /* each padding */
        static const char *const keys[] = {"/w==", "//4=", "//79"};
        char expected[128];
        struct record record = {.party = SPAN("p"),
                                .room = SPAN("\x80"),
                                .kind = RECORD_KEY,
                                .key = {"\xff\xfe\xfd", len},
                                .value = SPAN("\x01\xa8\x80")};
        snprintf(expected, sizeof expected,
                 "{\"party\":\"p\",\"roomBytes\":\"gA==\",\"keyBytes\":\"%s\",\"valueBytes\":\"AaiA\"}\n",
                 keys[len - 1]);
        assert_line(&record, expected);
    }
    assert_line(&(struct record){.party = SPAN("p"),
                                 .room = SPAN("r"),
                                 .kind = RECORD_ALARM,
                                 .alarm = 4102444800000,
                                 .attempt = 3},
                "{\"party\":\"p\",\"room\":\"r\",\"alarm\":4102444800000,\"attempt\":3}\n");
    assert_line(&(struct record){.party = SPAN("p"),
                                 .room = SPAN("r"),
                                 .kind = RECORD_SELF,
                                 .value = SPAN("\x01\x91\x41x\x02")},
                "{\"party\":\"p\",\"room\":\"r\",\"self\":{\"x\":1}}\n");
}

static void a_self_is_any_table(void **state)
{
    const struct {
        struct span value;
        const char *field;
    } selves[] = {
        {SPAN("\x01\x80"), "\"self\":[]"},
        {SPAN("\x01\x82\x02\x04"), "\"self\":[1,2]"},
        {SPAN("\x01\xa9\x80"), "\"self\":{}"},
        {SPAN("\x01\xa8\x80"), "\"selfBytes\":\"AaiA\""},
        {SPAN("\x01\xa6\x01\x01\x02\x41x\x02"), "\"selfBytes\":\"AaYBAQJBeAI=\""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof selves / sizeof *selves; i++) {
        char expected[128];
        snprintf(expected, sizeof expected, "{\"party\":\"p\",\"room\":\"r\",%s}\n", selves[i].field);
        assert_line(&(struct record){.party = SPAN("p"),
                                     .room = SPAN("r"),
                                     .kind = RECORD_SELF,
                                     .value = selves[i].value},
                    expected);
    }
}

static void a_damaged_value_is_no_line(void **state)
{
    struct buf line = {0};
    struct record record = {.party = SPAN("p"), .room = SPAN("r"), .key = SPAN("k"), .value = SPAN("\x01")};
    (void)state;

    assert_int_equal(record_write(&line, &record), -EINVAL);
    assert_int_equal(line.len, 0);
    buf_fini(&line);
}

static void wrong_lines_are_explained(void **state)
{
    static const struct {
        const char *line, *error;
    } wrong[] = {
        {"7", "a line is one JSON object"},
        {"{\"party\":\"p\"}", "\"party\" and \"room\" are missing"},
        {"{\"party\":1,\"room\":\"r\"}", "party is not a string"},
        {"{\"party\":\"p\",\"room\":\"r\",\"key\":\"k\"}",
         "a line has \"key\" and \"value\", or \"alarm\", or \"self\""},
        {"{\"party\":\"p\",\"room\":\"r\",\"key\":\"k\",\"value\":1,\"alarm\":1}",
         "a line has \"key\" and \"value\", or \"alarm\", or \"self\""},
        {"{\"party\":\"p\",\"room\":\"r\",\"self\":1,\"attempt\":1}",
         "a line has \"key\" and \"value\", or \"alarm\", or \"self\""},
        {"{\"party\":\"p\",\"room\":\"r\",\"room\":\"r\",\"self\":1}", "the field \"room\" is there twice"},
        {"{\"party\":\"p\",\"room\":\"r\",\"roomBytes\":\"gA==\",\"self\":1}",
         "\"room\" is there in two forms"},
        {"{\"party\":\"p\",\"room\":\"r\",\"alarm\":\"soon\"}", "alarm is no number that it can be"},
        {"{\"party\":\"p\",\"room\":\"r\",\"selfBytes\":\"A===\"}", "selfBytes is no base64"},
        {"{\"party\":\"p\",\"room\":\"r\",\"selfBytes\":\"$$$$\"}", "selfBytes is no base64"},
        {"{\"party\":\"p\",\"room\":\"r\",\"selfBytes\":\"AgA=\"}",
         "selfBytes is no stored value, or one of a later version"},
        {"{\"party\":\"p\",\"room\":\"r\",\"self\":5}", "\"self\" is no object"},
        {"{\"party\":\"p\",\"room\":\"r\",\"self\":null}", "\"self\" is no object"},
        {"{\"party\":\"p\",\"room\":\"r\",\"self\":\"text\"}", "\"self\" is no object"},
        {"{\"party\":\"p\",\"room\":\"r\",\"selfBytes\":\"AQE=\"}", "\"self\" is no object"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct record record;
        struct buf error = {0};
        assert_int_equal(record_read(&record, span_of(wrong[i].line), &error), -EINVAL);
        assert_text(span_in(&error), wrong[i].error);
        record_fini(&record);
        buf_fini(&error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_shown),          cmocka_unit_test(texts_are_what_a_vm_reads),
        cmocka_unit_test(wrong_texts_are_refused),   cmocka_unit_test(depth_has_a_limit_both_ways),
        cmocka_unit_test(damaged_bytes_are_refused), cmocka_unit_test(lines_come_back),
        cmocka_unit_test(a_self_is_any_table),       cmocka_unit_test(a_damaged_value_is_no_line),
        cmocka_unit_test(wrong_lines_are_explained),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
