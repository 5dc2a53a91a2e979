/* Searches over all rooms: by alarm and by name, one page after the other, in one file and over several. */
#include "store_driver.h"

#include <sqlite3.h>

static struct world world;

static int set_up_one(void **state)
{
    (void)state;
    world_init(&world, 1);
    return 0;
}

static int set_up_three(void **state)
{
    (void)state;
    world_init(&world, 3);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_fini(&world);
    return 0;
}

static void add_alarm(const char *party, const char *id, int64_t time)
{
    struct store_room *room = world_room(&world, party, id);
    set_alarm(&world, room, time, 0);
    store_room_release(room);
}

static void add_entry(const char *party, const char *id)
{
    struct store_room *room = world_room(&world, party, id);
    assert_int_equal(put(&world, room, "k", "v"), STORE_OK);
    store_room_release(room);
}

static void alarms_are_found_in_order(void **state)
{
    struct store_search search = {.kind = STORE_ALARMS, .until = 100, .limit = 100};
    (void)state;

    expect_found(&world, search, "");
    add_alarm("p", "b", 20);
    add_alarm("q", "a", 20);
    add_alarm("p", "a", 20);
    add_alarm("p", "c", 10);
    add_alarm("p", "d", 100);
    add_alarm("p", "e", 101);
    add_entry("p", "f");
    expect_found(&world, search, "p/c@10 p/a@20 p/b@20 q/a@20 p/d@100");
    search.until = 20;
    expect_found(&world, search, "p/c@10 p/a@20 p/b@20 q/a@20");
    search.until = 9;
    expect_found(&world, search, "");
    search.until = INT64_MAX;
    search.limit = 2;
    expect_found(&world, search, "p/c@10 p/a@20");
    search.after_alarm = 20;
    search.after_party = SPAN("p");
    search.after_id = SPAN("a");
    expect_found(&world, search, "p/b@20 q/a@20");
    search.after_party = SPAN("q");
    expect_found(&world, search, "p/d@100 p/e@101");
    search.after_alarm = 101;
    search.after_party = SPAN("p");
    search.after_id = SPAN("e");
    expect_found(&world, search, "");
    search.limit = 0;
    search.after_alarm = 0;
    expect_found(&world, search, "");

    /* One that is moved or deleted is found where it is. */
    add_alarm("p", "c", 50);
    add_alarm("p", "b", 0);
    add_alarm("q", "a", 0);
    expect_found(&world, (struct store_search){.kind = STORE_ALARMS, .until = 100, .limit = 100},
                 "p/a@20 p/c@50 p/d@100");
}

static void rooms_are_found_in_order(void **state)
{
    struct store_search search = {.kind = STORE_ROOMS, .party = SPAN("p"), .limit = 100};
    (void)state;

    expect_found(&world, search, "");
    add_entry("p", "b");
    add_entry("p", "ab");
    add_entry("p", "a");
    add_entry("p", "abc");
    add_entry("p", "ä");
    add_entry("o", "a");
    add_entry("pp", "a");
    add_alarm("p", "ac", 9);
    expect_found(&world, search, "p/a@0 p/ab@0 p/abc@0 p/ac@9 p/b@0 p/ä@0");
    search.prefix = SPAN("ab");
    expect_found(&world, search, "p/ab@0 p/abc@0");
    search.after_id = SPAN("ab");
    expect_found(&world, search, "p/abc@0");
    search.after_id = SPAN("A");
    expect_found(&world, search, "p/ab@0 p/abc@0");
    search.after_id = SPAN("b");
    expect_found(&world, search, "");
    search.prefix = SPAN("");
    search.after_id = SPAN("ab");
    search.limit = 2;
    expect_found(&world, search, "p/abc@0 p/ac@9");
    search.after_id = SPAN("aa"); /* need not be there */
    expect_found(&world, search, "p/ab@0 p/abc@0");
    search.party = SPAN("none");
    expect_found(&world, search, "");
}

/* By party and id, over all files, with the sizes of what each holds. */
static void usage_is_counted(void **state)
{
    struct store_search search = {.kind = STORE_USAGE, .limit = 100};
    char large[5000] = {0};
    (void)state;

    expect_found(&world, search, "");
    add_entry("p", "b");
    add_entry("o", "b");
    add_alarm("p", "a", 9);
    add_entry("p", "ab");
    struct store_room *room = world_room(&world, "p", "ab");
    assert_int_equal(put(&world, room, "key", "value"), STORE_OK);
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(put(&world, room, "large", large), STORE_OK);
    store_room_release(room);
    expect_found(&world, search, "o/b@0:1,2 p/a@9:0,0 p/ab@0:3,5014 p/b@0:1,2");
    search.prefix = SPAN("b");
    expect_found(&world, search, "o/b@0:1,2 p/b@0:1,2");
    search.prefix = (struct span){0};
    search.after_party = SPAN("o");
    search.after_id = SPAN("b");
    search.limit = 2;
    expect_found(&world, search, "p/a@9:0,0 p/ab@0:3,5014");
    search.party = SPAN("p");
    expect_found(&world, search, "p/a@9:0,0 p/ab@0:3,5014");
    search.after_party = SPAN("p");
    search.after_id = SPAN("a");
    expect_found(&world, search, "p/ab@0:3,5014 p/b@0:1,2");
    search.prefix = SPAN("b");
    expect_found(&world, search, "p/b@0:1,2");
    search.after_id = SPAN("b");
    expect_found(&world, search, "");
    search.party = SPAN("none");
    expect_found(&world, search, "");
}

/* All of many rooms, in pages; none is missed, none comes twice. */
static void pages_hold_everything_once(void **state)
{
    enum { ROOMS = 200 };
    char id[16];
    uint32_t seen = 0;
    int64_t alarm = 0;
    struct buf after = {0};
    (void)state;

    for (unsigned i = 0; i < ROOMS; i++) {
        snprintf(id, sizeof id, "%04u", i * 77 % ROOMS);
        add_alarm("p", id, 1000 + i / 10);
    }
    for (bool more = true; more;) {
        struct store_search search = {.store = world.store,
                                      .loop = &world.loop,
                                      .kind = STORE_ALARMS,
                                      .until = 5000,
                                      .limit = 7,
                                      .after_alarm = alarm,
                                      .after_party = seen ? SPAN("p") : SPAN(""),
                                      .after_id = {(char *)after.data, after.len},
                                      .done = search_done};
        struct store_found found;
        store_search(&search);
        loop_run(&world.loop);
        assert_int_equal(search.result, STORE_OK);
        struct span rest = {(char *)search.found.data, search.found.len};
        for (; store_next_found(&rest, &found); seen++) {
            assert_true(found.alarm > alarm || memcmp(found.id.ptr, after.data, 4) > 0);
            assert_int_equal(found.alarm, 1000 + seen / 10);
            alarm = found.alarm;
            after.len = 0;
            assert_int_equal(buf_append(&after, found.id.ptr, found.id.len), 0);
        }
        more = search.n_found == search.limit;
        buf_fini(&search.found);
    }
    assert_int_equal(seen, ROOMS);
    buf_fini(&after);
}

static void a_room_stays_in_its_file(void **state)
{
    (void)state;

    for (int i = 0; i < 30; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        add_entry("p", id);
    }
    world_close(&world);
    assert_true(access(world_path(&world, "data-1.sqlite"), F_OK) == 0);
    assert_true(access(world_path(&world, "data-3.sqlite"), F_OK) == 0);
    assert_true(access(world_path(&world, "data-4.sqlite"), F_OK) != 0);
    world_open_files(&world, 7); /* the folder keeps its number */
    assert_true(access(world_path(&world, "data-4.sqlite"), F_OK) != 0);
    for (int i = 0; i < 30; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        struct store_room *room = world_room(&world, "p", id);
        expect_all(&world, room, "k=v");
        store_room_release(room);
    }
}

/* For ever: a server that looked elsewhere would not find what it kept. */
static void which_file_is_as_it_always_was(void **state)
{
    char where[9] = "";
    (void)state;

    for (int i = 0; i < 8; i++) {
        char id[32];
        snprintf(id, sizeof id, "room-%d", i);
        add_entry("main", id);
    }
    world_close(&world);
    for (int i = 0; i < 8; i++) {
        for (int number = 1; number <= 3; number++) {
            char name[32], sql[64];
            sqlite3 *db;
            sqlite3_stmt *find;
            snprintf(name, sizeof name, "data-%d.sqlite", number);
            snprintf(sql, sizeof sql, "SELECT 1 FROM room WHERE name = 'room-%d'", i);
            assert_int_equal(sqlite3_open(world_path(&world, name), &db), SQLITE_OK);
            assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &find, NULL), SQLITE_OK);
            if (sqlite3_step(find) == SQLITE_ROW)
                where[i] = (char)('0' + number);
            sqlite3_finalize(find);
            assert_int_equal(sqlite3_close(db), SQLITE_OK);
        }
    }
    assert_string_equal(where, "13133331");
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, set_up_one, tear_down)
#define THREE(f) cmocka_unit_test_setup_teardown(f, set_up_three, tear_down)
    const struct CMUnitTest tests[] = {
        ONE(alarms_are_found_in_order),  THREE(alarms_are_found_in_order),
        ONE(rooms_are_found_in_order),   THREE(rooms_are_found_in_order),
        ONE(usage_is_counted),           THREE(usage_is_counted),
        ONE(pages_hold_everything_once), THREE(pages_hold_everything_once),
        THREE(a_room_stays_in_its_file), THREE(which_file_is_as_it_always_was),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
