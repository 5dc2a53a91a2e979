/* The transports of rooms as tests want them: peers and requests that write down what they are told. All
 * of it goes to one text, in order, which fake_expect compares; fake_room.h has the rest. */
#pragma once

#include "base/buf.h"
#include "fake_store.h"
#include "room/data_private.h"
#include "room/private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct party {
    const char *name;
    enum duplicate_id duplicate;
    int refs; /* of rooms */
};

/* What a handler does at its end. */
enum act { ACT_DONE, ACT_FAIL, ACT_WAIT };

struct fake {
    struct loop loop;
    struct rooms rooms;
    struct fake_store store;
    struct counters counters;
    struct party party;
    struct buf log;
    /* The handlers: for every event but WAKE. NULL: requests are answered, nothing else is done. */
    enum act (*handler)(struct fake *fake, struct room *room, struct event *event);
    /* What a handler that was woken goes on with. NULL: it is done. event is NULL in a timer's. */
    enum act (*resumed)(struct fake *fake, struct room *room, struct event *event);
    struct fake_task *waits; /* set by a handler that waits for the store: the handle that it has given */
    bool from_store;         /* in resumed: it has waited for the store */
    void *user;              /* the test's */
    bool no_vm;              /* VMs can't be made */
    bool no_group;           /* groups can't be made */
    bool no_memory; /* allocations fail, or output is dropped: peers are closed when they can't be served */
    bool empty;     /* rooms_stop is done */
    struct list tasks; /* handlers that wait, of all rooms, the oldest first */
    struct list peers; /* of struct fake_peer, those with a transport */
    size_t n_vms, n_tasks, n_peers, n_exchanges, n_groups;
    struct timer guard;
};

struct fake_group {
    struct peer_group base;
    struct fake *fake;
    struct list members; /* of struct fake_peer */
};

struct fake_peer {
    struct peer peer;
    struct fake *fake;
    struct list link;   /* in fake->peers */
    struct list member; /* in its group */
    bool transport;     /* not ended */
    bool joined, accepted, refused, closed;
    bool connect_given, connect_done, close_given, close_done; /* by the script's events */
    bool blocked;                                              /* room_peer_ready said no */
    size_t pending;                                            /* what kind->pending says */
    uint64_t last_heard;                                       /* the test's */
};

struct fake_exchange {
    struct exchange exchange;
    struct fake *fake;
    char name[16];
    int n_answers, status;
};

/* ---- the text ---- */

static inline void fake_say(struct fake *fake, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void fake_say(struct fake *fake, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (fake->log.len > 0)
        assert_int_equal(buf_append(&fake->log, "; ", 2), 0);
    assert_int_equal(buf_vprintf(&fake->log, format, args), 0);
    va_end(args);
}

static inline void fake_forget(struct fake *fake)
{
    fake->log.len = 0;
}

/* Compares all that was said since the last time. */
static inline void fake_expect_at(struct fake *fake, const char *want, const char *file, int line)
{
    assert_int_equal(buf_append(&fake->log, "", 1), 0);
    _assert_string_equal((const char *)fake->log.data, want, file, line);
    fake_forget(fake);
}
#define fake_expect(fake, want) fake_expect_at(fake, want, __FILE__, __LINE__)

/* ---- peers ---- */

static inline struct fake_peer *fake_peer_of(const struct peer *peer)
{
    return container_of(peer, struct fake_peer, peer);
}

static inline struct peer_group *fake_group_open(struct room *room)
{
    struct fake *fake = room->rooms->script_user;
    struct fake_group *group = fake->no_group ? NULL : calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->fake = fake;
    list_init(&group->members);
    fake->n_groups++;
    return &group->base;
}

static inline void fake_group_close(struct peer_group *base)
{
    struct fake_group *group = container_of(base, struct fake_group, base);
    while (list_pop(&group->members))
        ;
    group->fake->n_groups--;
    free(group);
}

static inline void fake_group_send(struct peer_group *base, struct bytes *data, bool binary,
                                   struct peer *const *without, size_t n_without)
{
    struct fake_group *group = container_of(base, struct fake_group, base);
    char to[256] = "";

    list_each(it, &group->members) {
        struct fake_peer *peer = container_of(it, struct fake_peer, member);
        bool left_out = false;
        for (size_t i = 0; i < n_without; i++)
            left_out = left_out || without[i] == &peer->peer;
        size_t len = strlen(to);
        if (!left_out)
            snprintf(to + len, sizeof to - len, " %s", peer->peer.id);
    }
    fake_say(group->fake, "broadcast %.*s%s to%s", (int)data->len, (const char *)data->data,
             binary ? " binary" : "", to);
}

static inline void fake_join(struct peer *base, struct peer_group *group)
{
    struct fake_peer *peer = fake_peer_of(base);
    assert_false(peer->joined || peer->accepted || peer->refused);
    peer->joined = true;
    if (peer->transport && !peer->closed)
        list_push(&container_of(group, struct fake_group, base)->members, &peer->member);
    fake_say(peer->fake, "%s join", base->id);
}

static inline void fake_accept(struct peer *base)
{
    struct fake_peer *peer = fake_peer_of(base);
    assert_true(peer->joined || peer->closed);
    assert_false(peer->accepted || peer->refused);
    assert_true(!peer->closed || peer->fake->no_memory || peer->fake->no_group);
    peer->accepted = true;
    fake_say(peer->fake, "%s accept", base->id);
}

static inline void fake_refuse(struct peer *base, struct http_response *response)
{
    struct fake_peer *peer = fake_peer_of(base);
    assert_false(peer->joined || peer->accepted || peer->refused || peer->closed || peer->connect_given);
    assert_true(response || peer->fake->no_memory);
    peer->refused = true;
    fake_say(peer->fake, "%s refuse %d", base->id, response ? response->status : 0);
    http_response_free(response);
}

static inline void fake_send_to(struct peer *base, struct bytes *data, bool binary)
{
    struct fake_peer *peer = fake_peer_of(base);
    assert_true(peer->joined || peer->closed);
    assert_false(peer->refused);
    assert_true(!peer->closed || peer->fake->no_memory || peer->fake->no_group);
    fake_say(peer->fake, "%s send %.*s%s", base->id, (int)data->len, (const char *)data->data,
             binary ? " binary" : "");
}

static inline void fake_close_peer(struct peer *base, uint16_t code, const char *reason, size_t len)
{
    struct fake_peer *peer = fake_peer_of(base);
    assert_false(peer->refused);
    assert_true(!peer->closed || peer->fake->no_memory || peer->fake->no_group);
    peer->closed = true;
    list_remove(&peer->member);
    fake_say(peer->fake, "%s close %d%s%.*s", base->id, code, len ? " " : "", (int)len, len ? reason : "");
}

static inline size_t fake_pending(const struct peer *base)
{
    return fake_peer_of(base)->pending;
}

static inline void fake_resume(struct peer *base)
{
    struct fake_peer *peer = fake_peer_of(base);
    assert_true(peer->blocked);
    assert_ptr_not_equal(base->room, NULL);
    peer->blocked = false;
    fake_say(peer->fake, "%s resume", base->id);
}

static inline void fake_free(struct peer *base)
{
    struct fake_peer *peer = fake_peer_of(base);
    assert_false(peer->transport);
    assert_false(list_linked(&base->link) || list_linked(&base->waiting) || base->listed);
    assert_int_equal(base->staged, 0);
    peer->fake->n_peers--;
    free(peer);
}

static const struct peer_kind fake_kind = {
    .name = "fake",
    .group_open = fake_group_open,
    .group_close = fake_group_close,
    .group_send = fake_group_send,
    .join = fake_join,
    .accept = fake_accept,
    .refuse = fake_refuse,
    .send = fake_send_to,
    .close = fake_close_peer,
    .pending = fake_pending,
    .resume = fake_resume,
    .free = fake_free,
};

static inline struct fake_peer *fake_peer_new(struct fake *fake, const char *id)
{
    struct fake_peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    peer->peer.kind = &fake_kind;
    peer->peer.refs = 1;
    assert_int_equal(peer_set_names(&peer->peer, id, "http://host/", "127.0.0.1"), 0);
    peer->fake = fake;
    peer->transport = true;
    list_push(&fake->peers, &peer->link);
    fake->n_peers++;
    return peer;
}

static inline struct http_request *fake_http_request(void)
{
    struct http_request *request = calloc(1, sizeof *request);
    assert_non_null(request);
    return request;
}

/* A peer whose handshake has come. It is the test's until fake_gone. */
static inline struct fake_peer *fake_connect(struct fake *fake, struct room *room, const char *id)
{
    struct fake_peer *peer = fake_peer_new(fake, id);
    room_connect(room, &peer->peer, fake_http_request());
    return peer;
}

/* A text in memory of exactly its length, as a piece of a transport's read buffer. */
static inline char *fake_input(const char *text, size_t len)
{
    char *data = malloc(len ? len : 1);
    assert_non_null(data);
    memcpy(data, text, len);
    return data;
}

/* It is gone when the room has been told. */
static inline void fake_input_over(char *data, size_t len)
{
    memset(data, '#', len);
    free(data);
}

static inline void fake_message(struct fake_peer *peer, const char *text)
{
    size_t len = strlen(text);
    char *data = fake_input(text, len);
    room_message(&peer->peer, (const uint8_t *)data, len, false);
    fake_input_over(data, len);
}

/* The client's close, or the loss of the connection; then its transport is gone. */
static inline void fake_gone_with(struct fake_peer *peer, uint16_t code, const char *text, bool clean)
{
    size_t len = strlen(text);
    char *reason = fake_input(text, len);
    peer->transport = false;
    list_remove(&peer->member);
    list_remove(&peer->link);
    room_close(&peer->peer, code, reason, len, clean);
    fake_input_over(reason, len);
    peer_unref(&peer->peer);
}

static inline void fake_gone(struct fake_peer *peer)
{
    fake_gone_with(peer, 1006, "", false);
}

/* ---- requests ---- */

static inline void fake_respond_to(struct exchange *base, struct http_response *response)
{
    struct fake_exchange *exchange = container_of(base, struct fake_exchange, exchange);
    assert_true(response || exchange->fake->no_memory);
    assert_int_equal(exchange->n_answers++, 0);
    exchange->status = response ? response->status : 0;
    exchange->fake->n_exchanges--;
    fake_say(exchange->fake, "%s = %d", exchange->name, exchange->status);
    if (response && response->body && exchange->status == 200)
        assert_int_equal(buf_printf(&exchange->fake->log, " %.*s", (int)response->body->len,
                                    (const char *)response->body->data),
                         0);
    http_response_free(response);
}

/* The exchange is the caller's memory. */
static inline void fake_request(struct fake *fake, struct room *room, struct fake_exchange *exchange,
                                const char *name)
{
    *exchange = (struct fake_exchange){.exchange = {.respond = fake_respond_to}, .fake = fake};
    snprintf(exchange->name, sizeof exchange->name, "%s", name);
    fake->n_exchanges++;
    room_request(room, fake_http_request(), &exchange->exchange);
}
