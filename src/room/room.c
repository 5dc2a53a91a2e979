/* A room's life: which event is given to the script, and what follows from how its handler
 * ended. */
#include "room/private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "room/data.h"
#include "room/link.h"

#include <stdlib.h>

/* ---- how handlers end ---- */

static void close_instance(struct room *room)
{
    if (!room->instance)
        return;
    void *instance = room->instance;
    room->instance = NULL;
    data_abandon(room);
    room->rooms->script->close(instance);
    room->rooms->counters->rooms_stopped += !room->lobby;
    room->n_waiting = room->n_holds = room->n_open = 0;
    room->lent = 0;
    room->reload_due = room->alarm_due = false;
    list_each(it, &room->peers)
        container_of(it, struct peer, link)->object = NULL;
    struct list *link;
    while ((link = list_pop(&room->wakes)) != NULL)
        event_free(container_of(link, struct event, link));
    list_each_safe(it, &room->inbox) {
        struct event *event = container_of(it, struct event, link);
        if (event->kind == EVENT_TIMER) {
            list_remove(it);
            event_free(event);
        } else if (event->kind == EVENT_REQUEST || event->kind == EVENT_HOOK || event->kind == EVENT_CALL) {
            room->n_open++;
        } else if (event->kind == EVENT_ALARM) {
            room->alarm_due = true;
        }
    }
}

void room_unlist(struct peer *peer)
{
    if (peer->connected) {
        peer->connected = false;
        peer->room->n_connected--;
    }
    if (!peer->listed)
        return;
    peer->listed = false;
    map_remove(&peer->room->rooms->peers_by_id, &peer->by_id);
    peer->room->n_listed--;
}

void room_part(struct peer *peer)
{
    struct room *room = peer->room;
    if (!room)
        return;
    room_unlist(peer);
    list_remove(&peer->link);
    list_remove(&peer->waiting);
    if (peer->state != PEER_NEW)
        room->rooms->counters->sockets_closed++;
    peer->state = PEER_GONE;
    if (peer->object)
        room->rooms->script->forget(room->instance, peer);
    peer->object = NULL;
    room->held -= peer_held(peer);
    peer->room = NULL;
    room->n_peers--;
    room->departures++;
    peer_unref(peer);
}

static void push_effect(struct room *room, const struct effect *effect)
{
    (void)!outq_push(&room->rooms->staged, effect); /* without memory it was dropped, and the peer closed */
}

static void connect_done(struct room *room, struct event *event, enum outcome outcome)
{
    struct peer *peer = event->peer;

    peer->connecting = false;
    if (outcome == OUTCOME_FAILED) {
        uint16_t code = event->close_code ? event->close_code : 1011;
        const char *reason = event->close_code ? event->close_reason : "Internal error";
        room_close_peer(peer, code, reason, reason ? strlen(reason) : 0);
        room_part(peer);
        return;
    }
    if (peer->state == PEER_JOINING) {
        peer->state = PEER_OPEN;
        push_effect(room, &(struct effect){.kind = EFFECT_ACCEPT, .peer = peer_ref(peer)});
    }
    if (peer->close_reported) {
        const char *reason = peer->close_reason;
        room_post_close(peer, peer->close_code, reason, reason ? strlen(reason) : 0, peer->close_clean);
    }
}

void room_fail_start(struct room *room, struct http_response *response)
{
    struct event *first = container_of(room->inbox.next, struct event, link);

    if (list_empty(&room->inbox) || first->failure)
        http_response_free(response);
    else
        first->failure = response;
}

static struct http_response *destroyed(void)
{
    return http_response_text(503, "The room was destroyed");
}

void room_event_done(struct room *room, struct event *event, enum outcome outcome)
{
    switch ((enum event_kind)event->kind) {
    case EVENT_START:
        if (outcome == OUTCOME_DONE && !room->destroying) {
            room->state = ROOM_RUNNING;
        } else {
            room->start_failed = true;
            if (room->destroying && !event->failure)
                event->failure = destroyed();
            room_fail_start(room, event->failure);
            event->failure = NULL;
        }
        break;
    case EVENT_CONNECT: connect_done(room, event, outcome); break;
    case EVENT_CLOSE: room_part(event->peer); break;
    case EVENT_STOP: room->stopped = true; break;
    case EVENT_MESSAGE:
    case EVENT_ERROR:
    case EVENT_REQUEST:
    case EVENT_CALL:
    case EVENT_HOOK:
    case EVENT_TIMER:
    case EVENT_RELOAD:
    case EVENT_CHANGE: /* has no handler */
    case EVENT_WAKE: break;
    case EVENT_ALARM: room_alarm_end(room, outcome); break;
    }
    if (event->exchange) /* the handler ended without an answer: only a failure of ours can do that */
        room_respond(room, event, http_response_text(500, "Internal error"));
    event_free(event);
}

void room_event_dropped(struct room *room, struct event *event)
{
    if (event && event->exchange && (data_broken(room) || room->stopped)) {
        event->exchange->respond(event->exchange, room->stopped
                                                      ? destroyed() /* else none waits at its stop */
                                                      : http_response_text(503, "Service unavailable"));
        event->exchange = NULL;
    }
    event_free(event);
}

/* ---- giving events to the script ---- */

/* Its onClose: the last that the script hears of it. */
static void run_close(struct room *room, struct event *event)
{
    event->peer->state = PEER_GONE;
    room->rooms->script->run(room->instance, event);
}

/* An older connection makes way for one with its id that wants in. */
static void replace(struct room *room, struct peer *older)
{
    static const char replaced[] = "Replaced by a newer connection";

    room_close_peer(older, 4409, replaced, sizeof replaced - 1);
    older->close_reported = true;
    if (older->connecting) { /* its onClose follows its onConnect */
        older->close_code = 4409;
        older->close_reason = strdup(replaced);
        return;
    }
    struct event *close = event_new(EVENT_CLOSE);
    if (!close) {
        room_part(older);
        return;
    }
    close->peer = peer_ref(older);
    close->code = 4409;
    close->data = (const uint8_t *)replaced;
    close->len = sizeof replaced - 1;
    run_close(room, close);
}

static void turn_away(struct peer *peer)
{
    static const char taken[] = "This id is connected";

    room_close_peer(peer, 4409, taken, sizeof taken - 1);
    room_part(peer);
}

static void run_connect(struct room *room, struct event *event)
{
    struct peer *peer = event->peer;
    enum duplicate_id rule = room->rooms->script->duplicate_id(room->party);
    struct peer *older = rule == DUPLICATE_ALLOW ? NULL : room_find_peer(room, span_of(peer->id));

    if (older && rule == DUPLICATE_REPLACE) {
        replace(room, older);
        room_inbox_put_back(room, event); /* one onClose in a step: each may take its time */
        return;
    }
    room->rooms->counters->sockets_opened++; /* be it only to be closed */
    if (older) {
        turn_away(peer);
        event_free(event);
        return;
    }
    peer->state = PEER_JOINING;
    peer->connecting = true;
    peer->listed = true;
    map_add(&room->rooms->peers_by_id, &peer->by_id,
            map_hash2(&room, sizeof(struct room *), peer->id, strlen(peer->id)));
    room->n_listed++;
    push_effect(room, &(struct effect){.kind = EFFECT_JOIN, .peer = peer_ref(peer)});
    room->rooms->script->run(room->instance, event);
}

/* Is the peer that it is about past hearing of it? */
static bool too_late(const struct event *event)
{
    const struct peer *peer = event->peer;
    return peer &&
           (peer->state == PEER_GONE || (event->kind == EVENT_MESSAGE && peer->state == PEER_CLOSING));
}

static void run_event(struct room *room, struct event *event)
{
    const struct script_ops *script = room->rooms->script;

    if (too_late(event)) {
        if (event->kind == EVENT_MESSAGE)
            room->rooms->counters->messages_dropped++;
        event_free(event);
        return;
    }
    switch ((enum event_kind)event->kind) {
    case EVENT_CONNECT: run_connect(room, event); break;
    case EVENT_MESSAGE:
        room->rooms->counters->messages_received++;
        script->run(room->instance, event);
        break;
    case EVENT_WAKE:
    case EVENT_TIMER:
        script->run(room->instance, event);
        event_free(event);
        break;
    case EVENT_CLOSE: run_close(room, event); break;
    case EVENT_HOOK:
        room_lend(room, event);
        script->run(room->instance, event);
        break;
    case EVENT_CHANGE: room_run_change(room, event); break;
    case EVENT_START:
    case EVENT_ERROR:
    case EVENT_REQUEST:
    case EVENT_CALL:
    case EVENT_RELOAD:
    case EVENT_ALARM:
    case EVENT_STOP: script->run(room->instance, event); break;
    }
}

/* The script could not be started: what woke the room is told so, and the next event will
 * try again. */
static void fail_start(struct room *room)
{
    room->state = ROOM_NEW;
    struct event *event = room_inbox_pop(room);
    if (!event)
        return;
    struct http_response *failure = event->failure;
    event->failure = NULL;
    if (!failure)
        failure = http_response_text(500, "Internal error");

    room_turn_begin(room);
    if (event->kind == EVENT_REQUEST || event->kind == EVENT_HOOK || event->kind == EVENT_CALL) {
        room_respond(room, event, failure);
        failure = NULL;
    } else if (event->kind == EVENT_CONNECT && event->peer->state == PEER_NEW) {
        push_effect(room, &(struct effect){.kind = EFFECT_REFUSE,
                                           .peer = peer_ref(event->peer),
                                           .response = failure});
        failure = NULL;
        room->rooms->counters->sockets_refused++;
        room_part(event->peer);
    } else if (event->kind == EVENT_CLOSE) {
        room_part(event->peer);
    } else if (event->kind == EVENT_ALARM) { /* the next search finds it again */
        room->alarm_due = false;
    } else if (event->kind == EVENT_MESSAGE) { /* of one whose room has hibernated */
        room->rooms->counters->messages_dropped++;
    }
    http_response_free(failure);
    event_free(event);
    room_turn_end(room);
}

/* Those who are connected to the VM go: the next one does not know them. */
static void disconnect(struct room *room, uint16_t code, const char *reason)
{
    room_turn_begin(room);
    list_each_safe(it, &room->peers) {
        struct peer *peer = container_of(it, struct peer, link);
        if (peer->state == PEER_NEW)
            continue;
        room_close_peer(peer, code, reason, strlen(reason));
        room_part(peer);
    }
    room_turn_end(room);
}

static void restart(struct room *room)
{
    room->rooms->counters->rooms_restarted++;
    data_abandon(room);
    disconnect(room, 1011, "Internal error");
    close_instance(room);
    room->state = ROOM_NEW;
    data_try_again(room);
    room->input_closed = data_saving(room); /* the next VM is to find it */
    room_schedule(room);
}

/* A full disk fails one room after the other: of so many ms one is named. */
#define BROKEN_MS 1000u

void room_say_unstored(const struct room *room, const char *what, const char *why)
{
    struct rooms *rooms = room->rooms;
    uint64_t now = loop_now(rooms->loop);

    if (rooms->broken_said && now - rooms->broken_said < BROKEN_MS) {
        rooms->broken_unsaid++;
        return;
    }
    log_event(LOG_ERROR, what, log_str("party", rooms->script->party_name(room->party).ptr),
              log_str("room", room->id), log_str("error", why), log_int("unsaid", rooms->broken_unsaid));
    rooms->broken_said = now;
    rooms->broken_unsaid = 0;
}

void room_break(struct room *room, const char *why)
{
    room_say_unstored(room, "what a room has written could not be stored: the room starts anew from what is",
                      why);
    room->durable = room->written; /* nothing waits for these any more */
    outq_fini(&room->outq);
    room->turn_open = room->stopped = false;
    if (room->instance)
        restart(room);
    else if (room->state == ROOM_STOPPING) /* it was destroyed, but for this */
        room->state = ROOM_NEW;
    room->input_closed = true; /* until the store is done with it */
}

void room_restart(struct room *room)
{
    room->restarting = true;
}

int room_destroy(struct room *room)
{
    int rc = data_wipe(room);

    if (rc == 0)
        room->destroying = true;
    return rc;
}

/* It was destroyed: nothing is left but what waits to leave, and what waits in its inbox. */
static void forget(struct room *room)
{
    room->destroying = false;
    room->state = ROOM_STOPPING; /* until all is durable */
    room->stopped = true;
    disconnect(room, 1000, "The room was destroyed");
    close_instance(room);
}

/* What a step of the script has decided about the room itself is carried out when the script
 * is no longer running. */
static void after_step(struct room *room)
{
    bool restarting = room->restarting && !room->destroying;

    room->restarting = false;
    if (room->start_failed) {
        room->start_failed = false;
        close_instance(room);
        fail_start(room);
    } else if (restarting && room->instance && room->state != ROOM_STOPPING) {
        restart(room);
    }
    if (room->destroying)
        forget(room);
    room_resume_peers(room);
    room_settle(room);
}

/* For what is first in its inbox; whoever waits for that waits for onStart too. NULL: no memory. */
static struct event *start_event(const struct room *room)
{
    const struct event *waker = container_of(room->inbox.next, struct event, link);
    struct event *event = event_new(EVENT_START);

    if (event && !room_set_chain(event, waker->chain)) {
        event_free(event);
        return NULL;
    }
    return event;
}

/* Makes the VM and runs onStart, which a lobby has not. Returns whether the room runs now. */
static bool start(struct room *room)
{
    struct event *event = room->lobby ? NULL : start_event(room);
    if ((!event && !room->lobby) ||
        !(room->instance = room->rooms->script->open(room->rooms->script_user, room))) {
        event_free(event);
        fail_start(room);
        after_step(room);
        return false;
    }
    if (!event) { /* a lobby */
        room->state = ROOM_RUNNING;
        return true;
    }
    room->rooms->counters->rooms_started++;
    room->state = ROOM_STARTING;
    room_turn_begin(room);
    run_event(room, event);
    room_turn_end(room);
    if (room->state == ROOM_RUNNING)
        return true;
    after_step(room);
    return false;
}

/* For that no VM is needed. */
static bool change_is_next(const struct room *room)
{
    return container_of(room->inbox.next, struct event, link)->kind == EVENT_CHANGE;
}

void room_step(struct room *room)
{
    struct event *event = NULL;

    if (room->state == ROOM_NEW) {
        if (list_empty(&room->inbox) || !room_inbox_open(room))
            return;
        if (!change_is_next(room)) {
            if (!start(room))
                return;
            if (rooms_took_long(room->rooms, clock_coarse_ns())) { /* others are served before its event */
                after_step(room);
                return;
            }
        }
    }

    bool inbox = !list_empty(&room->inbox) && room_inbox_open(room);
    if (room->answer) {
        event = room->answer;
        room->answer = NULL;
        room->input_closed = false;
    } else if (room->reload_due && room_inbox_open(room) && (event = event_new(EVENT_RELOAD)) != NULL)
        room->reload_due = false;
    else if (!list_empty(&room->wakes) && !room->input_closed && (room->wake_next || !inbox)) {
        event = container_of(list_pop(&room->wakes), struct event, link);
        room->wake_next = false;
    } else if (inbox) {
        event = room_inbox_pop(room);
        room->wake_next = true;
    }
    if (event) {
        room_turn_begin(room);
        run_event(room, event);
        room_turn_end(room);
    }
    after_step(room);
}

void room_stop(struct room *room)
{
    list_remove(&room->in_idle);
    if (!room->instance || room->state != ROOM_RUNNING || room->lobby) { /* onStop is not for these */
        room_remove(room);
        return;
    }
    struct event *event = event_new(EVENT_STOP);
    if (!event) {
        room_remove(room);
        return;
    }
    data_abandon(room);
    room->state = ROOM_STOPPING;
    room_turn_begin(room);
    run_event(room, event);
    room_turn_end(room);
    after_step(room);
}

void room_hibernate(struct room *room)
{
    list_remove(&room->in_idle);
    if (!room->rooms->script->hibernate(room->instance))
        return;
    close_instance(room);
    data_leave(room);
    room->state = ROOM_NEW;
}

void room_leave(struct room *room)
{
    room->stopped = false;
    close_instance(room);
    room->state = ROOM_NEW;
    if (room->rooms->stopping || (list_empty(&room->inbox) && room->n_peers == 0))
        room_remove(room);
    else
        room_schedule(room);
}

static void refuse_queued(struct room *room)
{
    struct list *link;
    while ((link = list_pop(&room->inbox)) != NULL) {
        struct event *event = container_of(link, struct event, link);
        if (event->exchange) {
            event->exchange->respond(event->exchange, http_response_text(503, "The server is stopping"));
            event->exchange = NULL;
        }
        if (event->kind == EVENT_CONNECT && event->peer->state == PEER_NEW) {
            room->rooms->counters->sockets_refused++;
            event->peer->kind->refuse(event->peer, http_response_text(503, "The server is stopping"));
        }
        event_free(event);
    }
    room->n_events = 0;
    room->inbox_size = 0;
}

void room_remove(struct room *room)
{
    struct rooms *rooms = room->rooms;
    CHECK(rooms->running != room);
    if (room->state == ROOM_GONE)
        return;

    room->state = ROOM_GONE;
    room->stopped = false;
    map_remove(&rooms->by_key, &room->by_key);
    close_instance(room);
    data_leave(room);
    refuse_queued(room);
    links_room_gone(room);
    while (!list_empty(&room->peers))
        room_part(container_of(room->peers.next, struct peer, link));
    outq_fini(&room->outq);
    while (room->groups) {
        struct peer_group *group = room->groups;
        room->groups = group->next;
        group->kind->group_close(group);
    }
    list_remove(&room->in_ready);
    list_remove(&room->in_idle);
    list_remove(&room->in_all);
    list_push(&rooms->dead, &room->in_all);
    rooms->n_rooms--;
    loop_keep_turning(rooms->loop);
}
