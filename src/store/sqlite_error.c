/* What SQLite's errors mean for those who run a server. */
#include "base/log.h"
#include "store/sqlite_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

const char *sqlite_text(int rc)
{
    if (rc == SQLITE_READONLY_DBMOVED)
        return "the data file was moved or deleted while the server runs";
    switch (rc & 0xff) {
    case SQLITE_FULL: return "the disk is full";
    case SQLITE_IOERR: return "the disk reports an error";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return "the data file is damaged";
    case SQLITE_READONLY:
    case SQLITE_PERM: return "the data file can't be written to";
    case SQLITE_CANTOPEN: return "the data file can't be opened";
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "another program has locked the data file";
    case SQLITE_NOMEM: return "there is no memory";
    default: return sqlite3_errstr(rc);
    }
}

const char *sqlite_advice(int rc)
{
    if (rc == SQLITE_READONLY_DBMOVED)
        return "put it back, or end the server and start it again: it begins with what the folder has then";
    switch (rc & 0xff) {
    case SQLITE_FULL: return "free some space";
    case SQLITE_NOTADB: return "put back a backup, or move the file away if it is none of Festa's";
    case SQLITE_CORRUPT: return "put back a backup, or save what `sqlite3 FILE .recover` can read";
    case SQLITE_READONLY:
    case SQLITE_PERM: return "make it writable for the user that runs the server";
    case SQLITE_CANTOPEN: return "check who may open it; one that is lost comes back from a backup";
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "end the program that uses it";
    case SQLITE_IOERR: return "check the disk";
    default: return "";
    }
}

bool sqlite_is_damage(int rc)
{
    return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

static int errno_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL: return -ENOSPC;
    case SQLITE_READONLY:
    case SQLITE_PERM: return -EACCES;
    case SQLITE_CANTOPEN: return -ENOENT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return -EBUSY;
    case SQLITE_NOMEM: return -ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return -EBADMSG;
    default: return -EIO;
    }
}

int sqlite_problem(struct buf *error, const char *path, sqlite3 *db, int rc)
{
    const char *what = sqlite_advice(rc);
    int cause = db ? sqlite3_system_errno(db) : 0;

    (void)!buf_printf(error, "%s: %s", path, sqlite_text(rc));
    if (cause && (rc & 0xff) != SQLITE_FULL)
        (void)!buf_printf(error, " (%s)", strerror(cause));
    if (*what)
        (void)!buf_printf(error, ": %s", what);
    return errno_of(rc);
}

static _Noreturn void end_process(const char *why, const char *path, int rc)
{
    log_event(LOG_ERROR, why, log_str("file", path), log_str("error", sqlite3_errstr(rc)));
    log_fini(); /* waits for a second at most */
    _exit(1);
}

void sqlite_check_flush(const char *path, int rc)
{
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
        end_process("the disk could not be flushed, so it is unknown what it holds: the server ends", path,
                    rc);
}

void sqlite_check_commit(const char *path, int rc)
{
    sqlite_check_flush(path, rc);
    if (rc == SQLITE_IOERR_SHMSIZE || rc == SQLITE_IOERR_SHMMAP || (rc & 0xff) == SQLITE_NOMEM)
        end_process("a write failed when it may have been on the disk already: the server ends", path, rc);
}
