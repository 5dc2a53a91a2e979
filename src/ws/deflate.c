/* The compression of ws/deflate.h, by zlib. Level 1, since it all happens on the loop: for 64 KB of
 * JSON level 6 takes five times as long to save another fifth. */
#include "ws/deflate.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#define LEVEL 1
#define WINDOW_MIN 9u /* zlib can't compress for 8 bits without its own header */
#define WINDOW_MAX 15u
#define LOOKAHEAD 262u /* of its window zlib's compressor leaves so much to what is to come */

#define STEP (16u * 1024)     /* of output: room for so much before each call of zlib */
#define PIECE (16u * 1024)    /* of input: so much at once, then it is asked how long it takes */
#define KEEP_MAX (64u * 1024) /* of a buffer that the thread keeps */
#define ROOM_MAX (1u << 30)   /* zlib counts in unsigned int */

/* What a turn of the loop has time for: bytes to compress, at up to 25 ns each; ns in which to inflate. */
#define DEFLATE_TURN ((size_t)2 * 1024 * 1024)
#define INFLATE_TURN (4u * NS_PER_MS)
#define MESSAGE_COST 256u /* bytes that a message counts besides its own */

/* ns of the CPU that one message may take, and more for each byte that it becomes. Text takes 2 ns a byte, and 8 where the
 * compressor was flushed behind every 20 bytes. */
#define INFLATE_MAX (50u * NS_PER_MS)
#define INFLATE_MAX_BYTE 25u

/* What a flush ends with and a message leaves out (RFC 7692 §7.2.1) */
static const uint8_t tail[4] = {0x00, 0x00, 0xff, 0xff};

static _Thread_local struct {
    z_stream deflate[WINDOW_MAX - WINDOW_MIN + 1]; /* state is NULL in those not made yet */
    z_stream inflate;                              /* likewise */
    struct buf frame;                              /* the last of ws_deflate_frame */
    struct buf message;                            /* of ws_inflate_take */
    size_t deflated;                               /* in this turn, as may_deflate counts */
    uint64_t inflating;                            /* ns spent in this turn */
} thread;

/* Empties it, and keeps no more than is worth it. */
static void recycle(struct buf *buf)
{
    if (buf->cap > KEEP_MAX)
        buf_fini(buf);
    buf->len = 0;
}

/* Room in out for the stream's next output, but not beyond most bytes in all. False: no memory. */
static bool make_room(z_stream *stream, struct buf *out, uint64_t most)
{
    uint64_t left = most - out->len;

    if (buf_reserve(out, left < STEP ? (size_t)left : STEP) != 0)
        return false;
    size_t room = out->cap - out->len;
    if (room > left)
        room = (size_t)left;
    stream->next_out = out->data + out->len;
    stream->avail_out = room < ROOM_MAX ? (uInt)room : ROOM_MAX;
    return true;
}

/* Gives the stream its next input; *rest moves behind it. */
static void give_input(z_stream *stream, const uint8_t **rest, size_t *len)
{
    size_t piece = *len < PIECE ? *len : PIECE;

    if (stream->avail_in > 0)
        return;
    stream->next_in = (uint8_t *)(uintptr_t)*rest; /* zlib's type has no const; it does not write */
    stream->avail_in = (uInt)piece;
    *rest += piece;
    *len -= piece;
}

static void take_output(const z_stream *stream, struct buf *out)
{
    out->len = (size_t)(stream->next_out - out->data);
}

void ws_deflate_turn(void)
{
    thread.deflated = 0;
    thread.inflating = 0;
}

/* ---- compressing ---- */

/* Ready for a new message of len bytes; NULL: no memory. Its window is hardly larger than the message, and
 * its tables are as large as the window: less to reset, and to have in the cache. */
static z_stream *deflate_stream(unsigned window, size_t len)
{
    CHECK(window >= WINDOW_MIN && window <= WINDOW_MAX);
    while (window > WINDOW_MIN && len + LOOKAHEAD <= (size_t)1 << (window - 1))
        window--;
    z_stream *stream = &thread.deflate[window - WINDOW_MIN];

    int memory_level = (int)window - 7; /* as many entries of zlib's hash table as bytes of the window */
    int rc = stream->state
                 ? deflateReset(stream)
                 : deflateInit2(stream, LEVEL, Z_DEFLATED, -(int)window, memory_level, Z_DEFAULT_STRATEGY);
    return rc == Z_OK ? stream : NULL;
}

/* Appends the compressed message with its tail; false unless it takes less than most bytes in all. */
static bool compress_into(struct buf *out, z_stream *stream, const uint8_t *data, size_t len, uint64_t most)
{
    stream->avail_in = 0;
    do {
        if (out->len == most || !make_room(stream, out, most))
            return false;
        give_input(stream, &data, &len);
        int rc = deflate(stream, len == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        CHECK(rc == Z_OK || rc == Z_BUF_ERROR); /* nothing else can be wrong */
        take_output(stream, out);
    } while (len > 0 || stream->avail_out == 0);
    return true;
}

/* Has the turn time left for it? Then that is taken. A small window takes up to three times as long as a large one, since
 * it moves more often. */
static bool may_deflate(unsigned window, size_t len)
{
    size_t cost = (len + MESSAGE_COST) * (1 + (WINDOW_MAX - window) / 3);

    if (cost > DEFLATE_TURN - thread.deflated)
        return false;
    thread.deflated += cost;
    return true;
}

const uint8_t *ws_deflate_frame(enum ws_opcode opcode, unsigned window, const void *data, size_t len,
                                size_t *frame_len)
{
    struct buf *out = &thread.frame;
    uint8_t head[WS_HEAD_MAX];
    z_stream *stream;

    if (len < WS_DEFLATE_MIN || !may_deflate(window, len) || !(stream = deflate_stream(window, len)))
        return NULL;
    recycle(out);
    if (buf_reserve(out, STEP) != 0)
        return NULL;
    out->len = WS_HEAD_MAX; /* the head goes here, at the end, when its length is known */
    if (!compress_into(out, stream, data, len, (uint64_t)WS_HEAD_MAX + len + sizeof tail))
        return NULL;
    CHECK(memcmp(out->data + out->len - sizeof tail, tail, sizeof tail) == 0);
    out->len -= sizeof tail;

    size_t head_len = ws_frame_head(head, opcode, true, out->len - WS_HEAD_MAX);
    uint8_t *frame = out->data + WS_HEAD_MAX - head_len;
    memcpy(frame, head, head_len);
    *frame_len = out->len - (WS_HEAD_MAX - head_len);
    return frame;
}

/* ---- inflating ---- */

/* zlib's own bound for whatever window and memory (deflateBound) */
uint64_t ws_deflate_bound(uint64_t len)
{
    uint64_t extra = len / 8 + len / 64 + 16;
    return extra > UINT64_MAX - len ? UINT64_MAX : len + extra;
}

/* One whose window can hold any client's, ready for a new message; NULL: no memory. */
static z_stream *inflate_stream(void)
{
    z_stream *stream = &thread.inflate;

    int rc = stream->state ? inflateReset(stream) : inflateInit2(stream, -(int)WINDOW_MAX);
    return rc == Z_OK ? stream : NULL;
}

/* What began then has become so much. It is the time of the CPU that counts, since other programs may have had it. */
static bool takes_too_long(uint64_t began, size_t inflated)
{
    return clock_thread_ns() - began > INFLATE_MAX + (uint64_t)inflated * INFLATE_MAX_BYTE;
}

/* A block that says of itself to be the last may be followed by others (RFC 7692 §7.2.3.4). Returns
 * 1 if the data ended with one, 0 if it did not, or as ws_inflate. */
static int inflate_into(struct buf *out, z_stream *stream, const uint8_t *data, size_t len, uint64_t max)
{
    uint64_t most = max < UINT64_MAX ? max + 1 : max;
    uint64_t began = len > PIECE ? clock_thread_ns() : 0; /* a system call: not for what is one piece */

    stream->avail_in = 0;
    do {
        if (!make_room(stream, out, most))
            return -ENOMEM;
        give_input(stream, &data, &len);
        int rc = inflate(stream, Z_SYNC_FLUSH);
        take_output(stream, out);
        if (out->len > max)
            return -EMSGSIZE;
        if (rc == Z_STREAM_END) {
            if (stream->avail_in == 0 && len == 0)
                return 1;
            CHECK(inflateReset(stream) == Z_OK);
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return rc == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
        }
        if (len > 0 && takes_too_long(began, out->len))
            return -ETIME;
    } while (len > 0 || stream->avail_in > 0 || stream->avail_out == 0);
    return 0;
}

/* Has a block ended with the last byte, and was it not the last one? So zlib's manual describes
 * data_type: bits left of that byte, 64 for the last block, 128 between two. */
static bool between_blocks(const z_stream *stream)
{
    return (stream->data_type & 0xff) == 128;
}

static int inflate_message(struct buf *out, const uint8_t *data, size_t len, uint64_t max)
{
    z_stream *stream = inflate_stream();

    if (!stream)
        return -ENOMEM;
    int rc = inflate_into(out, stream, data, len, max);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = inflate_into(out, stream, tail, sizeof tail, max);
    if (rc >= 0)
        rc = rc == 0 && between_blocks(stream) ? 0 : -EBADMSG;
    return rc;
}

int ws_inflate(struct buf *out, const uint8_t *data, size_t len, uint64_t max)
{
    uint64_t began = clock_monotonic_ns();
    int rc = inflate_message(out, data, len, max);

    thread.inflating += clock_monotonic_ns() - began;
    return rc;
}

bool ws_inflate_ready(void)
{
    return thread.inflating < INFLATE_TURN;
}

struct buf ws_inflate_take(void)
{
    struct buf buf = thread.message;
    thread.message = (struct buf){0};
    return buf;
}

void ws_inflate_give(struct buf *buf)
{
    recycle(buf);
    if (thread.message.data)
        buf_fini(buf);
    else
        thread.message = *buf;
    *buf = (struct buf){0};
}

void ws_deflate_fini(void)
{
    for (size_t i = 0; i < sizeof thread.deflate / sizeof *thread.deflate; i++)
        deflateEnd(&thread.deflate[i]); /* does nothing to one that was not made */
    inflateEnd(&thread.inflate);
    buf_fini(&thread.frame);
    buf_fini(&thread.message);
}
