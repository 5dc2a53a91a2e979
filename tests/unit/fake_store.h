/* A store in memory whose test says when something becomes durable, fails, or is answered. */
#pragma once

#include "store/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fake_record {
    struct list link; /* in bytewise order of room id and key */
    char id[64];
    char key[256];
    size_t key_len;
    char *value;
    size_t len;
};

/* What a room has besides its keys. */
struct fake_head {
    struct list link;
    char party[16], id[64];
    int64_t alarm;
    uint32_t attempt;
    struct buf self; /* empty: none */
};

struct fake_store_room {
    struct store_room base;
    struct fake_store *store;
    char party[16], id[64];
    bool failed; /* until it is opened anew */
};

struct fake_store {
    struct store base;
    struct list batches;  /* of struct store_batch, submitted and not durable */
    struct list reads;    /* of struct store_request, not answered */
    struct list searches; /* of struct store_request, not answered */
    struct list records;  /* what is durable */
    struct list heads;    /* of struct fake_head, the same */
    int64_t alarm;        /* of the last batch with one */
    size_t n_rooms, n_batches;
    size_t n_reads, n_searches, n_selves; /* so far; of these the ones that have become durable */
};

static inline struct store_room *fake_store_open(struct store *store, struct loop *loop, struct span party,
                                                 struct span id)
{
    struct fake_store_room *room = calloc(1, sizeof *room);
    assert_non_null(room);
    room->base = (struct store_room){.store = store, .loop = loop};
    room->store = (struct fake_store *)(void *)store;
    assert_true(party.len < sizeof room->party && id.len < sizeof room->id);
    memcpy(room->party, party.ptr, party.len);
    memcpy(room->id, id.ptr, id.len);
    room->store->n_rooms++;
    return &room->base;
}

static inline void fake_store_release(struct store_room *room)
{
    ((struct fake_store_room *)(void *)room)->store->n_rooms--;
    free(room);
}

static inline void fake_store_submit(struct store_batch *batch)
{
    struct fake_store *store = ((struct fake_store_room *)(void *)batch->room)->store;
    list_push(&store->batches, &batch->link);
    store->n_batches++;
}

static inline void fake_store_read(struct store_read *read)
{
    struct fake_store *store = ((struct fake_store_room *)(void *)read->room)->store;
    list_push(&store->reads, &read->request.link);
    store->n_reads++;
}

static inline void fake_store_search(struct store_search *search)
{
    struct fake_store *store = (struct fake_store *)(void *)search->store;
    list_push(&store->searches, &search->request.link);
    store->n_searches++;
}

static const struct store_ops fake_store_ops = {
    .room_open = fake_store_open,
    .room_release = fake_store_release,
    .submit = fake_store_submit,
    .read = fake_store_read,
    .search = fake_store_search,
};

static inline void fake_store_init(struct fake_store *store)
{
    *store = (struct fake_store){.base = {.ops = &fake_store_ops}};
    list_init(&store->batches);
    list_init(&store->reads);
    list_init(&store->searches);
    list_init(&store->records);
    list_init(&store->heads);
}

static inline struct fake_head *fake_head_there(struct fake_store *store, const char *party, const char *id)
{
    list_each(link, &store->heads) {
        struct fake_head *head = container_of(link, struct fake_head, link);
        if (strcmp(head->party, party) == 0 && strcmp(head->id, id) == 0)
            return head;
    }
    return NULL;
}

/* Made when it isn't there. */
static inline struct fake_head *fake_head(struct fake_store *store, const char *party, const char *id)
{
    struct fake_head *head = fake_head_there(store, party, id);
    if (head)
        return head;
    head = calloc(1, sizeof *head);
    assert_non_null(head);
    strcpy(head->party, party);
    strcpy(head->id, id);
    list_push(&store->heads, &head->link);
    return head;
}

static inline int fake_record_order(const struct fake_record *record, const char *id, struct span key)
{
    int order = strcmp(record->id, id);
    if (order)
        return order;
    size_t len = record->key_len < key.len ? record->key_len : key.len;
    order = len ? memcmp(record->key, key.ptr, len) : 0;
    return order ? order : (record->key_len > key.len) - (record->key_len < key.len);
}

static inline void fake_record_free(struct fake_record *record)
{
    list_remove(&record->link);
    free(record->value);
    free(record);
}

static inline void fake_apply_put(struct fake_store *store, const char *id, struct span key,
                                  struct span value)
{
    struct list *before = &store->records;
    list_each_safe(link, &store->records) {
        struct fake_record *record = container_of(link, struct fake_record, link);
        int order = fake_record_order(record, id, key);
        if (order == 0)
            fake_record_free(record);
        if (order > 0) {
            before = link;
            break;
        }
    }
    if (!value.ptr)
        return;
    struct fake_record *record = calloc(1, sizeof *record);
    assert_non_null(record);
    assert_true(key.len <= sizeof record->key);
    strcpy(record->id, id);
    memcpy(record->key, key.ptr, key.len);
    record->key_len = key.len;
    record->value = malloc(value.len + 1);
    assert_non_null(record->value);
    memcpy(record->value, value.ptr, value.len);
    record->len = value.len;
    list_push(before, &record->link);
}

static inline void fake_apply(struct fake_store *store, struct store_batch *batch)
{
    const struct fake_store_room *room = (struct fake_store_room *)(void *)batch->room;
    const char *id = room->id;
    struct span rest = {(const char *)batch->ops.data, batch->ops.len};
    struct store_op op;
    struct fake_head *head;
    while (store_next_op(&rest, &op)) {
        switch (op.kind) {
        case STORE_OP_PUT: fake_apply_put(store, id, op.key, op.value.ptr ? op.value : SPAN("")); break;
        case STORE_OP_DELETE: fake_apply_put(store, id, op.key, (struct span){0}); break;
        case STORE_OP_CLEAR:
            list_each_safe(link, &store->records) {
                if (strcmp(container_of(link, struct fake_record, link)->id, id) == 0)
                    fake_record_free(container_of(link, struct fake_record, link));
            }
            break;
        case STORE_OP_ALARM:
            head = fake_head(store, room->party, id);
            head->alarm = store->alarm = op.time;
            head->attempt = op.attempt;
            break;
        case STORE_OP_SELF:
            head = fake_head(store, room->party, id);
            head->self.len = 0;
            assert_int_equal(buf_append(&head->self, op.value.ptr, op.value.len), 0);
            store->n_selves++;
            break;
        }
    }
}

/* A batch is durable, or has failed. */
static inline void fake_store_end(struct fake_store *store, struct store_batch *batch,
                                  enum store_result result)
{
    struct fake_store_room *room = (struct fake_store_room *)(void *)batch->room;
    list_remove(&batch->link);
    store->n_batches--;
    bool failed = room->failed || result != STORE_OK;
    room->failed = room->failed || (failed && !batch->apart);
    if (!failed)
        fake_apply(store, batch);
    batch->text = "the disk is full";
    loop_job_end(room->base.loop);
    batch->done(batch, failed ? STORE_FAILED : STORE_OK);
}

/* The oldest batch, of this room or (NULL) of any; NULL: there is none. */
static inline struct store_batch *fake_store_next(struct fake_store *store, const struct store_room *room)
{
    list_each(link, &store->batches) {
        struct store_batch *batch = container_of(link, struct store_batch, link);
        if (!room || batch->room == room)
            return batch;
    }
    return NULL;
}

static inline void fake_read_list(struct fake_store *store, struct store_read *read, const char *id)
{
    struct list *link = read->reverse ? store->records.prev : store->records.next;
    for (; link != &store->records; link = read->reverse ? link->prev : link->next) {
        struct fake_record *record = container_of(link, struct fake_record, link);
        if (strcmp(record->id, id) != 0 || fake_record_order(record, id, read->start) < 0 ||
            (read->finish.ptr && fake_record_order(record, id, read->finish) >= 0))
            continue;
        if ((read->limit && read->n_entries == read->limit) || read->entries.len >= STORE_PAGE) {
            read->more = true;
            break;
        }
        read->n_entries++;
        assert_int_equal(store_put_bytes(&read->entries, (struct span){record->key, record->key_len}), 0);
        assert_int_equal(store_put_bytes(&read->entries, (struct span){record->value, record->len}), 0);
    }
}

static inline void fake_read_get(struct fake_store *store, struct store_read *read, const char *id)
{
    struct span rest = {(const char *)read->keys.data, read->keys.len}, key;
    for (; store_next_bytes(&rest, &key); read->n_keys++) {
        if (read->entries.len >= STORE_PAGE) {
            read->more = true;
            return;
        }
        list_each(link, &store->records) {
            struct fake_record *record = container_of(link, struct fake_record, link);
            if (fake_record_order(record, id, key) != 0)
                continue;
            read->n_entries++;
            assert_int_equal(store_put_bytes(&read->entries, key), 0);
            assert_int_equal(store_put_bytes(&read->entries, (struct span){record->value, record->len}), 0);
        }
    }
}

static inline void fake_read_head(struct fake_store *store, struct store_read *read)
{
    const struct fake_store_room *room = (struct fake_store_room *)(void *)read->room;
    const struct fake_head *head = fake_head_there(store, room->party, room->id);

    read->alarm = head ? head->alarm : store->alarm;
    read->attempt = head ? head->attempt : 0;
    if (head && head->self.len > 0)
        assert_int_equal(store_put_bytes(&read->entries,
                                         (struct span){(const char *)head->self.data, head->self.len}),
                         0);
}

/* The oldest read is carried out, but not yet answered. NULL: there is none. */
static inline struct store_read *fake_store_look(struct fake_store *store)
{
    struct list *link = list_pop(&store->reads);
    if (!link)
        return NULL;
    struct store_read *read =
        container_of(container_of(link, struct store_request, link), struct store_read, request);
    const char *id = ((struct fake_store_room *)(void *)read->room)->id;
    if (read->kind == STORE_LIST)
        fake_read_list(store, read, id);
    if (read->kind == STORE_GET)
        fake_read_get(store, read, id);
    if (read->kind == STORE_HEAD)
        fake_read_head(store, read);
    return read;
}

/* Its answer comes. */
static inline void fake_store_give(struct store_read *read, enum store_result result)
{
    read->result = result;
    read->text = "the disk can't be read";
    loop_job_end(read->room->loop);
    read->done(read);
}

/* The oldest read is answered; false: there is none. */
static inline bool fake_store_answer(struct fake_store *store, enum store_result result)
{
    struct store_read *read = fake_store_look(store);
    if (!read)
        return false;
    fake_store_give(read, result);
    return true;
}

static inline int fake_found_order(const struct store_found *a, const struct store_found *b)
{
    if (a->alarm != b->alarm)
        return a->alarm < b->alarm ? -1 : 1;
    int order = strcmp(a->party.ptr, b->party.ptr);
    return order ? order : strcmp(a->id.ptr, b->id.ptr);
}

/* The first room behind this one that the search is for; false: there is none. */
static inline bool fake_find_next(const struct fake_store *store, const struct store_search *search,
                                  struct store_found *at)
{
    struct store_found best = {0};
    list_each(link, &store->heads) {
        struct fake_head *head = container_of(link, struct fake_head, link);
        struct store_found found = {.party = span_of(head->party),
                                    .id = span_of(head->id),
                                    .alarm = head->alarm,
                                    .attempt = head->attempt};
        if (head->alarm != 0 && head->alarm <= search->until &&
            (at->alarm == 0 || fake_found_order(&found, at) > 0) &&
            (best.alarm == 0 || fake_found_order(&found, &best) < 0))
            best = found;
    }
    *at = best;
    return best.alarm != 0;
}

/* The oldest search is carried out, but not yet answered. NULL: there is none. */
static inline struct store_search *fake_store_seek(struct fake_store *store)
{
    struct list *link = list_pop(&store->searches);
    char party[16] = "", id[64] = "";
    if (!link)
        return NULL;
    struct store_search *search =
        container_of(container_of(link, struct store_request, link), struct store_search, request);
    if (search->after_alarm) {
        memcpy(party, search->after_party.ptr, search->after_party.len);
        memcpy(id, search->after_id.ptr, search->after_id.len);
    }
    struct store_found at = {.party = span_of(party), .id = span_of(id), .alarm = search->after_alarm};
    while (search->n_found < search->limit && fake_find_next(store, search, &at)) {
        assert_int_equal(store_put_found(&search->found, &at), 0);
        search->n_found++;
    }
    return search;
}

/* Its answer comes. */
static inline void fake_store_show(struct store_search *search, enum store_result result)
{
    if (result != STORE_OK) {
        buf_fini(&search->found);
        search->n_found = 0;
    }
    search->result = result;
    search->text = "the disk can't be read";
    loop_job_end(search->loop);
    search->done(search);
}

/* The oldest search is answered; false: there is none. */
static inline bool fake_store_find(struct fake_store *store, enum store_result result)
{
    struct store_search *search = fake_store_seek(store);
    if (search)
        fake_store_show(search, result);
    return search != NULL;
}

/* All that was submitted is durable, and all reads and searches are answered. */
static inline void fake_store_settle(struct fake_store *store)
{
    for (struct store_batch *batch; (batch = fake_store_next(store, NULL)) != NULL;)
        fake_store_end(store, batch, STORE_OK);
    while (fake_store_answer(store, STORE_OK) || fake_store_find(store, STORE_OK))
        continue;
}

static inline void fake_store_fini(struct fake_store *store)
{
    while (!list_empty(&store->records))
        fake_record_free(container_of(store->records.next, struct fake_record, link));
    while (!list_empty(&store->heads)) {
        struct fake_head *head = container_of(list_pop(&store->heads), struct fake_head, link);
        buf_fini(&head->self);
        free(head);
    }
    assert_int_equal(store->n_rooms, 0);
    assert_true(list_empty(&store->batches) && list_empty(&store->reads) && list_empty(&store->searches));
}
