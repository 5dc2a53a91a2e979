/* Finds out when the alarms of rooms are due. */
#include "room/alarm.h"

#include "base/log.h"
#include "room/private.h"

#include <stdlib.h>

/* How far ahead the store is searched, and how often. */
#define HORIZON_MS 60000
#define SCAN_MS 30000u

/* The wall clock is looked at again this often, since it may be set; by so much at least. */
#define LOOK_MS 5000
#define JUMP_MS 1000

/* Rooms in one answer of the store, and how long after a full one the next is asked for. */
#define PAGE 256u
#define PAGE_MS 10u

/* So often that is put off while rooms are busy, and no more: they may always be. */
#define PUT_OFF_MAX 100u

struct alarm_timer {
    struct map_node by_room;
    struct list link; /* in alarms->all */
    struct alarms *alarms;
    struct timer timer;
    int64_t time;
    uint32_t party_len;
    char names[]; /* party, NUL, id, NUL */
};

/* One that the project does not have, of which an alarm is due: the log has said so. */
struct absent_party {
    struct list link; /* in alarms->absent */
    uint32_t len;
    char name[];
};

static struct span party_of(const struct alarm_timer *alarm)
{
    return (struct span){alarm->names, alarm->party_len};
}

static struct span id_of(const struct alarm_timer *alarm)
{
    return span_of(alarm->names + alarm->party_len + 1);
}

static void drop(struct alarm_timer *alarm)
{
    timer_stop(&alarm->timer);
    map_remove(&alarm->alarms->by_room, &alarm->by_room);
    list_remove(&alarm->link);
    free(alarm);
}

static struct alarm_timer *find(struct alarms *alarms, struct span party, struct span id, uint64_t hash)
{
    for (struct map_node *node = map_find(&alarms->by_room, hash); node; node = map_next(node)) {
        struct alarm_timer *alarm = container_of(node, struct alarm_timer, by_room);
        if (span_equal(party_of(alarm), party) && span_equal(id_of(alarm), id))
            return alarm;
    }
    return NULL;
}

/* ---- ringing ---- */

static void wait_for(struct alarm_timer *alarm)
{
    int64_t left = alarm->time - loop_wall_ms(alarm->alarms->rooms->loop);
    timer_start(alarm->alarms->rooms->loop, &alarm->timer,
                left <= 0 ? 0 : (uint64_t)(left < LOOK_MS ? left : LOOK_MS));
}

static void on_timer(struct timer *timer)
{
    struct alarm_timer *alarm = container_of(timer, struct alarm_timer, timer);
    struct rooms *rooms = alarm->alarms->rooms;

    if (alarm->time > loop_wall_ms(rooms->loop)) {
        wait_for(alarm);
        return;
    }
    struct party *party = rooms->script->party_find(rooms->script_user, party_of(alarm));
    struct room *room = party ? rooms_get(rooms, party, party_of(alarm), id_of(alarm)) : NULL;
    if (room)
        room_alarm_due(room);
    drop(alarm); /* if the room could not be made, the next search finds it again */
}

static void set(struct alarms *alarms, struct span party, struct span id, int64_t time)
{
    uint64_t hash = map_hash2(party.ptr, party.len, id.ptr, id.len);
    struct alarm_timer *alarm = find(alarms, party, id, hash);

    if (time == 0 || time > loop_wall_ms(alarms->rooms->loop) + HORIZON_MS) {
        if (alarm)
            drop(alarm);
        return;
    }
    if (!alarm) {
        alarm = calloc(1, sizeof *alarm + party.len + id.len + 2);
        if (!alarm) /* the next search finds it again */
            return;
        alarm->alarms = alarms;
        alarm->timer.fn = on_timer;
        alarm->party_len = (uint32_t)party.len;
        memcpy(alarm->names, party.ptr, party.len);
        memcpy(alarm->names + party.len + 1, id.ptr, id.len);
        map_add(&alarms->by_room, &alarm->by_room, hash);
        list_push(&alarms->all, &alarm->link);
    }
    alarm->time = time;
    wait_for(alarm);
}

void alarms_set(struct alarms *alarms, const struct room *room, int64_t time)
{
    if (!alarms->rooms->stopping)
        set(alarms, alarms->rooms->script->party_name(room->party), span_of(room->id), time);
}

/* ---- parties that are not there ---- */

static bool has_party(const struct alarms *alarms, struct span name)
{
    const struct rooms *rooms = alarms->rooms;
    return rooms->script->party_find(rooms->script_user, name) != NULL;
}

/* What is due and can't ring is said once for a party, by the first thread, since each finds the alarms of all. */
static void note_absent(struct alarms *alarms, const struct store_found *found)
{
    struct span name = found->party;

    if (alarms->rooms->share != 0 || found->alarm > loop_wall_ms(alarms->rooms->loop) ||
        has_party(alarms, name))
        return;
    list_each(link, &alarms->absent) {
        const struct absent_party *absent = container_of(link, struct absent_party, link);
        if (span_equal((struct span){absent->name, absent->len}, name))
            return;
    }
    struct absent_party *absent = malloc(sizeof *absent + name.len);
    if (!absent) /* the next search finds it again */
        return;
    absent->len = (uint32_t)name.len;
    memcpy(absent->name, name.ptr, name.len);
    list_push(&alarms->absent, &absent->link);
    log_event(LOG_WARN,
              "alarms are due, but their party is not in the project: they wait until it is there again",
              log_text("party", name));
}

/* So that it is said again when they go once more. */
static void forget_absent(struct alarms *alarms, bool all)
{
    list_each_safe(link, &alarms->absent) {
        struct absent_party *absent = container_of(link, struct absent_party, link);
        if (!all && !has_party(alarms, (struct span){absent->name, absent->len}))
            continue;
        list_remove(link);
        free(absent);
    }
}

/* ---- searching ---- */

/* An alarm that was found. One that has a timer was found before, or set meanwhile: then that is newer. */
static void add(struct alarms *alarms, const struct store_found *found)
{
    uint64_t hash = map_hash2(found->party.ptr, found->party.len, found->id.ptr, found->id.len);
    if (!find(alarms, found->party, found->id, hash))
        set(alarms, found->party, found->id, found->alarm);
}

static void forget_place(struct alarms *alarms)
{
    buf_fini(&alarms->last_party);
    buf_fini(&alarms->last_id);
    alarms->last_alarm = 0;
}

static int note_place(struct alarms *alarms, const struct store_found *found)
{
    alarms->last_alarm = found->alarm;
    alarms->last_party.len = alarms->last_id.len = 0;
    int rc = buf_append(&alarms->last_party, found->party.ptr, found->party.len);
    return rc ? rc : buf_append(&alarms->last_id, found->id.ptr, found->id.len);
}

static bool is_ours(const struct rooms *rooms, const struct store_found *found)
{
    return rooms_share_of(found->party, found->id, rooms->shares) == rooms->share;
}

static int64_t wall_ahead(const struct loop *loop)
{
    return loop_wall_ms(loop) - (int64_t)loop_now(loop);
}

/* Until the next search. The wall clock may be set forward meanwhile, over alarms that have no timer yet; a loop's own
 * clock is not. */
static void pause_search(struct alarms *alarms)
{
    struct loop *loop = alarms->rooms->loop;

    alarms->looks = loop->clock ? 0 : SCAN_MS / LOOK_MS - 1;
    alarms->wall_ahead = wall_ahead(loop);
    timer_start(loop, &alarms->scan, loop->clock ? SCAN_MS : LOOK_MS);
}

static void on_found(struct store_search *search)
{
    struct alarms *alarms = container_of(search, struct alarms, search);
    struct rooms *rooms = alarms->rooms;
    struct span rest = {(const char *)search->found.data, search->found.len};
    struct store_found found;
    bool again = alarms->again;
    bool more = !again && !rooms->stopping && search->result == STORE_OK && search->n_found == PAGE;

    alarms->searching = alarms->again = false;
    while (!rooms->stopping && search->result == STORE_OK && store_next_found(&rest, &found)) {
        if (is_ours(rooms, &found))
            add(alarms, &found);
        note_absent(alarms, &found);
        if (more && note_place(alarms, &found) != 0)
            more = false;
    }
    if (search->result != STORE_OK)
        log_event(LOG_ERROR, "the alarms could not be looked for", log_str("error", search->text));
    buf_fini(&search->found);
    if (!more)
        forget_place(alarms);
    if (!rooms->stopping && (again || more))
        timer_start(rooms->loop, &alarms->scan, again ? 0 : PAGE_MS);
    else if (!rooms->stopping)
        pause_search(alarms);
}

static void on_scan(struct timer *timer)
{
    struct alarms *alarms = container_of(timer, struct alarms, scan);
    struct rooms *rooms = alarms->rooms;

    if (alarms->searching)
        return;
    if (alarms->looks > 0 && wall_ahead(rooms->loop) - alarms->wall_ahead < JUMP_MS) {
        alarms->looks--;
        timer_start(rooms->loop, timer, LOOK_MS);
        return;
    }
    alarms->looks = 0;
    if (rooms_busy(rooms) && alarms->put_off++ < PUT_OFF_MAX) { /* with those that rang already, maybe */
        timer_start(rooms->loop, timer, PAGE_MS);
        return;
    }
    alarms->put_off = 0;
    alarms->searching = true;
    alarms->search = (struct store_search){
        .store = rooms->store,
        .loop = rooms->loop,
        .kind = STORE_ALARMS,
        .done = on_found,
        .until = loop_wall_ms(rooms->loop) + HORIZON_MS,
        .after_alarm = alarms->last_alarm,
        .after_party = {(const char *)alarms->last_party.data, alarms->last_party.len},
        .after_id = {(const char *)alarms->last_id.data, alarms->last_id.len},
        .limit = PAGE,
    };
    store_search(&alarms->search);
}

/* ---- life ---- */

void alarms_init(struct alarms *alarms, struct rooms *rooms)
{
    *alarms = (struct alarms){.rooms = rooms, .scan = {.fn = on_scan}};
    list_init(&alarms->all);
    list_init(&alarms->absent);
}

void alarms_begin(struct alarms *alarms)
{
    alarms->looks = 0;
    if (alarms->rooms->store)
        timer_start(alarms->rooms->loop, &alarms->scan, 0);
}

void alarms_look_again(struct alarms *alarms)
{
    forget_absent(alarms, false);
    if (alarms->searching) {
        alarms->again = true;
    } else if (timer_running(&alarms->scan)) {
        forget_place(alarms);
        alarms_begin(alarms);
    }
}

void alarms_stop(struct alarms *alarms)
{
    timer_stop(&alarms->scan);
    forget_absent(alarms, true);
    while (!list_empty(&alarms->all))
        drop(container_of(alarms->all.next, struct alarm_timer, link));
    map_fini(&alarms->by_room);
    if (!alarms->searching) /* else the store still reads it */
        forget_place(alarms);
}
