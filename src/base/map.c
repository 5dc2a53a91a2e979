/* The hash maps of base/map.h: chains that grow to twice the buckets when there are as
 * many nodes as buckets, and never shrink. */
#include "base/map.h"

#include "base/check.h"
#include "base/random.h"
#include "base/siphash.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS_MIN 4u

static uint8_t process_key[16];

static void draw_key(void)
{
    random_bytes(process_key, sizeof process_key);
}

static void hash_init(struct siphash *hash)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, draw_key);
    siphash_init(hash, process_key);
}

uint64_t map_hash(const void *data, size_t len)
{
    struct siphash hash;
    hash_init(&hash);
    siphash_update(&hash, data, len);
    return siphash_finish(&hash);
}

uint64_t map_hash2(const void *a, size_t a_len, const void *b, size_t b_len)
{
    struct siphash hash;
    hash_init(&hash);
    siphash_update(&hash, a, a_len);
    siphash_update(&hash, "", 1);
    siphash_update(&hash, b, b_len);
    return siphash_finish(&hash);
}

static struct map_node **bucket_of(const struct map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->n_buckets - 1)];
}

/* The first node of a chain with this hash. */
static struct map_node *seek(struct map_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct map_node *map_find(const struct map *map, uint64_t hash)
{
    return map->n_buckets ? seek(*bucket_of(map, hash), hash) : NULL;
}

struct map_node *map_next(const struct map_node *node)
{
    return seek(node->next, node->hash);
}

/* Twice the buckets. Each chain is split in two with its order kept, since among nodes
 * of one hash the newer ones come first. Without memory, all stays as it is. */
static void grow(struct map *map)
{
    size_t old = map->n_buckets;
    struct map_node **buckets = reallocarray(map->buckets, old * 2, sizeof(struct map_node *));
    if (!buckets)
        return;
    for (size_t i = 0; i < old; i++) {
        struct map_node **low = &buckets[i], **high = &buckets[i + old];
        for (struct map_node *node = buckets[i]; node; node = node->next) {
            struct map_node ***end = node->hash & old ? &high : &low;
            **end = node;
            *end = &node->next;
        }
        *low = *high = NULL;
    }
    map->buckets = buckets;
    map->n_buckets = old * 2;
}

void map_add(struct map *map, struct map_node *node, uint64_t hash)
{
    if (map->n_buckets == 0) {
        map->buckets = xcalloc(BUCKETS_MIN * sizeof(struct map_node *));
        map->n_buckets = BUCKETS_MIN;
    } else if (map->count >= map->n_buckets) {
        grow(map);
    }
    struct map_node **bucket = bucket_of(map, hash);
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    map->count++;
}

void map_remove(struct map *map, struct map_node *node)
{
    CHECK(map->count > 0);
    struct map_node **link = bucket_of(map, node->hash);
    while (*link != node) {
        CHECK(*link != NULL);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    map->count--;
}

void map_fini(struct map *map)
{
    if (!map)
        return;
    free(map->buckets);
    *map = (struct map){0};
}
