/* script: the allocator behind the VMs, against a model: every block keeps what was written to it. */
#include "script/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t seed = 88172645463325252u;

static uint64_t next(void) /* xorshift64 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Small sizes, those around the limit, and now and then a large one. */
static size_t random_size(void)
{
    switch (next() % 8) {
    case 0: return POOL_MAX - 8 + next() % 17;
    case 1: return 1 + next() % 5000;
    case 2: return next() % 64 == 0 ? 300000 : 1 + next() % POOL_MAX;
    default: return 1 + next() % 128;
    }
}

struct block {
    uint8_t *data; /* NULL: none */
    size_t size;
    uint8_t fill;
};

static void fill(struct block *block, size_t size)
{
    assert_non_null(block->data);
    assert_int_equal((uintptr_t)block->data % sizeof(void *), 0);
    block->size = size;
    block->fill = (uint8_t)next();
    memset(block->data, block->fill, size);
}

/* Do the first len bytes still say what was written? */
static void check(const struct block *block, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (block->data[i] != block->fill)
            fail_msg("byte %zu of %zu has changed", i, block->size);
    }
}

static void blocks_keep_what_is_written(void **state)
{
    (void)state;
    enum { BLOCKS = 3000, ROUNDS = 200000 };
    struct pool *pool = pool_new();
    struct block *blocks = calloc(BLOCKS, sizeof *blocks);

    assert_non_null(pool);
    assert_non_null(blocks);
    for (int round = 0; round < ROUNDS; round++) {
        struct block *block = &blocks[next() % BLOCKS];
        size_t size = random_size();
        if (block->data && next() % 3 == 0) {
            check(block, block->size);
            assert_null(pool_realloc(pool, block->data, block->size, 0));
            *block = (struct block){0};
            continue;
        }
        size_t kept = block->size < size ? block->size : size;
        block->data = pool_realloc(pool, block->data, block->size, size);
        assert_non_null(block->data);
        check(block, kept); /* moved with its bytes */
        fill(block, size);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (!blocks[i].data)
            continue;
        check(&blocks[i], blocks[i].size);
        assert_null(pool_realloc(pool, blocks[i].data, blocks[i].size, 0));
    }
    free(blocks);
    pool_free(pool);
}

/* Through every size, up and down again. */
static void a_block_grows_and_shrinks(void **state)
{
    (void)state;
    struct pool *pool = pool_new();
    struct block block = {0};

    for (int down = 0; down < 2; down++) {
        for (size_t i = 1; i <= POOL_MAX + 20; i++) {
            size_t size = down ? POOL_MAX + 21 - i : i;
            size_t kept = block.size < size ? block.size : size;
            block.data = pool_realloc(pool, block.data, block.size, size);
            assert_non_null(block.data);
            check(&block, kept);
            fill(&block, size);
        }
    }
    assert_null(pool_realloc(pool, block.data, block.size, 0));
    pool_free(pool);
}

/* Shrinking never fails, by as much as it may be. */
static void shrinking_never_fails(void **state)
{
    (void)state;
    struct pool *pool = pool_new();
    for (int round = 0; round < 20000; round++) {
        struct block block = {0};
        size_t size = random_size(), less = 1 + next() % size;
        block.data = pool_realloc(pool, NULL, 0, size);
        fill(&block, size);
        block.data = pool_realloc(pool, block.data, size, less);
        assert_non_null(block.data);
        check(&block, less);
        assert_null(pool_realloc(pool, block.data, less, 0));
    }
    pool_free(pool);
}

/* What a process without memory finds: 0 if all is right. */
static int without_memory(void)
{
    enum { BLOCKS = 100 };
    struct pool *pool = pool_new();
    struct block blocks[BLOCKS] = {0};
    size_t sizes[] = {POOL_MAX + 100, POOL_MAX, 200, 40};

    for (int i = 0; i < BLOCKS; i++) {
        size_t size = sizes[i % 4];
        blocks[i].data = pool_realloc(pool, NULL, 0, size);
        fill(&blocks[i], size);
    }
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_AS, &none) != 0)
        return 2;
    for (size_t size = 1 << 20; size > 0; size /= 2) { /* takes what is left, in the pool's chunk too */
        void *volatile taken;                          /* or the compiler would leave it out */
        while ((taken = malloc(size)) != NULL)
            continue;
        if (size <= POOL_MAX) {
            while (pool_realloc(pool, NULL, 0, size))
                continue;
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        struct block *block = &blocks[i];
        if (pool_realloc(pool, block->data, block->size, block->size + 50000))
            return 3;
        size_t less = 1 + next() % block->size;
        block->data = pool_realloc(pool, block->data, block->size, less);
        if (!block->data)
            return 4;
        for (size_t at = 0; at < less; at++) {
            if (block->data[at] != block->fill)
                return 5;
        }
        block->size = less;
    }
    return 0;
}

static void shrinking_needs_no_memory(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)without_memory;
    skip(); /* a sanitizer can't do without memory */
#else
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(without_memory());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
#endif
}

static void nothing_is_nothing(void **state)
{
    (void)state;
    struct pool *pool = pool_new();
    assert_null(pool_realloc(pool, NULL, 0, 0));
    pool_free(pool);
    pool_free(NULL);
    pool_free(pool_new());
}

#ifndef FESTA_PLAIN_ALLOC

/* A freed block serves the next one of its class, and no other class. */
static void freed_blocks_serve_again(void **state)
{
    (void)state;
    struct pool *pool = pool_new();
    for (size_t size = 1; size <= POOL_MAX; size++) {
        void *block = pool_realloc(pool, NULL, 0, size);
        assert_null(pool_realloc(pool, block, size, 0));
        size_t class_end = (size + 7) / 8 * 8;
        void *same = pool_realloc(pool, NULL, 0, class_end);
        assert_ptr_equal(same, block);
        void *other = pool_realloc(pool, NULL, 0, class_end);
        assert_ptr_not_equal(other, block);
        assert_null(pool_realloc(pool, same, class_end, 0));
        assert_null(pool_realloc(pool, other, class_end, 0));
    }
    pool_free(pool);
}

static int by_address(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    return x->data < y->data ? -1 : x->data > y->data;
}

/* Blocks of all classes never overlap, over several chunks, and little of these is lost. */
static void blocks_never_overlap(void **state)
{
    (void)state;
    enum { BLOCKS = 20000 };
    struct pool *pool = pool_new();
    struct block *blocks = calloc(BLOCKS, sizeof *blocks);

    assert_non_null(blocks);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i].size = 1 + next() % POOL_MAX;
        blocks[i].data = pool_realloc(pool, NULL, 0, blocks[i].size);
        assert_non_null(blocks[i].data);
    }
    qsort(blocks, BLOCKS, sizeof *blocks, by_address);
    for (int i = 1; i < BLOCKS; i++)
        assert_true(blocks[i - 1].data + (blocks[i - 1].size + 7) / 8 * 8 <= blocks[i].data);
    for (int i = 0; i < BLOCKS; i++)
        assert_null(pool_realloc(pool, blocks[i].data, blocks[i].size, 0));
    free(blocks);
    pool_free(pool);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_what_is_written), cmocka_unit_test(a_block_grows_and_shrinks),
        cmocka_unit_test(shrinking_never_fails),       cmocka_unit_test(shrinking_needs_no_memory),
        cmocka_unit_test(nothing_is_nothing),
#ifndef FESTA_PLAIN_ALLOC
        cmocka_unit_test(freed_blocks_serve_again),    cmocka_unit_test(blocks_never_overlap),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
