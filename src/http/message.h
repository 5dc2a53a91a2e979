/* Requests and responses of HTTP/1.1 as plain data (RFC 9110, RFC 9112). Rooms and scripts
 * read them; nothing here parses or writes. */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct http_header {
    struct span name, value; /* as sent, blanks around the value gone */
};

/* A request, whole. One allocation holds the head's text, to which all spans point. */
struct http_request {
    struct span method;  /* upper case, a method of RFC 9110 §9 or RFC 5789 (PATCH) */
    struct span target;  /* origin-form, or what an absolute-form names: begins with "/"; no fragment.
                          * "*" for "OPTIONS *" alone */
    struct span path;    /* of target, still percent-encoded */
    struct span query;   /* behind "?", without it; ptr NULL when there is no "?" */
    struct span subpath; /* of path, behind the room; set by the router; "/" at least; ptr NULL: no room */
    struct span host;    /* of the absolute-form, else of the Host field; valid as a host, maybe empty;
                          * ptr NULL when HTTP/1.0 named none */
    uint8_t minor;       /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;     /* the client wants the connection to go on */
    bool secure;         /* it came by TLS, to us or to a proxy that is trusted */
    bool upgrade;        /* "Connection: upgrade" and an Upgrade field that names websocket; HTTP/1.0
                          * and requests with a body too, which must be refused */
    char remote[ADDRESS_TEXT_MAX]; /* the client's address: the peer's, or what a trusted proxy says */
    struct bytes *body;            /* owned; NULL when empty */
    size_t size;                   /* bytes of this allocation, the body's not counted */
    size_t n_headers;
    struct http_header *headers; /* in the order sent; inside this allocation */
};

/* What a request is made of that no client has sent. */
struct http_request_parts {
    struct span method, target; /* as in a request; target in origin-form */
    size_t subpath;             /* where in the target it begins */
    const struct http_header *headers;
    size_t n_headers;
    struct bytes *body; /* a reference, the request's then; NULL: none */
};

/* Bytes that it will have (size). */
size_t http_request_parts_size(const struct http_request_parts *parts);

/* A request of HTTP/1.1 with copies of these. NULL: no memory, and the body is the caller's still. */
struct http_request *http_request_make(const struct http_request_parts *parts)
    __attribute__((warn_unused_result));

/* The value of the first field with this name (any case); ptr NULL when there is none. */
struct span http_request_header(const struct http_request *request, const char *name);

/* Does a comma-separated field (all its lines) have this token, in any case? */
bool http_request_has_token(const struct http_request *request, const char *name, const char *token);

/* A copy that shares the body. NULL when there is no memory. */
struct http_request *http_request_copy(const struct http_request *request)
    __attribute__((warn_unused_result));

/* The same request with other header fields (n copies), in one allocation again; it takes the body over. NULL: no
 * memory, and nothing has changed. */
struct http_request *http_request_rewrite(struct http_request *request, const struct http_header *headers,
                                          size_t n) __attribute__((warn_unused_result));

/* Frees the request and its body. Accepts NULL. */
void http_request_free(struct http_request *request);

/* Where a body goes that comes in pieces; whoever sends it. */
struct http_sink {
    /* The next piece that was asked for, not empty; the reference is the callee's. NULL: there is none
     * though some was promised, so the answer can't be completed. */
    void (*piece)(struct http_sink *sink, struct bytes *piece);
    /* In its place: all was given, of a source of unknown length. NULL in a sink that never asks one of those. */
    void (*end)(struct http_sink *sink);
};

/* The length of a body that is made while it is sent. */
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

/* A body that is not in memory as a whole: a file, or what a script writes. */
struct http_source {
    uint64_t length; /* bytes, or HTTP_LENGTH_UNKNOWN */
    /* Asks for the next piece, one at a time: sink->piece (or end) is called once, later, never from within. One
     * of unknown length may take any time for it. */
    void (*pull)(struct http_source *source, struct http_sink *sink);
    /* No more is wanted, though a piece may have been asked for: it is not given any more. The source is
     * gone for the caller. */
    void (*close)(struct http_source *source);
};

/* What was wrong in a script, for its author's eyes. Texts may be of any bytes. */
struct http_problem {
    char *title;     /* owned; where it happened: "onRequest, room lobby of the party chat" */
    char *message;   /* owned */
    char *file;      /* owned; path in the project; NULL: not known */
    int line;        /* 0: not known */
    char *traceback; /* owned; lines; NULL: none */
    char *source;    /* owned; lines of the file around the line; NULL: none */
};

/* NULL when there is no memory. */
struct http_problem *http_problem_copy(const struct http_problem *problem)
    __attribute__((warn_unused_result));

/* Accepts NULL. */
void http_problem_free(struct http_problem *problem);

/* A response, whole but for a body that comes in pieces. */
struct http_response {
    int status;           /* 200 to 599 */
    struct bytes *reason; /* owned; NULL: the status's own phrase */
    /* Owned; whole lines "Name: value\r\n", already checked, none of those that the writer adds (writer.h) but
     * Content-Type; NULL: none. */
    struct bytes *headers;
    struct bytes *body; /* owned; NULL: empty */
    bool has_type;      /* headers holds a Content-Type */
    /* Owned; shown in the place of the body, in the form that the client prefers; NULL: none. */
    struct http_problem *problem;
    struct http_source *source; /* owned; the body comes from here, and body is NULL; else NULL */
};

/* Empty with a status. NULL when there is no memory. */
struct http_response *http_response_new(int status) __attribute__((warn_unused_result));

/* A response of plain text. NULL when there is no memory. */
struct http_response *http_response_text(int status, const char *text) __attribute__((warn_unused_result));

/* Bytes that it takes in memory, but for what is not its content: problem and source. Accepts NULL. */
size_t http_response_size(const struct http_response *response);

/* Frees it and what it owns. Accepts NULL. */
void http_response_free(struct http_response *response);
