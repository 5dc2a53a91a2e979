/* What all kinds of peers have in common: references and tags. */
#include "room/room.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

struct peer *peer_ref(struct peer *peer)
{
    peer->refs++;
    return peer;
}

void peer_unref(struct peer *peer)
{
    if (!peer)
        return;
    CHECK(peer->refs > 0);
    if (--peer->refs > 0)
        return;
    free(peer->names);
    free(peer->tags);
    free(peer->close_reason);
    bytes_unref(peer->kept);
    peer->kind->free(peer);
}

int peer_set_names(struct peer *peer, const char *id, const char *uri, const char *remote)
{
    size_t id_size = strlen(id) + 1, uri_size = strlen(uri) + 1, remote_size = strlen(remote) + 1;
    char *names = malloc(id_size + uri_size + remote_size);

    if (!names)
        return -ENOMEM;
    peer->names = names;
    peer->id = memcpy(names, id, id_size);
    peer->uri = memcpy(names + id_size, uri, uri_size);
    peer->remote = memcpy(names + id_size + uri_size, remote, remote_size);
    return 0;
}

bool peer_has_tag(const struct peer *peer, struct span tag)
{
    if (span_equal(span_of(peer->id), tag))
        return true;
    for (const char *t = peer->tags; t && *t; t += strlen(t) + 1) {
        if (span_equal(span_of(t), tag))
            return true;
    }
    return false;
}

size_t peer_tags_size(const struct peer *peer)
{
    const char *tag = peer->tags;
    while (tag && *tag)
        tag += strlen(tag) + 1;
    return tag ? (size_t)(tag - peer->tags) + 1 : 0;
}

size_t peer_held(const struct peer *peer)
{
    return peer_tags_size(peer) + (peer->kept ? peer->kept->len : 0);
}

int peer_keep_state(struct peer *peer, struct span state)
{
    struct bytes *copy = state.len > 0 ? bytes_copy(state.ptr, state.len) : NULL;

    if (state.len > 0 && !copy)
        return -ENOMEM;
    if (peer->room)
        peer->room->held += state.len - (peer->kept ? peer->kept->len : 0);
    bytes_unref(peer->kept);
    peer->kept = copy;
    return 0;
}

int peer_set_tags(struct peer *peer, const struct span *tags, size_t n)
{
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        size += tags[i].len + 1;

    char *copy = NULL;
    if (n > 0) {
        copy = calloc(1, size);
        if (!copy)
            return -ENOMEM;
        char *at = copy;
        for (size_t i = 0; i < n; i++) {
            memcpy(at, tags[i].ptr, tags[i].len);
            at += tags[i].len + 1;
        }
    }
    if (peer->room)
        peer->room->held += (n > 0 ? size : 0) - peer_tags_size(peer);
    free(peer->tags);
    peer->tags = copy;
    return 0;
}
