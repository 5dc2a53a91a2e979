/* Lines of the log as bytes: text for people, JSON for programs. Called by log.c alone.
 *
 * A line has a fixed room. Each text may use half of what is left, so that those behind a
 * very long one are still seen; fields for which there is no room are left out and the
 * line says so. */
#include "base/log_encode.h"

#include "base/check.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MARK "…" /* where a text was cut */
#define MARK_LEN (sizeof(MARK) - 1)
#define CLOSING_ROOM 32u /* kept for the end of the line */
#define NAME_ROOM 64u    /* for the name of a field */
#define FIELD_ROOM 160u  /* a field is begun only if so much is left: name, number, quotes, colours */

#define BLOCK_INDENT "    "
#define BLOCK_LINE_INDENT "      "

struct line {
    char *at, *end;
    enum log_style style;
    bool cut; /* fields were left out */
};

/* How a text is escaped. */
enum text_kind {
    TEXT_PLAIN,  /* as it is, control characters escaped */
    TEXT_QUOTED, /* the same between quotes */
    TEXT_BLOCK,  /* the same over several lines */
    TEXT_JSON,   /* inside a JSON string */
    TEXT_RAW,    /* JSON already */
};

/* ---- pieces ---- */

static size_t room(const struct line *line)
{
    return (size_t)(line->end - line->at);
}

static void put_bytes(struct line *line, const char *bytes, size_t len)
{
    CHECK(len <= room(line));
    memcpy(line->at, bytes, len);
    line->at += len;
}

static void put(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

/* Length of the character that text begins with, 0 when it is not valid UTF-8. */
static size_t character_len(struct span text)
{
    uint32_t state = UTF8_ACCEPT;
    for (size_t i = 0; i < text.len; i++) {
        state = utf8_feed(state, text.ptr + i, 1);
        if (state == UTF8_ACCEPT)
            return i + 1;
        if (state == UTF8_REJECT)
            break;
    }
    return 0;
}

/* The code point of a valid character. */
static uint32_t code_point(const char *at, size_t len)
{
    uint32_t code = (uint8_t)at[0];
    if (len > 1)
        code &= 0xffu >> (len + 1);
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((uint8_t)at[i] & 0x3f);
    return code;
}

/* Can it move a terminal's cursor, end a line, or turn the order of what is read? */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

static bool must_escape(enum text_kind kind, uint32_t code)
{
    if (code == '"' || code == '\\')
        return kind == TEXT_QUOTED || kind == TEXT_JSON;
    return is_control(code);
}

/* What stands for a character that must be escaped, or for a byte that is not UTF-8 (len 0). */
static size_t escape(char out[16], enum text_kind kind, const char *at, size_t len)
{
    bool json = kind == TEXT_JSON || kind == TEXT_RAW;
    uint32_t code = len ? code_point(at, len) : (uint8_t)*at;
    const char *fixed = NULL;

    if (code == '"')
        fixed = "\\\"";
    else if (code == '\\')
        fixed = "\\\\";
    else if (len == 0 && json)
        fixed = "\\ufffd";
    else if (kind == TEXT_RAW && code < 0x20)
        fixed = " "; /* between two tokens */
    else if (code == '\n')
        fixed = kind == TEXT_BLOCK ? "\n" BLOCK_LINE_INDENT : "\\n";
    else if (code == '\t')
        fixed = kind == TEXT_BLOCK ? "    " : "\\t";
    else if (code == '\r')
        fixed = "\\r";

    int written;
    if (fixed)
        written = snprintf(out, 16, "%s", fixed);
    else
        written = snprintf(out, 16, len < 2 && !json ? "\\x%02x" : "\\u%04x", code);
    return (size_t)written;
}

/* Puts text into at most max bytes; false when it was cut. */
static bool put_text(struct line *line, enum text_kind kind, struct span text, size_t max)
{
    CHECK(max >= MARK_LEN && max <= room(line));
    const char *limit = line->at + max - MARK_LEN;
    while (text.len) {
        unsigned char c = (unsigned char)*text.ptr;
        if (c >= 0x20 && c < 0x7f && !must_escape(kind, c) && line->at < limit) { /* most of all text */
            *line->at++ = *text.ptr++;
            text.len--;
            continue;
        }

        const char *unit = text.ptr;
        size_t used = character_len(text), unit_len = used;
        char escaped[16];
        if (used == 0 || must_escape(kind, code_point(text.ptr, used))) {
            unit_len = escape(escaped, kind, text.ptr, used);
            unit = escaped;
        }
        if (unit_len > (size_t)(limit - line->at)) {
            put_bytes(line, MARK, MARK_LEN);
            return false;
        }
        memcpy(line->at, unit, unit_len);
        line->at += unit_len;
        used += used == 0; /* a byte that is not UTF-8 is passed over alone */
        text.ptr += used;
        text.len -= used;
    }
    return true;
}

/* ---- values ---- */

/* The shortest of two forms that reads back as the same number. */
static void put_real(struct line *line, double real)
{
    char text[32];
    if (!isfinite(real)) {
        put(line, "null");
        return;
    }
    snprintf(text, sizeof text, "%.15g", real);
    double back = strtod(text, NULL);
    if (back < real || back > real)
        snprintf(text, sizeof text, "%.17g", real);
    put(line, text);
}

static void put_integer(struct line *line, int64_t integer)
{
    char digits[20], *at = digits + sizeof digits;
    uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (integer < 0)
        put(line, "-");
    put_bytes(line, at, (size_t)(digits + sizeof digits - at));
}

static void put_string(struct line *line, enum text_kind kind, struct span text)
{
    put(line, "\"");
    put_text(line, kind, text, room(line) / 2);
    put(line, "\"");
}

/* May it stand behind "name=" without quotes? */
static bool is_word(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
            return false;
    }
    return text.len > 0;
}

static void put_value(struct line *line, const struct log_field *field)
{
    bool json = line->style == LOG_STYLE_JSON;
    char *begin = line->at;

    switch (field->kind) {
    case LOG_FIELD_INT: put_integer(line, field->integer); break;
    case LOG_FIELD_REAL: put_real(line, field->real); break;
    case LOG_FIELD_RAW:
        if (field->text.len == 0)
            put(line, "null");
        else if (!put_text(line, TEXT_RAW, field->text, room(line) / 2) && json) {
            line->at = begin; /* half of an object is no JSON, but can be shown as a string */
            put_string(line, TEXT_JSON, field->text);
        }
        break;
    case LOG_FIELD_TEXT:
        if (!field->text.ptr)
            put(line, "null");
        else if (json)
            put_string(line, TEXT_JSON, field->text);
        else if (is_word(field->text))
            put_text(line, TEXT_PLAIN, field->text, room(line) / 2);
        else
            put_string(line, TEXT_QUOTED, field->text);
        break;
    }
}

/* ---- lines ---- */

const char *const log_level_names[] = {"debug", "info", "warn", "error", "off", NULL};

/* Both calendars are slow and take a lock in the C library, lines are many: each thread
 * keeps the text of the second that it asked for last. */
static void put_time(struct line *line, int64_t wall_ms)
{
    static _Thread_local struct {
        int64_t second;
        bool json, filled;
        char text[32];
    } last;

    bool json = line->style == LOG_STYLE_JSON;
    int64_t second = wall_ms / 1000;
    if (!last.filled || last.second != second || last.json != json) {
        time_t time = (time_t)second;
        struct tm tm;
        strftime(last.text, sizeof last.text, json ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S",
                 json ? gmtime_r(&time, &tm) : localtime_r(&time, &tm));
        last.second = second;
        last.json = json;
        last.filled = true;
    }
    put(line, last.text);
    int ms = (int)(wall_ms % 1000);
    put_bytes(line, (char[]){'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)},
              4);
}

static void encode_json(struct line *line, int64_t wall_ms, enum log_level level, struct span message,
                        const struct log_field *fields, size_t n)
{
    put(line, "{\"ts\":\"");
    put_time(line, wall_ms);
    put(line, "Z\",\"level\":\"");
    put(line, log_level_names[level]);
    put(line, "\",\"msg\":");
    put_string(line, TEXT_JSON, message);
    for (size_t i = 0; i < n; i++) {
        if (room(line) < FIELD_ROOM) {
            line->cut = true;
            break;
        }
        put(line, ",\"");
        put_text(line, TEXT_JSON, span_of(fields[i].name), NAME_ROOM);
        put(line, "\":");
        put_value(line, &fields[i]);
    }
    line->end += CLOSING_ROOM;
    put(line, line->cut ? ",\"cut\":true}\n" : "}\n");
}

static void put_colour(struct line *line, const char *sequence)
{
    if (line->style == LOG_STYLE_COLOURS)
        put(line, sequence);
}

#define COLOUR_DIM "\033[2m"
#define COLOUR_END "\033[0m"

static bool is_block(const struct log_field *field)
{
    return field->kind == LOG_FIELD_TEXT && field->text.len && memchr(field->text.ptr, '\n', field->text.len);
}

static void put_text_field(struct line *line, const struct log_field *field)
{
    put_colour(line, COLOUR_DIM);
    put_text(line, TEXT_PLAIN, span_of(field->name), NAME_ROOM);
    put(line, "=");
    put_colour(line, COLOUR_END);
    put_value(line, field);
}

/* The name, and below it the lines of the text, each further in than a line of the log. */
static void put_block(struct line *line, const struct log_field *field)
{
    struct span text = field->text;
    while (text.len && text.ptr[text.len - 1] == '\n')
        text.len--;
    put(line, "\n" BLOCK_INDENT);
    put_colour(line, COLOUR_DIM);
    put_text(line, TEXT_PLAIN, span_of(field->name), NAME_ROOM);
    put(line, ":");
    put_colour(line, COLOUR_END);
    put(line, "\n" BLOCK_LINE_INDENT);
    put_text(line, TEXT_BLOCK, text, room(line) / 2);
}

static void encode_text(struct line *line, int64_t wall_ms, enum log_level level, struct span message,
                        const struct log_field *fields, size_t n)
{
    static const char *const colours[] = {"\033[36m", "\033[32m", "\033[33m", "\033[31m", ""};
    const char *gap = "  ";

    put_colour(line, COLOUR_DIM);
    put_time(line, wall_ms);
    put_colour(line, COLOUR_END);
    put(line, " ");
    put_colour(line, colours[level]);
    put(line, log_level_names[level]);
    put_colour(line, COLOUR_END);
    for (size_t len = strlen(log_level_names[level]); len < 6; len++)
        put(line, " ");
    put_text(line, TEXT_PLAIN, message, room(line) / 2);

    for (int blocks = 0; blocks <= 1; blocks++) {
        for (size_t i = 0; i < n; i++) {
            if (is_block(&fields[i]) != blocks)
                continue;
            if (room(line) < FIELD_ROOM) {
                line->cut = true;
            } else if (blocks) {
                put_block(line, &fields[i]);
            } else {
                put(line, gap);
                put_text_field(line, &fields[i]);
                gap = " ";
            }
        }
    }
    line->end += CLOSING_ROOM;
    put(line, line->cut ? " " MARK "\n" : "\n");
}

size_t log_encode(char out[LOG_LINE_MAX], enum log_style style, int64_t wall_ms, enum log_level level,
                  const char *message, const struct log_field *fields, size_t n)
{
    struct line line = {.at = out, .end = out + LOG_LINE_MAX - CLOSING_ROOM, .style = style};
    if (style == LOG_STYLE_JSON)
        encode_json(&line, wall_ms, level, span_of(message), fields, n);
    else
        encode_text(&line, wall_ms, level, span_of(message), fields, n);
    return (size_t)(line.at - out);
}
