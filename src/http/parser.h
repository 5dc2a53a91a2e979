/* Reads requests from a connection's bytes: llhttp, behind rules of our own that it does
 * not have (lint.h for the head, chunked.h for the body). Knows no sockets: bytes in, requests
 * out.
 *
 * A head is parsed when it is there in one piece, so the caller keeps what is left over
 * and gives it again with what follows. */
#pragma once

#include "http/message.h"

struct http_limits {
    size_t url, headers, body; /* bytes; headers also bounds a body's chunk extensions and trailers */
};

enum http_parse {
    HTTP_MORE,      /* all usable bytes were used; more are needed */
    HTTP_HEAD_DONE, /* a head is complete: parser->request tells what it asks for. The body is next */
    HTTP_COMPLETE,  /* the request is complete: take it with http_parser_take */
    HTTP_REFUSED,   /* parser->status and parser->text say what to answer; the connection must end */
};

/* One for each HTTP connection. Zeroed memory plus http_parser_init. */
struct http_parser {
    const struct http_limits *limits;
    struct http_request *request; /* owned until taken; NULL between requests */
    int status;                   /* HTTP_REFUSED: 400, 413, 414, 417, 431, 501, 503 (no memory), 505 */
    const char *text;             /* HTTP_REFUSED: one line for the client; a literal */
    bool expect_continue;         /* after HTTP_HEAD_DONE: an HTTP/1.1 client wants "100 Continue" before it
                                   * sends the body (RFC 9110 §10.1.1). The caller leaves it out when
                                   * bytes of the body are there already, or another answer is */
    bool in_body;                 /* after HTTP_HEAD_DONE: it announced a body, whose end has not come yet */
    bool started;                 /* bytes of a request have been seen, its end not yet */
    struct http_parser_state *state; /* llhttp and the body; owned */
};

/* 0 or -ENOMEM. The limits must outlive it. */
int http_parser_init(struct http_parser *parser, const struct http_limits *limits)
    __attribute__((warn_unused_result));

/* Frees what it owns, a request that was not taken too. */
void http_parser_fini(struct http_parser *parser);

/* Frees the request that is being read, or was refused; the parser can't go on. The connection may take a while
 * to end. */
void http_parser_drop(struct http_parser *parser);

/* Looks at len bytes; *used says how many were used, the others must come again in front of
 * what follows. Call again after HTTP_HEAD_DONE, even when no bytes are left, and after HTTP_COMPLETE
 * once the request was taken. After HTTP_REFUSED it may not be called again.
 * A head over its limits, or with a length over `body`, is refused before it is stored, and
 * what can't become a request before it is complete. Bytes behind a request are not looked at:
 * after an upgrade, or where the connection ends with it, they are the caller's. */
enum http_parse http_parser_feed(struct http_parser *parser, const uint8_t *data, size_t len, size_t *used)
    __attribute__((warn_unused_result));

/* The request, now the caller's; the parser is ready for the next one. NULL unless the last
 * answer was HTTP_COMPLETE. remote and secure are for the caller to fill in. */
struct http_request *http_parser_take(struct http_parser *parser);
