/* ws: compressed messages both ways, against zlib used in other ways than ours does; what is wrong
 * with them; and what bombs cost, and what takes its time. */
#include "base/clock.h"
#include "hollow_deflate.h"
#include "ws/deflate.h"
#include "ws_driver.h"

#include <errno.h>
#include <sys/resource.h>
#include <zlib.h>

#define LIMIT (256u * 1024)
#define ROUNDS 1000
#define HOLLOW (8u << 20)

static const uint8_t tail[4] = {0x00, 0x00, 0xff, 0xff};

/* ---- chance ---- */

static uint64_t chance_state = 88172645463325252u;

static uint64_t chance(uint64_t below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (chance_state >> 11) % below;
}

enum content { ZEROS, WORDS, DISTANT, NOISE, N_CONTENTS };

/* len bytes: of which nothing is left, text, what repeats beyond the smaller windows, and what does not
 * get smaller. */
static void make_content(struct buf *out, enum content content, size_t len)
{
    static const char *const words[] = {"{\"x\":", "player", "\xc3\xbc", ",",
                                        "true}",   " 123.5", "name",     "\n"};

    for (size_t i = 0; i < len; i++) {
        const char *word = words[chance(8)];
        if (content == WORDS && out->len + strlen(word) <= len)
            assert_int_equal(buf_append(out, word, strlen(word)), 0);
        else if (content == WORDS)
            put_byte(out, '.');
        else if (content == DISTANT)
            put_byte(out, i < 3000 ? chance(256) : out->data[out->len - 3000]);
        else
            put_byte(out, content == NOISE ? chance(256) : 0);
        if (out->len == len)
            return;
    }
}

/* ---- the other compressor ---- */

/* As a client may compress it: with any level, window, memory and strategy, flushed anywhere. */
static void deflate_somehow(struct buf *out, const struct buf *in)
{
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
    z_stream stream = {0};
    int rc = deflateInit2(&stream, (int)chance(10), Z_DEFLATED, -(int)(9 + chance(7)), (int)(1 + chance(9)),
                          strategies[chance(4)]);
    assert_int_equal(rc, Z_OK);
    for (size_t at = 0, n; at <= in->len; at += n) {
        n = at == in->len ? 1 : 1 + chance(in->len - at);
        bool last = at + n >= in->len;
        stream.next_in = in->len ? in->data + at : (uint8_t *)"";
        stream.avail_in = at == in->len ? 0 : (uInt)n;
        do {
            assert_int_equal(buf_reserve(out, 64), 0);
            stream.next_out = out->data + out->len;
            stream.avail_out = 64;
            rc = deflate(&stream, last || chance(3) == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH);
            assert_true(rc == Z_OK || rc == Z_BUF_ERROR);
            out->len += 64 - stream.avail_out;
        } while (stream.avail_out == 0);
        if (last)
            break;
    }
    if (out->len < 4 || memcmp(out->data + out->len - 4, tail, 4) != 0) /* nothing to flush: an empty one */
        assert_int_equal(buf_append(out, "\0\0\0\xff\xff", 5), 0);
    out->len -= 4;
    deflateEnd(&stream);
}

/* With this window and no more, since the output is taken away at once. */
static void inflate_strictly(struct buf *out, const uint8_t *data, size_t len, int window)
{
    const uint8_t *pieces[] = {data, tail};
    size_t lens[] = {len, sizeof tail};
    z_stream stream = {0};
    uint8_t some[100];

    assert_int_equal(inflateInit2(&stream, -window), Z_OK);
    for (size_t i = 0; i < 2; i++) {
        stream.next_in = (uint8_t *)(uintptr_t)pieces[i];
        stream.avail_in = (uInt)lens[i];
        do {
            stream.next_out = some;
            stream.avail_out = sizeof some;
            int rc = inflate(&stream, Z_SYNC_FLUSH);
            if (rc != Z_OK && rc != Z_BUF_ERROR)
                fail_msg("inflate says %d %s", rc, stream.msg ? stream.msg : "");
            assert_int_equal(buf_append(out, some, sizeof some - stream.avail_out), 0);
        } while (stream.avail_out == 0);
    }
    inflateEnd(&stream);
}

/* ---- sending ---- */

/* Takes one of our frames apart; returns its payload. */
static const uint8_t *open_frame(const uint8_t *frame, size_t len, unsigned first, size_t *payload_len)
{
    size_t head = 2, n = frame[1];

    assert_int_equal(frame[0], first);
    if (n >= 126) {
        size_t extended = n == 126 ? 2 : 8;
        for (n = 0; head < 2 + extended; head++)
            n = n << 8 | frame[head];
        assert_true(n >= (extended == 2 ? 126 : 65536));
    }
    assert_int_equal(head + n, len);
    *payload_len = n;
    return frame + head;
}

static void check_sending(enum content content, size_t len, unsigned window)
{
    struct buf message = {0}, back = {0};
    size_t frame_len = 0, payload_len = 0;

    make_content(&message, content, len);
    ws_deflate_turn();
    const uint8_t *frame = ws_deflate_frame(WS_TEXT, window, message.data, len, &frame_len);
    if (!frame) {
        bool near = content == DISTANT && (len < 3600 || window < 12);
        assert_true(len < WS_DEFLATE_MIN || content == NOISE || near);
    } else {
        assert_true(len >= WS_DEFLATE_MIN && content != NOISE);
        const uint8_t *payload = open_frame(frame, frame_len, 0xc1, &payload_len);
        assert_true(payload_len < len);
        inflate_strictly(&back, payload, payload_len, (int)window);
        assert_int_equal(back.len, len);
        assert_memory_equal(back.data, message.data, len);
    }
    buf_fini(&message);
    buf_fini(&back);
}

static void test_sending(void **state)
{
    static const size_t lengths[] = {0,     1,     127,   128,   129,   1000,  3700,   16000,
                                     16383, 16384, 16390, 40000, 65535, 65536, 150000, 200000};
    (void)state;
    for (unsigned window = 9; window <= 15; window++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            for (int content = 0; content < N_CONTENTS; content++)
                check_sending((enum content)content, lengths[i], window);
        }
        for (int i = 0; i < 40; i++)
            check_sending((enum content)chance(N_CONTENTS), chance(70000), window);
    }
}

/* All lengths around those where the output just fits in what it may take. */
static void test_hardly_smaller(void **state)
{
    unsigned compressed = 0;
    (void)state;

    for (size_t zeros = 0; zeros < 60; zeros++) {
        for (size_t noise = 100; noise < 140; noise++) {
            struct buf message = {0}, back = {0};
            size_t frame_len, payload_len;

            make_content(&message, NOISE, noise);
            make_content(&message, ZEROS, noise + zeros);
            ws_deflate_turn();
            const uint8_t *frame = ws_deflate_frame(WS_BINARY, 15, message.data, message.len, &frame_len);
            if (frame) {
                compressed++;
                const uint8_t *payload = open_frame(frame, frame_len, 0xc2, &payload_len);
                assert_true(payload_len < message.len);
                inflate_strictly(&back, payload, payload_len, 15);
                assert_int_equal(back.len, message.len);
                assert_memory_equal(back.data, message.data, back.len);
            }
            buf_fini(&message);
            buf_fini(&back);
        }
    }
    assert_in_range(compressed, 500, 2300);
}

/* ---- receiving ---- */

/* A message in fragments, with pongs between them; first is its first byte without FIN. */
static void put_fragments(struct buf *stream, unsigned first, const struct buf *payload)
{
    size_t at = 0;
    bool last;

    do {
        size_t n = chance(3) ? payload->len - at : chance(payload->len - at + 1);
        last = at + n == payload->len && chance(4) > 0;
        put_frame(stream, first | (last ? 0x80 : 0), payload->data + at, n);
        if (chance(4) == 0)
            put_frame(stream, 0x8a, "p", 1);
        first = 0;
        at += n;
    } while (!last);
}

static void test_receiving(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct driver driver;
        struct buf stream = {0}, expected = {0};

        driver_init(&driver, LIMIT);
        driver.session.deflate = true;
        for (uint64_t n = 1 + chance(4); n > 0; n--) {
            struct buf message = {0}, payload = {0};
            bool compressed = chance(4) > 0;
            make_content(&message, (enum content)chance(N_CONTENTS),
                         chance(10) ? chance(600) : chance(40000));
            if (compressed)
                deflate_somehow(&payload, &message);
            else
                assert_int_equal(buf_append(&payload, message.data, message.len), 0);
            put_fragments(&stream, compressed ? 0x42 : 0x02, &payload);
            assert_int_equal(buf_append(&expected, "binary", 6), 0);
            say_bytes(&expected, message.data, message.len);
            buf_fini(&message);
            buf_fini(&payload);
        }
        for (size_t at = 0, n; at < stream.len; at += n) {
            n = 1 + chance(round % 2 ? stream.len : 300);
            n = n < stream.len - at ? n : stream.len - at;
            driver_feed(&driver, stream.data + at, n);
        }
        put_byte(&expected, '\0');
        struct buf seen = {0}; /* without the pongs */
        for (const char *line = driver_text(&driver), *end; (end = strchr(line, '\n')); line = end + 1) {
            if (strncmp(line, "pong", 4) != 0)
                assert_int_equal(buf_append(&seen, line, (size_t)(end - line) + 1), 0);
        }
        put_byte(&seen, '\0');
        assert_string_equal(seen.data, expected.data);
        driver_fini(&driver);
        buf_fini(&seen);
        buf_fini(&stream);
        buf_fini(&expected);
    }
}

#define FAILS(code, text) "> close " code " " text "\nfailed " code " " text "\n"
#define INVALID FAILS("1007", "Compressed message is not valid")
#define RESERVED FAILS("1002", "Reserved bits are set")
#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"

static const struct deflate_case {
    const char *name, *expected;
    struct test_frame frames[4];
    uint64_t limit;
    bool off; /* permessage-deflate was not negotiated */
} cases[] = {
    /* RFC 7692 §7.2.3 */
    {"one block", "text Hello\n", {FRAME(0xc1, HELLO)}, 0, false},
    {"fragments", "text Hello\n", {FRAME(0x41, "\xf2\x48\xcd"), FRAME(0x80, "\xc9\xc9\x07\x00")}, 0, false},
    {"a block without compression", "text Hello\n", {FRAME(0xc1, "\x00\x05\x00\xfa\xffHello\x00")}, 0, false},
    {"a last block, and what follows",
     "text Hello\n",
     {FRAME(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")},
     0,
     false},
    {"two blocks",
     "text Hello\n",
     {FRAME(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")},
     0,
     false},
    {"an empty message", "text\nbinary\n", {FRAME(0xc1, "\x00"), FRAME(0xc2, "\x00")}, 0, false},

    {"each message stands for itself",
     "text Hello\ntext Hello\n",
     {FRAME(0xc1, HELLO), FRAME(0xc1, HELLO)},
     0,
     false},
    {"and may not refer to the one before",
     "text Hello\n" INVALID,
     {FRAME(0xc1, HELLO), FRAME(0xc1, "\xf2\x00\x11\x00\x00")},
     0,
     false},
    {"compressed and not",
     "text Hello\ntext Hello\ntext Hello\n",
     {FRAME(0xc1, HELLO), FRAME(0x81, "Hello"), FRAME(0xc1, HELLO)},
     0,
     false},
    {"control frames in between",
     "> pong x\ntext Hello\n",
     {FRAME(0x41, "\xf2\x48\xcd"), FRAME(0x89, "x"), FRAME(0x80, "\xc9\xc9\x07\x00")},
     0,
     false},
    {"empty fragments", "text Hello\n", {FRAME(0x41, ""), FRAME(0x00, HELLO), FRAME(0x80, "")}, 0, false},
    {"nothing at all is an empty message", "text\n", {FRAME(0xc1, "")}, 0, false},
    {"a last block alone", "text Hello\n", {FRAME(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00")}, 0, false},
    {"two last blocks",
     "text HelloHello\n",
     {FRAME(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00")},
     0,
     false},

    /* RSV1 */
    {"not negotiated", RESERVED, {FRAME(0xc1, HELLO)}, 0, true},
    {"another reserved bit", RESERVED, {FRAME(0xe1, HELLO)}, 0, false},
    {"another reserved bit alone", RESERVED, {FRAME(0x91, "Hello")}, 0, false},
    {"on a continuation", RESERVED, {FRAME(0x41, "\xf2\x48\xcd"), FRAME(0xc0, "\xc9\xc9\x07\x00")}, 0, false},
    {"on a continuation only", RESERVED, {FRAME(0x01, "Hel"), FRAME(0xc0, "lo")}, 0, false},
    {"on a ping", RESERVED, {FRAME(0xc9, "")}, 0, false},
    {"on a pong", RESERVED, {FRAME(0xca, "")}, 0, false},
    {"on a close", RESERVED, {FRAME(0xc8, "")}, 0, false},
    {"on a reserved opcode", RESERVED, {FRAME(0xc3, "")}, 0, false},

    /* not valid */
    {"a block of a kind that there is not", INVALID, {FRAME(0xc1, "\x06\x00")}, 0, false},
    {"noise", INVALID, {FRAME(0xc2, "\xff\xff\xff\xff")}, 0, false},
    {"lengths that disagree", INVALID, {FRAME(0xc1, "\x00\x05\x00\xfa\xfeHello\x00")}, 0, false},
    {"cut inside of a block", INVALID, {FRAME(0xc1, "\xf2\x48\xcd")}, 0, false},
    {"cut before the last byte", INVALID, {FRAME(0xc1, "\x00\x05\x00\xfa\xffHello")}, 0, false},
    {"with its tail", INVALID, {FRAME(0xc1, HELLO "\x00\x00\xff\xff")}, 0, false},
    {"noise behind a last block", INVALID, {FRAME(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff")}, 0, false},
    {"a last block that the tail would complete", INVALID, {FRAME(0xc2, "\x01\x04\x00\xfb\xff")}, 0, false},
    {"further back than there is", INVALID, {FRAME(0xc1, "\x4a\x04\x22\x00")}, 0, false},
    {"text that is none",
     FAILS("1007", "Text is not valid UTF-8"),
     {FRAME(0xc1, "\x00\x02\x00\xfd\xff\xc3(\x00")},
     0,
     false},
    {"which bytes may be", "binary <c3>(\n", {FRAME(0xc2, "\x00\x02\x00\xfd\xff\xc3(\x00")}, 0, false},
    {"text that ends inside of a character",
     FAILS("1007", "Text is not valid UTF-8"),
     {FRAME(0xc1, "\x00\x02\x00\xfd\xffx\xc3\x00")},
     0,
     false},

    /* the limit */
    {"as much as may be", "text Hello\n", {FRAME(0xc1, HELLO)}, 5, false},
    {"one more", FAILS("1009", "Message is too large: 5 > 4"), {FRAME(0xc1, HELLO)}, 4, false},
    {"more than any compressor would make",
     FAILS("1009", "Compressed message is too large: 21 > 20"),
     {FRAME(0xc1, "123456789012345678901")},
     4,
     false},
    {"the same in fragments",
     FAILS("1009", "Compressed message is too large: 21 > 20"),
     {FRAME(0x41, "12345678901234567890"), FRAME(0x80, "1")},
     4,
     false},
    {"which is of no effect on others",
     FAILS("1009", "Message is too large: 5 > 4"),
     {FRAME(0x81, "12345")},
     4,
     false},
    {"announced",
     FAILS("1009", "Compressed message is too large: 9223372036854775807 > 20"),
     {RAW("\xc2\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04")},
     4,
     false},
};

static void check_case(const struct deflate_case *it, const struct buf *stream, size_t piece)
{
    struct driver driver;

    driver_init(&driver, it->limit ? it->limit : LIMIT);
    driver.session.deflate = !it->off;
    for (size_t at = 0; at < stream->len; at += piece)
        driver_feed(&driver, stream->data + at, piece < stream->len - at ? piece : stream->len - at);
    if (strcmp(driver_text(&driver), it->expected) != 0)
        fail_msg("%s, in pieces of %zu:\n%sis not\n%s", it->name, piece, driver_text(&driver), it->expected);
    driver_fini(&driver);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf stream = {0};
        put_frames(&stream, cases[i].frames, sizeof cases[i].frames / sizeof *cases[i].frames);
        for (size_t piece = 1; piece <= stream.len; piece++)
            check_case(&cases[i], &stream, piece);
        buf_fini(&stream);
    }
}

/* Every byte of a message changed, and every length of it: the limit holds, and nothing is read or
 * written that should not be. */
static void test_mutations(void **state)
{
    struct buf message = {0}, payload = {0}, out = {0};
    size_t invalid = 0, valid = 0;
    (void)state;

    make_content(&message, WORDS, 2000);
    deflate_somehow(&payload, &message);
    for (size_t i = 0; i < payload.len * 20; i++) {
        size_t at = i / 20, len = i % 20 ? payload.len : at;
        uint8_t was = payload.data[at];
        uint8_t *copy = malloc(len ? len : 1); /* so that a sanitizer sees its end */

        assert_non_null(copy);
        payload.data[at] ^= (uint8_t)(i % 20 ? 1 + chance(255) : 0);
        memcpy(copy, payload.data, len);
        payload.data[at] = was;
        out.len = 0;
        int rc = ws_inflate(&out, copy, len, 3000);
        assert_true(rc == 0 || rc == -EBADMSG || rc == -EMSGSIZE);
        assert_true(out.len <= (rc == -EMSGSIZE ? 3001 : 3000));
        valid += rc == 0;
        invalid += rc != 0;
        free(copy);
    }
    assert_true(valid > 0 && invalid > payload.len);
    buf_fini(&message);
    buf_fini(&payload);
    buf_fini(&out);
}

/* ---- what it costs ---- */

/* Compresses so many times a MiB of nothing. */
static void make_bomb(struct buf *out, unsigned mib)
{
    static uint8_t zeros[1 << 20];
    uint8_t block[4096];
    z_stream stream = {.next_in = zeros,
                       .avail_in = sizeof zeros,
                       .next_out = block,
                       .avail_out = sizeof block};

    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FULL_FLUSH), Z_OK);
    size_t len = sizeof block - stream.avail_out;
    deflateEnd(&stream);
    assert_in_range(len, 1000, 1100);
    for (unsigned i = 0; i < mib; i++)
        assert_int_equal(buf_append(out, block, len), 0);
    out->len -= 4;
}

static long peak_memory(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss; /* KiB */
}

static void test_bomb(void **state)
{
    struct buf bomb = {0}, small = {0}, stream = {0}, out = {0};
    struct driver driver;
    (void)state;

    make_bomb(&small, 1);
    make_bomb(&bomb, 1024); /* 1 GiB */
    assert_true(small.len < 1100);
    assert_int_equal(ws_inflate(&out, small.data, small.len, 1 << 20), 0);
    assert_int_equal(out.len, 1 << 20);
    buf_fini(&out);

    long before = peak_memory();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_inflate(&out, bomb.data, bomb.len, 100000), -EMSGSIZE);
        assert_int_equal(out.len, 100001);
        assert_true(out.cap < 2 * 100001 + 40000);
        buf_fini(&out);
        assert_int_equal(ws_inflate(&out, small.data, small.len, 1000), -EMSGSIZE);
        assert_true(out.cap < 40000);
        buf_fini(&out);
    }

    /* through a session: the frame itself is under the limit, what is in it is not */
    put_frame(&stream, 0xc2, bomb.data, bomb.len);
    driver_init(&driver, 2 << 20);
    driver.session.deflate = true;
    driver_feed(&driver, stream.data, stream.len);
    assert_string_equal(driver_text(&driver), FAILS("1009", "Message is too large: 2097153 > 2097152"));
    driver_fini(&driver);
    assert_in_range(peak_memory() - before, 0, 32 * 1024);
    buf_fini(&bomb);
    buf_fini(&small);
    buf_fini(&stream);
}

/* Blocks that hold nothing, or a little each: that takes a hundred times as long as other messages of their length. */
static void test_hollow(void **state)
{
    static const uint8_t little[] = {0, 200, 0, 55, 255}; /* a block of 200 bytes, as they are */
    struct buf messages[2] = {0}, out = {0}, stream = {0};
    struct driver driver;
    (void)state;

    put_hollow_blocks(&messages[0], HOLLOW);
    while (messages[1].len < HOLLOW) {
        put_hollow_blocks(&messages[1], 400);
        assert_int_equal(buf_append(&messages[1], little, sizeof little), 0);
        make_content(&messages[1], NOISE, messages[1].len + 200);
    }
    for (int i = 0; i < 2; i++) {
        put_byte(&messages[i], 0);
        ws_deflate_turn();
        assert_true(ws_inflate_ready());
        uint64_t began = clock_thread_ns();
        assert_int_equal(ws_inflate(&out, messages[i].data, messages[i].len, HOLLOW), -ETIME);
        assert_in_range(clock_thread_ns() - began, 0, 150 * NS_PER_MS);
        assert_false(ws_inflate_ready());
        buf_fini(&out);
    }

    put_frame(&stream, 0xc2, messages[0].data, messages[0].len);
    driver_init(&driver, HOLLOW);
    driver.session.deflate = true;
    driver_feed(&driver, stream.data, stream.len);
    assert_string_equal(driver_text(&driver), FAILS("1009", "Compressed message takes too long to inflate"));
    driver_fini(&driver);
    buf_fini(&messages[0]);
    buf_fini(&messages[1]);
    buf_fini(&stream);
}

/* The smallest blocks that compressors make, and a flush behind each few bytes: none of them takes too long. */
static void test_small_blocks(void **state)
{
    static const size_t flushes[] = {20, 100, 1 << 20};
    struct buf text = {0};
    (void)state;

    make_content(&text, WORDS, 1 << 20);
    for (size_t i = 0; i < 3; i++) {
        struct buf payload = {0}, out = {0};
        z_stream zlib = {0};
        assert_int_equal(deflateInit2(&zlib, 9, Z_DEFLATED, -15, 1, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(buf_reserve(&payload, 3 * text.len), 0);
        zlib.next_in = text.data;
        zlib.next_out = payload.data;
        zlib.avail_out = (uInt)payload.cap;
        for (size_t at = 0; at < text.len; at += flushes[i]) {
            zlib.avail_in = (uInt)(text.len - at < flushes[i] ? text.len - at : flushes[i]);
            assert_int_equal(deflate(&zlib, Z_SYNC_FLUSH), Z_OK);
        }
        payload.len = payload.cap - zlib.avail_out - sizeof tail;
        assert_int_equal(ws_inflate(&out, payload.data, payload.len, 1 << 20), 0);
        assert_int_equal(out.len, text.len);
        deflateEnd(&zlib);
        buf_fini(&payload);
        buf_fini(&out);
    }
    buf_fini(&text);
}

/* What a turn has no time to compress goes out as it is; the next one has time again. */
static void test_a_turn(void **state)
{
    struct buf digits = {0};
    size_t len;
    (void)state;

    for (int i = 0; i < 1000000; i++)
        put_byte(&digits, (uint8_t) "0123456789abcdef"[chance(16)]);
    ws_deflate_turn();
    assert_non_null(ws_deflate_frame(WS_TEXT, 15, digits.data, 1000, &len));
    uint64_t began = clock_thread_ns();
    for (int i = 0; i < 4; i++) {
        for (unsigned window = 9; window <= 15; window++)
            (void)ws_deflate_frame(WS_TEXT, window, digits.data, digits.len, &len);
    }
    assert_in_range(clock_thread_ns() - began, 0, 100 * NS_PER_MS);
    for (size_t n = 0; ws_deflate_frame(WS_TEXT, 15, digits.data, 1000, &len); n++)
        assert_in_range(n, 0, 2000);
    ws_deflate_turn();
    assert_non_null(ws_deflate_frame(WS_TEXT, 15, digits.data, 1000, &len));
    buf_fini(&digits);
}

/* The thread keeps one buffer, and not a large one. */
static void test_buffers(void **state)
{
    struct buf small = {0}, bomb = {0};
    (void)state;

    make_content(&small, WORDS, 50);
    struct buf one = ws_inflate_take(), other = ws_inflate_take();
    assert_true(one.len == 0 && other.len == 0 && !other.data);
    assert_int_equal(buf_append(&one, "x", 1), 0);
    assert_int_equal(buf_append(&other, "x", 1), 0);
    const uint8_t *kept = one.data;
    ws_inflate_give(&one);
    ws_inflate_give(&other);
    assert_null(other.data);
    one = ws_inflate_take();
    assert_ptr_equal(one.data, kept);
    assert_int_equal(one.len, 0);

    make_bomb(&bomb, 1);
    assert_int_equal(ws_inflate(&one, bomb.data, bomb.len, 1 << 20), 0);
    ws_inflate_give(&one);
    one = ws_inflate_take();
    assert_null(one.data);
    ws_inflate_give(&one);
    buf_fini(&small);
    buf_fini(&bomb);
}

static void test_bound(void **state)
{
    (void)state;
    for (int level = 0; level < 10; level += 3) {
        for (int memory = 1; memory <= 9; memory += 4) {
            for (size_t len = 0; len < 70000; len = len * 3 + 1) {
                z_stream stream = {0};
                assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, -9, memory, Z_FIXED), Z_OK);
                assert_true(ws_deflate_bound(len) >= deflateBound(&stream, len));
                deflateEnd(&stream);
            }
        }
    }
    assert_true(ws_deflate_bound(UINT64_MAX - 10) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sending),   cmocka_unit_test(test_hardly_smaller),
        cmocka_unit_test(test_receiving), cmocka_unit_test(test_cases),
        cmocka_unit_test(test_mutations), cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_hollow),    cmocka_unit_test(test_small_blocks),
        cmocka_unit_test(test_a_turn),    cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_bound),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_thread_fini();
    ws_thread_fini();
    return failed;
}
