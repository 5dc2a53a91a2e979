/* What is known of a room's keys, and what its turns write. */
#include "room/data_private.h"
#include "room/private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

/* What a room keeps of what is durable, to answer reads at once. */
#define CACHE_BYTES (1024u * 1024u)

/* An operation of a batch has so many bytes at most beside its key and its value. */
#define OP_BYTES 16u

/* ---- entries ---- */

static struct span key_of(const struct data_entry *entry)
{
    return (struct span){entry->key, entry->key_len};
}

static size_t size_of(const struct data_entry *entry)
{
    return sizeof *entry + entry->key_len + entry->len;
}

static struct data_entry *find(const struct room_data *data, struct span key, uint64_t hash)
{
    for (struct map_node *node = map_find(&data->known.by_key, hash); node; node = map_next(node)) {
        struct data_entry *entry = container_of(node, struct data_entry, by_key);
        if (span_equal(key_of(entry), key))
            return entry;
    }
    return NULL;
}

/* An entry of which nothing is known yet, in no list. NULL: no memory. */
static struct data_entry *add(struct room_data *data, struct span key, uint64_t hash)
{
    struct data_entry *entry = calloc(1, sizeof *entry + key.len);
    if (!entry)
        return NULL;
    entry->key_len = (uint32_t)key.len;
    memcpy(entry->key, key.ptr, key.len);
    map_add(&data->known.by_key, &entry->by_key, hash);
    data->known.size += size_of(entry);
    return entry;
}

static void drop(struct data_known *known, struct data_entry *entry)
{
    known->size -= size_of(entry);
    map_remove(&known->by_key, &entry->by_key);
    list_remove(&entry->link);
    free(entry->value);
    free(entry);
}

/* Takes the value over. */
static void set(struct room_data *data, struct data_entry *entry, bool present, char *value, size_t len)
{
    data->known.size += len;
    data->known.size -= entry->len;
    free(entry->value);
    entry->value = value;
    entry->len = len;
    entry->present = present;
}

/* Never NULL but for want of memory. */
static char *copy_of(struct span value)
{
    char *copy = malloc(value.len + 1);
    if (copy && value.len > 0)
        memcpy(copy, value.ptr, value.len);
    return copy;
}

static void known_init(struct data_known *known)
{
    *known = (struct data_known){0};
    list_init(&known->dirty);
    list_init(&known->clean);
}

static void known_fini(struct data_known *known)
{
    struct list *const lists[] = {&known->dirty, &known->clean};
    for (size_t i = 0; i < 2; i++) {
        while (!list_empty(lists[i]))
            drop(known, container_of(lists[i]->next, struct data_entry, link));
    }
    map_fini(&known->by_key);
}

static void known_move(struct data_known *to, struct data_known *from)
{
    to->by_key = from->by_key;
    to->size = from->size;
    list_init(&to->dirty);
    list_init(&to->clean);
    list_splice(&to->dirty, &from->dirty);
    list_splice(&to->clean, &from->clean);
    known_init(from);
}

/* ---- the whole ---- */

struct room_data *data_of(struct room *room, int *rc)
{
    struct rooms *rooms = room->rooms;

    if (room->data || !rooms->store) {
        *rc = room->data ? 0 : -ENODEV;
        return room->data;
    }
    *rc = -ENOMEM;
    struct room_data *data = calloc(1, sizeof *data);
    if (!data)
        return NULL;
    data->store =
        store_room_open(rooms->store, rooms->loop, rooms->script->party_name(room->party), span_of(room->id));
    if (!data->store) {
        free(data);
        return NULL;
    }
    data->room = room;
    known_init(&data->known);
    known_init(&data->aside);
    list_init(&data->undo);
    room->data = data;
    *rc = 0;
    return data;
}

/* What is not durable yet is memory of the script's. */
static void charge(struct data_batch *batch, size_t bytes)
{
    batch->cost += bytes;
    batch->data->room->held += bytes;
}

static void free_batch(struct data_batch *batch)
{
    if (!batch)
        return;
    if (batch->data->room)
        batch->data->room->held -= batch->cost;
    buf_fini(&batch->base.ops);
    free(batch);
}

/* What the batch of the turn has is handed over. */
static void end_batch(struct room_data *data)
{
    if (data->batch && data->batch->base.n_ops > 0 && !data->broken)
        data_submit(data);
    free_batch(data->batch);
    data->batch = NULL;
}

static void free_if_done(struct room_data *data)
{
    if (data->room || data->under_way > 0)
        return;
    store_room_release(data->store);
    free(data);
}

void data_leave(struct room *room)
{
    struct room_data *data = room->data;
    if (!data)
        return;
    data_abandon(room);
    end_batch(data); /* of a handler that was cut: what it wrote stays, as after an error */
    room->data = NULL;
    data->room = NULL;
    known_fini(&data->known);
    free_if_done(data);
}

void data_answered(struct room_data *data)
{
    struct room *room = data->room;

    data->under_way--;
    if (room && data->broken && data->under_way == 0) { /* it is opened anew by the next event */
        data_leave(room);
        room->input_closed = false;
        room_schedule(room);
    } else if (room && !data->broken && data->saving == 0 && room->state == ROOM_NEW && room->input_closed) {
        room->input_closed = false;
        room_schedule(room);
    }
    if (room)
        room_settle(room);
    else
        free_if_done(data);
}

bool data_busy(const struct room *room)
{
    return room->data && (room->data->under_way > 0 || room->data->batch);
}

bool data_broken(const struct room *room)
{
    return room->data && room->data->broken;
}

bool data_saving(const struct room *room)
{
    return room->data && room->data->saving > 0;
}

/* ---- reading ---- */

enum data_state data_get(struct room *room, struct span key, struct span *value)
{
    struct room_data *data = room->data;
    if (!data)
        return DATA_UNKNOWN;
    struct data_entry *entry = find(data, key, map_hash(key.ptr, key.len));
    if (!entry)
        return data->cleared > room->durable ? DATA_ABSENT : DATA_UNKNOWN;
    if (entry->gate == 0) { /* it was used */
        list_remove(&entry->link);
        list_push(&data->known.clean, &entry->link);
    }
    if (!entry->present)
        return DATA_ABSENT;
    *value = (struct span){entry->value, entry->len};
    return DATA_PRESENT;
}

int data_learn(struct room_data *data, struct span key, bool present, struct span value)
{
    uint64_t hash = map_hash(key.ptr, key.len);
    if (find(data, key, hash)) /* by itself it knows better: the room has written it */
        return 0;
    char *copy = present ? copy_of(value) : NULL;
    struct data_entry *entry = present && !copy ? NULL : add(data, key, hash);
    if (!entry) {
        free(copy);
        return -ENOMEM;
    }
    set(data, entry, present, copy, present ? value.len : 0);
    list_push(&data->known.clean, &entry->link);
    return 0;
}

void data_shrink(struct room_data *data)
{
    while (data->known.size > CACHE_BYTES && !list_empty(&data->known.clean))
        drop(&data->known, container_of(data->known.clean.next, struct data_entry, link));
}

bool data_alarm(struct room *room, int64_t *time)
{
    if (!room->data || !room->data->alarm.known)
        return false;
    *time = room->data->alarm.time;
    return true;
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
    char *copy = value.ptr ? copy_of(value) : NULL;
    uint64_t hash = map_hash(key.ptr, key.len);
    struct data_entry *entry = find(data, key, hash);
    bool known = entry != NULL;
    if (!entry)
        entry = add(data, key, hash);
    struct data_batch *batch = open_batch(data);

    if (!entry || !batch || (undoable && !undo) || (value.ptr && !copy) ||
        (value.ptr ? store_batch_put(&batch->base, key, value) : store_batch_delete(&batch->base, key)) !=
            0) {
        if (entry && !known)
            drop(&data->known, entry);
        free(copy);
        free(undo);
        return -ENOMEM;
    }
    charge(batch, data_cost(key.len + value.len));
    if (undo) {
        charge(batch, entry->len);
        remember(data, undo, entry, known);
    }
    set(data, entry, value.ptr != NULL, copy, value.len);
    entry->gate = room->written + 1;
    list_remove(&entry->link);
    list_push(&data->known.dirty, &entry->link);
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

/* ---- the alarm ---- */

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
    return batch ? store_batch_self(&batch->base, self) : -ENOMEM;
}

bool room_alarm_begin(struct room *room)
{
    struct data_alarm *alarm = &room->data->alarm;

    if (alarm->time == 0 || alarm->time > clock_wall_ms())
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
    if (!alarm->rings)
        return;
    alarm->rings = false;
    if (outcome == OUTCOME_DONE) {
        rc = set_alarm(room, 0, 0);
    } else if (alarm->attempt < ALARM_RETRIES) {
        rc = set_alarm(room, clock_wall_ms() + ((int64_t)ALARM_RETRY_MS << alarm->attempt),
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

/* Among those that are not durable, by its gate; or among the others. */
static void put_back(struct room_data *data, struct data_entry *entry)
{
    list_remove(&entry->link);
    if (entry->gate <= data->room->durable) {
        entry->gate = 0;
        list_push(&data->known.clean, &entry->link);
        return;
    }
    struct list *behind = data->known.dirty.prev;
    while (behind != &data->known.dirty && container_of(behind, struct data_entry, link)->gate > entry->gate)
        behind = behind->prev;
    list_push(behind->next, &entry->link);
}

static void undo_one(struct room_data *data, struct data_undo *undo)
{
    struct data_entry *entry = undo->entry;

    if (!undo->known) {
        drop(&data->known, entry);
        return;
    }
    set(data, entry, undo->present, undo->value, undo->len);
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

void data_transaction_end(struct room *room, bool keep)
{
    struct room_data *data = room->data;
    struct list *link;

    if (!data || !data->transaction)
        return;
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

/* ---- the gate ---- */

/* What was written up to here is durable. */
static void settle_entries(struct room_data *data)
{
    struct list *link;

    if (data->read) /* it may have begun before: what it finds is older than these */
        return;
    while (!list_empty(&data->known.dirty)) {
        link = data->known.dirty.next;
        struct data_entry *entry = container_of(link, struct data_entry, link);
        if (entry->gate > data->room->durable)
            break;
        entry->gate = 0;
        list_remove(link);
        list_push(&data->known.clean, link);
    }
    if (!data->room->input_closed)
        data_shrink(data);
}

static void on_batch_done(struct store_batch *base, enum store_result result)
{
    struct data_batch *batch = container_of(base, struct data_batch, base);
    struct room_data *data = batch->data;
    struct room *room = data->room;
    uint64_t number = batch->number;
    const char *text = base->text;

    if (room && result == STORE_OK && batch->sets_alarm)
        alarms_set(&room->rooms->alarms, room, batch->alarm);

    data->pending -= base->ops.len;
    data->saving -= number == 0;
    free_batch(batch);
    if (room && result != STORE_OK && !data->broken) {
        data->broken = true;
        room_break(room, text);
    } else if (room && !data->broken && number > 0) {
        data->under_way++; /* the room may leave */
        room_durable(room, number);
        data->under_way--;
    } else if (room && !data->broken) {
        data_check_waiter(data); /* less is pending */
    }
    data_answered(data);
}

static void hand_over(struct room_data *data, struct data_batch *batch)
{
    batch->base.room = data->store;
    batch->base.done = on_batch_done;
    data->pending += batch->base.ops.len;
    data->under_way++;
    store_submit(&batch->base);
}

void data_submit(struct room_data *data)
{
    struct data_batch *batch = data->batch;

    data->batch = NULL;
    batch->number = ++data->room->written;
    batch->sets_alarm = data->alarm.written;
    batch->alarm = data->alarm.time;
    data->alarm.written = false;
    hand_over(data, batch);
}

void data_turn_end(struct room *room)
{
    struct room_data *data = room->data;

    data_transaction_end(room, false); /* of a handler that was cut */
    end_batch(data);
    settle_entries(data);
}

void data_durable(struct room *room)
{
    if (!room->data)
        return;
    settle_entries(room->data);
    data_check_waiter(room->data);
}

int data_save_self(struct room *room, struct span self)
{
    int rc;
    struct room_data *data = data_of(room, &rc);
    if (!data)
        return rc;
    struct data_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return -ENOMEM;
    batch->data = data;
    if (store_batch_self(&batch->base, self) != 0) {
        free_batch(batch);
        return -ENOMEM;
    }
    charge(batch, batch->base.ops.len);
    data->saving++;
    hand_over(data, batch);
    return 0;
}
