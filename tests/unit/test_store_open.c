/* Opening a data folder: made when it is missing, taken by one server at a time, refused in words when it can't be
 * used, and brought up to date step by step. */
#include "store/sqlite_private.h"
#include "store_driver.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct world world;

static int set_up(void **state)
{
    (void)state;
    world_prepare(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_fini(&world);
    return 0;
}

/* Runs SQL on a data file that no store has open. */
static void run_sql(const char *name, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(world_path(&world, name), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
}

static void add_room(const char *id)
{
    struct store_room *room = world_room(&world, "p", id);
    assert_int_equal(put(&world, room, "k", "v"), STORE_OK);
    store_room_release(room);
}

static void expect_room(const char *id)
{
    struct store_room *room = world_room(&world, "p", id);
    expect_all(&world, room, "k=v");
    store_room_release(room);
}

/* ---- the folder ---- */

static void a_missing_folder_is_made(void **state)
{
    struct stat info;
    (void)state;

    world_open(&world);
    assert_int_equal(stat(world.folder, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(access(world_path(&world, "data.sqlite"), F_OK), 0);
}

static void its_parent_is_to_be_there(void **state)
{
    (void)state;
    snprintf(world.folder, sizeof world.folder, "%s/no/data", world.files.root);
    world_refuses(&world, "make the folder first that it is to be in");
}

static void a_file_is_no_folder(void **state)
{
    (void)state;
    project_files_write(&world.files, "data", "text");
    world_refuses(&world, "and is a file");
}

/* Root may write everywhere, so somebody else asks. */
static void a_folder_that_cant_be_written_is_refused(void **state)
{
    (void)state;
    assert_int_equal(chmod(world.files.root, 0755), 0);
    assert_int_equal(mkdir(world.folder, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        struct buf error = {0};
        if (geteuid() == 0 && setresuid(65534, 65534, 65534))
            _exit(2);
        int rc = store_open_sqlite(world.folder, 1, false, &error, &world.store);
        _exit(rc == -EACCES && memmem(error.data, error.len, "make it writable", 16) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_file_that_cant_be_written_is_refused(void **state)
{
    (void)state;
    world_open(&world);
    world_close(&world);
    assert_int_equal(chmod(world.files.root, 0755), 0);
    assert_int_equal(chmod(world.folder, 0777), 0);
    assert_int_equal(chmod(world_path(&world, "lock"), 0666), 0);
    assert_int_equal(chmod(world_path(&world, "data.sqlite"), 0444), 0);
    pid_t child = fork();
    if (child == 0) {
        struct buf error = {0};
        if (geteuid() == 0 && setresuid(65534, 65534, 65534))
            _exit(2);
        int rc = store_open_sqlite(world.folder, 1, false, &error, &world.store);
        _exit(rc == -EACCES && memmem(error.data, error.len, "make it writable", 16) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- the lock ---- */

static void two_servers_never_share_a_folder(void **state)
{
    char text[64];
    struct store *first;
    (void)state;

    world_open(&world);
    first = world.store;
    world.store = NULL;
    snprintf(text, sizeof text, "used by another festa (process %ld):", (long)getpid());
    world_refuses(&world, text);
    store_close(first);
    world_open(&world);
}

static void *close_soon(void *store)
{
    usleep(50000);
    store_close(store);
    return NULL;
}

/* Which ends by itself. */
static void a_server_waits_for_a_command(void **state)
{
    struct buf error = {0};
    struct store *command;
    char text[100];
    pthread_t thread;
    (void)state;

    assert_int_equal(store_open_sqlite(world.folder, 1, true, &error, &command), 0);
    assert_int_equal(pthread_create(&thread, NULL, close_soon, command), 0);
    world_open(&world);
    assert_int_equal(pthread_join(thread, NULL), 0);
    world_close(&world);

    assert_int_equal(store_open_sqlite(world.folder, 1, true, &error, &command), 0);
    snprintf(text, sizeof text, "used by a festa command (process %ld), which ends by itself",
             (long)getpid());
    world_refuses(&world, text);
    store_close(command);
}

/* As between two servers, and the lock goes with the process, however that ends. */
static void the_lock_ends_with_its_process(void **state)
{
    int ready[2];
    char byte, text[64];
    (void)state;

    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ready[0]);
        world_open(&world);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    snprintf(text, sizeof text, "process %ld):", (long)child);
    world_refuses(&world, text);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    world_open(&world);
}

/* ---- what is in the files ---- */

static void something_else_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(world.folder, 0700), 0);
    run_sql("data.sqlite", "CREATE TABLE t(x)");
    world_refuses(&world, "another program's database");
    run_sql("data.sqlite", "DROP TABLE t; PRAGMA application_id=7");
    world_refuses(&world, "another program's database");
    run_sql("data.sqlite", "PRAGMA application_id=0; PRAGMA user_version=1");
    world_refuses(&world, "another program's database");
    project_files_write(&world.files, "data/data.sqlite", "This is a text, and no database at all.");
    world_refuses(&world, "the data file is damaged");
}

static void a_newer_version_is_refused(void **state)
{
    (void)state;
    world_open(&world);
    add_room("a");
    world_close(&world);
    run_sql("data.sqlite", "PRAGMA user_version=99");
    world_refuses(&world, "a newer Festa has written this file (its version is 99");
    run_sql("data.sqlite", "PRAGMA user_version=1");
    world_open(&world);
    expect_room("a");
}

static void a_damaged_file_is_refused(void **state)
{
    char rubbish[8192];
    (void)state;

    world_open(&world);
    add_room("a");
    world_close(&world);
    memset(rubbish, 0xa5, sizeof rubbish);
    /* The first page but for its head: what tables there are. */
    FILE *file = fopen(world_path(&world, "data.sqlite"), "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 100, SEEK_SET), 0);
    assert_int_equal(fwrite(rubbish, 1, 3900, file), 3900);
    assert_int_equal(fclose(file), 0);
    world_refuses(&world, "the data file is damaged");
}

/* A page of a table, seen only when it is read or written: the rest is usable. */
static void damage_fails_what_comes_upon_it(void **state)
{
    char rubbish[4096];
    sqlite3 *db;
    (void)state;

    world_open(&world);
    add_room("a");
    world_close(&world);
    assert_int_equal(sqlite3_open(world_path(&world, "data.sqlite"), &db), SQLITE_OK);
    long page = (long)ask(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'entry'");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    memset(rubbish, 0xa5, sizeof rubbish);
    FILE *file = fopen(world_path(&world, "data.sqlite"), "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (page - 1) * 4096, SEEK_SET), 0);
    assert_int_equal(fwrite(rubbish, 1, 4096, file), 4096);
    assert_int_equal(fclose(file), 0);

    world_open(&world);
    struct store_room *room = world_room(&world, "p", "a"), *other = world_room(&world, "p", "b");
    struct store_read read = list_of(room);
    read_now(&world, &read);
    assert_int_equal(read.result, STORE_FAILED);
    assert_string_equal(read.text, "the data file is damaged");
    assert_int_equal(read.n_entries, 0);
    struct store_batch batch = batch_of(room);
    assert_int_equal(store_batch_put(&batch, SPAN("k"), SPAN("v")), 0);
    assert_int_equal(batch_keep(&world, &batch), STORE_FAILED);
    assert_string_equal(batch.text, "the data file is damaged");
    buf_fini(&batch.ops);
    set_alarm(&world, other, 5, 0);
    expect_found(&world, (struct store_search){.kind = STORE_ALARMS, .until = 9, .limit = 9}, "p/b@5");
    store_room_release(room);
    store_room_release(other);
}

/* ---- several files ---- */

static void a_missing_file_is_missed(void **state)
{
    (void)state;
    world_open_files(&world, 3);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        add_room(id);
    }
    world_close(&world);
    assert_int_equal(unlink(world_path(&world, "data-2.sqlite")), 0);
    world_refuses(&world, "data-2.sqlite: the data file can't be opened");
    assert_int_equal(unlink(world_path(&world, "data-1.sqlite")), 0);
    assert_int_equal(access(world_path(&world, "data-3.sqlite"), F_OK), 0);
    world_refuses(&world, "data-1.sqlite, is missing");
    assert_int_equal(unlink(world_path(&world, "data-3.sqlite")), 0);
    world_open(&world);
}

static void write_file(const char *name, const char *text, size_t len)
{
    FILE *file = fopen(world_path(&world, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void expect_size(const char *name, off_t size)
{
    struct stat info;
    assert_int_equal(stat(world_path(&world, name), &info), 0);
    assert_int_equal(info.st_size, size);
}

/* Without its file SQLite would take it for that of one that is new, and delete it. */
static void a_wal_is_not_lost_with_its_file(void **state)
{
    static const char *const names[] = {"data.sqlite", "data-1.sqlite", "data-3.sqlite"};
    char wal[64], text[128];
    (void)state;

    assert_int_equal(mkdir(world.folder, 0700), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(wal, sizeof wal, "%s-wal", names[i]);
        write_file(wal, "what was written last", 21);
        snprintf(text, sizeof text, "/%s: this data file is missing, and %s beside it", names[i], wal);
        world_refuses(&world, text);
        write_file(names[i], "", 0);
        snprintf(text, sizeof text, "/%s: this data file is empty, and %s beside it", names[i], wal);
        world_refuses(&world, text);
        expect_size(names[i], 0);
        expect_size(wal, 21);
        assert_int_equal(unlink(world_path(&world, names[i])), 0);
        assert_int_equal(unlink(world_path(&world, wal)), 0);
    }
    write_file("data.sqlite", "", 0); /* one that is new */
    write_file("data.sqlite-wal", "", 0);
    world_open(&world);
    add_room("a");
    expect_room("a");
}

static void files_are_not_mixed(void **state)
{
    char from[256];
    (void)state;

    world_open_files(&world, 3);
    world_close(&world);
    /* The second and the third are swapped. */
    snprintf(from, sizeof from, "%s", world_path(&world, "data-3.sqlite"));
    assert_int_equal(rename(from, world_path(&world, "swap")), 0);
    snprintf(from, sizeof from, "%s", world_path(&world, "data-2.sqlite"));
    assert_int_equal(rename(from, world_path(&world, "data-3.sqlite")), 0);
    snprintf(from, sizeof from, "%s", world_path(&world, "swap"));
    assert_int_equal(rename(from, world_path(&world, "data-2.sqlite")), 0);
    world_refuses(&world, "is data file 2 of 3, and is to be 3 of 3");
    snprintf(from, sizeof from, "%s", world_path(&world, "data-2.sqlite"));
    assert_int_equal(rename(from, world_path(&world, "data.sqlite")), 0);
    world_refuses(&world, "both data.sqlite and data-1.sqlite");
}

/* The first file is made last, so what is there of the others is not taken for data that lost its first. */
static void a_folder_that_was_being_made_is_made(void **state)
{
    (void)state;
    world_open_files(&world, 3);
    world_close(&world);
    assert_int_equal(unlink(world_path(&world, "data-1.sqlite")), 0);
    world_open(&world);
    assert_int_equal(access(world_path(&world, "data-1.sqlite"), F_OK), 0);
    assert_int_equal(access(world_path(&world, "data.sqlite"), F_OK), -1);
    add_room("a");
    world_close(&world);
    world_open(&world);
    expect_room("a");
}

/* ---- steps ---- */

static void steps_are_taken_once_and_whole(void **state)
{
    static const char *const steps[] = {
        "CREATE TABLE t(x); INSERT INTO t VALUES(1)",
        "UPDATE t SET x = x + 10",
        "INSERT INTO t VALUES(2); INSERT INTO nowhere VALUES(3)",
    };
    static const char *const mended[] = {"not to be run", "neither", "INSERT INTO t VALUES(2)"};
    struct buf error = {0};
    sqlite3 *db;
    (void)state;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite_migrate(db, "file", steps, 1, &error), 0);
    assert_int_equal(ask(db, "SELECT sum(x) FROM t"), 1);
    assert_int_equal(ask(db, "PRAGMA user_version"), 1);
    assert_int_equal(sqlite_migrate(db, "file", steps, 2, &error), 0);
    assert_int_equal(sqlite_migrate(db, "file", steps, 2, &error), 0);
    assert_int_equal(ask(db, "SELECT sum(x) FROM t"), 11);
    assert_int_equal(error.len, 0);
    /* One that does not work leaves the version before it, as it was. */
    assert_true(sqlite_migrate(db, "file", steps, 3, &error) < 0);
    assert_true(error.len > 0);
    buf_fini(&error);
    assert_int_equal(ask(db, "PRAGMA user_version"), 2);
    assert_int_equal(ask(db, "SELECT sum(x) FROM t"), 11);
    assert_int_equal(sqlite_migrate(db, "file", mended, 3, &error), 0);
    assert_int_equal(ask(db, "SELECT sum(x) FROM t"), 13);
    assert_true(sqlite_migrate(db, "file", steps, 2, &error) < 0);
    buf_fini(&error);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_missing_folder_is_made),
        TEST(its_parent_is_to_be_there),
        TEST(a_file_is_no_folder),
        TEST(a_folder_that_cant_be_written_is_refused),
        TEST(a_file_that_cant_be_written_is_refused),
        TEST(two_servers_never_share_a_folder),
        TEST(a_server_waits_for_a_command),
        TEST(the_lock_ends_with_its_process),
        TEST(something_else_is_refused),
        TEST(a_newer_version_is_refused),
        TEST(a_damaged_file_is_refused),
        TEST(damage_fails_what_comes_upon_it),
        TEST(a_missing_file_is_missed),
        TEST(a_wal_is_not_lost_with_its_file),
        TEST(files_are_not_mixed),
        TEST(a_folder_that_was_being_made_is_made),
        TEST(steps_are_taken_once_and_whole),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
