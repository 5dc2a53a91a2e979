/*
 * message - the one masked client frame that all sends are made of, and the mark by which a received
 * payload is known.
 */
#include "load.h"

#include <stdlib.h>
#include <string.h>

uint8_t *frame, *plain;
size_t frame_header_len, frame_len;
uint8_t mask_key[4];
static uint64_t mask64; /* the key twice */

void make_frame(void)
{
    static const char ascii[] = "abcdefghijklmnopqrstuvwxyz0123456789 .,";
    static const char utf8[] = "\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x99\x82"; /* 2 + 3 + 4 bytes */
    uint64_t n = opt.size;
    uint8_t *p = frame = malloc(n + 16);
    plain = malloc(n + 16);
    if (!frame || !plain)
        die("malloc");

    if (!opt.zero_mask) {
        uint64_t t = now_ns() * 0x9e3779b97f4a7c15ull;
        memcpy(mask_key, (uint8_t *)&t + 3, 4);
    }
    memcpy(&mask64, mask_key, 4);
    memcpy((uint8_t *)&mask64 + 4, mask_key, 4);

    *p++ = 0x80 | (opt.binary ? 2 : 1);
    if (n < 126) {
        *p++ = 0x80 | (uint8_t)n;
    } else if (n < 65536) {
        *p++ = 0x80 | 126;
        *p++ = (uint8_t)(n >> 8);
        *p++ = (uint8_t)n;
    } else {
        *p++ = 0x80 | 127;
        for (int s = 56; s >= 0; s -= 8)
            *p++ = (uint8_t)(n >> s);
    }
    memcpy(p, mask_key, 4);
    p += 4;
    frame_header_len = (size_t)(p - frame);
    frame_len = frame_header_len + n;

    const char *fill = strcmp(opt.fill, "utf8") ? ascii : utf8;
    size_t fill_len = strlen(fill), whole = (n - HEAD) / fill_len * fill_len;
    memset(plain, ' ', n);
    for (size_t i = 0; i < whole; i++)
        plain[HEAD + i] = (uint8_t)fill[i % fill_len];
    for (size_t i = 0; i < n; i++)
        p[i] = plain[i] ^ mask_key[i & 3];
}

void write_head(uint8_t *dst, uint64_t ts, uint32_t id)
{
    static const char hex_digit[] = "0123456789abcdef";
    uint8_t h[HEAD];
    uint64_t w[HEAD / 8];
    h[0] = '@';
    for (int i = 0; i < 16; i++)
        h[1 + i] = (uint8_t)hex_digit[(ts >> (60 - 4 * i)) & 15];
    for (int i = 0; i < 8; i++)
        h[17 + i] = (uint8_t)hex_digit[(id >> (28 - 4 * i)) & 15];
    memset(h + 25, ' ', HEAD - 25);
    memcpy(w, h, HEAD);
    for (int i = 0; i < HEAD / 8; i++)
        w[i] ^= mask64;
    memcpy(dst, w, HEAD);
}

static bool read_hex(const uint8_t *p, int n, uint64_t *v)
{
    uint64_t x = 0;
    for (int i = 0; i < n; i++) {
        unsigned c = p[i], d = c - '0';
        if (d > 9) {
            d = c - 'a' + 10;
            if (d < 10 || d > 15)
                return false;
        }
        x = x << 4 | d;
    }
    *v = x;
    return true;
}

bool read_head(const uint8_t *p, unsigned n, uint64_t *ts, uint32_t *id)
{
    const uint8_t *end = p + n;
    uint64_t v;
    while ((p = memchr(p, '@', (size_t)(end - p))) && end - p >= 25) {
        if (read_hex(p + 1, 16, ts) && read_hex(p + 17, 8, &v)) {
            *id = (uint32_t)v;
            return true;
        }
        p++;
    }
    return false;
}
