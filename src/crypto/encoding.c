#include "crypto/encoding.h"

#include <stdbool.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char hex_digits[] = "0123456789abcdef";

size_t encoding_text_len(enum encoding encoding, size_t len)
{
    if (len > SIZE_MAX / 4)
        return SIZE_MAX;
    switch (encoding) {
    case ENCODING_BASE64: return (len + 2) / 3 * 4;
    case ENCODING_BASE64URL: return len / 3 * 4 + (len % 3 == 0 ? 0 : len % 3 + 1);
    case ENCODING_HEX: break;
    }
    return len * 2;
}

size_t encoding_bytes_max(enum encoding encoding, size_t len)
{
    return encoding == ENCODING_HEX ? len / 2 : len / 4 * 3 + 2;
}

/* ---- writing ---- */

static void write_hex(const uint8_t *at, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        *out++ = hex_digits[at[i] >> 4];
        *out++ = hex_digits[at[i] & 15];
    }
}

static void write_base64(const char *digits, bool fill, const uint8_t *at, size_t len, char *out)
{
    for (; len >= 3; at += 3, len -= 3) {
        uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = digits[bits >> 6 & 63];
        *out++ = digits[bits & 63];
    }
    if (len == 0)
        return;
    uint32_t bits = (uint32_t)at[0] << 16 | (len == 2 ? (uint32_t)at[1] << 8 : 0);
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    if (len == 2)
        *out++ = digits[bits >> 6 & 63];
    else if (fill)
        *out++ = '=';
    if (fill)
        *out = '=';
}

void encoding_write(enum encoding encoding, const void *data, size_t len, char *out)
{
    switch (encoding) {
    case ENCODING_BASE64: write_base64(base64_digits, true, data, len, out); break;
    case ENCODING_BASE64URL: write_base64(base64url_digits, false, data, len, out); break;
    case ENCODING_HEX: write_hex(data, len, out); break;
    }
}

/* ---- reading ---- */

#define NO_DIGIT 0xff

static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (unsigned)((c | 0x20) - 'a') + 10;
    return NO_DIGIT;
}

static const char *read_hex(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    if (len % 2 != 0)
        return "hexadecimal digits come in pairs";
    for (size_t i = 0; i < len; i += 2) {
        unsigned high = hex_value(text[i]), low = hex_value(text[i + 1]);
        if (high == NO_DIGIT || low == NO_DIGIT)
            return "that is no hexadecimal digit";
        *out++ = (uint8_t)(high << 4 | low);
    }
    *out_len = len / 2;
    return NULL;
}

static unsigned base64_value(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    if (c == (url ? '_' : '/'))
        return 63;
    return NO_DIGIT;
}

static const char *wrong_digit(char c, bool url)
{
    if (url && c == '=')
        return "base64url has no '=' at its end";
    if (url && (c == '+' || c == '/'))
        return "base64url has '-' and '_' where base64 has '+' and '/'";
    if (!url && (c == '-' || c == '_'))
        return "base64 has '+' and '/' where base64url has '-' and '_'";
    return url ? "that is no base64url" : "that is no base64";
}

static const char *read_base64(const char *text, size_t len, bool url, uint8_t *out, size_t *out_len)
{
    uint8_t *at = out;

    if (!url) {
        if (len % 4 != 0)
            return "base64 comes in groups of four characters, the last one filled up with '='";
        for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
            len--;
    }
    if (len % 4 == 1)
        return url ? "the base64url ends too early" : "that is no base64";
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned value = base64_value(text[i], url);
        if (value == NO_DIGIT)
            return wrong_digit(text[i], url);
        bits = bits << 6 | value;
        if (i % 4 == 3) {
            *at++ = (uint8_t)(bits >> 16);
            *at++ = (uint8_t)(bits >> 8);
            *at++ = (uint8_t)bits;
        }
    }
    size_t rest = len % 4;
    if (rest != 0 && (bits & (rest == 2 ? 0x0fu : 0x03u)) != 0)
        return "the last character has bits that mean nothing and are not 0";
    if (rest == 2)
        *at++ = (uint8_t)(bits >> 4);
    if (rest == 3) {
        *at++ = (uint8_t)(bits >> 10);
        *at++ = (uint8_t)(bits >> 2);
    }
    *out_len = (size_t)(at - out);
    return NULL;
}

const char *encoding_read(enum encoding encoding, const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    *out_len = 0;
    if (encoding == ENCODING_HEX)
        return read_hex(text, len, out, out_len);
    return read_base64(text, len, encoding == ENCODING_BASE64URL, out, out_len);
}
