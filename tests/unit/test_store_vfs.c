/* How a WAL is written: in few pieces, into a file that is longer than what it holds, and never with less in it than
 * SQLite believes. */
#include "store_driver.h"
#include "store_faults.h"

#include "store/sqlite_private.h"

#include <sys/stat.h>

static struct project_files files;
static char path[256], wal_path[264];

static int set_up(void **state)
{
    (void)state;
    project_files_init(&files);
    snprintf(path, sizeof path, "%s/data.sqlite", files.root);
    snprintf(wal_path, sizeof wal_path, "%s-wal", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    faults_end();
    project_files_fini(&files);
    return 0;
}

static void run(sqlite3 *db, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
}

static sqlite3 *connection_by(const char *vfs, const char *file)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
    run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0");
    return db;
}

static sqlite3 *our_connection(void)
{
    sqlite3 *db = connection_by(sqlite_vfs(), path);
    run(db, "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, value BLOB)");
    return db;
}

/* Rows whose pages have that many bytes together, about: one on each page. */
static int insert(sqlite3 *db, int pages)
{
    char sql[256];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO t(value) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        " SELECT randomblob(3000) FROM n",
        pages);
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
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

static int64_t rows(sqlite3 *db)
{
    return ask(db, "SELECT count(*) FROM t WHERE length(value) = 3000");
}

static int64_t wal_size(void)
{
    struct stat info;
    assert_int_equal(stat(wal_path, &info), 0);
    return info.st_size;
}

static void copy_file(const char *from, const char *to)
{
    char command[600];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* What a server finds that is started after a crash in this moment. */
static int64_t rows_after_crash(void)
{
    char copy[280], wal[288];
    snprintf(copy, sizeof copy, "%s/copy.sqlite", files.root);
    snprintf(wal, sizeof wal, "%s-wal", copy);
    copy_file(path, copy);
    copy_file(wal_path, wal);
    sqlite3 *db = connection_by(sqlite_vfs(), copy);
    int64_t n = rows(db);
    assert_int_equal(ask(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return n;
}

/* ---- the tests ---- */

static void a_transaction_is_written_in_few_pieces(void **state)
{
    sqlite3 *db = our_connection();
    (void)state;

    assert_int_equal(insert(db, 1), SQLITE_OK);
    faults.wal_writes = 0;
    assert_int_equal(insert(db, 200), SQLITE_OK);
    /* 200 pages are 800 KiB, and there is what is reserved. Page by page it would be over 400. */
    assert_in_range(faults.wal_writes, 13, 40);
    assert_int_equal(rows_after_crash(), 201);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    db = our_connection();
    assert_int_equal(rows(db), 201);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void the_file_gets_longer_in_steps(void **state)
{
    sqlite3 *db = our_connection();
    int64_t size = wal_size(), written = 0;
    unsigned changes = 0;
    (void)state;

    assert_in_range(size, 64 * 1024, 200 * 1024);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(insert(db, 1), SQLITE_OK);
        changes += wal_size() != size;
        size = wal_size();
        written += 4096;
        assert_true(size > written);
    }
    assert_in_range(changes, 1, 16); /* by 64 KiB, 128 KiB, ... 1 MiB */
    assert_true(size < 2 * 1000 * 3 * 4120);
    assert_int_equal(rows_after_crash(), 1000);

    /* A WAL that begins anew keeps its length. */
    run(db, "PRAGMA wal_checkpoint(PASSIVE)");
    assert_int_equal(insert(db, 1), SQLITE_OK);
    assert_int_equal(wal_size(), size);
    assert_int_equal(rows_after_crash(), 1001);

    /* Nor does one that SQLite has cut get longer with each transaction. */
    run(db, "PRAGMA journal_size_limit=100000; PRAGMA wal_checkpoint(PASSIVE)");
    assert_int_equal(insert(db, 1), SQLITE_OK);
    assert_int_equal(wal_size(), 100000);
    assert_int_equal(insert(db, 25), SQLITE_OK);
    size = wal_size();
    assert_in_range(size, 190000, 300000);
    assert_int_equal(insert(db, 1), SQLITE_OK);
    assert_int_equal(wal_size(), size);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What does not fit into SQLite's cache is in the WAL before the commit, and is read from there. */
static void a_transaction_reads_what_it_has_written(void **state)
{
    sqlite3 *db = our_connection(), *other = connection_by(sqlite_vfs(), path);
    (void)state;

    run(db, "PRAGMA cache_size=10; BEGIN");
    for (int i = 0; i < 50; i++) {
        assert_int_equal(insert(db, 7), SQLITE_OK);
        assert_int_equal(rows(db), 7 * (i + 1));
    }
    assert_int_equal(rows(other), 0);
    run(db, "COMMIT");
    assert_int_equal(rows(other), 350);
    run(db, "BEGIN");
    assert_int_equal(insert(db, 100), SQLITE_OK);
    run(db, "ROLLBACK");
    assert_int_equal(insert(db, 1), SQLITE_OK);
    assert_int_equal(rows(other), 351);
    assert_int_equal(rows_after_crash(), 351);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void what_cant_be_reserved_is_left(void **state)
{
    sqlite3 *db = our_connection();
    (void)state;

    assert_int_equal(insert(db, 10), SQLITE_OK);
    int64_t size = wal_size();
    int pages = 0;
    faults_plan(FAULT_WRITE, SQLITE_OPEN_WAL, 2, SQLITE_FULL); /* behind what was gathered, and some zeros */
    faults_once();
    while (faults.hits == 0) {
        assert_int_equal(insert(db, 1), SQLITE_OK);
        if (faults.hits == 0)
            faults.skip = 2;
        assert_in_range(++pages, 1, 1000);
    }
    assert_true(wal_size() > size && wal_size() < size + 4 * 4120);
    assert_int_equal(rows_after_crash(), 10 + pages);
    size = wal_size();
    assert_int_equal(insert(db, 1), SQLITE_OK); /* it is not tried again at once */
    assert_true(wal_size() < size + 4 * 4120);
    assert_int_equal(insert(db, 17), SQLITE_OK); /* but then it is */
    assert_true(wal_size() >= size + 2 * 64 * 1024);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_late_error_undoes_the_transaction(void **state)
{
    static const int errors[] = {SQLITE_FULL, SQLITE_IOERR_WRITE};
    sqlite3 *db = our_connection(), *other = connection_by(sqlite_vfs(), path);
    (void)state;

    assert_int_equal(insert(db, 3), SQLITE_OK);
    for (size_t i = 0; i < 2; i++) {
        faults_plan(FAULT_WRITE, SQLITE_OPEN_WAL, 0, errors[i]);
        assert_int_equal(insert(db, 2), errors[i] & 0xff);
        assert_true(faults.hits > 0);
        faults_end();
        assert_int_equal(rows(other), 3 + (int64_t)i);
        assert_int_equal(rows_after_crash(), 3 + (int64_t)i);
        assert_int_equal(insert(db, 1), SQLITE_OK);
        assert_int_equal(rows(other), 4 + (int64_t)i);
    }
    assert_int_equal(rows_after_crash(), 5);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The space that a commit needs was there, but for its index: nothing of it may be in the file. */
static void the_index_comes_before_the_commit(void **state)
{
    sqlite3 *db = our_connection();
    int64_t n = 3900;
    (void)state;

    assert_int_equal(insert(db, (int)n), SQLITE_OK);
    faults_plan(FAULT_INDEX, 0, 0, SQLITE_IOERR_SHMSIZE);
    int rc;
    while ((rc = insert(db, 1)) == SQLITE_OK)
        assert_in_range(++n, 1, 4200);
    assert_int_equal(rc, SQLITE_FULL);
    sqlite_drop_gathered(db);
    faults_end();
    assert_int_equal(rows(db), n);
    assert_int_equal(rows_after_crash(), n);
    assert_int_equal(insert(db, 300), SQLITE_OK);
    assert_int_equal(rows_after_crash(), n + 300);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What was written for it, and was not in the file yet, may not get there behind what others write. */
static void a_rollback_leaves_nothing_to_write(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        sqlite3 *db = our_connection(), *other = connection_by(NULL, path);
        run(db, "CREATE TABLE IF NOT EXISTS u(value BLOB); DELETE FROM t");
        assert_int_equal(insert(db, 40), SQLITE_OK);
        run(db,
            "PRAGMA wal_checkpoint(PASSIVE); PRAGMA cache_size=10; INSERT INTO u VALUES(1); BEGIN IMMEDIATE;"
            "UPDATE t SET value = randomblob(3000); ROLLBACK");
        sqlite_drop_gathered(db);
        run(other, "INSERT INTO u SELECT randomblob(3000) FROM t");
        switch (how) {
        case 0: assert_int_equal(insert(db, 1), SQLITE_OK); break;
        case 1: assert_int_equal(rows(db), 40); break;
        case 2: run(db, "PRAGMA wal_checkpoint(PASSIVE)"); break;
        default: break;
        }
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        assert_int_equal(ask(other,
                             "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
                         1);
        assert_int_equal(ask(other, "SELECT count(*) FROM u WHERE length(value) = 3000"), 40 * (how + 1));
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
    }
}

/* sqlite3 on the command line, say: it knows nothing of what we believe of the file's length. */
static void another_program_writes_between(void **state)
{
    sqlite3 *db = our_connection(), *other = connection_by(NULL, path);
    int64_t n = 0;
    (void)state;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(insert(db, 1), SQLITE_OK);
        assert_int_equal(insert(other, 40), SQLITE_OK);
        assert_int_equal(insert(db, 1), SQLITE_OK);
        n += 42;
        assert_int_equal(rows(db), n);
        assert_int_equal(rows_after_crash(), n);
    }
    /* It may cut the file, too. */
    run(other, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(wal_size(), 0);
    assert_int_equal(insert(db, 5), SQLITE_OK);
    assert_int_equal(insert(other, 5), SQLITE_OK);
    assert_int_equal(insert(db, 5), SQLITE_OK);
    assert_int_equal(rows_after_crash(), n + 15);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_transaction_is_written_in_few_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_file_gets_longer_in_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_transaction_reads_what_it_has_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cant_be_reserved_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_error_undoes_the_transaction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_index_comes_before_the_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rollback_leaves_nothing_to_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_program_writes_between, set_up, tear_down),
    };
    alarm(300);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
    faults_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
