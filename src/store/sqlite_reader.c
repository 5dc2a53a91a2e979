/* The reader of a data file: answers reads and searches, one after the other, on a thread and a connection of its own,
 * beside the writer. It sees what is durable: SQLite shows a commit to others when it has been flushed. */
#include "base/check.h"
#include "store/sqlite_private.h"

#include <string.h>

#define VALUE                                                                                                \
    "CASE WHEN large IS NULL THEN value ELSE (SELECT l.value FROM large_value l WHERE l.id = entry.large) "  \
    "END"
#define ENTRIES "SELECT key, " VALUE " FROM entry WHERE room = ?1 AND key >= ?2"
#define ROOMS "SELECT party, name, alarm, attempt FROM room"

static const char get_sql[] = "SELECT " VALUE " FROM entry WHERE room = ?1 AND key = ?2";
static const char list_sql[] = ENTRIES " ORDER BY key";
static const char list_reverse_sql[] = ENTRIES " ORDER BY key DESC";
static const char list_until_sql[] = ENTRIES " AND key < ?3 ORDER BY key";
static const char list_until_reverse_sql[] = ENTRIES " AND key < ?3 ORDER BY key DESC";
/* By the index of rooms with an alarm, which holds them in this order. */
static const char alarms_sql[] = ROOMS " WHERE alarm IS NOT NULL AND alarm <= ?1"
                                       " AND (alarm, party, name) > (?2, ?3, ?4) ORDER BY alarm, party, name";
static const char usage_sql[] =
    "SELECT party, name, alarm, attempt, (SELECT count(*) FROM entry WHERE room = room.id),"
    " (SELECT sum(length(key) + length(value) + coalesce((SELECT length(l.value) FROM large_value l"
    " WHERE l.id = entry.large), 0)) FROM entry WHERE room = room.id)"
    " FROM room WHERE (party, name) >= (?1, ?2) ORDER BY party, name";
static const char rooms_sql[] = ROOMS " WHERE party = ?1 AND name >= ?2 ORDER BY name";

static const char *const read_sql[READ_STATEMENTS] = {
    [READ_BEGIN] = "BEGIN",
    [READ_COMMIT] = "COMMIT",
    [READ_ROOM] = "SELECT id, alarm, attempt FROM room WHERE party = ?1 AND name = ?2",
    [READ_GET] = get_sql,
    [READ_LIST] = list_sql,
    [READ_LIST_REVERSE] = list_reverse_sql,
    [READ_LIST_UNTIL] = list_until_sql,
    [READ_LIST_UNTIL_REVERSE] = list_until_reverse_sql,
    [READ_ANY] = "SELECT 1 FROM entry WHERE room = ?1 LIMIT 1",
    [READ_SELF] = "SELECT value FROM self WHERE room = ?1",
    [READ_ALARMS] = alarms_sql,
    [READ_ROOMS] = rooms_sql,
    [READ_USAGE] = usage_sql,
};

/* ---- what a read asks for ---- */

/* The room's row and alarm; SQLITE_DONE when it has none. */
static int find_room(struct sqlite_reader *reader, struct store_read *read, int64_t *row)
{
    const struct sqlite_room *room = container_of(read->room, struct sqlite_room, room);
    sqlite3_stmt *find = reader->statements[READ_ROOM];

    sqlite_bind_text(find, 1, room->party);
    sqlite_bind_text(find, 2, room->id);
    int rc = sqlite3_step(find);
    if (rc == SQLITE_ROW) {
        *row = sqlite3_column_int64(find, 0);
        if (read->kind == STORE_HEAD) {
            read->alarm = sqlite3_column_int64(find, 1);
            read->attempt = (uint32_t)sqlite3_column_int64(find, 2);
        }
    }
    (void)sqlite3_reset(find);
    return rc;
}

/* value: the column of it. */
static int add_entry(struct store_read *read, struct span key, sqlite3_stmt *statement, int value)
{
    size_t before = read->entries.len;

    if (sqlite3_column_type(statement, value) == SQLITE_NULL)
        return SQLITE_CORRUPT; /* a large value that is not there */
    if (store_put_bytes(&read->entries, key) ||
        store_put_bytes(&read->entries, sqlite_column(statement, value))) {
        read->entries.len = before;
        return SQLITE_NOMEM;
    }
    read->n_entries++;
    return SQLITE_OK;
}

static int get(struct sqlite_reader *reader, struct store_read *read, int64_t row)
{
    sqlite3_stmt *find = reader->statements[READ_GET];
    struct span rest = {(const char *)read->keys.data, read->keys.len}, key;
    int rc = SQLITE_OK;

    for (; rc == SQLITE_OK && store_next_bytes(&rest, &key); read->n_keys++) {
        if (read->entries.len >= STORE_PAGE) {
            read->more = true;
            break;
        }
        (void)sqlite3_bind_int64(find, 1, row);
        sqlite_bind_blob(find, 2, key);
        rc = sqlite3_step(find);
        if (rc == SQLITE_ROW)
            rc = add_entry(read, key, find, 0);
        else if (rc == SQLITE_DONE)
            rc = SQLITE_OK;
        (void)sqlite3_reset(find);
    }
    return rc;
}

static int list(struct sqlite_reader *reader, struct store_read *read, int64_t row)
{
    enum sqlite_reader_statement which = read->finish.ptr
                                             ? (read->reverse ? READ_LIST_UNTIL_REVERSE : READ_LIST_UNTIL)
                                             : (read->reverse ? READ_LIST_REVERSE : READ_LIST);
    sqlite3_stmt *walk = reader->statements[which];
    int rc;

    (void)sqlite3_bind_int64(walk, 1, row);
    sqlite_bind_blob(walk, 2, read->start);
    if (read->finish.ptr)
        sqlite_bind_blob(walk, 3, read->finish);
    while ((rc = sqlite3_step(walk)) == SQLITE_ROW) {
        if ((read->limit && read->n_entries == read->limit) || read->entries.len >= STORE_PAGE) {
            read->more = true;
            break;
        }
        rc = add_entry(read, sqlite_column(walk, 0), walk, 1);
        if (rc)
            break;
    }
    (void)sqlite3_reset(walk);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int head(struct sqlite_reader *reader, struct store_read *read, int64_t row)
{
    sqlite3_stmt *any = reader->statements[READ_ANY], *self = reader->statements[READ_SELF];

    (void)sqlite3_bind_int64(any, 1, row);
    int rc = sqlite3_step(any);
    read->empty = rc != SQLITE_ROW;
    (void)sqlite3_reset(any);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return rc;
    (void)sqlite3_bind_int64(self, 1, row);
    rc = sqlite3_step(self);
    if (rc == SQLITE_ROW) {
        rc = store_put_bytes(&read->entries, sqlite_column(self, 0)) ? SQLITE_NOMEM : SQLITE_OK;
        read->n_entries = rc == SQLITE_OK;
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_OK;
    }
    (void)sqlite3_reset(self);
    return rc;
}

static int answer(struct sqlite_reader *reader, struct store_read *read)
{
    int64_t row;

    int rc = find_room(reader, read, &row);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
    switch (read->kind) {
    case STORE_GET: return get(reader, read, row);
    case STORE_LIST: return list(reader, read, row);
    case STORE_HEAD: return head(reader, read, row);
    }
    check_failed(__FILE__, __LINE__, "a read is of a kind that there is");
}

/* All of a read in one transaction, so that it sees one moment. */
static void run_read(struct store_request *request, void *driver)
{
    struct store_read *read = container_of(request, struct store_read, request);
    struct sqlite_file *file = driver;

    int rc = sqlite_run(file->reader.statements[READ_BEGIN]);
    if (rc == SQLITE_OK)
        rc = answer(&file->reader, read);
    if (!sqlite3_get_autocommit(file->reader.db)) {
        int end = sqlite_run(file->reader.statements[READ_COMMIT]);
        rc = rc ? rc : end;
    }
    if (rc) {
        buf_fini(&read->entries);
        read->n_entries = 0;
        read->result = STORE_FAILED;
        read->text = sqlite_text(rc);
        read->file = file->path;
    }
    store_post_read(read);
}

void sqlite_read(struct store_read *read)
{
    struct sqlite_file *file = container_of(read->room, struct sqlite_room, room)->lane->file;

    read->request.run = run_read;
    store_thread_give(&file->reader.thread, &read->request.link);
}

/* ---- its life ---- */

static void *reader_main(void *user)
{
    struct sqlite_file *file = user;
    struct list waiting, *link;

    list_init(&waiting);
    while (store_thread_take(&file->reader.thread, &waiting, -1)) {
        while ((link = list_pop(&waiting)) != NULL) {
            struct store_request *request = container_of(link, struct store_request, link);
            request->run(request, file);
        }
    }
    return NULL;
}

int sqlite_reader_open(struct sqlite_file *file, struct buf *error)
{
    struct sqlite_reader *reader = &file->reader;

    int rc = sqlite_connect(file->path, file->store->mode, &reader->db, error);
    if (rc)
        return rc;
    rc = sqlite3_exec(reader->db, "PRAGMA query_only=1; PRAGMA cache_size=-2048", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite_prepare(reader->db, read_sql, READ_STATEMENTS, reader->statements);
    if (rc)
        return sqlite_problem(error, file->path, reader->db, rc);
    rc = store_thread_start(&reader->thread, "festa-read", reader_main, file);
    if (rc)
        (void)!buf_printf(error, "a thread can't be started (%s): allow the server's user more of them",
                          strerror(-rc));
    else
        reader->runs = true;
    return rc;
}

void sqlite_reader_close(struct sqlite_file *file)
{
    struct sqlite_reader *reader = &file->reader;

    if (reader->runs)
        store_thread_end(&reader->thread);
    reader->runs = false;
    sqlite_finalize(reader->statements, READ_STATEMENTS);
    if (reader->db)
        CHECK(sqlite3_close(reader->db) == SQLITE_OK);
    reader->db = NULL;
}
