/* The end of a link with the room that it leads to: a peer of the kind "room". */
#include "room/link_private.h"

#include <stdlib.h>

static struct link_peer *of_peer(const struct peer *peer)
{
    return container_of(peer, struct link_peer, peer);
}

/* Says that it closes, once; the other end answers with the same. */
static void say_close(struct link_peer *far, uint16_t code, bool clean, bool refused, struct bytes *text)
{
    struct link_mail *mail = far->last;

    if (far->said) {
        bytes_unref(text);
        return;
    }
    far->last = NULL;
    far->said = true;
    far->code = code;
    far->clean = clean;
    far->reason = text ? bytes_copy(text->data, text->len) : NULL;
    mail->near = far->near;
    mail->code = code ? code : 1005;
    mail->clean = clean;
    mail->refused = refused;
    mail->data = text;
    peer_group_leave(&far->group, &far->member);
    link_mail_to_near(mail);
    loop_soon(far->rooms->loop, &far->again); /* what the room did not take is not waited for any more */
}

/* ---- what the room wants (struct peer_kind) ---- */

struct link_group {
    struct peer_group base;
    struct list members; /* of struct link_peer */
};

static struct peer_group *link_group_open(struct room *room)
{
    struct link_group *group = calloc(1, sizeof *group);
    (void)room;
    if (!group)
        return NULL;
    list_init(&group->members);
    return &group->base;
}

static void link_group_close(struct peer_group *base)
{
    struct link_group *group = container_of(base, struct link_group, base);
    while (!list_empty(&group->members)) {
        struct link_peer *far = container_of(group->members.next, struct link_peer, member);
        peer_group_leave(&far->group, &far->member);
    }
    free(group);
}

static void link_join(struct peer *peer, struct peer_group *base)
{
    struct link_peer *far = of_peer(peer);
    if (far->said)
        return;
    list_push(&container_of(base, struct link_group, base)->members, &far->member);
    peer_group_count(&far->group, base);
}

static void link_close_peer(struct peer *peer, uint16_t code, const char *reason, size_t len)
{
    /* Without memory for the reason it closes without one. */
    say_close(of_peer(peer), code, true, false, len > 0 ? bytes_copy(reason, len) : NULL);
}

static void link_accept(struct peer *peer)
{
    struct link_peer *far = of_peer(peer);

    if (far->said)
        return;
    struct link_mail *mail = link_mail_new(LINK_MAIL_ACCEPT, far->near, far);
    if (mail)
        link_mail_to_near(mail);
    else
        say_close(far, 1011, false, true, NULL);
}

static void link_refuse(struct peer *peer, struct http_response *response)
{
    struct bytes *text = response ? response->body : NULL;

    if (response)
        response->body = NULL; /* it has one reference */
    say_close(of_peer(peer), 1006, false, true, text);
    http_response_free(response);
}

static void link_send_peer(struct peer *peer, struct bytes *data, bool binary)
{
    struct link_peer *far = of_peer(peer);
    uint64_t most = far->rooms->limits.queue;
    bool same = far->rooms == far->near_rooms;

    if (far->said)
        return;
    if (most > 0 && far->charged + link_cost(data->len) > most) {
        static const char text[] = "Too much waits to be sent to this connection";
        far->rooms->counters->sockets_slow++;
        say_close(far, 1013, false, false, bytes_copy(text, sizeof text - 1));
        return;
    }
    struct link_mail *mail = link_mail_new(LINK_MAIL_MESSAGE, far->near, far);
    if (!mail || !(mail->data = same ? bytes_ref(data) : bytes_copy(data->data, data->len))) {
        link_mail_free(mail);
        say_close(far, 1011, false, false, NULL); /* rather none than one with a gap */
        return;
    }
    mail->binary = binary;
    mail->len = data->len;
    far->pending += data->len;
    far->charged += link_cost(data->len);
    link_mail_to_near(mail);
}

static const struct peer_kind link_kind;

static void mark(const struct peer_group *base, struct peer *const *without, size_t n, bool left_out)
{
    for (size_t i = 0; i < n; i++) {
        if (without[i]->kind == base->kind)
            of_peer(without[i])->left_out = left_out;
    }
}

static void link_group_send(struct peer_group *base, struct bytes *data, bool binary,
                            struct peer *const *without, size_t n_without)
{
    mark(base, without, n_without, true);
    list_each_safe(it, &container_of(base, struct link_group, base)->members) {
        struct link_peer *far = container_of(it, struct link_peer, member);
        if (!far->left_out)
            link_send_peer(&far->peer, data, binary);
    }
    mark(base, without, n_without, false);
}

static size_t link_pending(const struct peer *peer)
{
    return of_peer(peer)->pending;
}

/* A mail for each; how many of them share the bytes depends on where the other rooms are. */
static size_t link_copy_cost(const struct bytes *data, bool binary, size_t n_peers)
{
    (void)binary;
    return n_peers * link_cost(data->len);
}

static void link_resume(struct peer *peer)
{
    struct link_peer *far = of_peer(peer);
    loop_soon(far->rooms->loop, &far->again);
}

static void link_free_peer(struct peer *peer)
{
    struct link_peer *far = of_peer(peer);
    struct list *link;

    loop_soon_cancel(&far->again); /* the room may have called resume when both ends had closed */
    while ((link = list_pop(&far->held)) != NULL)
        link_mail_free(container_of(link, struct link_mail, link));
    link_mail_free(far->last);
    bytes_unref(far->reason);
    free(far);
}

static const struct peer_kind link_kind = {
    .name = "room",
    .group_open = link_group_open,
    .group_close = link_group_close,
    .group_send = link_group_send,
    .copy_cost = link_copy_cost,
    .join = link_join,
    .accept = link_accept,
    .refuse = link_refuse,
    .send = link_send_peer,
    .close = link_close_peer,
    .pending = link_pending,
    .resume = link_resume,
    .free = link_free_peer,
};

void links_room_gone(struct room *room)
{
    static const char text[] = "The room has left memory";

    list_each(it, &room->peers) {
        struct peer *peer = container_of(it, struct peer, link);
        if (peer->kind == &link_kind)
            link_close_peer(peer, 1001, text, sizeof text - 1);
    }
}

/* ---- what comes ---- */

static void hand_in(struct link_peer *far, struct link_mail *mail)
{
    static const uint8_t nothing[1];
    const struct bytes *data = mail->data;

    list_remove(&mail->link);
    room_message(&far->peer, data->len ? data->data : nothing, data->len, mail->binary);
    bytes_unref(mail->data);
    mail->data = NULL;
    mail->kind = LINK_MAIL_TAKEN;
    if (far->said)
        link_mail_free(mail);
    else
        link_mail_to_near(mail);
}

/* The last thing that comes: this end is gone then. */
static void hear_close(struct link_peer *far, struct link_mail *mail)
{
    bool first = !far->said;
    uint16_t code = first ? mail->code : far->code;
    const struct bytes *reason = first ? mail->data : far->reason;

    far->heard = true;
    list_remove(&mail->link);
    say_close(far, mail->code, mail->clean, false, NULL);
    loop_soon_cancel(&far->again);
    room_close(&far->peer, code ? code : 1005, reason ? (const char *)reason->data : NULL,
               reason ? reason->len : 0, first ? mail->clean : far->clean);
    link_mail_free(mail);
    mail_release(far->rooms);
    peer_unref(&far->peer);
}

/* Gives the room what it takes, in order. */
static void proceed(struct link_peer *far)
{
    while (!list_empty(&far->held)) {
        struct link_mail *mail = container_of(far->held.next, struct link_mail, link);
        if (mail->kind == LINK_MAIL_CLOSE) {
            hear_close(far, mail);
            return;
        }
        if (!room_peer_ready(&far->peer))
            return; /* link_resume follows */
        hand_in(far, mail);
    }
}

static void on_again(struct soon *soon)
{
    proceed(container_of(soon, struct link_peer, again));
}

static void enter(struct link_peer *far)
{
    struct link *near = far->near;
    struct http_response *refusal = NULL;
    struct http_request *request = near->request;
    struct room *room = rooms_enter(far->rooms, span_of(near->party), span_of(near->id), &refusal);

    near->request = NULL;
    if (room && call_chain_stuck(&near->chain, room))
        refusal = call_stuck_response();
    if (room && !refusal) {
        room_connect_from(room, &far->peer, request, &near->chain);
        return;
    }
    http_request_free(request);
    link_refuse(&far->peer, refusal);
}

void link_far_gets(struct link_peer *far, struct link_mail *mail)
{
    switch ((enum link_mail_kind)mail->kind) {
    case LINK_MAIL_OPEN:
        link_mail_free(mail);
        enter(far);
        break;
    case LINK_MAIL_TAKEN:
        far->pending -= mail->len;
        far->charged -= link_cost(mail->len);
        link_mail_free(mail);
        break;
    case LINK_MAIL_MESSAGE:
    case LINK_MAIL_CLOSE:
    case LINK_MAIL_ACCEPT:
        list_push(&far->held, &mail->link);
        if (!list_linked(&far->again.link))
            proceed(far);
        break;
    }
}

/* ---- life ---- */

struct link_peer *link_peer_new(const char *id, const char *uri)
{
    struct link_peer *far = calloc(1, sizeof *far);

    if (!far)
        return NULL;
    far->peer.kind = &link_kind;
    far->peer.refs = 1;
    far->again.fn = on_again;
    list_init(&far->held);
    far->last = link_mail_new(LINK_MAIL_CLOSE, NULL, far);
    if (!far->last || peer_set_names(&far->peer, id, uri, "") != 0) {
        link_peer_drop(far);
        return NULL;
    }
    return far;
}

void link_peer_drop(struct link_peer *far)
{
    if (far)
        peer_unref(&far->peer);
}
