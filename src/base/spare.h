/* Blocks of one size that are kept for the next one who asks: for what is made and freed for every
 * message. A list belongs to one thread (_Thread_local); its owner empties it when the thread ends.
 * Sanitizer builds keep none, so that misuse shows. */
#pragma once

#include <stddef.h>
#include <stdlib.h>

struct spare_block {
    struct spare_block *next;
};

/* Zeroed memory is an empty list. */
struct spare {
    struct spare_block *blocks; /* owned */
    size_t count;
};

/* A block of this size, not initialised; NULL: no memory. Blocks of a list are all of the same size. */
static inline void *spare_take(struct spare *spare, size_t size)
{
    struct spare_block *block = spare->blocks;
    if (!block)
        return malloc(size);
    spare->blocks = block->next;
    spare->count--;
    return block;
}

/* Keeps the block, or frees it when max are kept already. */
static inline void spare_give(struct spare *spare, void *memory, size_t max)
{
#ifdef FESTA_PLAIN_ALLOC
    max = 0;
#endif
    if (spare->count >= max) {
        free(memory);
        return;
    }
    struct spare_block *block = memory;
    block->next = spare->blocks;
    spare->blocks = block;
    spare->count++;
}

static inline void spare_fini(struct spare *spare)
{
    while (spare->blocks) {
        struct spare_block *block = spare->blocks;
        spare->blocks = block->next;
        free(block);
    }
    spare->count = 0;
}
