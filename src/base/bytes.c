/* Counted bytes, see base/bytes.h. Those of a known length are one allocation. */
#include "base/bytes.h"

#include "base/check.h"
#include "base/spare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_CAP_MIN 64u

/* Most messages are small: allocations for up to so many bytes are all of one size, and kept. */
#define SMALL_MAX 160u
#define SMALL_KEPT 256u

static _Thread_local struct spare small;

static bool is_small(const struct bytes *bytes)
{
    return !bytes->grows && bytes->cap <= SMALL_MAX;
}

void bytes_thread_fini(void)
{
    spare_fini(&small);
}

size_t bytes_cost(const struct bytes *bytes)
{
    static const size_t malloc_head = 16;
    if (!bytes)
        return 0;
    return malloc_head + sizeof *bytes +
           (is_small(bytes) ? SMALL_MAX : bytes->cap + (bytes->grows ? malloc_head : 0));
}

/* Where the bytes of one that does not grow lie. */
static uint8_t *inline_data(struct bytes *bytes)
{
    return (uint8_t *)(bytes + 1);
}

struct bytes *bytes_new(size_t len)
{
    if (len > SIZE_MAX / 2)
        return NULL;
    struct bytes *bytes =
        len <= SMALL_MAX ? spare_take(&small, sizeof *bytes + SMALL_MAX) : malloc(sizeof *bytes + len);
    if (bytes)
        *bytes = (struct bytes){.refs = 1, .len = len, .cap = len, .data = inline_data(bytes)};
    return bytes;
}

struct bytes *bytes_copy(const void *data, size_t len)
{
    struct bytes *bytes = bytes_new(len);
    if (bytes && len)
        memcpy(bytes->data, data, len);
    return bytes;
}

struct bytes *bytes_new_growing(size_t cap)
{
    struct bytes *bytes = malloc(sizeof *bytes);
    if (!bytes)
        return NULL;
    *bytes = (struct bytes){.refs = 1, .grows = true, .cap = cap};
    if (cap == 0)
        return bytes;
    bytes->data = malloc(cap);
    if (!bytes->data) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

int bytes_append_within(struct bytes *bytes, const void *data, size_t len, size_t most)
{
    CHECK(bytes->grows);
    if (len == 0)
        return 0;
    if (len > bytes->cap - bytes->len) {
        if (len > SIZE_MAX / 2 - bytes->len)
            return -ENOMEM;
        size_t cap = bytes->cap * 2;
        if (cap < BYTES_CAP_MIN)
            cap = BYTES_CAP_MIN;
        if (cap > most)
            cap = most;
        if (cap < bytes->len + len)
            cap = bytes->len + len;
        uint8_t *moved = realloc(bytes->data, cap);
        if (!moved)
            return -ENOMEM;
        bytes->data = moved;
        bytes->cap = cap;
    }
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    return 0;
}

int bytes_append(struct bytes *bytes, const void *data, size_t len)
{
    return bytes_append_within(bytes, data, len, SIZE_MAX);
}

void bytes_trim(struct bytes *bytes)
{
    CHECK(bytes->grows);
    uint8_t *moved = bytes->len > 0 && bytes->len < bytes->cap ? realloc(bytes->data, bytes->len) : NULL;
    if (!moved)
        return;
    bytes->data = moved;
    bytes->cap = bytes->len;
}

struct bytes *bytes_ref(struct bytes *bytes)
{
    if (bytes) {
        CHECK(bytes->refs > 0 && bytes->refs < UINT32_MAX);
        bytes->refs++;
    }
    return bytes;
}

void bytes_unref(struct bytes *bytes)
{
    if (!bytes)
        return;
    CHECK(bytes->refs > 0);
    if (--bytes->refs)
        return;
    if (is_small(bytes)) {
        spare_give(&small, bytes, SMALL_KEPT);
        return;
    }
    if (bytes->grows)
        free(bytes->data);
    free(bytes);
}
