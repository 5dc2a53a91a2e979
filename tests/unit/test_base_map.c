/* map, siphash and list. */
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- siphash ---- */

/* SipHash-1-3 of 00, 00 01, 00 01 02, ... (0 to 63 bytes) under the key 00..0f, by the
 * authors' reference implementation. */
static const uint64_t reference[64] = {
    0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb, 0xcf75576088d38328,
    0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140, 0x369095118d299a8e, 0x25a48eb36c063de4,
    0x79de85ee92ff097f, 0x70c118c1f94dc352, 0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34,
    0xd320d86d2a519956, 0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c, 0x8ffc389cb473e63e, 0xf21f9de58d297d1c,
    0xc0dc2f46a6cce040, 0xb992abfe2b45f844, 0x7ffe7b9ba320872e, 0x525a0e7fdae6c123, 0xf464aeb267349c8c,
    0x45cd5928705b0979, 0x3a3e35e3ca9913a5, 0xa91dc74e4ade3b35, 0xfb0bed02ef6cd00d, 0x88d93cb44ab1e1f4,
    0x540f11d643c5e663, 0x2370dd1f8c21d1bc, 0x81157b6c16a7b60d, 0x4d54b9e57a8ff9bf, 0x759f12781f2a753e,
    0xcea1a3bebf186b91, 0x2cf508d3ada26206, 0xb6101c2da3c33057, 0xb3f47496ae3a36a1, 0x626b57547b108392,
    0xc1d2363299e41531, 0x667cc1923f1ad944, 0x65704ffec8138825, 0x24f280d1c28949a6, 0xc2ca1cedfaf8876b,
    0xc2164bfc9f042196, 0xa16e9c9368b1d623, 0x49fb169c8b5114fd, 0x9f3143f8df074c46, 0xc6fdaf2412cc86b3,
    0x7eaf49d10a52098f, 0x1cf313559d292f9a, 0xc44a30dda2f41f12, 0x36fae98943a71ed0, 0x318fb34c73f0bce6,
    0xa27abf3670a7e980, 0xb4bcc0db243c6d75, 0x23f8d852fdb71513, 0x8f035f4da67d8a08, 0xd89cd0e5b7e8f148,
    0xf6f4e6bcf7a644ee, 0xaec59ad80f1837f2, 0xc3b2f6154b6694e0, 0x9d199062b7bbb3a8,
};

static const uint8_t reference_key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void siphash_matches_the_reference(void **state)
{
    (void)state;
    uint8_t input[64];
    for (size_t i = 0; i < 64; i++)
        input[i] = (uint8_t)i;
    /* Each length, cut into three pieces in every way. */
    for (size_t len = 0; len < 64; len++) {
        for (size_t a = 0; a <= len; a++) {
            for (size_t b = a; b <= len; b++) {
                struct siphash hash;
                siphash_init(&hash, reference_key);
                siphash_update(&hash, input, a);
                siphash_update(&hash, input + a, b - a);
                siphash_update(&hash, input + b, len - b);
                assert_true(siphash_finish(&hash) == reference[len]);
            }
        }
    }
}

static void siphash_depends_on_the_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reference_key; i++) {
        uint8_t key[16];
        memcpy(key, reference_key, sizeof key);
        key[i] ^= 0x40;
        struct siphash hash;
        siphash_init(&hash, key);
        assert_true(siphash_finish(&hash) != reference[0]);
    }
}

static void map_hash_is_one_of_the_process(void **state)
{
    (void)state;
    assert_true(map_hash("lobby", 5) == map_hash("lobby", 5));
    assert_true(map_hash("lobby", 5) != map_hash("lobbz", 5));
    assert_true(map_hash("", 0) != map_hash("\0", 1));
    assert_true(map_hash2("main", 4, "lobby", 5) == map_hash("main\0lobby", 10));
    assert_true(map_hash2("", 0, "", 0) == map_hash("\0", 1));
    assert_true(map_hash2("mainl", 5, "obby", 4) != map_hash2("main", 4, "lobby", 5));
}

/* ---- map ---- */

struct item {
    struct map_node node;
    uint32_t key;
};

static struct item *item_of(struct map_node *node)
{
    return container_of(node, struct item, node);
}

static struct item *find(const struct map *map, uint32_t key)
{
    struct map_node *node = map_find(map, map_hash(&key, sizeof key));
    while (node && item_of(node)->key != key)
        node = map_next(node);
    return node ? item_of(node) : NULL;
}

static void map_finds_what_was_added(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct item *items = calloc(N, sizeof *items);
    assert_non_null(items);
    struct map map = {0};

    assert_null(find(&map, 0));
    for (uint32_t i = 0; i < N; i++) {
        items[i].key = i;
        map_add(&map, &items[i].node, map_hash(&i, sizeof i));
        assert_int_equal(map.count, i + 1);
        assert_true(map.count <= map.n_buckets);
        assert_int_equal(map.n_buckets & (map.n_buckets - 1), 0);
    }
    for (uint32_t i = 0; i < N; i++)
        assert_ptr_equal(find(&map, i), &items[i]);
    assert_null(find(&map, N));

    for (uint32_t i = 0; i < N; i += 2)
        map_remove(&map, &items[i].node);
    assert_int_equal(map.count, N / 2);
    for (uint32_t i = 0; i < N; i++)
        assert_ptr_equal(find(&map, i), i % 2 ? &items[i] : NULL);

    for (uint32_t i = 1; i < N; i += 2)
        map_remove(&map, &items[i].node);
    assert_int_equal(map.count, 0);
    assert_null(find(&map, 1));

    map_add(&map, &items[5].node, map_hash(&items[5].key, sizeof items[5].key));
    assert_ptr_equal(find(&map, 5), &items[5]);
    map_fini(&map);
    assert_int_equal(map.count + map.n_buckets, 0);
    map_fini(&map);
    map_fini(NULL);
    free(items);
}

/* The keys of one hash, in the order of the walk. */
static size_t walk(const struct map *map, uint64_t hash, uint32_t *keys, size_t max)
{
    size_t n = 0;
    for (struct map_node *node = map_find(map, hash); node; node = map_next(node)) {
        assert_true(node->hash == hash);
        assert_true(n < max);
        keys[n++] = item_of(node)->key;
    }
    return n;
}

static void equal_hashes_come_newest_first(void **state)
{
    (void)state;
    /* Hashes that share every low bit stay in one bucket; others come between and make
     * the map grow many times. */
    enum { SAME = 50, OTHERS = 5000 };
    const uint64_t hash = 3, neighbour = 3 + (1ull << 40);
    static struct item same[SAME], near[SAME], others[OTHERS];
    struct map map = {0};
    uint32_t keys[SAME];

    for (uint32_t i = 0, next = 0; i < SAME; i++) {
        same[i].key = near[i].key = i;
        map_add(&map, &same[i].node, hash);
        map_add(&map, &near[i].node, neighbour);
        for (; next < (i + 1) * OTHERS / SAME; next++)
            map_add(&map, &others[next].node, 1000 + next);
    }
    assert_int_equal(map.count, 2 * SAME + OTHERS);

    uint64_t hashes[] = {hash, neighbour};
    for (int h = 0; h < 2; h++) {
        assert_int_equal(walk(&map, hashes[h], keys, SAME), SAME);
        for (uint32_t i = 0; i < SAME; i++)
            assert_int_equal(keys[i], SAME - 1 - i);
    }

    /* The first, the last and one in the middle of a chain. */
    map_remove(&map, &same[SAME - 1].node);
    map_remove(&map, &same[0].node);
    map_remove(&map, &same[20].node);
    assert_int_equal(walk(&map, hash, keys, SAME), SAME - 3);
    for (uint32_t i = 0, want = SAME - 2; i < SAME - 3; i++, want--) {
        if (want == 20)
            want--;
        assert_int_equal(keys[i], want);
    }
    assert_int_equal(walk(&map, neighbour, keys, SAME), SAME);
    map_add(&map, &same[20].node, hash);
    assert_int_equal(walk(&map, hash, keys, SAME), SAME - 2);
    assert_int_equal(keys[0], 20);
    assert_null(map_find(&map, 4));
    map_fini(&map);
}

/* ---- list ---- */

struct link {
    struct list list;
    int value;
};

static void assert_values(struct list *head, const char *digits)
{
    list_each(it, head)
        assert_int_equal(container_of(it, struct link, list)->value, *digits++ - '0');
    assert_int_equal(*digits, 0);
}

static void list_keeps_its_order(void **state)
{
    (void)state;
    struct list head, other;
    struct link links[6] = {0};
    list_init(&head);
    list_init(&other);
    assert_true(list_empty(&head));
    assert_true(list_empty(&(struct list){0}));
    assert_null(list_pop(&head));

    for (int i = 0; i < 6; i++) {
        links[i].value = i;
        assert_false(list_linked(&links[i].list));
        list_push(i < 4 ? &head : &other, &links[i].list);
        assert_true(list_linked(&links[i].list));
    }
    assert_values(&head, "0123");
    list_remove(&links[2].list);
    list_remove(&links[2].list);
    assert_false(list_linked(&links[2].list));
    assert_values(&head, "013");

    list_splice(&head, &other);
    assert_true(list_empty(&other));
    assert_values(&head, "01345");
    list_splice(&head, &other);
    assert_values(&head, "01345");

    assert_ptr_equal(list_pop(&head), &links[0].list);
    list_each_safe(it, &head) {
        if (container_of(it, struct link, list)->value % 2)
            list_remove(it);
    }
    assert_values(&head, "4");
    list_splice(&other, &head);
    assert_values(&other, "4");
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_matches_the_reference),  cmocka_unit_test(siphash_depends_on_the_key),
        cmocka_unit_test(map_hash_is_one_of_the_process), cmocka_unit_test(map_finds_what_was_added),
        cmocka_unit_test(equal_hashes_come_newest_first), cmocka_unit_test(list_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
