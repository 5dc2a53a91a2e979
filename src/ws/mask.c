/* Unmasking, in blocks of eight words that the compiler turns into vector instructions. Text
 * is nearly always ASCII, which a block shows by the bits that are set in none of its bytes:
 * only blocks with others go through the UTF-8 checker, while they are still in the cache. */
#include "ws/mask.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

#define BLOCK_WORDS 8u
#define BLOCK (BLOCK_WORDS * sizeof(uint64_t))
#define HIGH_BITS 0x8080808080808080u

/* Returns all bits that are set in any of the words. */
static inline uint64_t unmask_block(uint8_t *dst, const uint8_t *src, uint64_t key)
{
    uint64_t words[BLOCK_WORDS], seen = 0;

    memcpy(words, src, sizeof words);
    for (size_t i = 0; i < BLOCK_WORDS; i++) {
        words[i] ^= key;
        seen |= words[i];
    }
    memcpy(dst, words, sizeof words);
    return seen;
}

/* What is left behind the last block; turns the mask. Returns the bits as above. */
static uint64_t unmask_rest(uint8_t *dst, const uint8_t *src, size_t len, uint8_t mask[4], uint64_t key)
{
    uint64_t word, seen = 0;
    uint8_t twice[8];

    for (; len >= sizeof word; len -= sizeof word, src += sizeof word, dst += sizeof word) {
        memcpy(&word, src, sizeof word);
        word ^= key;
        seen |= word;
        memcpy(dst, &word, sizeof word);
    }
    memcpy(twice, &key, sizeof twice);
    for (size_t i = 0; i < len; i++) {
        dst[i] = src[i] ^ twice[i];
        seen |= dst[i];
    }
    memcpy(mask, twice + len % 4, 4);
    return seen;
}

static uint64_t key_of(const uint8_t mask[4])
{
    uint64_t key;
    memcpy(&key, mask, 4);
    memcpy((uint8_t *)&key + 4, mask, 4);
    return key;
}

void ws_unmask(uint8_t *dst, const uint8_t *src, size_t len, uint8_t mask[4])
{
    uint64_t key = key_of(mask);

    for (; len >= BLOCK; len -= BLOCK, src += BLOCK, dst += BLOCK)
        unmask_block(dst, src, key);
    unmask_rest(dst, src, len, mask, key);
}

static uint32_t check(uint32_t utf8, const uint8_t *data, size_t len, uint64_t seen)
{
    return utf8 == UTF8_ACCEPT && !(seen & HIGH_BITS) ? utf8 : utf8_feed(utf8, data, len);
}

uint32_t ws_unmask_text(uint8_t *dst, const uint8_t *src, size_t len, uint8_t mask[4], uint32_t utf8)
{
    uint64_t key = key_of(mask);

    for (; len >= BLOCK && utf8 != UTF8_REJECT; len -= BLOCK, src += BLOCK, dst += BLOCK)
        utf8 = check(utf8, dst, BLOCK, unmask_block(dst, src, key));
    return check(utf8, dst, len, unmask_rest(dst, src, len, mask, key));
}
