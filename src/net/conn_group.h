/* Connections that are sent the same bytes: one log for all of them.
 *
 * A message to the group is appended once, whatever the number of members. At the end of
 * the turn each member sends its part of the log, all of it in one system call together
 * with what is its own. A member that was left out or joined later has another part. */
#pragma once

#include "net/conn.h"

struct conn_group {
    struct net *net;
    struct list members; /* of struct conn, all CONN_OPEN */
    size_t n_members;
    struct bytes *log; /* what was appended in this turn; NULL while empty */
    struct list dirty; /* in net's list */
};

void conn_group_init(struct conn_group *group, struct net *net);

/* All members must have left. */
void conn_group_fini(struct conn_group *group);

/* A connection is in one group at most. Leaving is done by itself when it closes (one that
 * closes already does not join); what was appended before stays its own. */
void conn_group_join(struct conn_group *group, struct conn *conn);
void conn_group_leave(struct conn *conn);

/* Appends a message of two pieces for every member but the n in without (which may hold
 * others' and repeated connections). Out of memory ends the members it was for (on_error). */
void conn_group_write(struct conn_group *group, const void *head, size_t head_len, const void *body,
                      size_t body_len, struct conn *const *without, size_t n_without);
