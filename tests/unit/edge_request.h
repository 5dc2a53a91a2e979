/* Requests out of text, for tests of what edge reads in them. */
#pragma once

#include "base/buf.h"
#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A request as the parser makes it, out of its head's lines; NULL where it is refused. */
static inline struct http_request *request_of(const char *text)
{
    static const struct http_limits limits = {.url = 8192, .headers = 16384, .body = 0};
    struct http_parser parser;
    size_t used, len = strlen(text);
    struct http_request *request = NULL;

    assert_int_equal(http_parser_init(&parser, &limits), 0);
    if (http_parser_feed(&parser, (const uint8_t *)text, len, &used) == HTTP_HEAD_DONE &&
        http_parser_feed(&parser, (const uint8_t *)text + used, len - used, &used) == HTTP_COMPLETE)
        request = http_parser_take(&parser);
    http_parser_fini(&parser);
    return request;
}
