/* What the files of the SQLite driver share. sqlite.c is the driver; a data file is struct sqlite_file, with a writer
 * (sqlite_writer.c, sqlite_apply.c) and a reader (sqlite_reader.c, sqlite_search.c). */
#pragma once

#include "store/driver.h"
#include "store/sqlite.h"
#include "store/thread.h"

#include <sqlite3.h>

struct sqlite_file;

/* ---- sqlite_folder.c: the folder and its lock ---- */

/* Makes the folder if it is missing, and takes it for this process, as store_open_sqlite does. Returns the descriptor that holds the lock, or a
 * negative errno and says why. */
int sqlite_folder_open(const char *folder, bool command, struct buf *error);

/* Makes what was created in the folder, and the folder itself, last. 0 or a negative errno. */
int sqlite_folder_sync(const char *folder);

/* Whether the folder has a file of this name. */
bool sqlite_folder_has(const char *folder, const char *name);

/* Whether all data files are there that have something in their WAL: SQLite takes one that is missing or empty for a new
 * one, and deletes the WAL. To be asked before any is opened. 0, or -ENOENT and says which one is to be put back. */
int sqlite_folder_check(const char *folder, struct buf *error);

/* ---- sqlite_error.c: what SQLite says, in words ---- */

/* Texts that stay: what is wrong, and what to do about it ("" where nobody knows). */
const char *sqlite_text(int rc);
const char *sqlite_advice(int rc);

/* Is it that the file does not hold what it should? */
bool sqlite_is_damage(int rc);

/* Says in error that the file can't be used, and what to do; returns a negative errno. db may be NULL. */
int sqlite_problem(struct buf *error, const char *path, sqlite3 *db, int rc);

/* Ends the process when it was fsync that failed: what is on the disk then nobody knows. */
void sqlite_check_flush(const char *path, int rc);
/* The same for what a COMMIT has returned, and when it failed behind the flush, where SQLite enters the transaction into the
 * WAL's index: it would be said to have failed, and be there after a crash. */
void sqlite_check_commit(const char *path, int rc);

/* ---- sqlite_vfs.c: how files are written ---- */

/* The name of the VFS that all connections have; it stays. Registered with the first call, over what is SQLite's default
 * then. */
const char *sqlite_vfs(void);

/* After a transaction of the connection was rolled back, by itself too: what was to be written for it never is. */
void sqlite_drop_gathered(sqlite3 *db);

/* Does the name of the connection's WAL lead elsewhere, or nowhere, since it was opened? */
bool sqlite_wal_moved(sqlite3 *db);

/* ---- sqlite_schema.c: opening a file, and its tables ---- */

enum sqlite_mode {
    MODE_READ, /* a file that nobody writes, in a folder that can't be written: without a lock or shared memory */
    MODE_WRITE, /* one that is there */
    MODE_MAKE,  /* the same, and makes one that is missing */
};

/* Opens it with the settings that all connections have. 0 or a negative errno, and says why. */
int sqlite_connect(const char *path, enum sqlite_mode mode, sqlite3 **db, struct buf *error);

/* A step from one version of the tables to the next, each in a transaction. */
int sqlite_migrate(sqlite3 *db, const char *path, const char *const *steps, unsigned n_steps,
                   struct buf *error);

/* Brings the file up to this version; a new one becomes number `number` of n_files. One that is only read has to be so
 * far. 0 or a negative errno, and says why. */
int sqlite_schema(sqlite3 *db, const char *path, unsigned number, unsigned n_files, struct buf *error);

/* 0 when no room is in the file, or a negative errno and says that there are files missing beside it. */
int sqlite_check_empty(sqlite3 *db, const char *path, struct buf *error);

/* How many files the folder was made for, as this one has it; 0: it is new. Negative errno and says why. */
int sqlite_count_files(const char *path, enum sqlite_mode mode, struct buf *error);

/* ---- sqlite_statement.c: prepared statements ---- */

/* Prepares n of them. 0 or SQLite's error; what was prepared is there for sqlite_finalize. */
int sqlite_prepare(sqlite3 *db, const char *const *sql, unsigned n, sqlite3_stmt **statements);
void sqlite_finalize(sqlite3_stmt **statements, unsigned n);

void sqlite_bind_text(sqlite3_stmt *statement, int index, struct span text);
void sqlite_bind_blob(sqlite3_stmt *statement, int index, struct span bytes);
/* The bytes of a column, until the next step. */
struct span sqlite_column(sqlite3_stmt *statement, int index);
/* Runs one of which no row is wanted, and resets it. SQLITE_OK or an error. */
int sqlite_run(sqlite3_stmt *statement);

/* ---- the writer ---- */

enum sqlite_writer_statement {
    WRITE_BEGIN,
    WRITE_COMMIT,
    WRITE_ROLLBACK,
    WRITE_ROOM_FIND,
    WRITE_ROOM_ADD,
    WRITE_ROOM_TIDY,
    WRITE_PUT,
    WRITE_LARGE_FIND,
    WRITE_LARGE_ADD,
    WRITE_LARGE_CHANGE,
    WRITE_PUT_LARGE,
    WRITE_DELETE,
    WRITE_CLEAR,
    WRITE_ALARM,
    WRITE_SELF,
    WRITE_SELF_DELETE,
    WRITE_STATEMENTS
};

struct sqlite_writer {
    struct store_thread thread;
    bool runs;
    sqlite3 *db;
    sqlite3_stmt *statements[WRITE_STATEMENTS];
    uint64_t rollbacks;     /* rows that rooms know are of before the next one */
    int wal_frames;         /* pages in the WAL after the last commit */
    int checkpoint_at;      /* wal_frames at which they are to be copied into the file */
    bool wal_new;           /* some of them were not yet */
    int failing;            /* SQLite's error that was logged last, until something is kept again */
    int checkpoint_failing; /* the same for checkpoints */
};

/* What a loop's rooms submit to a file in one turn: it is handed over at the turn's end, so that it is written together
 * and the writer is woken once. Made for a loop's first room, kept until the store is closed. */
struct sqlite_lane {
    struct list link; /* in the file's lanes */
    struct sqlite_file *file;
    struct loop *loop;
    struct soon soon;
    struct list batches;
};

/* A room that is open. */
struct sqlite_room {
    struct store_room room;
    struct sqlite_lane *lane;
    /* The writer's: */
    int64_t row;        /* 0: it has none */
    uint64_t row_as_of; /* writer's rollbacks when that was so; else row is not known */
    bool failed;        /* a batch of it was not kept, so none behind it is */
    /* Of both sides, and constant: */
    struct span party, id; /* in names */
    char names[];
};

/* 0 or a negative errno, and says why. */
int sqlite_writer_open(struct sqlite_file *file, struct buf *error);
/* Keeps what waits, and ends. Accepts one that was not opened. */
void sqlite_writer_close(struct sqlite_file *file);

/* sqlite_apply.c: what a batch wants, inside of a transaction. SQLITE_OK or an error. */
int sqlite_apply(struct sqlite_writer *writer, const struct store_batch *batch);
/* The statements, in their order. */
extern const char *const sqlite_write_sql[WRITE_STATEMENTS];

/* ---- the reader ---- */

enum sqlite_reader_statement {
    READ_BEGIN,
    READ_COMMIT,
    READ_ROOM,
    READ_GET,
    READ_LIST,
    READ_LIST_REVERSE,
    READ_LIST_UNTIL,
    READ_LIST_UNTIL_REVERSE,
    READ_ANY,
    READ_SELF,
    READ_ALARMS,
    READ_ROOMS,
    READ_USAGE,
    READ_STATEMENTS
};

struct sqlite_reader {
    struct store_thread thread;
    bool runs;
    sqlite3 *db;
    sqlite3_stmt *statements[READ_STATEMENTS];
};

int sqlite_reader_open(struct sqlite_file *file, struct buf *error);
void sqlite_reader_close(struct sqlite_file *file);

/* On a loop: hands a read, or a search, to its first reader. */
void sqlite_read(struct store_read *read);
void sqlite_search(struct store_search *search);

/* ---- sqlite_backup.c ---- */

void sqlite_backup(struct store_backup *backup);

/* ---- the store ---- */

struct sqlite_file {
    struct sqlite_store *store;
    char *path; /* owned */
    struct sqlite_writer writer;
    struct sqlite_reader reader;
    struct list lanes; /* under the store's lanes_lock */
};

struct sqlite_store {
    struct store store;
    char *folder;          /* owned */
    int lock;              /* descriptor; -1: none */
    enum sqlite_mode mode; /* MODE_READ: it has no writers; else MODE_WRITE */
    pthread_mutex_t lanes_lock;
    unsigned n_files;
    struct sqlite_file files[];
};

/* "data.sqlite", or "data-2.sqlite": the name of file number 1 to n. Valid until the next call on this thread. */
const char *sqlite_file_name(unsigned number, unsigned n);
