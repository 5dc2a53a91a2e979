/* The bytes of a log line: exact for ordinary values, safe and bounded for any. */
#include "base/log_encode.h"
#include "base/utf8.h"
#include "json_check.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NOON 1795618800123 /* 2026-11-25T15:00:00.123Z */

/* The last line encoded, with a NUL behind it. */
static char line[LOG_LINE_MAX + 1];

static size_t encode(enum log_style style, enum log_level level, const char *message,
                     const struct log_field *fields, size_t n)
{
    memset(line, '\1', sizeof line);
    size_t len = log_encode(line, style, NOON, level, message, fields, n);
    assert_true(len > 0 && len <= LOG_LINE_MAX);
    assert_int_equal(line[len - 1], '\n');
    assert_int_equal(line[LOG_LINE_MAX], '\1');
    line[len] = '\0';
    return len;
}

static void assert_line(enum log_style style, enum log_level level, const char *message,
                        const struct log_field *fields, size_t n, const char *want)
{
    size_t len = encode(style, level, message, fields, n);
    assert_string_equal(line, want);
    assert_int_equal(len, strlen(want));
}

static void the_checker_knows_json(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",          "[]", "null",        "-0.5e+10", "\"\\u00e9\\n\"", "{\"a\":[1,true,{}]}",
        " [ 1 , 2 ] ", "0",  "\"\xc3\xa9\""};
    static const char *const bad[] = {"",          "{",           "[1,]", "{\"a\"}", "{a:1}",     "\"\n\"",
                                      "\"\\x41\"", "\"",          "01",   "1.",      "nul",       "\"a\" 1",
                                      "\"\xff\"",  "\"\\u12g4\"", "-",    "1e",      "{\"a\":1,}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(json_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (json_valid(bad[i], strlen(bad[i])))
            fail_msg("taken for JSON: %s", bad[i]);
    }
}

/* ---- ordinary lines ---- */

static void json_lines(void **state)
{
    (void)state;
    assert_line(LOG_STYLE_JSON, LOG_INFO, "listening", NULL, 0,
                "{\"ts\":\"2026-11-25T15:00:00.123Z\",\"level\":\"info\",\"msg\":\"listening\"}\n");
    const struct log_field fields[] = {
        log_str("party", "main"),
        log_int("status", 200),
        log_real("ms", 0.25),
        log_str("none", NULL),
        log_str("empty", ""),
        log_raw("data", SPAN("{\"a\":[1, 2]}")),
        log_raw("void", (struct span){0}),
    };
    assert_line(
        LOG_STYLE_JSON, LOG_ERROR, "it \"failed\" \\ badly", fields, sizeof fields / sizeof *fields,
        "{\"ts\":\"2026-11-25T15:00:00.123Z\",\"level\":\"error\",\"msg\":\"it \\\"failed\\\" \\\\ badly\","
        "\"party\":\"main\",\"status\":200,\"ms\":0.25,\"none\":null,\"empty\":\"\","
        "\"data\":{\"a\":[1, 2]},\"void\":null}\n");
}

static void text_lines(void **state)
{
    (void)state;
    assert_line(LOG_STYLE_TEXT, LOG_INFO, "listening", NULL, 0, "15:00:00.123 info  listening\n");
    assert_line(LOG_STYLE_TEXT, LOG_DEBUG, NULL, NULL, 0, "15:00:00.123 debug \n");
    const struct log_field fields[] = {
        log_str("room", "lobby"), log_int("status", 200),        log_str("path", "/a b"),
        log_str("empty", ""),     log_str("none", NULL),         log_str("quoted", "a\"b\\c"),
        log_str("equals", "a=b"), log_str("name", "Zo\xc3\xab"), log_raw("data", SPAN("{\"a\": 1}")),
    };
    assert_line(LOG_STYLE_TEXT, LOG_WARN, "slow", fields, sizeof fields / sizeof *fields,
                "15:00:00.123 warn  slow  room=lobby status=200 path=\"/a b\" empty=\"\" none=null "
                "quoted=\"a\\\"b\\\\c\" equals=\"a=b\" name=Zo\xc3\xab data={\"a\": 1}\n");
}

static void coloured_lines(void **state)
{
    (void)state;
    const struct log_field fields[] = {log_int("status", 200), log_str("trace", "a\nb")};
    assert_line(LOG_STYLE_COLOURS, LOG_ERROR, "no", fields, 2,
                "\033[2m15:00:00.123\033[0m \033[31merror\033[0m no  \033[2mstatus=\033[0m200\n"
                "    \033[2mtrace:\033[0m\n"
                "      a\n"
                "      b\n");
}

static void texts_of_many_lines_come_last_and_indented(void **state)
{
    (void)state;
    const struct log_field fields[] = {
        log_str("traceback", "main.lua:3: in onMessage\n\tmain.lua:9: in f\r\n\n"),
        log_str("room", "lobby"),
        log_str("source", "3 | x()\n  |   ^ \033[31mred"),
    };
    assert_line(LOG_STYLE_TEXT, LOG_ERROR, "handler failed", fields, 3,
                "15:00:00.123 error handler failed  room=lobby\n"
                "    traceback:\n"
                "      main.lua:3: in onMessage\n"
                "          main.lua:9: in f\\r\n"
                "    source:\n"
                "      3 | x()\n"
                "        |   ^ \\x1b[31mred\n");
    assert_line(LOG_STYLE_JSON, LOG_ERROR, "handler failed", fields, 1,
                "{\"ts\":\"2026-11-25T15:00:00.123Z\",\"level\":\"error\",\"msg\":\"handler failed\","
                "\"traceback\":\"main.lua:3: in onMessage\\n\\tmain.lua:9: in f\\r\\n\\n\"}\n");
}

static void the_time_follows_the_second(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *json, *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z", "00:00:00.000"},
        {999, "1970-01-01T00:00:00.999Z", "00:00:00.999"},
        {1000, "1970-01-01T00:00:01.000Z", "00:00:01.000"},
        {NOON, "2026-11-25T15:00:00.123Z", "15:00:00.123"},
        {NOON + 900, "2026-11-25T15:00:01.023Z", "15:00:01.023"},
        {1709251199007, "2024-02-29T23:59:59.007Z", "23:59:59.007"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        log_encode(line, LOG_STYLE_JSON, rows[i].ms, LOG_INFO, "", NULL, 0);
        assert_memory_equal(line + strlen("{\"ts\":\""), rows[i].json, 24);
        log_encode(line, LOG_STYLE_TEXT, rows[i].ms, LOG_INFO, "", NULL, 0);
        assert_memory_equal(line, rows[i].text, 12);
    }
}

static void numbers_read_back(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } reals[] = {
        {0.0, "0"},
        {1.5, "1.5"},
        {0.1, "0.1"},
        {-2.0, "-2"},
        {1e300, "1e+300"},
        {1e21, "1e+21"},
        {12345.678, "12345.678"},
        {0.1 + 0.2, "0.30000000000000004"},
    };
    char want[64];
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        encode(LOG_STYLE_TEXT, LOG_INFO, "", &(struct log_field[]){log_real("x", reals[i].value)}[0], 1);
        snprintf(want, sizeof want, "  x=%s\n", reals[i].text);
        assert_string_equal(line + strlen("15:00:00.123 info  "), want);
    }
    static const double awkward[] = {NAN, INFINITY, -INFINITY, DBL_MIN, -DBL_MAX, DBL_TRUE_MIN, -0.0};
    for (size_t i = 0; i < sizeof awkward / sizeof *awkward; i++) {
        size_t len =
            encode(LOG_STYLE_JSON, LOG_INFO, "", &(struct log_field[]){log_real("x", awkward[i])}[0], 1);
        assert_true(json_valid(line, len));
        const char *value = strstr(line, "\"x\":") + 4;
        if (isfinite(awkward[i]))
            assert_memory_equal(&(double){strtod(value, NULL)}, &awkward[i], sizeof(double));
        else
            assert_memory_equal(value, "null}", 5);
    }
    static const int64_t integers[] = {0, 7, -7, 10, 1000000, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        encode(LOG_STYLE_JSON, LOG_INFO, "", &(struct log_field[]){log_int("x", integers[i])}[0], 1);
        snprintf(want, sizeof want, "\"x\":%lld}\n", (long long)integers[i]);
        assert_string_equal(strstr(line, "\"x\":"), want);
    }
}

/* ---- hostile bytes ---- */

static void control_characters_are_escaped(void **state)
{
    (void)state;
    /* Controls, DEL, C1, line separators, marks that turn the order, invalid bytes, NUL. */
    const struct log_field field =
        log_text("x", SPAN("\0\n\033[2J\x7f|\xc2\x9b|\xe2\x80\xa8|\xe2\x80\xae\xe2\x80\xac|"
                           "\xe2\x81\xa6\xe2\x81\xa9|\xff\xc3|\xed\xa0\x80|"
                           "\xc3\xa9\xf0\x9f\x98\x80"));
    encode(LOG_STYLE_JSON, LOG_INFO, "a\nb\rc", &field, 1);
    assert_string_equal(strstr(line, "\"msg\""),
                        "\"msg\":\"a\\nb\\rc\",\"x\":\"\\u0000\\n\\u001b[2J\\u007f|\\u009b|\\u2028|"
                        "\\u202e\\u202c|\\u2066\\u2069|"
                        "\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\xc3\xa9\xf0\x9f\x98\x80\"}\n");
    const struct log_field inline_field =
        log_text("x", SPAN("\0\033[2J\x7f|\xc2\x9b|\xe2\x80\xa8|\xe2\x80\xae\xe2\x80\xac|"
                           "\xe2\x81\xa6\xe2\x81\xa9|\xff\xc3|\xed\xa0\x80|"
                           "\xc3\xa9\xf0\x9f\x98\x80"));
    encode(LOG_STYLE_TEXT, LOG_INFO, "a\nb\rc\td", &inline_field, 1);
    assert_string_equal(line, "15:00:00.123 info  a\\nb\\rc\\td  "
                              "x=\"\\x00\\x1b[2J\\x7f|\\u009b|\\u2028|\\u202e\\u202c|\\u2066\\u2069|"
                              "\\xff\\xc3|\\xed\\xa0\\x80|\xc3\xa9\xf0\x9f\x98\x80\"\n");
}

static void names_are_escaped_and_bounded(void **state)
{
    (void)state;
    char name[200];
    memset(name, '"', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const struct log_field fields[] = {log_int("a\"b\n", 1), log_int(name, 2), log_int("\xff", 3)};
    size_t len = encode(LOG_STYLE_JSON, LOG_INFO, "", fields, 3);
    assert_true(json_valid(line, len));
    assert_non_null(strstr(line, ",\"a\\\"b\\n\":1,\"\\\""));
    const char *long_name = strstr(line, ",\"\\\"") + 2, *mark = strstr(line, "…");
    assert_in_range(mark + strlen("…") - long_name, 62, 64);
    assert_non_null(strstr(line, "…\":2,\"\\ufffd\":3}"));
    assert_true(len < 250);
    encode(LOG_STYLE_TEXT, LOG_INFO, "", fields, 3);
    assert_non_null(strstr(line, "  a\"b\\n=1 "));
    assert_non_null(strstr(line, "…=2 \\xff=3\n"));
}

static void raw_json_stays_on_its_line(void **state)
{
    (void)state;
    const struct log_field field = log_raw("data", SPAN("{\n\t\"a\": \"\xc2\x85\\n\\\"\",\r\n\"b\": []\n}"));
    encode(LOG_STYLE_JSON, LOG_INFO, "", &field, 1);
    assert_string_equal(strstr(line, "\"data\""), "\"data\":{  \"a\": \"\\u0085\\n\\\"\",  \"b\": [] }}\n");
    encode(LOG_STYLE_TEXT, LOG_INFO, "", &field, 1);
    assert_string_equal(strstr(line, "data"), "data={  \"a\": \"\\u0085\\n\\\"\",  \"b\": [] }\n");
}

static uint32_t random_below(uint32_t limit)
{
    static uint32_t seed = 20261124;
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * limit) >> 32);
}

/* One line, no control character in it, valid UTF-8; in text, what follows a newline is
 * indented, so that no text can begin a line. */
static void assert_safe(enum log_style style, size_t len)
{
    assert_true(utf8_valid(line, len));
    if (style == LOG_STYLE_JSON)
        assert_true(json_valid(line, len));
    for (size_t i = 0; i + 1 < len; i++) {
        unsigned char c = (unsigned char)line[i];
        assert_true(c >= 0x20 ? c != 0x7f : c == '\n' && style == LOG_STYLE_TEXT);
        if (c == '\n')
            assert_memory_equal(line + i + 1, "    ", 4);
        assert_false(c == 0xc2 && (unsigned char)line[i + 1] < 0xa0);
    }
}

static void any_bytes_give_a_safe_line(void **state)
{
    (void)state;
    enum { FIELDS = 6, TEXT_MAX = 20000 };
    char *text = malloc(TEXT_MAX);
    assert_non_null(text);
    for (int round = 0; round < 3000; round++) {
        char message[100], names[FIELDS][100];
        struct log_field fields[FIELDS];
        size_t n = random_below(FIELDS + 1), message_len = random_below(100);
        /* Bytes, ASCII with much to escape, or what begins like UTF-8. */
        uint32_t kind = random_below(3), text_len = random_below(random_below(20) ? 300 : TEXT_MAX);
        for (size_t i = 0; i < text_len; i++)
            text[i] = (char)(kind == 0   ? random_below(256)
                             : kind == 1 ? random_below(127)
                                         : 0xc0 + random_below(64));
        for (size_t i = 0; i < message_len; i++)
            message[i] = (char)(1 + random_below(255));
        message[message_len] = '\0';
        for (size_t f = 0; f < n; f++) {
            size_t name_len = random_below(100);
            for (size_t i = 0; i < name_len; i++)
                names[f][i] = (char)(1 + random_below(255));
            names[f][name_len] = '\0';
            size_t from = random_below(text_len + 1);
            fields[f] = random_below(3) ? log_text(names[f], (struct span){text + from, text_len - from})
                                        : log_int(names[f], round);
        }
        for (int style = 0; style <= LOG_STYLE_JSON; style += LOG_STYLE_JSON)
            assert_safe((enum log_style)style, encode((enum log_style)style, LOG_INFO, message, fields, n));
    }
    free(text);
}

/* ---- long lines ---- */

static char *long_text(size_t len, const char *pattern)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = pattern[i % strlen(pattern)];
    text[len] = '\0';
    return text;
}

static void long_texts_leave_room_for_others(void **state)
{
    (void)state;
    static const char *const patterns[] = {"a", "\n", "\xc3\xa9", "\xe6\x97\xa5", "\xff", "\"", "line\n"};
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        char *text = long_text(300000, patterns[p]);
        const struct log_field fields[] = {log_str("first", text), log_int("status", 500),
                                           log_str("second", text), log_str("last", "here")};
        for (int style = 0; style <= LOG_STYLE_JSON; style++) {
            size_t len = encode((enum log_style)style, LOG_INFO, text, fields, 4);
            assert_true(len > LOG_LINE_MAX / 2);
            if (style != LOG_STYLE_COLOURS)
                assert_safe((enum log_style)style, len);
            assert_non_null(strstr(line, "…"));
            bool json = style == LOG_STYLE_JSON;
            assert_non_null(strstr(line, json ? "\"status\":500" : "status"));
            assert_non_null(strstr(line, json ? "\"last\":\"here\"}\n" : "here"));
        }
        free(text);
    }
}

static void a_text_that_fits_is_whole(void **state)
{
    (void)state;
    for (size_t len = 8100; len < 8200; len++) {
        char *text = long_text(len, "a");
        encode(LOG_STYLE_JSON, LOG_INFO, text, NULL, 0);
        size_t got = strspn(strstr(line, "\"msg\":\"") + 7, "a");
        bool cut = strstr(line, "…") != NULL;
        assert_int_equal(got < len, cut);
        assert_true(got > 8000);
        free(text);
    }
}

static void too_many_fields_are_left_out(void **state)
{
    (void)state;
    enum { N = 5000 };
    static struct log_field fields[N];
    for (int i = 0; i < N; i++)
        fields[i] = i % 2 ? log_int("number", i) : log_str("text", "some text");
    for (int style = 0; style <= LOG_STYLE_JSON; style++) {
        size_t len = encode((enum log_style)style, LOG_INFO, "many", fields, N);
        assert_true(len > LOG_LINE_MAX - 400);
        const char *end = style == LOG_STYLE_JSON ? ",\"cut\":true}\n" : " …\n";
        assert_string_equal(line + len - strlen(end), end);
        if (style != LOG_STYLE_COLOURS)
            assert_safe((enum log_style)style, len);
        len = encode((enum log_style)style, LOG_INFO, "few", fields, 100);
        assert_string_not_equal(line + len - strlen(end), end);
    }
}

static void long_raw_json_becomes_a_string(void **state)
{
    (void)state;
    char *text = long_text(100000, "[\"a\"],");
    const struct log_field fields[] = {log_raw("data", span_of(text)), log_int("after", 1)};
    size_t len = encode(LOG_STYLE_JSON, LOG_INFO, "", fields, 2);
    assert_safe(LOG_STYLE_JSON, len);
    assert_non_null(strstr(line, "\"data\":\"[\\\"a\\\"],"));
    assert_non_null(strstr(line, "…\",\"after\":1}\n"));
    len = encode(LOG_STYLE_TEXT, LOG_INFO, "", fields, 2);
    assert_safe(LOG_STYLE_TEXT, len);
    free(text);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checker_knows_json),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(text_lines),
        cmocka_unit_test(coloured_lines),
        cmocka_unit_test(texts_of_many_lines_come_last_and_indented),
        cmocka_unit_test(the_time_follows_the_second),
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(names_are_escaped_and_bounded),
        cmocka_unit_test(raw_json_stays_on_its_line),
        cmocka_unit_test(any_bytes_give_a_safe_line),
        cmocka_unit_test(long_texts_leave_room_for_others),
        cmocka_unit_test(a_text_that_fits_is_whole),
        cmocka_unit_test(too_many_fields_are_left_out),
        cmocka_unit_test(long_raw_json_becomes_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
