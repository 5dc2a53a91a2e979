/* Requests out of text, for tests of what reads them. */
#pragma once

#include "base/buf.h"
#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Parses a request of this method and path with these header lines ("Name: value\r\n"); the caller's. */
static inline struct http_request *request_of(const char *method, const char *path, const char *headers)
{
    static const struct http_limits limits = {.url = 65536, .headers = 65536, .body = 0};
    struct http_parser parser = {0};
    struct buf text = {0};
    size_t total = 0, used = 0;

    assert_int_equal(http_parser_init(&parser, &limits), 0);
    assert_int_equal(buf_printf(&text, "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, path, headers), 0);
    enum http_parse result = HTTP_HEAD_DONE;
    while (result == HTTP_HEAD_DONE) {
        result = http_parser_feed(&parser, text.data + total, text.len - total, &used);
        total += used;
    }
    if (result != HTTP_COMPLETE)
        fail_msg("%.*s: %s", (int)text.len, (const char *)text.data, parser.text);
    struct http_request *request = http_parser_take(&parser);
    http_parser_fini(&parser);
    buf_fini(&text);
    return request;
}
