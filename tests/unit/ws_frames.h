/* Frames for tests of ws, encoded and decoded without its help, byte by byte. */
#pragma once

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A client's frame whose first byte is first (FIN 0x80, reserved bits 0x70, opcode 0x0f). */
struct test_frame {
    int first; /* -1: payload is raw bytes; 0: there is none (FRAME never gives 0 alone) */
    const char *payload;
    size_t len;
};

#define FRAME(first, literal)                                                                                \
    {                                                                                                        \
        (first) | FRAME_GIVEN, literal, sizeof(literal) - 1                                                  \
    }
#define RAW(literal)                                                                                         \
    {                                                                                                        \
        -1, literal, sizeof(literal) - 1                                                                     \
    }
#define FRAME_GIVEN 0x100

static inline void put_byte(struct buf *out, uint64_t byte)
{
    uint8_t low = (uint8_t)byte;
    assert_int_equal(buf_append(out, &low, 1), 0);
}

/* Head of a masked frame in the shortest form. */
static inline void put_head(struct buf *out, unsigned first, uint64_t len, const uint8_t mask[4])
{
    put_byte(out, first);
    if (len < 126) {
        put_byte(out, 0x80 | len);
    } else if (len < 65536) {
        put_byte(out, 0x80 | 126);
        put_byte(out, len >> 8);
        put_byte(out, len);
    } else {
        put_byte(out, 0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            put_byte(out, len >> shift);
    }
    for (int i = 0; i < 4; i++)
        put_byte(out, mask[i]);
}

static inline void put_masked(struct buf *out, const void *payload, size_t len, const uint8_t mask[4])
{
    const uint8_t *bytes = payload;
    assert_int_equal(buf_reserve(out, len), 0);
    for (size_t i = 0; i < len; i++)
        out->data[out->len++] = bytes[i] ^ mask[i % 4];
}

/* A whole frame; its mask depends on where it stands. */
static inline void put_frame(struct buf *out, unsigned first, const void *payload, size_t len)
{
    uint8_t mask[4] = {(uint8_t)(0x37 + out->len), 0xfa, 0x21, (uint8_t)(0x3d ^ len)};
    put_head(out, first, len, mask);
    put_masked(out, payload, len, mask);
}

static inline void put_text(struct buf *out, const char *text)
{
    put_frame(out, 0x81, text, strlen(text));
}

static inline void put_frames(struct buf *out, const struct test_frame *frames, size_t n)
{
    for (size_t i = 0; i < n && frames[i].first; i++) {
        if (frames[i].first < 0)
            assert_int_equal(buf_append(out, frames[i].payload, frames[i].len), 0);
        else
            put_frame(out, (unsigned)frames[i].first & 0xff, frames[i].payload, frames[i].len);
    }
}
