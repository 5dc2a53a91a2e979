#include "fetch/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW_BITS 15
#define GZIP_HEADER 16                   /* beside the window's bits: that of gzip, not of zlib */
#define INFLATE_COST ((size_t)44 * 1024) /* bytes that zlib takes for a stream: the window and its tables */
#define STEP_OUT ((size_t)16 * 1024)     /* of output: room for so much before each call of zlib */
#define STEP_IN ((size_t)4 * 1024)       /* of input: under a ms of work, whatever it is */

struct decoder {
    z_stream zlib;
    enum coding coding;
    struct buf given; /* not inflated yet */
    bool begun;       /* zlib has its window */
    bool full;        /* the last output took all of its room, so zlib may hold more */
    bool ended;       /* the last byte of the body has come */
    bool over;        /* and something behind it that does not count */
};

enum coding coding_of(struct span value)
{
    if (value.len == 0 || span_equal_nocase(value, SPAN("identity")))
        return CODING_NONE;
    if (span_equal_nocase(value, SPAN("gzip")) || span_equal_nocase(value, SPAN("x-gzip")))
        return CODING_GZIP;
    return span_equal_nocase(value, SPAN("deflate")) ? CODING_DEFLATE : CODING_OTHER;
}

struct decoder *decoder_new(enum coding coding)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder)
        decoder->coding = coding;
    return decoder;
}

void decoder_free(struct decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->begun)
        inflateEnd(&decoder->zlib);
    buf_fini(&decoder->given);
    free(decoder);
}

int decoder_give(struct decoder *decoder, const void *data, size_t len)
{
    return buf_append(&decoder->given, data, len);
}

bool decoder_pending(const struct decoder *decoder)
{
    return decoder->given.len > 0 || decoder->full;
}

bool decoder_whole(const struct decoder *decoder)
{
    return decoder->ended || !decoder->begun;
}

size_t decoder_size(const struct decoder *decoder)
{
    return decoder ? sizeof *decoder + decoder->given.cap + (decoder->begun ? INFLATE_COST : 0) : 0;
}

/* "deflate" means zlib's format, but there are servers that send none of its header. */
static int window_bits(enum coding coding, uint8_t first)
{
    bool bare = (first & 0x0f) != Z_DEFLATED || first >> 4 > WINDOW_BITS - 8;

    if (coding == CODING_GZIP)
        return WINDOW_BITS + GZIP_HEADER;
    return bare ? -WINDOW_BITS : WINDOW_BITS;
}

/* Ready for the first byte that was given, or for one behind an end: gzip's files may follow each other (RFC 1952 §2.2).
 * 1, 0: no more is to come, and what does is nothing, or -ENOMEM. */
static int make_ready(struct decoder *decoder)
{
    if (!decoder->begun) {
        if (inflateInit2(&decoder->zlib, window_bits(decoder->coding, decoder->given.data[0])) != Z_OK)
            return -ENOMEM;
        decoder->begun = true;
    } else if (decoder->ended) {
        if (decoder->coding != CODING_GZIP || decoder->given.data[0] != 0x1f)
            decoder->over = true;
        if (decoder->over)
            return 0;
        inflateReset(&decoder->zlib);
        decoder->ended = false;
    }
    return 1;
}

int decoder_take(struct decoder *decoder, struct buf *out, size_t most)
{
    z_stream *zlib = &decoder->zlib;
    size_t room = most < STEP_OUT ? most : STEP_OUT;
    size_t piece = decoder->given.len < STEP_IN ? decoder->given.len : STEP_IN;

    if (!decoder_pending(decoder) || room == 0)
        return 0;
    int rc = make_ready(decoder);
    if (rc < 0 || buf_reserve(out, room) != 0)
        return -ENOMEM;
    if (rc == 0) {
        decoder->given.len = 0;
        return 0;
    }
    zlib->next_in = decoder->given.data;
    zlib->avail_in = (uInt)piece;
    zlib->next_out = out->data + out->len;
    zlib->avail_out = (uInt)room;
    rc = inflate(zlib, Z_SYNC_FLUSH);
    out->len += room - zlib->avail_out;
    buf_consume(&decoder->given, piece - zlib->avail_in);
    decoder->ended = rc == Z_STREAM_END;
    decoder->full = rc == Z_OK && zlib->avail_out == 0;
    bool stands = rc == Z_BUF_ERROR && decoder->given.len > 0;
    if (rc < 0 && (rc != Z_BUF_ERROR || stands))
        return rc == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
    return rc == Z_NEED_DICT ? -EBADMSG : 0;
}
