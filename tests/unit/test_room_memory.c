/* Rooms when memory runs out: one history is played again and again, and each time another of the room
 * layer's allocations fails, or all from one on do for a while. The layer is compiled into this file, so that
 * its allocations, and no others, can be made to fail. */
#include "fake_room.h"

#include "base/check.h"

#include <errno.h>

static size_t n_allocations, fail_from, fail_to; /* counted from 1 */

static bool fails(void)
{
    n_allocations++;
    return n_allocations >= fail_from && n_allocations < fail_to;
}

static void *try_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

static void *try_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}

static void *try_realloc(void *block, size_t size)
{
    return fails() ? NULL : realloc(block, size);
}

static char *try_strdup(const char *text)
{
    return fails() ? NULL : strdup(text);
}

#undef strdup
#ifndef FESTA_PLAIN_ALLOC
#define FESTA_PLAIN_ALLOC 1 /* what is kept for reuse would not be asked for */
#endif
#define malloc try_malloc
#define calloc try_calloc
#define realloc try_realloc
#define strdup try_strdup
#include "base/bytes.c"
#include "http/message.c"
#include "room/event.c"
#include "room/outq.c"
#include "room/peer.c"
#include "room/room.c"
#include "room/room_inbox.c"
#include "room/room_input.c"
#include "room/room_output.c"
#include "room/rooms.c"
#undef malloc
#undef calloc
#undef realloc
#undef strdup

/* ---- the history ---- */

static struct room *the_room(struct fake *fake, const char *id)
{
    return rooms_get(&fake->rooms, &fake->party, span_of("main"), span_of(id));
}

/* The peer itself is its transport's: that is there. */
static struct fake_peer *connect_peer(struct fake *fake, struct room *room, const char *id)
{
    size_t from = fail_from;
    fail_from = SIZE_MAX;
    struct fake_peer *peer = fake_peer_new(fake, id);
    fail_from = from;
    room_connect(room, &peer->peer, fake_http_request());
    return peer;
}

static void wake_all(struct fake *fake)
{
    list_each(it, &fake->tasks) {
        struct fake_task *task = container_of(it, struct fake_task, link);
        if (!task->woken) {
            task->woken = true;
            room_wake(task->vm->room, task);
        }
    }
}

static int try_send(struct room *room, struct peer *peer)
{
    struct bytes *data = bytes_copy("hello", 5);
    int rc = -ENOMEM;
    if (data && peer)
        rc = room_send(peer, data, false);
    else if (data)
        rc = room_broadcast(room, data, false, NULL, 0);
    bytes_unref(data);
    return rc;
}

static enum act act(struct fake *fake, struct room *room, struct event *event)
{
    struct peer *peer = event ? event->peer : NULL;
    const struct span tags[] = {SPAN("tag")};

    (void)fake;
    if (!event)
        return ACT_DONE;
    switch ((enum event_kind)event->kind) {
    case EVENT_CONNECT:
        if (peer_set_tags(peer, tags, 1) == 0)
            assert_true(peer_has_tag(peer, SPAN("tag")));
        (void)try_send(room, peer);
        if (strcmp(peer->id, "fails") == 0)
            return ACT_FAIL;
        return strcmp(peer->id, "waits") == 0 ? ACT_WAIT : ACT_DONE;
    case EVENT_MESSAGE:
        (void)try_send(room, NULL);
        if (event->len && event->data[0] == 'w')
            fake_write(room);
        if (event->len && event->data[0] == 'c')
            (void)room_close_peer(peer, 4000, "bye", 3);
        return ACT_WAIT;
    case EVENT_REQUEST: (void)try_send(room, NULL); return ACT_WAIT;
    case EVENT_START: return ACT_WAIT;
    case EVENT_ERROR:
    case EVENT_CLOSE:
    case EVENT_TIMER:
    case EVENT_WAKE:
    case EVENT_RELOAD:
    case EVENT_CALL:
    case EVENT_CHANGE:
    case EVENT_ALARM:
    case EVENT_HOOK:
    case EVENT_STOP: break;
    }
    return ACT_DONE;
}

static void try_leave_out(struct room *room, struct peer *peer)
{
    struct bytes *data = bytes_copy("x", 1);
    if (data && room && !room->rooms->running) {
        room_turn_begin(room);
        (void)room_broadcast(room, data, true, &peer, 1);
        room_turn_end(room);
    }
    bytes_unref(data);
}

static void turns(struct fake *fake)
{
    fake_run(fake);
    wake_all(fake);
    fake_run(fake);
}

static void play(struct fake *fake, struct fake_exchange *requests)
{
    static const char *const ids[] = {"a", "a", "waits", "fails", "b", "c"};
    struct fake_peer *peers[6] = {0};
    struct room *room = the_room(fake, "r");

    fake->party.duplicate = DUPLICATE_REPLACE;
    for (size_t i = 0; room && i < 6; i++) {
        peers[i] = connect_peer(fake, room, ids[i]);
        if (i == 3)
            fake_request(fake, room, &requests[0], "x");
    }
    turns(fake);
    for (size_t i = 0; room && i < 6; i++) {
        fake_queue(fake);
        fake_message(peers[i], i == 4 ? "close" : i == 5 ? "write" : "text");
        room_error(&peers[i]->peer, "error");
    }
    if (room)
        try_leave_out(room, &peers[5]->peer);
    turns(fake);
    if (room) {
        fake_request(fake, room, &requests[1], "y");
        connect_peer(fake, room, "held back");
        turns(fake);
        fake_durable(room, room->written);
        fake_queue(fake);
        room_timer_due(room, "t");
        for (size_t i = 0; i < 6; i++)
            fake_gone_with(peers[i], 1000, "bye", true);
    }
    turns(fake);
    if (room)
        fake_request(fake, room, &requests[2], "z");
    struct room *other = the_room(fake, "s");
    if (other)
        fake_request(fake, other, &requests[3], "other");
    rooms_stop(&fake->rooms, 10u * FAKE_DEADLINE_MS, fake_on_empty, fake);
    for (int n = 0; !fake->empty; n++) {
        assert_true(n < 1000);
        list_each_safe(it, &fake->rooms.all) {
            struct room *left = container_of(it, struct room, in_all);
            fake_durable(left, left->written);
        }
        turns(fake);
    }
}

/* Plays it with allocations from first to last failing. Returns how many there were. */
static size_t play_failing(size_t first, size_t last)
{
    struct fake_exchange requests[4] = {0};
    struct fake *fake = fake_begin(NULL);

    fake->no_memory = true;
    fake->handler = act;
    n_allocations = 0;
    fail_from = first;
    fail_to = last;
    play(fake, requests);
    fail_from = fail_to = SIZE_MAX;
    fake_end(fake);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(requests[i].n_answers, requests[i].fake != NULL);
    return n_allocations;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    size_t total = play_failing(SIZE_MAX, SIZE_MAX), n;

    assert_true(total > 50);
    for (n = 1; n <= play_failing(n, n + 1); n++)
        ;
    assert_true(n > total / 2);
}

static void all_allocations_may_fail_for_a_while(void **state)
{
    (void)state;
    size_t total = play_failing(SIZE_MAX, SIZE_MAX);

    for (size_t n = 1; n <= total; n++) {
        play_failing(n, n + 4);
        play_failing(n, n + 40);
        play_failing(n, SIZE_MAX);
    }
}

/* The state that a history can't show: what a message without memory does to its sender, and to the rest. */

static void a_message_that_can_t_be_kept_closes_its_sender(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = the_room(fake, "r");

    struct fake_peer *a = connect_peer(fake, room, "a"), *b = connect_peer(fake, room, "b");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    fake_message(b, "1");
    n_allocations = 0;
    fail_from = 2; /* the event's memory is there, that of its data is not */
    fail_to = 3;
    fake_message(a, "2");
    fake_expect(fake, "a close 1011");
    fake_message(b, "3");
    fake_gone_with(a, 1011, "", true);
    fake_run(fake);
    fake_expect(fake, "r:message b 1; r:message b 3; r:close a 1011 clean");
    assert_int_equal(fake->counters.messages_dropped, 1);
    fake_end(fake);
}

static void a_close_without_memory_for_its_reason_is_told_without(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = the_room(fake, "r");

    struct fake_peer *a = connect_peer(fake, room, "a");
    fake_run(fake);
    fake_forget(fake);
    fake_queue(fake);
    n_allocations = 0;
    fail_from = 2;
    fail_to = 3;
    fake_gone_with(a, 1000, "bye", true);
    fake_run(fake);
    fake_expect(fake, "r:close a 1000 clean");
    assert_int_equal(fake->n_peers, 0);
    fake_end(fake);
}

static void a_gap_in_withheld_output_closes_all(void **state)
{
    (void)state;
    struct fake *fake = fake_begin(NULL);
    struct room *room = the_room(fake, "r");

    connect_peer(fake, room, "a");
    connect_peer(fake, room, "b");
    fake_run(fake);
    fake_forget(fake);
    fake->no_memory = true;
    room_turn_begin(room);
    fake_write(room);
    assert_int_equal(try_send(room, NULL), 0);
    n_allocations = 0;
    fail_from = 1; /* of the queue at the gate */
    fail_to = 2;
    room_turn_end(room);
    fake_expect(fake, "a close 1011; b close 1011");
    fake_durable(room, 1);
    fake_expect(fake, "");
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(all_allocations_may_fail_for_a_while),
        cmocka_unit_test(a_message_that_can_t_be_kept_closes_its_sender),
        cmocka_unit_test(a_close_without_memory_for_its_reason_is_told_without),
        cmocka_unit_test(a_gap_in_withheld_output_closes_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
