/* The rules for a message's parts, against their definitions. */
#include "http/field.h"

#include "http/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ALPHA_DIGIT "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* RFC 9110 §5.6.2, §5.5; RFC 9112 §3.2; RFC 3986 §3.2.2. */
static bool may_be_token(int c)
{
    return c && strchr("!#$%&'*+-.^_`|~" ALPHA_DIGIT, c);
}

static bool may_be_value(int c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool may_be_target(int c)
{
    return c > ' ' && c < 0x7f && c != '#';
}

static bool may_be_name(int c)
{
    return c && strchr("-._~!$&'()*+,;=" ALPHA_DIGIT, c);
}

/* Each byte, at each of the places that reading by words makes different. */
static void test_runs(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        assert_int_equal(http_is_token((struct span){&one, 1}), may_be_token(c));
        assert_int_equal(http_is_field_value((struct span){&one, 1}), may_be_value(c));
        assert_int_equal(http_is_host((struct span){&one, 1}), may_be_name(c));
        for (size_t len = 1; len <= 24; len++) {
            for (size_t at = 0; at < len; at++) {
                char *text = malloc(len); /* of its own, so that a sanitizer sees who reads on */
                assert_non_null(text);
                memset(text, 'a', len);
                text[at] = one;
                assert_int_equal(http_token_run(text, len), may_be_token(c) ? len : at);
                assert_int_equal(http_value_run(text, len), may_be_value(c) ? len : at);
                assert_int_equal(http_target_run(text, len), may_be_target(c) ? len : at);
                free(text);
            }
        }
    }
    assert_int_equal(http_value_run("a\tb\tc\td\te\tf\tg\th\t\x01", 17), 16);
    assert_false(http_is_token(SPAN("")));
    assert_true(http_is_field_value(SPAN("")));
    assert_true(http_is_field_value((struct span){NULL, 0}));
}

static void test_host(void **state)
{
    static const char *const right[] = {
        "",
        "a",
        "a.b",
        "A-b.c_d~",
        "a:",
        "a:0",
        "a:80",
        "a:65535",
        "a:0000080",
        "127.0.0.1",
        "127.0.0.1:1999",
        "%41b",
        "a%2fb:1",
        "!$&'()*+,;=",
        "[::1]",
        "[::1]:80",
        "[::]:",
        "[1:2:3:4:5:6:7:8]",
        "[::ffff:1.2.3.4]",
        "localhost:1999",
    };
    static const char *const wrong[] = {
        " ",
        "a b",
        ":",
        ":80",
        "a:b",
        "a:80:80",
        "a:-1",
        "a:65536",
        "a:99999999999999999999",
        "a:8 0",
        "a/b",
        "a?b",
        "a#b",
        "u@a",
        "a\\b",
        "\"a\"",
        "<a>",
        "%",
        "%4",
        "%4g",
        "%zz",
        "a%",
        "[",
        "[]",
        "[]:80",
        "[::1",
        "::1",
        "[::1]a",
        "[::1]:b",
        "[a]",
        "[1:2]",
        "[::1%25lo]",
        "[v1.a]",
        "[127.0.0.1]",
        "a[::1]",
        "[[::1]]",
        "\xc3\xa9",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222:3333]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        if (!http_is_host(span_of(right[i])))
            fail_msg("%s is a host", right[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (http_is_host(span_of(wrong[i])))
            fail_msg("%s is no host", wrong[i]);
    assert_false(http_is_host((struct span){"[::1\0]", 6}));
    assert_false(http_is_host((struct span){"a\0", 2}));
}

static void test_methods(void **state)
{
    static const char *const right[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    static const char *const wrong[] = {"", "get", "GE", "GETS", "TRACE", "CONNECT", "PROPFIND", "GET "};
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        assert_true(http_is_method(span_of(right[i])));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(http_is_method(span_of(wrong[i])));
}

static void test_statuses(void **state)
{
    (void)state;
    assert_string_equal(http_reason(200), "OK");
    assert_string_equal(http_reason(404), "Not Found");
    assert_string_equal(http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(http_reason(299), "Unknown");
    assert_string_equal(http_reason(599), "Unknown");
    for (int status = 100; status < 600; status++) {
        bool bodyless = status < 200 || status == 204 || status == 205 || status == 304;
        assert_int_equal(http_status_bodyless(status), bodyless);
        const char *reason = http_reason(status);
        assert_true(http_is_field_value(span_of(reason)) && *reason);
    }
}

static void check_list(const char *list, const char *expected)
{
    struct span rest = span_of(list), element;
    char text[100] = "";
    while (http_list_next(&rest, &element)) {
        strncat(text, element.ptr, element.len);
        strcat(text, "|");
    }
    assert_string_equal(text, expected);
}

static void test_lists(void **state)
{
    (void)state;
    check_list("a", "a|");
    check_list("a,b", "a|b|");
    check_list(" a\t,  b c ,d ", "a|b c|d|");
    check_list("", "|");
    check_list(",a,,", "|a|||");
    check_list(NULL, "");
}

static void check_decode(const char *text, bool plus, const char *expected)
{
    struct buf out = {0};
    assert_int_equal(buf_append(&out, "<", 1), 0);
    int rc = http_percent_decode(span_of(text), plus, &out);
    if (expected) {
        assert_int_equal(rc, 0);
        assert_int_equal(out.len, 1 + strlen(expected));
        assert_memory_equal(out.data + 1, expected, strlen(expected));
    } else {
        assert_int_equal(rc, -EINVAL);
        assert_int_equal(out.len, 1);
    }
    buf_fini(&out);
}

static void test_percent_decode(void **state)
{
    (void)state;
    check_decode("", false, "");
    check_decode("abc", false, "abc");
    check_decode("%41%6a%4A%c3%A9", false, "AjJ\xc3\xa9");
    check_decode("a+b%2Bc", false, "a+b+c");
    check_decode("a+b%2Bc", true, "a b+c");
    check_decode("%2541", false, "%41");
    check_decode("%2f%5c%20", false, "/\\ ");
    static const char *const wrong[] = {"%", "a%", "a%4", "%g0", "%0g", "%%41", "% 41", "%-1", "abc%zzdef"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_decode(wrong[i], false, NULL);

    struct buf out = {0};
    assert_int_equal(http_percent_decode(SPAN("a%00b"), false, &out), 0);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "a\0b", 3);
    buf_fini(&out);
    assert_int_equal(http_percent_decode((struct span){NULL, 0}, false, &out), 0);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void check_query(const char *query, const char *expected)
{
    struct span rest = span_of(query);
    struct buf name = {0}, value = {0}, text = {0};
    int rc;
    while ((rc = http_query_next(&rest, &name, &value)) == 1)
        assert_int_equal(buf_printf(&text, "%.*s:%.*s;", (int)name.len, name.len ? (char *)name.data : "",
                                    (int)value.len, value.len ? (char *)value.data : ""),
                         0);
    assert_int_equal(rc, 0);
    assert_int_equal(http_query_next(&rest, &name, &value), 0);
    assert_int_equal(text.len, strlen(expected));
    if (text.len)
        assert_memory_equal(text.data, expected, text.len);
    buf_fini(&name);
    buf_fini(&value);
    buf_fini(&text);
}

static void test_query(void **state)
{
    (void)state;
    check_query(NULL, "");
    check_query("", "");
    check_query("a=b", "a:b;");
    check_query("a=b&c=d&a=e", "a:b;c:d;a:e;");
    check_query("a&b=&=c&=", "a:;b:;:c;:;");
    check_query("&&a=b&&", "a:b;");
    check_query("a=b=c", "a:b=c;");
    check_query("a+b=c+d%2B&%61%3D%26=%26", "a b:c d+;a=&:&;");
    check_query("a=%&b%zz=%4&c=%%41", "a:%;b%zz:%4;c:%A;");
    check_query("a=1;b=2", "a:1;b=2;");
}

static void test_request_lookups(void **state)
{
    struct http_header headers[] = {
        {SPAN("Host"), SPAN("a")},  {SPAN("X-One"), SPAN("1")},
        {SPAN("x-one"), SPAN("2")}, {SPAN("Connection"), SPAN("keep-alive, Upgrade")},
        {SPAN("Empty"), SPAN("")},  {SPAN("CONNECTION"), SPAN("x")},
    };
    struct http_request request = {.headers = headers, .n_headers = sizeof headers / sizeof *headers};
    (void)state;
    assert_true(span_equal(http_request_header(&request, "host"), SPAN("a")));
    assert_true(span_equal(http_request_header(&request, "X-ONE"), SPAN("1")));
    assert_null(http_request_header(&request, "X-On").ptr);
    assert_null(http_request_header(&request, "X-One:").ptr);
    assert_non_null(http_request_header(&request, "Empty").ptr);
    assert_int_equal(http_request_header(&request, "Empty").len, 0);
    assert_true(http_request_has_token(&request, "connection", "upgrade"));
    assert_true(http_request_has_token(&request, "connection", "Keep-Alive"));
    assert_true(http_request_has_token(&request, "connection", "x"));
    assert_false(http_request_has_token(&request, "connection", "keep"));
    assert_false(http_request_has_token(&request, "connection", "close"));
    assert_false(http_request_has_token(&request, "connect", "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),    cmocka_unit_test(test_host),
        cmocka_unit_test(test_methods), cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_lists),   cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_query),   cmocka_unit_test(test_request_lookups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
