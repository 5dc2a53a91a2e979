/* The rules for a request's head that llhttp does not have (RFC 9112 §2 to §6, RFC 9110 §5
 * to §7). For the parser alone: it hands over the head as it arrives, and asks llhttp only
 * about one that has passed.
 *
 * Each byte is looked at once, however small the pieces are in which a head comes, and what
 * is wrong is refused as soon as it can be seen, not when the head is complete. Nothing is
 * stored but offsets, since the caller's bytes may move between two calls. */
#pragma once

#include "http/parser.h"

/* Zeroed memory is a head of which nothing has come yet. */
struct http_lint {
    size_t at;       /* bytes that were looked at; once complete, the head's length */
    size_t start;    /* where the part or line begins in which `at` lies */
    size_t name_len; /* of the field whose value is being read */
    uint8_t part;    /* which part of the head that is */

    /* What the head says. All offsets are from its first byte. */
    size_t method_len;
    size_t target_at, target_len; /* as sent */
    size_t path_at;               /* in the target: behind an absolute-form's authority, else target_at */
    size_t host_at, host_len;     /* the absolute-form's, else the Host field's */
    size_t fields_at;             /* the first field line */
    unsigned n_fields;
    uint64_t content_length;
    uint8_t minor;        /* HTTP/1.minor */
    bool absolute;        /* the target is in absolute-form */
    bool has_host;        /* there is a Host field */
    bool has_length;      /* there is a Content-Length */
    bool chunked;         /* there is a Transfer-Encoding, and it is "chunked" */
    bool close, persist;  /* Connection: close, keep-alive */
    bool upgrade;         /* Connection: upgrade */
    bool websocket;       /* Upgrade: websocket */
    bool expect_continue; /* Expect: 100-continue; never set in HTTP/1.0 */

    int status;       /* HTTP_REFUSED */
    const char *text; /* HTTP_REFUSED: a literal */
};

/* Looks at what is new in the len bytes of a head at data, which begin with its first byte and
 * with all that earlier calls have seen. HTTP_MORE, HTTP_COMPLETE (what lies behind lint->at is
 * not the head's), or HTTP_REFUSED (final). */
enum http_parse http_lint_feed(struct http_lint *lint, const struct http_limits *limits, const char *data,
                               size_t len);
