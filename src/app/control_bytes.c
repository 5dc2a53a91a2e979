/* Requests and answers of control.h as bytes. What is taken apart may come from another program, so each length is
 * held against what is there. */
#include "app/control.h"

#include <errno.h>

int control_begin(struct buf *buf, enum control_request request)
{
    const uint8_t head[2] = {CONTROL_VERSION, (uint8_t)request};
    return buf_append(buf, head, sizeof head);
}

int control_put_u32(struct buf *buf, uint32_t number)
{
    return buf_append(buf, &number, sizeof number);
}

int control_put_i64(struct buf *buf, int64_t number)
{
    return buf_append(buf, &number, sizeof number);
}

int control_put_bytes(struct buf *buf, struct span bytes)
{
    return store_put_bytes(buf, bytes);
}

static bool take(struct span *rest, void *out, size_t len)
{
    if (rest->len < len)
        return false;
    memcpy(out, rest->ptr, len);
    rest->ptr += len;
    rest->len -= len;
    return true;
}

bool control_take_u8(struct span *rest, uint8_t *number)
{
    return take(rest, number, sizeof *number);
}

bool control_take_u32(struct span *rest, uint32_t *number)
{
    return take(rest, number, sizeof *number);
}

bool control_take_i64(struct span *rest, int64_t *number)
{
    return take(rest, number, sizeof *number);
}

bool control_take_bytes(struct span *rest, struct span *bytes)
{
    uint32_t len;

    if (!control_take_u32(rest, &len) || rest->len < len)
        return false;
    *bytes = (struct span){rest->ptr, len};
    rest->ptr += len;
    rest->len -= len;
    return true;
}

void control_refuse(struct buf *answer, const char *why)
{
    const uint8_t failed = 1;

    answer->len = 0;
    if (buf_append(answer, &failed, 1) != 0 || buf_append(answer, why, strlen(why)) != 0)
        answer->len = 0;
}
