/* A batch's operations, inside of the transaction that sqlite_writer.c has begun. On the writer's thread. */
#include "base/check.h"
#include "store/sqlite_private.h"

/* An entry of more bytes has its value in a table of its own (sqlite_schema.c). A page holds six of these, so the tree
 * of many is not deep. */
#define SMALL_ENTRY 600u

static const char tidy_sql[] = "DELETE FROM room WHERE id = ?1 AND alarm IS NULL"
                               " AND NOT EXISTS (SELECT 1 FROM self WHERE room = ?1)"
                               " AND NOT EXISTS (SELECT 1 FROM entry WHERE room = ?1)";
static const char put_sql[] = "INSERT INTO entry(room, key, value) VALUES(?1, ?2, ?3)"
                              " ON CONFLICT(room, key) DO UPDATE SET value = excluded.value, large = NULL";
static const char put_large_sql[] =
    "INSERT INTO entry(room, key, value, large) VALUES(?1, ?2, x'', ?3)"
    " ON CONFLICT(room, key) DO UPDATE SET value = x'', large = excluded.large";
static const char self_sql[] = "INSERT INTO self(room, value) VALUES(?1, ?2)"
                               " ON CONFLICT(room) DO UPDATE SET value = excluded.value";

const char *const sqlite_write_sql[WRITE_STATEMENTS] = {
    [WRITE_BEGIN] = "BEGIN IMMEDIATE",
    [WRITE_COMMIT] = "COMMIT",
    [WRITE_ROLLBACK] = "ROLLBACK",
    [WRITE_ROOM_FIND] = "SELECT id FROM room WHERE party = ?1 AND name = ?2",
    [WRITE_ROOM_ADD] = "INSERT INTO room(party, name) VALUES(?1, ?2)",
    [WRITE_ROOM_TIDY] = tidy_sql,
    [WRITE_PUT] = put_sql,
    [WRITE_LARGE_FIND] = "SELECT large FROM entry WHERE room = ?1 AND key = ?2",
    [WRITE_LARGE_ADD] = "INSERT INTO large_value(value) VALUES(?1)",
    [WRITE_LARGE_CHANGE] = "UPDATE large_value SET value = ?2 WHERE id = ?1",
    [WRITE_PUT_LARGE] = put_large_sql,
    [WRITE_DELETE] = "DELETE FROM entry WHERE room = ?1 AND key = ?2",
    [WRITE_CLEAR] = "DELETE FROM entry WHERE room = ?1",
    [WRITE_ALARM] = "UPDATE room SET alarm = ?2, attempt = ?3 WHERE id = ?1",
    [WRITE_SELF] = self_sql,
    [WRITE_SELF_DELETE] = "DELETE FROM self WHERE room = ?1",
};

static void know_row(struct sqlite_writer *writer, struct sqlite_room *room, int64_t row)
{
    room->row = row;
    room->row_as_of = writer->rollbacks;
}

/* The room's row, as room->row from here on. */
static int find_row(struct sqlite_writer *writer, struct sqlite_room *room)
{
    sqlite3_stmt *find = writer->statements[WRITE_ROOM_FIND];

    if (room->row_as_of == writer->rollbacks)
        return SQLITE_OK;
    sqlite_bind_text(find, 1, room->party);
    sqlite_bind_text(find, 2, room->id);
    int rc = sqlite3_step(find);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        know_row(writer, room, rc == SQLITE_ROW ? sqlite3_column_int64(find, 0) : 0);
        rc = SQLITE_OK;
    }
    (void)sqlite3_reset(find);
    return rc;
}

static int make_row(struct sqlite_writer *writer, struct sqlite_room *room)
{
    sqlite3_stmt *insert = writer->statements[WRITE_ROOM_ADD];

    if (room->row)
        return SQLITE_OK;
    sqlite_bind_text(insert, 1, room->party);
    sqlite_bind_text(insert, 2, room->id);
    int rc = sqlite_run(insert);
    if (rc == SQLITE_OK)
        know_row(writer, room, sqlite3_last_insert_rowid(writer->db));
    return rc;
}

/* The row goes when nothing of the room is left. */
static int tidy_row(struct sqlite_writer *writer, struct sqlite_room *room)
{
    sqlite3_stmt *tidy = writer->statements[WRITE_ROOM_TIDY];

    (void)sqlite3_bind_int64(tidy, 1, room->row);
    int rc = sqlite_run(tidy);
    if (rc == SQLITE_OK && sqlite3_changes(writer->db))
        know_row(writer, room, 0);
    return rc;
}

/* What only takes away; adds is false for it. */
static bool adds(const struct store_op *op)
{
    switch (op->kind) {
    case STORE_OP_PUT: return true;
    case STORE_OP_ALARM: return op->time != 0;
    case STORE_OP_SELF: return op->value.len > 0;
    case STORE_OP_DELETE:
    case STORE_OP_CLEAR: return false;
    }
    return false;
}

static sqlite3_stmt *bind_op(struct sqlite_writer *writer, const struct store_op *op)
{
    sqlite3_stmt *const *statements = writer->statements, *statement;

    switch (op->kind) {
    case STORE_OP_PUT:
        statement = statements[WRITE_PUT];
        sqlite_bind_blob(statement, 2, op->key);
        sqlite_bind_blob(statement, 3, op->value);
        return statement;
    case STORE_OP_DELETE:
        statement = statements[WRITE_DELETE];
        sqlite_bind_blob(statement, 2, op->key);
        return statement;
    case STORE_OP_CLEAR: return statements[WRITE_CLEAR];
    case STORE_OP_ALARM:
        statement = statements[WRITE_ALARM];
        if (op->time)
            (void)sqlite3_bind_int64(statement, 2, op->time);
        else
            (void)sqlite3_bind_null(statement, 2);
        (void)sqlite3_bind_int64(statement, 3, op->time ? op->attempt : 0);
        return statement;
    case STORE_OP_SELF:
        if (op->value.len == 0)
            return statements[WRITE_SELF_DELETE];
        statement = statements[WRITE_SELF];
        sqlite_bind_blob(statement, 2, op->value);
        return statement;
    }
    check_failed(__FILE__, __LINE__, "an operation is of a kind that there is");
}

/* A large value that is there already is changed where it is. */
static int put_large(struct sqlite_writer *writer, int64_t row, const struct store_op *op)
{
    sqlite3_stmt *find = writer->statements[WRITE_LARGE_FIND], *put = writer->statements[WRITE_PUT_LARGE];
    sqlite3_stmt *value = writer->statements[WRITE_LARGE_ADD];
    int64_t large = 0;

    (void)sqlite3_bind_int64(find, 1, row);
    sqlite_bind_blob(find, 2, op->key);
    int rc = sqlite3_step(find);
    if (rc == SQLITE_ROW)
        large = sqlite3_column_int64(find, 0); /* 0: NULL, it was small */
    (void)sqlite3_reset(find);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return rc;
    if (large) {
        value = writer->statements[WRITE_LARGE_CHANGE];
        (void)sqlite3_bind_int64(value, 1, large);
        sqlite_bind_blob(value, 2, op->value);
        return sqlite_run(value);
    }
    sqlite_bind_blob(value, 1, op->value);
    rc = sqlite_run(value);
    if (rc)
        return rc;
    (void)sqlite3_bind_int64(put, 1, row);
    sqlite_bind_blob(put, 2, op->key);
    (void)sqlite3_bind_int64(put, 3, sqlite3_last_insert_rowid(writer->db));
    return sqlite_run(put);
}

static int run_op(struct sqlite_writer *writer, int64_t row, const struct store_op *op)
{
    if (op->kind == STORE_OP_PUT && op->key.len + op->value.len > SMALL_ENTRY)
        return put_large(writer, row, op);
    sqlite3_stmt *statement = bind_op(writer, op);
    (void)sqlite3_bind_int64(statement, 1, row);
    return sqlite_run(statement);
}

int sqlite_apply(struct sqlite_writer *writer, const struct store_batch *batch)
{
    struct sqlite_room *room = container_of(batch->room, struct sqlite_room, room);
    struct span rest = {(const char *)batch->ops.data, batch->ops.len};
    struct store_op op;
    bool took = false;

    int rc = find_row(writer, room);
    while (rc == SQLITE_OK && store_next_op(&rest, &op)) {
        if (adds(&op))
            rc = make_row(writer, room);
        else
            took = true;
        if (rc == SQLITE_OK && room->row)
            rc = run_op(writer, room->row, &op);
    }
    if (rc == SQLITE_OK && took && room->row)
        rc = tidy_row(writer, room);
    return rc;
}
