/* What link.c, the end that has opened a link, and link_peer.c, the other one, share. */
#pragma once

#include "room/link.h"
#include "room/private.h"

enum link_mail_kind {
    LINK_MAIL_OPEN,    /* to far */
    LINK_MAIL_ACCEPT,  /* to near: it is let in */
    LINK_MAIL_MESSAGE, /* data, binary */
    LINK_MAIL_TAKEN,   /* len: of a message of the other end, which has been taken */
    LINK_MAIL_CLOSE,   /* code, data, refused, clean: the last one */
};

/* The end of the room that the link leads to; made with the other one, and lives on its own thread from OPEN on. Its
 * transport's reference goes when both have closed. */
struct link_peer {
    struct peer peer;
    struct rooms *rooms;
    struct link *near;
    struct rooms *near_rooms;
    struct list member;       /* in its group */
    struct peer_group *group; /* NULL: it is in none, or not any more */
    struct list held;         /* of struct link_mail: what has come, in order, until the room takes it */
    struct soon again;        /* goes on with those */
    struct link_mail *last;   /* owned: the CLOSE to say */
    size_t pending;           /* bytes sent that the other end has not taken */
    size_t charged;           /* what those take, which is bounded by limits.queue */
    bool said, heard;         /* as in struct link */
    bool clean;               /* as it was said */
    bool left_out;            /* of a broadcast that is being sent */
    uint16_t code;            /* that was said */
    struct bytes *reason;     /* owned; the same; NULL: none */
};

/* NULL: no memory. */
struct link_peer *link_peer_new(const char *id, const char *uri) __attribute__((warn_unused_result));

/* It has never left. */
void link_peer_drop(struct link_peer *far);

/* NULL: no memory. */
struct link_mail *link_mail_new(enum link_mail_kind kind, struct link *near, struct link_peer *far)
    __attribute__((warn_unused_result));
void link_mail_free(struct link_mail *mail);

/* mail_send, in the two directions. */
void link_mail_to_far(struct link_mail *mail);
void link_mail_to_near(struct link_mail *mail);

/* A mail has arrived, which is the end's. */
void link_near_gets(struct link *near, struct link_mail *mail);
void link_far_gets(struct link_peer *far, struct link_mail *mail);
