/* The server's log: lines for people on a terminal, one JSON object per line otherwise.
 *
 * A line is put together by the caller's thread and written by a thread of the log's own
 * out of a bounded queue, so that a reader that is slow or has stopped never holds up a
 * loop: what does not fit is dropped, counted, and said when there is room again.
 * Control characters are escaped, so one event is one line whatever a client sends. */
#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON };

/* A value with a name, for the end of a line. Made by the functions below; the text is
 * copied before log_line returns. */
struct log_field {
    const char *name;
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_REAL, LOG_FIELD_RAW } kind;
    struct span text; /* RAW: JSON that is right already */
    int64_t integer;
    double real;
};

static inline struct log_field log_text(const char *name, struct span text)
{
    return (struct log_field){.name = name, .kind = LOG_FIELD_TEXT, .text = text};
}
static inline struct log_field log_str(const char *name, const char *text)
{
    return log_text(name, span_of(text));
}
static inline struct log_field log_int(const char *name, int64_t value)
{
    return (struct log_field){.name = name, .kind = LOG_FIELD_INT, .integer = value};
}
static inline struct log_field log_real(const char *name, double value)
{
    return (struct log_field){.name = name, .kind = LOG_FIELD_REAL, .real = value};
}

/* JSON that is right already, as it stands. */
static inline struct log_field log_raw(const char *name, struct span json)
{
    return (struct log_field){.name = name, .kind = LOG_FIELD_RAW, .text = json};
}

/* Begins writing to fd (not closed by the log). AUTO: text if fd is a terminal, JSON if
 * not. Text has colours on a terminal without NO_COLOR, or wherever FORCE_COLOR is set.
 * Before this, and after log_fini, lines go straight to stderr as text. 0 or a negative
 * errno: -EALREADY if the log is in use, or its thread is still stuck in a write. */
int log_init(int fd, enum log_level level, enum log_format format);

/* Writes what is queued and ends the thread. A reader that does not read is waited for
 * for a second, then the rest is lost. */
void log_fini(void);

/* Would a line of this level be written? For those who prepare costly fields. */
bool log_enabled(enum log_level level);

/* One line: the message, then n fields. A field whose text spans lines (a traceback) is
 * put below the line, indented, in text format. A line has at most 16 KiB: no text takes
 * more than half of what is left of that, longer ones end in "…". Never blocks. */
void log_line(enum log_level level, const char *message, const struct log_field *fields, size_t n);

/* log_line with the fields, one or more, written as arguments. */
#define log_event(level, message, ...)                                                                       \
    log_line((level), (message), (const struct log_field[]){__VA_ARGS__},                                    \
             sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* Lines dropped so far because nobody read them. */
uint64_t log_dropped(void);

/* "debug", "info", "warn", "error", "off" and "auto", "text", "json"; false for others. */
bool log_level_parse(const char *text, enum log_level *level);
bool log_format_parse(const char *text, enum log_format *format);
