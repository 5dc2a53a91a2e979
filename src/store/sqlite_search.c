/* Searches over all rooms: from one file's reader to the next, each of which merges what it finds into what was found
 * before. */
#include "base/check.h"
#include "store/sqlite_private.h"

#include <string.h>

/* ---- order ---- */

/* Bytewise, as SQLite compares. */
static int compare_found(enum store_search_kind kind, const struct store_found *a,
                         const struct store_found *b)
{
    if (kind == STORE_ALARMS) {
        if (a->alarm != b->alarm)
            return a->alarm < b->alarm ? -1 : 1;
    }
    if (kind != STORE_ROOMS) {
        int order = span_compare(a->party, b->party);
        if (order)
            return order;
    }
    return span_compare(a->id, b->id);
}

/* ---- one file ---- */

/* The place behind which rooms are asked for, or the prefix that they have: what comes later. */
static struct span first_id(const struct store_search *search)
{
    bool behind = search->after_id.ptr && span_compare(search->after_id, search->prefix) > 0;
    return behind ? search->after_id : search->prefix;
}

/* From the first place that may be asked for. */
static void begin_usage(sqlite3_stmt *walk, const struct store_search *search)
{
    bool inside = span_compare(search->after_party, search->party) == 0;

    if (search->party.ptr) {
        sqlite_bind_text(walk, 1, search->party);
        sqlite_bind_text(walk, 2, inside ? first_id(search) : search->prefix);
    } else {
        sqlite_bind_text(walk, 1, search->after_party);
        sqlite_bind_text(walk, 2, search->after_id);
    }
}

static sqlite3_stmt *begin(struct sqlite_reader *reader, const struct store_search *search)
{
    static const enum sqlite_reader_statement which[] = {
        [STORE_ALARMS] = READ_ALARMS, [STORE_ROOMS] = READ_ROOMS, [STORE_USAGE] = READ_USAGE};
    sqlite3_stmt *walk = reader->statements[which[search->kind]];

    if (search->kind == STORE_ALARMS) {
        (void)sqlite3_bind_int64(walk, 1, search->until);
        (void)sqlite3_bind_int64(walk, 2, search->after_alarm);
        sqlite_bind_text(walk, 3, search->after_party);
        sqlite_bind_text(walk, 4, search->after_id);
    } else if (search->kind == STORE_USAGE) {
        begin_usage(walk, search);
    } else {
        sqlite_bind_text(walk, 1, search->party);
        sqlite_bind_text(walk, 2, first_id(search));
    }
    return walk;
}

static bool has_prefix(struct span id, struct span prefix)
{
    return id.len >= prefix.len && span_equal((struct span){id.ptr, prefix.len}, prefix);
}

static bool is_place(const struct store_search *search, const struct store_found *found)
{
    return search->kind != STORE_ALARMS && search->after_id.ptr && span_equal(found->id, search->after_id) &&
           (search->kind != STORE_USAGE || span_equal(found->party, search->after_party));
}

static void take(const struct store_search *search, sqlite3_stmt *walk, struct store_found *found)
{
    bool usage = search->kind == STORE_USAGE;

    *found = (struct store_found){
        .party = sqlite_column(walk, 0),
        .id = sqlite_column(walk, 1),
        .alarm = sqlite3_column_int64(walk, 2),
        .attempt = (uint32_t)sqlite3_column_int64(walk, 3),
        .keys = usage ? (uint64_t)sqlite3_column_int64(walk, 4) : 0,
        .bytes = usage ? (uint64_t)sqlite3_column_int64(walk, 5) : 0,
    };
}

/* Is it one that is not asked for, while others behind it may be? With a prefix those lie together, but not across
 * parties. */
static bool skips(const struct store_search *search, const struct store_found *found)
{
    return is_place(search, found) ||
           (search->kind == STORE_USAGE && !search->party.ptr && !has_prefix(found->id, search->prefix));
}

/* Do it and all behind it lie behind what is asked for? */
static bool is_behind(const struct store_search *search, const struct store_found *found)
{
    if (search->kind == STORE_ALARMS)
        return false;
    return (search->party.ptr && !span_equal(found->party, search->party)) ||
           !has_prefix(found->id, search->prefix);
}

/* The next room of this file that is asked for: SQLITE_ROW, SQLITE_DONE behind the last one, or an error. */
static int next(const struct store_search *search, sqlite3_stmt *walk, struct store_found *found)
{
    int rc;

    do {
        rc = sqlite3_step(walk);
        if (rc == SQLITE_ROW)
            take(search, walk, found);
    } while (rc == SQLITE_ROW && skips(search, found));
    return rc == SQLITE_ROW && is_behind(search, found) ? SQLITE_DONE : rc;
}

/* Merges the file's rooms into search->found. */
static int merge(struct store_search *search, sqlite3_stmt *walk)
{
    struct buf merged = {0};
    struct span rest = {(const char *)search->found.data, search->found.len};
    struct store_found old, new;
    uint32_t n = 0;

    bool has_old = store_next_found(&rest, &old);
    int rc = next(search, walk, &new);
    while (n < search->limit && (has_old || rc == SQLITE_ROW)) {
        bool take_old = has_old && (rc != SQLITE_ROW || compare_found(search->kind, &old, &new) < 0);
        if (store_put_found(&merged, take_old ? &old : &new)) {
            rc = SQLITE_NOMEM;
            break;
        }
        n++;
        if (take_old)
            has_old = store_next_found(&rest, &old);
        else
            rc = next(search, walk, &new);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            break;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        buf_fini(&merged);
        return rc;
    }
    buf_fini(&search->found);
    search->found = merged;
    search->n_found = n;
    return SQLITE_OK;
}

/* ---- all files ---- */

static void run_search(struct store_request *request, void *driver)
{
    struct store_search *search = container_of(request, struct store_search, request);
    struct sqlite_file *file = driver;
    struct sqlite_store *store = file->store;

    sqlite3_stmt *walk = begin(&file->reader, search);
    int rc = merge(search, walk);
    (void)sqlite3_reset(walk);
    if (rc) {
        buf_fini(&search->found);
        search->n_found = 0;
        search->result = STORE_FAILED;
        search->text = sqlite_text(rc);
        search->file = file->path;
    }
    if (rc || file + 1 == store->files + store->n_files)
        store_post_search(search);
    else
        store_thread_give(&file[1].reader.thread, &request->link);
}

void sqlite_search(struct store_search *search)
{
    struct sqlite_store *store = container_of(search->store, struct sqlite_store, store);

    search->request.run = run_search;
    store_thread_give(&store->files[0].reader.thread, &search->request.link);
}
