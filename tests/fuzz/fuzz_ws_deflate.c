/* permessage-deflate. The first byte of the input says what the rest is: a client's compressed session,
 * byte by byte or as frames, in pieces as long as the second byte says; or a message that is compressed, for
 * the window that the second byte says, and inflated again. */
#include "fuzz_ws.h"
#include "ws/deflate.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gives each frame a head that says how much there is, which chance would hardly ever get right. Of the
 * input it takes the first byte, one for the length, and the payload. */
static int put_frames(struct buf *out, const uint8_t *data, size_t size)
{
    int rc = 0;

    for (size_t at = 0; rc == 0 && at + 2 <= size;) {
        size_t len = data[at + 1] % 126u;
        if (len > size - at - 2)
            len = size - at - 2;
        const uint8_t head[6] = {data[at], (uint8_t)(0x80 | len)}; /* masked with zeros */
        rc = buf_append(out, head, sizeof head);
        if (rc == 0)
            rc = buf_append(out, data + at + 2, len);
        at += 2 + len;
    }
    return rc;
}

static void round_trip(unsigned window, const uint8_t *data, size_t size)
{
    struct buf out = ws_inflate_take();
    size_t len = 0;
    ws_deflate_turn();
    const uint8_t *frame = ws_deflate_frame(WS_BINARY, window, data, size, &len);

    if (frame) {
        size_t head = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
        if (len - head >= size || ws_inflate(&out, frame + head, len - head, size) != 0 || out.len != size ||
            memcmp(out.data, data, size) != 0)
            abort();
        out.len = 0;
        if (ws_inflate(&out, frame + head, len - head, size - 1) != -EMSGSIZE)
            abort();
    }
    ws_inflate_give(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf frames = {0};

    if (size < 3)
        return 0;
    size_t piece = data[1] ? data[1] : size;
    if (data[0] % 3 == 0)
        client_feed(data + 2, size - 2, piece, true);
    else if (data[0] % 3 == 1 && put_frames(&frames, data + 2, size - 2) == 0)
        client_feed(frames.data, frames.len, piece, true);
    else
        round_trip(9 + data[1] % 7u, data + 2, size - 2);
    buf_fini(&frames);
    return 0;
}
