/* What is known of a room's keys, whatever it is known from. */
#include "room/data_private.h"

#include <errno.h>
#include <stdlib.h>

/* What a room keeps of what is durable, to answer reads at once. */
#define CACHE_BYTES (1024u * 1024u)

/* ---- entries ---- */

struct span known_key(const struct data_entry *entry)
{
    return (struct span){entry->key, entry->key_len};
}

static size_t size_of(const struct data_entry *entry)
{
    return sizeof *entry + entry->key_len + entry->len;
}

struct data_entry *known_find(const struct data_known *known, struct span key, uint64_t hash)
{
    for (struct map_node *node = map_find(&known->by_key, hash); node; node = map_next(node)) {
        struct data_entry *entry = container_of(node, struct data_entry, by_key);
        if (span_equal(known_key(entry), key))
            return entry;
    }
    return NULL;
}

struct data_entry *known_add(struct data_known *known, struct span key, uint64_t hash)
{
    struct data_entry *entry = calloc(1, sizeof *entry + key.len);
    if (!entry)
        return NULL;
    entry->key_len = (uint32_t)key.len;
    memcpy(entry->key, key.ptr, key.len);
    map_add(&known->by_key, &entry->by_key, hash);
    known->size += size_of(entry);
    return entry;
}

void known_drop(struct data_known *known, struct data_entry *entry)
{
    known->size -= size_of(entry);
    map_remove(&known->by_key, &entry->by_key);
    list_remove(&entry->link);
    free(entry->value);
    free(entry);
}

void known_set(struct data_known *known, struct data_entry *entry, bool present, char *value, size_t len)
{
    known->size += len;
    known->size -= entry->len;
    free(entry->value);
    entry->value = value;
    entry->len = len;
    entry->present = present;
}

char *known_copy(struct span value)
{
    char *copy = malloc(value.len + 1);
    if (copy && value.len > 0)
        memcpy(copy, value.ptr, value.len);
    return copy;
}

void known_init(struct data_known *known)
{
    *known = (struct data_known){0};
    list_init(&known->turn);
    list_init(&known->dirty);
    list_init(&known->clean);
}

void known_fini(struct data_known *known)
{
    struct list *const lists[] = {&known->turn, &known->dirty, &known->clean};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        while (!list_empty(lists[i]))
            known_drop(known, container_of(lists[i]->next, struct data_entry, link));
    }
    map_fini(&known->by_key);
}

void known_move(struct data_known *to, struct data_known *from)
{
    to->by_key = from->by_key;
    to->size = from->size;
    list_init(&to->turn);
    list_init(&to->dirty);
    list_init(&to->clean);
    list_splice(&to->turn, &from->turn);
    list_splice(&to->dirty, &from->dirty);
    list_splice(&to->clean, &from->clean);
    known_init(from);
}

/* ---- reading ---- */

enum data_state data_get(struct room *room, struct span key, struct span *value)
{
    struct room_data *data = room->data;
    if (!data)
        return DATA_UNKNOWN;
    struct data_entry *entry = known_find(&data->known, key, map_hash(key.ptr, key.len));
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
    if (known_find(&data->known, key, hash)) /* by itself it knows better: the room has written it */
        return 0;
    char *copy = present ? known_copy(value) : NULL;
    struct data_entry *entry = present && !copy ? NULL : known_add(&data->known, key, hash);
    if (!entry) {
        free(copy);
        return -ENOMEM;
    }
    known_set(&data->known, entry, present, copy, present ? value.len : 0);
    list_push(&data->known.clean, &entry->link);
    return 0;
}

void data_shrink(struct room_data *data)
{
    while (data->known.size > CACHE_BYTES && !list_empty(&data->known.clean))
        known_drop(&data->known, container_of(data->known.clean.next, struct data_entry, link));
}
