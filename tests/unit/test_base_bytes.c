/* Counted bytes: how they grow, and what they are counted for. */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void they_grow_by_doubling(void **state)
{
    (void)state;
    struct bytes *bytes = bytes_new_growing(0);
    size_t moves = 0, cap = 0;

    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(bytes_append(bytes, "x", 1), 0);
        moves += bytes->cap != cap;
        cap = bytes->cap;
    }
    assert_int_equal(bytes->len, 100000);
    assert_in_range(moves, 2, 20);
    bytes_unref(bytes);
}

static void no_more_memory_than_is_needed_in_the_end(void **state)
{
    (void)state;
    static uint8_t data[1000];
    struct bytes *bytes = bytes_new_growing(sizeof data);

    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(bytes_append_within(bytes, data, sizeof data, 100 * sizeof data), 0);
        assert_true(bytes->cap <= 100 * sizeof data);
    }
    assert_int_equal(bytes->cap, 100 * sizeof data);
    assert_int_equal(bytes_append_within(bytes, data, 1, 100 * sizeof data), 0); /* a bound on memory alone */
    assert_int_equal(bytes->len, 100 * sizeof data + 1);
    bytes_unref(bytes);
}

static void trimming_keeps_what_is_there(void **state)
{
    (void)state;
    struct bytes *bytes = bytes_new_growing(5000);

    bytes_trim(bytes); /* nothing in it: stays as it is */
    assert_int_equal(bytes_append(bytes, "hello", 5), 0);
    size_t before = bytes_cost(bytes);
    bytes_trim(bytes);
    assert_int_equal(bytes->cap, 5);
    assert_memory_equal(bytes->data, "hello", 5);
    assert_int_equal(before - bytes_cost(bytes), 4995);
    bytes_unref(bytes);
}

static void they_cost_more_than_their_length(void **state)
{
    (void)state;
    struct bytes *empty = bytes_copy("", 0), *small = bytes_copy("hello", 5), *large = bytes_new(5000);

    assert_int_equal(bytes_cost(NULL), 0);
    assert_int_equal(bytes_cost(empty), bytes_cost(small)); /* blocks of one size */
    assert_in_range(bytes_cost(small), 100, 300);
    assert_in_range(bytes_cost(large), 5000 + sizeof *large, 5100);
    bytes_unref(empty);
    bytes_unref(small);
    bytes_unref(large);
    bytes_thread_fini();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_grow_by_doubling),
        cmocka_unit_test(no_more_memory_than_is_needed_in_the_end),
        cmocka_unit_test(trimming_keeps_what_is_there),
        cmocka_unit_test(they_cost_more_than_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
