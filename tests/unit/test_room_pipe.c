/* room/pipe: what is put in comes out, in order, in the pieces that the reader asks for; and either end may let go
 * first. */
#include "room/pipe.h"

#include "stream_reader.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct loop loop;
    struct pipe *pipe;
    struct stream_reader reader;
    unsigned n_begun, n_drained, n_gone;
    bool release; /* in gone */
};

static void on_begin(void *user)
{
    ((struct fixture *)user)->n_begun++;
}

static void on_drained(void *user)
{
    ((struct fixture *)user)->n_drained++;
}

static void on_gone(void *user)
{
    struct fixture *fixture = user;
    fixture->n_gone++;
    if (fixture->release)
        pipe_release(fixture->pipe);
}

static const struct pipe_ops ops = {.begin = on_begin, .drained = on_drained, .gone = on_gone};

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){.n_begun = 0};
    assert_int_equal(loop_init(&fixture->loop), 0);
    fixture->pipe = pipe_new(&fixture->loop, &ops, fixture);
    assert_non_null(fixture->pipe);
    reader_begin(&fixture->reader, &fixture->pipe->source);
}

static void end(struct fixture *fixture)
{
    loop_fini(&fixture->loop);
}

static void put(struct fixture *fixture, const char *text)
{
    struct bytes *bytes = bytes_copy(text, strlen(text));
    assert_int_equal(pipe_put(fixture->pipe, bytes), 0);
    bytes_unref(bytes);
}

static void what_is_put_in_comes_out(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);

    put(&fixture, "before ");
    put(&fixture, "");
    put(&fixture, "it asks");
    assert_int_equal(fixture.pipe->waiting, 14);
    assert_int_equal(pipe_size(fixture.pipe), 14 + 2 * PIPE_ITEM_COST);
    loop_step(&fixture.loop);
    assert_int_equal(fixture.n_begun, 0);
    reader_ask(&fixture.reader);
    assert_int_equal(fixture.n_begun, 1);
    loop_step(&fixture.loop);
    reader_expect(&fixture.reader, "before it asks");
    assert_int_equal(fixture.reader.pieces, 1); /* what came in one turn leaves together */
    assert_int_equal(pipe_size(fixture.pipe), 0);
    assert_int_equal(fixture.n_drained, 1);

    reader_ask(&fixture.reader);
    loop_step(&fixture.loop);
    assert_int_equal(fixture.reader.pieces, 1); /* there is nothing */
    put(&fixture, "later");
    loop_step(&fixture.loop);
    reader_expect(&fixture.reader, "later");

    put(&fixture, "last");
    pipe_end(fixture.pipe);
    pipe_fail(fixture.pipe); /* does nothing any more */
    assert_false(pipe_open(fixture.pipe));
    put(&fixture, "too late");
    reader_ask(&fixture.reader);
    loop_step(&fixture.loop);
    reader_expect(&fixture.reader, "last");
    assert_false(fixture.reader.whole);
    reader_ask(&fixture.reader);
    loop_step(&fixture.loop);
    assert_true(fixture.reader.whole);
    reader_close(&fixture.reader);
    assert_int_equal(fixture.n_begun, 1);
    assert_int_equal(fixture.n_gone, 0); /* it knew of the end */
    pipe_release(fixture.pipe);
    end(&fixture);
}

static void a_failure_drops_what_waits(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);

    put(&fixture, "never seen");
    pipe_fail(fixture.pipe);
    assert_int_equal(fixture.pipe->waiting, 0);
    pipe_end(fixture.pipe); /* does nothing any more */
    reader_ask(&fixture.reader);
    loop_step(&fixture.loop);
    assert_true(fixture.reader.failed && !fixture.reader.whole);
    pipe_release(fixture.pipe); /* the writer first */
    reader_close(&fixture.reader);
    assert_int_equal(fixture.n_gone, 0);
    end(&fixture);
}

/* Whoever lets go last frees it: the leak checker of the sanitizers sees to that. */
static void either_end_may_go_first(void **state)
{
    (void)state;
    for (int way = 0; way < 8; way++) {
        struct fixture fixture;
        begin(&fixture);
        if (way & 1)
            reader_ask(&fixture.reader);
        if (way & 2)
            put(&fixture, "text");
        fixture.release = (way & 4) != 0;
        reader_close(&fixture.reader);
        assert_int_equal(fixture.n_gone, 1);
        if (!fixture.release) {
            assert_false(pipe_open(fixture.pipe));
            put(&fixture, "to nobody");
            assert_int_equal(fixture.pipe->waiting, 0);
            pipe_release(fixture.pipe);
        }
        loop_step(&fixture.loop);
        end(&fixture);
    }
    for (int way = 0; way < 4; way++) {
        struct fixture fixture;
        begin(&fixture);
        put(&fixture, "text");
        if (way & 1)
            pipe_end(fixture.pipe);
        pipe_release(fixture.pipe);
        reader_ask(&fixture.reader);
        loop_step(&fixture.loop);
        if (way & 1)
            reader_expect(&fixture.reader, "text"); /* what had ended is still whole */
        else
            assert_true(fixture.reader.failed);
        reader_close(&fixture.reader);
        assert_int_equal(fixture.n_begun + fixture.n_gone, 0);
        end(&fixture);
    }
}

/* Pieces of all sizes, asked for now and then: nothing is lost, doubled, or in another order. */
static void any_history_keeps_the_order(void **state)
{
    (void)state;
    struct fixture fixture;
    struct buf want = {0};
    static char text[200000];
    unsigned seed = 7;
    begin(&fixture);

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 23);
    for (int i = 0; i < 3000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned what = seed >> 16;
        if (what % 3 == 0 && !fixture.reader.asked)
            reader_ask(&fixture.reader);
        else if (what % 3 == 1)
            loop_step(&fixture.loop);
        size_t len = what % 50 == 0 ? 100000 : what % 200, from = what % 1000;
        struct bytes *bytes = bytes_copy(text + from, len);
        assert_int_equal(pipe_put(fixture.pipe, bytes), 0);
        assert_int_equal(buf_append(&want, text + from, len), 0);
        bytes_unref(bytes);
        assert_int_equal(fixture.pipe->waiting + fixture.reader.got.len, want.len);
    }
    pipe_end(fixture.pipe);
    while (!fixture.reader.whole) {
        if (!fixture.reader.asked)
            reader_ask(&fixture.reader);
        loop_step(&fixture.loop);
    }
    assert_int_equal(fixture.reader.got.len, want.len);
    assert_memory_equal(fixture.reader.got.data, want.data, want.len);
    buf_fini(&want);
    reader_close(&fixture.reader);
    pipe_release(fixture.pipe);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_in_comes_out),
        cmocka_unit_test(a_failure_drops_what_waits),
        cmocka_unit_test(either_end_may_go_first),
        cmocka_unit_test(any_history_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
