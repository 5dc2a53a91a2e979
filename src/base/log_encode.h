/* How a line of the log looks: the bytes that log.c queues. Pure functions. */
#pragma once

#include "base/log.h"

/* The most bytes of one line, its newline included. */
#define LOG_LINE_MAX (16u * 1024)

enum log_style { LOG_STYLE_TEXT, LOG_STYLE_COLOURS, LOG_STYLE_JSON };

/* Writes one line, ended by a newline, and returns its length. Whatever the bytes of
 * message and fields: JSON is valid, and neither form has a control character but the
 * newlines that text puts before its indented lines. */
size_t log_encode(char out[LOG_LINE_MAX], enum log_style style, int64_t wall_ms, enum log_level level,
                  const char *message, const struct log_field *fields, size_t n);

/* By enum log_level, ended by NULL. */
extern const char *const log_level_names[];
