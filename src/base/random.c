/* Randomness out of the kernel, and UUIDs made of it: some are drawn together, since asking the kernel costs several
 * times what a UUID does. */
#include "base/random.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

void random_bytes(void *out, size_t len)
{
    uint8_t *at = out;
    while (len) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            fprintf(stderr, "festa: the system gives no randomness: %s\n", strerror(errno));
            abort();
        }
        at += got;
        len -= (size_t)got;
    }
}

/* Draws 16 bytes; of what is kept for the next, those are wiped that were given out. */
static void draw(uint8_t out[16])
{
    static _Thread_local struct {
        uint8_t bytes[16 * 16];
        size_t left;
    } kept;

    if (kept.left == 0) {
        random_bytes(kept.bytes, sizeof kept.bytes);
        kept.left = sizeof kept.bytes;
    }
    kept.left -= 16;
    memcpy(out, kept.bytes + kept.left, 16);
    explicit_bzero(kept.bytes + kept.left, 16);
}

void random_uuid(char out[UUID_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[16];
    draw(bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80); /* the variant of RFC 9562 */

    char *at = out;
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 0x0f];
    }
    *at = '\0';
}

void random_reference(char out[REFERENCE_LEN + 1])
{
    uint8_t bytes[REFERENCE_LEN / 2];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned)bytes[i]);
}
