/* edge: the page that shows what was wrong in a script. */
#include "edge/error_page.h"

#include "base/utf8.h"
#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool wants_html(const char *lines)
{
    static const struct http_limits limits = {.url = 8192, .headers = 16384, .body = 0};
    struct http_parser parser;
    char text[1024];
    size_t used, len;

    len = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    assert_int_equal(http_parser_init(&parser, &limits), 0);
    assert_int_equal(http_parser_feed(&parser, (uint8_t *)text, len, &used), HTTP_HEAD_DONE);
    assert_int_equal(http_parser_feed(&parser, (uint8_t *)text + used, len - used, &used), HTTP_COMPLETE);
    struct http_request *request = http_parser_take(&parser);
    http_parser_fini(&parser);
    bool result = error_page_wants_html(request);
    http_request_free(request);
    return result;
}

static void who_gets_html(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        bool want;
    } rows[] = {
        {"", false},
        {"Accept: */*\r\n", false},
        {"Accept: text/*\r\n", false},
        {"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n", true},
        {"Accept: TEXT/HTML\r\n", true},
        {"Accept: application/json, text/html\r\n", false},
        {"Accept: application/json;q=0.9, text/html\r\n", true},
        {"Accept: text/html;q=0.8, application/json;q=0.9\r\n", false},
        {"Accept: text/html;level=1 ; q=0.30, application/json;Q=0.295\r\n", true},
        {"Accept: text/html;q=0\r\n", false},
        {"Accept: text/html;q=nonsense\r\n", false},
        {"Accept: application/json;q=0.1\r\nAccept: text/html;q=0.2\r\n", true},
        {"Accept: text/htmlx\r\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (wants_html(rows[i].lines) != rows[i].want)
            fail_msg("%s", rows[i].lines);
    }
}

static struct http_response *filled(const struct http_problem *problem, bool html)
{
    struct http_response *response = http_response_text(500, "Internal error");
    assert_non_null(response);
    response->problem = http_problem_copy(problem);
    error_page_fill(response, html);
    assert_int_equal(response->status, 500);
    assert_true(response->has_type);
    assert_true(utf8_valid(response->body->data, response->body->len));
    return response;
}

static void expect_body(const struct http_problem *problem, bool html, const char *wanted)
{
    struct http_response *response = filled(problem, html);
    char *body = strndup((const char *)response->body->data, response->body->len);
    if (html ? !strstr(body, wanted) : strcmp(body, wanted) != 0)
        fail_msg("%s\n  instead of\n%s", body, wanted);
    free(body);
    http_response_free(response);
}

static void as_json(void **state)
{
    (void)state;
    struct http_problem problem = {.title = "onRequest",
                                   .message = "a \"quoted\\ \x01 word\xc3\xa9",
                                   .file = "parties/main.lua",
                                   .line = 7,
                                   .traceback = "one\ntwo\tthree",
                                   .source = "  >    7 | x"};
    expect_body(
        &problem, false,
        "{\"error\":{\"message\":\"a \\\"quoted\\\\ \\u0001 word\xc3\xa9\",\"file\":\"parties/main.lua\","
        "\"line\":7,\"traceback\":\"one\\ntwo\\tthree\",\"source\":\"  >    7 | x\"}}\n");
    struct http_problem little = {.message = "\xff\xfe bytes \xc3\xa9"}; /* some of it UTF-8 */
    expect_body(
        &little, false,
        "{\"error\":{\"message\":\"\xef\xbf\xbd\xef\xbf\xbd bytes \xef\xbf\xbd\xef\xbf\xbd\",\"file\":null,"
        "\"line\":null,\"traceback\":null,\"source\":null}}\n");
    struct http_problem nothing = {0};
    expect_body(
        &nothing, false,
        "{\"error\":{\"message\":\"\",\"file\":null,\"line\":null,\"traceback\":null,\"source\":null}}\n");
}

static void as_html(void **state)
{
    (void)state;
    static const char nasty[] = "<script>alert('x')</script>&\"\x1b[0m";
    static const char escaped[] = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;\xef\xbf\xbd[0m";
    struct http_problem problem = {.title = (char *)nasty,
                                   .message = (char *)nasty,
                                   .file = (char *)nasty,
                                   .line = 7,
                                   .traceback = (char *)nasty,
                                   .source = "     6 | a\n  >  7 | <b>\n     8 | c"};
    struct http_response *response = filled(&problem, true);
    char *body = strndup((const char *)response->body->data, response->body->len);
    size_t n = 0;

    for (const char *at = body; (at = strstr(at, escaped)); at++)
        n++;
    assert_int_equal(n, 4);
    assert_null(strstr(body, "<script"));
    assert_null(strstr(body, "src=")); /* nothing from elsewhere */
    assert_null(strstr(body, "url("));
    assert_non_null(strstr(body, "     6 | a\n<mark>  &gt;  7 | &lt;b&gt;</mark>     8 | c\n</pre>"));
    assert_memory_equal(response->headers->data, "Content-Type: text/html;charset=UTF-8\r\n", 39);
    free(body);
    http_response_free(response);
    expect_body(&(struct http_problem){0}, true, "<h1></h1>\n<p></p>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_gets_html),
        cmocka_unit_test(as_json),
        cmocka_unit_test(as_html),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
