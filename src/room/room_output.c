/* What a script does to the world outside, and the gate that it passes: effects are staged
 * during a turn and leave at its end, or wait until what the turn wrote is durable. */
#include "room/data.h"
#include "room/private.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

void room_turn_begin(struct room *room)
{
    CHECK(!room->rooms->running);
    room->rooms->running = room;
}

/* The turn's effects wait. Where there is no memory for one, nobody is left with a gap in what it
 * was sent: all are closed. */
static void hold_back(struct room *room, uint64_t gate)
{
    if (outq_move(&room->rooms->staged, &room->outq, gate) == 0)
        return;
    list_each(it, &room->peers) {
        struct peer *peer = container_of(it, struct peer, link);
        if (peer_open(peer))
            peer->kind->close(peer, 1011, NULL, 0);
    }
}

/* The end of a turn in which a handler waited for the store, or of a part of one. What it has sent waits for
 * all that it writes, whenever that was. */
static void end_part(struct room *room)
{
    hold_back(room, OUTQ_UNKNOWN);
    room->turn_open = room->input_closed;
    if (room->turn_open)
        return;
    outq_decide(&room->outq, room->written);
    outq_drain(&room->outq, room, room->durable);
}

void room_turn_end(struct room *room)
{
    struct rooms *rooms = room->rooms;

    if (room->destroying && !room->input_closed)
        (void)!data_wipe(room); /* what its handler has written since; can't fail the second time */
    if (room->data && !room->input_closed)
        data_turn_end(room);
    if (room->turn_open || room->input_closed) {
        end_part(room);
    } else if (rooms->staged.count > 0) {
        if (room->outq.count == 0 && room->written <= room->durable)
            outq_drain(&rooms->staged, room, UINT64_MAX);
        else
            hold_back(room, room->written);
    }
    rooms->running = NULL; /* not before: what the effects bring about is no part of this turn */
    if (room->state == ROOM_NEW && data_saving(room))
        room->input_closed = true; /* the next VM is to find it */
}

void room_durable(struct room *room, uint64_t number)
{
    CHECK(number >= room->durable && number <= room->written);
    room->durable = number;
    data_durable(room);
    outq_drain(&room->outq, room, number);
    if (room->outq.count == 0)
        outq_fini(&room->outq); /* most rooms have nothing at the gate most of the time */
    room_resume_peers(room);
}

/* Stages an effect; outside of a turn (a close for want of memory) it is a turn of its own. */
static int stage(struct room *room, const struct effect *effect)
{
    if (room->rooms->running)
        return outq_push(&room->rooms->staged, effect);
    room_turn_begin(room);
    int rc = outq_push(&room->rooms->staged, effect);
    room_turn_end(room);
    return rc;
}

static bool output_full(const struct room *room, const struct effect *effect)
{
    size_t bytes = room->rooms->staged.bytes + room->outq.bytes;
    return bytes + outq_cost(effect) > room->rooms->limits.output;
}

/* Do others have these bytes besides the caller? Then they are counted with one of those. */
static bool is_shared(const struct bytes *data)
{
    return data->refs > 1;
}

/* What it takes for so many peers of a kind besides. */
static size_t copies_cost(const struct peer_kind *kind, const struct bytes *data, bool binary, size_t n_peers)
{
    return kind->copy_cost && n_peers > 0 ? kind->copy_cost(data, binary, n_peers) : 0;
}

int room_send(struct peer *peer, struct bytes *data, bool binary)
{
    struct effect effect = {
        .kind = EFFECT_SEND, .peer = peer, .data = data, .binary = binary, .shared = is_shared(data)};

    if (!peer->room || !peer_open(peer))
        return -EPIPE;
    effect.copies = copies_cost(peer->kind, data, binary, 1);
    if (output_full(peer->room, &effect))
        return -ENOBUFS;
    peer_ref(peer);
    bytes_ref(data);
    peer->staged += data->len;
    return stage(peer->room, &effect);
}

int room_broadcast(struct room *room, struct bytes *data, bool binary, struct peer *const *without, size_t n)
{
    struct effect effect = {.kind = EFFECT_BROADCAST,
                            .data = data,
                            .binary = binary,
                            .shared = is_shared(data),
                            .n_without = (uint32_t)n};

    if (room->n_listed == 0)
        return 0;
    for (const struct peer_group *group = room->groups; group; group = group->next)
        effect.copies += copies_cost(group->kind, data, binary, group->n_members);
    if (output_full(room, &effect))
        return -ENOBUFS;
    if (n == 1)
        effect.peer = without[0];
    else if (n > 1 && !(effect.without = malloc(n * sizeof(struct peer *))))
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        peer_ref(without[i]);
    if (n > 1)
        memcpy(effect.without, without, n * sizeof(struct peer *));
    bytes_ref(data);
    return stage(room, &effect);
}

int room_close_peer(struct peer *peer, uint16_t code, const char *reason, size_t len)
{
    struct room *room = peer->room;
    if (!room || (!peer_open(peer) && peer->state != PEER_NEW))
        return -EPIPE;

    struct effect effect = {.kind = EFFECT_CLOSE, .code = code, .peer = peer_ref(peer)};
    if (len > 0)
        effect.data = bytes_copy(reason, len);
    room_unlist(peer);
    peer->state = PEER_CLOSING;
    return stage(room, &effect);
}

void room_respond(struct room *room, struct event *event, struct http_response *response)
{
    if (!event->exchange) {
        http_response_free(response);
        return;
    }
    struct effect effect = {.kind = EFFECT_RESPOND, .exchange = event->exchange, .response = response};
    event->exchange = NULL;
    room->n_open--;
    if (event->kind == EVENT_HOOK)
        room_lent_back(room, event);
    (void)!stage(room, &effect); /* without memory it was answered with 503 */
}

int room_depart(struct room *room, struct departure *departure)
{
    struct effect effect = {.kind = EFFECT_DEPART, .departure = departure};

    if (output_full(room, &effect)) {
        departure->drop(departure);
        return -ENOBUFS;
    }
    return stage(room, &effect);
}

/* The first of these nodes that is a peer of the room with this id. */
static struct peer *match_peer(struct map_node *node, const struct room *room, struct span id)
{
    for (; node; node = map_next(node)) {
        struct peer *peer = container_of(node, struct peer, by_id);
        if (peer->room == room && span_equal(span_of(peer->id), id))
            return peer;
    }
    return NULL;
}

struct peer *room_find_peer(struct room *room, struct span id)
{
    uint64_t hash = map_hash2(&room, sizeof(struct room *), id.ptr, id.len);
    return match_peer(map_find(&room->rooms->peers_by_id, hash), room, id);
}

struct peer *room_next_peer(struct peer *peer)
{
    return match_peer(map_next(&peer->by_id), peer->room, span_of(peer->id));
}

size_t room_peer_pending(const struct peer *peer)
{
    return peer->staged + peer->kind->pending(peer);
}
