/* The driver of store.h for one machine: SQLite files in the data folder.
 *
 * A folder holds `data.sqlite`, or `data-1.sqlite` up to `data-N.sqlite` when it was made for N files: each room is in
 * one of them. Each file has a thread that writes and one that reads, so no loop waits for the disk. What was
 * submitted while the disk was busy is written together, in one transaction. A failed write fails what was
 * submitted with it, and the next ones are tried; but when the disk could not be flushed (fsync) the process is ended,
 * since nobody knows what is on the disk then. */
#pragma once

#include "base/buf.h"
#include "store/store.h"

#define STORE_FILES_MAX 64u

/* Opens the data folder, or makes it (its parent must be there) with so many files, 1 to STORE_FILES_MAX; one that
 * is there keeps its number of files. Takes the folder for this process, a command that soon ends by itself or a server,
 * which waits for 2 s for a command that has it. Waits for the disk. 0 or a negative errno; then error has one line that
 * says what to do. */
int store_open_sqlite(const char *folder, unsigned n_files, bool command, struct buf *error,
                      struct store **out) __attribute__((warn_unused_result));

/* How many files the store has. */
unsigned store_sqlite_files(const struct store *store);

/* Is there anything in the folder that looks like data of a store's? */
bool store_sqlite_has_data(const char *folder);

/* Opens one that can't be written, such as a backup on a read-only disk, without taking it: nobody may write to it
 * meanwhile. Only reads, searches and backups are possible. 0 or a negative errno, and says why, as above. */
int store_open_sqlite_to_read(const char *folder, struct buf *error, struct store **out)
    __attribute__((warn_unused_result));
