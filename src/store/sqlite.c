/* The SQLite driver as a whole: which files a folder has, which one a room is in, opening and closing. Called through
 * store.h, on the loops; sqlite_writer.c and sqlite_reader.c do the work on threads of their own. */
#include "store/sqlite.h"

#include "base/check.h"
#include "base/siphash.h"
#include "store/sqlite_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *sqlite_file_name(unsigned number, unsigned n)
{
    static _Thread_local char name[32];

    if (n == 1)
        return "data.sqlite";
    snprintf(name, sizeof name, "data-%u.sqlite", number);
    return name;
}

/* ---- rooms ---- */

/* The same at every start and on every machine: rooms stay where they were put. */
static struct sqlite_file *file_of(struct sqlite_store *store, struct span party, struct span id)
{
    static const uint8_t key[16]; /* never another one */
    struct siphash hash;

    siphash_init(&hash, key);
    siphash_update(&hash, party.ptr, party.len);
    siphash_update(&hash, "", 1);
    siphash_update(&hash, id.ptr, id.len);
    return &store->files[siphash_finish(&hash) % store->n_files];
}

static void hand_over(struct soon *soon)
{
    struct sqlite_lane *lane = container_of(soon, struct sqlite_lane, soon);

    list_each(link, &lane->batches)
        container_of(link, struct store_batch, link)->waits = false;
    store_thread_give_all(&lane->file->writer.thread, &lane->batches);
}

/* The loop's lane to the file. */
static struct sqlite_lane *lane_of(struct sqlite_store *store, struct sqlite_file *file, struct loop *loop)
{
    struct sqlite_lane *lane = NULL;

    pthread_mutex_lock(&store->lanes_lock);
    list_each(link, &file->lanes) {
        struct sqlite_lane *other = container_of(link, struct sqlite_lane, link);
        if (other->loop == loop)
            lane = other;
    }
    if (!lane) {
        lane = xcalloc(sizeof *lane);
        *lane = (struct sqlite_lane){.file = file, .loop = loop, .soon.fn = hand_over};
        list_init(&lane->batches);
        list_push(&file->lanes, &lane->link);
    }
    pthread_mutex_unlock(&store->lanes_lock);
    return lane;
}

static struct store_room *room_open(struct store *base, struct loop *loop, struct span party, struct span id)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    struct sqlite_room *room = malloc(sizeof *room + party.len + id.len);

    if (!room)
        return NULL;
    memcpy(room->names, party.ptr, party.len);
    memcpy(room->names + party.len, id.ptr, id.len);
    room->party = (struct span){room->names, party.len};
    room->id = (struct span){room->names + party.len, id.len};
    room->lane = lane_of(store, file_of(store, room->party, room->id), loop);
    room->row = 0;
    room->row_as_of = UINT64_MAX;
    room->failed = false;
    return &room->room;
}

static void room_release(struct store_room *room)
{
    free(container_of(room, struct sqlite_room, room));
}

static void submit(struct store_batch *batch)
{
    struct sqlite_lane *lane = container_of(batch->room, struct sqlite_room, room)->lane;
    batch->waits = true;
    list_push(&lane->batches, &batch->link);
    loop_soon(lane->loop, &lane->soon);
}

static bool waits(const struct store_batch *batch)
{
    return batch->waits;
}

/* ---- closing ---- */

/* Of what opening has got to. */
static void close_store(struct store *base)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);

    /* In order: a search goes from each reader to the next. */
    for (unsigned i = 0; i < store->n_files; i++)
        sqlite_reader_close(&store->files[i]);
    for (unsigned i = 0; i < store->n_files; i++) {
        sqlite_writer_close(&store->files[i]);
        free(store->files[i].path);
        for (struct list *link; (link = list_pop(&store->files[i].lanes)) != NULL;)
            free(container_of(link, struct sqlite_lane, link));
    }
    pthread_mutex_destroy(&store->lanes_lock);
    if (store->lock >= 0)
        close(store->lock);
    free(store->folder);
    free(store);
}

/* ---- opening ---- */

static const struct store_ops ops = {
    .room_open = room_open,
    .room_release = room_release,
    .submit = submit,
    .waits = waits,
    .read = sqlite_read,
    .search = sqlite_search,
    .backup = sqlite_backup,
    .close = close_store,
};

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + 1 + strlen(name) + 1;
    char *path = xcalloc(size);
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* How many files the folder was made for, as its file data-`number` has it; 0: there is no such file, or it is new. */
static int count_by(const char *folder, unsigned number, enum sqlite_mode mode, struct buf *error)
{
    const char *name = sqlite_file_name(number, STORE_FILES_MAX);

    if (!sqlite_folder_has(folder, name))
        return 0;
    char *path = join(folder, name);
    int n = sqlite_count_files(path, mode, error);
    free(path);
    return n;
}

/* How many files there are to be. wanted: for a folder that is made; is_new says whether it is. One that was being made
 * when the server was ended is made for as many as then. */
static int count_files(const char *folder, unsigned wanted, enum sqlite_mode mode, bool *is_new,
                       struct buf *error)
{
    int n = count_by(folder, 1, mode, error);
    *is_new = false;
    if (sqlite_folder_has(folder, sqlite_file_name(1, 1))) {
        if (n <= 0)
            return n < 0 ? n : 1;
        (void)!buf_printf(error,
                          "%s: there are both data.sqlite and data-1.sqlite: move away what does not belong",
                          folder);
        return -EINVAL;
    }
    if (n)
        return n;
    if (mode == MODE_READ) {
        (void)!buf_printf(error, "%s: there is neither data.sqlite in it nor data-1.sqlite", folder);
        return -ENOENT;
    }
    *is_new = true;
    for (unsigned number = 2; n == 0 && number <= STORE_FILES_MAX; number++)
        n = count_by(folder, number, mode, error);
    return n ? n : (int)wanted;
}

static int open_file(struct sqlite_store *store, unsigned number, bool is_new, struct buf *error)
{
    struct sqlite_file *file = &store->files[number - 1];

    file->store = store;
    file->path = join(store->folder, sqlite_file_name(number, store->n_files));
    int rc = sqlite_connect(file->path, is_new ? MODE_MAKE : store->mode, &file->writer.db, error);
    if (rc == 0)
        rc = sqlite_schema(file->writer.db, file->path, number, store->n_files, error);
    if (rc == 0 && is_new)
        rc = sqlite_check_empty(file->writer.db, file->path, error);
    return rc;
}

/* The first one last: where it is there and complete, so are the others, and a missing one is missed. */
static int open_files(struct sqlite_store *store, bool is_new, struct buf *error)
{
    int rc = 0;

    for (unsigned number = store->n_files; rc == 0 && number > 0; number--)
        rc = open_file(store, number, is_new, error);
    if (rc == 0 && is_new) {
        rc = sqlite_folder_sync(store->folder);
        if (rc)
            (void)!buf_printf(error, "%s: the data folder can't be flushed (%s): check the disk",
                              store->folder, strerror(-rc));
    }
    for (unsigned i = 0; rc == 0 && i < store->n_files; i++) {
        rc = store->mode == MODE_READ ? 0 : sqlite_writer_open(&store->files[i], error);
        if (rc == 0)
            rc = sqlite_reader_open(&store->files[i], error);
    }
    return rc;
}

/* Takes over the lock, without which it is opened to be read. */
static int open_store(const char *folder, unsigned wanted, int lock, struct buf *error, struct store **out)
{
    enum sqlite_mode mode = lock < 0 ? MODE_READ : MODE_WRITE;
    bool is_new = false;

    int n = sqlite_folder_check(folder, error);
    if (n == 0)
        n = count_files(folder, wanted, mode, &is_new, error);
    if (n < 0) {
        if (lock >= 0)
            close(lock);
        return n;
    }
    struct sqlite_store *store = xcalloc(sizeof *store + (size_t)n * sizeof store->files[0]);
    store->store.ops = &ops;
    store->folder = xstrdup(folder);
    store->lock = lock;
    store->mode = mode;
    store->n_files = (unsigned)n;
    CHECK(pthread_mutex_init(&store->lanes_lock, NULL) == 0);
    for (int i = 0; i < n; i++)
        list_init(&store->files[i].lanes);
    int rc = open_files(store, is_new, error);
    if (rc)
        close_store(&store->store);
    else
        *out = &store->store;
    return rc;
}

static void begin_sqlite(void)
{
    /* Threads don't count their memory under one lock then. Refused when SQLite is in use already, which is fine. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    CHECK(sqlite3_initialize() == SQLITE_OK && sqlite3_threadsafe());
}

int store_open_sqlite(const char *folder, unsigned n_files, bool command, struct buf *error,
                      struct store **out)
{
    CHECK(n_files >= 1 && n_files <= STORE_FILES_MAX);
    begin_sqlite();
    int lock = sqlite_folder_open(folder, command, error);
    return lock < 0 ? lock : open_store(folder, n_files, lock, error, out);
}

unsigned store_sqlite_files(const struct store *store)
{
    return container_of(store, struct sqlite_store, store)->n_files;
}

bool store_sqlite_has_data(const char *folder)
{
    static const char *const names[] = {"data.sqlite", "data-1.sqlite", "data.sqlite-wal",
                                        "data-1.sqlite-wal"};
    bool found = false;

    for (size_t i = 0; !found && i < sizeof names / sizeof names[0]; i++)
        found = sqlite_folder_has(folder, names[i]);
    return found;
}

int store_open_sqlite_to_read(const char *folder, struct buf *error, struct store **out)
{
    begin_sqlite();
    return open_store(folder, 0, -1, error, out);
}
