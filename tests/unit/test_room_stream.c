/* room/stream: what a script writes into an answer passes the gate in order with all else, and is seen by nobody when
 * what was stored before it was not kept. */
#include "fake_room.h"
#include "room/stream.h"

#include "stream_reader.h"

static struct room_stream *stream;
static struct http_source *source;
static unsigned n_begun, n_moved;

static void on_begin(void *user)
{
    (void)user;
    n_begun++;
}

static void on_moved(void *user)
{
    (void)user;
    n_moved++;
}

static const struct room_stream_ops ops = {.begin = on_begin, .moved = on_moved};

static void write_text(const char *text)
{
    struct bytes *bytes = bytes_copy(text, strlen(text));
    (void)!room_stream_write(stream, bytes);
    bytes_unref(bytes);
}

/* What a message says is done in its handler: "=x" writes x, "." ends, "!" cuts, "+" stores; others are sent back. */
static enum act handler(struct fake *fake, struct room *room, struct event *event)
{
    (void)fake;
    if (event->kind == EVENT_START) {
        n_begun = n_moved = 0;
        stream = room_stream_new(room, &ops, NULL);
        source = room_stream_source(stream);
    }
    if (event->kind != EVENT_MESSAGE)
        return ACT_DONE;
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)event->len, (const char *)event->data);
    for (char *rest = NULL, *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (*word == '=')
            write_text(word + 1);
        else if (*word == '.')
            room_stream_end(stream, true);
        else if (*word == '!')
            room_stream_end(stream, false);
        else if (*word == '+')
            fake_write(room);
        else
            (void)!fake_send(event->peer, word);
    }
    return ACT_DONE;
}

struct fixture {
    struct fake *fake;
    struct room *room;
    struct fake_peer *peer;
    struct stream_reader reader;
};

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){.fake = fake_begin(NULL)};
    fixture->fake->handler = handler;
    fixture->room = fake_room(fixture->fake, "r");
    fixture->peer = fake_connect(fixture->fake, fixture->room, "a");
    fake_run(fixture->fake);
    fake_forget(fixture->fake);
    reader_begin(&fixture->reader, source);
    reader_ask(&fixture->reader);
}

static void tell(struct fixture *fixture, const char *text)
{
    fake_message(fixture->peer, text);
    fake_run(fixture->fake);
    loop_step(&fixture->fake->loop);
}

static void end(struct fixture *fixture)
{
    reader_close(&fixture->reader);
    if (stream)
        room_stream_release(stream);
    stream = NULL;
    fake_end(fixture->fake);
}

static void what_is_written_leaves_at_the_end_of_the_turn(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    assert_int_equal(n_begun, 1);

    tell(&fixture, "=one =two");
    reader_expect(&fixture.reader, "onetwo");
    assert_int_equal(room_stream_waiting(stream), 0);
    assert_true(n_moved > 0);
    tell(&fixture, "=three .");
    assert_int_equal(room_stream_waiting(stream), 5); /* nobody asks */
    reader_ask(&fixture.reader);
    loop_step(&fixture.fake->loop);
    reader_expect(&fixture.reader, "three");
    reader_ask(&fixture.reader);
    loop_step(&fixture.fake->loop);
    assert_true(fixture.reader.whole);
    assert_false(room_stream_open(stream));
    end(&fixture);
}

static void nothing_is_seen_before_it_is_durable(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);

    tell(&fixture, "+ =one x");
    tell(&fixture, "=two y .");
    assert_int_equal(fixture.reader.pieces, 0);
    assert_int_equal(room_stream_waiting(stream), 6);
    fake_forget(fixture.fake);
    fake_durable(fixture.room, fixture.room->written);
    loop_step(&fixture.fake->loop);
    reader_expect(&fixture.reader, "onetwo");
    fake_expect(fixture.fake, "a send x; a send y");
    reader_ask(&fixture.reader);
    loop_step(&fixture.fake->loop);
    assert_true(fixture.reader.whole);
    end(&fixture);
}

static void nothing_is_seen_of_what_was_not_kept(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);

    tell(&fixture, "=seen");
    reader_expect(&fixture.reader, "seen");
    reader_ask(&fixture.reader);
    tell(&fixture, "+ =never .");
    fake_store_end(&fixture.fake->store, fake_store_next(&fixture.fake->store, fixture.room->data->store),
                   STORE_FAILED);
    loop_step(&fixture.fake->loop);
    reader_expect(&fixture.reader, "");
    assert_true(fixture.reader.failed && !fixture.reader.whole);
    end(&fixture);
}

static void a_cut_stream_keeps_no_promise(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);

    tell(&fixture, "!");
    assert_true(fixture.reader.failed);
    end(&fixture);

    begin(&fixture); /* what was written before comes first */
    tell(&fixture, "=said !");
    reader_expect(&fixture.reader, "said");
    assert_false(fixture.reader.failed);
    assert_false(room_stream_open(stream));
    reader_ask(&fixture.reader);
    loop_step(&fixture.fake->loop);
    assert_true(fixture.reader.failed && !fixture.reader.whole);
    end(&fixture);

    begin(&fixture); /* the script's VM goes */
    room_stream_release(stream);
    stream = NULL;
    loop_step(&fixture.fake->loop);
    assert_true(fixture.reader.failed);
    end(&fixture);

    begin(&fixture); /* but what had ended has */
    tell(&fixture, "+ =last .");
    room_stream_release(stream);
    stream = NULL;
    fake_durable(fixture.room, fixture.room->written);
    loop_step(&fixture.fake->loop);
    reader_expect(&fixture.reader, "last");
    end(&fixture);
}

static void a_reader_that_goes_is_told(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);

    tell(&fixture, "+ =waits");
    unsigned moved = n_moved;
    reader_close(&fixture.reader);
    assert_int_equal(n_moved, moved + 1);
    assert_false(room_stream_open(stream));
    fake_durable(fixture.room, fixture.room->written);
    tell(&fixture, "=nobody .");
    assert_int_equal(room_stream_waiting(stream), 0);
    end(&fixture);
}

/* More than may wait at the gate: it has a gap, so it fails. */
static void too_much_at_the_gate_cuts_it(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);

    tell(&fixture, "+");
    fixture.fake->rooms.limits.output = 1;
    tell(&fixture, "=more");
    assert_false(room_stream_open(stream));
    assert_true(fixture.reader.failed);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_leaves_at_the_end_of_the_turn),
        cmocka_unit_test(nothing_is_seen_before_it_is_durable),
        cmocka_unit_test(nothing_is_seen_of_what_was_not_kept),
        cmocka_unit_test(a_cut_stream_keeps_no_promise),
        cmocka_unit_test(a_reader_that_goes_is_told),
        cmocka_unit_test(too_much_at_the_gate_cuts_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
