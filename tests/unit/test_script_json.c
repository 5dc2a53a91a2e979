/* JSON both ways in a real VM: what RFC 8259 lets through and what it does not, and the same verdict as
 * another implementation on thousands of damaged texts. How it looks to scripts is tested in lua/json.lua. */
#include "script_driver.h"

#include "script/bind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <yyjson.h>

#include <cmocka.h>

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

/* ---- one text ---- */

struct sample {
    const char *text;
    size_t len;
    bool good;
    char out[512]; /* written again, or the message */
};

static int decode_and_encode(lua_State *L)
{
    struct sample *sample = lua_touserdata(L, 1);

    lua_settop(L, 0);
    lua_pushlstring(L, sample->text, sample->len); /* as scripts have it: a NUL behind it */
    const char *text = lua_tostring(L, 1);
    sample->good = json_decode(L, text, sample->len, true);
    assert_int_equal(lua_gettop(L), sample->good ? 2 : 3);
    if (sample->good)
        json_push(L, 2, false);
    else
        assert_true(lua_isnil(L, 2));
    snprintf(sample->out, sizeof sample->out, "%s", lua_tostring(L, 3));
    return 0;
}

static void run_sample(struct sample *sample)
{
    assert_int_equal(script_driver_run(&driver, decode_and_encode, sample), 0);
}

/* ---- what must be read ---- */

static void good_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *again; /* NULL: the same */
    } rows[] = {
        {"[]", NULL},
        {"{}", NULL},
        {"[[]   ]", "[[]]"},
        {"[\"\"]", NULL},
        {"[\"a\"]", NULL},
        {"[false]", NULL},
        {"[null, 1, \"1\", {}]", "[null,1,\"1\",{}]"},
        {"[null]", NULL},
        {"[1\n]", "[1]"},
        {" [1]", "[1]"},
        {"[1,null,null,null,2]", NULL},
        {"[2] ", "[2]"},
        {"[0e+1]", "[0.0]"},
        {"[0e1]", "[0.0]"},
        {"[ 4]", "[4]"},
        {"[-0.000000000000000000000000000000000000000000000000000000000000000000000000000000001]",
         "[-1e-81]"},
        {"[20e1]", "[200.0]"},
        {"[-0]", "[0]"},
        {"[-123]", NULL},
        {"[-1]", NULL},
        {"[1E22]", "[1e22]"},
        {"[1E-2]", "[0.01]"},
        {"[1E+2]", "[100.0]"},
        {"[123e45]", "[1.23e47]"},
        {"[123.456e78]", "[1.23456e80]"},
        {"[1e-2]", "[0.01]"},
        {"[123]", NULL},
        {"[123.456789]", NULL},
        {"[9223372036854775807,-9223372036854775808]", NULL},
        {"[2.2250738585072014e-308]", NULL},
        {"[4.9e-324]", "[5e-324]"},
        {"[1e-999]", "[0.0]"},
        {"[1.7976931348623157e308]", NULL},
        {"[0.1,0.2,0.30000000000000004]", NULL},
        {"{\"asd\":\"sdf\"}", NULL},
        {"{\"a\":\"b\",\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"\":0}", NULL},
        {"{\"foo\\u0000bar\": 42}", "{\"foo\\u0000bar\":42}"},
        {"{\"min\": -1.0e+28}", "{\"min\":-1e28}"},
        {"{\n\"a\": \"b\"\n}", "{\"a\":\"b\"}"},
        {"{\"a\":[]}", NULL},
        {"[\"\\u0060\\u012a\\u12AB\"]", "[\"`\304\252\341\212\253\"]"},
        {"[\"\\uD801\\udc37\"]", "[\"\360\220\220\267\"]"},
        {"[\"\\ud83d\\ude39\\ud83d\\udc8d\"]", "[\"\360\237\230\271\360\237\222\215\"]"},
        {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\"\\\\/\\b\\f\\n\\r\\t\"]"},
        {"[\"\\\\u0000\"]", NULL},
        {"[\"\\\\a\"]", NULL},
        {"[\"a/*b*/c/*d//e\"]", NULL},
        {"[\"\\\\n\"]", NULL},
        {"[\"\\u0012\"]", NULL},
        {"[\"\\uFFFF\"]", "[\"\357\277\277\"]"},
        {"[\"\\uDBFF\\uDFFF\"]", "[\"\364\217\277\277\"]"},
        {"[\"new\\u00A0line\"]", "[\"new\302\240line\"]"},
        {"[\"\364\217\277\277\"]", NULL},
        {"[\"\342\200\250\342\200\251\"]", NULL},
        {"[\"\177\"]", NULL},
        {"\" \"", NULL},
        {"\"\"", NULL},
        {"42", NULL},
        {"-0.1", NULL},
        {"null", NULL},
        {"true", NULL},
        {"\"asd\"", NULL},
        {"\r\n\t [\r\n\t true \r\n\t] \r\n\t", "[true]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sample sample = {.text = rows[i].text, .len = strlen(rows[i].text)};
        const char *wanted = rows[i].again ? rows[i].again : rows[i].text;
        run_sample(&sample);
        if (!sample.good || strcmp(sample.out, wanted) != 0)
            fail_msg("%s: %s", rows[i].text, sample.out);
    }
}

/* ---- what must be refused ---- */

static void bad_texts(void **state)
{
    (void)state;
#define BAD(literal)                                                                                         \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }
    static const struct span rows[] = {
        BAD(""),
        BAD(" "),
        BAD("["),
        BAD("]"),
        BAD("{"),
        BAD("}"),
        BAD("[1 true]"),
        BAD("[a\345]"),
        BAD("[\"\": 1]"),
        BAD("[\"\"],"),
        BAD("[,1]"),
        BAD("[1,,2]"),
        BAD("[\"x\",,]"),
        BAD("[\"x\"]]"),
        BAD("[\"\",]"),
        BAD("[\"x\""),
        BAD("[x"),
        BAD("[3[4]]"),
        BAD("[\377]"),
        BAD("[1:2]"),
        BAD("[,]"),
        BAD("[-]"),
        BAD("[   , \"\"]"),
        BAD("[\"a\",\n4\n,1,"),
        BAD("[1,]"),
        BAD("[1,,]"),
        BAD("[\"\v\"a\\f]"),
        BAD("[*]"),
        BAD("[\"\""),
        BAD("[1,"),
        BAD("[1,\n1\n,1"),
        BAD("[{}"),
        BAD("[fals]"),
        BAD("[nul]"),
        BAD("[tru]"),
        BAD("[True]"),
        BAD("123\0"),
        BAD("[++1234]"),
        BAD("[+1]"),
        BAD("[+Inf]"),
        BAD("[-01]"),
        BAD("[-1.0.]"),
        BAD("[-2.]"),
        BAD("[-NaN]"),
        BAD("[.-1]"),
        BAD("[.2e-3]"),
        BAD("[0.1.2]"),
        BAD("[0.3e+]"),
        BAD("[0.3e]"),
        BAD("[0.e1]"),
        BAD("[0E+]"),
        BAD("[0E]"),
        BAD("[0e+]"),
        BAD("[0e]"),
        BAD("[1.0e+]"),
        BAD("[1.0e-]"),
        BAD("[1.0e]"),
        BAD("[1 000.0]"),
        BAD("[1eE2]"),
        BAD("[2.e+3]"),
        BAD("[2.e-3]"),
        BAD("[2.e3]"),
        BAD("[9.e+]"),
        BAD("[Inf]"),
        BAD("[NaN]"),
        BAD("[Infinity]"),
        BAD("[1+2]"),
        BAD("[0x1]"),
        BAD("[0x42]"),
        BAD("[-Infinity]"),
        BAD("[-foo]"),
        BAD("[- 1]"),
        BAD("[-012]"),
        BAD("[-.123]"),
        BAD("[-1x]"),
        BAD("[1ea]"),
        BAD("[1.]"),
        BAD("[.123]"),
        BAD("[1.2a-3]"),
        BAD("[1.8011670033376514H-308]"),
        BAD("[012]"),
        BAD("[00]"),
        BAD("[\"x\", truth]"),
        BAD("{[: \"x\"}"),
        BAD("{\"x\", null}"),
        BAD("{\"x\"::\"b\"}"),
        BAD("{key: 'value'}"),
        BAD("{\"a\":\"a\" 123}"),
        BAD("{\"a\" b}"),
        BAD("{:\"b\"}"),
        BAD("{\"a\""),
        BAD("{\"a\":"),
        BAD("{\"a\""),
        BAD("{1:1}"),
        BAD("{9999E9999:1}"),
        BAD("{null:null,null:null}"),
        BAD("{\"id\":0,,,,,}"),
        BAD("{'a':0}"),
        BAD("{\"id\":0,}"),
        BAD("{\"a\":\"b\"}/**/"),
        BAD("{\"a\":\"b\"}//"),
        BAD("{\"a\":\"b\"}/"),
        BAD("{\"a\":\"b\",,\"c\":\"d\"}"),
        BAD("{a: \"b\"}"),
        BAD("{\"a\":\"a"),
        BAD("{ \"foo\" : \"bar\", \"a\" }"),
        BAD("{\"a\":\"b\"}#"),
        BAD("[\"\\uD800\\\"]"),
        BAD("[\"\\uD800\\u\"]"),
        BAD("[\"\\uD800\\u1\"]"),
        BAD("[\"\\uD800\\u1x\"]"),
        BAD("[\303\251]"),
        BAD("[\"\\\0\"]"),
        BAD("[\"\\x00\"]"),
        BAD("[\"\\\\\\\"]"),
        BAD("[\"\\\t\"]"),
        BAD("[\"\\\360\237\214\200\"]"),
        BAD("[\"\\\"]"),
        BAD("[\"\\u00A\"]"),
        BAD("[\"\\uD834\\uDd\"]"),
        BAD("[\"\\uD800\\uD800\\x\"]"),
        BAD("[\"\\u\345\"]"),
        BAD("[\"\\a\"]"),
        BAD("[\"\\uqqqq\"]"),
        BAD("[\"\\\345\"]"),
        BAD("[\\u0020\"asd\"]"),
        BAD("[\\n]"),
        BAD("\""),
        BAD("['single quote']"),
        BAD("abc"),
        BAD("[\"\\"),
        BAD("[\"a\0a\"]"),
        BAD("[\"new\nline\"]"),
        BAD("[\"\t\"]"),
        BAD("\"\\UA66D\""),
        BAD("\"\"x"),
        BAD("<.>"),
        BAD("[<null>]"),
        BAD("[1]x"),
        BAD("[1]]"),
        BAD("[\"asd]"),
        BAD("a\303\245"),
        BAD("[True]"),
        BAD("1]"),
        BAD("{\"x\": true,"),
        BAD("[][]"),
        BAD("2@"),
        BAD("{}}"),
        BAD("{\"\":"),
        BAD("{\"a\":/*comment*/\"b\"}"),
        BAD("{\"a\": true} \"x\""),
        BAD("['"),
        BAD("[,"),
        BAD("[{\"a"),
        BAD("{,"),
        BAD("{["),
        BAD("{]"),
        BAD("{\"a"),
        BAD("{'a'"),
        BAD("[\"\\{[\"\\{[\"\\{[\"\\{"),
        BAD("\351"),
        BAD("*"),
        BAD("{\"a\":\"b\"}#{}"),
        BAD("[\\u000A\"\"]"),
        BAD("[1"),
        BAD("[ false, nul"),
        BAD("[ true, fals"),
        BAD("[ false, tru"),
        BAD("{\"asd\":\"asd\""),
        BAD("\345"),
        BAD("[\342\201\240]"),
        BAD("\357\273\277"),
        BAD("\357\273\277[]"),
        BAD("[\f]"),
        BAD("\302\240[]"),
        /* left to the implementation by the RFC; refused here */
        BAD("[\"\\uDADA\"]"),
        BAD("[\"\\uD888\\u1234\"]"),
        BAD("[\"\\uD800\\n\"]"),
        BAD("[\"\\uDd1ea\"]"),
        BAD("[\"\\ud800\"]"),
        BAD("[\"\\uDFAA\"]"),
        BAD("[\"\345\"]"),
        BAD("[\"\377\"]"),
        BAD("[\"\355\240\200\"]"),
        BAD("[\"\300\257\"]"),
        BAD("[\"\374\203\277\277\277\277\"]"),
        BAD("[\"\340\377\"]"),
        BAD("[\"\201\"]"),
        BAD("[\"\364\277\277\277\"]"),
        BAD("\377\376[\0\"\0\351\0\"\0]\0"),
        BAD("[1e9999]"),
        BAD("[-1e9999]"),
        BAD("[0.4e006699999999999999999999999999999999999999999999999999999999999999999999]"),
        BAD("[9223372036854775808]"),
        BAD("[-9223372036854775809]"),
        BAD("[18446744073709551616]"),
        BAD("[100000000000000000000]"),
        BAD("[-123123123123123123123123123123]"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sample sample = {.text = rows[i].ptr, .len = rows[i].len};
        run_sample(&sample);
        if (sample.good || strncmp(sample.out, "JSON error in line 1, column ", 29) != 0) {
            if (!strstr(sample.out, "JSON error in line 2") && !strstr(sample.out, "JSON error in line 3"))
                fail_msg("%s: %s", rows[i].ptr, sample.out);
        }
    }
}

/* ---- the same verdict as yyjson's ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void damage(char *text, size_t *len, uint64_t *random)
{
    static const char pieces[] = "{}[]:,\"\\u0019.eE+-tfn \n\t/dD8\0\x80\xc3\xff";
    size_t at = next_random(random) % *len;

    switch (next_random(random) % 4) {
    case 0: text[at] = pieces[next_random(random) % (sizeof pieces - 1)]; break;
    case 1: text[at] ^= (char)(1u << next_random(random) % 8); break;
    case 2:
        memmove(text + at, text + at + 1, *len - at - 1);
        --*len;
        break;
    default:
        memmove(text + at + 1, text + at, *len - at);
        text[at] = pieces[next_random(random) % (sizeof pieces - 1)];
        ++*len;
    }
}

struct verdicts {
    size_t same, good;
};

static int compare_verdicts(lua_State *L)
{
    static const char *const seeds[] = {
        "{\"type\":\"move\",\"x\":12,\"y\":-3.5e2,\"who\":[\"a\",\"\\u00e9\\ud83d\\ude00\"],\"ok\":true,"
        "\"no\":null}",
        "[0,1,-1,0.5,1e10,1E-10,123456789012345678,[],{},[[[]]],\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
        "  {\"k\" : {\"k\" : [ false , \"text of some length, with \303\251\342\202\254 in it\" ] } }\n",
    };
    struct verdicts *verdicts = lua_touserdata(L, 1);
    uint64_t random = 0x9e3779b97f4a7c15u;
    char text[256];

    for (int i = 0; i < 30000; i++) {
        const char *seed = seeds[(size_t)i % 3];
        size_t len = strlen(seed);
        memcpy(text, seed, len);
        for (uint64_t n = 1 + next_random(&random) % 3; n > 0; n--)
            damage(text, &len, &random);

        lua_settop(L, 1);
        lua_pushlstring(L, text, len);
        bool ours = json_decode(L, lua_tostring(L, 2), len, true);
        yyjson_doc *doc = yyjson_read(text, len, 0);
        bool theirs = doc != NULL;
        yyjson_doc_free(doc);
        if (ours != theirs && !(theirs && strstr(lua_tostring(L, -1), "out of range")))
            fail_msg("%.*s: %s", (int)len, text, ours ? "taken" : lua_tostring(L, -1));
        verdicts->same++;
        verdicts->good += ours;
        if (!ours)
            continue;
        json_push(L, 3, false); /* read, written and read again it is the same */
        size_t again_len;
        const char *again = lua_tolstring(L, 4, &again_len);
        assert_true(json_decode(L, again, again_len, true));
        json_push(L, 5, false);
        assert_int_equal(lua_rawlen(L, 6), again_len);
    }
    return 0;
}

static void damaged_texts(void **state)
{
    (void)state;
    struct verdicts verdicts = {0};
    assert_int_equal(script_driver_run(&driver, compare_verdicts, &verdicts), 0);
    assert_true(verdicts.good > 1000 && verdicts.same - verdicts.good > 1000);
}

/* ---- numbers ---- */

static int read_random_numbers(lua_State *L)
{
    uint64_t random = 88172645463325252u;

    for (int i = 0; i < 20000; i++) {
        union {
            uint64_t bits;
            double real;
        } number = {next_random(&random)};
        lua_settop(L, 0);
        if (number.real != number.real || number.real - number.real != 0)
            continue;
        lua_pushnumber(L, number.real);
        json_push(L, 1, false);
        size_t len;
        const char *text = lua_tolstring(L, 2, &len);
        assert_true(strtod(text, NULL) == number.real);
        assert_true(json_decode(L, text, len, false));
        assert_true(!lua_isinteger(L, 3) && lua_tonumber(L, 3) == number.real);

        lua_pushinteger(L, (lua_Integer)number.bits);
        json_push(L, 4, false);
        text = lua_tolstring(L, 5, &len);
        assert_true(strtoll(text, NULL, 10) == (lua_Integer)number.bits);
        assert_true(json_decode(L, text, len, false));
        assert_true(lua_isinteger(L, 6) && lua_tointeger(L, 6) == (lua_Integer)number.bits);
    }
    return 0;
}

static void random_numbers(void **state)
{
    (void)state;
    assert_int_equal(script_driver_run(&driver, read_random_numbers, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_texts),
        cmocka_unit_test(bad_texts),
        cmocka_unit_test(damaged_texts),
        cmocka_unit_test(random_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
