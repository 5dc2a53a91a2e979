/* A link: a connection from one room to another. For the room that it leads to it is a peer of the kind "room"; the
 * room that has opened it holds this end.
 *
 * What an end sends passes its room's gate and comes in order. What the other end has not taken yet is pending, and
 * more than limits.queue of that, with all that it takes, closes the link with 1013. Each end says once that it closes,
 * and is gone when the other one has said so too; nothing follows behind that. */
#pragma once

#include "loop/timer.h"
#include "room/call.h"
#include "room/peer.h"

enum link_state {
    LINK_CONNECTING, /* the other room has not let it in yet */
    LINK_OPEN,
    LINK_CLOSING, /* closed here: nothing more can be sent, what comes until the other end closes is read */
    LINK_CLOSED,  /* what has come can be read */
};

/* What travels between the ends. */
struct link_mail {
    struct mail mail;
    struct departure departure; /* from the room that has opened the link */
    struct list link;           /* in a queue of the end that it has come to */
    struct link *near;          /* the end that has opened it */
    struct link_peer *far;
    uint8_t kind; /* enum link_mail_kind */
    bool binary, refused, clean;
    uint16_t code;
    size_t len;         /* MESSAGE, and when it goes back as TAKEN */
    struct bytes *data; /* owned: a message, a reason, why it was refused; NULL: none */
};

struct link_peer;

struct link {
    /* To be read: */
    enum link_state state;
    uint16_t code;        /* CLOSED: with which code; 1005: none */
    struct bytes *reason; /* CLOSED, owned; NULL: none */
    bool refused;         /* CLOSED: it was not let in, reason says why */
    bool clean;
    size_t pending; /* bytes sent that the other room has not taken */
    size_t charged; /* what those take; in room->held */
    /* It is let in, something has come, or it is closed: called on the room's thread, never from within a call but
     * link_send's (then it is closed with 1013). May be NULL. */
    void (*changed)(struct link *link);
    void *user;
    /* the link's own: */
    struct list in_rooms; /* in rooms->links, until link_free */
    struct room *room;    /* NULL: it was let go */
    struct rooms *rooms, *to;
    struct link_peer *far;
    struct list received;                /* of struct link_mail */
    struct link_mail *opening, *closing; /* owned until they have left */
    char *party, *id;                    /* owned: whom it leads to */
    struct call_chain chain;
    struct http_request *request; /* owned until it has left */
    struct timer timer;           /* of being let in */
    size_t at_gate;               /* mails that wait there */
    bool beginning;               /* in link_open or link_send */
    bool left;                    /* the other end knows of it */
    bool said, heard;             /* this end has closed, the other one has */
};

/* A link to a room, as a connection with this id, uri and request, which is the link's then. NULL: no memory, and the
 * request is freed. */
struct link *link_new(struct span party, struct span id, const char *peer_id, const char *uri,
                      struct http_request *request) __attribute__((warn_unused_result));

/* Begins, in a turn of the room, with the event of its handler (NULL: none). 0, or a negative code (link_free is all
 * that may follow): -ELOOP: it is too deep; -ENOBUFS: too much waits to leave; -ENOMEM. */
int link_open(struct link *link, struct room *room, const struct event *event)
    __attribute__((warn_unused_result));

/* Sends a copy. 0, or -EPIPE: it is not open, or too much is pending, and it is closed with 1013; or -ENOBUFS, -ENOMEM:
 * nothing has changed. */
int link_send(struct link *link, const void *data, size_t len, bool binary)
    __attribute__((warn_unused_result));

/* Bytes that a message of so many takes until the other room has it; they count as the script's (room->held). */
size_t link_cost(size_t len);

/* Closes; code 0: none. A second call changes nothing. 0 or -ENOMEM. */
int link_close(struct link *link, uint16_t code, const char *reason, size_t len)
    __attribute__((warn_unused_result));

/* The next message that has come; link_take follows. NULL: none. */
const struct link_mail *link_next(const struct link *link);
void link_take(struct link *link);

/* The room is done with it, at the end of its VM at the latest; one that is open is closed: with 1001 when the room
 * stops, else with 1006. Accepts NULL. */
void link_free(struct link *link);

/* ---- for the room's own files ---- */

/* The rooms stop: all that they have opened is closed with 1001. */
void links_shut(struct rooms *rooms);

/* The room leaves memory: those that lead to it are closed with 1001. */
void links_room_gone(struct room *room);
