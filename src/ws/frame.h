/* The heads of frames (RFC 6455 §5.2), ours and the client's, and the codes of close frames.
 * Frames that the server sends are never masked, so one frame serves all; those of clients
 * always are. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

#define WS_HEAD_MAX 10u     /* bytes of an unmasked frame's head */
#define WS_CONTROL_MAX 125u /* bytes of a control frame's payload */

/* Writes the head of a whole, unmasked frame; returns its length (2, 4 or 10). compressed: the
 * payload is (RSV1, RFC 7692 §6). */
size_t ws_frame_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode opcode, bool compressed, uint64_t payload_len);

/* Our own frames in a row: the offset of the first frame's edge at or after sent (what has
 * left already), at most len. The form that conn_drop_queued wants. */
size_t ws_frame_edge(const uint8_t *frames, size_t sent, size_t len);

/* The head of a client's frame. */
struct ws_head {
    uint64_t payload_len; /* at most WS_CONTROL_MAX in a control frame */
    uint8_t mask[4];
    uint8_t opcode; /* one of enum ws_opcode */
    bool fin;
    bool compressed; /* the message that it begins is (RSV1) */
};

/* Reads the head of a client's frame. Returns its length (6 to 14), 0 while bytes are missing,
 * or -EPROTO as soon as those that are there break RFC 6455 §5; *error says how, then. deflate:
 * permessage-deflate was negotiated, so the first frame of a message may have RSV1 (RFC 7692 §6). */
int ws_head_read(struct ws_head *head, const uint8_t *data, size_t len, bool deflate, const char **error);

/* Close, ping, pong, or an opcode that is reserved for their like. */
static inline bool ws_is_control(unsigned opcode)
{
    return (opcode & 0x8) != 0;
}

/* May a close frame carry this code (RFC 6455 §7.4: 1000-1003, 1007-1014, 3000-4999)? */
bool ws_close_code_valid(unsigned code);

/* May a script close with it (1000, 1001, 1003, 1007-1014, 3000-4999)? */
bool ws_close_code_sendable(unsigned code);
