/* Bodies, and all limits of a request: what becomes of each, whole, byte by byte, and split at
 * every place. */
#include "http_driver.h"

#include "http/lint.h"

static const struct http_limits limits = {.url = 64, .headers = 128, .body = 20};

#define POST "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define OK "POST / h 1.1 keep"

static void check(const char *input, const char *expected)
{
    driver_check(&limits, input, expected);
}

static void test_length(void **state)
{
    (void)state;
    check(POST "Content-Length: 5\r\n\r\nabcde", OK " [abcde]\n");
    check(POST "Content-Length: 5\r\n\r\na\r\n\r\n", OK " [a\r\n\r\n]\n");
    check(POST "Content-Length: 5\r\n\r\nabcd", "body\n");
    check(POST "Content-Length: 20\r\n\r\n12345678901234567890" POST "\r\n",
          OK " [12345678901234567890]\n" OK "\n");
    check(POST "Content-Length: 1\r\n\r\nab\x01", OK " [a]\n400\n");
}

static void test_chunked(void **state)
{
    (void)state;
    check(CHUNKED "0\r\n\r\n", OK "\n");
    check(CHUNKED "3\r\nabc\r\n0\r\n\r\n", OK " [abc]\n");
    check(CHUNKED "1\r\na\r\n2\r\nbc\r\n00\r\n\r\n" POST "\r\n", OK " [abc]\n" OK "\n");
    check(CHUNKED "0000000000000003\r\nabc\r\n0\r\n\r\n", OK " [abc]\n");
    check(CHUNKED "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", OK " [01234567890123456789]\n");
    check(CHUNKED "4\r\n\r\n\r\n\r\n0\r\n\r\n", OK " [\r\n\r\n]\n");
    check(CHUNKED "3\r\nabc\r\n0\r\n\r", "body\n");
    check(CHUNKED "3\r\nabc\r\n", "body\n");
    check(CHUNKED "3\r\nab", "body\n");
    /* extensions */
    check(CHUNKED "3;a\r\nabc\r\n0;b=c;d\r\n\r\n", OK " [abc]\n");
    check(CHUNKED "3;a=b;c;d=\"e\";f=\"g; h\t\"\r\nabc\r\n0;i=\"\"\r\n\r\n", OK " [abc]\n");
    check(CHUNKED "3;a=\"\\\"\\\\\"\r\nabc\r\n0\r\n\r\n", OK " [abc]\n");
    /* trailers */
    check(CHUNKED "1\r\na\r\n0\r\nA: b\r\nC:\r\n\r\n" POST "\r\n", OK " [a]\n" OK "\n");
    check(CHUNKED "0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n" POST "\r\n", OK "\n" OK "\n");
    check(CHUNKED "0\r\nHost: i\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n" POST "\r\n",
          OK "\n" OK "\n");
}

/* A body that came in pieces takes no more memory than it has bytes, whether its length was known or not. */
static void test_memory(void **state)
{
    (void)state;
    static const struct http_limits large = {.url = 64, .headers = 128, .body = 1 << 20};
    static const char *const heads[] = {POST "Content-Length: 300000\r\n\r\n", CHUNKED};

    for (int chunked = 0; chunked < 2; chunked++) {
        struct http_parser parser;
        char piece[1100];
        size_t used, len = strlen(heads[chunked]);
        enum http_parse result = HTTP_MORE;

        assert_int_equal(http_parser_init(&parser, &large), 0);
        assert_int_equal(http_parser_feed(&parser, (const uint8_t *)heads[chunked], len, &used),
                         HTTP_HEAD_DONE);
        for (int i = 0; i < 300; i++) {
            int n = snprintf(piece, sizeof piece, chunked ? "3e8\r\n%01000d\r\n" : "%01000d", i);
            result = http_parser_feed(&parser, (const uint8_t *)piece, (size_t)n, &used);
        }
        if (chunked)
            result = http_parser_feed(&parser, (const uint8_t *)"0\r\n\r\n", 5, &used);
        assert_int_equal(result, HTTP_COMPLETE);
        struct http_request *request = http_parser_take(&parser);
        assert_int_equal(request->body->len, 300000);
        assert_int_equal(request->body->cap, 300000);
        http_request_free(request);
        http_parser_fini(&parser);
    }
}

static void test_chunked_malformed(void **state)
{
    static const char *const bodies[] = {
        /* sizes */
        "\r\n",
        "\r\nabc",
        "x\r\n",
        "g\r\n",
        "0x3\r\nabc",
        "-1\r\n",
        "+3\r\n",
        " 3\r\nabc",
        "3 \r\nabc",
        "3\t\r\nabc",
        "3 ;a\r\nabc",
        "\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\rabc",
        "3\r\r\nabc",
        "3\n\r\nabc",
        "00000000000000003\r\nabc",
        "3,3\r\n",
        "3.0\r\n",
        "3\xff\r\n",
        ";a\r\n",
        "3\x0b\r\nabc",
        /* data */
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "3\r\nabc\r\n\r\n0\r\n\r\n",
        "3\r\nabc\r\n\n",
        "3\r\nabcXX0\r\n\r\n",
        /* extensions */
        "3;\r\nabc",
        "3; a\r\nabc",
        "3;a \r\nabc",
        "3;a=\r\nabc",
        "3;a= b\r\nabc",
        "3;a =b\r\nabc",
        "3;=b\r\nabc",
        "3;a=b;\r\nabc",
        "3;a=\"b\r\nabc",
        "3;a=\"b\"c\r\nabc",
        "3;a=b\"c\"\r\nabc",
        "3;a\nabc",
        "3;a=b\nabc",
        "3;a=\"b\"\nabc",
        "3;a\x01\r\nabc",
        "3;a=\"\x01\"\r\nabc",
        "3;a=\"b\n\"\r\nabc",
        "3;\xc3\xa9\r\nabc",
        "3;a=b=c\r\nabc",
        "3;;a\r\nabc",
        "3;a=\"\\\"\r\nabc",
        "3;a=\"\\\r\nabc",
        "3;a=\\b\r\nabc",
        "0;\r\n\r\n",
        "3;a\rabc",
        /* trailers */
        "0\r\nA\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\r\r\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\r\n\r\r\n",
        "0\n\n",
        "0\n\r\n",
        "0\r\nA: \x01\r\n\r\n",
        "0\r\nA: b\x7f\r\n\r\n",
        "0\r\nA\x01: b\r\n\r\n",
        "0\r\nA: b\r\nX\r\n\r\n",
        "0\r\n0\r\n\r\n",
        "0\r\n" POST "\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char input[256];
        int len = snprintf(input, sizeof input, CHUNKED "%s", bodies[i]);
        assert_true(len > 0 && (size_t)len < sizeof input);
        check(input, "400\n");
    }
    static const char nuls[] = CHUNKED "3;a=\"b\"\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for (size_t at = sizeof CHUNKED - 1; at < sizeof nuls - 1; at++) {
        char input[sizeof nuls];
        memcpy(input, nuls, sizeof nuls);
        bool data = input[at] >= 'a' && input[at] <= 'c' && at > 10 && input[at - 1] != ';' &&
                    input[at - 1] != '"' && input[at - 1] != ' ';
        input[at] = '\0';
        char *text = driver_run(&limits, input, sizeof nuls - 1, sizeof nuls, 0);
        if (data)
            assert_string_not_equal(text, "400\n");
        else
            assert_string_equal(text, "400\n");
        free(text);
    }
}

static void test_chunked_limits(void **state)
{
    (void)state;
    check(CHUNKED "14\r\n12345678901234567890\r\n0\r\n\r\n", OK " [12345678901234567890]\n");
    check(CHUNKED "15\r\n", "413\n");
    check(CHUNKED "13\r\n1234567890123456789\r\n1\r\na\r\n0\r\n\r\n", OK " [1234567890123456789a]\n");
    check(CHUNKED "13\r\n1234567890123456789\r\n2\r\n", "413\n");
    check(CHUNKED "FFFFFFFFFFFFFFFF\r\n", "413\n");
    check(CHUNKED "10000000000000000\r\n", "413\n");
    check(CHUNKED "3\r\nabc\r\nfffffffffffffffd\r\n", "413\n");
    check(CHUNKED "8000000000000000\r\n", "413\n");
}

/* The input in which n bytes of filler stand between two texts. */
static char *filled(const char *before, char filler, size_t n, const char *after)
{
    size_t first = strlen(before), last = strlen(after);
    char *text = malloc(first + n + last + 1);
    assert_non_null(text);
    memcpy(text, before, first);
    memset(text + first, filler, n);
    memcpy(text + first + n, after, last + 1);
    return text;
}

static void check_filled(const char *before, char filler, size_t n, const char *after, const char *expected)
{
    char *input = filled(before, filler, n, after);
    char *text = driver_run(&limits, input, strlen(input), strlen(input), 0);
    /* Requests are too long to write them out: their number is what counts. */
    if (strcmp(expected, "ok") == 0)
        assert_memory_equal(text + strlen(text) - 2, "}\n", 2);
    else
        assert_string_equal(text, expected);
    free(text);
    driver_check_splits(&limits, input, strlen(input));
    free(input);
}

static void test_extra_limits(void **state)
{
    (void)state;
    /* all between size and CR counts, and whole lines of trailers */
    check_filled(CHUNKED "0;a=", 'b', 125, "\r\n\r\n", "ok");
    check_filled(CHUNKED "0;a=", 'b', 126, "\r\n\r\n", "431\n");
    check_filled(CHUNKED "0;a=", 'b', 300, "", "431\n");
    check_filled(CHUNKED "0\r\nA: ", 'b', 123, "\r\n\r\n", "ok");
    check_filled(CHUNKED "0\r\nA: ", 'b', 124, "\r\n\r\n", "431\n");
    check_filled(CHUNKED "0\r\nA: ", 'b', 300, "", "431\n");
    check_filled(CHUNKED "0\r\n", 'b', 300, "", "431\n");
    /* all chunks together */
    struct driver driver;
    driver_init(&driver, &limits);
    driver_feed(&driver, CHUNKED, strlen(CHUNKED));
    for (int i = 0; i < 20; i++)
        driver_feed(&driver, "1;abcdefgh\r\nx\r\n", 15);
    assert_string_equal(driver_end(&driver), "431\n");
    driver_fini(&driver);
}

static void test_head_limits(void **state)
{
    (void)state;
    check_filled("GET /", 'a', 63, " HTTP/1.1\r\nHost: h\r\n\r\n", "ok");
    check_filled("GET /", 'a', 64, " HTTP/1.1\r\nHost: h\r\n\r\n", "414\n");
    check_filled("GET /", 'a', 64, "", "414\n");
    check_filled("GET /", 'a', 64, "\x01", "414\n");
    check_filled("FOO /", 'a', 64, "", "414\n");
    /* "Host: h\r\nA: \r\n" are 14 bytes */
    check_filled("GET / HTTP/1.1\r\nHost: h\r\nA: ", 'b', 114, "\r\n\r\n", "ok");
    check_filled("GET / HTTP/1.1\r\nHost: h\r\nA: ", 'b', 115, "\r\n\r\n", "431\n");
    check_filled("GET / HTTP/1.1\r\nHost: h\r\nA: ", 'b', 115, "\x01", "400\n");
    check_filled("GET / HTTP/1.1\r\nHost: h\r\nA: ", 'b', 117, "", "431\n");
    check_filled("GET / HTTP/1.1\r\nHost: h\r\nA: ", 'b', 117, "\x01", "431\n");
    check_filled("GET / HTTP/1.1\r\nHost: h\r\n", 'b', 120, "", "431\n");
    check_filled("GET / HTTP/1.1\r\nHost: h\r\n", 'b', 120, "@", "431\n");
    check_filled("GET / HTTP/1.1\r\nHost: h\r\n", 'b', 119, "@", "400\n");
    check_filled("GET / HTTP/1.1\r\nHost: h\r\nA:", ' ', 300, "\r\n", "431\n");
}

static void test_field_count(void **state)
{
    static const struct http_limits wide = {.url = 10, .headers = 10000, .body = 0};
    (void)state;
    for (int extra = 99; extra <= 100; extra++) {
        struct driver driver;
        driver_init(&driver, &wide);
        driver_feed(&driver, "GET / HTTP/1.1\r\nHost: h\r\n", 25);
        for (int i = 0; i < extra; i++)
            driver_feed(&driver, "A: b\r\n", 6);
        assert_int_equal(driver.refused, extra == 100);
        driver_feed(&driver, "\r\n", 2);
        assert_string_equal(driver_end(&driver), extra == 99 ? "GET / h 1.1 keep\n" : "431\n");
        driver_fini(&driver);
    }
}

static void test_no_body_allowed(void **state)
{
    static const struct http_limits none = {.url = 10, .headers = 100, .body = 0};
    (void)state;
    char *text = driver_run(&none, POST "Content-Length: 0\r\n\r\n", strlen(POST) + 21, 100, 0);
    assert_non_null(strstr(text, OK));
    free(text);
    text = driver_run(&none, POST "Content-Length: 1\r\n\r\n", strlen(POST) + 21, 100, 0);
    assert_string_equal(text, "413\n");
    free(text);
    text = driver_run(&none, CHUNKED "1", strlen(CHUNKED) + 1, 100, 0);
    assert_string_equal(text, "413\n");
    free(text);
}

/* A head that comes byte by byte is not read again and again: what lint has looked at is all
 * but the few bytes that have a meaning only together. */
static void test_linear(void **state)
{
    static const struct http_limits wide = {.url = 8192, .headers = 16384, .body = 0};
    (void)state;
    char *target = filled("GET /", 'a', 8000, " HTTP/1.1\r\nHost: h\r\n");
    char *head = filled(target, 'B', 8000, ": c\r\nD: e\r\n\r\n");
    size_t whole = strlen(head);
    struct http_lint lint = {0};
    for (size_t len = 0; len < whole; len++) {
        assert_int_equal(http_lint_feed(&lint, &wide, head, len), HTTP_MORE);
        assert_true(lint.at <= len && lint.at + 10 > len);
    }
    assert_int_equal(http_lint_feed(&lint, &wide, head, whole), HTTP_COMPLETE);
    assert_int_equal(lint.at, whole);
    assert_int_equal(lint.n_fields, 3);
    free(target);
    free(head);
}

/* Bodies that are larger than what the parser allocates at once. */
static void test_large(void **state)
{
    static const struct http_limits wide = {.url = 100, .headers = 1000, .body = 300000};
    static const size_t pieces[] = {300, 65536, 65537, 1000000};
    (void)state;
    char *body = malloc(300000);
    assert_non_null(body);
    for (size_t i = 0; i < 300000; i++)
        body[i] = (char)(i * 7 + i / 256);
    for (size_t i = 0; i < 2 * (sizeof pieces / sizeof *pieces); i++) {
        size_t piece = pieces[i / 2];
        const char *head = i % 2 ? CHUNKED "493E0\r\n" : POST "Content-Length: 300000\r\n\r\n";
        struct http_parser parser;
        size_t used;
        assert_int_equal(http_parser_init(&parser, &wide), 0);
        assert_int_equal(http_parser_feed(&parser, (const uint8_t *)head, strlen(head), &used),
                         HTTP_HEAD_DONE);
        head += used;
        assert_int_equal(http_parser_feed(&parser, (const uint8_t *)head, strlen(head), &used), HTTP_MORE);
        for (size_t at = 0; at < 300000; at += piece) {
            size_t len = 300000 - at < piece ? 300000 - at : piece;
            enum http_parse result = http_parser_feed(&parser, (const uint8_t *)body + at, len, &used);
            assert_int_equal(result, i % 2 == 0 && at + len == 300000 ? HTTP_COMPLETE : HTTP_MORE);
            assert_int_equal(used, len);
        }
        if (i % 2)
            assert_int_equal(http_parser_feed(&parser, (const uint8_t *)"\r\n0\r\n\r\n", 7, &used),
                             HTTP_COMPLETE);
        struct http_request *request = http_parser_take(&parser);
        assert_int_equal(request->body->len, 300000);
        assert_memory_equal(request->body->data, body, 300000);
        http_request_free(request);
        http_parser_fini(&parser);
    }
    free(body);
}

/* What belongs to a parser that ends in the middle of a request is freed. */
static void test_fini(void **state)
{
    static const char whole[] = POST "Content-Length: 5\r\n\r\nabcde";
    (void)state;
    for (size_t len = 0; len < sizeof whole; len++) {
        struct driver driver;
        driver_init(&driver, &limits);
        driver_feed(&driver, whole, len);
        driver_fini(&driver);
    }
    struct http_parser parser;
    size_t used;
    assert_int_equal(http_parser_init(&parser, &limits), 0);
    assert_int_equal(http_parser_feed(&parser, (const uint8_t *)whole, sizeof whole - 1, &used),
                     HTTP_HEAD_DONE);
    assert_null(http_parser_take(&parser));
    http_parser_fini(&parser);
    http_parser_fini(&parser);
    http_parser_fini(NULL);
    http_request_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length),          cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_memory),          cmocka_unit_test(test_chunked_malformed),
        cmocka_unit_test(test_chunked_limits),  cmocka_unit_test(test_extra_limits),
        cmocka_unit_test(test_head_limits),     cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_no_body_allowed), cmocka_unit_test(test_linear),
        cmocka_unit_test(test_large),           cmocka_unit_test(test_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
