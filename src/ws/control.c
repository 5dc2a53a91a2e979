#include "ws/control.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <wslay/wslay.h>

#define CLIENT_HEAD 6u /* bytes of a control frame's head with its mask */

/* wslay keeps one user pointer for good, so what a call reads and writes is found by way of
 * the codec. */
struct codec {
    wslay_frame_context_ptr wslay; /* owned; NULL: not made yet */
    const uint8_t *in;
    size_t in_len;
    uint8_t *out; /* WS_CONTROL_FRAME_MAX bytes */
    size_t out_len;
};

static _Thread_local struct codec thread_codec;

static ssize_t give_bytes(uint8_t *data, size_t len, int flags, void *user)
{
    struct codec *codec = user;
    size_t n = len < codec->in_len ? len : codec->in_len;

    (void)flags;
    if (n)
        memcpy(data, codec->in, n);
    codec->in += n;
    codec->in_len -= n;
    return (ssize_t)n;
}

static ssize_t take_bytes(const uint8_t *data, size_t len, int flags, void *user)
{
    struct codec *codec = user;

    (void)flags;
    CHECK(len <= WS_CONTROL_FRAME_MAX - codec->out_len);
    memcpy(codec->out + codec->out_len, data, len);
    codec->out_len += len;
    return (ssize_t)len;
}

static struct codec *get_codec(void)
{
    static const struct wslay_frame_callbacks callbacks = {
        .send_callback = take_bytes,
        .recv_callback = give_bytes,
    };
    struct codec *codec = &thread_codec;

    if (!codec->wslay)
        CHECK(wslay_frame_context_init(&codec->wslay, &callbacks, codec) == 0);
    return codec;
}

int ws_control_read(struct ws_control *control, const uint8_t *frame, size_t len)
{
    struct codec *codec = get_codec();
    struct wslay_frame_iocb iocb = {0};

    codec->in = frame;
    codec->in_len = len;
    ssize_t n = wslay_frame_recv(codec->wslay, &iocb);
    if (n < 0 || iocb.data_length != iocb.payload_length || !ws_is_control(iocb.opcode) ||
        len != CLIENT_HEAD + iocb.data_length) {
        ws_control_fini(); /* it may be left inside of a frame */
        return -EPROTO;
    }
    control->opcode = iocb.opcode;
    control->len = (uint8_t)iocb.data_length;
    memcpy(control->payload, iocb.data, iocb.data_length);
    return 0;
}

size_t ws_control_write(uint8_t out[WS_CONTROL_FRAME_MAX], enum ws_opcode opcode, const void *payload,
                        size_t len)
{
    struct codec *codec = get_codec();
    struct wslay_frame_iocb iocb = {
        .fin = 1,
        .opcode = (uint8_t)opcode,
        .payload_length = len,
        .data = payload,
        .data_length = len,
    };

    codec->out = out;
    codec->out_len = 0;
    CHECK(wslay_frame_send(codec->wslay, &iocb) == (ssize_t)len);
    return codec->out_len;
}

void ws_control_fini(void)
{
    wslay_frame_context_free(thread_codec.wslay);
    thread_codec.wslay = NULL;
}
