/* Writes responses as bytes (RFC 9112 §4, §6). */
#pragma once

#include "base/buf.h"
#include "http/message.h"

/* What belongs to the exchange rather than to the response. */
struct http_write_options {
    bool head_only;  /* the request was HEAD: everything but the body */
    bool close;      /* the connection ends with this response: "Connection: close" */
    bool chunked;    /* a body of unknown length goes in chunks (HTTP/1.1); else it ends with the connection,
                        * and close has to be set */
    bool keep_alive; /* HTTP/1.0 client that asked for it: "Connection: keep-alive"; close wins */
    struct span extra; /* whole header lines to add (CORS), or none */
};

/* Appends status line, Date, the response's headers, Content-Length (none where the status
 * forbids it; Transfer-Encoding, or nothing, where it is not known), Content-Type text/plain;charset=UTF-8 when there is a body and none is set, and
 * the blank line. The body is the caller's to send. 0 or -ENOMEM (then nothing changed). */
int http_write_head(struct buf *out, const struct http_response *response,
                    const struct http_write_options *options) __attribute__((warn_unused_result));

/* The body to send behind that head: the response's, or NULL when it is empty, the status forbids
 * one, the request was HEAD, or it comes in pieces (http_write_source). */
struct bytes *http_write_body(const struct http_response *response, const struct http_write_options *options);

/* Where the body to send behind that head comes from in pieces; NULL when none does, on the same terms. */
struct http_source *http_write_source(const struct http_response *response,
                                      const struct http_write_options *options);

/* What stands around a chunk (RFC 9112 §7.1), and ends them all. Zeros may stand in front of the head. */
#define HTTP_CHUNK_HEAD_MAX 18u
#define HTTP_CHUNK_TAIL "\r\n"
#define HTTP_CHUNK_LAST "0\r\n\r\n"

/* Writes the head of a chunk of len bytes, at least 1; returns its length. */
size_t http_chunk_head(char out[HTTP_CHUNK_HEAD_MAX], size_t len);

#define HTTP_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
