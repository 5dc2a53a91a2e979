/* Rooms, peers and requests under thousands of random histories. What may never happen is checked by
 * fake_room.h, and here: that output leaves in order, and none before the writes that it follows. */
#include "fake_room.h"

#define RUNS 3000
#define OPERATIONS 150
#define ROOMS 3
#define REQUESTS (OPERATIONS + 1)
#define SENDS 65536

static uint64_t seed, random_state;

static uint64_t dice(uint64_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % sides;
}

static bool once_in(uint64_t n)
{
    return dice(n) == 0;
}

/* One run. */
struct history {
    struct fake *fake;
    struct fake_exchange requests[REQUESTS];
    size_t n_requests;
    uint64_t n_sends;
    struct room *from[SENDS]; /* by the number that is sent */
    uint64_t gate[SENDS];
    bool calm; /* handlers end at once and do nothing any more */
};

/* What all runs together have seen, so that none of it is left out unnoticed. */
static struct {
    size_t sends, broadcasts, held_back, waits, restarts, blocked, replaced, cut, full;
} seen;

/* ---- what peers hear ---- */

static uint64_t number_of(const struct bytes *data)
{
    char text[24];
    assert_true(data->len < sizeof text);
    memcpy(text, data->data, data->len);
    text[data->len] = '\0';
    return strtoull(text, NULL, 10);
}

static void hear(struct fake_peer *peer, struct bytes *data)
{
    struct history *history = peer->fake->user;
    uint64_t number = number_of(data);
    assert_true(number > peer->last_heard);
    peer->last_heard = number;
    assert_true(history->from[number]->durable >= history->gate[number]);
}

static void hear_send(struct peer *peer, struct bytes *data, bool binary)
{
    seen.sends++;
    hear(fake_peer_of(peer), data);
    fake_send_to(peer, data, binary);
}

static void hear_broadcast(struct peer_group *base, struct bytes *data, bool binary,
                           struct peer *const *without, size_t n_without)
{
    struct fake_group *group = container_of(base, struct fake_group, base);
    seen.broadcasts++;
    list_each(it, &group->members)
        hear(container_of(it, struct fake_peer, member), data);
    fake_group_send(base, data, binary, without, n_without);
}

static void hear_resume(struct peer *peer)
{
    seen.blocked++;
    fake_resume(peer);
}

static struct peer_kind kind;

/* ---- what handlers do ---- */

static struct peer *some_peer(struct room *room)
{
    struct peer *found = NULL;
    uint64_t n = 0;
    list_each(it, &room->peers) {
        if (once_in(++n))
            found = container_of(it, struct peer, link);
    }
    return found;
}

static struct bytes *next_number(struct history *history, struct room *room)
{
    char text[24];
    uint64_t number = ++history->n_sends;
    assert_true(number < SENDS);
    history->from[number] = room;
    history->gate[number] = room->written; /* at least; more is known at the handler's end */
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return bytes_copy(text, (size_t)len);
}

static void act_once(struct history *history, struct room *room)
{
    struct peer *peer = some_peer(room);
    struct bytes *data;

    switch (dice(7)) {
    case 0:
    case 1:
        data = next_number(history, room);
        if (peer)
            (void)room_send(peer, data, false);
        bytes_unref(data);
        break;
    case 2:
    case 3:
        data = next_number(history, room);
        (void)room_broadcast(room, data, false, &peer, peer && once_in(2) ? 1 : 0);
        bytes_unref(data);
        break;
    case 4:
        if (peer && peer->state != PEER_NEW && once_in(3))
            (void)room_close_peer(peer, 4000, "bye", 3);
        break;
    case 5:
        if (once_in(3))
            fake_write(room);
        break;
    case 6:
        if (room->n_holds > 0 && once_in(2))
            room_release(room);
        else
            room_hold(room);
        break;
    default: break;
    }
}

static enum act act(struct fake *fake, struct room *room, struct event *event)
{
    struct history *history = fake->user;
    uint64_t first = history->n_sends + 1;

    if (history->calm)
        return ACT_DONE;
    for (uint64_t n = dice(4); n > 0; n--)
        act_once(history, room);
    if (event && event->exchange && once_in(4))
        room_respond(room, event, http_response_text(200, "early"));
    for (uint64_t number = first; number <= history->n_sends; number++)
        history->gate[number] = room->written + fake_has_written(room);
    seen.held_back += history->n_sends >= first && room->written + fake_has_written(room) > room->durable;
    if (once_in(4)) {
        seen.waits++;
        return ACT_WAIT;
    }
    return once_in(8) ? ACT_FAIL : ACT_DONE;
}

/* ---- what happens to rooms ---- */

static struct fake_peer *some_transport(struct fake *fake)
{
    struct fake_peer *found = NULL;
    uint64_t n = 0;
    list_each(it, &fake->peers) {
        if (once_in(++n))
            found = container_of(it, struct fake_peer, link);
    }
    return found;
}

static struct room *some_room(struct fake *fake)
{
    static const char *const names[ROOMS] = {"r", "s", "t"};
    return fake_room(fake, names[dice(ROOMS)]);
}

static void connect_peer(struct fake *fake)
{
    static const char *const ids[] = {"a", "b", "c"};
    struct room *room = some_room(fake);
    struct fake_peer *peer = fake_peer_new(fake, ids[dice(3)]);
    peer->peer.kind = &kind;
    if (room->state == ROOM_STOPPING)
        seen.restarts++;
    room_connect(room, &peer->peer, fake_http_request());
}

/* As a transport does: only what was let in is read, and only while the room can take it. */
static void send_message(struct fake_peer *peer)
{
    if (!peer || !peer->accepted || peer->blocked)
        return;
    if (room_peer_ready(&peer->peer))
        fake_message(peer, "m");
    else
        peer->blocked = true;
}

static void wake_some(struct fake *fake)
{
    uint64_t n = 0;
    struct fake_task *found = NULL;
    list_each(it, &fake->tasks) {
        struct fake_task *task = container_of(it, struct fake_task, link);
        if (!task->woken && once_in(++n))
            found = task;
    }
    if (found) {
        found->woken = true;
        room_wake(found->vm->room, found);
    }
}

static void some_durable(struct fake *fake)
{
    struct room *room = some_room(fake);
    fake_durable(room, room->durable + dice(room->written - room->durable + 1));
}

static void end_transport(struct fake_peer *peer)
{
    if (!peer)
        return;
    if (once_in(3) && peer->accepted)
        room_error(&peer->peer, "error");
    if (once_in(4))
        room_close(&peer->peer, 1002, "first", 5, false);
    fake_gone(peer);
}

static void some_timer(struct fake *fake)
{
    struct room *room = some_room(fake);
    if (room->instance)
        room_timer_due(room, "t");
}

static void operate(struct history *history)
{
    struct fake *fake = history->fake;
    uint64_t what = dice(100);

    if (what < 15) {
        connect_peer(fake);
    } else if (what < 25) {
        struct fake_exchange *exchange = &history->requests[history->n_requests++];
        fake_request(fake, some_room(fake), exchange, "x");
    } else if (what < 50) {
        send_message(some_transport(fake));
    } else if (what < 58) {
        end_transport(some_transport(fake));
    } else if (what < 68) {
        wake_some(fake);
    } else if (what < 74) {
        some_timer(fake);
    } else if (what < 80) {
        some_durable(fake);
    } else if (what < 85) {
        fake_queue(fake);
    } else if (what < 88) { /* whoever is idle has been so for long enough */
        fake->rooms.limits.idle_ms = 0;
        timer_start(&fake->loop, &fake->rooms.evict, 0);
    } else if (what < 90) {
        fake->no_vm = !fake->no_vm && once_in(4);
    } else {
        loop_step(&fake->loop);
    }
    fake_forget(fake);
}

/* Each room counts its peers right, and has no more than it may. */
static void check_connected(const struct fake *fake)
{
    uint64_t most = fake->rooms.limits.connections;

    list_each(it, &fake->rooms.all) {
        struct room *room = container_of(it, struct room, in_all);
        uint32_t n = 0;
        list_each(link, &room->peers) {
            const struct peer *peer = container_of(link, struct peer, link);
            n += peer->state == PEER_NEW || peer->listed;
        }
        assert_int_equal(room->n_connected, n);
        if (most > 0 && fake->party.duplicate != DUPLICATE_REPLACE)
            assert_true(n <= most);
        if (most > 0)
            assert_true(room->n_listed <= most);
        seen.full += most > 0 && n >= most;
    }
}

/* All that is waited for comes, until the rooms are gone. */
static void stop_calmly(struct history *history)
{
    struct fake *fake = history->fake;

    fake->no_vm = false;
    history->calm = true;
    rooms_stop(&fake->rooms, 10u * FAKE_DEADLINE_MS, fake_on_empty, fake);
    for (int turns = 0; !fake->empty; turns++) {
        assert_true(turns < 10000);
        wake_some(fake);
        list_each_safe(it, &fake->rooms.all) {
            struct room *room = container_of(it, struct room, in_all);
            fake_durable(room, room->written);
        }
        loop_step(&fake->loop);
        fake_forget(fake);
    }
}

static void live(void)
{
    static struct history history;
    struct room_limits limits = {.events = 1 + dice(5),
                                 .handlers = 1 + dice(4),
                                 .connections = once_in(2) ? 0 : 1 + dice(5),
                                 .idle_ms = 1000000,
                                 .output = 100 + dice(20000)};
    struct fake *fake = fake_begin(&limits);

    history = (struct history){.fake = fake};
    fake->user = &history;
    fake->handler = fake->resumed = act;
    fake->party.duplicate = (enum duplicate_id)dice(3);
    for (uint64_t n = dice(OPERATIONS); n > 0; n--) {
        operate(&history);
        check_connected(fake);
    }
    fake_queue(fake);
    if (once_in(2))
        stop_calmly(&history);
    seen.cut += fake->n_tasks;
    fake->no_memory = true; /* from here on output is dropped */
    seen.replaced += fake->party.duplicate == DUPLICATE_REPLACE;
    fake_end(fake);
    for (size_t i = 0; i < history.n_requests; i++)
        assert_int_equal(history.requests[i].n_answers, 1);
}

static void no_history_breaks_a_room(void **state)
{
    (void)state;
    kind = fake_kind;
    kind.send = hear_send;
    kind.group_send = hear_broadcast;
    kind.resume = hear_resume;
    for (seed = 1; seed <= RUNS; seed++) {
        random_state = seed * 0x9e3779b97f4a7c15u;
        live();
    }
    assert_true(seen.sends && seen.broadcasts && seen.held_back && seen.waits && seen.restarts);
    assert_true(seen.blocked && seen.replaced && seen.cut && seen.full);
}

static int say_seed(void **state)
{
    (void)state;
    if (seed <= RUNS)
        print_message("the history with seed %llu\n", (unsigned long long)seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(no_history_breaks_a_room, say_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
