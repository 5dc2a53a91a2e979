/* A client's compressed session, and messages both ways. The first byte of the input says how long the
 * pieces are, and its lowest bit what the rest is: what a client sends, in which each frame may claim to be
 * compressed, or a message that is compressed, for the window that the second byte says, and inflated. */
#include "ws/deflate.h"

#include "base/utf8.h"
#include "ws/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 4096u

static unsigned ends;

static void on_message(struct ws_session *session, const uint8_t *data, size_t len, bool binary)
{
    (void)session;
    if (ends > 0 || !data || len > MESSAGE_MAX || (!binary && !utf8_valid(data, len)))
        abort();
}

static void on_close(struct ws_session *session, uint16_t code, const char *reason, size_t len)
{
    (void)session;
    if (ends++ > 0 || (code != 1005 && !ws_close_code_valid(code)) || !utf8_valid(reason, len))
        abort();
}

static void on_fail(struct ws_session *session, uint16_t code, const char *text)
{
    (void)session;
    if (ends++ > 0 || !ws_close_code_valid(code) || !text)
        abort();
}

static void write_frame(struct ws_session *session, const void *data, size_t len)
{
    (void)session;
    if (len < 2 || len > 2 + WS_CONTROL_MAX || ((const uint8_t *)data)[1] > WS_CONTROL_MAX)
        abort();
}

/* The frames are the input's, but for what random bytes would hardly ever get right: a head that says how
 * much there is. Each is its first byte, one for its length, and a payload without a mask. */
static int put_frames(struct buf *out, const uint8_t *data, size_t size)
{
    int rc = 0;

    for (size_t at = 0; rc == 0 && at + 2 <= size;) {
        size_t len = data[at + 1] & 0x7f;
        if (len > size - at - 2)
            len = size - at - 2;
        if (len > 125)
            len = 125;
        uint8_t head[6] = {data[at], (uint8_t)(0x80 | len)};
        rc = buf_append(out, head, sizeof head);
        if (rc == 0)
            rc = buf_append(out, data + at + 2, len);
        at += 2 + len;
    }
    return rc;
}

static void feed(const uint8_t *data, size_t size, size_t piece)
{
    static const struct ws_ops ops = {.on_message = on_message,
                                      .on_close = on_close,
                                      .on_fail = on_fail,
                                      .write = write_frame};
    struct ws_session session;
    struct buf input = {0};

    ends = 0;
    ws_session_init(&session, &ops, MESSAGE_MAX);
    session.deflate = true;
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        if (buf_append(&input, data + at, len) != 0)
            break;
        size_t used = ws_session_feed(&session, input.data, input.len);
        if (used > input.len)
            abort();
        buf_consume(&input, used);
    }
    buf_fini(&input);
    ws_session_fini(&session);
}

static void round_trip(unsigned window, const uint8_t *data, size_t size)
{
    struct buf out = ws_inflate_take();
    size_t len = 0;
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
    size_t piece = data[0] > 1 ? data[0] / 2 : size;
    if (data[0] & 1)
        round_trip(9 + data[1] % 7u, data + 2, size - 2);
    else if (data[1] & 1)
        feed(data + 2, size - 2, piece);
    else if (put_frames(&frames, data + 2, size - 2) == 0)
        feed(frames.data, frames.len, piece);
    buf_fini(&frames);
    return 0;
}
