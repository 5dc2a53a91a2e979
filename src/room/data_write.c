/* What the turns of a room write: keys, the alarm, and transactions over both. */
#include "room/data_private.h"
#include "room/private.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

/* An operation of a batch has so many bytes at most beside its key and its value. */
#define OP_BYTES 16u

void data_charge(struct data_batch *batch, size_t bytes)
{
    batch->cost += bytes;
    batch->data->room->held += bytes;
}

/* ---- writing ---- */

/* The batch of the turn that runs. NULL: no memory. */
static struct data_batch *open_batch(struct room_data *data)
{
    if (!data->batch) {
        data->batch = calloc(1, sizeof *data->batch);
        if (data->batch)
            data->batch->data = data;
    }
    return data->batch;
}

size_t data_cost(size_t bytes)
{
    return OP_BYTES + sizeof(struct data_entry) + sizeof(struct data_undo) + 2 * bytes;
}

bool data_fits(const struct room *room, size_t n, size_t bytes)
{
    size_t len = room->data && room->data->batch ? room->data->batch->base.ops.len : 0;
    return len + n * OP_BYTES + bytes <= room->rooms->limits.output / 4; /* twice that is held meanwhile */
}

/* What the entry is goes into undo. */
static void remember(struct room_data *data, struct data_undo *undo, struct data_entry *entry, bool known)
{
    *undo = (struct data_undo){.entry = entry,
                               .gate = entry->gate,
                               .known = known,
                               .present = entry->present,
                               .len = entry->len,
                               .value = entry->value};
    list_push(&data->undo, &undo->link);
    data->known.size -= entry->len;
    entry->value = NULL;
    entry->len = 0;
}

/* value.ptr NULL: it is deleted. */
static int write_key(struct room *room, struct span key, struct span value)
{
    int rc;
    struct room_data *data = data_of(room, &rc);
    if (!data)
        return rc;
    if (!data_fits(room, 1, key.len + value.len))
        return -ENOBUFS;

    bool undoable = data->transaction && !data->has_aside;
    struct data_undo *undo = undoable ? malloc(sizeof *undo) : NULL;
    char *copy = value.ptr ? known_copy(value) : NULL;
    uint64_t hash = map_hash(key.ptr, key.len);
    struct data_entry *entry = known_find(&data->known, key, hash);
    bool known = entry != NULL;
    if (!entry)
        entry = known_add(&data->known, key, hash);
    struct data_batch *batch = open_batch(data);

    if (!entry || !batch || (undoable && !undo) || (value.ptr && !copy) ||
        (value.ptr ? store_batch_put(&batch->base, key, value) : store_batch_delete(&batch->base, key)) !=
            0) {
        if (entry && !known)
            known_drop(&data->known, entry);
        free(copy);
        free(undo);
        return -ENOMEM;
    }
    data_charge(batch, data_cost(key.len + value.len));
    if (undo) {
        data_charge(batch, entry->len);
        remember(data, undo, entry, known);
    }
    known_set(&data->known, entry, value.ptr != NULL, copy, value.len);
    entry->gate = room->written + 1;
    list_remove(&entry->link);
    list_push(&data->known.turn, &entry->link);
    return 0;
}

int data_put(struct room *room, struct span key, struct span value)
{
    return write_key(room, key, value.ptr ? value : SPAN(""));
}

int data_delete(struct room *room, struct span key)
{
    return write_key(room, key, (struct span){0});
}

int data_clear(struct room *room)
{
    int rc;
    struct room_data *data = data_of(room, &rc);
    if (!data)
        return rc;
    if (!data_fits(room, 1, 0))
        return -ENOBUFS;
    struct data_batch *batch = open_batch(data);
    if (!batch || store_batch_clear(&batch->base) != 0)
        return -ENOMEM;
    data_charge(batch, data_cost(0));
    if (data->transaction && !data->has_aside) {
        known_move(&data->aside, &data->known);
        data->has_aside = true;
    } else {
        known_fini(&data->known);
        known_init(&data->known);
    }
    data->cleared = room->written + 1;
    return 0;
}

/* Bytes that the three operations of a wipe take at most. */
#define WIPE_BYTES 64u

int data_wipe(struct room *room)
{
    int rc;
    struct room_data *data = data_of(room, &rc);
    if (!data)
        return rc == -ENODEV ? 0 : rc;
    data_transaction_end(room, false);
    struct data_batch *batch = open_batch(data);
    if (!batch || buf_reserve(&batch->base.ops, WIPE_BYTES) != 0)
        return -ENOMEM;
    batch->base.ops.len = 0; /* what it held is of no use now; its memory is */
    batch->base.n_ops = 0;
    CHECK(store_batch_clear(&batch->base) == 0 && store_batch_alarm(&batch->base, 0, 0) == 0 &&
          store_batch_self(&batch->base, (struct span){0}) == 0);
    data_charge(batch, data_cost(0));
    data_saves_self(batch);
    known_fini(&data->known);
    known_init(&data->known);
    data->cleared = room->written + 1;
    data->alarm = (struct data_alarm){.known = true, .written = true};
    return 0;
}

/* ---- the alarm ---- */

bool data_alarm(struct room *room, int64_t *time)
{
    if (!room->data || !room->data->alarm.known)
        return false;
    *time = room->data->alarm.time;
    return true;
}

/* How long after a failure the handler is called again, doubled with each; and how often. */
#define ALARM_RETRY_MS 2000
#define ALARM_RETRIES 6u

static int set_alarm(struct room *room, int64_t time, uint32_t attempt)
{
    int rc;
    struct room_data *data = data_of(room, &rc);
    if (!data)
        return rc;
    if (!data_fits(room, 1, 0))
        return -ENOBUFS;
    struct data_batch *batch = open_batch(data);
    if (!batch || store_batch_alarm(&batch->base, time, attempt) != 0)
        return -ENOMEM;
    data_charge(batch, data_cost(0));
    data->alarm = (struct data_alarm){.known = true, .time = time, .attempt = attempt, .written = true};
    return 0;
}

int data_set_alarm(struct room *room, int64_t time)
{
    return set_alarm(room, time, 0);
}

int data_restore_alarm(struct room *room, int64_t time, uint32_t attempt)
{
    return set_alarm(room, time, attempt);
}

int data_restore_self(struct room *room, struct span self)
{
    int rc;
    struct room_data *data = data_of(room, &rc);
    if (!data)
        return rc;
    struct data_batch *batch = open_batch(data);
    if (!batch || store_batch_self(&batch->base, self) != 0)
        return -ENOMEM;
    data_charge(batch, data_cost(self.len));
    data_saves_self(batch);
    return 0;
}

bool room_alarm_begin(struct room *room)
{
    struct data_alarm *alarm = &room->data->alarm;

    if (alarm->time == 0 || alarm->time > loop_wall_ms(room->rooms->loop))
        return false;
    alarm->time = 0;
    alarm->rings = true;
    return true;
}

/* Without memory for any of it the alarm stays in the store, and rings again. */
void room_alarm_end(struct room *room, enum outcome outcome)
{
    struct data_alarm *alarm = room->data ? &room->data->alarm : NULL;
    int rc;

    room->alarm_due = false;
    if (!alarm)
        return;
    data_transaction_end(room, false); /* of a handler that was cut: what follows is no part of it */
    if (alarm->known && alarm->time > 0 &&
        !alarm->written) /* its timer may be over already, while this ran */
        alarms_set(&room->rooms->alarms, room, alarm->time);
    if (!alarm->rings)
        return;
    alarm->rings = false;
    if (outcome == OUTCOME_DONE) {
        rc = set_alarm(room, 0, 0);
    } else if (alarm->attempt < ALARM_RETRIES) {
        rc = set_alarm(room, loop_wall_ms(room->rooms->loop) + ((int64_t)ALARM_RETRY_MS << alarm->attempt),
                       alarm->attempt + 1);
    } else {
        log_event(LOG_ERROR, "onAlarm has failed too often: the alarm is dropped",
                  log_str("party", room->rooms->script->party_name(room->party).ptr),
                  log_str("room", room->id), log_int("failures", (int64_t)alarm->attempt + 1));
        rc = set_alarm(room, 0, 0);
    }
    if (rc != 0)
        alarm->known = false;
}

/* ---- transactions ---- */

int data_transaction_begin(struct room *room)
{
    int rc;
    struct room_data *data = data_of(room, &rc);
    if (!data)
        return rc;
    if (data->transaction)
        return -EBUSY;
    data->transaction = ++data->n_transactions;
    data->mark_len = data->batch ? data->batch->base.ops.len : 0;
    data->mark_ops = data->batch ? data->batch->base.n_ops : 0;
    data->mark_cleared = data->cleared;
    data->mark_alarm = data->alarm;
    return 0;
}

uint64_t data_transaction(const struct room *room)
{
    return room->data ? room->data->transaction : 0;
}

/* Where it was. One of an earlier turn may wait for a later batch than its own: which place it had among the others is
 * not worth a search, with so many of them as a transaction may have. */
static void put_back(struct room_data *data, struct data_entry *entry)
{
    list_remove(&entry->link);
    if (entry->gate <= data->room->durable) {
        entry->gate = 0;
        list_push(&data->known.clean, &entry->link);
        return;
    }
    if (entry->gate > data->room->written) {
        list_push(&data->known.turn, &entry->link);
        return;
    }
    entry->gate = data->room->written;
    list_push(&data->known.dirty, &entry->link);
}

static void undo_one(struct room_data *data, struct data_undo *undo)
{
    struct data_entry *entry = undo->entry;

    if (!undo->known) {
        known_drop(&data->known, entry);
        return;
    }
    known_set(&data->known, entry, undo->present, undo->value, undo->len);
    entry->gate = undo->gate;
    put_back(data, entry);
}

static void take_back(struct room_data *data)
{
    if (data->has_aside) {
        known_fini(&data->known);
        known_move(&data->known, &data->aside);
    }
    while (!list_empty(&data->undo)) {
        struct data_undo *undo = container_of(data->undo.prev, struct data_undo, link);
        list_remove(&undo->link);
        undo_one(data, undo);
        free(undo);
    }
    if (data->batch) {
        data->batch->base.ops.len = data->mark_len;
        data->batch->base.n_ops = data->mark_ops;
    }
    data->cleared = data->mark_cleared;
    data->alarm = data->mark_alarm;
}

uint64_t data_taken_back(const struct room *room)
{
    return room->data ? room->data->n_taken_back : 0;
}

void data_transaction_end(struct room *room, bool keep)
{
    struct room_data *data = room->data;
    struct list *link;

    if (!data || !data->transaction)
        return;
    data->n_taken_back += !keep;
    if (!keep)
        take_back(data);
    else if (data->has_aside)
        known_fini(&data->aside);
    while ((link = list_pop(&data->undo)) != NULL) {
        struct data_undo *undo = container_of(link, struct data_undo, link);
        free(undo->value);
        free(undo);
    }
    data->has_aside = false;
    data->transaction = 0;
}
