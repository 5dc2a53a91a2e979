/* The codings of a body (RFC 9110 §8.4): gzip and deflate, by zlib. What has come is kept as it came, and inflated as
 * far as somebody has room for it: a KB of it may be a MB. */
#pragma once

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>

#define DECODE_ACCEPTED "deflate, gzip" /* as an Accept-Encoding */

enum coding {
    CODING_NONE,
    CODING_GZIP,
    CODING_DEFLATE,
    CODING_OTHER, /* one that we can't decode */
};

/* Of a Content-Encoding's value. */
enum coding coding_of(struct span value);

struct decoder;

/* For one of those that we can decode; NULL: no memory. */
struct decoder *decoder_new(enum coding coding) __attribute__((warn_unused_result));

/* Accepts NULL. */
void decoder_free(struct decoder *decoder);

/* Keeps more of the coded body. 0 or -ENOMEM. */
int decoder_give(struct decoder *decoder, const void *data, size_t len) __attribute__((warn_unused_result));

/* May decoder_take bring more of what was given? */
bool decoder_pending(const struct decoder *decoder);

/* Appends what comes next of the body to out, at most so many bytes, and no more than takes a moment: of what was given
 * it looks at 4 KiB at most, which may hold nothing of the body. 0, -ENOMEM, or -EBADMSG: it is not so coded. */
int decoder_take(struct decoder *decoder, struct buf *out, size_t most) __attribute__((warn_unused_result));

/* Could what was given be all of the body? Nothing at all could: it is the answer to a HEAD. */
bool decoder_whole(const struct decoder *decoder);

/* Bytes of memory that it takes. 0: it is NULL. */
size_t decoder_size(const struct decoder *decoder);
