/* The VFS of all our connections: SQLite's usual one, but for how it writes a WAL.
 *
 * SQLite writes each page of a transaction by two calls, its head and its content, and each makes the file longer.
 * The flush that follows is what a commit takes its time for, and the file system's part of that is twice as long when
 * the file's length has changed. So what is written is gathered here up to the flush, and the file is made longer in
 * steps, by zeros, behind what was written. A WAL with more in it than transactions is nothing new to SQLite, which
 * begins at its start again after a checkpoint: whatever is not a frame of the right salt and checksum ends it (file
 * format, §4.1).
 *
 * What is gathered is in the file before anybody may look for it: at synchronous=FULL the flush of a commit comes before
 * other connections are told of it (wal.c, walFrames), and this connection's own reads write it first. An error that
 * comes late is an error of the flush, and ends the transaction like one of the write. What was gathered for a transaction
 * that was rolled back is dropped (sqlite_drop_gathered): what is written outside of a transaction could meet what another
 * program has written there.
 *
 * With space reserved, a full disk shows first where SQLite makes the WAL's index longer, and it does that behind the flush:
 * then the transaction is reported as failed, and is in the file. So the index is made longer here, in front of it. */
#include "base/check.h"
#include "store/sqlite_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define GATHER_BYTES (64u * 1024u)

/* The file is made as long again, by so much at least and at most. */
#define RESERVE_LEAST (64 * 1024)
#define RESERVE_MOST (1024 * 1024)

/* The file's head, and a page's (file format, §4.1). */
#define WAL_HEAD 32
#define FRAME_HEAD 24

/* The index is in pieces of so many bytes, each for so many frames; the first has 34 fewer, and a head (wal.c). */
#define INDEX_PIECE 32768
#define INDEX_FRAMES 4096
#define INDEX_HEAD_FRAMES 34

struct wal_file {
    sqlite3_file base;
    sqlite3_file *real;     /* the usual VFS's, behind this struct */
    char *gathered;         /* owned; NULL: nothing was ever written */
    int len;                /* bytes that are to be written */
    sqlite3_int64 at;       /* where */
    sqlite3_int64 end;      /* of all that was written since the last flush */
    sqlite3_int64 reserved; /* what ends in front of this is not made longer for */
    sqlite3_file *main;     /* the data file's */
    const char *name;       /* lives as long as the connection */
    dev_t device;           /* which file it was when it was opened */
    ino_t inode;
    int page;   /* bytes of a page; 0: none was written */
    int pieces; /* of the index that are there */
};

static struct wal_file *wal_file(sqlite3_file *file)
{
    return container_of(file, struct wal_file, base);
}

/* ---- gathering ---- */

/* Writes what was gathered. SQLITE_OK or an error; it is not tried again. */
static int write_gathered(struct wal_file *file)
{
    int len = file->len;

    file->len = 0;
    return len ? file->real->pMethods->xWrite(file->real, file->gathered, len, file->at) : SQLITE_OK;
}

/* Makes the file longer, if what was written did. When there is no space for that, it stays as it is for a while. */
static void reserve(struct wal_file *file)
{
    static const char zeros[GATHER_BYTES];
    const sqlite3_io_methods *usual = file->real->pMethods;
    sqlite3_int64 size = 0;

    /* Another program may have written behind what is known here. */
    if (file->end <= file->reserved || usual->xFileSize(file->real, &size) != SQLITE_OK)
        return;
    file->reserved = size;
    if (file->end < size)
        return;
    sqlite3_int64 more = size < RESERVE_LEAST ? RESERVE_LEAST : size > RESERVE_MOST ? RESERVE_MOST : size;
    for (sqlite3_int64 at = size, to = size + more; at < to; at += GATHER_BYTES) {
        int len = to - at < (sqlite3_int64)GATHER_BYTES ? (int)(to - at) : (int)GATHER_BYTES;
        if (usual->xWrite(file->real, zeros, len, at) != SQLITE_OK) {
            (void)usual->xTruncate(file->real, size);
            more = RESERVE_LEAST;
            break;
        }
    }
    file->reserved += more;
}

/* Makes the index long enough for what was written. SQLITE_OK or an error. */
static int extend_index(struct wal_file *file)
{
    const sqlite3_io_methods *main = file->main ? file->main->pMethods : NULL;

    if (!main || main->iVersion < 2 || !main->xShmMap || file->page == 0 || file->end <= WAL_HEAD)
        return SQLITE_OK;
    sqlite3_int64 frames = (file->end - WAL_HEAD) / (FRAME_HEAD + file->page) + 1;
    int last = (int)((frames + INDEX_HEAD_FRAMES) / INDEX_FRAMES);
    for (void volatile *piece; file->pieces <= last; file->pieces++) {
        int rc = main->xShmMap(file->main, file->pieces, INDEX_PIECE, 1, &piece);
        if (rc)
            return rc == SQLITE_IOERR_SHMSIZE ? SQLITE_FULL : rc;
    }
    return SQLITE_OK;
}

/* ---- what SQLite calls ---- */

static int wal_write(sqlite3_file *base, const void *data, int len, sqlite3_int64 at)
{
    struct wal_file *file = wal_file(base);
    int rc = SQLITE_OK;

    if (at + len > file->end)
        file->end = at + len;
    if (len > WAL_HEAD)
        file->page = len;
    if (!file->gathered)
        file->gathered = malloc(GATHER_BYTES);
    if (file->len && (at != file->at + file->len || file->len + len > (int)GATHER_BYTES))
        rc = write_gathered(file);
    if (rc)
        return rc;
    if (!file->gathered || len > (int)GATHER_BYTES)
        return file->real->pMethods->xWrite(file->real, data, len, at);
    if (file->len == 0)
        file->at = at;
    memcpy(file->gathered + file->len, data, (size_t)len);
    file->len += len;
    return SQLITE_OK;
}

static int wal_sync(sqlite3_file *base, int flags)
{
    struct wal_file *file = wal_file(base);

    /* The last frame, which makes it a transaction, is not in the file yet, and may not get there when this fails. */
    int rc = extend_index(file);
    if (rc)
        file->len = 0;
    else
        rc = write_gathered(file);
    if (rc)
        return rc;
    reserve(file);
    file->end = 0;
    return file->real->pMethods->xSync(file->real, flags);
}

static int wal_read(sqlite3_file *base, void *data, int len, sqlite3_int64 at)
{
    struct wal_file *file = wal_file(base);
    int rc = write_gathered(file);
    return rc ? rc : file->real->pMethods->xRead(file->real, data, len, at);
}

static int wal_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct wal_file *file = wal_file(base);
    int rc = write_gathered(file);

    file->reserved = 0; /* it is asked again */
    return rc ? rc : file->real->pMethods->xTruncate(file->real, size);
}

static int wal_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct wal_file *file = wal_file(base);
    int rc = write_gathered(file);
    return rc ? rc : file->real->pMethods->xFileSize(file->real, size);
}

static int wal_close(sqlite3_file *base)
{
    struct wal_file *file = wal_file(base);

    free(file->gathered); /* all that was committed was flushed */
    return file->real->pMethods->xClose(file->real);
}

static int wal_lock(sqlite3_file *base, int level)
{
    struct wal_file *file = wal_file(base);
    return file->real->pMethods->xLock(file->real, level);
}

static int wal_unlock(sqlite3_file *base, int level)
{
    struct wal_file *file = wal_file(base);
    return file->real->pMethods->xUnlock(file->real, level);
}

static int wal_check_reserved_lock(sqlite3_file *base, int *locked)
{
    struct wal_file *file = wal_file(base);
    return file->real->pMethods->xCheckReservedLock(file->real, locked);
}

static int wal_control(sqlite3_file *base, int op, void *arg)
{
    struct wal_file *file = wal_file(base);
    return file->real->pMethods->xFileControl(file->real, op, arg);
}

static int wal_sector_size(sqlite3_file *base)
{
    struct wal_file *file = wal_file(base);
    return file->real->pMethods->xSectorSize(file->real);
}

static int wal_device(sqlite3_file *base)
{
    struct wal_file *file = wal_file(base);
    return file->real->pMethods->xDeviceCharacteristics(file->real);
}

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_check_reserved_lock,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector_size,
    .xDeviceCharacteristics = wal_device,
};

/* ---- the VFS ---- */

static sqlite3_vfs *usual_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/* All files but WALs are the usual VFS's own. */
static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags)
{
    sqlite3_vfs *usual = usual_of(vfs);

    if (!(flags & SQLITE_OPEN_WAL))
        return usual->xOpen(usual, name, base, flags, out_flags);
    struct wal_file *file = wal_file(base);
    *file = (struct wal_file){.real = (sqlite3_file *)(void *)(file + 1),
                              .main = name ? sqlite3_database_file_object(name) : NULL,
                              .name = name};
    struct stat info;
    int rc = usual->xOpen(usual, name, file->real, flags, out_flags);
    if (rc == SQLITE_OK && name && stat(name, &info) == 0) {
        file->device = info.st_dev;
        file->inode = info.st_ino;
    }
    if (file->real->pMethods) /* then it wants to be closed, even if it failed */
        file->base.pMethods = &wal_methods;
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    return usual_of(vfs)->xDelete(usual_of(vfs), name, sync_folder);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    return usual_of(vfs)->xAccess(usual_of(vfs), name, flags, out);
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    return usual_of(vfs)->xFullPathname(usual_of(vfs), name, size, out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    return usual_of(vfs)->xRandomness(usual_of(vfs), len, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    return usual_of(vfs)->xSleep(usual_of(vfs), microseconds);
}

static int vfs_current_time(sqlite3_vfs *vfs, double *julian_day)
{
    return usual_of(vfs)->xCurrentTime(usual_of(vfs), julian_day);
}

static int vfs_get_last_error(sqlite3_vfs *vfs, int len, char *out)
{
    return usual_of(vfs)->xGetLastError(usual_of(vfs), len, out);
}

static sqlite3_vfs the_vfs = {
    .iVersion = 1,
    .zName = "festa",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_pathname,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_current_time,
    .xGetLastError = vfs_get_last_error, /* nothing loads extensions: no xDlOpen */
};

static void register_vfs(void)
{
    sqlite3_vfs *usual = sqlite3_vfs_find(NULL);

    CHECK(usual);
    the_vfs.mxPathname = usual->mxPathname;
    the_vfs.szOsFile = (int)sizeof(struct wal_file) + usual->szOsFile;
    the_vfs.pAppData = usual;
    CHECK(sqlite3_vfs_register(&the_vfs, 0) == SQLITE_OK);
}

const char *sqlite_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    CHECK(pthread_once(&once, register_vfs) == 0);
    return the_vfs.zName;
}

/* The connection's WAL; NULL: it has none open. */
static struct wal_file *wal_of(sqlite3 *db)
{
    sqlite3_file *base = NULL;

    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &base) != SQLITE_OK || !base ||
        base->pMethods != &wal_methods)
        return NULL;
    return wal_file(base);
}

void sqlite_drop_gathered(sqlite3 *db)
{
    struct wal_file *file = wal_of(db);

    if (!file)
        return;
    file->len = 0;
    file->end = 0;
}

bool sqlite_wal_moved(sqlite3 *db)
{
    const struct wal_file *file = wal_of(db);
    struct stat info;

    return file && file->name &&
           (stat(file->name, &info) != 0 || info.st_dev != file->device || info.st_ino != file->inode);
}
