/* The rules of field.h. Called by the parser and its lint for what clients send, by scripts'
 * bindings and the router for what they read and write. Never changes its input. */
#include "http/field.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>

/* Where a byte may stand. */
enum {
    TOKEN = 1,  /* RFC 9110 §5.6.2 */
    VALUE = 2,  /* HTAB, SP, VCHAR, obs-text */
    TARGET = 4, /* VCHAR but "#" */
    NAME = 8,   /* reg-name but for "%" HEXDIG HEXDIG: unreserved and sub-delims of RFC 3986 */
};

/* clang-format off */
static const uint8_t classes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    2, 15, 6, 3, 15, 7, 15, 15, 14, 14, 15, 15, 14, 15, 15, 6, /* SP to / */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 14, 6, 14, 6, 6, /* 0 to ? */
    6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* @ to O */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 7, 15, /* P to _ */
    7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* ` to o */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 7, 6, 15, 0, /* p to DEL */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
};
/* clang-format on */

static bool is(char c, unsigned class)
{
    return (classes[(uint8_t)c] & class) != 0;
}

/* Eight bytes at once: is one of them certainly or perhaps not of a class? The usual bit
 * tricks; a yes is looked at byte by byte. */
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define BELOW(word, byte) (((word)-EACH(byte)) & ~(word)&EACH(0x80))
#define EQUAL(word, byte) BELOW((word) ^ EACH(byte), 1)

static inline bool suspect_value(uint64_t word)
{
    return (BELOW(word, 0x20) | EQUAL(word, 0x7f)) != 0;
}

static inline bool suspect_target(uint64_t word)
{
    return ((word & EACH(0x80)) | BELOW(word, 0x21) | EQUAL(word, 0x7f) | EQUAL(word, '#')) != 0;
}

static inline size_t run(const char *text, size_t len, unsigned class, bool (*suspect)(uint64_t))
{
    size_t at = 0;
    while (len - at >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text + at, sizeof word);
        if (suspect(word)) {
            for (size_t end = at + sizeof word; at < end; at++)
                if (!is(text[at], class))
                    return at;
        } else {
            at += sizeof word;
        }
    }
    while (at < len && is(text[at], class))
        at++;
    return at;
}

size_t http_token_run(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && is(text[at], TOKEN))
        at++;
    return at;
}

size_t http_value_run(const char *text, size_t len)
{
    return run(text, len, VALUE, suspect_value);
}

size_t http_target_run(const char *text, size_t len)
{
    return run(text, len, TARGET, suspect_target);
}

bool http_is_token(struct span text)
{
    return text.len > 0 && http_token_run(text.ptr, text.len) == text.len;
}

bool http_is_field_value(struct span text)
{
    return http_value_run(text.ptr, text.len) == text.len;
}

/* The value of a hex digit, -1 for another byte. */
static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that an escape at text names, -1 if none stands there. */
static int escaped(const char *text, size_t len)
{
    if (len < 3 || text[0] != '%' || hex(text[1]) < 0 || hex(text[2]) < 0)
        return -1;
    return hex(text[1]) * 16 + hex(text[2]);
}

/* How many bytes at the beginning of text are "[" IPv6address "]"; 0 if it is none. */
static size_t ip_literal(struct span text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    const char *end = memchr(text.ptr, ']', text.len);
    size_t len = end ? (size_t)(end - text.ptr) - 1 : 0;
    if (len == 0 || len >= sizeof address || memchr(text.ptr, '\0', len + 1))
        return 0;
    memcpy(address, text.ptr + 1, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1 ? len + 2 : 0;
}

/* How many bytes at the beginning of text are a reg-name. */
static size_t reg_name(struct span text)
{
    size_t at = 0;
    while (at < text.len) {
        if (is(text.ptr[at], NAME))
            at++;
        else if (escaped(text.ptr + at, text.len - at) >= 0)
            at += 3;
        else
            break;
    }
    return at;
}

bool http_is_host(struct span text)
{
    if (text.len == 0)
        return true;
    bool literal = text.ptr[0] == '[';
    size_t at = literal ? ip_literal(text) : reg_name(text);
    if (literal && at == 0)
        return false;
    if (at == text.len)
        return true;
    if (text.ptr[at] != ':' || at == 0)
        return false;
    unsigned port = 0;
    for (at++; at < text.len; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '9')
            return false;
        port = port * 10 + (unsigned)(text.ptr[at] - '0');
        if (port > UINT16_MAX)
            return false;
    }
    return true;
}

bool http_is_method(struct span text)
{
    static const struct span methods[] = {
        {"GET", 3}, {"POST", 4}, {"HEAD", 4}, {"PUT", 3}, {"PATCH", 5}, {"DELETE", 6}, {"OPTIONS", 7},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (span_equal(text, methods[i]))
            return true;
    return false;
}

const char *http_reason(int status)
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 208: return "Already Reported";
    case 226: return "IM Used";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 305: return "Use Proxy";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 418: return "I'm a teapot";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 506: return "Variant Also Negotiates";
    case 507: return "Insufficient Storage";
    case 508: return "Loop Detected";
    case 511: return "Network Authentication Required";
    default: return "Unknown";
    }
}

bool http_status_bodyless(int status)
{
    return status < 200 || status == 204 || status == 205 || status == 304;
}

/* Cuts what stands before the separator off *rest (ptr NULL at the end) and returns it. */
static struct span cut(struct span *rest, char separator)
{
    struct span piece = *rest;
    const char *end = piece.len ? memchr(piece.ptr, separator, piece.len) : NULL;
    if (end) {
        piece.len = (size_t)(end - piece.ptr);
        *rest = (struct span){end + 1, rest->len - piece.len - 1};
    } else {
        *rest = (struct span){NULL, 0};
    }
    return piece;
}

bool http_list_next(struct span *rest, struct span *element)
{
    if (!rest->ptr)
        return false;
    *element = span_trim(cut(rest, ','));
    return true;
}

/* Decodes at the end of out; strict refuses what is no escape, else it is kept. */
static int decode(struct span text, bool plus, bool strict, struct buf *out)
{
    if (buf_reserve(out, text.len))
        return -ENOMEM;
    if (text.len == 0)
        return 0;
    uint8_t *end = out->data + out->len;
    for (size_t at = 0; at < text.len; at++) {
        char c = text.ptr[at];
        int byte = c == '%' ? escaped(text.ptr + at, text.len - at) : -1;
        if (byte >= 0) {
            *end++ = (uint8_t)byte;
            at += 2;
        } else if (c == '%' && strict) {
            return -EINVAL;
        } else {
            *end++ = plus && c == '+' ? ' ' : (uint8_t)c;
        }
    }
    out->len = (size_t)(end - out->data);
    return 0;
}

int http_percent_decode(struct span text, bool plus, struct buf *out)
{
    return decode(text, plus, true, out);
}

int http_query_next(struct span *rest, struct buf *name, struct buf *value)
{
    name->len = value->len = 0;
    while (rest->ptr) {
        struct span piece = cut(rest, '&');
        if (piece.len == 0)
            continue;
        struct span key = cut(&piece, '=');
        if (decode(key, true, false, name) || decode(piece, true, false, value))
            return -ENOMEM;
        return 1;
    }
    return 0;
}
