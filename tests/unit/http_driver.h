/* Feeds a parser as a connection does: what it leaves comes again in front of the next piece,
 * each time as a block of memory of its own and of exactly its length, so that a sanitizer sees
 * who reads too far or keeps a pointer. What comes out is written as text, for tests to compare. */
#pragma once

#include "base/buf.h"
#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct driver {
    struct http_parser parser;
    struct buf left; /* what the parser left */
    struct buf out;  /* what came out, as text */
    bool refused, upgraded;
    bool with_fields; /* write the fields of requests too */
};

static inline void driver_init(struct driver *driver, const struct http_limits *limits)
{
    *driver = (struct driver){0};
    assert_int_equal(http_parser_init(&driver->parser, limits), 0);
}

static inline void driver_fini(struct driver *driver)
{
    http_parser_fini(&driver->parser);
    buf_fini(&driver->left);
    buf_fini(&driver->out);
}

static inline void driver_say(struct driver *driver, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    assert_int_equal(buf_vprintf(&driver->out, format, args), 0);
    va_end(args);
}

/* METHOD target host 1.x keep|close [upgrade] [expect] [{fields}] [body] */
static inline void driver_say_request(struct driver *driver, const struct http_request *request, bool expect)
{
    struct span target = request->path;
    driver_say(driver, "%.*s %.*s", (int)request->method.len, request->method.ptr, (int)target.len,
               target.ptr);
    if (request->query.ptr)
        driver_say(driver, "?%.*s", (int)request->query.len, request->query.ptr);
    size_t whole = request->path.len + (request->query.ptr ? request->query.len + 1 : 0);
    assert_int_equal(request->target.len, whole);
    assert_ptr_equal(request->target.ptr, request->path.ptr);
    if (request->host.ptr)
        driver_say(driver, " %.*s", (int)request->host.len, request->host.ptr);
    else
        driver_say(driver, " -");
    driver_say(driver, " 1.%d %s", request->minor, request->keep_alive ? "keep" : "close");
    driver_say(driver, "%s%s", request->upgrade ? " upgrade" : "", expect ? " expect" : "");
    if (driver->with_fields) {
        driver_say(driver, " {");
        for (size_t i = 0; i < request->n_headers; i++)
            driver_say(driver, "%.*s=%.*s;", (int)request->headers[i].name.len, request->headers[i].name.ptr,
                       (int)request->headers[i].value.len, request->headers[i].value.ptr);
        driver_say(driver, "}");
    }
    if (request->body)
        driver_say(driver, " [%.*s]", (int)request->body->len, (const char *)request->body->data);
    driver_say(driver, "\n");
}

/* One more piece of what the client sends. Nothing happens behind a refusal or an upgrade. */
static inline void driver_feed(struct driver *driver, const char *data, size_t len)
{
    struct http_parser *parser = &driver->parser;
    assert_int_equal(buf_append(&driver->left, data, len), 0);
    while (!driver->refused && !driver->upgraded) {
        size_t have = driver->left.len, used = SIZE_MAX;
        uint8_t *copy = have ? malloc(have) : NULL;
        if (have) {
            assert_non_null(copy);
            memcpy(copy, driver->left.data, have);
        }
        enum http_parse result = http_parser_feed(parser, copy, have, &used);
        free(copy);
        assert_true(used <= have);
        buf_consume(&driver->left, used);
        switch (result) {
        case HTTP_MORE:
            assert_true(!parser->in_body || used == have);
            assert_true(!parser->started || parser->in_body || driver->left.len > 0);
            return;
        case HTTP_HEAD_DONE:
            assert_non_null(parser->request);
            assert_true(parser->started);
            assert_true(parser->in_body || !parser->expect_continue);
            break;
        case HTTP_COMPLETE: {
            assert_false(parser->in_body || parser->started);
            bool expect = parser->expect_continue;
            struct http_request *request = http_parser_take(parser);
            assert_non_null(request);
            assert_null(parser->request);
            driver_say_request(driver, request, expect);
            driver->upgraded = request->upgrade;
            http_request_free(request);
            assert_null(http_parser_take(parser));
            break;
        }
        case HTTP_REFUSED:
            assert_true(parser->status >= 400 && parser->status < 600);
            assert_non_null(parser->text);
            driver_say(driver, "%d\n", parser->status);
            driver->refused = true;
            break;
        }
    }
}

/* The text, ended by what is still open: "head" or "body" of a request that has begun, and
 * "left N" for bytes that nobody may look at behind an upgrade. */
static inline const char *driver_end(struct driver *driver)
{
    if (driver->upgraded && driver->left.len)
        driver_say(driver, "left %zu\n", driver->left.len);
    else if (!driver->refused && driver->parser.started)
        driver_say(driver, driver->parser.in_body ? "body\n" : "head\n");
    assert_int_equal(buf_append(&driver->out, "", 1), 0);
    return (const char *)driver->out.data;
}

/* The input in pieces of one length, in two that meet at a place, or whole. */
static inline char *driver_run(const struct http_limits *limits, const char *input, size_t len, size_t piece,
                               size_t split)
{
    struct driver driver;
    driver_init(&driver, limits);
    driver.with_fields = true;
    if (split)
        driver_feed(&driver, input, split);
    for (size_t at = split; at < len; at += piece)
        driver_feed(&driver, input + at, len - at < piece ? len - at : piece);
    char *text = strdup(driver_end(&driver));
    assert_non_null(text);
    driver_fini(&driver);
    return text;
}

/* Is the outcome the same whole, byte by byte, and split in two at every place? */
static inline void driver_check_splits(const struct http_limits *limits, const char *input, size_t len)
{
    char *whole = driver_run(limits, input, len, len, 0);
    char *bytes = driver_run(limits, input, len, 1, 0);
    assert_string_equal(bytes, whole);
    free(bytes);
    for (size_t split = 1; split < len; split++) {
        char *two = driver_run(limits, input, len, len, split);
        if (strcmp(two, whole) != 0)
            print_error("split at %zu of %.*s\n", split, (int)len, input);
        assert_string_equal(two, whole);
        free(two);
    }
    free(whole);
}

/* Is this what comes out of the input, whole and in pieces? Fields are compared where expected has
 * some. */
static inline void driver_check(const struct http_limits *limits, const char *input, const char *expected)
{
    struct driver driver;
    driver_init(&driver, limits);
    driver.with_fields = strstr(expected, " {") != NULL;
    driver_feed(&driver, input, strlen(input));
    const char *text = driver_end(&driver);
    if (strcmp(text, expected) != 0)
        print_error("%s\n%s\n", input, driver.parser.text ? driver.parser.text : "not refused");
    assert_string_equal(text, expected);
    driver_fini(&driver);
    driver_check_splits(limits, input, strlen(input));
}
