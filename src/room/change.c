/* Changes of rooms' data from outside. The event has no handler; its answer goes through the output gate like that of
 * a request, so it leaves when the change is durable. */
#include "room/change.h"

#include "room/data.h"
#include "room/private.h"
#include "store/driver.h"

#include <errno.h>
#include <stdlib.h>

static void finish(struct room_change *change, int result)
{
    change->result = result;
    change->done(change);
}

/* ---- a room of which no event can come meanwhile ---- */

static void stored(struct store_batch *batch, enum store_result result)
{
    struct room_change *change = container_of(batch, struct room_change, batch);

    change->text = batch->text;
    change->file = batch->file;
    store_room_release(batch->room);
    finish(change, result == STORE_OK ? 0 : -EIO);
}

void room_change_stored(struct store *store, struct loop *loop, struct room_change *change)
{
    change->batch.room = store_room_open(store, loop, change->party, change->id);
    change->batch.done = stored;
    if (change->batch.room)
        store_submit(&change->batch);
    else
        finish(change, -ENOMEM);
}

/* ---- a room that lives ---- */

static int apply_one(struct room *room, const struct store_op *op)
{
    switch (op->kind) {
    case STORE_OP_PUT: return data_put(room, op->key, op->value);
    case STORE_OP_DELETE: return data_delete(room, op->key);
    case STORE_OP_CLEAR: return data_clear(room);
    case STORE_OP_ALARM: return data_restore_alarm(room, op->time, op->attempt);
    case STORE_OP_SELF: return room->instance ? -EBUSY : data_restore_self(room, op->value);
    }
    return -EINVAL;
}

/* All of it, or nothing. */
static int apply(struct room *room, const struct room_change *change)
{
    struct span rest = {(const char *)change->batch.ops.data, change->batch.ops.len};
    struct store_op op;

    int rc = data_transaction_begin(room);
    if (rc)
        return rc;
    while (rc == 0 && store_next_op(&rest, &op))
        rc = apply_one(room, &op);
    data_transaction_end(room, rc == 0);
    return rc;
}

void room_run_change(struct room *room, struct event *event)
{
    struct room_change *change = event->handle;

    change->result = apply(room, change);
    room->n_open++;
    room_respond(room, event, http_response_new(204));
    event_free(event);
}

/* A room that was made for the change alone goes again. */
static void let_go(struct room_change *change)
{
    struct room *room = rooms_find(change->rooms, change->party, change->id);

    if (change->made && room && room->state == ROOM_NEW && list_empty(&room->inbox) && room->n_peers == 0 &&
        room->outq.count == 0 && !data_busy(room))
        room_remove(room);
}

static void on_soon(struct soon *soon)
{
    struct room_change *change = container_of(soon, struct room_change, soon);

    let_go(change);
    change->done(change);
}

static void on_respond(struct exchange *exchange, struct http_response *response)
{
    struct room_change *change = container_of(exchange, struct room_change, exchange);

    if (!response || response->status != 204)
        change->result = change->rooms->stopping ? -ESHUTDOWN : -EIO;
    http_response_free(response);
    loop_soon(change->rooms->loop, &change->soon); /* the room is at work yet */
}

void rooms_change(struct rooms *rooms, struct room_change *change)
{
    struct room *room = rooms_find(rooms, change->party, change->id);

    change->text = change->file = NULL;
    if (rooms->stopping || !rooms->store) {
        finish(change, rooms->stopping ? -ESHUTDOWN : -ENODEV);
        return;
    }
    change->made = !room;
    if (!room) {
        struct party *party = rooms->script->party_find(rooms->script_user, change->party);
        if (!party) { /* so nobody can make the room */
            room_change_stored(rooms->store, rooms->loop, change);
            return;
        }
        room = rooms_get(rooms, party, change->party, change->id);
    }
    struct event *event = room ? event_new(EVENT_CHANGE) : NULL;
    if (!event) {
        finish(change, -ENOMEM);
        return;
    }
    change->rooms = rooms;
    change->exchange.respond = on_respond;
    change->soon = (struct soon){.fn = on_soon};
    event->handle = change;
    event->exchange = &change->exchange;
    room_post(room, event);
}
