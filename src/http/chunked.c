/* See chunked.h: a state machine over bytes that passes over a chunk's data in one step. */
#include "http/chunked.h"

#include "http/field.h"

#define DIGITS_MAX 16u /* of a size, leading zeros included */

/* What the next byte belongs to. */
enum part {
    PART_SIZE,
    PART_EXT_NAME, /* its first byte, behind ";" */
    PART_EXT_NAME_MORE,
    PART_EXT_VALUE, /* its first byte, behind "=" */
    PART_EXT_VALUE_MORE,
    PART_EXT_QUOTED,
    PART_EXT_PAIR, /* behind a backslash in quotes */
    PART_EXT_END,  /* behind the closing quote */
    PART_SIZE_LF,
    PART_DATA,
    PART_DATA_CR,
    PART_DATA_LF,
    PART_TRAILER, /* the first byte of a line */
    PART_TRAILER_NAME,
    PART_TRAILER_VALUE,
    PART_TRAILER_LF,
    PART_END_LF,
};

static enum http_parse refuse(struct http_chunked *chunked, int status, const char *text)
{
    chunked->status = status;
    chunked->text = text;
    return HTTP_REFUSED;
}

static enum http_parse go(struct http_chunked *chunked, enum part part)
{
    chunked->part = (uint8_t)part;
    return HTTP_MORE;
}

/* To the part if the byte is as it must be, else the body is refused. */
static enum http_parse go_if(struct http_chunked *chunked, bool right, enum part part)
{
    return right ? go(chunked, part) : refuse(chunked, 400, "Malformed chunked body");
}

static enum http_parse read_digit(struct http_chunked *chunked, const struct http_limits *limits, char c)
{
    unsigned digit;
    if (c >= '0' && c <= '9')
        digit = (unsigned)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        digit = (unsigned)((c | 0x20) - 'a') + 10;
    else
        return refuse(chunked, 400, "Malformed chunk size");
    if (++chunked->digits > DIGITS_MAX)
        return refuse(chunked, 400, "Malformed chunk size");
    chunked->left = chunked->left * 16 + digit;
    if (chunked->left > limits->body - chunked->total)
        return refuse(chunked, 413, "The request's body is too large");
    return HTTP_MORE;
}

/* Behind a size or an extension: another extension, or the line's end. */
static enum http_parse end_extension(struct http_chunked *chunked, char c)
{
    return c == ';' ? go(chunked, PART_EXT_NAME) : go_if(chunked, c == '\r', PART_SIZE_LF);
}

static enum http_parse end_size_line(struct http_chunked *chunked)
{
    chunked->total += chunked->left;
    chunked->digits = 0;
    return go(chunked, chunked->left ? PART_DATA : PART_TRAILER);
}

/* Any byte but those of a chunk's data. */
static enum http_parse read_byte(struct http_chunked *chunked, const struct http_limits *limits, char c)
{
    bool token = http_token_run(&c, 1) == 1, value = http_value_run(&c, 1) == 1;
    switch (chunked->part) {
    case PART_SIZE:
        if (chunked->digits && (c == ';' || c == '\r'))
            return end_extension(chunked, c);
        return read_digit(chunked, limits, c);
    case PART_EXT_NAME: return go_if(chunked, token, PART_EXT_NAME_MORE);
    case PART_EXT_NAME_MORE:
        if (c == '=')
            return go(chunked, PART_EXT_VALUE);
        return token ? HTTP_MORE : end_extension(chunked, c);
    case PART_EXT_VALUE:
        return c == '"' ? go(chunked, PART_EXT_QUOTED) : go_if(chunked, token, PART_EXT_VALUE_MORE);
    case PART_EXT_VALUE_MORE: return token ? HTTP_MORE : end_extension(chunked, c);
    case PART_EXT_QUOTED:
        if (c == '"' || c == '\\')
            return go(chunked, c == '"' ? PART_EXT_END : PART_EXT_PAIR);
        return go_if(chunked, value, PART_EXT_QUOTED);
    case PART_EXT_PAIR: return go_if(chunked, value, PART_EXT_QUOTED);
    case PART_EXT_END: return end_extension(chunked, c);
    case PART_SIZE_LF: return c == '\n' ? end_size_line(chunked) : go_if(chunked, false, PART_SIZE_LF);
    case PART_DATA_CR: return go_if(chunked, c == '\r', PART_DATA_LF);
    case PART_DATA_LF: return go_if(chunked, c == '\n', PART_SIZE);
    case PART_TRAILER: return c == '\r' ? go(chunked, PART_END_LF) : go_if(chunked, token, PART_TRAILER_NAME);
    case PART_TRAILER_NAME:
        return c == ':' ? go(chunked, PART_TRAILER_VALUE) : go_if(chunked, token, PART_TRAILER_NAME);
    case PART_TRAILER_VALUE:
        return c == '\r' ? go(chunked, PART_TRAILER_LF) : go_if(chunked, value, PART_TRAILER_VALUE);
    case PART_TRAILER_LF: return go_if(chunked, c == '\n', PART_TRAILER);
    default: /* PART_END_LF */ return c == '\n' ? HTTP_COMPLETE : go_if(chunked, false, PART_END_LF);
    }
}

/* Is c, which comes next, part of an extension or a trailer? */
static bool is_extra(const struct http_chunked *chunked, char c)
{
    switch (chunked->part) {
    case PART_SIZE: return c == ';';
    case PART_SIZE_LF:
    case PART_DATA:
    case PART_DATA_CR:
    case PART_DATA_LF:
    case PART_END_LF: return false;
    case PART_TRAILER_NAME:
    case PART_TRAILER_VALUE:
    case PART_TRAILER_LF: return true;
    default: return c != '\r';
    }
}

enum http_parse http_chunked_feed(struct http_chunked *chunked, const struct http_limits *limits,
                                  const char *data, size_t len, size_t *used)
{
    size_t at = 0;
    enum http_parse result = HTTP_MORE;
    while (at < len && result == HTTP_MORE) {
        bool extra = is_extra(chunked, data[at]);
        if (at == 0)
            chunked->extra = extra;
        else if (chunked->extra != extra)
            break;
        if (extra && ++chunked->n_extra > limits->headers)
            return refuse(chunked, 431, "The request's chunk extensions and trailers are too large");
        if (chunked->part == PART_DATA) {
            size_t have = len - at < chunked->left ? len - at : (size_t)chunked->left;
            at += have;
            chunked->left -= have;
            if (chunked->left == 0)
                chunked->part = PART_DATA_CR;
        } else {
            result = read_byte(chunked, limits, data[at++]);
        }
    }
    *used = at;
    return result;
}
