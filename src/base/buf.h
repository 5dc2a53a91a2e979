/* A buffer that grows. Zeroed memory is an empty one; buf_fini empties it again. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; /* owned; NULL while cap is 0 */
    size_t len;    /* bytes in use */
    size_t cap;
};

/* Room for extra more bytes. 0 or -ENOMEM (then nothing changed). */
int buf_reserve(struct buf *buf, size_t extra) __attribute__((warn_unused_result));

/* 0 or -ENOMEM (then nothing changed). */
int buf_append(struct buf *buf, const void *data, size_t len) __attribute__((warn_unused_result));

/* printf at the end, without the NUL. 0 or -ENOMEM. */
int buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((warn_unused_result, format(printf, 2, 3)));
int buf_vprintf(struct buf *buf, const char *format, va_list args)
    __attribute__((warn_unused_result, format(printf, 2, 0)));

/* Drops the first len bytes. */
void buf_consume(struct buf *buf, size_t len);

/* Frees the memory; the buffer is empty and usable afterwards. */
void buf_fini(struct buf *buf);
