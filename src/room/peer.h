/* Who a room talks to: a WebSocket, a client of Server-Sent Events (events.h); another room or a remote node
 * through the same interface later.
 *
 * A peer is made and owned by its transport (edge, or events.c). The room counts references to it, since events
 * and output that name a peer may outlive its transport; the last one frees it. */
#pragma once

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

struct peer;
struct peer_group;
struct room;

/* How peers of one kind are reached. All of it is called by the room, on its thread, in the
 * order in which the script asked for it. */
struct peer_kind {
    const char *name; /* connection.kind: "websocket" */
    bool text_only;   /* binary messages can't be sent to it, and are left out */
    /* Makes what sends to all peers of this kind in a room at once. NULL: no memory. */
    struct peer_group *(*group_open)(struct room *room);
    void (*group_close)(struct peer_group *group);
    /* To every peer that joined the group and is open, but for those left out. */
    void (*group_send)(struct peer_group *group, struct bytes *data, bool binary, struct peer *const *without,
                       size_t n_without);

    /* Bytes that the message takes on its way to so many peers, besides its own. NULL: none, they share it. */
    size_t (*copy_cost)(const struct bytes *data, bool binary, size_t n_peers);

    /* The peer becomes a member of its group: what is sent from now on is for it too. */
    void (*join)(struct peer *peer, struct peer_group *group);
    /* onConnect has returned: it is let in. What was sent to it since join follows. */
    void (*accept)(struct peer *peer);
    /* It is not let in: the response (owned by the callee; NULL: no memory for one) is its answer. No other
     * call follows. */
    void (*refuse)(struct peer *peer, struct http_response *response);
    void (*send)(struct peer *peer, struct bytes *data, bool binary);
    /* Begins the closing handshake; code 0: none. Before accept: let in, then closed. A call after the first
     * changes nothing; it can happen, as can accept and send after it, when there was no memory for some
     * output or that was dropped. */
    void (*close)(struct peer *peer, uint16_t code, const char *reason, size_t len);
    /* Bytes that wait to be written. */
    size_t (*pending)(const struct peer *peer);
    /* room_peer_ready said no; it is to be asked again. */
    void (*resume)(struct peer *peer);
    /* The last reference is gone: frees it. */
    void (*free)(struct peer *peer);
};

enum peer_state {
    PEER_NEW,     /* its connect event waits in the inbox */
    PEER_JOINING, /* getConnectionTags and onConnect run or wait; it is sent to already */
    PEER_OPEN,
    PEER_CLOSING, /* the room closes it: the script sees it as closed and hears no more of its messages */
    PEER_ENDED,   /* its transport has ended: the script sees it as closed, what came before is told */
    PEER_GONE,    /* its onClose runs or is over, or it was refused: nothing more is told */
};

#define PEER_TAGS_MAX 9u      /* besides the id */
#define PEER_TAG_LEN_MAX 256u /* bytes */
#define PEER_ID_MAX 256u      /* bytes */

struct peer {
    const struct peer_kind *kind;
    struct room *room; /* set by room_connect; NULL again when its onClose is over or it was refused */
    uint32_t refs;
    uint8_t state;         /* enum peer_state */
    bool connecting;       /* its connect event runs or waits: its close event comes after it */
    bool close_reported;   /* its close event was posted, or will be when it is no longer connecting */
    bool connected;        /* counted in room->n_connected: NEW, or listed */
    bool listed;           /* in peers_by_id, and counted in room->n_listed: JOINING or OPEN */
    struct list link;      /* in room->peers while room is set, in the order of arrival */
    struct list waiting;   /* in room->blocked while it wants kind->resume, or in a list of its transport's */
    struct map_node by_id; /* in rooms->peers_by_id while listed */
    void *object;          /* the script's object for it; NULL: none */
    uint64_t serial;       /* grows in the order of arrival */
    size_t staged;         /* bytes sent to it in this turn, not yet handed to kind->send */
    char *names;           /* owned; holds the next three, in one piece since there are many peers */
    const char *id, *uri, *remote; /* its id, the URL of its request, its address */
    struct bytes *kept;  /* owned; the script's, of a VM that is gone (peer_keep_state); NULL: none */
    char *tags;          /* owned; each with a NUL behind it, then an empty one; NULL: none */
    uint16_t close_code; /* of a close event that came while it was connecting */
    bool close_clean;
    uint32_t left_out;  /* the room's last broadcast that was not for it */
    char *close_reason; /* owned */
};

struct peer *peer_ref(struct peer *peer);
void peer_unref(struct peer *peer);

/* Does the script see it as open? */
static inline bool peer_open(const struct peer *peer)
{
    return peer->state == PEER_JOINING || peer->state == PEER_OPEN;
}

/* Is it its id, or one of its tags? */
bool peer_has_tag(const struct peer *peer, struct span tag);

/* May a script close a connection with it: 1000, 1001, 1003, 1007 to 1014, 3000 to 4999 (RFC 6455 §7.4)? */
static inline bool peer_close_code_valid(int64_t code)
{
    return code == 1000 || code == 1001 || code == 1003 || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* Gives it copies of its id, uri and remote address. 0 or -ENOMEM. */
int peer_set_names(struct peer *peer, const char *id, const char *uri, const char *remote)
    __attribute__((warn_unused_result));

/* Bytes that its tags take. */
size_t peer_tags_size(const struct peer *peer);

/* What the script is to find of it in its room's next VM; a copy. Empty: nothing. Their room's account (held) knows.
 * 0 or -ENOMEM (then nothing changed). */
int peer_keep_state(struct peer *peer, struct span state) __attribute__((warn_unused_result));

/* Bytes that it holds for the script: tags and state. */
size_t peer_held(const struct peer *peer);

/* Replaces the tags by n copies; their room's account (held) knows. 0 or -ENOMEM (then nothing changed). */
int peer_set_tags(struct peer *peer, const struct span *tags, size_t n) __attribute__((warn_unused_result));
