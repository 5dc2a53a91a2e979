/* Slabs for the many small blocks of the rooms' VMs. Blocks of all sizes are cut from the same
 * chunk, so what a room allocates while it starts lies together. Freed blocks are kept by
 * size class for the next one that asks; chunks go with the pool. */
#include "script/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef FESTA_PLAIN_ALLOC /* sanitizer builds: every block from malloc, so that misuse shows */

struct pool {
    char nothing;
};

struct pool *pool_new(void)
{
    return calloc(1, sizeof(struct pool));
}

void pool_free(struct pool *pool)
{
    free(pool);
}

void *pool_realloc(struct pool *pool, void *block, size_t old_size, size_t new_size)
{
    (void)pool;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    void *moved = realloc(block, new_size);
    return moved || new_size > old_size ? moved : block;
}

#else

#define POOL_STEP 8u
#define POOL_CLASSES (POOL_MAX / POOL_STEP)
#define POOL_CHUNK ((size_t)256 * 1024)

struct free_block {
    struct free_block *next;
};

struct chunk {
    struct chunk *next;
    char data[];
};

struct pool {
    struct free_block *free[POOL_CLASSES];
    struct chunk *chunks;
    char *at, *end; /* what is left of the newest chunk */
};

struct pool *pool_new(void)
{
    return calloc(1, sizeof(struct pool));
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    while (pool->chunks) {
        struct chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        free(chunk);
    }
    free(pool);
}

static size_t class_of(size_t size)
{
    return (size - 1) / POOL_STEP;
}

static void small_free(struct pool *pool, void *block, size_t size)
{
    struct free_block *freed = block;
    freed->next = pool->free[class_of(size)];
    pool->free[class_of(size)] = freed;
}

static void *small_alloc(struct pool *pool, size_t size)
{
    size_t class = class_of(size);
    struct free_block *block = pool->free[class];
    if (block) {
        pool->free[class] = block->next;
        return block;
    }
    size = (class + 1) * POOL_STEP;
    if ((size_t)(pool->end - pool->at) < size) {
        while (pool->end - pool->at >= (ptrdiff_t)POOL_STEP) { /* the rest of the old chunk is of use too */
            size_t rest = (size_t)(pool->end - pool->at);
            if (rest > POOL_MAX)
                rest = POOL_MAX;
            small_free(pool, pool->at, rest);
            pool->at += rest;
        }
        struct chunk *chunk = malloc(sizeof *chunk + POOL_CHUNK);
        if (!chunk)
            return NULL;
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        pool->at = chunk->data;
        pool->end = chunk->data + POOL_CHUNK;
    }
    void *fresh = pool->at;
    pool->at += size;
    return fresh;
}

static void *any_alloc(struct pool *pool, size_t size)
{
    return size <= POOL_MAX ? small_alloc(pool, size) : malloc(size);
}

static void any_free(struct pool *pool, void *block, size_t size)
{
    if (size <= POOL_MAX)
        small_free(pool, block, size);
    else
        free(block);
}

void *pool_realloc(struct pool *pool, void *block, size_t old_size, size_t new_size)
{
    if (!block || old_size == 0)
        return new_size ? any_alloc(pool, new_size) : NULL;
    if (new_size == 0) {
        any_free(pool, block, old_size);
        return NULL;
    }
    if (old_size > POOL_MAX && new_size > POOL_MAX) {
        void *moved = realloc(block, new_size);
        return moved || new_size > old_size ? moved : block;
    }
    if (old_size <= POOL_MAX && new_size <= POOL_MAX && class_of(old_size) == class_of(new_size))
        return block;

    void *moved = any_alloc(pool, new_size);
    if (!moved)
        return new_size < old_size ? block : NULL; /* kept as it is: too large for its class, no harm */
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    any_free(pool, block, old_size);
    return moved;
}

#endif
