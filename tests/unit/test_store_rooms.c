/* What rooms write comes back: every operation, what counts when several meet, ranges of keys. */
#include "store_driver.h"

#include <sqlite3.h>

static struct world world;

static int set_up(void **state)
{
    (void)state;
    world_init(&world, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_fini(&world);
    return 0;
}

/* Rooms that there is a row for; the way to see that nothing of a room is left. */
static void expect_rooms(const char *expected)
{
    expect_found(&world, (struct store_search){.kind = STORE_ROOMS, .party = SPAN("p"), .limit = 100},
                 expected);
}

/* ---- batches ---- */

static void every_operation_comes_back(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room);
    (void)state;

    expect_all(&world, room, "");
    expect_head(&world, room, 0, 0, true, NULL);
    assert_int_equal(store_batch_put(&batch, SPAN("k1"), SPAN("v1")), 0);
    assert_int_equal(store_batch_put(&batch, SPAN("k2"), SPAN("")), 0);
    assert_int_equal(store_batch_put(&batch, (struct span){NULL, 0}, SPAN("no key")), 0);
    assert_int_equal(store_batch_alarm(&batch, 1234567890123, 3), 0);
    assert_int_equal(store_batch_self(&batch, SPAN("me")), 0);
    assert_int_equal(batch.n_ops, 5);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_all(&world, room, "=no key k1=v1 k2=");
    expect_head(&world, room, 1234567890123, 3, false, "me");

    assert_int_equal(store_batch_delete(&batch, SPAN("k1")), 0);
    assert_int_equal(store_batch_delete(&batch, SPAN("not there")), 0);
    assert_int_equal(store_batch_put(&batch, SPAN("k2"), SPAN("two")), 0);
    assert_int_equal(store_batch_self(&batch, SPAN("me too")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_all(&world, room, "=no key k2=two");
    expect_head(&world, room, 1234567890123, 3, false, "me too");

    assert_int_equal(store_batch_clear(&batch), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_all(&world, room, "");
    expect_head(&world, room, 1234567890123, 3, true, "me too");
    buf_fini(&batch.ops);
    store_room_release(room);
}

static void a_batch_gets_longer_until_it_is_begun_with(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room), more = batch_of(room), other = batch_of(room);
    (void)state;

    assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("1")), 0);
    store_submit(&batch);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_batch_put(&more, i ? SPAN("k") : SPAN("m"), SPAN("2")), 0);
        assert_true(store_extend(&batch, &more));
        more.ops.len = more.n_ops = 0;
    }
    assert_int_equal(batch.n_ops, 3);
    loop_step(&world.loop); /* the turn in which it was submitted ends */
    assert_int_equal(store_batch_put(&more, SPAN("late"), SPAN("3")), 0);
    assert_false(store_extend(&batch, &more));
    assert_int_equal(batch.n_ops, 3);
    loop_run(&world.loop);
    assert_null(batch.done);
    assert_int_equal(batch.result, STORE_OK);
    expect_all(&world, room, "k=2 m=2");

    /* One that is behind another stays behind it. */
    assert_int_equal(store_batch_put(&other, SPAN("k"), SPAN("4")), 0);
    store_submit(&more);
    store_submit(&other);
    batch.ops.len = batch.n_ops = 0;
    assert_int_equal(store_batch_delete(&batch, SPAN("k")), 0);
    assert_true(store_extend(&other, &batch));
    loop_run(&world.loop);
    assert_int_equal(more.result, STORE_OK);
    assert_int_equal(other.result, STORE_OK);
    expect_all(&world, room, "late=3 m=2");
    buf_fini(&batch.ops);
    buf_fini(&more.ops);
    buf_fini(&other.ops);
    store_room_release(room);
}

static void an_empty_batch_is_kept_too(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room);
    (void)state;

    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_rooms("");
    store_room_release(room);
}

static void the_last_operation_on_a_key_counts(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room);
    (void)state;

    assert_int_equal(store_batch_put(&batch, SPAN("a"), SPAN("1")), 0);
    assert_int_equal(store_batch_put(&batch, SPAN("a"), SPAN("2")), 0);
    assert_int_equal(store_batch_put(&batch, SPAN("b"), SPAN("1")), 0);
    assert_int_equal(store_batch_delete(&batch, SPAN("b")), 0);
    assert_int_equal(store_batch_delete(&batch, SPAN("c")), 0);
    assert_int_equal(store_batch_put(&batch, SPAN("c"), SPAN("3")), 0);
    assert_int_equal(store_batch_alarm(&batch, 5, 1), 0);
    assert_int_equal(store_batch_alarm(&batch, 0, 0), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_all(&world, room, "a=2 c=3");
    expect_head(&world, room, 0, 0, false, NULL);

    assert_int_equal(store_batch_put(&batch, SPAN("d"), SPAN("4")), 0);
    assert_int_equal(store_batch_clear(&batch), 0);
    assert_int_equal(store_batch_put(&batch, SPAN("e"), SPAN("5")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_all(&world, room, "e=5");
    buf_fini(&batch.ops);
    store_room_release(room);
}

static unsigned next_done;

static void done_in_order(struct store_batch *batch, enum store_result result)
{
    unsigned number;
    assert_int_equal(result, STORE_OK);
    memcpy(&number, batch->ops.data + batch->ops.len - sizeof number, sizeof number);
    assert_int_equal(number, next_done++);
}

/* More than go into one transaction, all at once. */
static void batches_are_kept_in_order(void **state)
{
    enum { BATCHES = 5000 };
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch *batches = calloc(BATCHES, sizeof *batches);
    struct store_read read = list_of(room);
    struct span rest, key, value;
    unsigned last = BATCHES - 1;
    (void)state;

    assert_non_null(batches);
    next_done = 0;
    for (unsigned i = 0; i < BATCHES; i++) {
        batches[i] = (struct store_batch){.room = room, .done = done_in_order};
        assert_int_equal(store_batch_put(&batches[i], SPAN("k"), (struct span){(char *)&i, sizeof i}), 0);
        store_submit(&batches[i]);
    }
    loop_run(&world.loop);
    assert_int_equal(next_done, BATCHES);
    read_now(&world, &read);
    rest = (struct span){(char *)read.entries.data, read.entries.len};
    assert_true(store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value));
    assert_true(span_equal(value, (struct span){(char *)&last, sizeof last}));
    buf_fini(&read.entries);
    for (unsigned i = 0; i < BATCHES; i++)
        buf_fini(&batches[i].ops);
    free(batches);
    store_room_release(room);
}

static void a_room_of_which_nothing_is_left_is_gone(void **state)
{
    struct store_room *room = world_room(&world, "p", "a"), *other = world_room(&world, "p", "b");
    struct store_batch batch = batch_of(room);
    (void)state;

    /* What only takes away makes nothing. */
    assert_int_equal(store_batch_delete(&batch, SPAN("k")), 0);
    assert_int_equal(store_batch_clear(&batch), 0);
    assert_int_equal(store_batch_alarm(&batch, 0, 0), 0);
    assert_int_equal(store_batch_self(&batch, SPAN("")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_rooms("");

    assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("v")), 0);
    assert_int_equal(store_batch_alarm(&batch, 7, 0), 0);
    assert_int_equal(store_batch_self(&batch, SPAN("me")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    assert_int_equal(store_batch_delete(&batch, SPAN("k")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_rooms("p/a@7");
    assert_int_equal(store_batch_alarm(&batch, 0, 0), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_rooms("p/a@0");
    assert_int_equal(store_batch_self(&batch, SPAN("")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    expect_rooms("");

    /* Another room may get the number that its row had; it knows of that. */
    assert_int_equal(put(&world, other, "k", "of b"), STORE_OK);
    assert_int_equal(put(&world, room, "k", "of a"), STORE_OK);
    expect_rooms("p/a@0 p/b@0");
    expect_all(&world, other, "k=of b");
    expect_all(&world, room, "k=of a");
    buf_fini(&batch.ops);
    store_room_release(room);
    store_room_release(other);
}

static void rooms_are_kept_apart(void **state)
{
    struct store_room *rooms[] = {world_room(&world, "p", "a"), world_room(&world, "p", "A"),
                                  world_room(&world, "q", "a"), world_room(&world, "pa", "")};
    char value[] = "0";
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        value[0] = (char)('0' + i);
        assert_int_equal(put(&world, rooms[i], "k", value), STORE_OK);
    }
    expect_all(&world, rooms[0], "k=0");
    expect_all(&world, rooms[1], "k=1");
    expect_all(&world, rooms[2], "k=2");
    expect_all(&world, rooms[3], "k=3");
    for (size_t i = 0; i < 4; i++)
        store_room_release(rooms[i]);
}

static void all_is_there_after_a_restart(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room);
    (void)state;

    assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("v")), 0);
    assert_int_equal(store_batch_alarm(&batch, 77, 2), 0);
    assert_int_equal(store_batch_self(&batch, SPAN("me")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    buf_fini(&batch.ops);
    store_room_release(room);
    for (int i = 0; i < 3; i++) {
        world_reopen(&world);
        room = world_room(&world, "p", "a");
        expect_all(&world, room, "k=v");
        expect_head(&world, room, 77, 2, false, "me");
        store_room_release(room);
    }
}

/* ---- reading ---- */

static void get_finds_what_is_there(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_read read = {.room = room, .kind = STORE_GET};
    (void)state;

    assert_int_equal(store_put_bytes(&read.keys, SPAN("z")), 0);
    assert_int_equal(store_put_bytes(&read.keys, SPAN("no")), 0);
    assert_int_equal(store_put_bytes(&read.keys, SPAN("")), 0);
    assert_int_equal(store_put_bytes(&read.keys, SPAN("a")), 0);
    read_now(&world, &read);
    expect_entries(&read, "");
    assert_int_equal(put(&world, room, "a", "1"), STORE_OK);
    assert_int_equal(put(&world, room, "z", "2"), STORE_OK);
    assert_int_equal(put(&world, room, "", "3"), STORE_OK);
    read_now(&world, &read);
    expect_entries(&read, "z=2 =3 a=1");
    buf_fini(&read.keys);
    store_room_release(room);
}

/* An answer ends once it holds a page, and says how many keys it has looked for. */
static void get_ends_with_a_page(void **state)
{
    enum { SIZE = 100000 };
    struct store_room *room = world_room(&world, "p", "a");
    struct store_read read = {.room = room, .kind = STORE_GET};
    char *data = calloc(1, SIZE);
    (void)state;

    assert_non_null(data);
    for (int i = 0; i < 5; i++) {
        char key[2] = {(char)('a' + i), 0};
        assert_int_equal(put_span(&world, room, span_of(key), (struct span){data, SIZE}), STORE_OK);
        assert_int_equal(store_put_bytes(&read.keys, SPAN("no")), 0);
        assert_int_equal(store_put_bytes(&read.keys, span_of(key)), 0);
    }
    read_now(&world, &read);
    assert_int_equal(read.result, STORE_OK);
    assert_int_equal(read.n_entries, 3);
    assert_int_equal(read.n_keys, 6);
    assert_true(read.more);
    buf_fini(&read.entries);
    buf_fini(&read.keys);
    free(data);
    store_room_release(room);
}

static void large_values_come_back_whole(void **state)
{
    enum { SIZE = 3 * 1024 * 1024 };
    struct store_room *room = world_room(&world, "p", "a");
    struct store_read read = {.room = room, .kind = STORE_GET};
    struct span rest, key, value;
    char *data = malloc(SIZE);
    (void)state;

    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 + i / 251);
    assert_int_equal(put_span(&world, room, SPAN("k"), (struct span){data, SIZE}), STORE_OK);
    assert_int_equal(store_put_bytes(&read.keys, SPAN("k")), 0);
    read_now(&world, &read);
    rest = (struct span){(char *)read.entries.data, read.entries.len};
    assert_true(store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value));
    assert_true(span_equal(value, (struct span){data, SIZE}));
    buf_fini(&read.keys);
    buf_fini(&read.entries);
    free(data);
    store_room_release(room);
}

/* Rows of a table; no store has the file open. */
static int64_t count(const char *table)
{
    char sql[64];
    sqlite3 *db;
    sqlite3_stmt *statement;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_open(world_path(&world, "data.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return n;
}

static void expect_rows(int64_t entries, int64_t large)
{
    world_close(&world);
    assert_int_equal(count("entry"), entries);
    assert_int_equal(count("large_value"), large);
    world_open(&world);
}

/* Large values have a table of their own, where nothing is left behind: from each size to each other one. */
static void values_of_all_sizes_replace_each_other(void **state)
{
    static const size_t sizes[] = {0, 1, 590, 599, 600, 601, 1000, 5000, 100000};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    char *data = malloc(100000);
    (void)state;

    assert_non_null(data);
    for (size_t from = 0; from < SIZES; from++) {
        for (size_t to = 0; to < SIZES; to++) {
            struct store_room *room = world_room(&world, "p", "a");
            struct store_read read = list_of(room);
            struct span rest, key, value;
            memset(data, 'a', 100000);
            assert_int_equal(put_span(&world, room, SPAN("k"), (struct span){data, sizes[from]}), STORE_OK);
            memset(data, 'b', 100000);
            assert_int_equal(put_span(&world, room, SPAN("k"), (struct span){data, sizes[to]}), STORE_OK);
            read_now(&world, &read);
            rest = (struct span){(char *)read.entries.data, read.entries.len};
            assert_int_equal(read.n_entries, 1);
            assert_true(store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value));
            assert_true(span_equal(value, (struct span){data, sizes[to]}));
            buf_fini(&read.entries);
            store_room_release(room);
            if (from + 1 == SIZES || to + 1 == SIZES)
                expect_rows(1, sizes[to] + 1 > 600);
        }
    }
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room);
    assert_int_equal(store_batch_put(&batch, SPAN("l"), (struct span){data, 5000}), 0);
    assert_int_equal(store_batch_put(&batch, SPAN("m"), (struct span){data, 5000}), 0);
    assert_int_equal(store_batch_delete(&batch, SPAN("m")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    store_room_release(room);
    expect_rows(2, 2);
    batch.room = room = world_room(&world, "p", "a");
    assert_int_equal(store_batch_clear(&batch), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    store_room_release(room);
    expect_rows(0, 0);
    buf_fini(&batch.ops);
    free(data);
}

/* Keys in bytewise order; between each and the next one lies nothing. */
static const struct span keys[] = {
    {"", 0},     {"\0", 1},       {"\0\0", 2}, {"\0\xff", 2}, {"A", 1},        {"a", 1},
    {"a\0", 2},  {"a\0b", 3},     {"aa", 2},   {"b", 1},      {"~", 1},        {"\x7f", 1},
    {"\x80", 1}, {"\xc3\xa4", 2}, {"\xff", 1}, {"\xff\0", 2}, {"\xff\xff", 2},
};

#define KEYS (sizeof keys / sizeof keys[0])

static void fill(struct store_room *room)
{
    struct store_batch batch = batch_of(room);

    for (size_t i = 0; i < KEYS; i++) {
        size_t mixed = i * 7 % KEYS;
        uint8_t number = (uint8_t)mixed;
        assert_int_equal(store_batch_put(&batch, keys[mixed], (struct span){(char *)&number, 1}), 0);
    }
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    buf_fini(&batch.ops);
}

/* The answer holds the keys from first on up to last, without it, as the direction wants. */
static void expect_range(struct store_read *read, size_t first, size_t last, bool more)
{
    struct span rest = {(char *)read->entries.data, read->entries.len}, key, value;

    assert_int_equal(read->result, STORE_OK);
    assert_int_equal(read->n_entries, last - first);
    assert_int_equal(read->more, more);
    for (size_t n = first; n < last; n++) {
        size_t i = read->reverse ? last - 1 - (n - first) : n;
        assert_true(store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value));
        assert_true(span_equal(key, keys[i]));
        assert_int_equal(value.len, 1);
        assert_int_equal(value.ptr[0], i);
    }
    assert_int_equal(rest.len, 0);
    buf_fini(&read->entries);
}

static void list_takes_every_range_in_bytewise_order(void **state)
{
    struct store_room *room = world_room(&world, "p", "a"), *other = world_room(&world, "p", "b");
    struct store_read read = list_of(room);
    (void)state;

    assert_int_equal(put(&world, other, "m", "not of this room"), STORE_OK);
    fill(room);
    for (int reverse = 0; reverse < 2; reverse++) {
        read.reverse = reverse;
        for (size_t first = 0; first < KEYS; first++) {
            read.start = keys[first];
            read.finish = (struct span){NULL, 0};
            read_now(&world, &read);
            expect_range(&read, first, KEYS, false);
            for (size_t last = first; last < KEYS; last++) {
                read.finish = keys[last];
                read_now(&world, &read);
                expect_range(&read, first, last, false);
            }
        }
    }
    /* A range that ends before it begins. */
    read.start = SPAN("b");
    read.finish = SPAN("a");
    read_now(&world, &read);
    expect_range(&read, 0, 0, false);
    store_room_release(room);
    store_room_release(other);
}

static void list_stops_at_its_limit(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_read read = list_of(room);
    (void)state;

    fill(room);
    for (uint32_t limit = 1; limit <= KEYS + 1; limit++) {
        uint32_t n = limit < KEYS ? limit : KEYS;
        read.limit = limit;
        read.reverse = false;
        read_now(&world, &read);
        expect_range(&read, 0, n, limit < KEYS);
        read.reverse = true;
        read_now(&world, &read);
        expect_range(&read, KEYS - n, KEYS, limit < KEYS);
    }
    store_room_release(room);
}

/* Pages are walked as a caller does: from the last key on. */
static void a_long_list_comes_in_pages(void **state)
{
    enum { ENTRIES = 3000, SIZE = 1000 };
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room);
    struct store_read read = list_of(room);
    char name[16], start[16], value[SIZE];
    unsigned n = 0, pages = 0;
    (void)state;

    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof name, "%06u", i);
        assert_int_equal(store_batch_put(&batch, span_of(name), (struct span){value, SIZE}), 0);
    }
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    buf_fini(&batch.ops);
    do {
        struct span rest, key, bytes;
        read_now(&world, &read);
        assert_int_equal(read.result, STORE_OK);
        assert_true(read.entries.len < STORE_PAGE + SIZE + 100);
        assert_true(read.entries.len >= STORE_PAGE || !read.more);
        rest = (struct span){(char *)read.entries.data, read.entries.len};
        while (store_next_bytes(&rest, &key)) {
            assert_true(store_next_bytes(&rest, &bytes));
            snprintf(name, sizeof name, "%06u", n++);
            assert_true(span_equal(key, span_of(name)));
            assert_int_equal(bytes.len, SIZE);
        }
        memcpy(start, name, 7); /* the next possible key is this one and a NUL */
        read.start = (struct span){start, 7};
        pages++;
    } while (read.more);
    assert_int_equal(n, ENTRIES);
    assert_int_equal(pages, ENTRIES * (SIZE + 14) / STORE_PAGE + 1);
    buf_fini(&read.entries);
    store_room_release(room);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_operation_comes_back),
        TEST(a_batch_gets_longer_until_it_is_begun_with),
        TEST(an_empty_batch_is_kept_too),
        TEST(the_last_operation_on_a_key_counts),
        TEST(batches_are_kept_in_order),
        TEST(a_room_of_which_nothing_is_left_is_gone),
        TEST(rooms_are_kept_apart),
        TEST(all_is_there_after_a_restart),
        TEST(get_finds_what_is_there),
        TEST(get_ends_with_a_page),
        TEST(large_values_come_back_whole),
        TEST(values_of_all_sizes_replace_each_other),
        TEST(list_takes_every_range_in_bytewise_order),
        TEST(list_stops_at_its_limit),
        TEST(a_long_list_comes_in_pages),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
