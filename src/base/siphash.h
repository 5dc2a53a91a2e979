/* SipHash-1-3, the keyed hash behind base/map.h (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF"; one round for each word, three at the end). Input may come in pieces. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct siphash {
    uint64_t v[4];
    uint64_t tail; /* the bytes of a word that is not complete, the first one lowest */
    size_t len;    /* bytes so far */
};

void siphash_init(struct siphash *hash, const uint8_t key[16]);
void siphash_update(struct siphash *hash, const void *data, size_t len);

/* The hash of all that came in; the struct is used up. */
uint64_t siphash_finish(struct siphash *hash);
