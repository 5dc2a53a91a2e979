/* A room's data as a whole, and its way to the store: batches that are handed over, that become durable or fail. */
#include "room/data_private.h"
#include "room/private.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the whole ---- */

static void on_later(struct timer *timer);

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
    data->later.fn = on_later;
    known_init(&data->known);
    known_init(&data->aside);
    list_init(&data->undo);
    room->data = data;
    *rc = 0;
    return data;
}

static void free_batch(struct data_batch *batch)
{
    if (!batch)
        return;
    batch->data->saving -= batch->saves;
    if (batch->data->self == batch)
        batch->data->self = NULL;
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

/* Another one takes its place, or its room is gone. */
static void drop_again(struct room_data *data)
{
    if (!data->again)
        return;
    timer_stop(&data->later);
    free_batch(data->again);
    data->again = NULL;
    data->under_way--;
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
    drop_again(data);
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

/* After so many ms a copy of self is tried again, doubled with each failure; and at most. */
#define AGAIN_MS 1000u
#define AGAIN_MOST_MS 32000u

/* It has failed, and nothing builds on it. Does its room have what it is a copy of, and can wait? */
static bool may_try_again(const struct room *room)
{
    return room->instance && !room->rooms->stopping &&
           (room->state != ROOM_STOPPING || list_empty(&room->inbox));
}

/* A copy of self that was not kept. True: it is to be submitted again. */
static bool copy_failed(struct room_data *data, struct data_batch *batch)
{
    struct room *room = data->room;

    if (!room || data->broken || data->self != batch)
        return false; /* nobody would read it */
    bool again = may_try_again(room);
    if (!again || data->failures == 0)
        room_say_unstored(
            room,
            again ? "self could not be saved (persist): it is tried again"
                  : "self could not be saved (persist): what has changed since the last time is lost",
            batch->base.text);
    if (!again) {
        data->lost = true;
        return false;
    }
    uint64_t ms = AGAIN_MS;
    for (uint32_t i = 0; i < data->failures && ms < AGAIN_MOST_MS && room->state != ROOM_STOPPING; i++)
        ms *= 2;
    data->failures++;
    data->again = batch;
    timer_start(room->rooms->loop, &data->later, ms);
    return true;
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

    if (data->last == batch)
        data->last = NULL;
    data->pending -= base->ops.len;
    if (number == 0 && result != STORE_OK && copy_failed(data, batch)) {
        data_check_waiter(data); /* less is pending */
        return;
    }
    if (number == 0 && result == STORE_OK)
        data->failures = 0;
    free_batch(batch);
    if (room && result != STORE_OK && number > 0 && !data->broken) {
        data->broken = true;
        drop_again(data);
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

/* Batches do not get longer than this by others' operations. */
#define JOINED_BYTES (64u * 1024u)

/* Turns that follow each other closely (several messages that came with one read) are one batch. */
static bool join_last(struct room_data *data, struct data_batch *batch)
{
    struct data_batch *last = data->last;

    if (!last || batch->saves || last->base.ops.len + batch->base.ops.len > JOINED_BYTES ||
        !store_extend(&last->base, &batch->base))
        return false;
    last->number = batch->number;
    if (batch->sets_alarm) {
        last->sets_alarm = true;
        last->alarm = batch->alarm;
    }
    last->cost += batch->cost;
    batch->cost = 0;
    data->pending += batch->base.ops.len;
    free_batch(batch);
    return true;
}

void data_saves_self(struct data_batch *batch)
{
    batch->data->saving += !batch->saves;
    batch->saves = true;
}

static void hand_over(struct room_data *data, struct data_batch *batch)
{
    data->last = batch->number ? batch : NULL; /* a copy of self stays where it was put */
    if (batch->saves) {
        drop_again(data);
        data->self = batch;
    }
    batch->base.apart = batch->number == 0;
    batch->base.room = data->store;
    batch->base.done = on_batch_done;
    data->pending += batch->base.ops.len;
    data->under_way++;
    store_submit(&batch->base);
}

static void on_later(struct timer *timer)
{
    struct room_data *data = container_of(timer, struct room_data, later);
    struct data_batch *batch = data->again;

    data->again = NULL;
    data->under_way--;
    hand_over(data, batch);
}

void data_try_again(struct room *room)
{
    if (!room->data || !room->data->again)
        return;
    timer_stop(&room->data->later);
    on_later(&room->data->later);
}

void data_submit(struct room_data *data)
{
    struct data_batch *batch = data->batch;

    data->batch = NULL;
    batch->number = ++data->room->written;
    list_splice(&data->known.dirty, &data->known.turn);
    batch->sets_alarm = data->alarm.written;
    batch->alarm = data->alarm.time;
    data->alarm.written = false;
    if (!join_last(data, batch))
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
    data_charge(batch, batch->base.ops.len);
    data_saves_self(batch);
    data->lost = false;
    hand_over(data, batch);
    return 0;
}

bool data_self_lost(const struct room *room)
{
    return room->data && room->data->lost;
}
