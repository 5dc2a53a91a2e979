/* The allocator behind the VMs of a thread: blocks of up to POOL_MAX bytes come from slabs, by
 * size class, without a header; larger ones from malloc. Lua tells the size of what it frees. */
#pragma once

#include <stddef.h>

#define POOL_MAX 512u

struct pool;

struct pool *pool_new(void) __attribute__((warn_unused_result));

/* All blocks must have been freed. Accepts NULL. */
void pool_free(struct pool *pool);

/* As realloc, with the old size. new_size 0 frees. NULL: no memory (the old block stays); never
 * when a block gets smaller. */
void *pool_realloc(struct pool *pool, void *block, size_t old_size, size_t new_size);
