/* The logs of net/conn_group.h. A member's share of the log is what lies behind its
 * group_from; whatever must not simply follow it (a message of its own, one that it is left
 * out of) makes a segment of that share first. */
#include "net/conn_group.h"

#include "base/check.h"
#include "net/private.h"

#include <errno.h>

/* A log that grows beyond this in one turn is sent at once. */
#define LOG_MAX (256u * 1024)

/* A share of the log up to this length, or this part of the log, is copied: a reference would
 * keep all of the log for the sake of little. */
#define COPY_MAX 512u
#define COPY_PART 8u

void conn_group_init(struct conn_group *group, struct net *net)
{
    *group = (struct conn_group){.net = net};
    list_init(&group->members);
}

void conn_group_fini(struct conn_group *group)
{
    if (!group || !group->net)
        return;
    CHECK(group->n_members == 0);
    list_remove(&group->dirty);
    net_log_give(group->net, group->log);
    *group = (struct conn_group){0};
}

void conn_group_join(struct conn_group *group, struct conn *conn)
{
    CHECK(!conn->group);
    if (conn->state != CONN_OPEN)
        return;
    conn->group = group;
    conn->group_from = group->log ? group->log->len : 0;
    list_push(&group->members, &conn->member);
    group->n_members++;
}

void conn_group_leave(struct conn *conn)
{
    if (!conn->group)
        return;
    int rc = conn->state == CONN_CLOSED ? 0 : conn_group_seal(conn);
    list_remove(&conn->member);
    conn->group->n_members--;
    conn->group = NULL;
    conn->group_from = 0;
    if (rc)
        conn_fail(conn, rc);
    else
        conn_mark(conn);
}

size_t conn_group_pending(const struct conn *conn)
{
    return conn->group && conn->group->log ? conn->group->log->len - conn->group_from : 0;
}

int conn_group_seal(struct conn *conn)
{
    size_t len = conn_group_pending(conn);
    if (len == 0)
        return 0;
    struct bytes *log = conn->group->log;
    int rc;
    if (len <= COPY_MAX || len < log->cap / COPY_PART)
        rc = queue_copy(&conn->queue, &conn->net->segments, log->data + conn->group_from, len, NULL, 0);
    else
        rc = queue_share(&conn->queue, log, conn->group_from, len, false);
    if (rc)
        return rc;
    conn->group_from = log->len;
    return 0;
}

void conn_group_flush(struct conn_group *group)
{
    list_each(link, &group->members) {
        struct conn *conn = container_of(link, struct conn, member);
        if (conn_group_pending(conn) > 0 || list_linked(&conn->dirty))
            batch_flush(conn);
    }
}

void conn_group_flushed(struct conn_group *group)
{
    list_each(link, &group->members)
        container_of(link, struct conn, member)->group_from = 0;
    net_log_give(group->net, group->log);
    group->log = NULL;
}

/* Both pieces or none. */
static int append(struct conn_group *group, const void *head, size_t head_len, const void *body,
                  size_t body_len)
{
    if (!group->log)
        group->log = net_log_take(group->net);
    if (!group->log)
        return -ENOMEM;
    size_t len = group->log->len;
    int rc = bytes_append(group->log, head, head_len);
    if (rc == 0)
        rc = bytes_append(group->log, body, body_len);
    if (rc)
        group->log->len = len;
    if (!list_linked(&group->dirty))
        list_push(&group->net->dirty_groups, &group->dirty);
    return rc;
}

/* A message that can't be sent to all for whom it is: they must not miss it in silence. */
static void fail_members(struct conn_group *group, int error, struct conn *const *without, size_t n_without)
{
    list_each(link, &group->members) {
        struct conn *conn = container_of(link, struct conn, member);
        bool left_out = false;
        for (size_t i = 0; i < n_without && !left_out; i++)
            left_out = without[i] == conn;
        if (!left_out)
            conn_fail(conn, error);
    }
}

void conn_group_write(struct conn_group *group, const void *head, size_t head_len, const void *body,
                      size_t body_len, struct conn *const *without, size_t n_without)
{
    if (group->n_members == 0 || head_len + body_len == 0)
        return;
    for (size_t i = 0; i < n_without; i++) {
        if (without[i]->group != group)
            continue;
        int sealed = conn_group_seal(without[i]);
        if (sealed)
            conn_fail(without[i], sealed);
        else
            conn_mark(without[i]);
    }
    int rc = append(group, head, head_len, body, body_len);
    if (rc) {
        fail_members(group, rc, without, n_without);
        return;
    }
    for (size_t i = 0; i < n_without; i++) {
        if (without[i]->group == group)
            without[i]->group_from = group->log->len;
    }
    if (group->log->len > LOG_MAX)
        net_flush(group->net);
}
