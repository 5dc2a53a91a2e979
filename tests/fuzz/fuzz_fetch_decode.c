/* The codings of a body that fetch gets. The first byte of the input says which coding, the second in what pieces it
 * comes, the third how much is taken at once: whatever they are, the body is the same, or it is damaged. */
#include "fetch/decode.h"

#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)256 * 1024) /* what a bomb may become here */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns decoder_take's first error, or 0. whole: as decoder_whole says at the end. */
static int decode(enum coding coding, const uint8_t *data, size_t size, size_t piece, size_t most,
                  struct buf *out, bool *whole)
{
    struct decoder *decoder = decoder_new(coding);
    int rc = decoder ? 0 : -1;

    for (size_t at = 0; rc == 0 && at < size && out->len < OUTPUT_MAX; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        rc = decoder_give(decoder, data + at, len);
        while (rc == 0 && decoder_pending(decoder) && out->len < OUTPUT_MAX) {
            size_t before = out->len, left = OUTPUT_MAX - before;
            rc = decoder_take(decoder, out, most < left ? most : left);
            if (out->len - before > most)
                abort();
        }
    }
    *whole = rc == 0 && decoder_whole(decoder);
    decoder_free(decoder);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = {0}, pieces = {0};
    bool whole, whole_too;

    if (size < 4)
        return 0;
    enum coding coding = data[0] % 2 ? CODING_GZIP : CODING_DEFLATE;
    int rc = decode(coding, data + 3, size - 3, size, OUTPUT_MAX, &once, &whole);
    int rc_too = decode(coding, data + 3, size - 3, data[1] + 1u, data[2] * 16u + 1u, &pieces, &whole_too);
    if (rc != rc_too || whole != whole_too || once.len != pieces.len ||
        (once.len > 0 && memcmp(once.data, pieces.data, once.len) != 0))
        abort();
    buf_fini(&once);
    buf_fini(&pieces);
    return 0;
}
