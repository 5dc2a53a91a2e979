/* The growing buffer of base/buf.h: doubles, so that appending costs O(1) a byte. */
#include "base/buf.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_CAP_MIN 64u

int buf_reserve(struct buf *buf, size_t extra)
{
    if (extra <= buf->cap - buf->len)
        return 0;
    if (extra > SIZE_MAX / 2 - buf->len)
        return -ENOMEM;
    size_t cap = buf->len + extra;
    if (cap < buf->cap * 2)
        cap = buf->cap * 2;
    if (cap < BUF_CAP_MIN)
        cap = BUF_CAP_MIN;
    uint8_t *data = realloc(buf->data, cap);
    if (!data)
        return -ENOMEM;
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    int rc = buf_reserve(buf, len);
    if (rc)
        return rc;
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

int buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);

    int rc = 0;
    size_t room = buf->cap - buf->len;
    int len = vsnprintf(room ? (char *)buf->data + buf->len : NULL, room, format, args);
    if (len < 0) {
        rc = -ENOMEM; /* longer than INT_MAX */
    } else if ((size_t)len >= room) {
        rc = buf_reserve(buf, (size_t)len + 1); /* vsnprintf wants room for its NUL */
        if (rc == 0)
            vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, again);
    }
    if (rc == 0)
        buf->len += (size_t)len;
    va_end(again);
    return rc;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = buf_vprintf(buf, format, args);
    va_end(args);
    return rc;
}

void buf_consume(struct buf *buf, size_t len)
{
    CHECK(len <= buf->len);
    buf->len -= len;
    if (len && buf->len)
        memmove(buf->data, buf->data + len, buf->len);
}

void buf_fini(struct buf *buf)
{
    if (!buf)
        return;
    free(buf->data);
    *buf = (struct buf){0};
}
