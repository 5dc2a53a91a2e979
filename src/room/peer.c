/* What all kinds of peers have in common: references and tags. */
#include "room/peer.h"

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
    free(peer->id);
    free(peer->uri);
    free(peer->tags);
    free(peer->remote);
    free(peer->close_reason);
    peer->kind->free(peer);
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
    free(peer->tags);
    peer->tags = copy;
    return 0;
}
