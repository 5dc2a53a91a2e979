/* Conditional requests (RFC 9110 §13): is what the client has still what there is? */
#pragma once

#include "http/message.h"

/* What tells one version of a resource from another (§8.8). */
struct http_validators {
    struct span etag; /* with its quotes, and W/ before them if it is weak */
    int64_t modified; /* seconds since 1970 */
    bool strong;      /* same validator, same bytes: of both, since both come from the same clock */
    int64_t now;      /* seconds since 1970, for reading dates */
};

/* What a GET or HEAD of a resource that is there leads to, with the precedence of §13.2.2: 0 (go on), 304,
 * or 412. */
int http_precondition(const struct http_request *request, const struct http_validators *validators);

/* May the request's Range be honoured? Not if it has an If-Range that fits no more (§13.1.5). */
bool http_if_range(const struct http_request *request, const struct http_validators *validators);
