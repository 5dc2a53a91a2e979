/* What is the same for every driver of store.h: how operations and answers are encoded, and how they come back to
 * their loop. Called by the rooms' loops, and by the drivers' threads through driver.h. */
#include "store/store.h"

#include "base/check.h"
#include "store/driver.h"

#include <errno.h>
#include <string.h>

/* ---- bytes ---- */

static bool fits(struct span bytes)
{
    return bytes.len <= UINT32_MAX;
}

/* Room was made for it. */
static void add(struct buf *buf, const void *data, size_t len)
{
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

static void add_bytes(struct buf *buf, struct span bytes)
{
    uint32_t len = (uint32_t)bytes.len;
    add(buf, &len, sizeof len);
    add(buf, bytes.ptr, bytes.len);
}

/* Its own encoding, so what does not fit is a mistake of ours. */
static void take(struct span *rest, void *out, size_t len)
{
    CHECK(rest->len >= len);
    memcpy(out, rest->ptr, len);
    rest->ptr += len;
    rest->len -= len;
}

static struct span take_bytes(struct span *rest)
{
    uint32_t len;
    take(rest, &len, sizeof len);
    CHECK(rest->len >= len);
    struct span bytes = {rest->ptr, len};
    rest->ptr += len;
    rest->len -= len;
    return bytes;
}

int store_put_bytes(struct buf *buf, struct span bytes)
{
    if (!fits(bytes) || buf_reserve(buf, sizeof(uint32_t) + bytes.len))
        return -ENOMEM;
    add_bytes(buf, bytes);
    return 0;
}

bool store_next_bytes(struct span *rest, struct span *bytes)
{
    if (rest->len == 0)
        return false;
    *bytes = take_bytes(rest);
    return true;
}

int store_put_found(struct buf *buf, const struct store_found *found)
{
    size_t size = 2 * sizeof(uint32_t) + found->party.len + found->id.len + sizeof found->alarm +
                  sizeof found->attempt + sizeof found->keys + sizeof found->bytes;
    if (buf_reserve(buf, size))
        return -ENOMEM;
    add_bytes(buf, found->party);
    add_bytes(buf, found->id);
    add(buf, &found->alarm, sizeof found->alarm);
    add(buf, &found->attempt, sizeof found->attempt);
    add(buf, &found->keys, sizeof found->keys);
    add(buf, &found->bytes, sizeof found->bytes);
    return 0;
}

bool store_next_found(struct span *rest, struct store_found *found)
{
    if (rest->len == 0)
        return false;
    found->party = take_bytes(rest);
    found->id = take_bytes(rest);
    take(rest, &found->alarm, sizeof found->alarm);
    take(rest, &found->attempt, sizeof found->attempt);
    take(rest, &found->keys, sizeof found->keys);
    take(rest, &found->bytes, sizeof found->bytes);
    return true;
}

/* ---- operations: a byte of kind, then what it has ---- */

static int begin_op(struct store_batch *batch, enum store_op_kind kind, size_t size)
{
    uint8_t byte = (uint8_t)kind;
    if (buf_reserve(&batch->ops, 1 + size))
        return -ENOMEM;
    add(&batch->ops, &byte, 1);
    batch->n_ops++;
    return 0;
}

int store_batch_put(struct store_batch *batch, struct span key, struct span value)
{
    if (!fits(key) || !fits(value) ||
        begin_op(batch, STORE_OP_PUT, 2 * sizeof(uint32_t) + key.len + value.len))
        return -ENOMEM;
    add_bytes(&batch->ops, key);
    add_bytes(&batch->ops, value);
    return 0;
}

int store_batch_delete(struct store_batch *batch, struct span key)
{
    if (!fits(key) || begin_op(batch, STORE_OP_DELETE, sizeof(uint32_t) + key.len))
        return -ENOMEM;
    add_bytes(&batch->ops, key);
    return 0;
}

int store_batch_clear(struct store_batch *batch)
{
    return begin_op(batch, STORE_OP_CLEAR, 0);
}

int store_batch_alarm(struct store_batch *batch, int64_t time, uint32_t attempt)
{
    if (begin_op(batch, STORE_OP_ALARM, sizeof time + sizeof attempt))
        return -ENOMEM;
    add(&batch->ops, &time, sizeof time);
    add(&batch->ops, &attempt, sizeof attempt);
    return 0;
}

int store_batch_self(struct store_batch *batch, struct span value)
{
    if (!fits(value) || begin_op(batch, STORE_OP_SELF, sizeof(uint32_t) + value.len))
        return -ENOMEM;
    add_bytes(&batch->ops, value);
    return 0;
}

bool store_next_op(struct span *rest, struct store_op *op)
{
    uint8_t kind;

    if (rest->len == 0)
        return false;
    take(rest, &kind, 1);
    *op = (struct store_op){.kind = kind};
    switch (op->kind) {
    case STORE_OP_PUT:
        op->key = take_bytes(rest);
        op->value = take_bytes(rest);
        return true;
    case STORE_OP_DELETE: op->key = take_bytes(rest); return true;
    case STORE_OP_CLEAR: return true;
    case STORE_OP_ALARM:
        take(rest, &op->time, sizeof op->time);
        take(rest, &op->attempt, sizeof op->attempt);
        return true;
    case STORE_OP_SELF: op->value = take_bytes(rest); return true;
    }
    check_failed(__FILE__, __LINE__, "an operation is of a kind that there is");
}

/* ---- back to the loop ---- */

static void batches_done(struct loop_message *message)
{
    struct store_batch *first = container_of(message, struct store_batch, message);
    struct loop *loop = first->room->loop;
    struct list batches, *link;

    /* The others are linked to the first one in a ring. */
    batches = (struct list){0};
    list_push(&first->link, &batches);
    while ((link = list_pop(&batches)) != NULL) {
        struct store_batch *batch = container_of(link, struct store_batch, link);
        loop_job_end(loop);
        batch->done(batch, batch->result);
    }
}

void store_post_batches(struct loop *loop, struct list *batches)
{
    struct store_batch *first = container_of(batches->next, struct store_batch, link);

    list_remove(batches);
    list_init(batches);
    first->message.fn = batches_done;
    loop_post(loop, &first->message);
}

static void read_done(struct loop_message *message)
{
    struct store_read *read = container_of(message, struct store_read, request.message);
    loop_job_end(read->room->loop);
    read->done(read);
}

void store_post_read(struct store_read *read)
{
    read->request.message.fn = read_done;
    loop_post(read->room->loop, &read->request.message);
}

static void search_done(struct loop_message *message)
{
    struct store_search *search = container_of(message, struct store_search, request.message);
    loop_job_end(search->loop);
    search->done(search);
}

void store_post_search(struct store_search *search)
{
    search->request.message.fn = search_done;
    loop_post(search->loop, &search->request.message);
}

/* ---- to the driver ---- */

struct store_room *store_room_open(struct store *store, struct loop *loop, struct span party, struct span id)
{
    struct store_room *room = store->ops->room_open(store, loop, party, id);
    if (room) {
        room->store = store;
        room->loop = loop;
    }
    return room;
}

void store_room_release(struct store_room *room)
{
    if (room)
        room->store->ops->room_release(room);
}

void store_submit(struct store_batch *batch)
{
    batch->result = STORE_OK;
    batch->text = batch->file = NULL;
    loop_job_begin(batch->room->loop);
    batch->room->store->ops->submit(batch);
}

bool store_extend(struct store_batch *batch, const struct store_batch *more)
{
    const struct store_ops *ops = batch->room->store->ops;

    if (!ops->waits || !ops->waits(batch) || buf_append(&batch->ops, more->ops.data, more->ops.len) != 0)
        return false;
    batch->n_ops += more->n_ops;
    return true;
}

void store_read(struct store_read *read)
{
    read->result = STORE_OK;
    read->text = read->file = NULL;
    read->n_entries = 0;
    read->more = false;
    read->n_keys = 0;
    read->empty = true;
    read->alarm = 0;
    read->attempt = 0;
    loop_job_begin(read->room->loop);
    read->room->store->ops->read(read);
}

void store_search(struct store_search *search)
{
    search->result = STORE_OK;
    search->text = search->file = NULL;
    search->n_found = 0;
    loop_job_begin(search->loop);
    search->store->ops->search(search);
}

void store_backup(struct store_backup *backup)
{
    backup->result = STORE_OK;
    backup->text[0] = '\0';
    backup->store->ops->backup(backup);
}

void store_close(struct store *store)
{
    if (store)
        store->ops->close(store);
}
