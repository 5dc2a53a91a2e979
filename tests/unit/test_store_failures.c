/* When the disk fails: what was not kept is said to be so, nothing of it is there afterwards, the rooms behind it go on,
 * and the process lives; but not when a flush failed. */
#include "store_driver.h"
#include "store_faults.h"

#include "base/log.h"

#include <signal.h>
#include <sys/wait.h>

static struct world world;

static int set_up(void **state)
{
    (void)state;
    world_init(&world, 1);
    /* The first write after a checkpoint begins with a flush of the WAL's head. */
    struct store_room *room = world_room(&world, "another", "a");
    assert_int_equal(put(&world, room, "k", "v"), STORE_OK);
    store_room_release(room);
    return 0;
}

static int set_up_nothing(void **state)
{
    (void)state;
    world_prepare(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    faults_end();
    world_fini(&world);
    return 0;
}

static void reopen_room(struct store_room **room, const char *id)
{
    store_room_release(*room);
    *room = world_room(&world, "p", id);
}

/* ---- one batch ---- */

static void a_full_disk_leaves_the_process_alive(void **state)
{
    struct store_room *room = world_room(&world, "p", "a"), *other = world_room(&world, "p", "b");
    struct store_batch batch = batch_of(room);
    (void)state;

    assert_int_equal(put(&world, room, "k", "before"), STORE_OK);
    faults_plan(FAULT_WRITE, SQLITE_OPEN_WAL, 0, SQLITE_FULL);
    assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("full")), 0);
    assert_int_equal(store_batch_put(&batch, SPAN("k2"), SPAN("full")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_FAILED);
    assert_string_equal(batch.text, "the disk is full");
    assert_true(faults.hits > 0);
    expect_all(&world, room, "k=before"); /* reads go on */
    faults_end();

    /* Others are kept again; this one only when it has been opened anew. */
    assert_int_equal(put(&world, other, "k", "after"), STORE_OK);
    assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("next")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_FAILED);
    assert_string_equal(batch.text, "an earlier write of the room failed");
    expect_all(&world, room, "k=before");
    reopen_room(&room, "a");
    assert_int_equal(put(&world, room, "k", "after"), STORE_OK);
    expect_all(&world, room, "k=after");
    expect_all(&world, other, "k=after");
    buf_fini(&batch.ops);
    store_room_release(room);
    store_room_release(other);
}

/* Nothing builds on it. */
static void what_is_behind_one_that_is_apart_is_kept(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch self = batch_of(room);
    (void)state;

    self.apart = true;
    assert_int_equal(store_batch_self(&self, SPAN("self")), 0);
    faults_plan(FAULT_WRITE, SQLITE_OPEN_WAL, 0, SQLITE_FULL);
    assert_int_equal(batch_keep(&world, &self), STORE_FAILED);
    faults_end();
    assert_int_equal(put(&world, room, "k", "after"), STORE_OK);
    assert_int_equal(store_batch_self(&self, SPAN("again")), 0);
    assert_int_equal(batch_keep(&world, &self), STORE_OK);
    expect_all(&world, room, "k=after");
    expect_head(&world, room, 0, 0, false, "again");
    buf_fini(&self.ops);
    store_room_release(room);
}

/* A room whose row was made in what failed has none. */
static void a_new_room_that_failed_is_not_there(void **state)
{
    struct store_room *room = world_room(&world, "p", "a"), *other = world_room(&world, "p", "b");
    (void)state;

    faults_plan(FAULT_WRITE, SQLITE_OPEN_WAL, 0, SQLITE_IOERR_WRITE);
    assert_int_equal(put(&world, room, "k", "v"), STORE_FAILED);
    faults_end();
    expect_found(&world, (struct store_search){.kind = STORE_ROOMS, .party = SPAN("p"), .limit = 9}, "");
    assert_int_equal(put(&world, other, "k", "of b"), STORE_OK);
    reopen_room(&room, "a");
    expect_all(&world, room, "");
    assert_int_equal(put(&world, room, "k", "of a"), STORE_OK);
    expect_all(&world, room, "k=of a");
    expect_all(&world, other, "k=of b");
    store_room_release(room);
    store_room_release(other);
}

/* ---- each write in turn ---- */

/* Two batches, with the nth write failing; whatever the store says of them is true, now and after a restart. */
static bool fails_at(int n, int error)
{
    struct store_room *room = world_room(&world, "p", "a");
    char value[3000], expected[16] = "", name[2] = "0";

    memset(value, 'v', sizeof value);
    faults_plan(FAULT_WRITE, 0, n, error);
    bool whole = true;
    for (int turn = 0; turn < 2; turn++) {
        struct store_batch batch = batch_of(room);
        name[0] = (char)('0' + turn);
        assert_int_equal(store_batch_put(&batch, span_of(name), (struct span){value, sizeof value}), 0);
        assert_int_equal(store_batch_put(&batch, SPAN("z"), (struct span){name, 1}), 0);
        assert_int_equal(store_batch_alarm(&batch, turn + 1, 0), 0);
        bool kept = batch_keep(&world, &batch) == STORE_OK;
        assert_true(whole || !kept);
        whole = kept;
        if (kept)
            snprintf(expected, sizeof expected, "%s", name);
        buf_fini(&batch.ops);
    }
    bool failed = faults.hits > 0;
    assert_true(failed == !whole);
    faults_end();

    for (int restart = 0; restart < 2; restart++) {
        struct store_read read = {.room = room, .kind = STORE_GET};
        struct span rest, bytes = {NULL, 0};
        assert_int_equal(store_put_bytes(&read.keys, SPAN("z")), 0);
        read_now(&world, &read);
        assert_int_equal(read.result, STORE_OK);
        rest = (struct span){(char *)read.entries.data, read.entries.len};
        if (store_next_bytes(&rest, &bytes))
            assert_true(store_next_bytes(&rest, &bytes));
        assert_true(span_equal(bytes, span_of(expected)));
        buf_fini(&read.keys);
        buf_fini(&read.entries);
        expect_head(&world, room, *expected ? expected[0] - '0' + 1 : 0, 0, *expected == '\0', NULL);
        store_room_release(room);
        world_reopen(&world);
        room = world_room(&world, "p", "a");
    }
    struct store_batch batch = batch_of(room);
    assert_int_equal(store_batch_clear(&batch), 0);
    assert_int_equal(store_batch_alarm(&batch, 0, 0), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    buf_fini(&batch.ops);
    store_room_release(room);
    return failed;
}

static void each_write_may_fail(void **state)
{
    static const int errors[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_READONLY};
    (void)state;

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        int n = 0;
        while (fails_at(n, errors[i]))
            n++;
        assert_true(n >= 4); /* it did fail, in different places */
    }
}

/* Its descriptor would take all that is written, and end with the server. */
static void a_file_that_is_gone_takes_no_writes(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room);
    char away[PATH_MAX];
    (void)state;

    assert_int_equal(put(&world, room, "k", "before"), STORE_OK);
    snprintf(away, sizeof away, "%s", world_path(&world, "away"));
    assert_int_equal(rename(world_path(&world, "data.sqlite"), away), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("lost")), 0);
        assert_int_equal(batch_keep(&world, &batch), STORE_FAILED);
        assert_string_equal(batch.text, "the data file was moved or deleted while the server runs");
        reopen_room(&room, "a");
        batch.room = room;
        if (i == 0) /* another one in its place is not it */
            project_files_write(&world.files, "data/data.sqlite", "");
    }
    expect_all(&world, room, "k=before");
    assert_int_equal(rename(away, world_path(&world, "data.sqlite")), 0);
    assert_int_equal(put(&world, room, "k", "after"), STORE_OK);
    expect_all(&world, room, "k=after");
    buf_fini(&batch.ops);
    store_room_release(room);
}

/* What is in the WAL alone would end with the server, too. */
static void a_wal_that_is_gone_takes_no_writes(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    char away[PATH_MAX];
    (void)state;

    assert_int_equal(put(&world, room, "k", "before"), STORE_OK);
    snprintf(away, sizeof away, "%s", world_path(&world, "away"));
    assert_int_equal(rename(world_path(&world, "data.sqlite-wal"), away), 0);
    for (int i = 0; i < 2; i++) {
        struct store_batch batch = batch_of(room);
        assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("lost")), 0);
        assert_int_equal(batch_keep(&world, &batch), STORE_FAILED);
        assert_string_equal(batch.text, "the data file was moved or deleted while the server runs");
        buf_fini(&batch.ops);
        reopen_room(&room, "a");
        if (i == 0) /* another one in its place is not it */
            project_files_write(&world.files, "data/data.sqlite-wal", "");
    }
    expect_all(&world, room, "k=before");
    assert_int_equal(rename(away, world_path(&world, "data.sqlite-wal")), 0);
    assert_int_equal(put(&world, room, "k", "after"), STORE_OK);
    expect_all(&world, room, "k=after");
    store_room_release(room);
    /* Without it: what was kept is in the data file when the store is closed. */
    assert_int_equal(unlink(world_path(&world, "data.sqlite-wal")), 0);
    world_reopen(&world);
    room = world_room(&world, "p", "a");
    expect_all(&world, room, "k=after");
    store_room_release(room);
}

/* ---- a backup ---- */

static void backup_done(struct store_backup *backup)
{
    (void)backup;
}

/* In the middle: whatever it begins with is over. */
static void expect_no_backup(enum fault_op op, int error, const char *text)
{
    char target[PATH_MAX];
    struct store_backup backup = {.store = world.store,
                                  .loop = &world.loop,
                                  .path = target,
                                  .done = backup_done};

    snprintf(target, sizeof target, "%s/backup", world.files.root);
    faults_plan(op, SQLITE_OPEN_MAIN_DB, 20, error);
    store_backup(&backup);
    loop_run(&world.loop);
    assert_true(faults.hits > 0);
    faults_end();
    assert_int_equal(backup.result, STORE_FAILED);
    assert_non_null(strstr(backup.text, text));
}

static void a_backup_says_what_could_not_be_read(void **state)
{
    static char value[400000];
    struct store_room *room = world_room(&world, "p", "a");
    struct store_batch batch = batch_of(room);
    (void)state;

    assert_int_equal(store_batch_put(&batch, SPAN("k"), (struct span){value, sizeof value}), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_OK);
    buf_fini(&batch.ops);
    store_room_release(room);
    world_reopen(&world); /* so that it is in the data file */
    expect_no_backup(FAULT_READ, SQLITE_IOERR_READ, "/data/data.sqlite: the disk reports an error");
    expect_no_backup(FAULT_WRITE, SQLITE_IOERR_WRITE, ".part/data.sqlite: the disk reports an error");
}

/* ---- a group ---- */

/* Submits batches that will be one group: the writer is held in the flush of the one before. */
static void submit_group(struct store_room *first_room, struct store_batch *first,
                         struct store_batch *batches, size_t n)
{
    *first = batch_of(first_room);
    assert_int_equal(store_batch_put(first, SPAN("k"), SPAN("first")), 0);
    faults_shut();
    store_submit(first);
    loop_step(&world.loop);
    faults_await();
    for (size_t i = 0; i < n; i++)
        store_submit(&batches[i]);
}

static void a_failed_commit_fails_its_group(void **state)
{
    enum { ROOMS = 5 };
    struct store_room *rooms[ROOMS];
    struct store_batch first, batches[2 * ROOMS];
    char id[2] = "0";
    (void)state;

    for (size_t i = 0; i < ROOMS; i++) {
        id[0] = (char)('0' + i);
        rooms[i] = world_room(&world, "p", id);
    }
    for (size_t i = 0; i < 2 * ROOMS; i++) {
        batches[i] = batch_of(rooms[i % ROOMS]);
        assert_int_equal(store_batch_put(&batches[i], SPAN("k"), SPAN("group")), 0);
    }
    submit_group(rooms[0], &first, batches, 2 * ROOMS);
    /* The first one's last step is the flush. */
    faults_plan(FAULT_WRITE, SQLITE_OPEN_WAL, 0, SQLITE_FULL);
    faults_open();
    loop_run(&world.loop);
    faults_end();
    assert_int_equal(first.result, STORE_OK);
    for (size_t i = 0; i < 2 * ROOMS; i++) {
        assert_null(batches[i].done);
        assert_int_equal(batches[i].result, STORE_FAILED);
        assert_string_equal(batches[i].text, "the disk is full");
        buf_fini(&batches[i].ops);
    }
    buf_fini(&first.ops);
    expect_all(&world, rooms[0], "k=first");
    for (size_t i = 1; i < ROOMS; i++)
        expect_all(&world, rooms[i], "");
    for (size_t i = 0; i < ROOMS; i++)
        store_room_release(rooms[i]);
}

/* The room's next batches wait already when one fails: they are not kept either, or else it would be without what
 * they build on. */
static void what_waits_behind_a_failure_fails_too(void **state)
{
    struct store_room *room = world_room(&world, "p", "a"), *other = world_room(&world, "p", "b");
    struct store_batch first = batch_of(room), batches[3];
    (void)state;

    assert_int_equal(store_batch_put(&first, SPAN("k"), SPAN("first")), 0);
    for (size_t i = 0; i < 3; i++) {
        batches[i] = batch_of(i == 1 ? other : room);
        assert_int_equal(store_batch_put(&batches[i], SPAN("k"), SPAN("later")), 0);
    }
    /* As many operations as a group may have, so that the three are in the next one. */
    for (int i = 0; i < 2000; i++)
        assert_int_equal(store_batch_put(&first, SPAN("k"), SPAN("first")), 0);
    struct store_batch opener;
    struct store_room *third = world_room(&world, "p", "c");
    opener = batch_of(third);
    assert_int_equal(store_batch_put(&opener, SPAN("k"), SPAN("v")), 0);
    faults_shut();
    store_submit(&opener);
    loop_step(&world.loop);
    faults_await();
    store_submit(&first);
    for (size_t i = 0; i < 3; i++)
        store_submit(&batches[i]);
    faults_plan(FAULT_WRITE, SQLITE_OPEN_WAL, 0, SQLITE_FULL);
    faults_once();
    faults_open();
    loop_run(&world.loop);
    faults_end();
    assert_int_equal(opener.result, STORE_OK);
    assert_int_equal(first.result, STORE_FAILED);
    assert_int_equal(batches[0].result, STORE_FAILED);
    assert_int_equal(batches[1].result, STORE_OK);
    assert_int_equal(batches[2].result, STORE_FAILED);
    expect_all(&world, room, "");
    expect_all(&world, other, "k=later");
    buf_fini(&first.ops);
    buf_fini(&opener.ops);
    for (size_t i = 0; i < 3; i++)
        buf_fini(&batches[i].ops);
    store_room_release(room);
    store_room_release(other);
    store_room_release(third);
}

/* ---- a batch that can't be applied ---- */

static void a_bad_batch_fails_alone(void **state)
{
    enum { ROOMS = 4 };
    struct store_room *rooms[ROOMS];
    struct store_batch first, batches[2 * ROOMS];
    char id[2] = "0";
    sqlite3 *db;
    (void)state;

    /* What the store itself never does: a table that refuses one key. */
    assert_int_equal(sqlite3_open(world_path(&world, "data.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TRIGGER t BEFORE INSERT ON entry WHEN new.key = x'626164'"
                                  " BEGIN SELECT RAISE(ABORT, 'no'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);

    for (size_t i = 0; i < ROOMS; i++) {
        id[0] = (char)('0' + i);
        rooms[i] = world_room(&world, "p", id);
    }
    for (size_t i = 0; i < 2 * ROOMS; i++) {
        batches[i] = batch_of(rooms[i % ROOMS]);
        assert_int_equal(store_batch_put(&batches[i], SPAN("k"), span_of(i < ROOMS ? "1" : "2")), 0);
    }
    assert_int_equal(store_batch_put(&batches[2], SPAN("bad"), SPAN("")), 0);
    submit_group(rooms[0], &first, batches, 2 * ROOMS);
    faults_open();
    loop_run(&world.loop);
    assert_int_equal(first.result, STORE_OK);
    for (size_t i = 0; i < 2 * ROOMS; i++) {
        assert_int_equal(batches[i].result, i % ROOMS == 2 ? STORE_FAILED : STORE_OK);
        buf_fini(&batches[i].ops);
    }
    buf_fini(&first.ops);
    expect_all(&world, rooms[0], "k=2");
    expect_all(&world, rooms[1], "k=2");
    expect_all(&world, rooms[2], "");
    expect_all(&world, rooms[3], "k=2");
    for (size_t i = 0; i < ROOMS; i++)
        store_room_release(rooms[i]);
}

/* ---- reading ---- */

static void a_failed_read_says_so(void **state)
{
    struct store_room *room = world_room(&world, "p", "a");
    struct store_read read = list_of(room);
    struct store_search search = {.store = world.store,
                                  .loop = &world.loop,
                                  .kind = STORE_ROOMS,
                                  .party = SPAN("p"),
                                  .limit = 9,
                                  .done = search_done};
    (void)state;

    assert_int_equal(put(&world, room, "k", "v"), STORE_OK);
    faults_plan(FAULT_READ, 0, 0, SQLITE_IOERR_READ);
    read_now(&world, &read);
    assert_int_equal(read.result, STORE_FAILED);
    assert_string_equal(read.text, "the disk reports an error");
    store_search(&search);
    loop_run(&world.loop);
    assert_int_equal(search.result, STORE_FAILED);
    assert_string_equal(search.text, "the disk reports an error");
    faults_end();
    expect_all(&world, room, "k=v");
    store_room_release(room);
}

/* ---- nobody knows what the disk holds ---- */

struct failure {
    enum fault_op op;
    int files, skip, error;
};

/* Runs act in a process of its own, in which this fails. It is to end by itself, and to say why. */
static void expect_end(struct failure failure, void (*act)(void), const char *why)
{
    char text[2000] = "";
    int out[2], status;
    size_t len = 0;

    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        close(out[0]);
        if (log_init(out[1], LOG_INFO, LOG_JSON))
            _exit(3);
        world_open(&world);
        faults_plan(failure.op, failure.files, failure.skip, failure.error);
        act();
        _exit(2);
    }
    close(out[1]);
    for (ssize_t n; (n = read(out[0], text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)n;
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(text, why));
    assert_non_null(strstr(text, "data.sqlite"));
    assert_int_equal(strchr(text, '\n') + 1 - text, (ptrdiff_t)len); /* one line */
}

static void flushed_done(struct store_batch *batch, enum store_result result)
{
    (void)batch;
    _exit(result == STORE_OK ? 4 : 5); /* nobody is to be told anything */
}

static void put_and_wait(void)
{
    struct store_batch batch = batch_of(world_room(&world, "p", "a"));
    assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("v")), 0);
    batch.done = flushed_done;
    store_submit(&batch);
    loop_run(&world.loop);
}

/* A checkpoint comes when nothing is written for a while. */
static void put_and_idle(void)
{
    assert_int_equal(put(&world, world_room(&world, "p", "a"), "k", "another value"), STORE_OK);
    for (;;)
        pause();
}

static void a_failed_flush_ends_the_process(void **state)
{
    static const char why[] = "the disk could not be flushed";
    (void)state;

    expect_end((struct failure){FAULT_SYNC, SQLITE_OPEN_WAL, 0, SQLITE_IOERR_FSYNC}, put_and_wait, why);
    expect_end((struct failure){FAULT_SYNC, SQLITE_OPEN_MAIN_DB, 0, SQLITE_IOERR_FSYNC}, put_and_idle, why);
    world_open(&world);
    struct store_room *room = world_room(&world, "p", "a");
    struct store_read read = list_of(room);
    read_now(&world, &read);
    assert_int_equal(read.result, STORE_OK);
    buf_fini(&read.entries);
    store_room_release(room);
}

/* So much that the WAL's index has a second piece. */
static void put_much_and_wait(void)
{
    enum { PAGES = 4200, PAGE = 4096 };
    static char value[32 * PAGE];
    struct store_batch batch = batch_of(world_room(&world, "p", "a"));
    char key[16];

    for (size_t i = 0; i < PAGES * (size_t)PAGE / sizeof value; i++) {
        snprintf(key, sizeof key, "%zu", i);
        assert_int_equal(store_batch_put(&batch, span_of(key), (struct span){value, sizeof value}), 0);
    }
    batch.done = flushed_done;
    store_submit(&batch);
    loop_run(&world.loop);
}

/* SQLite looks at the index once more behind the flush: a failure there is reported of a transaction that is in the
 * file. */
static void a_failure_behind_the_flush_ends_the_process(void **state)
{
    static const int errors[] = {SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE, SQLITE_NOMEM};
    (void)state;

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        expect_end((struct failure){FAULT_INDEX, 0, 1, errors[i]}, put_much_and_wait,
                   "a write failed when it may have been on the disk already");
        assert_int_equal(nftw(world.folder, project_files_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    }
    world_open(&world);
}

/* ---- opening ---- */

/* With the nth step of this kind failing: it says so, or can do without, and the next one is as if nothing had been. */
static bool opening_fails_at(enum fault_op op, int n, int error)
{
    struct buf text = {0};

    faults_plan(op, 0, n, error);
    int rc = store_open_sqlite(world.folder, 2, false, &text, &world.store);
    bool met = faults.hits > 0;
    assert_int_equal(rc != 0, text.len > 0);
    assert_true(met || rc == 0);
    faults_end();
    buf_fini(&text);
    if (rc) {
        assert_null(world.store);
        world_open(&world);
    }
    struct store_room *room = world_room(&world, "p", "a");
    assert_int_equal(put(&world, room, "k", "v"), STORE_OK);
    expect_all(&world, room, "k=v");
    store_room_release(room);
    world_close(&world);
    assert_int_equal(nftw(world.folder, project_files_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    return met;
}

static void each_step_of_opening_may_fail(void **state)
{
    static const struct {
        enum fault_op op;
        int error;
    } cases[] = {{FAULT_OPEN, SQLITE_CANTOPEN},
                 {FAULT_WRITE, SQLITE_FULL},
                 {FAULT_WRITE, SQLITE_IOERR_WRITE},
                 {FAULT_SYNC, SQLITE_IOERR_FSYNC}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int n = 0;
        while (opening_fails_at(cases[i].op, n, cases[i].error))
            n++;
        assert_true(n >= 4);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define BARE(f) cmocka_unit_test_setup_teardown(f, set_up_nothing, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_leaves_the_process_alive),
        TEST(what_is_behind_one_that_is_apart_is_kept),
        TEST(a_new_room_that_failed_is_not_there),
        TEST(each_write_may_fail),
        TEST(a_file_that_is_gone_takes_no_writes),
        TEST(a_wal_that_is_gone_takes_no_writes),
        TEST(a_failed_commit_fails_its_group),
        TEST(what_waits_behind_a_failure_fails_too),
        TEST(a_bad_batch_fails_alone),
        TEST(a_failed_read_says_so),
        BARE(a_failed_flush_ends_the_process),
        BARE(a_failure_behind_the_flush_ends_the_process),
        BARE(each_step_of_opening_may_fail),
        TEST(a_backup_says_what_could_not_be_read), /* behind those that fork: the pool's threads stay */
    };
    alarm(300);
    faults_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
