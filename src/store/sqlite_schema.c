/* Opening a data file: the settings of a connection, what is in the file, and the steps that bring it up to date.
 * Called when a store is opened, before the file's threads begin. */
#include "store/sqlite_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID 0x46657374 /* "Fest" */

/* How long another program (sqlite3 on the command line) may hold a file that a write wants. */
#define BUSY_MS 5000

/* A room has a row as long as it holds anything. A key is any bytes, so it is a BLOB: those are compared bytewise.
 * A room's entries lie beside each other in the tree of their keys: a turn's writes and a list touch few pages. But to
 * find a key there SQLite reads its neighbours whole, so large values are elsewhere, and go by trigger. */
static const char first_tables[] =
    "CREATE TABLE file(number INTEGER NOT NULL, files INTEGER NOT NULL);"
    "CREATE TABLE room(id INTEGER PRIMARY KEY, party TEXT NOT NULL, name TEXT NOT NULL, alarm INTEGER,"
    " attempt INTEGER NOT NULL DEFAULT 0, UNIQUE(party, name));"
    "CREATE INDEX room_alarm ON room(alarm, party, name) WHERE alarm IS NOT NULL;"
    "CREATE TABLE entry(room INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, large INTEGER,"
    " PRIMARY KEY(room, key)) WITHOUT ROWID;"
    "CREATE TABLE large_value(id INTEGER PRIMARY KEY, value BLOB NOT NULL);"
    "CREATE TRIGGER entry_updated AFTER UPDATE OF large ON entry WHEN old.large IS NOT NULL AND"
    " old.large IS NOT new.large BEGIN DELETE FROM large_value WHERE id = old.large; END;"
    "CREATE TRIGGER entry_deleted AFTER DELETE ON entry WHEN old.large IS NOT NULL"
    " BEGIN DELETE FROM large_value WHERE id = old.large; END;"
    "CREATE TABLE self(room INTEGER PRIMARY KEY, value BLOB NOT NULL);";

static const char *const steps[] = {first_tables};

#define STEPS (sizeof steps / sizeof steps[0])

/* ---- a connection ---- */

static int set_up(sqlite3 *db)
{
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    /* FULL: a commit has been flushed when it returns. Checkpoints are the writer's. */
    return sqlite3_exec(
        db,
        "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-4096;"
        "PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST; PRAGMA journal_size_limit=67108864",
        NULL, NULL, NULL);
}

/* What was written last is in the WAL, and SQLite has to write to read that. 0 or -EACCES, and says so. */
static int check_no_wal(const char *path, struct buf *error)
{
    char wal[PATH_MAX];

    if ((size_t)snprintf(wal, sizeof wal, "%s-wal", path) >= sizeof wal || access(wal, F_OK) != 0)
        return 0;
    (void)!buf_printf(
        error,
        "%s: it holds what was written last, which can be read only in a folder that can be written: make "
        "the folder writable, or copy all of it to where it is",
        wal);
    return -EACCES;
}

/* As a file that does not change: SQLite has other names for those, in which some characters mean something. */
static int open_to_read(const char *path, sqlite3 **db)
{
    struct buf name = {0};

    int rc = buf_printf(&name, "%s", path[0] == '/' ? "file://" : "file:");
    for (const char *at = path; rc == 0 && *at; at++)
        rc = strchr("?#%", *at) ? buf_printf(&name, "%%%02x", (unsigned)*at) : buf_append(&name, at, 1);
    if (rc == 0)
        rc = buf_append(&name, "?immutable=1", sizeof "?immutable=1");
    rc = rc ? SQLITE_NOMEM
            : sqlite3_open_v2((char *)name.data, db,
                              SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, sqlite_vfs());
    buf_fini(&name);
    return rc;
}

/* SQLite would leave files behind that can't be written either. 0 or -EACCES, and says which one it is. */
static int check_writable(const char *path, struct buf *error)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char name[PATH_MAX];

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if ((size_t)snprintf(name, sizeof name, "%s%s", path, endings[i]) < sizeof name &&
            access(name, W_OK) != 0 && errno == EACCES && access(name, F_OK) == 0)
            return sqlite_problem(error, name, NULL, SQLITE_READONLY);
    }
    return 0;
}

/* For its user alone, whatever the folder allows; SQLite gives the files beside it the same rights. That it can't be made is
 * said by SQLite, in the next moment. */
static void make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

int sqlite_connect(const char *path, enum sqlite_mode mode, sqlite3 **db, struct buf *error)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (mode == MODE_MAKE ? SQLITE_OPEN_CREATE : 0);

    *db = NULL;
    int rc = mode == MODE_READ ? check_no_wal(path, error) : check_writable(path, error);
    if (rc)
        return rc;
    if (mode == MODE_MAKE)
        make_private(path);
    rc = mode == MODE_READ ? open_to_read(path, db) : sqlite3_open_v2(path, db, flags, sqlite_vfs());
    if (rc == SQLITE_OK)
        rc = set_up(*db);
    if (rc == SQLITE_OK && mode != MODE_READ && sqlite3_db_readonly(*db, "main"))
        rc = SQLITE_READONLY; /* what SQLite makes of a file that it may not write */
    if (rc == SQLITE_OK)
        return 0;
    rc = sqlite_problem(error, path, *db, rc);
    sqlite3_close(*db);
    *db = NULL;
    return rc;
}

/* A statement's first value; 0 when it has no row. */
static int ask(sqlite3 *db, const char *sql, int64_t *answer)
{
    sqlite3_stmt *statement = NULL;

    *answer = 0;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc)
        return rc;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- whose file it is ---- */

/* ours: it is Festa's; or else it is empty. 0 or a negative errno, and says why. */
static int identify(sqlite3 *db, const char *path, bool *ours, struct buf *error)
{
    int64_t application = 0, version = 0, tables = 0;

    int rc = ask(db, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK)
        rc = ask(db, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK)
        rc = ask(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc)
        return sqlite_problem(error, path, db, rc);
    *ours = application == APPLICATION_ID;
    if (*ours || (application == 0 && version == 0 && tables == 0))
        return 0;
    (void)!buf_printf(error,
                      "%s: this is another program's database: move it away, or choose another data folder",
                      path);
    return -EINVAL;
}

int sqlite_count_files(const char *path, enum sqlite_mode mode, struct buf *error)
{
    sqlite3 *db;
    bool ours = false;
    int64_t tables = 0, files = 0;

    int rc = sqlite_connect(path, mode, &db, error);
    if (rc)
        return rc;
    /* That is the writer's, which looks at what comes of it. */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    rc = identify(db, path, &ours, error);
    if (rc == 0 && ours) {
        int problem = ask(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'file'", &tables);
        if (problem == SQLITE_OK && tables)
            problem = ask(db, "SELECT files FROM file", &files);
        if (problem)
            rc = sqlite_problem(error, path, db, problem);
    }
    sqlite3_close(db);
    if (rc == 0 && (files < 0 || files > STORE_FILES_MAX))
        rc = sqlite_problem(error, path, NULL, SQLITE_CORRUPT);
    return rc ? rc : (int)files;
}

int sqlite_check_empty(sqlite3 *db, const char *path, struct buf *error)
{
    int64_t rooms;

    int rc = ask(db, "SELECT EXISTS (SELECT 1 FROM room)", &rooms);
    if (rc)
        return sqlite_problem(error, path, db, rc);
    if (!rooms)
        return 0;
    (void)!buf_printf(error,
                      "%s: the first data file, data-1.sqlite, is missing beside it: put back a backup",
                      path);
    return -ENOENT;
}

/* ---- the tables ---- */

static int run_step(sqlite3 *db, const char *step, unsigned version)
{
    char mark[96];

    snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%u; COMMIT", APPLICATION_ID,
             version);
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, step, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, mark, NULL, NULL, NULL);
    return rc;
}

int sqlite_migrate(sqlite3 *db, const char *path, const char *const *list, unsigned n, struct buf *error)
{
    int64_t version;

    int rc = ask(db, "PRAGMA user_version", &version);
    if (rc)
        return sqlite_problem(error, path, db, rc);
    if (version < 0 || version > n) {
        (void)!buf_printf(
            error,
            "%s: a newer Festa has written this file (its version is %lld, this Festa knows %u): "
            "update Festa, or put back a backup from before",
            path, (long long)version, n);
        return -EINVAL;
    }
    for (unsigned i = (unsigned)version; i < n; i++) {
        rc = run_step(db, list[i], i + 1);
        if (rc) {
            rc = sqlite_problem(error, path, db, rc); /* before the rollback, which has an error of its own */
            if (!sqlite3_get_autocommit(db))
                (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
            return rc;
        }
    }
    return 0;
}

/* With the marks of a file that is complete: which one it is, and how many there are. */
static int number_file(sqlite3 *db, const char *path, unsigned number, unsigned n_files, struct buf *error)
{
    char sql[96];
    int64_t has_number = 0, has_files = 0;
    int rc = SQLITE_OK;

    snprintf(sql, sizeof sql, "INSERT INTO file SELECT %u, %u WHERE NOT EXISTS (SELECT 1 FROM file)", number,
             n_files);
    if (!sqlite3_db_readonly(db, "main"))
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = ask(db, "SELECT number FROM file", &has_number);
    if (rc == SQLITE_OK)
        rc = ask(db, "SELECT files FROM file", &has_files);
    if (rc) {
        return sqlite_problem(error, path, db, rc);
    }
    if (has_number == number && has_files == n_files)
        return 0;
    (void)!buf_printf(
        error,
        "%s: this is data file %lld of %lld, and is to be %u of %u: files of several folders were mixed: "
        "put back a backup",
        path, (long long)has_number, (long long)has_files, number, n_files);
    return -EINVAL;
}

/* 0 or a negative errno, and says why. */
static int begin_wal(sqlite3 *db, const char *path, struct buf *error)
{
    sqlite3_stmt *mode = NULL;
    bool wal = false;

    int rc = sqlite3_prepare_v2(db, "PRAGMA journal_mode=WAL", -1, &mode, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(mode);
    if (rc == SQLITE_ROW)
        wal = span_equal(sqlite_column(mode, 0), SPAN("wal"));
    sqlite3_finalize(mode);
    if (rc != SQLITE_ROW)
        return sqlite_problem(error, path, db, rc);
    if (wal)
        return 0;
    (void)!buf_printf(error,
                      "%s: this file system has no shared memory: choose a data folder on a local disk",
                      path);
    return -ENOTSUP;
}

int sqlite_schema(sqlite3 *db, const char *path, unsigned number, unsigned n_files, struct buf *error)
{
    bool ours = false;

    int rc = identify(db, path, &ours, error);
    if (rc == 0 && !sqlite3_db_readonly(db, "main"))
        rc = begin_wal(db, path, error);
    if (rc == 0)
        rc = sqlite_migrate(db, path, steps, STEPS, error);
    return rc ? rc : number_file(db, path, number, n_files, error);
}
