/* Prepared statements, as the writer and the reader use them. */
#include "store/sqlite_private.h"

int sqlite_prepare(sqlite3 *db, const char *const *sql, unsigned n, sqlite3_stmt **statements)
{
    for (unsigned i = 0; i < n; i++) {
        int rc = sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL);
        if (rc)
            return rc;
    }
    return SQLITE_OK;
}

void sqlite_finalize(sqlite3_stmt **statements, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

/* One that fails, as only bytes can that are too many, leaves NULL: no key is that, and no column takes it. */
void sqlite_bind_text(sqlite3_stmt *statement, int index, struct span text)
{
    (void)sqlite3_bind_text64(statement, index, text.ptr ? text.ptr : "", text.len, SQLITE_STATIC,
                              SQLITE_UTF8);
}

void sqlite_bind_blob(sqlite3_stmt *statement, int index, struct span bytes)
{
    (void)sqlite3_bind_blob64(statement, index, bytes.ptr ? bytes.ptr : "", bytes.len, SQLITE_STATIC);
}

struct span sqlite_column(sqlite3_stmt *statement, int index)
{
    /* The pointer first, as SQLite wants it. */
    const char *ptr = sqlite3_column_blob(statement, index);
    return (struct span){ptr, (size_t)sqlite3_column_bytes(statement, index)};
}

int sqlite_run(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}
