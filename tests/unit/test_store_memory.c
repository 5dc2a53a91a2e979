/* The store in memory answers as the one in files does: the same random batches, reads and searches go to both. */
#include "store_driver.h"

#include "store/memory.h"

#define ROUNDS 400
#define ROOMS 4u

static const char *const keys[] = {"", "a", "aa", "b", "ba", "c", "k1", "k2"};
#define KEYS (sizeof keys / sizeof *keys)

static unsigned seed = 7;

static unsigned choose(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % n;
}

struct both {
    struct world world;
    struct store *stores[2]; /* files, memory */
    struct store_room *rooms[2][ROOMS];
};

static void fill(struct store_batch *batch, int round)
{
    char value[32];

    for (unsigned n = choose(4) + 1; n > 0; n--) {
        const char *key = keys[choose(KEYS)];
        snprintf(value, sizeof value, "%d-%u", round, n);
        switch (choose(8)) {
        case 0: assert_int_equal(store_batch_delete(batch, span_of(key)), 0); break;
        case 1: assert_int_equal(store_batch_alarm(batch, (int64_t)choose(3) * 1000, choose(3)), 0); break;
        case 2: assert_int_equal(store_batch_self(batch, span_of(choose(2) ? value : "")), 0); break;
        case 3:
            if (choose(4) == 0)
                assert_int_equal(store_batch_clear(batch), 0);
            break;
        default: assert_int_equal(store_batch_put(batch, span_of(key), span_of(value)), 0);
        }
    }
}

static void write_both(struct both *both, unsigned room, int round)
{
    unsigned before = seed;

    for (int i = 0; i < 2; i++) {
        struct store_batch batch = batch_of(both->rooms[i][room]);
        seed = before;
        fill(&batch, round);
        if (batch.n_ops > 0)
            assert_int_equal(batch_keep(&both->world, &batch), STORE_OK);
        buf_fini(&batch.ops);
    }
}

static void same_bytes(const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->len, b->len);
    if (a->len > 0)
        assert_memory_equal(a->data, b->data, a->len);
}

static void read_both(struct both *both, unsigned room, const struct store_read *how)
{
    struct store_read reads[2];

    for (int i = 0; i < 2; i++) {
        reads[i] = *how;
        reads[i].room = both->rooms[i][room];
        reads[i].entries = (struct buf){0};
        read_now(&both->world, &reads[i]);
        assert_int_equal(reads[i].result, STORE_OK);
    }
    same_bytes(&reads[0].entries, &reads[1].entries);
    assert_int_equal(reads[0].n_entries, reads[1].n_entries);
    assert_int_equal(reads[0].more, reads[1].more);
    if (how->kind == STORE_HEAD) {
        assert_int_equal(reads[0].empty, reads[1].empty);
        assert_int_equal(reads[0].alarm, reads[1].alarm);
        assert_int_equal(reads[0].attempt, reads[1].attempt);
    }
    buf_fini(&reads[0].entries);
    buf_fini(&reads[1].entries);
}

static void compare_reads(struct both *both, unsigned room)
{
    const char *start = keys[choose(KEYS)], *finish = keys[choose(KEYS)];
    struct store_read list = {.kind = STORE_LIST,
                              .start = span_of(start),
                              .reverse = choose(2) != 0,
                              .limit = choose(4)};
    struct store_read get = {.kind = STORE_GET};

    if (choose(2))
        list.finish = span_of(finish);
    read_both(both, room, &list);
    read_both(both, room, &(struct store_read){.kind = STORE_HEAD});
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(store_put_bytes(&get.keys, span_of(keys[choose(KEYS)])), 0);
    read_both(both, room, &get);
    buf_fini(&get.keys);
}

static void search_both(struct both *both, const struct store_search *how)
{
    struct store_search searches[2];

    for (int i = 0; i < 2; i++) {
        searches[i] = *how;
        searches[i].store = both->stores[i];
        searches[i].loop = &both->world.loop;
        searches[i].done = search_done;
        store_search(&searches[i]);
        loop_run(&both->world.loop);
        assert_null(searches[i].done);
        assert_int_equal(searches[i].result, STORE_OK);
    }
    assert_int_equal(searches[0].n_found, searches[1].n_found);
    same_bytes(&searches[0].found, &searches[1].found);
    buf_fini(&searches[0].found);
    buf_fini(&searches[1].found);
}

static void compare_searches(struct both *both)
{
    static const char *const places[] = {"", "r0", "r1", "r2"};
    struct span after = span_of(places[choose(4)]);

    search_both(both, &(struct store_search){.kind = STORE_ALARMS, .until = 1500, .limit = choose(4) + 1});
    search_both(both, &(struct store_search){.kind = STORE_ALARMS,
                                             .until = 5000,
                                             .after_alarm = 1000,
                                             .after_party = SPAN("p"),
                                             .after_id = after,
                                             .limit = 10});
    search_both(both,
                &(struct store_search){.kind = STORE_ROOMS, .party = SPAN("p"), .limit = choose(3) + 1});
    search_both(both, &(struct store_search){
                          .kind = STORE_ROOMS, .party = SPAN("p"), .after_id = after, .limit = 10});
    search_both(both, &(struct store_search){
                          .kind = STORE_ROOMS, .party = SPAN("p"), .prefix = SPAN("r1"), .limit = 10});
    search_both(both, &(struct store_search){.kind = STORE_USAGE, .limit = 10});
    search_both(both, &(struct store_search){.kind = STORE_USAGE, .party = SPAN("q"), .limit = 10});
}

static void both_answer_the_same(void **state)
{
    static const char *const names[ROOMS][2] = {{"p", "r0"}, {"p", "r1"}, {"p", "r10"}, {"q", "r0"}};
    struct both both = {0};

    (void)state;
    world_init(&both.world, 1);
    both.stores[0] = both.world.store;
    both.stores[1] = store_open_memory();
    for (int i = 0; i < 2; i++) {
        for (unsigned room = 0; room < ROOMS; room++) {
            both.rooms[i][room] = store_room_open(both.stores[i], &both.world.loop, span_of(names[room][0]),
                                                  span_of(names[room][1]));
            assert_non_null(both.rooms[i][room]);
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        unsigned room = choose(ROOMS);
        write_both(&both, room, round);
        compare_reads(&both, room);
        if (round % 8 == 0)
            compare_searches(&both);
    }
    for (int i = 0; i < 2; i++) {
        for (unsigned room = 0; room < ROOMS; room++)
            store_room_release(both.rooms[i][room]);
    }
    store_close(both.stores[1]);
    world_fini(&both.world);
}

static void what_is_kept_can_be_looked_at(void **state)
{
    struct world world = {0};
    struct span key, value;

    (void)state;
    assert_int_equal(loop_init(&world.loop), 0);
    world.store = store_open_memory();
    struct store_room *room = world_room(&world, "p", "a");
    assert_int_equal(put(&world, room, "k", "v"), STORE_OK);
    set_alarm(&world, room, 77, 0);
    assert_true(store_memory_get(world.store, SPAN("p"), SPAN("a"), SPAN("k"), &value));
    assert_true(span_equal(value, SPAN("v")));
    assert_false(store_memory_get(world.store, SPAN("p"), SPAN("a"), SPAN("x"), &value));
    assert_false(store_memory_get(world.store, SPAN("p"), SPAN("b"), SPAN("k"), &value));
    assert_true(store_memory_nth(world.store, SPAN("p"), SPAN("a"), 0, &key, &value));
    assert_true(span_equal(key, SPAN("k")));
    assert_false(store_memory_nth(world.store, SPAN("p"), SPAN("a"), 1, &key, &value));
    assert_int_equal(store_memory_alarm(world.store, SPAN("p"), SPAN("a")), 77);
    assert_int_equal(store_memory_alarm(world.store, SPAN("p"), SPAN("b")), 0);
    store_room_release(room);
    store_close(world.store);
    loop_fini(&world.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_answer_the_same),
        cmocka_unit_test(what_is_kept_can_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
