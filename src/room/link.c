/* The end of a link with the room that has opened it, see link.h. */
#include "room/link_private.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- mails ---- */

struct link_mail *link_mail_new(enum link_mail_kind kind, struct link *near, struct link_peer *far)
{
    struct link_mail *mail = calloc(1, sizeof *mail);

    if (mail) {
        mail->kind = (uint8_t)kind;
        mail->near = near;
        mail->far = far;
    }
    return mail;
}

void link_mail_free(struct link_mail *mail)
{
    if (!mail)
        return;
    bytes_unref(mail->data);
    free(mail);
}

static void at_far(struct mail *base)
{
    struct link_mail *mail = container_of(base, struct link_mail, mail);
    link_far_gets(mail->far, mail);
}

static void at_near(struct mail *base)
{
    struct link_mail *mail = container_of(base, struct link_mail, mail);
    link_near_gets(mail->near, mail);
}

void link_mail_to_far(struct link_mail *mail)
{
    mail_send(&mail->mail, mail->near->rooms, mail->near->to, at_far);
}

void link_mail_to_near(struct link_mail *mail)
{
    mail_send(&mail->mail, mail->far->rooms, mail->far->near_rooms, at_near);
}

/* ---- life ---- */

struct link *link_new(struct span party, struct span id, const char *peer_id, const char *uri,
                      struct http_request *request)
{
    struct link *link = calloc(1, sizeof *link);

    if (!link) {
        http_request_free(request);
        return NULL;
    }
    list_init(&link->received);
    link->request = request;
    link->party = strndup(party.ptr, party.len);
    link->id = strndup(id.ptr, id.len);
    link->far = link_peer_new(peer_id, uri);
    link->opening = link_mail_new(LINK_MAIL_OPEN, link, link->far);
    link->closing = link_mail_new(LINK_MAIL_CLOSE, link, link->far);
    if (!link->party || !link->id || !link->far || !link->opening || !link->closing) {
        link_free(link);
        return NULL;
    }
    return link;
}

static void free_received(struct link *link)
{
    while (!list_empty(&link->received))
        link_take(link);
}

static void destroy(struct link *link)
{
    bool left = link->left;

    if (!left)
        link_peer_drop(link->far);
    link_mail_free(link->opening);
    link_mail_free(link->closing);
    http_request_free(link->request);
    bytes_unref(link->reason);
    free(link->party);
    free(link->id);
    if (left)
        mail_release(link->rooms);
    free(link);
}

/* Says that it closes, once. What waits at the gate comes before. */
static void say_close(struct link *link)
{
    if (link->said || !link->left || link->at_gate > 0)
        return;
    struct link_mail *mail = link->closing;
    CHECK(mail != NULL);
    link->closing = NULL;
    link->said = true;
    link_mail_to_far(mail);
}

/* Let go, and nothing of it is under way any more? Then it goes. */
static void settle(struct link *link)
{
    if (!link->room && link->at_gate == 0 && (!link->left || (link->said && link->heard)))
        destroy(link);
}

void link_free(struct link *link)
{
    if (!link)
        return;
    timer_stop(&link->timer);
    list_remove(&link->in_rooms);
    if (link->room && link->state != LINK_CLOSED && link->state != LINK_CLOSING) {
        link->closing->code = link->room->state == ROOM_STOPPING ? 1001 : 1006;
        link->closing->clean = link->room->state == ROOM_STOPPING;
    }
    free_received(link);
    if (link->room)
        link->room->held -= link->charged;
    link->room = NULL;
    link->changed = NULL;
    say_close(link);
    settle(link);
}

static void tell(struct link *link)
{
    if (link->changed)
        link->changed(link);
}

/* It is over for the room, and the other end is to be told with what. */
static void end(struct link *link, uint16_t code, const char *text, bool refused)
{
    if (link->state == LINK_CLOSED)
        return;
    timer_stop(&link->timer);
    if (link->state != LINK_CLOSING && link->closing) {
        link->closing->code = code;
        link->closing->data = text ? bytes_copy(text, strlen(text)) : NULL;
    }
    link->state = LINK_CLOSED;
    link->code = code;
    link->reason = text ? bytes_copy(text, strlen(text)) : NULL;
    link->refused = refused;
    say_close(link);
    tell(link);
}

void links_shut(struct rooms *rooms)
{
    list_each_safe(it, &rooms->links)
        end(container_of(it, struct link, in_rooms), 1001, "The server is stopping", false);
}

/* ---- the gate ---- */

static void leave(struct departure *departure)
{
    struct link_mail *mail = container_of(departure, struct link_mail, departure);
    struct link *link = mail->near;

    link->at_gate--;
    if (mail->kind == LINK_MAIL_OPEN && link->room && link->state == LINK_CONNECTING) {
        link->opening = NULL;
        link->left = true;
        mail_hold(link->rooms);
        mail_hold(link->rooms); /* for the other end */
        link_mail_to_far(mail);
    } else if (mail->kind == LINK_MAIL_MESSAGE && link->left && !link->heard) {
        link_mail_to_far(mail);
    } else if (mail->kind != LINK_MAIL_OPEN) {
        link_mail_free(mail);
    }
    if (!link->room || link->state == LINK_CLOSING || link->state == LINK_CLOSED)
        say_close(link);
    settle(link);
}

/* What was written before was not kept, or there is no memory: who is told so late is not told more. */
static void drop(struct departure *departure)
{
    struct link_mail *mail = container_of(departure, struct link_mail, departure);
    struct link *link = mail->near;

    link->at_gate--;
    if (mail->kind != LINK_MAIL_OPEN)
        link_mail_free(mail);
    if (link->beginning)
        return;
    end(link, 1011, "Internal error", link->state == LINK_CONNECTING);
    say_close(link);
    settle(link);
}

static int depart(struct link *link, struct link_mail *mail, size_t cost)
{
    mail->departure = (struct departure){.leave = leave, .drop = drop, .cost = cost};
    link->at_gate++;
    link->beginning = true;
    int rc = room_depart(link->room, &mail->departure);
    link->beginning = false;
    return rc;
}

static void on_timeout(struct timer *timer)
{
    struct link *link = container_of(timer, struct link, timer);
    char text[96];

    snprintf(text, sizeof text, "the room has not answered within %" PRIu64 " ms (callTimeout)",
             link->rooms->limits.call_ms);
    end(link, 1006, text, true);
}

int link_open(struct link *link, struct room *room, const struct event *event)
{
    struct rooms *rooms = room->rooms;

    if (!call_chain_extend(&link->chain, room, event))
        return -ELOOP;
    link->rooms = rooms;
    link->to = rooms_home(rooms, span_of(link->party), span_of(link->id));
    link->far->rooms = link->to;
    link->far->near = link;
    link->far->near_rooms = rooms;
    link->room = room;
    link->timer = (struct timer){.fn = on_timeout};
    list_push(&rooms->links, &link->in_rooms);
    int rc = depart(link, link->opening, sizeof *link + sizeof *link->far + link->request->size);
    if (rc == 0 && rooms->limits.call_ms > 0)
        timer_start(rooms->loop, &link->timer, rooms->limits.call_ms);
    return rc;
}

size_t link_cost(size_t len)
{
    return sizeof(struct link_mail) + sizeof(struct bytes) + len;
}

int link_send(struct link *link, const void *data, size_t len, bool binary)
{
    uint64_t most = link->rooms->limits.queue;

    if (link->state != LINK_OPEN)
        return -EPIPE;
    if (most > 0 && link->charged + link_cost(len) > most) {
        link->rooms->counters->sockets_slow++;
        end(link, 1013, "Too much waits to be sent to this connection", false);
        return -EPIPE;
    }
    struct link_mail *mail = link_mail_new(LINK_MAIL_MESSAGE, link, link->far);
    if (!mail || !(mail->data = bytes_copy(data, len))) {
        link_mail_free(mail);
        return -ENOMEM;
    }
    mail->binary = binary;
    mail->len = len;
    int rc = depart(link, mail, sizeof *mail + bytes_cost(mail->data));
    if (rc == 0) {
        link->pending += len;
        link->charged += link_cost(len);
        link->room->held += link_cost(len);
    }
    return rc;
}

int link_close(struct link *link, uint16_t code, const char *reason, size_t len)
{
    if (link->state == LINK_CLOSED || link->state == LINK_CLOSING)
        return 0;
    if (len > 0 && !(link->closing->data = bytes_copy(reason, len)))
        return -ENOMEM;
    link->closing->code = code;
    link->closing->clean = true;
    link->state = LINK_CLOSING;
    /* Something of ours that leaves now: behind it the close does. Without memory for that it does at once. */
    struct link_mail *mark = link_mail_new(LINK_MAIL_TAKEN, link, NULL);
    if (!mark || depart(link, mark, sizeof *mark) != 0)
        say_close(link);
    return 0;
}

/* ---- what comes ---- */

const struct link_mail *link_next(const struct link *link)
{
    return list_empty(&link->received) ? NULL : container_of(link->received.next, struct link_mail, link);
}

static void give_back(struct link *link, struct link_mail *mail)
{
    bytes_unref(mail->data);
    mail->data = NULL;
    mail->kind = LINK_MAIL_TAKEN;
    if (link->said || link->heard)
        link_mail_free(mail);
    else
        link_mail_to_far(mail);
}

static size_t unread_size(const struct link_mail *mail)
{
    return sizeof *mail + bytes_cost(mail->data);
}

void link_take(struct link *link)
{
    struct link_mail *mail = container_of(list_pop(&link->received), struct link_mail, link);

    CHECK(link->room != NULL);
    link->room->unread -= unread_size(mail);
    link->room->held -= unread_size(mail);
    give_back(link, mail);
}

static void get_message(struct link *link, struct link_mail *mail)
{
    const struct room *room = link->room;

    if (!room || link->state == LINK_CLOSED) {
        give_back(link, mail);
        return;
    }
    size_t size = unread_size(mail);
    if (room->rooms->limits.inbox > 0 && room->unread + size > room->rooms->limits.inbox / 2) {
        link->rooms->counters->sockets_slow++;
        give_back(link, mail);
        end(link, 1013, "Too much waits to be read by this room", false);
        return;
    }
    link->room->unread += size;
    link->room->held += size;
    list_push(&link->received, &mail->link);
    if (link->state != LINK_CONNECTING) /* else it is told when it is let in */
        tell(link);
}

/* The last thing that comes. */
static void get_close(struct link *link, struct link_mail *mail)
{
    link->heard = true;
    timer_stop(&link->timer);
    if (link->state != LINK_CLOSED && link->room) {
        link->state = LINK_CLOSED;
        link->code = mail->code;
        link->reason = mail->data;
        link->refused = mail->refused;
        link->clean = mail->clean;
        mail->data = NULL;
        tell(link);
    }
    if (!link->said) { /* what waits at the gate leads nowhere now */
        struct link_mail *last = link->closing;
        CHECK(last != NULL);
        last->code = mail->code;
        last->clean = true;
        link->closing = NULL;
        link->said = true;
        link_mail_to_far(last);
    }
    link_mail_free(mail);
    settle(link);
}

void link_near_gets(struct link *link, struct link_mail *mail)
{
    switch ((enum link_mail_kind)mail->kind) {
    case LINK_MAIL_ACCEPT:
        link_mail_free(mail);
        timer_stop(&link->timer);
        if (link->room && link->state == LINK_CONNECTING) {
            link->state = LINK_OPEN;
            tell(link);
        }
        break;
    case LINK_MAIL_MESSAGE: get_message(link, mail); break;
    case LINK_MAIL_TAKEN:
        link->pending -= mail->len;
        link->charged -= link_cost(mail->len);
        if (link->room)
            link->room->held -= link_cost(mail->len);
        link_mail_free(mail);
        break;
    case LINK_MAIL_CLOSE: get_close(link, mail); break;
    case LINK_MAIL_OPEN: CHECK(false);
    }
}
