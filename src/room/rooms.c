/* The rooms of a thread: finding and making them, whose turn it is, and when they leave. */
#include "room/private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "room/data.h"
#include "room/link.h"
#include "room/listing.h"

#include <errno.h>
#include <stdlib.h>

/* Time for which one room runs before the next. */
#define SLICE_NS (1u * NS_PER_MS)

/* When handlers were dropped at the deadline of rooms_stop, onStop gets this long. */
#define STOP_LAST_MS 1000u

static void rooms_free_dead(struct rooms *rooms)
{
    list_each_safe(it, &rooms->dead) {
        struct room *room = container_of(it, struct room, in_all);
        rooms->script->party_unref(room->party);
        free(room->id);
        free(room);
    }
    list_init(&rooms->dead);
}

bool rooms_busy(const struct rooms *rooms)
{
    for (int pace = 0; pace < ROOM_PACES; pace++) {
        if (!list_empty(&rooms->ready[pace]))
            return true;
    }
    return false;
}

/* Its events, as long as it has its turn. */
static void run_slice(struct room *room)
{
    struct rooms *rooms = room->rooms;
    uint64_t until = rooms->began + rooms->slice;

    do {
        room_step(room);
        room_stepped(room, clock_monotonic_ns());
    } while (rooms->began < until && room_has_work(room));
    list_remove(&room->in_ready);
    room_schedule(room); /* behind the others of its pace */
}

/* Slices of the rooms of one pace, in turn. Returns whether there were any. */
static bool serve(struct rooms *rooms, enum room_pace pace)
{
    struct list *ready = &rooms->ready[pace], *link;

    if (list_empty(ready))
        return false;
    rooms_begin(rooms, clock_monotonic_ns());
    uint64_t until = rooms->began + WORK_BUDGET_NS;
    while (rooms->began < until && (link = list_pop(ready)) != NULL) {
        struct room *room = container_of(link, struct room, in_ready);
        if (room_pace_of(room) != pace)
            room_schedule(room); /* its party has become slow, or is not any more */
        else if (room_has_work(room))
            run_slice(room);
    }
    return true;
}

static void evict_room(struct room *room)
{
    if (room->n_peers > 0 && !room->rooms->stopping)
        room_hibernate(room);
    else
        room_stop(room);
}

int rooms_evict(struct room *room)
{
    if (!list_linked(&room->in_idle) || room->rooms->running)
        return -EBUSY;
    rooms_begin(room->rooms, clock_monotonic_ns());
    evict_room(room);
    return 0;
}

/* Rooms that have been idle for long enough leave, or lose their VM: their handlers may take long too. When rooms stop,
 * no time is long enough. */
static void evict(struct rooms *rooms)
{
    uint64_t now = loop_now(rooms->loop), idle_ms = rooms->stopping ? 0 : rooms->limits.idle_ms;

    rooms->evicting = false;
    while (!list_empty(&rooms->idle)) {
        struct room *room = container_of(rooms->idle.next, struct room, in_idle);
        uint64_t due = room->idle_since + idle_ms;
        if (due > now) {
            timer_start(rooms->loop, &rooms->evict, due - now);
            return;
        }
        if (!rooms_may_spend(rooms, &rooms->evictions)) { /* the next turn has time for the others */
            rooms->evicting = true;
            return;
        }
        evict_room(room);
        room_spent(room, &rooms->evictions);
    }
}

void room_do_later(struct room *room, struct room_chore *chore)
{
    chore->room = room;
    if (!list_linked(&chore->link))
        list_push(&room->rooms->chores, &chore->link);
    loop_keep_turning(room->rooms->loop);
}

static bool do_chores(struct rooms *rooms)
{
    bool served = false;

    while (!list_empty(&rooms->chores) && rooms_may_spend(rooms, &rooms->working)) {
        struct room_chore *chore = container_of(list_pop(&rooms->chores), struct room_chore, link);
        struct room *room = chore->room;
        chore->fn(chore);
        room_spent(room, &rooms->working);
        served = true;
    }
    return served;
}

static bool do_evictions(struct rooms *rooms)
{
    if (!rooms->evicting)
        return false;
    evict(rooms);
    return true;
}

static bool serve_new(struct rooms *rooms)
{
    return serve(rooms, PACE_NEW);
}

static bool serve_slow(struct rooms *rooms)
{
    return serve(rooms, PACE_SLOW);
}

/* New rooms, slow ones, chores, and rooms that leave. If a turn has had something that took long, sockets are looked at
 * before more may follow. */
static bool rooms_late(struct loop_hook *hook)
{
    static bool (*const kinds[])(struct rooms * rooms) = {serve_new, serve_slow, do_chores, do_evictions};
    const unsigned n = sizeof kinds / sizeof kinds[0];
    struct rooms *rooms = container_of(hook, struct rooms, late);
    bool served = false;

    for (unsigned i = 0, first = rooms->late_first; i < n && rooms->long_turn != rooms->loop->turn; i++) {
        unsigned kind = (first + i) % n;
        if (!kinds[kind](rooms))
            continue;
        rooms->late_first = (kind + 1) % n; /* whoever comes behind the one that has taken long */
        served = true;
    }
    served |= listing_serve(rooms);
    return served || rooms->evicting || !list_empty(&rooms->chores) || rooms_busy(rooms);
}

static bool rooms_work(struct loop_hook *hook)
{
    struct rooms *rooms = container_of(hook, struct rooms, work);

    serve(rooms, PACE_QUICK);
    rooms_free_dead(rooms);
    if (rooms->on_empty && rooms->n_rooms == 0) {
        void (*on_empty)(void *) = rooms->on_empty;
        rooms->on_empty = NULL;
        timer_stop(&rooms->evict);
        on_empty(rooms->on_empty_user); /* the last thing: it may end the rooms */
    }
    return false; /* rooms_late knows */
}

static void evict_soon(struct rooms *rooms)
{
    rooms->evicting = true;
    loop_keep_turning(rooms->loop);
}

static void stop_all(struct rooms *rooms)
{
    list_each_safe(link, &rooms->all)
        room_settle(container_of(link, struct room, in_all));
    evict_soon(rooms);
}

/* Rooms that have been idle for long enough leave; or the deadline of rooms_stop has come. */
static void rooms_on_timer(struct timer *timer)
{
    struct rooms *rooms = container_of(timer, struct rooms, evict);

    if (rooms->stopping) {
        if (rooms->stop_forced) {
            rooms_drop(rooms);
        } else {
            rooms->stop_forced = true;
            timer_start(rooms->loop, timer, STOP_LAST_MS);
            stop_all(rooms);
        }
        return;
    }
    evict_soon(rooms);
}

void rooms_init(struct rooms *rooms, struct loop *loop, const struct script_ops *script, void *script_user,
                const struct room_limits *limits, struct counters *counters)
{
    *rooms = (struct rooms){
        .loop = loop,
        .script = script,
        .script_user = script_user,
        .limits = *limits,
        .counters = counters,
        .evict = {.fn = rooms_on_timer, .loop = loop},
        .work = {.fn = rooms_work},
        .late = {.fn = rooms_late},
        .slice = SLICE_NS,
        .shares = 1,
    };
    mail_init(rooms);
    list_init(&rooms->links);
    list_init(&rooms->listings);
    list_init(&rooms->chores);
    alarms_init(&rooms->alarms, rooms);
    list_init(&rooms->all);
    list_init(&rooms->all_paces);
    for (int pace = 0; pace < ROOM_PACES; pace++)
        list_init(&rooms->ready[pace]);
    list_init(&rooms->idle);
    list_init(&rooms->dead);
    loop_hook_add(&loop->work, &rooms->work);
    loop_hook_add(&loop->late, &rooms->late);
}

void rooms_fini(struct rooms *rooms)
{
    rooms_free_dead(rooms);
    CHECK(rooms->n_rooms == 0);
    timer_stop(&rooms->evict);
    alarms_stop(&rooms->alarms);
    loop_hook_remove(&rooms->work);
    loop_hook_remove(&rooms->late);
    CHECK(list_empty(&rooms->links) && list_empty(&rooms->listings) && list_empty(&rooms->chores));
    mail_fini(rooms);
    map_fini(&rooms->by_key);
    map_fini(&rooms->peers_by_id);
    while (!list_empty(&rooms->all_paces)) {
        struct party_pace *pace = container_of(rooms->all_paces.next, struct party_pace, link);
        list_remove(&pace->link);
        free(pace);
    }
    map_fini(&rooms->paces);
    outq_fini(&rooms->staged);
    event_thread_fini();
}

struct room *rooms_lookup(struct rooms *rooms, struct span party, struct span id, bool lobby)
{
    uint64_t hash = map_hash2(party.ptr, party.len, id.ptr, id.len);

    for (struct map_node *node = map_find(&rooms->by_key, hash); node; node = map_next(node)) {
        struct room *room = container_of(node, struct room, by_key);
        if (room->lobby == lobby && span_equal(span_of(room->id), id) &&
            span_equal(rooms->script->party_name(room->party), party))
            return room;
    }
    return NULL;
}

const char *room_id_problem(struct span id)
{
    if (id.len == 0)
        return "The room id is empty";
    if (id.len > ROOM_ID_MAX)
        return "The room id is longer than 256 bytes";
    if (utf8_has_control(id.ptr, id.len))
        return "The room id has a control character";
    if (memchr(id.ptr, '/', id.len))
        return "The room id has a slash";
    if (!utf8_valid(id.ptr, id.len))
        return "The room id is not valid UTF-8";
    return NULL;
}

struct room *rooms_find(struct rooms *rooms, struct span party_name, struct span id)
{
    return rooms_lookup(rooms, party_name, id, false);
}

/* Made for the first room of its party. */
static struct party_pace *find_pace(struct rooms *rooms, struct span party_name)
{
    uint64_t hash = map_hash(party_name.ptr, party_name.len);
    struct map_node *node = map_find(&rooms->paces, hash);

    if (node)
        return container_of(node, struct party_pace, by_name);
    struct party_pace *pace = xcalloc(sizeof *pace);
    map_add(&rooms->paces, &pace->by_name, hash);
    list_push(&rooms->all_paces, &pace->link);
    return pace;
}

struct room *rooms_make(struct rooms *rooms, struct party *party, struct span party_name, struct span id,
                        bool lobby)
{
    struct room *room = rooms_lookup(rooms, party_name, id, lobby);
    if (room || rooms->stopping)
        return room;

    room = calloc(1, sizeof *room);
    if (!room)
        return NULL;
    room->id = malloc(id.len + 1);
    if (!room->id) {
        free(room);
        return NULL;
    }
    memcpy(room->id, id.ptr, id.len);
    room->id[id.len] = '\0';
    room->rooms = rooms;
    room->lobby = lobby;
    room->pace = PACE_NEW;
    room->active = clock_coarse_ns();
    room->party_pace = find_pace(rooms, party_name);
    room->party = rooms->script->party_ref(party);
    list_init(&room->inbox);
    list_init(&room->wakes);
    list_init(&room->peers);
    list_init(&room->blocked);
    map_add(&rooms->by_key, &room->by_key, map_hash2(party_name.ptr, party_name.len, id.ptr, id.len));
    list_push(&rooms->all, &room->in_all);
    rooms->n_rooms++;
    room_settle(room); /* goes again, should no event follow */
    return room;
}

struct room *rooms_get(struct rooms *rooms, struct party *party, struct span party_name, struct span id)
{
    return rooms_make(rooms, party, party_name, id, false);
}

struct rooms *rooms_home(struct rooms *rooms, struct span party_name, struct span id)
{
    struct rooms_team *team = rooms->team;
    return team ? team->rooms[rooms_share_of(party_name, id, team->count)] : rooms;
}

struct room *rooms_enter(struct rooms *rooms, struct span party_name, struct span id,
                         struct http_response **refusal)
{
    struct party *party = rooms->script->party_find(rooms->script_user, party_name);
    struct room *room = party ? rooms_get(rooms, party, party_name, id) : NULL;

    if (!party)
        *refusal = http_response_text(404, "There is no such party any more");
    else if (!room)
        *refusal = http_response_text(503, rooms->stopping ? "The server is stopping" : "Not enough memory");
    return room;
}

void rooms_reload(struct rooms *rooms, const struct room_limits *limits,
                  struct party *(*find)(void *user, struct span name), void *user)
{
    const struct script_ops *script = rooms->script;

    rooms->limits = *limits;
    list_each(link, &rooms->all) {
        struct room *room = container_of(link, struct room, in_all);
        struct party *before = room->party, *party = find(user, script->party_name(before));
        if (party && party != before) {
            room->party = script->party_ref(party);
            script->party_unref(before);
            room->reload_due = room->instance && room->state != ROOM_STOPPING && !rooms->stopping;
        }
        if (room->reload_due)
            list_remove(&room->in_idle);
        room_schedule(room); /* the limits may have been what it waited for */
    }
    if (rooms->stopping)
        return;
    if (!list_empty(&rooms->idle))
        timer_start(rooms->loop, &rooms->evict, 0);
    alarms_look_again(&rooms->alarms);
}

void rooms_stop(struct rooms *rooms, uint64_t grace_ms, void (*on_empty)(void *user), void *user)
{
    rooms->stopping = true;
    rooms->on_empty = on_empty;
    rooms->on_empty_user = user;
    alarms_stop(&rooms->alarms);
    timer_start(rooms->loop, &rooms->evict, grace_ms);
    links_shut(rooms); /* who reads from one would never be done */
    list_each(link, &rooms->all)
        data_try_again(container_of(link, struct room, in_all));
    stop_all(rooms);
}

void rooms_drop(struct rooms *rooms)
{
    rooms->stopping = true;
    alarms_stop(&rooms->alarms);
    while (!list_empty(&rooms->all))
        room_remove(container_of(rooms->all.next, struct room, in_all));
    loop_keep_turning(rooms->loop);
}

void room_settle(struct room *room)
{
    struct rooms *rooms = room->rooms;
    bool settled =
        rooms->running != room && room->outq.count == 0 && room->written <= room->durable && !data_busy(room);
    bool quiet = settled && (room->state == ROOM_RUNNING || room->state == ROOM_NEW) &&
                 room->n_waiting == 0 && list_empty(&room->inbox) && list_empty(&room->wakes) &&
                 room->n_open == 0 && !room->reload_due;

    if (settled && room->stopped) {
        room_leave(room);
        return;
    }
    bool forced = rooms->stop_forced && room->state != ROOM_STOPPING && room->state != ROOM_GONE;
    bool needed =
        !rooms->stopping &&
        (room->n_holds > 0 ||
         (room->n_peers > 0 && (room->state != ROOM_RUNNING || !rooms->script->hibernates(room->party))));
    if (!forced && (!quiet || needed)) {
        list_remove(&room->in_idle);
        return;
    }
    if (list_linked(&room->in_idle))
        return;
    room->idle_since = loop_now(rooms->loop);
    list_push(&rooms->idle, &room->in_idle);
    if (rooms->stopping)
        evict_soon(rooms);
    else if (!timer_running(&rooms->evict))
        timer_start(rooms->loop, &rooms->evict, rooms->limits.idle_ms);
}
