/* Digests (FIPS 180-4) and keyed ones (HMAC, FIPS 198-1, RFC 2104). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum digest { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGESTS };

#define DIGEST_LEN_MAX 64

/* The digest with this name, "sha256"; -1: there is none. */
int digest_named(const char *name);

/* Bytes of its result. */
size_t digest_len(enum digest digest);

/* Asked between pieces of long data, some hundred microseconds apart; true: stop. NULL: nobody wants to. */
typedef bool (*digest_stop)(void);

/* The digest of the data, digest_len bytes. 0; -ECANCELED when it was stopped; -ENOMEM. */
int digest_of(enum digest digest, const void *data, size_t len, digest_stop stop, uint8_t *out)
    __attribute__((warn_unused_result));

/* The same with a key, which may have any length. */
int hmac_of(enum digest digest, const void *key, size_t key_len, const void *data, size_t len,
            digest_stop stop, uint8_t *out) __attribute__((warn_unused_result));

/* Are the two the same? How long it takes says nothing about where they differ. */
bool equal_in_time(const void *a, const void *b, size_t len);
