#include "store/memory.h"

#include "base/check.h"
#include "store/driver.h"

#include <stdlib.h>

struct entry {
    struct bytes_copy {
        char *data; /* owned */
        size_t len;
    } key, value;
};

struct kept_room {
    struct bytes_copy party, id;
    struct entry *entries; /* owned; by key, bytewise */
    size_t n_entries, cap_entries;
    int64_t alarm;
    uint32_t attempt;
    struct bytes_copy self; /* len 0: none */
};

struct memory_store {
    struct store base;
    struct kept_room **rooms; /* owned; by (party, id) */
    size_t n_rooms, cap_rooms;
};

/* A room that is open: it leads to what is kept. */
struct open_room {
    struct store_room base;
    struct kept_room *kept;
};

static struct memory_store *store_of(struct store *store)
{
    return container_of(store, struct memory_store, base);
}

/* ---- bytes and arrays ---- */

static struct span span_at(const struct bytes_copy *copy)
{
    return (struct span){copy->data, copy->len};
}

static void set_copy(struct bytes_copy *copy, struct span bytes)
{
    char *data = malloc(bytes.len + 1);
    CHECK(data != NULL);
    if (bytes.len > 0)
        memcpy(data, bytes.ptr, bytes.len);
    data[bytes.len] = '\0';
    free(copy->data);
    *copy = (struct bytes_copy){data, bytes.len};
}

/* Room for one more element at position at of an array. */
static void *open_place(void *array, size_t size, size_t *count, size_t *cap, size_t at)
{
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 8;
        array = reallocarray(array, *cap, size);
        CHECK(array != NULL);
    }
    memmove((char *)array + (at + 1) * size, (char *)array + at * size, (*count - at) * size);
    (*count)++;
    return array;
}

/* ---- rooms ---- */

static int compare_room(const struct kept_room *room, struct span party, struct span id)
{
    int order = span_compare(span_at(&room->party), party);
    return order ? order : span_compare(span_at(&room->id), id);
}

/* Where the room is, or would be. */
static size_t room_place(const struct memory_store *store, struct span party, struct span id)
{
    size_t from = 0, to = store->n_rooms;

    while (from < to) {
        size_t middle = (from + to) / 2;
        if (compare_room(store->rooms[middle], party, id) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct kept_room *find_room(const struct memory_store *store, struct span party, struct span id)
{
    size_t at = room_place(store, party, id);
    bool there = at < store->n_rooms && compare_room(store->rooms[at], party, id) == 0;
    return there ? store->rooms[at] : NULL;
}

static struct kept_room *make_room(struct memory_store *store, struct span party, struct span id)
{
    struct kept_room *room = find_room(store, party, id);
    if (room)
        return room;
    size_t at = room_place(store, party, id);
    store->rooms = open_place(store->rooms, sizeof *store->rooms, &store->n_rooms, &store->cap_rooms, at);
    room = xcalloc(sizeof *room);
    set_copy(&room->party, party);
    set_copy(&room->id, id);
    store->rooms[at] = room;
    return room;
}

static struct store_room *memory_open(struct store *store, struct loop *loop, struct span party,
                                      struct span id)
{
    struct open_room *room = xcalloc(sizeof *room);
    (void)loop;
    room->kept = make_room(store_of(store), party, id);
    return &room->base;
}

static struct kept_room *kept_of(const struct store_room *base)
{
    return container_of(base, struct open_room, base)->kept;
}

static void memory_release(struct store_room *base)
{
    free(container_of(base, struct open_room, base));
}

/* ---- entries ---- */

static size_t entry_place(const struct kept_room *room, struct span key)
{
    size_t from = 0, to = room->n_entries;

    while (from < to) {
        size_t middle = (from + to) / 2;
        if (span_compare(span_at(&room->entries[middle].key), key) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct entry *find_entry(const struct kept_room *room, struct span key)
{
    size_t at = entry_place(room, key);
    bool there = at < room->n_entries && span_equal(span_at(&room->entries[at].key), key);
    return there ? &room->entries[at] : NULL;
}

static void free_entry(struct entry *entry)
{
    free(entry->key.data);
    free(entry->value.data);
}

static void put_entry(struct kept_room *room, struct span key, struct span value)
{
    struct entry *entry = find_entry(room, key);

    if (!entry) {
        size_t at = entry_place(room, key);
        room->entries =
            open_place(room->entries, sizeof *room->entries, &room->n_entries, &room->cap_entries, at);
        entry = &room->entries[at];
        *entry = (struct entry){0};
        set_copy(&entry->key, key);
    }
    set_copy(&entry->value, value);
}

static void delete_entry(struct kept_room *room, struct span key)
{
    struct entry *entry = find_entry(room, key);

    if (!entry)
        return;
    free_entry(entry);
    size_t behind = room->n_entries - (size_t)(entry - room->entries) - 1;
    memmove(entry, entry + 1, behind * sizeof *entry);
    room->n_entries--;
}

static void clear_entries(struct kept_room *room)
{
    while (room->n_entries > 0)
        free_entry(&room->entries[--room->n_entries]);
}

static void apply(struct kept_room *room, const struct store_op *op)
{
    switch (op->kind) {
    case STORE_OP_PUT: put_entry(room, op->key, op->value); break;
    case STORE_OP_DELETE: delete_entry(room, op->key); break;
    case STORE_OP_CLEAR: clear_entries(room); break;
    case STORE_OP_ALARM:
        room->alarm = op->time;
        room->attempt = op->time ? op->attempt : 0;
        break;
    case STORE_OP_SELF: set_copy(&room->self, op->value); break;
    }
}

static void memory_submit(struct store_batch *batch)
{
    struct span rest = {(const char *)batch->ops.data, batch->ops.len};
    struct store_op op;
    struct list one;

    while (store_next_op(&rest, &op))
        apply(kept_of(batch->room), &op);
    list_init(&one);
    list_push(&one, &batch->link);
    store_post_batches(batch->room->loop, &one);
}

/* ---- reading ---- */

static void add_entry(struct store_read *read, const struct entry *entry)
{
    CHECK(store_put_bytes(&read->entries, span_at(&entry->key)) == 0 &&
          store_put_bytes(&read->entries, span_at(&entry->value)) == 0);
    read->n_entries++;
}

static void read_keys(struct store_read *read, const struct kept_room *room)
{
    struct span rest = {(const char *)read->keys.data, read->keys.len}, key;

    while (store_next_bytes(&rest, &key)) {
        if (read->entries.len >= STORE_PAGE) {
            read->more = true;
            return;
        }
        const struct entry *entry = find_entry(room, key);
        if (entry)
            add_entry(read, entry);
        read->n_keys++;
    }
}

static void read_range(struct store_read *read, const struct kept_room *room)
{
    size_t from = entry_place(room, read->start);
    size_t to = read->finish.ptr ? entry_place(room, read->finish) : room->n_entries;

    for (size_t i = 0; from + i < to; i++) {
        if ((read->limit && read->n_entries == read->limit) || read->entries.len >= STORE_PAGE) {
            read->more = true;
            return;
        }
        add_entry(read, &room->entries[read->reverse ? to - 1 - i : from + i]);
    }
}

static void read_head(struct store_read *read, const struct kept_room *room)
{
    read->empty = room->n_entries == 0;
    read->alarm = room->alarm;
    read->attempt = room->attempt;
    if (room->self.len == 0)
        return;
    CHECK(store_put_bytes(&read->entries, span_at(&room->self)) == 0);
    read->n_entries = 1;
}

static void memory_read(struct store_read *read)
{
    const struct kept_room *room = kept_of(read->room);

    switch (read->kind) {
    case STORE_GET: read_keys(read, room); break;
    case STORE_LIST: read_range(read, room); break;
    case STORE_HEAD: read_head(read, room); break;
    }
    store_post_read(read);
}

/* ---- searches ---- */

static struct store_found describe(const struct kept_room *room, bool usage)
{
    struct store_found found = {.party = span_at(&room->party),
                                .id = span_at(&room->id),
                                .alarm = room->alarm,
                                .attempt = room->attempt};

    for (size_t i = 0; usage && i < room->n_entries; i++) {
        found.keys++;
        found.bytes += room->entries[i].key.len + room->entries[i].value.len;
    }
    return found;
}

static bool holds_anything(const struct kept_room *room)
{
    return room->n_entries > 0 || room->alarm != 0 || room->self.len > 0;
}

/* Behind the place that is asked for, in the order of the search? */
static bool is_behind(const struct store_search *search, const struct store_found *found)
{
    bool alarms = search->kind == STORE_ALARMS;

    if (alarms && found->alarm != search->after_alarm)
        return found->alarm > search->after_alarm;
    int order = search->kind == STORE_ROOMS || !search->after_party.ptr
                    ? 0
                    : span_compare(found->party, search->after_party);
    if (order != 0 || (alarms && !search->after_party.ptr))
        return order >= 0;
    return !search->after_id.ptr || span_compare(found->id, search->after_id) > 0;
}

static bool is_asked_for(const struct store_search *search, const struct kept_room *room,
                         const struct store_found *found)
{
    if (!holds_anything(room) || !is_behind(search, found))
        return false;
    if (search->kind == STORE_ALARMS)
        return found->alarm != 0 && found->alarm <= search->until;
    bool prefixed = found->id.len >= search->prefix.len &&
                    span_equal((struct span){found->id.ptr, search->prefix.len}, search->prefix);
    return prefixed && (!search->party.ptr || span_equal(found->party, search->party));
}

static int by_alarm(const void *a, const void *b)
{
    const struct kept_room *first = *(struct kept_room *const *)a, *second = *(struct kept_room *const *)b;

    if (first->alarm != second->alarm)
        return first->alarm < second->alarm ? -1 : 1;
    return compare_room(first, span_at(&second->party), span_at(&second->id));
}

static void memory_search(struct store_search *search)
{
    struct memory_store *store = store_of(search->store);
    struct kept_room **order = reallocarray(NULL, store->n_rooms + 1, sizeof *order);

    CHECK(order != NULL);
    for (size_t i = 0; i < store->n_rooms; i++)
        order[i] = store->rooms[i];
    if (search->kind == STORE_ALARMS)
        qsort(order, store->n_rooms, sizeof *order, by_alarm);
    for (size_t i = 0; i < store->n_rooms && search->n_found < search->limit; i++) {
        struct store_found found = describe(order[i], search->kind == STORE_USAGE);
        if (!is_asked_for(search, order[i], &found))
            continue;
        CHECK(store_put_found(&search->found, &found) == 0);
        search->n_found++;
    }
    free(order);
    store_post_search(search);
}

/* ---- the store ---- */

static void backup_done(struct job *job)
{
    struct store_backup *backup = container_of(job, struct store_backup, job);
    backup->done(backup);
}

static void backup_refuse(struct job *job)
{
    struct store_backup *backup = container_of(job, struct store_backup, job);
    backup->result = STORE_FAILED;
    (void)strcpy(backup->text, "a store in memory has no backup");
}

static void memory_backup(struct store_backup *backup)
{
    backup->job = (struct job){.run = backup_refuse, .done = backup_done};
    job_start(backup->loop, &backup->job);
}

static void memory_close(struct store *base)
{
    struct memory_store *store = store_of(base);

    for (size_t i = 0; i < store->n_rooms; i++) {
        struct kept_room *room = store->rooms[i];
        clear_entries(room);
        free(room->entries);
        free(room->party.data);
        free(room->id.data);
        free(room->self.data);
        free(room);
    }
    free(store->rooms);
    free(store);
}

struct store *store_open_memory(void)
{
    static const struct store_ops ops = {.room_open = memory_open,
                                         .room_release = memory_release,
                                         .submit = memory_submit,
                                         .read = memory_read,
                                         .search = memory_search,
                                         .backup = memory_backup,
                                         .close = memory_close};
    struct memory_store *store = xcalloc(sizeof *store);
    store->base.ops = &ops;
    return &store->base;
}

/* ---- for who looks at it from outside ---- */

bool store_memory_get(struct store *store, struct span party, struct span id, struct span key,
                      struct span *value)
{
    const struct kept_room *room = find_room(store_of(store), party, id);
    const struct entry *entry = room ? find_entry(room, key) : NULL;

    if (entry)
        *value = span_at(&entry->value);
    return entry != NULL;
}

bool store_memory_nth(struct store *store, struct span party, struct span id, size_t n, struct span *key,
                      struct span *value)
{
    const struct kept_room *room = find_room(store_of(store), party, id);

    if (!room || n >= room->n_entries)
        return false;
    *key = span_at(&room->entries[n].key);
    *value = span_at(&room->entries[n].value);
    return true;
}

int64_t store_memory_alarm(struct store *store, struct span party, struct span id)
{
    const struct kept_room *room = find_room(store_of(store), party, id);
    return room ? room->alarm : 0;
}
