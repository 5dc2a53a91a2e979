/* The two neighbours of the room layer as tests want them: a script that does what the test says, and
 * peers and requests that write down what they are told. All of it goes to one text, in order, which
 * fake_expect compares. No Lua, no sockets; the loop is the real one.
 *
 * What is wrong whatever the test is about fails at once: an event out of its place in the life of a room or
 * a peer, a call to a peer that it may not get, a second answer, anything left over in fake_end. */
#pragma once

#include "base/clock.h"
#include "fake_peer.h"
#include "room/call.h"
#include "room/hook.h"

/* How long anything may take that is waited for. */
#define FAKE_DEADLINE_MS 30000u

/* The script's side of a room. */
struct fake_vm {
    struct fake *fake;
    struct room *room;
    bool started, stopping;
};

/* A handler that waits. */
struct fake_task {
    struct list link;
    struct fake_vm *vm;
    struct event *event; /* NULL: of a timer */
    bool woken;          /* its event is on the way; if it waits for the store, from the beginning */
    bool store;
};

/* ---- the script ---- */

static inline void fake_say_event(struct fake *fake, const struct room *room, const struct event *event)
{
    const char *id = event->peer ? event->peer->id : "";
    const char *text = event->len ? (const char *)event->data : "";

    switch ((enum event_kind)event->kind) {
    case EVENT_START: fake_say(fake, "%s:start", room->id); break;
    case EVENT_CONNECT: fake_say(fake, "%s:connect %s", room->id, id); break;
    case EVENT_MESSAGE: fake_say(fake, "%s:message %s %.*s", room->id, id, (int)event->len, text); break;
    case EVENT_ERROR: fake_say(fake, "%s:error %s %.*s", room->id, id, (int)event->len, text); break;
    case EVENT_CLOSE:
        fake_say(fake, "%s:close %s %d%s%.*s%s", room->id, id, event->code, event->len ? " " : "",
                 (int)event->len, text, event->clean ? " clean" : "");
        break;
    case EVENT_REQUEST:
        fake_say(fake, "%s:request %s", room->id,
                 event->chain ? "of a room"
                              : container_of(event->exchange, struct fake_exchange, exchange)->name);
        break;
    case EVENT_CALL:
        fake_say(fake, "%s:call %s", room->id, (const char *)((struct room_call *)event->handle)->args->data);
        break;
    case EVENT_TIMER: fake_say(fake, "%s:timer %s", room->id, (const char *)event->handle); break;
    case EVENT_WAKE: fake_say(fake, "%s:wake", room->id); break;
    case EVENT_RELOAD: fake_say(fake, "%s:reload", room->id); break;
    case EVENT_ALARM: fake_say(fake, "%s:alarm", room->id); break;
    case EVENT_HOOK:
        fake_say(fake, "hook %.*s", (int)((struct hook_call *)event->handle)->room.len,
                 ((struct hook_call *)event->handle)->room.ptr);
        break;
    case EVENT_CHANGE: break;
    case EVENT_STOP: fake_say(fake, "%s:stop", room->id); break;
    }
}

/* The fake peer that it is about; NULL: none is, or one of another kind. */
static inline struct fake_peer *fake_peer_in(const struct event *event)
{
    bool fake = event->peer && strcmp(event->peer->kind->name, fake_kind.name) == 0;
    return fake ? fake_peer_of(event->peer) : NULL;
}

/* Is it the right moment for this event? */
static inline void fake_check_event(struct fake_vm *vm, const struct event *event)
{
    struct fake_peer *peer = fake_peer_in(event);

    assert_ptr_equal(vm->room->rooms->running, vm->room);
    assert_ptr_equal(vm->room->instance, vm);
    if (event->kind == EVENT_WAKE)
        return;
    assert_int_equal(vm->started, event->kind != EVENT_START && !vm->room->lobby);
    assert_int_equal(vm->room->lobby,
                     event->kind == EVENT_HOOK || (vm->room->lobby && event->kind == EVENT_RELOAD));
    assert_false(vm->stopping);
    if (!peer)
        return;
    assert_ptr_equal(event->peer->room, vm->room);
    assert_int_equal(event->peer->state == PEER_GONE, event->kind == EVENT_CLOSE);
    assert_int_equal(peer->connect_given, event->kind != EVENT_CONNECT);
    assert_false(peer->close_given || peer->refused);
    if (event->kind == EVENT_CONNECT)
        peer->connect_given = true;
    if (event->kind == EVENT_CLOSE) {
        assert_true(peer->connect_done);
        assert_false(peer_open(event->peer) || event->peer->listed);
        peer->close_given = true;
    }
    event->peer->object = vm;
}

/* A handler has come to a point where it ends or waits. */
static inline void fake_handle(struct fake_vm *vm, struct event *event, enum act act)
{
    struct fake *fake = vm->fake;

    if (act == ACT_WAIT) {
        struct fake_task *task = fake->waits ? fake->waits : calloc(1, sizeof *task);
        assert_non_null(task);
        task->woken = task->store = fake->waits != NULL;
        fake->waits = NULL;
        task->vm = vm;
        task->event = event;
        list_push(&fake->tasks, &task->link);
        fake->n_tasks++;
        room_wait_begin(vm->room);
        return;
    }
    if (!event)
        return;
    if (event->kind == EVENT_START)
        vm->started = act == ACT_DONE;
    struct fake_peer *peer = fake_peer_in(event);
    if (peer && event->kind == EVENT_CONNECT)
        peer->connect_done = true;
    if (peer && event->kind == EVENT_CLOSE)
        peer->close_done = true;
    if (event->kind == EVENT_HOOK && act == ACT_DONE) {
        struct hook_call *call = event->handle;
        call->verdict = HOOK_PASS;
        call->request = event->request;
        event->request = NULL;
        room_respond(vm->room, event, NULL);
    }
    if ((event->kind == EVENT_REQUEST || event->kind == EVENT_CALL) && act == ACT_DONE)
        room_respond(vm->room, event, http_response_text(200, vm->room->id));
    room_event_done(vm->room, event, act == ACT_DONE ? OUTCOME_DONE : OUTCOME_FAILED);
}

static inline void *fake_open(void *user, struct room *room)
{
    struct fake *fake = user;
    struct fake_vm *vm = fake->no_vm ? NULL : calloc(1, sizeof *vm);
    if (!vm)
        return NULL;
    vm->fake = fake;
    vm->room = room;
    fake->n_vms++;
    return vm;
}

static inline void fake_run_event(void *instance, struct event *event)
{
    struct fake_vm *vm = instance;
    struct fake *fake = vm->fake;

    fake_check_event(vm, event);
    fake_say_event(fake, vm->room, event);
    if (event->kind == EVENT_WAKE) {
        struct fake_task *task = event->handle;
        struct event *waited = task->event;
        assert_ptr_equal(task->vm, vm);
        assert_true(task->woken);
        fake->from_store = task->store;
        list_remove(&task->link);
        free(task);
        fake->n_tasks--;
        room_wait_end(vm->room);
        fake_handle(vm, waited, fake->resumed ? fake->resumed(fake, vm->room, waited) : ACT_DONE);
        return;
    }
    if (event->kind == EVENT_STOP)
        vm->stopping = true;
    enum act act = fake->handler ? fake->handler(fake, vm->room, event) : ACT_DONE;
    fake_handle(vm, event->kind == EVENT_TIMER ? NULL : event, act);
}

static inline void fake_forget_peer(void *instance, struct peer *peer)
{
    assert_ptr_equal(peer->object, instance);
}

static inline void fake_close_vm(void *instance)
{
    struct fake_vm *vm = instance;
    struct fake *fake = vm->fake;

    fake_say(fake, "%s:end", vm->room->id);
    list_each_safe(it, &fake->tasks) {
        struct fake_task *task = container_of(it, struct fake_task, link);
        if (task->vm != vm)
            continue;
        list_remove(it);
        room_event_dropped(vm->room, task->event);
        free(task);
        fake->n_tasks--;
    }
    fake->n_vms--;
    free(vm);
}

static inline bool fake_hibernates(const struct party *party)
{
    (void)party;
    return false;
}

static inline struct party *fake_party_find(void *user, struct span name)
{
    struct fake *fake = user;
    return span_equal(name, span_of(fake->party.name)) ? &fake->party : NULL;
}

static inline struct span fake_party_name(const struct party *party)
{
    return span_of(party->name);
}

static inline struct party *fake_party_ref(struct party *party)
{
    party->refs++;
    return party;
}

static inline void fake_party_unref(struct party *party)
{
    assert_true(party->refs > 0);
    party->refs--;
}

static inline enum duplicate_id fake_duplicate_id(const struct party *party)
{
    return party->duplicate;
}

static inline bool fake_has_hook(const struct party *party, enum hook_kind hook)
{
    (void)party;
    (void)hook;
    return true;
}

static const struct script_ops fake_ops = {
    .open = fake_open,
    .run = fake_run_event,
    .hibernates = fake_hibernates,
    .forget = fake_forget_peer,
    .close = fake_close_vm,
    .party_ref = fake_party_ref,
    .party_unref = fake_party_unref,
    .party_find = fake_party_find,
    .party_name = fake_party_name,
    .has_hook = fake_has_hook,
    .duplicate_id = fake_duplicate_id,
};

/* The n-th handler that waits. */
static inline struct fake_task *fake_task(struct fake *fake, size_t n)
{
    list_each(it, &fake->tasks) {
        if (n-- == 0)
            return container_of(it, struct fake_task, link);
    }
    fail_msg("no such handler waits");
    return NULL;
}

/* What the n-th handler waits for has come. */
static inline void fake_wake(struct fake *fake, size_t n)
{
    struct fake_task *task = fake_task(fake, n);
    assert_false(task->woken);
    task->woken = true;
    room_wake(task->vm->room, task);
}

/* ---- what is stored ---- */

/* The turn that runs writes something; without memory for it, it does not. */
static inline void fake_write(struct room *room)
{
    assert_ptr_equal(room->rooms->running, room);
    (void)!data_put(room, SPAN("key"), SPAN("value"));
}

/* Has the turn that runs? */
static inline bool fake_has_written(const struct room *room)
{
    return room->data && room->data->batch;
}

/* What the room has written up to this batch is durable. */
static inline void fake_durable(struct room *room, uint64_t number)
{
    struct fake_store *store = (struct fake_store *)(void *)room->rooms->store;
    while (room->durable < number)
        fake_store_end(store, fake_store_next(store, room->data->store), STORE_OK);
}

/* ---- what handlers of tests do ---- */

static inline int fake_send(struct peer *peer, const char *text)
{
    struct bytes *data = bytes_copy(text, strlen(text));
    int rc = room_send(peer, data, false);
    bytes_unref(data);
    return rc;
}

static inline int fake_broadcast(struct room *room, const char *text, struct peer *const *without, size_t n)
{
    struct bytes *data = bytes_copy(text, strlen(text));
    int rc = room_broadcast(room, data, false, without, n);
    bytes_unref(data);
    return rc;
}

static inline bool fake_says(const struct event *event, const char *text)
{
    return event->kind == EVENT_MESSAGE &&
           span_equal((struct span){(const char *)event->data, event->len}, span_of(text));
}

/* One thing to do in the handlers of one kind of event; everywhere else nothing is done. */
struct fake_plan {
    enum event_kind kind;
    const char *id; /* of the peer; NULL: any */
    void (*what)(struct fake *fake, struct room *room, struct event *event);
    enum act act;
};

/* The handlers of fake->user, plans that end with a zeroed one. */
static inline enum act fake_follow(struct fake *fake, struct room *room, struct event *event)
{
    for (const struct fake_plan *plan = fake->user; plan->what || plan->act; plan++) {
        if (event->kind != plan->kind || (plan->id && strcmp(plan->id, event->peer->id) != 0))
            continue;
        if (plan->what)
            plan->what(fake, room, event);
        return plan->act;
    }
    return ACT_DONE;
}

/* ---- turns ---- */

/* Turns until no room has anything to do. */
static inline void fake_run(struct fake *fake)
{
    for (int turns = 0; turns == 0 || rooms_busy(&fake->rooms); turns++) {
        assert_true(turns < 100000);
        loop_step(&fake->loop);
    }
}

/* Events that come in until the next turn go through the inbox, as when the time for others is used up. */
static inline void fake_queue(struct fake *fake)
{
    fake->rooms.turn = fake->loop.turn;
    fake->rooms.direct_until = 0;
}

static inline void fake_on_guard(struct timer *guard)
{
    loop_keep_turning(guard->loop); /* it may have come before this turn slept */
}

/* Runs the loop until it is so, which it looks at every few ms. */
static inline void fake_wait(struct fake *fake, bool (*until)(struct fake *fake))
{
    uint64_t deadline = clock_monotonic_ns() + (uint64_t)FAKE_DEADLINE_MS * NS_PER_MS;

    fake->guard.fn = fake_on_guard;
    loop_keep_turning(&fake->loop);
    while (!until(fake)) {
        assert_true(clock_monotonic_ns() < deadline);
        if (!timer_running(&fake->guard))
            timer_start(&fake->loop, &fake->guard, 3);
        uv_run(&fake->loop.uv, UV_RUN_ONCE);
    }
    timer_stop(&fake->guard);
}

static inline bool fake_is_empty(struct fake *fake)
{
    return fake->empty;
}

static inline void fake_on_empty(void *user)
{
    struct fake *fake = user;
    assert_int_equal(fake->rooms.n_rooms, 0);
    assert_false(timer_running(&fake->rooms.evict));
    fake->empty = true;
}

/* ---- life ---- */

static inline struct fake *fake_begin(const struct room_limits *limits)
{
    static const struct room_limits usual = {.events = 1024,
                                             .handlers = 256,
                                             .idle_ms = 1000000,
                                             .output = 1 << 20};
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->party.name = "main";
    list_init(&fake->tasks);
    list_init(&fake->peers);
    assert_int_equal(loop_init(&fake->loop), 0);
    rooms_init(&fake->rooms, &fake->loop, &fake_ops, fake, limits ? limits : &usual, &fake->counters);
    fake_store_init(&fake->store);
    fake->rooms.store = &fake->store.base;
    fake->rooms.slice = 0; /* one event each, however little it takes */
    return fake;
}

static inline struct fake *fake_begin_with(struct fake_plan *plans)
{
    struct fake *fake = fake_begin(NULL);
    fake->handler = fake_follow;
    fake->user = plans;
    return fake;
}

static inline struct room *fake_room(struct fake *fake, const char *id)
{
    struct room *room = rooms_get(&fake->rooms, &fake->party, span_of("main"), span_of(id));
    assert_non_null(room);
    return room;
}

/* Drops what is left of the rooms, ends the transports, and checks that nothing remains. */
static inline void fake_end(struct fake *fake)
{
    rooms_drop(&fake->rooms);
    fake_store_settle(&fake->store);
    loop_step(&fake->loop);
    while (!list_empty(&fake->peers))
        fake_gone(container_of(fake->peers.next, struct fake_peer, link));
    assert_int_equal(fake->n_vms, 0);
    assert_int_equal(fake->n_tasks, 0);
    assert_int_equal(fake->n_peers, 0);
    assert_int_equal(fake->n_exchanges, 0);
    assert_int_equal(fake->n_groups, 0);
    assert_int_equal(fake->rooms.peers_by_id.count, 0);
    assert_int_equal(fake->rooms.by_key.count, 0);
    assert_int_equal(fake->rooms.staged.count, 0);
    assert_true(!rooms_busy(&fake->rooms) && list_empty(&fake->rooms.idle));
    rooms_fini(&fake->rooms);
    fake_store_fini(&fake->store);
    assert_int_equal(fake->party.refs, 0);
    loop_fini(&fake->loop);
    buf_fini(&fake->log);
    free(fake);
}
