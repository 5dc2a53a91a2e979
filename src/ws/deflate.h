/* permessage-deflate's compression (RFC 7692 §7.2), without context takeover: each message stands
 * for itself, so a connection holds no stream. Each thread has one to inflate with and one for each
 * window that it compresses for, made at first use and reset for the next message.
 *
 * Each turn of the loop has a bound for either: bytes to compress, and time to inflate in, since what that costs depends
 * on what is in the messages, by a factor of a hundred. */
#pragma once

#include "base/buf.h"
#include "ws/frame.h"

/* Messages below this go out as they are: compression costs as much as the send that it makes
 * shorter by a few bytes. */
#define WS_DEFLATE_MIN 128u

/* A turn is over: the next one has its time again. */
void ws_deflate_turn(void);

/* A whole frame with the message compressed for a window of so many bits (9 to 15); *frame_len is
 * its length. It lies in memory of the thread's, and is valid until the next call. NULL: the message
 * is to be sent as it is, since it is short, would not get smaller, the turn has no time for it, or memory ran out. */
const uint8_t *ws_deflate_frame(enum ws_opcode opcode, unsigned window, const void *data, size_t len,
                                size_t *frame_len);

/* The most that a compressed message of up to len bytes may take, whatever compressed it. */
uint64_t ws_deflate_bound(uint64_t len);

/* Inflates a whole message, of at most max bytes, into out, which is empty. The output grows as it
 * comes, to hardly more than twice what came out. 0; -EBADMSG: it is not valid; -EMSGSIZE: it is
 * longer, out has max + 1 bytes; -ETIME: it takes far longer than what it becomes would have to; -ENOMEM. */
int ws_inflate(struct buf *out, const uint8_t *data, size_t len, uint64_t max)
    __attribute__((warn_unused_result));

/* Has the turn time left for another message? */
bool ws_inflate_ready(void);

/* The buffer that the thread keeps for ws_inflate, or an empty one while somebody has that; and
 * its return. */
struct buf ws_inflate_take(void);
void ws_inflate_give(struct buf *buf);

/* Frees what the calling thread keeps. */
void ws_deflate_fini(void);
