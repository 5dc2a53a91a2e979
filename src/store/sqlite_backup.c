/* A copy of the data folder: a folder that a server can be started with. Made by SQLite on a thread of libuv's pool with
 * connections of its own, so that neither writes nor reads wait for it. */
#include "base/log.h"
#include "store/sqlite_private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From here on it reads what it has at this moment. SQLITE_OK or an error. */
static int begin_read(sqlite3 *db)
{
    return sqlite3_exec(db, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
}

/* All pages in one go, as they are at one moment: the writer goes on meanwhile. SQLITE_OK or an error. */
static int copy(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return sqlite3_extended_errcode(to);
    (void)sqlite3_backup_step(backup, -1);
    return sqlite3_backup_finish(backup);
}

/* Reads the copy: pages that are damaged are copied like others. SQLITE_OK or an error. */
static int check(sqlite3 *db)
{
    sqlite3_stmt *check = NULL;

    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &check, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(check);
    if (rc == SQLITE_ROW)
        rc = span_equal(sqlite_column(check, 0), SPAN("ok")) ? SQLITE_OK : SQLITE_CORRUPT;
    sqlite3_finalize(check);
    return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static int copy_file(const struct sqlite_file *file, const char *path, struct buf *error)
{
    sqlite3 *from = NULL, *to = NULL;

    int rc = sqlite_connect(file->path, file->store->mode, &from, error);
    if (rc == 0)
        rc = sqlite_connect(path, MODE_MAKE, &to, error);
    if (rc == 0) {
        rc = begin_read(from);
        bool of_source = rc != SQLITE_OK;
        if (rc == SQLITE_OK) {
            rc = copy(from, to);
            of_source = rc == SQLITE_IOERR_READ || rc == SQLITE_IOERR_SHORT_READ;
        }
        if (rc == SQLITE_OK) /* the WAL may begin again while the copy is checked */
            rc = sqlite3_exec(from, "ROLLBACK", NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            rc = check(to);
        if (sqlite_is_damage(rc)) /* of the file, of which this is a copy */
            rc = sqlite_problem(error, file->path, NULL, rc);
        else if (rc != SQLITE_OK)
            rc =
                of_source ? sqlite_problem(error, file->path, from, rc) : sqlite_problem(error, path, to, rc);
    }
    sqlite3_close(from);
    sqlite3_close(to);
    return rc;
}

/* path with the name of a file of the store behind it; false when that is too long. */
static bool join(char out[PATH_MAX], const char *folder, const char *name)
{
    return (size_t)snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

/* SQLite's own files beside a database, too. */
static void remove_copies(const struct sqlite_store *store, const char *folder)
{
    static const char *const endings[] = {"", "-journal", "-wal", "-shm"};
    char path[PATH_MAX], name[64];

    for (unsigned i = 1; i <= store->n_files; i++) {
        for (size_t j = 0; j < sizeof endings / sizeof endings[0]; j++) {
            snprintf(name, sizeof name, "%s%s", sqlite_file_name(i, store->n_files), endings[j]);
            if (join(path, folder, name))
                (void)unlink(path);
        }
    }
    (void)rmdir(folder);
}

/* Into a folder of another name first, so that one of the right name is complete. */
static int back_up(const struct sqlite_store *store, const char *target, struct buf *error)
{
    char part[PATH_MAX], path[PATH_MAX];
    int rc = 0;

    if ((size_t)snprintf(part, sizeof part, "%s.part", target) >= sizeof part) {
        (void)!buf_printf(error, "%s: the path is too long", target);
        return -ENAMETOOLONG;
    }
    if (access(target, F_OK) == 0) {
        (void)!buf_printf(error, "%s: it is there already: choose a name that is free", target);
        return -EEXIST;
    }
    remove_copies(store, part); /* what a backup left that was cut off */
    if (mkdir(part, 0700)) {
        rc = -errno;
        (void)!buf_printf(error, "%s: it can't be made (%s)", part, strerror(-rc));
        return rc;
    }
    for (unsigned i = 0; rc == 0 && i < store->n_files; i++) {
        if (join(path, part, sqlite_file_name(i + 1, store->n_files)))
            rc = copy_file(&store->files[i], path, error);
        else
            rc = -ENAMETOOLONG;
    }
    if (rc == 0) {
        rc = sqlite_folder_sync(part);
        if (rc == 0 && rename(part, target))
            rc = -errno;
        if (rc == 0)
            rc = sqlite_folder_sync(target);
        if (rc)
            (void)!buf_printf(error, "%s: it can't be made (%s)", target, strerror(-rc));
    }
    if (rc)
        remove_copies(store, part);
    return rc;
}

static void run_backup(struct job *job)
{
    struct store_backup *backup = container_of(job, struct store_backup, job);
    const struct sqlite_store *store = container_of(backup->store, struct sqlite_store, store);
    struct buf error = {0};

    if (back_up(store, backup->path, &error)) {
        backup->result = STORE_FAILED;
        snprintf(backup->text, sizeof backup->text, "%.*s", (int)error.len,
                 error.len ? (char *)error.data : "");
    }
    buf_fini(&error);
}

static void backup_done(struct job *job)
{
    struct store_backup *backup = container_of(job, struct store_backup, job);
    backup->done(backup);
}

void sqlite_backup(struct store_backup *backup)
{
    backup->job.run = run_backup;
    backup->job.done = backup_done;
    job_start(backup->loop, &backup->job);
}
