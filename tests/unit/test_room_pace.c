/* Which room's turn it is: quick ones first, new and slow ones behind what was written, one event that takes
 * long in a turn of the loop. */
#include "fake_room.h"

#include <time.h>

/* "long" takes long, and so does each request to a room whose id begins with "long". "wait" takes as long by the clock,
 * but not of the CPU, as where other programs have it. */
static enum act some_take_long(struct fake *fake, struct room *room, struct event *event)
{
    uint64_t until = clock_thread_ns() + 20u * NS_PER_MS;

    (void)fake;
    if (fake_says(event, "long") || (event->kind == EVENT_REQUEST && strncmp(room->id, "long", 4) == 0)) {
        while (clock_thread_ns() < until)
            continue;
    }
    if (fake_says(event, "wait"))
        nanosleep(&(struct timespec){.tv_nsec = 20 * NS_PER_MS}, NULL);
    return ACT_DONE;
}

static struct fake *begin(void)
{
    struct fake *fake = fake_begin(NULL);
    fake->handler = some_take_long;
    return fake;
}

/* A room of the party that has answered its first events at once, with a peer. */
static struct fake_peer *open_in(struct fake *fake, struct party *party, const char *id, const char *peer_id)
{
    struct room *room = rooms_get(&fake->rooms, party, span_of(party->name), span_of(id));
    assert_non_null(room);
    struct fake_peer *peer = fake_connect(fake, room, peer_id);
    fake_run(fake);
    assert_int_equal(peer->peer.room->pace, PACE_QUICK);
    fake_forget(fake);
    return peer;
}

static struct fake_peer *open_room(struct fake *fake, const char *id, const char *peer_id)
{
    return open_in(fake, &fake->party, id, peer_id);
}

/* One of a party that has nothing to do with the others. */
static struct fake_peer *open_elsewhere(struct fake *fake, const char *id, const char *peer_id)
{
    static struct party elsewhere = {.name = "elsewhere"};
    return open_in(fake, &elsewhere, id, peer_id);
}

static struct fake_peer *open_slow_room(struct fake *fake, const char *id, const char *peer_id)
{
    struct fake_peer *peer = open_room(fake, id, peer_id);
    loop_step(&fake->loop);
    fake_message(peer, "long");
    fake_run(fake);
    assert_int_equal(peer->peer.room->pace, PACE_SLOW);
    loop_step(&fake->loop);
    fake_forget(fake);
    return peer;
}

static void quick_rooms_come_first(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *slow = open_slow_room(fake, "slow", "a"), *quick = open_elsewhere(fake, "quick", "b");

    fake_queue(fake);
    fake_message(slow, "1");
    fake_message(slow, "2");
    fake_message(quick, "1");
    fake_message(quick, "2");
    fake_run(fake);
    fake_expect(fake, "quick:message b 1; quick:message b 2; slow:message a 1; slow:message a 2");
    fake_end(fake);
}

static void a_slow_room_waits_for_its_turn(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *slow = open_slow_room(fake, "slow", "a"), *quick = open_elsewhere(fake, "quick", "b");

    fake_message(slow, "1"); /* nothing else is to be done, and yet: */
    fake_message(quick, "1");
    fake_run(fake);
    fake_expect(fake, "quick:message b 1; slow:message a 1");
    fake_end(fake);
}

static void only_the_cpu_counts(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *peer = open_room(fake, "r", "a");

    loop_step(&fake->loop);
    fake_message(peer, "wait");
    fake_run(fake);
    fake_expect(fake, "r:message a wait");
    assert_int_equal(peer->peer.room->pace, PACE_QUICK);
    fake_message(peer, "long");
    fake_run(fake);
    fake_expect(fake, "r:message a long");
    assert_int_equal(peer->peer.room->pace, PACE_SLOW);
    fake_end(fake);
}

/* Rooms that were quick until now wait in line as soon as one of them is not. */
static void a_party_is_slow_together(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_room(fake, "s", "b"),
                     *c = open_room(fake, "t", "c"), *quick = open_elsewhere(fake, "quick", "q");

    fake_queue(fake);
    fake_message(a, "long");
    fake_message(b, "long");
    fake_message(c, "long");
    fake_message(quick, "1");
    loop_step(&fake->loop);
    loop_step(&fake->loop);
    fake_expect(fake, "r:message a long; quick:message q 1; s:message b long");
    fake_message(quick, "2");
    loop_step(&fake->loop);
    fake_expect(fake, "quick:message q 2; t:message c long");
    a->peer.room->party_pace->slow_until = 0; /* after a while */
    fake_message(a, "1");
    fake_expect(fake, "");
    fake_run(fake); /* it is slow itself */
    fake_expect(fake, "r:message a 1");
    fake_end(fake);
}

static void one_long_event_a_turn(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *a = open_slow_room(fake, "r", "a"), *b = open_slow_room(fake, "s", "b"),
                     *c = open_slow_room(fake, "t", "c"), *quick = open_elsewhere(fake, "quick", "q");

    fake_message(a, "long");
    fake_message(b, "long");
    fake_message(c, "long");
    fake_expect(fake, "");
    loop_step(&fake->loop);
    fake_expect(fake, "r:message a long");
    fake_message(quick, "1"); /* the sockets were looked at */
    loop_step(&fake->loop);
    fake_expect(fake, "quick:message q 1; s:message b long");
    fake_message(quick, "long");
    loop_step(&fake->loop); /* this turn has had its long one */
    fake_expect(fake, "quick:message q long");
    loop_step(&fake->loop);
    fake_expect(fake, "t:message c long");
    fake_end(fake);
}

static void new_rooms_wait_behind_each_other(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_exchange x, y, z;
    struct fake_peer *quick = open_room(fake, "quick", "q");

    loop_step(&fake->loop);
    fake_request(fake, fake_room(fake, "r"), &x, "x"); /* there is no other */
    fake_expect(fake, "r:start; r:request x; x = 200 r");
    fake_queue(fake);
    fake_request(fake, fake_room(fake, "s"), &y, "y");
    fake->rooms.direct_until = UINT64_MAX;
    fake_request(fake, fake_room(fake, "t"), &z, "z");
    fake_message(quick, "1");
    fake_expect(fake, "quick:message q 1");
    fake_run(fake);
    fake_expect(fake, "s:start; s:request y; y = 200 s; t:start; t:request z; z = 200 t");
    fake_end(fake);
}

/* Neither those that are new for ever nor those that are slow keep the others from running. */
static void new_rooms_and_slow_ones_take_turns(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *slow = open_slow_room(fake, "slow", "a");
    struct fake_exchange exchanges[4];
    char id[32];
    int slow_ran = 0;

    for (int i = 0; i < 4; i++)
        fake_message(slow, "long");
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "long-%d", i);
        fake_request(fake, fake_room(fake, id), &exchanges[i], "x");
        loop_step(&fake->loop);
        slow_ran += strstr((char *)fake->log.data, "slow:message") != NULL;
        fake_forget(fake);
    }
    assert_int_equal(slow_ran, 2);
    fake_run(fake);
    fake_end(fake);
}

static int n_chores_done;

static void take_2_ms(struct room_chore *chore)
{
    uint64_t until = clock_thread_ns() + 2u * NS_PER_MS;

    assert_false(list_linked(&chore->link));
    while (clock_thread_ns() < until)
        continue;
    n_chores_done++;
}

/* What scripts save, a little for each of many rooms, and what takes long: nobody waits for all of it. */
static void chores_have_their_time_in_a_turn(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *slow = open_slow_room(fake, "slow", "a");
    struct room *room = open_elsewhere(fake, "r", "b")->peer.room;
    struct room_chore chores[20] = {0};

    for (size_t i = 0; i < 20; i++) {
        chores[i].fn = take_2_ms;
        room_do_later(room, &chores[i]);
    }
    list_remove(&chores[19].link);
    n_chores_done = 0;
    for (int done, turns = 0; n_chores_done < 19; turns++) {
        fake_message(slow, "long");
        fake_forget(fake);
        done = n_chores_done;
        loop_step(&fake->loop);
        assert_in_range(n_chores_done - done, 0, 3);
        assert_in_range(turns, 0, 100);
    }
    fake_run(fake);
    fake_end(fake);
}

static void a_slow_room_becomes_quick_again(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *peer = open_slow_room(fake, "r", "a");
    int short_ones = 0;

    while (peer->peer.room->pace == PACE_SLOW) {
        fake_message(peer, "1");
        fake_run(fake);
        assert_in_range(++short_ones, 1, 1000);
    }
    assert_in_range(short_ones, 10, 100);
    fake_end(fake);
}

static void a_turn_is_a_slice_of_time(void **state)
{
    (void)state;
    struct fake *fake = begin();
    struct fake_peer *a = open_room(fake, "r", "a"), *b = open_elsewhere(fake, "s", "b");

    fake->rooms.slice = UINT64_MAX / 2;
    fake_queue(fake);
    fake_message(a, "1");
    fake_message(b, "1");
    fake_message(a, "2");
    fake_message(a, "3");
    fake_run(fake);
    fake_expect(fake, "r:message a 1; r:message a 2; r:message a 3; s:message b 1");
    fake->rooms.slice = 1u * NS_PER_MS;
    fake_queue(fake);
    fake_message(a, "long");
    fake_message(b, "1");
    fake_message(a, "2");
    fake_run(fake);
    fake_expect(fake, "r:message a long; s:message b 1; r:message a 2");
    fake_end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_rooms_come_first),
        cmocka_unit_test(a_slow_room_waits_for_its_turn),
        cmocka_unit_test(only_the_cpu_counts),
        cmocka_unit_test(a_party_is_slow_together),
        cmocka_unit_test(one_long_event_a_turn),
        cmocka_unit_test(new_rooms_wait_behind_each_other),
        cmocka_unit_test(new_rooms_and_slow_ones_take_turns),
        cmocka_unit_test(chores_have_their_time_in_a_turn),
        cmocka_unit_test(a_slow_room_becomes_quick_again),
        cmocka_unit_test(a_turn_is_a_slice_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
