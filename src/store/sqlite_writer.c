/* The writer of a data file: takes all batches that wait, applies them in one transaction, commits, and sends the
 * results to the rooms' loops. While it commits, the next group gathers. */
#include "base/check.h"
#include "base/log.h"
#include "store/sqlite_private.h"

#include <string.h>

/* What goes into a transaction at most, more or less: a batch is never divided. */
#define GROUP_BYTES (1024u * 1024u)
#define GROUP_OPS 2000u

/* What is in the WAL is copied into the file when nothing was written for so long, or at so many pages (64 MiB). While
 * it is copied, nothing is written. */
#define IDLE_MS 1000
#define WAL_FRAMES 16384

/* Loops that get one message for a group; when there are more, some get several. */
#define GROUP_LOOPS 64u

/* ---- the group ---- */

/* Moves the next batches from waiting to group. */
static void take_group(struct list *waiting, struct list *group)
{
    size_t bytes = 0, ops = 0;

    while (!list_empty(waiting)) {
        struct store_batch *batch = container_of(waiting->next, struct store_batch, link);
        bytes += batch->ops.len;
        ops += batch->n_ops;
        if (!list_empty(group) && (bytes > GROUP_BYTES || ops > GROUP_OPS))
            return;
        list_remove(&batch->link);
        list_push(group, &batch->link);
    }
}

/* Sends the results of all batches of the group; their order on each loop is kept. */
static void answer(struct list *group)
{
    struct {
        struct loop *loop;
        struct list batches;
    } loops[GROUP_LOOPS];
    size_t n = 0, i = 0;
    struct list *link;

    while ((link = list_pop(group)) != NULL) {
        struct loop *loop = container_of(link, struct store_batch, link)->room->loop;
        if (i >= n || loops[i].loop != loop) { /* often it is the one before's */
            for (i = 0; i < n && loops[i].loop != loop; i++)
                continue;
        }
        if (i == GROUP_LOOPS) {
            for (size_t j = 0; j < n; j++)
                store_post_batches(loops[j].loop, &loops[j].batches);
            n = i = 0;
        }
        if (i == n) {
            loops[n].loop = loop;
            list_init(&loops[n++].batches);
        }
        list_push(&loops[i].batches, link);
    }
    for (size_t j = 0; j < n; j++)
        store_post_batches(loops[j].loop, &loops[j].batches);
}

static void fail(struct store_batch *batch, const char *text)
{
    struct sqlite_room *room = container_of(batch->room, struct sqlite_room, room);

    room->failed |= !batch->apart;
    batch->result = STORE_FAILED;
    batch->text = text;
    batch->file = room->lane->file->path;
}

/* A room's batch is not kept without the one before it. */
static bool failed_before(struct store_batch *batch)
{
    if (!container_of(batch->room, struct sqlite_room, room)->failed)
        return false;
    if (batch->result == STORE_OK)
        fail(batch, "an earlier write of the room failed");
    return true;
}

/* ---- a transaction ---- */

static int run(struct sqlite_writer *writer, enum sqlite_writer_statement statement)
{
    return sqlite_run(writer->statements[statement]);
}

static void roll_back(struct sqlite_writer *writer)
{
    writer->rollbacks++; /* rows that were made in it are gone */
    if (!sqlite3_get_autocommit(writer->db))
        (void)run(writer, WRITE_ROLLBACK);
    sqlite_drop_gathered(writer->db);
}

/* Would what is written now be gone with the last descriptor? SQLite asks this for journals that are no WAL only. */
static bool moved(struct sqlite_writer *writer)
{
    int is_moved = 0;
    return (sqlite3_file_control(writer->db, "main", SQLITE_FCNTL_HAS_MOVED, &is_moved) == SQLITE_OK &&
            is_moved) ||
           sqlite_wal_moved(writer->db);
}

/* From first up to end. SQLITE_OK when all of it is durable; or else an error and nothing of it was kept, and culprit
 * is the batch that could not be applied, or NULL. */
static int commit(struct sqlite_file *file, struct list *first, const struct list *end,
                  struct store_batch **culprit)
{
    struct sqlite_writer *writer = &file->writer;

    *culprit = NULL;
    if (!sqlite3_get_autocommit(writer->db))
        roll_back(writer); /* the last time it did not work */
    if (moved(writer))
        return SQLITE_READONLY_DBMOVED;
    int rc = run(writer, WRITE_BEGIN);
    for (struct list *link = first; rc == SQLITE_OK && link != end; link = link->next) {
        struct store_batch *batch = container_of(link, struct store_batch, link);
        if (failed_before(batch))
            continue;
        rc = sqlite_apply(writer, batch);
        if (rc)
            *culprit = batch;
    }
    if (rc)
        return rc;
    rc = run(writer, WRITE_COMMIT);
    sqlite_check_commit(file->path, rc);
    return rc;
}

/* Is it about what a batch holds, and not about the file or the machine? */
static bool of_content(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE: return true;
    default: return false;
    }
}

/* One line when it begins to fail, or fails for another reason, not one for each group. */
static void say_failed(struct sqlite_file *file, int rc)
{
    struct sqlite_writer *writer = &file->writer;

    if (writer->failing == rc)
        return;
    writer->failing = rc;
    log_event(LOG_ERROR, "data can't be kept", log_str("error", sqlite_text(rc)),
              log_str("advice", sqlite_advice(rc)), log_str("file", file->path),
              log_str("sqlite", sqlite3_errcode(writer->db) ? sqlite3_errmsg(writer->db) : ""),
              log_int("errno", sqlite3_system_errno(writer->db)));
}

static void say_kept(struct sqlite_file *file)
{
    if (!file->writer.failing)
        return;
    file->writer.failing = SQLITE_OK;
    log_event(LOG_INFO, "data is kept again", log_str("file", file->path));
}

/* Makes the batches from first up to end durable, or fails them. Returns false when one of several can't be applied
 * for what it holds: then nothing was done. */
static bool keep(struct sqlite_file *file, struct list *first, const struct list *end)
{
    struct sqlite_writer *writer = &file->writer;
    struct store_batch *culprit;

    int rc = commit(file, first, end, &culprit);
    if (rc == SQLITE_OK) {
        say_kept(file);
        return true;
    }
    sqlite_check_flush(file->path, rc);
    bool alone = first->next == end;
    if (culprit && of_content(rc) && !alone) {
        roll_back(writer);
        return false;
    }
    say_failed(file, rc);
    roll_back(writer);
    for (struct list *link = first; link != end; link = link->next) {
        struct store_batch *batch = container_of(link, struct store_batch, link);
        if (batch->result == STORE_OK)
            fail(batch, sqlite_text(rc));
    }
    return true;
}

static void keep_group(struct sqlite_file *file, struct list *group)
{
    if (!keep(file, group->next, group)) {
        list_each(link, group) /* one of them is to blame; the others are not to suffer */
            (void)keep(file, link, link->next);
    }
}

/* ---- checkpoints ---- */

static int on_commit(void *user, sqlite3 *db, const char *schema, int frames)
{
    struct sqlite_writer *writer = user;

    (void)db;
    (void)schema;
    if (frames < writer->wal_frames)
        writer->checkpoint_at = WAL_FRAMES; /* SQLite has begun to write the WAL from its start again */
    writer->wal_frames = frames;
    writer->wal_new = true;
    return SQLITE_OK;
}

static void checkpoint(struct sqlite_file *file)
{
    struct sqlite_writer *writer = &file->writer;
    int frames = 0, copied = 0;

    int rc = sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    sqlite_check_flush(file->path, rc);
    if (rc != writer->checkpoint_failing) {
        writer->checkpoint_failing = rc;
        if (rc)
            log_event(LOG_WARN, "what was written can't be moved from the WAL, which grows",
                      log_str("error", sqlite_text(rc)), log_str("file", file->path));
    }
    writer->wal_new = rc || copied < frames;
    /* A read or the disk was in the way: not after each group, but soon. */
    writer->checkpoint_at = writer->wal_frames + (writer->wal_new ? WAL_FRAMES / 4 : WAL_FRAMES);
}

/* ---- its life ---- */

static void *writer_main(void *user)
{
    struct sqlite_file *file = user;
    struct sqlite_writer *writer = &file->writer;
    struct list waiting, group;

    list_init(&waiting);
    list_init(&group);
    writer->checkpoint_at = WAL_FRAMES;
    while (store_thread_take(&writer->thread, &waiting, writer->wal_new ? IDLE_MS : -1)) {
        bool idle = list_empty(&waiting);
        if (!idle) {
            take_group(&waiting, &group);
            keep_group(file, &group);
            answer(&group);
        }
        if (writer->wal_new && (idle || writer->wal_frames >= writer->checkpoint_at))
            checkpoint(file);
    }
    return NULL;
}

int sqlite_writer_open(struct sqlite_file *file, struct buf *error)
{
    struct sqlite_writer *writer = &file->writer;

    /* What a server wrote that was ended then may be in the WAL without having been flushed: nothing is to be read from
     * it until it is. A checkpoint begins with that; whether it finds the space to copy does not matter here. */
    int rc = sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_FULL || (rc & 0xff) == SQLITE_BUSY)
        rc = sqlite_prepare(writer->db, sqlite_write_sql, WRITE_STATEMENTS, writer->statements);
    if (rc)
        return sqlite_problem(error, file->path, writer->db, rc);
    (void)sqlite3_wal_hook(writer->db, on_commit, writer);
    rc = store_thread_start(&writer->thread, "festa-write", writer_main, file);
    if (rc)
        (void)!buf_printf(error, "a thread can't be started (%s): allow the server's user more of them",
                          strerror(-rc));
    else
        writer->runs = true;
    return rc;
}

void sqlite_writer_close(struct sqlite_file *file)
{
    struct sqlite_writer *writer = &file->writer;

    if (writer->runs)
        store_thread_end(&writer->thread);
    writer->runs = false;
    sqlite_finalize(writer->statements, WRITE_STATEMENTS);
    if (writer->db)
        CHECK(sqlite3_close(writer->db) == SQLITE_OK);
    writer->db = NULL;
}
