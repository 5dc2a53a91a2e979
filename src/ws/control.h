/* Control frames (RFC 6455 §5.5) by wslay's frame codec, for session.c. Each thread has one
 * codec (about 4 KB, made at first use), which is given whole frames only, so it keeps
 * nothing of a session. */
#pragma once

#include "ws/frame.h"

#define WS_CONTROL_FRAME_MAX (2u + WS_CONTROL_MAX) /* bytes of one that we send */

struct ws_control {
    uint8_t opcode; /* WS_CLOSE, WS_PING or WS_PONG */
    uint8_t len;
    uint8_t payload[WS_CONTROL_MAX];
};

/* Reads one whole, masked control frame of len bytes, and unmasks its payload. 0, or -EPROTO
 * when it is anything else. */
int ws_control_read(struct ws_control *control, const uint8_t *frame, size_t len);

/* Writes an unmasked control frame with a payload of len bytes, at most WS_CONTROL_MAX;
 * returns the frame's length. */
size_t ws_control_write(uint8_t out[WS_CONTROL_FRAME_MAX], enum ws_opcode opcode, const void *payload,
                        size_t len);

/* Frees the calling thread's codec. */
void ws_control_fini(void);
