/* A room's inbox: what waits in it, when the room has its turn and among which others, and what may run at once. */
#include "room/private.h"

#include "base/clock.h"

#include <stdlib.h>

/* Time in one turn of the loop in which events that come in run at once, without the inbox. By the coarse
 * clock, since it is read for every event. */
#define DIRECT_BUDGET_NS (2u * NS_PER_MS)

/* An event that takes so long is a slow one: two ticks of the coarse clock. */
#define LONG_NS (8u * NS_PER_MS)

/* So often at most the time that the thread has used is looked at, before an event. */
#define MARK_NS (4u * NS_PER_MS)

/* So many others behind it, and the room is quick again. */
#define TO_BE_QUICK 32u

/* So long its party's quick rooms are taken for slow. */
#define PARTY_SLOW_NS (2000u * (uint64_t)NS_PER_MS)

bool room_inbox_open(const struct room *room)
{
    switch ((enum room_state)room->state) {
    case ROOM_NEW: return !room->input_closed; /* closed: the store has something of the VM before */
    case ROOM_RUNNING: return !room->input_closed && room->n_waiting < room->rooms->limits.handlers;
    case ROOM_STARTING:
    case ROOM_STOPPING:
    case ROOM_GONE: break;
    }
    return false;
}

/* The deadline of rooms_stop has passed: before onStop there is nothing more. */
static bool is_given_up(const struct room *room)
{
    return room->rooms->stop_forced && room->state != ROOM_STOPPING;
}

bool room_has_work(const struct room *room)
{
    if (is_given_up(room))
        return false;
    if (room->input_closed)
        return room->answer != NULL;
    return !list_empty(&room->wakes) ||
           ((room->reload_due || !list_empty(&room->inbox)) && room_inbox_open(room));
}

void room_schedule(struct room *room)
{
    if (!room_has_work(room) || list_linked(&room->in_ready))
        return;
    list_push(&room->rooms->ready[room_pace_of(room)], &room->in_ready);
    loop_keep_turning(room->rooms->loop);
}

enum room_pace room_pace_of(const struct room *room)
{
    if (room->pace == PACE_QUICK && room->party_pace->slow_until > room->rooms->began)
        return PACE_SLOW;
    return (enum room_pace)room->pace;
}

void rooms_begin(struct rooms *rooms, uint64_t now)
{
    rooms->began = now;
    if (now >= rooms->marked + MARK_NS) {
        rooms->marked = now;
        rooms->used = clock_thread_ns();
    }
}

/* Only what it has used of the CPU counts: the thread may have waited for that, behind other programs. */
bool rooms_took_long(const struct rooms *rooms, uint64_t now)
{
    return now > rooms->began && now - rooms->began >= LONG_NS && clock_thread_ns() - rooms->used >= LONG_NS;
}

uint64_t rooms_step_took(const struct rooms *rooms)
{
    return rooms_took_long(rooms, clock_coarse_ns()) ? clock_thread_ns() - rooms->used : 0;
}

void room_stepped(struct room *room, uint64_t now)
{
    struct rooms *rooms = room->rooms;
    bool was_long = rooms_took_long(rooms, now);

    rooms_begin(rooms, now);
    room->active = now;
    if (was_long) {
        rooms->long_turn = rooms->loop->turn;
        room->pace = PACE_SLOW;
        room->to_be_quick = TO_BE_QUICK;
        room->party_pace->slow_until = now + PARTY_SLOW_NS;
    } else if (room->pace == PACE_NEW || (room->pace == PACE_SLOW && --room->to_be_quick == 0)) {
        room->pace = PACE_QUICK;
    }
}

bool rooms_may_spend(struct rooms *rooms, struct turn_budget *budget)
{
    uint64_t turn = rooms->loop->turn;

    if (budget->turn != turn)
        *budget = (struct turn_budget){.turn = turn};
    if (rooms->long_turn == turn || budget->used >= WORK_BUDGET_NS)
        return false;
    rooms_begin(rooms, clock_monotonic_ns());
    return true;
}

void room_spent(struct room *room, struct turn_budget *budget)
{
    uint64_t began = room->rooms->began, now = clock_monotonic_ns();

    budget->used += now - began;
    room_stepped(room, now);
}

/* May one of a room of this pace run before all that are queued? One that may take long waits where others
 * of its kind wait. */
static bool pace_is_free(const struct rooms *rooms, enum room_pace pace)
{
    return pace == PACE_QUICK ||
           (pace == PACE_NEW && list_empty(&rooms->ready[PACE_NEW]) && list_empty(&rooms->ready[PACE_SLOW]));
}

/* May an event that comes in now run at once? */
static bool may_run_now(struct room *room)
{
    struct rooms *rooms = room->rooms;
    if (rooms->running || !list_empty(&room->inbox) || !list_empty(&room->wakes) || room->reload_due ||
        !room_inbox_open(room) || is_given_up(room) || !pace_is_free(rooms, room_pace_of(room)))
        return false;
    if (rooms->turn != rooms->loop->turn) {
        rooms->turn = rooms->loop->turn;
        rooms->direct_until = clock_coarse_ns() + DIRECT_BUDGET_NS;
    }
    return rooms->direct_until != 0;
}

/* After an event that ran at once: is the time for that used up? */
static void note_direct(struct room *room)
{
    struct rooms *rooms = room->rooms;

    room_stepped(room, clock_coarse_ns());
    if (rooms->began >= rooms->direct_until)
        rooms->direct_until = 0;
}

/* Events that count against the limit are the ones that a client can make at will. */
static bool event_counts(const struct event *event)
{
    return event->kind == EVENT_MESSAGE || event->kind == EVENT_REQUEST || event->kind == EVENT_CONNECT ||
           event->kind == EVENT_HOOK || event->kind == EVENT_CALL;
}

static void count_in(struct room *room, const struct event *event)
{
    if (!event_counts(event))
        return;
    room->n_events++;
    room->inbox_size += event_size(event);
}

static void count_out(struct room *room, const struct event *event)
{
    if (!event_counts(event))
        return;
    room->n_events--;
    room->inbox_size -= event_size(event);
}

struct event *room_inbox_pop(struct room *room)
{
    struct list *link = list_pop(&room->inbox);
    struct event *event = link ? container_of(link, struct event, link) : NULL;

    if (event)
        count_out(room, event);
    return event;
}

void room_inbox_put_back(struct room *room, struct event *event)
{
    list_push(room->inbox.next, &event->link);
    count_in(room, event);
}

void room_unpost(struct room *room, struct event *event)
{
    list_remove(&event->link);
    count_out(room, event);
    event_free(event);
}

/* Copies what is the sender's. Without memory, the text of an error or a close is left out; false: it
 * is a message, which is lost then, and its sender is to be told so. */
static bool keep_data(struct event *event)
{
    event->copy = malloc(event->len ? event->len : 1);
    if (event->copy)
        memcpy(event->copy, event->data, event->len);
    else
        event->len = 0;
    event->data = event->copy;
    return event->copy || event->kind != EVENT_MESSAGE;
}

void room_post(struct room *room, struct event *event)
{
    bool now = may_run_now(room);

    /* In ROOM_NEW onStart comes first, and may wait. */
    if (event->data && (!now || room->state == ROOM_NEW) && !keep_data(event)) {
        room->rooms->counters->messages_dropped++;
        room_close_peer(event->peer, 1011, NULL, 0);
        event_free(event);
        return;
    }
    list_push(&room->inbox, &event->link);
    if (!room->rooms->stop_forced)
        list_remove(&room->in_idle);
    count_in(room, event);
    if (now) {
        rooms_begin(room->rooms,
                    clock_coarse_ns()); /* what came before was other work: sockets that were read */
        room_step(room);
        note_direct(room);
    }
    room_schedule(room);
}
