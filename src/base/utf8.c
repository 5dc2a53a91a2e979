/* The UTF-8 checker of base/utf8.h. It reads bytes, never past len, and allocates nothing.
 *
 * Inside a character the state holds all that matters about it: how many bytes are still
 * to come and, in the bytes of the state, the range for the next one. Only the second byte
 * has a range other than 80..BF (RFC 3629 §4): there the overlong forms, the surrogates
 * and what is above U+10FFFF are kept out. */
#include "base/utf8.h"

#include <string.h>

#define STATE(left, least, most) ((uint32_t)(left) << 16 | (uint32_t)(least) << 8 | (uint32_t)(most))

static uint32_t after_first(uint8_t byte)
{
    if (byte < 0x80)
        return UTF8_ACCEPT;
    if (byte < 0xc2)
        return UTF8_REJECT;
    if (byte < 0xe0)
        return STATE(1, 0x80, 0xbf);
    if (byte < 0xf0)
        return STATE(2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf);
    if (byte < 0xf5)
        return STATE(3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf);
    return UTF8_REJECT;
}

static uint32_t after_next(uint32_t state, uint8_t byte)
{
    uint32_t left = state >> 16, least = state >> 8 & 0xff, most = state & 0xff;
    if (byte < least || byte > most)
        return UTF8_REJECT;
    return left == 1 ? UTF8_ACCEPT : STATE(left - 1, 0x80, 0xbf);
}

uint32_t utf8_feed(uint32_t state, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len && state != UTF8_REJECT) {
        if (state == UTF8_ACCEPT) {
            uint64_t word;
            while (len >= sizeof word && (memcpy(&word, at, sizeof word), !(word & 0x8080808080808080u))) {
                at += sizeof word;
                len -= sizeof word;
            }
            if (len == 0)
                break;
            state = after_first(*at);
        } else {
            state = after_next(state, *at);
        }
        at++;
        len--;
    }
    return state;
}

bool utf8_valid(const void *data, size_t len)
{
    return utf8_feed(UTF8_ACCEPT, data, len) == UTF8_ACCEPT;
}

size_t utf8_cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max && ((uint8_t)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

bool utf8_has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i], next = i + 1 < len ? (unsigned char)text[i + 1] : 0;
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f))
            return true;
    }
    return false;
}
