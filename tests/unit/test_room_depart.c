/* room_depart: what leaves a room by its gate and is nothing of a peer's. */
#include "fake_room.h"

#include <errno.h>

struct parcel {
    struct departure departure;
    struct fake *fake;
    char name;
    int ended; /* left or dropped */
};

static struct parcel parcels[8];
static size_t n_parcels;
static int last_rc;

static void parcel_leave(struct departure *departure)
{
    struct parcel *parcel = container_of(departure, struct parcel, departure);
    assert_int_equal(parcel->ended++, 0);
    fake_say(parcel->fake, "%c left", parcel->name);
}

static void parcel_drop(struct departure *departure)
{
    struct parcel *parcel = container_of(departure, struct parcel, departure);
    assert_int_equal(parcel->ended++, 0);
    fake_say(parcel->fake, "%c dropped", parcel->name);
}

/* A message: w writes, s sends, a letter in upper case departs under that name. */
static enum act obey(struct fake *fake, struct room *room, struct event *event)
{
    for (size_t i = 0; event->kind == EVENT_MESSAGE && i < event->len; i++) {
        char c = (char)event->data[i];
        if (c == 'w')
            fake_write(room);
        else if (c == 's')
            fake_send(event->peer, "sent");
        else {
            struct parcel *parcel = &parcels[n_parcels++];
            *parcel = (struct parcel){.departure = {.leave = parcel_leave,
                                                    .drop = parcel_drop,
                                                    .cost = c == 'X' ? 1 << 20 : 10},
                                      .fake = fake,
                                      .name = c};
            last_rc = room_depart(room, &parcel->departure);
        }
    }
    return ACT_DONE;
}

static struct fake_peer *begin(void)
{
    struct fake *fake = fake_begin(NULL);
    n_parcels = 0;
    fake->handler = obey;
    struct fake_peer *peer = fake_connect(fake, fake_room(fake, "r"), "p");
    fake_run(fake);
    fake_forget(fake);
    return peer;
}

static void tell(struct fake_peer *peer, const char *text)
{
    fake_message(peer, text);
    fake_run(peer->fake);
}

static void end(struct fake *fake)
{
    fake_end(fake);
    for (size_t i = 0; i < n_parcels; i++)
        assert_int_equal(parcels[i].ended, 1);
}

static void leaves_at_the_end_of_its_turn_in_order(void **state)
{
    (void)state;
    struct fake_peer *p = begin();

    tell(p, "AsBs");
    assert_int_equal(last_rc, 0);
    fake_expect(p->fake, "r:message p AsBs; A left; p send sent; B left; p send sent");
    end(p->fake);
}

static void waits_at_the_gate_in_order(void **state)
{
    (void)state;
    struct fake_peer *p = begin();

    tell(p, "wsA");
    tell(p, "Bs");
    tell(p, "wC");
    fake_expect(p->fake, "r:message p wsA; r:message p Bs; r:message p wC");
    assert_true(p->peer.room->outq.bytes >= 30);
    fake_durable(p->peer.room, 1);
    fake_expect(p->fake, "p send sent; A left; B left; p send sent");
    fake_durable(p->peer.room, 2);
    fake_expect(p->fake, "C left");
    end(p->fake);
}

static void is_dropped_when_the_batch_fails(void **state)
{
    (void)state;
    struct fake_peer *p = begin();
    struct fake *fake = p->fake;

    tell(p, "wA");
    tell(p, "B");
    fake_forget(fake);
    fake_store_end(&fake->store, fake_store_next(&fake->store, p->peer.room->data->store), STORE_FAILED);
    fake_run(fake);
    fake_expect(fake, "A dropped; B dropped; p close 1011 Internal error; r:end");
    end(fake);
}

static void is_dropped_with_its_room(void **state)
{
    (void)state;
    struct fake_peer *p = begin();
    struct fake *fake = p->fake;

    tell(p, "wA");
    fake_forget(fake);
    room_remove(p->peer.room);
    fake_expect(fake, "r:end; A dropped");
    end(fake);
}

static void counts_in_what_a_room_may_send(void **state)
{
    (void)state;
    struct fake_peer *p = begin();

    tell(p, "AXB"); /* more than limits.output: dropped within the call */
    fake_expect(p->fake, "r:message p AXB; X dropped; A left; B left");
    tell(p, "X");
    assert_int_equal(last_rc, -ENOBUFS);
    end(p->fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_at_the_end_of_its_turn_in_order),
        cmocka_unit_test(waits_at_the_gate_in_order),
        cmocka_unit_test(is_dropped_when_the_batch_fails),
        cmocka_unit_test(is_dropped_with_its_room),
        cmocka_unit_test(counts_in_what_a_room_may_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
