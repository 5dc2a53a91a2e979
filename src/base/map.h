/* Hash maps whose nodes lie inside the values. The hash is SipHash-1-3 with a random
 * key, so that nobody can choose names that collide. A zeroed map is empty; the map
 * compares nothing but hashes: the caller walks the nodes of one hash and compares keys. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

struct map {
    struct map_node **buckets; /* owned; count is a power of two, 0 before the first map_add */
    size_t n_buckets, count;
};

/* Keyed hash of bytes; the key is drawn once for the process. */
uint64_t map_hash(const void *data, size_t len);

/* The same over two pieces, as if a NUL byte stood between them. */
uint64_t map_hash2(const void *a, size_t a_len, const void *b, size_t b_len);

/* The first node with this hash, NULL when there is none; then map_next for the others. */
struct map_node *map_find(const struct map *map, uint64_t hash);
struct map_node *map_next(const struct map_node *node);

/* Adds a node; it comes before older ones of the same hash. When there is no memory to
 * grow, the chains get longer. Aborts only when there is none for the first buckets. */
void map_add(struct map *map, struct map_node *node, uint64_t hash);

void map_remove(struct map *map, struct map_node *node);

/* Frees the buckets; the values are the caller's. */
void map_fini(struct map *map);
