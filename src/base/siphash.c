/* SipHash-1-3 as base/siphash.h describes it. */
#include "base/siphash.h"

static uint64_t rotate(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

/* Little endian whatever the machine; compiles to one load. */
static uint64_t load(const uint8_t *at)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | at[i];
    return word;
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

void siphash_init(struct siphash *hash, const uint8_t key[16])
{
    uint64_t k0 = load(key), k1 = load(key + 8);
    *hash = (struct siphash){
        .v = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
              k1 ^ 0x7465646279746573u},
    };
}

void siphash_update(struct siphash *hash, const void *data, size_t len)
{
    const uint8_t *at = data;
    unsigned held = hash->len % 8; /* bytes in tail */
    hash->len += len;

    if (held == 0) {
        for (; len >= 8; at += 8, len -= 8)
            absorb(hash->v, load(at));
    }
    for (; len; at++, len--) {
        hash->tail |= (uint64_t)*at << (8 * held);
        if (++held == 8) {
            absorb(hash->v, hash->tail);
            hash->tail = 0;
            held = 0;
        }
    }
}

uint64_t siphash_finish(struct siphash *hash)
{
    uint64_t *v = hash->v;
    absorb(v, (uint64_t)hash->len << 56 | hash->tail);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
