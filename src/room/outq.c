/* Carries out a room's effects, in order. */
#include "room/outq.h"

#include "room/room.h"

#include <errno.h>
#include <stdlib.h>

static size_t effect_bytes(const struct effect *effect)
{
    const struct bytes *data = effect->data;
    if (effect->kind == EFFECT_RESPOND || effect->kind == EFFECT_REFUSE)
        data = effect->response ? effect->response->body : NULL;
    return sizeof *effect + effect->n_without * sizeof(struct peer *) + (data ? data->len : 0);
}

static void release_without(struct effect *effect)
{
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
    if (effect->kind == EFFECT_SEND)
        effect->peer->staged -= effect->data->len;
    else if (effect->peer)
        effect->peer->kind->close(effect->peer, 1011, NULL, 0);
    if (effect->kind == EFFECT_BROADCAST)
        release_without(effect);
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
            group->kind->group_send(group, effect->data, effect->binary, effect->without, effect->n_without);
        release_without(effect);
        bytes_unref(effect->data);
        break;
    case EFFECT_CLOSE:
        peer->kind->close(peer, effect->code, effect->data ? (const char *)effect->data->data : NULL,
                          effect->data ? effect->data->len : 0);
        bytes_unref(effect->data);
        break;
    case EFFECT_RESPOND: effect->exchange->respond(effect->exchange, effect->response); break;
    }
    peer_unref(peer);
}

/* Makes place for one more: where effects have left, when that is much, since a queue that is
 * always fed is never empty; else in more memory. */
static int outq_reserve(struct outq *outq)
{
    if (outq->count < outq->cap)
        return 0;
    if (outq->count > 0 && outq->first >= outq->count / 2) {
        outq->count -= outq->first;
        memmove(outq->items, outq->items + outq->first, outq->count * sizeof *outq->items);
        outq->first = 0;
        return 0;
    }
    size_t cap = outq->cap ? outq->cap * 2 : 16;
    struct effect *items = reallocarray(outq->items, cap, sizeof *items);
    if (!items)
        return -ENOMEM;
    outq->items = items;
    outq->cap = cap;
    return 0;
}

int outq_push(struct outq *outq, const struct effect *effect)
{
    if (outq_reserve(outq) != 0) {
        struct effect dropped = *effect;
        effect_drop(&dropped);
        return -ENOMEM;
    }
    outq->items[outq->count++] = *effect;
    outq->bytes += effect_bytes(effect);
    return 0;
}

void outq_drain(struct outq *outq, struct room *room, uint64_t durable)
{
    while (outq->first < outq->count && outq->items[outq->first].gate <= durable) {
        struct effect effect = outq->items[outq->first++];
        outq->bytes -= effect_bytes(&effect);
        effect_apply(&effect, room);
    }
    if (outq->first == outq->count)
        outq->first = outq->count = 0;
}

void outq_decide(struct outq *outq, uint64_t gate)
{
    for (size_t i = outq->count; i > outq->first && outq->items[i - 1].gate == OUTQ_UNKNOWN; i--)
        outq->items[i - 1].gate = gate;
}

int outq_move(struct outq *from, struct outq *to, uint64_t gate)
{
    int rc = 0;
    for (size_t i = from->first; i < from->count; i++) {
        struct effect effect = from->items[i];
        effect.gate = gate;
        if (outq_push(to, &effect) != 0)
            rc = -ENOMEM;
    }
    from->first = from->count = from->bytes = 0;
    return rc;
}

void outq_clear(struct outq *outq)
{
    for (size_t i = outq->first; i < outq->count; i++)
        effect_drop(&outq->items[i]);
    outq->first = outq->count = outq->bytes = 0;
}

void outq_fini(struct outq *outq)
{
    outq_clear(outq);
    free(outq->items);
    *outq = (struct outq){0};
}
