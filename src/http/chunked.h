/* The framing of a chunked body, strictly (RFC 9112 §7.1). For the parser alone: llhttp reads
 * the same bytes, but takes others for line ends too, refuses some valid extensions, and bounds
 * neither them nor trailers. Keeps no bytes. */
#pragma once

#include "http/parser.h"

/* Zeroed memory is a body of which nothing has come yet. */
struct http_chunked {
    uint8_t part;
    uint8_t digits;   /* of the size being read */
    uint64_t left;    /* of the chunk: its size while that is being read, then what is still to come */
    uint64_t total;   /* sizes of all chunks before */
    size_t n_extra;   /* bytes of extensions and trailers so far; limits->headers bounds them */
    bool extra;       /* the bytes that were used last are of these, and are to be dropped */
    int status;       /* HTTP_REFUSED */
    const char *text; /* HTTP_REFUSED: a literal */
};

/* Looks at the len bytes that come next. HTTP_MORE: the first *used are this body's, and are all
 * extra or all not; call again with the others, if there are any. HTTP_COMPLETE: so are they, and
 * the body ends with them. HTTP_REFUSED (final): malformed, or over its limits; a chunk that would
 * be too large is refused by its size, before its data, and blanks in the framing are refused. */
enum http_parse http_chunked_feed(struct http_chunked *chunked, const struct http_limits *limits,
                                  const char *data, size_t len, size_t *used);
