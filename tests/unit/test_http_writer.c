/* Heads of responses, byte for byte. */
#include "http/writer.h"

#include "http/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DATE "Date: @\r\n" /* stands for the true one, which check() takes out */
#define TEXT "Content-Type: text/plain;charset=UTF-8\r\n"

/* Is it the line for one of the seconds from first to last? */
static bool is_date(const char *line, size_t len, time_t first, time_t last)
{
    for (time_t second = first; second <= last; second++) {
        struct tm utc;
        char expected[100];
        gmtime_r(&second, &utc);
        size_t n = strftime(expected, sizeof expected, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
        if (n == len && memcmp(line, expected, n) == 0)
            return true;
    }
    return false;
}

static void check(const struct http_response *response, struct http_write_options options,
                  const char *expected)
{
    struct buf out = {0};
    assert_int_equal(buf_append(&out, "before", 6), 0);
    time_t first = time(NULL);
    assert_int_equal(http_write_head(&out, response, &options), 0);
    time_t last = time(NULL);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_memory_equal(out.data, "before", 6);
    char *text = (char *)out.data + 6;
    char *date = strstr(text, "\r\nDate: ");
    assert_non_null(date);
    date += 2;
    size_t len = strcspn(date, "\n") + 1;
    assert_true(is_date(date, len, first, last));
    memmove(date + strlen(DATE), date + len, strlen(date + len) + 1);
    memcpy(date, DATE, strlen(DATE));
    assert_string_equal(text, expected);
    buf_fini(&out);
}

static struct bytes *bytes(const char *text)
{
    struct bytes *copy = bytes_copy(text, strlen(text));
    assert_non_null(copy);
    return copy;
}

static void test_plain(void **state)
{
    (void)state;
    struct http_write_options none = {0};
    struct http_response *response = http_response_text(200, "OK");
    check(response, none, "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 2\r\n\r\n");
    assert_ptr_equal(http_write_body(response, &none), response->body);
    assert_memory_equal(response->body->data, "OK", 2);
    http_response_free(response);

    response = http_response_text(404, "");
    check(response, none, "HTTP/1.1 404 Not Found\r\n" DATE "Content-Length: 0\r\n\r\n");
    assert_null(http_write_body(response, &none));
    http_response_free(response);

    response = http_response_new(599);
    check(response, none, "HTTP/1.1 599 Unknown\r\n" DATE "Content-Length: 0\r\n\r\n");
    http_response_free(response);
    http_response_free(NULL);
}

static void test_whole(void **state)
{
    (void)state;
    struct http_response *response = http_response_new(201);
    response->reason = bytes("Made it");
    response->headers = bytes("X-A: b\r\nContent-Type: image/png\r\n");
    response->has_type = true;
    response->body = bytes_new(1234567);
    assert_non_null(response->body);
    struct http_write_options options = {.extra = SPAN("Access-Control-Allow-Origin: *\r\n")};
    check(response, options,
          "HTTP/1.1 201 Made it\r\n" DATE
          "X-A: b\r\nContent-Type: image/png\r\nAccess-Control-Allow-Origin: *\r\n"
          "Content-Length: 1234567\r\n\r\n");
    response->has_type = false;
    bytes_unref(response->headers);
    response->headers = NULL;
    bytes_unref(response->reason);
    response->reason = bytes("");
    check(response, options,
          "HTTP/1.1 201 \r\n" DATE "Access-Control-Allow-Origin: *\r\n" TEXT
          "Content-Length: 1234567\r\n\r\n");
    http_response_free(response);
}

static void test_options(void **state)
{
    (void)state;
    struct http_response *response = http_response_text(200, "abc");
    check(response, (struct http_write_options){.close = true},
          "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 3\r\nConnection: close\r\n\r\n");
    check(response, (struct http_write_options){.keep_alive = true},
          "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n");
    check(response, (struct http_write_options){.keep_alive = true, .close = true},
          "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 3\r\nConnection: close\r\n\r\n");
    struct http_write_options head = {.head_only = true};
    check(response, head, "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 3\r\n\r\n");
    assert_null(http_write_body(response, &head));
    http_response_free(response);
}

/* A body where there may be none is neither announced nor sent. */
static void test_bodyless(void **state)
{
    (void)state;
    struct http_write_options none = {0};
    static const struct {
        int status;
        const char *expected;
    } cases[] = {
        {204, "HTTP/1.1 204 No Content\r\n" DATE "\r\n"},
        {205, "HTTP/1.1 205 Reset Content\r\n" DATE "Content-Length: 0\r\n\r\n"},
        {304, "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_response *response = http_response_new(cases[i].status);
        check(response, none, cases[i].expected);
        response->body = bytes("abc");
        check(response, none, cases[i].expected);
        assert_null(http_write_body(response, &none));
        http_response_free(response);
    }
}

static unsigned n_closed;

static void close_source(struct http_source *source)
{
    (void)source;
    n_closed++;
}

/* A body that comes in pieces is announced like another, and closed with its response. */
static void test_source(void **state)
{
    (void)state;
    struct http_write_options none = {0}, head = {.head_only = true};
    struct http_source source = {.length = 5000000000, .close = close_source};
    struct http_response *response = http_response_new(206);
    response->source = &source;
    check(response, none, "HTTP/1.1 206 Partial Content\r\n" DATE TEXT "Content-Length: 5000000000\r\n\r\n");
    check(response, head, "HTTP/1.1 206 Partial Content\r\n" DATE TEXT "Content-Length: 5000000000\r\n\r\n");
    assert_null(http_write_body(response, &none));
    assert_ptr_equal(http_write_source(response, &none), &source);
    assert_null(http_write_source(response, &head));
    response->status = 304;
    check(response, none, "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n");
    assert_null(http_write_source(response, &none));
    response->status = 200;
    source.length = 0;
    check(response, none, "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n");
    assert_null(http_write_source(response, &none));
    http_response_free(response);
    assert_int_equal(n_closed, 1);
}

/* A body whose length nobody knows comes in chunks, or ends with the connection. */
static void test_unknown_length(void **state)
{
    (void)state;
    struct http_write_options chunked = {.chunked = true}, old = {.close = true};
    struct http_write_options head = {.chunked = true, .head_only = true};
    struct http_source source = {.length = HTTP_LENGTH_UNKNOWN, .close = close_source};
    struct http_response *response = http_response_new(200);

    n_closed = 0;
    response->source = &source;
    check(response, chunked, "HTTP/1.1 200 OK\r\n" DATE TEXT "Transfer-Encoding: chunked\r\n\r\n");
    check(response, head, "HTTP/1.1 200 OK\r\n" DATE TEXT "Transfer-Encoding: chunked\r\n\r\n");
    check(response, old, "HTTP/1.1 200 OK\r\n" DATE TEXT "Connection: close\r\n\r\n");
    assert_ptr_equal(http_write_source(response, &chunked), &source);
    assert_null(http_write_source(response, &head));
    response->status = 204;
    check(response, chunked, "HTTP/1.1 204 No Content\r\n" DATE "\r\n");
    assert_null(http_write_source(response, &chunked));
    http_response_free(response);
    assert_int_equal(n_closed, 1);
}

static void test_chunk_heads(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *head;
    } cases[] = {{1, "1\r\n"},
                 {9, "9\r\n"},
                 {10, "a\r\n"},
                 {15, "f\r\n"},
                 {16, "10\r\n"},
                 {255, "ff\r\n"},
                 {256, "100\r\n"},
                 {65536, "10000\r\n"},
                 {0xdeadbeef, "deadbeef\r\n"},
                 {SIZE_MAX, "ffffffffffffffff\r\n"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[HTTP_CHUNK_HEAD_MAX];
        size_t len = http_chunk_head(head, cases[i].len);
        assert_int_equal(len, strlen(cases[i].head));
        assert_memory_equal(head, cases[i].head, len);
    }
}

/* Every status, and lengths of every number of digits, behind each other in one buffer. */
static void test_numbers(void **state)
{
    (void)state;
    struct buf out = {0};
    struct http_write_options none = {0};
    for (int status = 200; status < 600; status++) {
        struct http_response response = {.status = status};
        char expected[80];
        out.len = 0;
        assert_int_equal(http_write_head(&out, &response, &none), 0);
        int n = snprintf(expected, sizeof expected, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
        assert_memory_equal(out.data, expected, (size_t)n);
    }
    out.len = 0;
    for (size_t len = 1; len < SIZE_MAX / 10; len *= 10) {
        struct bytes body = {.refs = 1, .len = len}; /* only its length is looked at */
        struct http_response response = {.status = 200, .body = &body};
        char expected[60];
        assert_int_equal(http_write_head(&out, &response, &none), 0);
        int n = snprintf(expected, sizeof expected, "Content-Length: %zu\r\n\r\n", len);
        assert_memory_equal(out.data + out.len - (size_t)n, expected, (size_t)n);
    }
    buf_fini(&out);
}

/* Each part counts, as the memory that it takes. */
static void test_sizes(void **state)
{
    (void)state;
    struct http_response *response = http_response_new(200);
    struct bytes **const parts[] = {&response->reason, &response->headers, &response->body};

    assert_int_equal(http_response_size(NULL), 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t before = http_response_size(response);
        assert_true(before >= sizeof *response);
        *parts[i] = bytes_new(100000);
        assert_non_null(*parts[i]);
        assert_int_equal(http_response_size(response) - before, bytes_cost(*parts[i]));
    }
    http_response_free(response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),          cmocka_unit_test(test_whole),
        cmocka_unit_test(test_options),        cmocka_unit_test(test_bodyless),
        cmocka_unit_test(test_source),         cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_unknown_length), cmocka_unit_test(test_chunk_heads),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
