/* The queue of a connection against a plain string of bytes: filling, taking, dropping. */
#include "base/buf.h"
#include "net/queue.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct segment_pool pool;
static struct queue queue;

static int done(void **state)
{
    (void)state;
    queue_clear(&queue, &pool);
    assert_null(queue.head);
    assert_null(queue.tail);
    assert_int_equal(queue.len, 0);
    segment_pool_fini(&pool);
    return 0;
}

static uint64_t seed;

static size_t draw(size_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((seed >> 33) % below);
}

/* All that the queue holds, as one string. */
static struct buf contents(void)
{
    struct buf all = {0};
    uv_buf_t pieces[4096];
    size_t len;
    unsigned n = queue_front(&queue, pieces, 4096, SIZE_MAX, &len);

    for (unsigned i = 0; i < n; i++) {
        assert_true(pieces[i].len > 0);
        assert_int_equal(buf_append(&all, pieces[i].base, pieces[i].len), 0);
    }
    assert_int_equal(all.len, len);
    assert_int_equal(all.len, queue.len);
    return all;
}

static void assert_contents(const void *data, size_t len)
{
    struct buf all = contents();
    assert_int_equal(all.len, len);
    if (len)
        assert_memory_equal(all.data, data, len);
    buf_fini(&all);
}

static void put(const char *text)
{
    assert_int_equal(queue_copy(&queue, &pool, text, strlen(text), NULL, 0), 0);
}

/* ---- filling and taking ---- */

static void small_pieces_share_a_segment(void **state)
{
    uv_buf_t pieces[8];
    size_t len;
    (void)state;

    put("one ");
    assert_int_equal(queue_copy(&queue, &pool, "t", 1, "wo ", 3), 0);
    put("three");
    put("");
    assert_int_equal(queue_front(&queue, pieces, 8, SIZE_MAX, &len), 1);
    assert_int_equal(len, 13);
    assert_memory_equal(pieces[0].base, "one two three", 13);

    queue_take(&queue, &pool, 4);
    assert_int_equal(queue_front(&queue, pieces, 8, 3, &len), 1);
    assert_int_equal(len, 3);
    assert_memory_equal(pieces[0].base, "two", 3);
    queue_take(&queue, &pool, 9);
    assert_null(queue.head);
    assert_int_equal(queue_front(&queue, pieces, 8, SIZE_MAX, &len), 0);
    assert_int_equal(len, 0);
}

static void what_is_queued_never_moves(void **state)
{
    uv_buf_t before[1], after[1];
    size_t len;
    (void)state;

    put("first");
    queue_front(&queue, before, 1, SIZE_MAX, &len);
    for (int i = 0; i < 5000; i++)
        put("more and more");
    queue_front(&queue, after, 1, SIZE_MAX, &len);
    assert_ptr_equal(before[0].base, after[0].base);
}

static void shared_bytes_are_not_copied(void **state)
{
    struct bytes *bytes = bytes_copy("0123456789", 10);
    uv_buf_t pieces[8];
    size_t len;
    (void)state;

    put("a");
    assert_int_equal(queue_share(&queue, bytes, 2, 5, false), 0);
    assert_int_equal(queue_share(&queue, bytes, 10, 0, false), 0);
    put("b");
    assert_int_equal(bytes->refs, 2);
    assert_int_equal(queue_front(&queue, pieces, 8, SIZE_MAX, &len), 3);
    assert_ptr_equal(pieces[1].base, bytes->data + 2);
    assert_contents("a23456b", 7);
    queue_take(&queue, &pool, 5);
    assert_int_equal(bytes->refs, 2);
    queue_take(&queue, &pool, 1);
    assert_int_equal(bytes->refs, 1);
    assert_contents("b", 1);
    bytes_unref(bytes);
}

static void chunks_are_used_again(void **state)
{
    (void)state;
    put("x");
    struct segment *chunk = queue.head;
    queue_take(&queue, &pool, 1);
    assert_int_equal(pool.count, 1);
    put("y");
    assert_ptr_equal(queue.head, chunk);
    assert_int_equal(pool.count, 0);

    /* Large ones are not kept. */
    static char large[100000];
    assert_int_equal(queue_copy(&queue, &pool, large, sizeof large, NULL, 0), 0);
    queue_clear(&queue, &pool);
    assert_int_equal(pool.count, 1);

    /* Nor are more than so many. */
    for (int i = 0; i < 100000; i++)
        assert_int_equal(queue_copy(&queue, &pool, large, 100, NULL, 0), 0);
    queue_clear(&queue, &pool);
    assert_in_range(pool.count, 100, 1024);
}

static void what_can_not_be_had_changes_nothing(void **state)
{
    (void)state;
    put("kept");
    assert_int_equal(queue_copy(&queue, &pool, "x", SIZE_MAX, NULL, 0), -ENOMEM);
    assert_int_equal(queue_copy(&queue, &pool, "x", 1, "y", SIZE_MAX), -ENOMEM);
    assert_int_equal(queue_copy(&queue, &pool, "x", SIZE_MAX / 2, "y", SIZE_MAX / 2), -ENOMEM);
    assert_contents("kept", 4);
}

static void a_random_stream_comes_out_as_it_went_in(void **state)
{
    struct buf model = {0};
    static uint8_t noise[70000];
    (void)state;

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * 131 >> 3);
    for (seed = 1; seed < 20; seed++) {
        uint64_t first_seed = seed;
        for (int step = 0; step < 2000; step++) {
            size_t len = draw(10) ? draw(300) : draw(60000), from = draw(5000);
            if (draw(2)) {
                size_t cut = draw(len + 1);
                assert_int_equal(queue_copy(&queue, &pool, noise + from, cut, noise + from + cut, len - cut),
                                 0);
            } else {
                struct bytes *bytes = bytes_copy(noise, from + len);
                assert_int_equal(queue_share(&queue, bytes, from, len, draw(2)), 0);
                bytes_unref(bytes);
            }
            assert_int_equal(buf_append(&model, noise + from, len), 0);
            while (draw(3)) {
                uv_buf_t pieces[64];
                size_t front, max = draw(100000);
                unsigned n = queue_front(&queue, pieces, (unsigned)draw(64) + 1, max, &front);
                size_t at = 0;
                assert_true(front <= max && front <= model.len);
                for (unsigned i = 0; i < n; at += pieces[i++].len)
                    assert_memory_equal(pieces[i].base, model.data + at, pieces[i].len);
                assert_int_equal(at, front);
                size_t taken = draw(front + 1);
                queue_take(&queue, &pool, taken);
                buf_consume(&model, taken);
            }
            assert_int_equal(queue.len, model.len);
        }
        assert_contents(model.data, model.len);
        queue_clear(&queue, &pool);
        model.len = 0;
        seed = first_seed;
    }
    buf_fini(&model);
}

/* ---- dropping: messages are a length byte and as many letters ---- */

static unsigned edge_calls;

static size_t edge(const uint8_t *segment, size_t sent, size_t len)
{
    size_t at = 0;
    edge_calls++;
    assert_true(sent > 0 && sent < len);
    while (at < sent)
        at += 1u + segment[at];
    return at < len ? at : len;
}

static void put_message(char letter, uint8_t len)
{
    uint8_t message[256] = {len};
    memset(message + 1, letter, len);
    assert_int_equal(queue_copy(&queue, &pool, message, 1u + len, NULL, 0), 0);
}

/* Its head among what is copied, its body shared. */
static void put_two_pieces(char letter, uint8_t len)
{
    struct bytes *body = bytes_new(len);
    memset(body->data, letter, len);
    assert_int_equal(queue_copy(&queue, &pool, &len, 1, NULL, 0), 0);
    assert_int_equal(queue_share(&queue, body, 0, len, true), 0);
    bytes_unref(body);
}

static void dropping_keeps_what_was_begun(void **state)
{
    (void)state;

    /* Nothing was begun. */
    put_message('a', 3);
    put_two_pieces('b', 4);
    queue_drop(&queue, &pool, 0, edge);
    assert_contents("", 0);
    assert_null(queue.head);

    /* Some of the first message has left, or is leaving. */
    for (size_t sent = 1; sent <= 4; sent++) {
        put_message('a', 3);
        put_message('b', 3);
        put_message('c', 3);
        queue_take(&queue, &pool, sent / 2);
        queue_drop(&queue, &pool, sent - sent / 2, edge);
        assert_contents(&"\3aaa"[sent / 2], 4 - sent / 2);
        put_message('d', 1); /* goes on behind it */
        assert_contents(&"\3aaa\1d"[sent / 2], 6 - sent / 2);
        queue_clear(&queue, &pool);
    }

    /* The first message has left to the byte: an edge, though in the middle of a segment. */
    put_message('a', 3);
    put_message('b', 3);
    queue_take(&queue, &pool, 4);
    queue_drop(&queue, &pool, 0, edge);
    assert_contents("", 0);
    assert_null(queue.head);
    put_message('c', 2);
    assert_contents("\2cc", 3);
}

static void dropping_knows_messages_of_two_pieces(void **state)
{
    static const char all[] = "\2xx\4aaaa\4bbbb\2cc";
    (void)state;

    /* Offsets of the message's end after which nothing is kept, by bytes begun. */
    static const size_t keeps[] = {0, 3, 3, 3, 8, 8, 8, 8, 8, 13, 13, 13, 13, 13, 16, 16, 16};
    for (size_t begun = 0; begun <= 16; begun++) {
        for (size_t taken = 0; taken <= begun; taken++) {
            put_message('x', 2);
            put_two_pieces('a', 4);
            put_two_pieces('b', 4);
            put_message('c', 2);
            assert_contents(all, 16);
            queue_take(&queue, &pool, taken);
            queue_drop(&queue, &pool, begun - taken, edge);
            assert_contents(all + taken, keeps[begun] - taken);
            queue_clear(&queue, &pool);
        }
    }
}

static void dropping_at_any_point_leaves_whole_messages(void **state)
{
    (void)state;
    for (seed = 1; seed < 3000; seed++) {
        uint64_t first_seed = seed;
        size_t ends[64], n = 1 + draw(40), total = 0;

        edge_calls = 0;
        for (size_t i = 0; i < n; i++) {
            uint8_t len = (uint8_t)(draw(250) + 1);
            if (draw(3))
                put_message((char)('a' + i % 26), len);
            else
                put_two_pieces((char)('a' + i % 26), len);
            total += 1u + len;
            ends[i] = total;
        }
        struct buf all = contents();
        size_t begun = draw(total + 1), taken = draw(begun + 1), keep = 0;
        for (size_t i = 0; i < n && keep < begun; i++)
            keep = ends[i];
        queue_take(&queue, &pool, taken);
        queue_drop(&queue, &pool, begun - taken, edge);
        assert_contents(all.data + taken, keep - taken);
        assert_in_range(edge_calls, 0, 1);

        put_message('!', 5); /* still a sound queue */
        assert_int_equal(queue.len, keep - taken + 6);
        queue_take(&queue, &pool, keep - taken);
        assert_contents("\5!!!!!", 6);
        queue_clear(&queue, &pool);
        buf_fini(&all);
        seed = first_seed;
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(small_pieces_share_a_segment),
        TEST(what_is_queued_never_moves),
        TEST(shared_bytes_are_not_copied),
        TEST(chunks_are_used_again),
        TEST(what_can_not_be_had_changes_nothing),
        TEST(a_random_stream_comes_out_as_it_went_in),
        TEST(dropping_keeps_what_was_begun),
        TEST(dropping_knows_messages_of_two_pieces),
        TEST(dropping_at_any_point_leaves_whole_messages),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
