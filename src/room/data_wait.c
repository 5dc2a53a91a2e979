/* What a handler waits for that needs its room's durable data. */
#include "room/data_private.h"
#include "room/private.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

/* ---- waiting ---- */

static void begin_waiting(struct room_data *data, void *handle)
{
    CHECK(!data->waiter && !data->room->input_closed);
    data->waiter = handle;
    data->wait_number = 0;
    data->wait_relief = false;
    data->room->input_closed = true; /* the turn goes on when it is there */
}

static bool waits_on(const struct room_data *data)
{
    if (data->read)
        return !data->read->answered;
    return data->wait_number > data->room->durable || (data->wait_relief && data->pending >= DATA_PENDING);
}

void data_check_waiter(struct room_data *data)
{
    void *handle = data->waiter;

    if (!handle || waits_on(data))
        return;
    data->waiter = NULL;
    room_answer(data->room, handle);
}

bool data_sync(struct room *room, void *handle)
{
    struct room_data *data = room->data;

    if (!data)
        return false;
    if (data->batch && data->batch->base.n_ops > 0)
        data_submit(data);
    if (room->written <= room->durable)
        return false;
    begin_waiting(data, handle);
    data->wait_number = room->written;
    return true;
}

bool data_relieve(struct room *room, void *handle)
{
    struct room_data *data = room->data;

    if (!data || data->pending < DATA_PENDING)
        return false;
    begin_waiting(data, handle);
    data->wait_relief = true;
    return true;
}

/* ---- reads ---- */

static void free_read(struct data_read *read)
{
    if (!read)
        return;
    buf_fini(&read->base.keys);
    buf_fini(&read->base.entries);
    buf_fini(&read->names);
    free(read);
}

void data_abandon(struct room *room)
{
    struct room_data *data = room->data;

    event_free(room->answer);
    room->answer = NULL;
    if (!data)
        return;
    data_transaction_end(room, false);
    data->waiter = NULL;
    if (data->alarm.rings) /* it rings again */
        data->alarm = (struct data_alarm){0};
    if (data->read && data->read->answered)
        free_read(data->read);
    else if (data->read)
        data->read->dropped = true;
    data->read = NULL;
    room->input_closed = false;
}

/* Those of the keys that were asked for and are not there are known to be absent. */
static int learn_all(struct room_data *data, const struct store_read *read)
{
    struct span rest = {(const char *)read->entries.data, read->entries.len}, key, value;
    int rc = 0;

    while (rc == 0 && store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value))
        rc = data_learn(data, key, true, value);
    rest = (struct span){(const char *)read->keys.data, read->keys.len};
    for (uint32_t i = 0; rc == 0 && (!read->more || i < read->n_keys) && store_next_bytes(&rest, &key); i++)
        rc = data_learn(data, key, false, (struct span){0});
    return rc;
}

static void take_in(struct room_data *data, struct data_read *read)
{
    struct store_read *base = &read->base;

    if (base->result != STORE_OK)
        return;
    if (base->kind == STORE_HEAD && !data->alarm.known)
        data->alarm = (struct data_alarm){.known = true, .time = base->alarm, .attempt = base->attempt};
    if (base->kind == STORE_GET && learn_all(data, base) != 0) {
        base->result = STORE_FAILED;
        base->text = "not enough memory";
    }
}

static void on_read_done(struct store_read *base)
{
    struct data_read *read = container_of(base, struct data_read, base);
    struct room_data *data = read->data;

    read->answered = true;
    if (read->dropped || !data->room) {
        free_read(read);
    } else {
        take_in(data, read);
        data_check_waiter(data);
    }
    data_answered(data);
}

/* A read of this kind for the handler; NULL: *rc says why. */
static struct data_read *new_read(struct room *room, enum store_read_kind kind, int *rc)
{
    struct room_data *data = data_of(room, rc);
    if (!data)
        return NULL;
    struct data_read *read = calloc(1, sizeof *read);
    if (!read) {
        *rc = -ENOMEM;
        return NULL;
    }
    read->data = data;
    read->base.room = data->store;
    read->base.kind = kind;
    read->base.done = on_read_done;
    return read;
}

static void send_read(struct data_read *read, void *handle)
{
    struct room_data *data = read->data;

    begin_waiting(data, handle);
    data->read = read;
    data->under_way++;
    store_read(&read->base);
}

int data_ask(struct room *room, const struct span *keys, size_t n, void *handle)
{
    int rc;
    struct data_read *read = new_read(room, STORE_GET, &rc);
    struct span value;

    if (read)
        data_shrink(read->data); /* a turn may read any number of keys, one after the other */
    for (size_t i = 0; read && i < n; i++) {
        if (data_get(room, keys[i], &value) == DATA_UNKNOWN &&
            store_put_bytes(&read->base.keys, keys[i]) != 0) {
            free_read(read);
            return -ENOMEM;
        }
    }
    if (!read)
        return rc;
    send_read(read, handle);
    return 0;
}

int data_ask_head(struct room *room, void *handle)
{
    int rc;
    struct data_read *read = new_read(room, STORE_HEAD, &rc);
    if (!read)
        return rc;
    send_read(read, handle);
    return 0;
}

/* ---- ranges: what the store has, and what the room has written that the store does not have yet ---- */

static int by_key(const void *a, const void *b)
{
    return span_compare(known_key(*(struct data_entry *const *)a), known_key(*(struct data_entry *const *)b));
}

static int by_key_reverse(const void *a, const void *b)
{
    return by_key(b, a);
}

/* Entries, in an owned array. */
struct found {
    struct data_entry **entries;
    size_t n, cap;
};

static int add_found(struct found *found, struct data_entry *entry)
{
    if (found->n == found->cap) {
        size_t cap = found->cap ? found->cap * 2 : 16;
        struct data_entry **grown = reallocarray(found->entries, cap, sizeof(struct data_entry *));
        if (!grown)
            return -ENOMEM;
        found->entries = grown;
        found->cap = cap;
    }
    found->entries[found->n++] = entry;
    return 0;
}

static int add_those_in(struct found *found, const struct list *entries, const struct store_read *range)
{
    int rc = 0;

    list_each(link, entries) {
        struct data_entry *entry = container_of(link, struct data_entry, link);
        bool in = span_compare(known_key(entry), range->start) >= 0 &&
                  (!range->finish.ptr || span_compare(known_key(entry), range->finish) < 0);
        if (in && rc == 0)
            rc = add_found(found, entry);
    }
    return rc;
}

/* The entries in the range that were written, in its order. An owned array; NULL: there are none, or *rc. */
static struct data_entry **written_in(struct room_data *data, const struct store_read *range, size_t *n,
                                      int *rc)
{
    struct found found = {0};

    *rc = add_those_in(&found, &data->known.dirty, range);
    if (*rc == 0)
        *rc = add_those_in(&found, &data->known.turn, range);
    if (*rc != 0) {
        free(found.entries);
        return NULL;
    }
    *n = found.n;
    if (found.n > 0)
        qsort(found.entries, found.n, sizeof *found.entries, range->reverse ? by_key_reverse : by_key);
    return found.entries;
}

static int append(struct buf *out, struct span key, struct span value)
{
    int rc = store_put_bytes(out, key);
    return rc ? rc : store_put_bytes(out, value);
}

/* Both are in order; where both have a key the room's own counts. What it has behind the page's end comes with
 * another page. */
static int merge(struct data_entry **own, size_t n, const struct store_read *page, struct buf *out)
{
    struct span rest = {(const char *)page->entries.data, page->entries.len}, key = {0}, value = {0};
    bool stored = store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value);
    bool may_pass = !page->more;
    int rc = 0;

    for (size_t i = 0; rc == 0 && (stored || (i < n && may_pass));) {
        int order = i == n ? 1 : !stored ? -1 : span_compare(known_key(own[i]), key);
        if (page->reverse && i < n && stored)
            order = -order;
        if (order <= 0) {
            if (own[i]->present)
                rc = append(out, known_key(own[i]), (struct span){own[i]->value, own[i]->len});
            i++;
        } else {
            rc = append(out, key, value);
        }
        if (order >= 0)
            stored = store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value);
    }
    return rc;
}

static int merge_page(struct room_data *data, struct store_read *page)
{
    struct buf merged = {0};
    size_t n;
    int rc;
    struct data_entry **own = written_in(data, page, &n, &rc);

    if (rc == 0 && n > 0) {
        rc = merge(own, n, page, &merged);
        if (rc == 0) {
            buf_fini(&page->entries);
            page->entries = merged;
        } else {
            buf_fini(&merged);
        }
    }
    free(own);
    return rc;
}

int data_ask_range(struct room *room, const struct data_range *range, void *handle)
{
    int rc;
    struct data_read *read = new_read(room, STORE_LIST, &rc);
    if (!read)
        return rc;
    if (buf_append(&read->names, range->start.ptr, range->start.len) != 0 ||
        buf_append(&read->names, range->finish.ptr, range->finish.len) != 0 ||
        buf_reserve(&read->names, 1) != 0) {
        free_read(read);
        return -ENOMEM;
    }
    const char *names = (const char *)read->names.data;
    read->base.start = (struct span){names, range->start.len};
    if (range->finish.ptr)
        read->base.finish = (struct span){names + range->start.len, range->finish.len};
    read->base.reverse = range->reverse;
    read->base.limit = range->limit;
    if (read->data->cleared <= room->durable) {
        send_read(read, handle);
        return 0;
    }
    read->answered = true; /* the store has nothing that still counts */
    begin_waiting(read->data, handle);
    read->data->read = read;
    data_check_waiter(read->data);
    return 0;
}

/* The last key of a page that others follow. */
static int copy_end(const struct store_read *page, struct buf *end)
{
    struct span rest = {(const char *)page->entries.data, page->entries.len}, key = {0}, value;

    while (page->more && store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value))
        continue;
    return page->more ? buf_append(end, key.ptr, key.len) : 0;
}

void data_take(struct room *room, struct data_answer *answer)
{
    struct room_data *data = room->data;
    struct data_read *read = data->read;

    *answer = (struct data_answer){0};
    data->read = NULL;
    if (!read)
        return;
    if (read->base.result == STORE_OK && read->base.kind == STORE_LIST &&
        (copy_end(&read->base, &answer->end) != 0 || merge_page(data, &read->base) != 0)) {
        read->base.result = STORE_FAILED;
        read->base.more = false;
        read->base.text = "not enough memory";
    }
    answer->result = read->base.result == STORE_OK ? 0 : -EIO;
    answer->text = read->base.text;
    answer->more = read->base.more;
    answer->entries = read->base.entries;
    read->base.entries = (struct buf){0};
    free_read(read);
}
