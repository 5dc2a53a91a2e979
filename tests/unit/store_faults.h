/* A disk that fails when a test wants it to: SQLite's usual VFS with a failure in it. Once registered it is the
 * default, so the store uses it without knowing. */
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* FAULT_INDEX: a WAL's index needs a second piece, or a later one. */
enum fault_op { FAULT_NONE, FAULT_OPEN, FAULT_READ, FAULT_WRITE, FAULT_SYNC, FAULT_INDEX };

/* The plan; a test changes it while nothing is under way, or under the gate. */
static struct {
    _Atomic int op;              /* what is to fail */
    _Atomic int files;           /* SQLITE_OPEN_WAL, SQLITE_OPEN_MAIN_DB: of these files; 0: of all */
    _Atomic int skip;            /* so many go well before */
    _Atomic int result;          /* SQLite's error */
    _Atomic int hits;            /* how often it has failed; once it does, all that follow fail too */
    _Atomic bool once;           /* but for this */
    _Atomic unsigned wal_writes; /* so far, failed ones too */
    /* Flushes of the WAL wait while it is shut. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut, waiting; /* under the lock */
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void faults_plan(enum fault_op op, int files, int skip, int result)
{
    faults.op = FAULT_NONE;
    faults.files = files;
    faults.skip = skip;
    faults.result = result;
    faults.hits = 0;
    faults.once = false;
    faults.op = (int)op;
}

/* What is planned fails once only. */
static inline void faults_once(void)
{
    faults.once = true;
}

static inline void faults_end(void)
{
    faults.op = FAULT_NONE;
}

/* From here on the writer waits in its next flush, so that what is submitted meanwhile is one group. */
static inline void faults_shut(void)
{
    pthread_mutex_lock(&faults.lock);
    faults.shut = true;
    pthread_mutex_unlock(&faults.lock);
}

/* Until the writer waits. */
static inline void faults_await(void)
{
    pthread_mutex_lock(&faults.lock);
    while (!faults.waiting)
        pthread_cond_wait(&faults.changed, &faults.lock);
    pthread_mutex_unlock(&faults.lock);
}

static inline void faults_open(void)
{
    pthread_mutex_lock(&faults.lock);
    faults.shut = false;
    pthread_cond_broadcast(&faults.changed);
    pthread_mutex_unlock(&faults.lock);
}

/* SQLITE_OK, or the error that the plan has for this. */
static inline int faults_meet(enum fault_op op, int files)
{
    if (faults.op != (int)op || (faults.files && !(files & faults.files)))
        return SQLITE_OK;
    if (atomic_fetch_sub(&faults.skip, 1) > 0)
        return SQLITE_OK;
    faults.skip = 0;
    faults.hits++;
    if (faults.once)
        faults.op = FAULT_NONE;
    return faults.result;
}

static inline void faults_pass_gate(void)
{
    pthread_mutex_lock(&faults.lock);
    faults.waiting = faults.shut;
    pthread_cond_broadcast(&faults.changed);
    while (faults.shut)
        pthread_cond_wait(&faults.changed, &faults.lock);
    faults.waiting = false;
    pthread_mutex_unlock(&faults.lock);
}

/* ---- files ---- */

struct faults_file {
    sqlite3_file base;
    int flags;
    sqlite3_file *real; /* behind this struct */
};

static inline sqlite3_file *faults_real(sqlite3_file *file)
{
    return ((struct faults_file *)(void *)file)->real;
}

static inline int faults_flags(sqlite3_file *file)
{
    return ((struct faults_file *)(void *)file)->flags;
}

static inline int faults_close(sqlite3_file *file)
{
    return faults_real(file)->pMethods->xClose(faults_real(file));
}

static inline int faults_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
    int rc = faults_meet(FAULT_READ, faults_flags(file));
    return rc ? rc : faults_real(file)->pMethods->xRead(faults_real(file), data, len, at);
}

static inline int faults_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    if (faults_flags(file) & SQLITE_OPEN_WAL)
        faults.wal_writes++;
    int rc = faults_meet(FAULT_WRITE, faults_flags(file));
    return rc ? rc : faults_real(file)->pMethods->xWrite(faults_real(file), data, len, at);
}

static inline int faults_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return faults_real(file)->pMethods->xTruncate(faults_real(file), size);
}

static inline int faults_sync(sqlite3_file *file, int flags)
{
    int rc = faults_meet(FAULT_SYNC, faults_flags(file));
    if (faults_flags(file) & SQLITE_OPEN_WAL)
        faults_pass_gate();
    return rc ? rc : faults_real(file)->pMethods->xSync(faults_real(file), flags);
}

static inline int faults_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return faults_real(file)->pMethods->xFileSize(faults_real(file), size);
}

static inline int faults_lock(sqlite3_file *file, int level)
{
    return faults_real(file)->pMethods->xLock(faults_real(file), level);
}

static inline int faults_unlock(sqlite3_file *file, int level)
{
    return faults_real(file)->pMethods->xUnlock(faults_real(file), level);
}

static inline int faults_reserved(sqlite3_file *file, int *out)
{
    return faults_real(file)->pMethods->xCheckReservedLock(faults_real(file), out);
}

static inline int faults_control(sqlite3_file *file, int op, void *arg)
{
    return faults_real(file)->pMethods->xFileControl(faults_real(file), op, arg);
}

static inline int faults_sector(sqlite3_file *file)
{
    return faults_real(file)->pMethods->xSectorSize(faults_real(file));
}

static inline int faults_device(sqlite3_file *file)
{
    return faults_real(file)->pMethods->xDeviceCharacteristics(faults_real(file));
}

static inline int faults_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    int rc = region > 0 ? faults_meet(FAULT_INDEX, faults_flags(file)) : SQLITE_OK;
    return rc ? rc : faults_real(file)->pMethods->xShmMap(faults_real(file), region, size, extend, out);
}

static inline int faults_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return faults_real(file)->pMethods->xShmLock(faults_real(file), offset, n, flags);
}

static inline void faults_shm_barrier(sqlite3_file *file)
{
    faults_real(file)->pMethods->xShmBarrier(faults_real(file));
}

static inline int faults_shm_unmap(sqlite3_file *file, int remove)
{
    return faults_real(file)->pMethods->xShmUnmap(faults_real(file), remove);
}

static const sqlite3_io_methods faults_methods = {
    .iVersion = 2,
    .xClose = faults_close,
    .xRead = faults_read,
    .xWrite = faults_write,
    .xTruncate = faults_truncate,
    .xSync = faults_sync,
    .xFileSize = faults_size,
    .xLock = faults_lock,
    .xUnlock = faults_unlock,
    .xCheckReservedLock = faults_reserved,
    .xFileControl = faults_control,
    .xSectorSize = faults_sector,
    .xDeviceCharacteristics = faults_device,
    .xShmMap = faults_shm_map,
    .xShmLock = faults_shm_lock,
    .xShmBarrier = faults_shm_barrier,
    .xShmUnmap = faults_shm_unmap,
};

/* ---- the VFS ---- */

static inline int faults_open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                                   int *out_flags)
{
    sqlite3_vfs *usual = vfs->pAppData;
    struct faults_file *mine = (struct faults_file *)(void *)file;

    *mine = (struct faults_file){.flags = flags, .real = (sqlite3_file *)(void *)(mine + 1)};
    int rc = faults_meet(FAULT_OPEN, flags);
    if (rc)
        return rc;
    rc = usual->xOpen(usual, name, mine->real, flags, out_flags);
    if (mine->real->pMethods)
        file->pMethods = &faults_methods;
    return rc;
}

static inline void faults_register(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *usual = sqlite3_vfs_find(NULL);

    assert_non_null(usual);
    vfs = *usual;
    vfs.zName = "faults";
    vfs.pAppData = usual;
    vfs.szOsFile = (int)sizeof(struct faults_file) + usual->szOsFile;
    vfs.pNext = NULL;
    vfs.xOpen = faults_open_file;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}
