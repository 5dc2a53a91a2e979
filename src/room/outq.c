/* Carries out a room's effects, in order. */
#include "room/outq.h"

#include "room/room.h"

#include <errno.h>
#include <stdlib.h>

/* As many as make a block that malloc's own cache takes back (1 KiB): a queue at the gate that is filled and
 * emptied again and again costs little. */
#define CHUNK_EFFECTS 20u

#define MALLOC_HEAD 16u /* what malloc adds to a block, about */

/* One of several that are left out: its place, and the copy of what it was sent before, which must not be followed by
 * the broadcast. */
#define LEFT_OUT_COST 64u

struct outq_chunk {
    struct outq_chunk *next;
    struct effect effects[CHUNK_EFFECTS];
};

size_t outq_cost(const struct effect *effect)
{
    size_t cost = sizeof *effect;

    if (effect->kind == EFFECT_RESPOND || effect->kind == EFFECT_REFUSE)
        return cost + (effect->response ? MALLOC_HEAD + http_response_size(effect->response) : 0);
    if (effect->kind == EFFECT_DEPART)
        return cost + effect->departure->cost;
    if (effect->n_without > 1)
        cost += MALLOC_HEAD + effect->n_without * LEFT_OUT_COST;
    return cost + effect->copies + (effect->shared ? effect->data->len : bytes_cost(effect->data));
}

/* Who does not get the broadcast: n_without of them. */
static struct peer *const *left_out(const struct effect *effect)
{
    return effect->n_without > 1 ? effect->without : &effect->peer;
}

/* The one that is left out is effect->peer, and goes as every effect's peer does. */
static void release_without(struct effect *effect)
{
    if (effect->n_without <= 1)
        return;
    for (uint32_t i = 0; i < effect->n_without; i++)
        peer_unref(effect->without[i]);
    free(effect->without);
}

/* Gives back what an effect owns; a request that it would have answered gets 503. */
static void effect_drop(struct effect *effect)
{
    if (effect->kind == EFFECT_RESPOND) {
        http_response_free(effect->response);
        effect->exchange->respond(effect->exchange, http_response_text(503, "Service unavailable"));
        return;
    }
    if (effect->kind == EFFECT_REFUSE) {
        effect->peer->kind->refuse(effect->peer, effect->response);
        peer_unref(effect->peer);
        return;
    }
    if (effect->kind == EFFECT_DEPART) {
        effect->departure->drop(effect->departure);
        return;
    }
    if (effect->kind == EFFECT_SEND)
        effect->peer->staged -= effect->data->len;
    else if (effect->kind == EFFECT_BROADCAST)
        release_without(effect);
    else
        effect->peer->kind->close(effect->peer, 1011, NULL, 0);
    bytes_unref(effect->data);
    peer_unref(effect->peer);
}

/* The group of a peer's kind, made for the first one. */
static struct peer_group *room_group(struct room *room, const struct peer_kind *kind)
{
    for (struct peer_group *group = room->groups; group; group = group->next) {
        if (group->kind == kind)
            return group;
    }
    struct peer_group *group = kind->group_open(room);
    if (group) {
        group->kind = kind;
        group->next = room->groups;
        room->groups = group;
    }
    return group;
}

static void effect_join(struct room *room, struct peer *peer)
{
    struct peer_group *group = room_group(room, peer->kind);
    if (group)
        peer->kind->join(peer, group);
    else
        peer->kind->close(peer, 1011, NULL, 0);
}

static void effect_apply(struct effect *effect, struct room *room)
{
    struct peer *peer = effect->peer;

    switch ((enum effect_kind)effect->kind) {
    case EFFECT_JOIN: effect_join(room, peer); break;
    case EFFECT_ACCEPT: peer->kind->accept(peer); break;
    case EFFECT_REFUSE: peer->kind->refuse(peer, effect->response); break;
    case EFFECT_SEND:
        peer->staged -= effect->data->len;
        peer->kind->send(peer, effect->data, effect->binary);
        bytes_unref(effect->data);
        break;
    case EFFECT_BROADCAST:
        for (struct peer_group *group = room->groups; group; group = group->next)
            group->kind->group_send(group, effect->data, effect->binary, left_out(effect), effect->n_without);
        release_without(effect);
        bytes_unref(effect->data);
        break;
    case EFFECT_CLOSE:
        peer->kind->close(peer, effect->code, effect->data ? (const char *)effect->data->data : NULL,
                          effect->data ? effect->data->len : 0);
        bytes_unref(effect->data);
        break;
    case EFFECT_RESPOND: effect->exchange->respond(effect->exchange, effect->response); break;
    case EFFECT_DEPART: effect->departure->leave(effect->departure); break;
    }
    peer_unref(peer);
}

/* A place for one more at the end; NULL: no memory. */
static struct effect *outq_extend(struct outq *outq)
{
    if (!outq->tail || outq->end == CHUNK_EFFECTS) {
        struct outq_chunk *chunk = malloc(sizeof *chunk);
        if (!chunk)
            return NULL;
        chunk->next = NULL;
        if (outq->tail)
            outq->tail->next = chunk;
        else
            outq->head = chunk;
        outq->tail = chunk;
        outq->end = 0;
    }
    return &outq->tail->effects[outq->end++];
}

int outq_push(struct outq *outq, const struct effect *effect)
{
    struct effect *place = outq_extend(outq);
    if (!place) {
        struct effect dropped = *effect;
        effect_drop(&dropped);
        return -ENOMEM;
    }
    *place = *effect;
    outq->count++;
    outq->bytes += outq_cost(effect);
    return 0;
}

/* The oldest one, which must be there. */
static struct effect *outq_first(const struct outq *outq)
{
    return &outq->head->effects[outq->first];
}

/* Takes it out. Its chunk goes with its last one, but for the queue's only chunk: the next turn needs that. */
static struct effect outq_take(struct outq *outq)
{
    struct outq_chunk *chunk = outq->head;
    struct effect effect = *outq_first(outq);

    outq->first++;
    outq->bytes -= outq_cost(&effect);
    if (--outq->count == 0)
        outq->first = outq->end = 0;
    else if (outq->first == CHUNK_EFFECTS) {
        outq->head = chunk->next;
        outq->first = 0;
        free(chunk);
    }
    return effect;
}

void outq_drain(struct outq *outq, struct room *room, uint64_t durable)
{
    while (outq->count > 0 && outq_first(outq)->gate <= durable) {
        struct effect effect = outq_take(outq);
        effect_apply(&effect, room);
    }
}

void outq_decide(struct outq *outq, uint64_t gate)
{
    uint32_t first = outq->first;

    for (struct outq_chunk *chunk = outq->head; chunk && outq->count > 0; chunk = chunk->next) {
        uint32_t end = chunk == outq->tail ? outq->end : CHUNK_EFFECTS;
        for (uint32_t i = first; i < end; i++) {
            if (chunk->effects[i].gate == OUTQ_UNKNOWN)
                chunk->effects[i].gate = gate;
        }
        first = 0;
    }
}

int outq_move(struct outq *from, struct outq *to, uint64_t gate)
{
    int rc = 0;
    while (from->count > 0) {
        struct effect effect = outq_take(from);
        effect.gate = gate;
        if (outq_push(to, &effect) != 0)
            rc = -ENOMEM;
    }
    return rc;
}

void outq_fini(struct outq *outq)
{
    while (outq->count > 0) {
        struct effect effect = outq_take(outq);
        effect_drop(&effect);
    }
    free(outq->head);
    *outq = (struct outq){0};
}
