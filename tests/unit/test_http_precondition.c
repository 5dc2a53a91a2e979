/* Conditional requests (RFC 9110 §13), with their precedence. */
#include "http/precondition.h"

#include "request_text.h"

#define MODIFIED INT64_C(784111777)
#define SAME "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

static struct http_validators validators(bool strong)
{
    return (struct http_validators){strong ? SPAN("\"abc\"") : SPAN("W/\"abc\""), MODIFIED, strong,
                                    1790000000};
}

struct expected {
    const char *headers;
    int strong, weak; /* what it leads to */
};

static void check(const struct expected *cases, size_t n, int (*ask)(const char *headers, bool strong))
{
    for (size_t i = 0; i < n; i++) {
        int strong = ask(cases[i].headers, true), weak = ask(cases[i].headers, false);
        if (strong != cases[i].strong || weak != cases[i].weak)
            fail_msg("%s: %d and %d, not %d and %d", cases[i].headers, strong, weak, cases[i].strong,
                     cases[i].weak);
    }
}

static int precondition(const char *headers, bool strong)
{
    struct http_validators is = validators(strong);
    struct http_request *request = request_of("GET", "/", headers);
    int status = http_precondition(request, &is);
    http_request_free(request);
    return status;
}

static void preconditions(void **state)
{
    static const struct expected cases[] = {
        {"", 0, 0},
        /* If-None-Match: weak comparison */
        {"If-None-Match: \"abc\"\r\n", 304, 304},
        {"If-None-Match: W/\"abc\"\r\n", 304, 304},
        {"If-None-Match: *\r\n", 304, 304},
        {"If-None-Match: \"x\", W/\"y\" ,\"abc\"\r\n", 304, 304},
        {"If-None-Match: \"x\",,\"abc\"\r\n", 304, 304},
        {"If-None-Match: \"x\"\r\nIf-None-Match: \"abc\"\r\n", 304, 304},
        {"If-None-Match: \"x,\"\"abc\"\r\n", 304, 304},
        {"If-None-Match: \"x, \"\r\n", 0, 0},
        {"If-None-Match: \"ab\"\r\n", 0, 0},
        {"If-None-Match: \"ABC\"\r\n", 0, 0},
        {"If-None-Match: abc\r\n", 0, 0},
        {"If-None-Match: \"abc\r\n", 0, 0},
        {"If-None-Match: w/\"abc\"\r\n", 0, 0},
        {"If-None-Match: W/\r\n", 0, 0},
        {"If-None-Match: W/abc\r\n", 0, 0},
        {"If-None-Match: \"\"\r\n", 0, 0},
        {"If-None-Match:\r\n", 0, 0},
        {"If-None-Match: *, \"x\"\r\n", 0, 0},
        /* If-Modified-Since */
        {"If-Modified-Since: " SAME "\r\n", 304, 304},
        {"If-Modified-Since: " AFTER "\r\n", 304, 304},
        {"If-Modified-Since: " BEFORE "\r\n", 0, 0},
        {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304, 304},
        {"If-Modified-Since: soon\r\n", 0, 0},
        /* … which counts for nothing beside an If-None-Match */
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: " AFTER "\r\n", 0, 0},
        {"If-Modified-Since: " BEFORE "\r\nIf-None-Match: \"abc\"\r\n", 304, 304},
        /* If-Match: strong comparison */
        {"If-Match: \"abc\"\r\n", 0, 412},
        {"If-Match: \"x\", \"abc\"\r\n", 0, 412},
        {"If-Match: W/\"abc\"\r\n", 412, 412},
        {"If-Match: \"x\"\r\n", 412, 412},
        {"If-Match: *\r\n", 0, 0},
        {"If-Match: abc\r\n", 412, 412},
        {"If-Match: \"x\"\r\nIf-None-Match: \"abc\"\r\n", 412, 412},
        {"If-Match: *\r\nIf-None-Match: \"abc\"\r\n", 304, 304},
        /* If-Unmodified-Since, which counts for nothing beside an If-Match */
        {"If-Unmodified-Since: " SAME "\r\n", 0, 0},
        {"If-Unmodified-Since: " AFTER "\r\n", 0, 0},
        {"If-Unmodified-Since: " BEFORE "\r\n", 412, 412},
        {"If-Unmodified-Since: never\r\n", 0, 0},
        {"If-Match: *\r\nIf-Unmodified-Since: " BEFORE "\r\n", 0, 0},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: \"abc\"\r\n", 412, 412},
    };
    (void)state;
    check(cases, sizeof cases / sizeof *cases, precondition);
}

static int if_range(const char *headers, bool strong)
{
    struct http_validators is = validators(strong);
    struct http_request *request = request_of("GET", "/", headers);
    bool honoured = http_if_range(request, &is);
    http_request_free(request);
    return honoured;
}

static void ranges(void **state)
{
    static const struct expected cases[] = {
        {"", 1, 1},
        {"If-Range: \"abc\"\r\n", 1, 0},
        {"If-Range: W/\"abc\"\r\n", 0, 0},
        {"If-Range: \"x\"\r\n", 0, 0},
        {"If-Range: \"abc\", \"x\"\r\n", 0, 0},
        {"If-Range: " SAME "\r\n", 1, 0},
        {"If-Range: " AFTER "\r\n", 0, 0},
        {"If-Range: " BEFORE "\r\n", 0, 0},
        {"If-Range: *\r\n", 0, 0},
        {"If-Range: abc\r\n", 0, 0},
        {"If-Range:\r\n", 0, 0},
    };
    (void)state;
    check(cases, sizeof cases / sizeof *cases, if_range);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preconditions),
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
