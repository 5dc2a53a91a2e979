/* The token bucket: what it lets through, at once and over time, and what it says of the rest. */
#include "edge/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START 5000000u /* ms */

static void a_second_s_worth_at_once(void **state)
{
    (void)state;
    struct rate rate = {0};

    for (int i = 0; i < 10; i++)
        assert_int_equal(rate_take(&rate, 10, START, 1), 0);
    assert_int_equal(rate_take(&rate, 10, START, 1), 11);
    assert_int_equal(rate_take(&rate, 10, START + 99, 1), 11); /* a tenth of a second for each */
    assert_int_equal(rate_take(&rate, 10, START + 100, 1), 0);
    assert_int_equal(rate_take(&rate, 10, START + 100, 1), 11);
    assert_int_equal(rate_take(&rate, 10, START + 100, 0), 0);
}

static void no_more_however_long_nothing_came(void **state)
{
    (void)state;
    struct rate rate = {0};

    assert_int_equal(rate_take(&rate, 10, START, 10), 0);
    assert_int_equal(rate_take(&rate, 10, START + 86400000u, 11), 11);
    assert_int_equal(rate_take(&rate, 10, START + 86400000u, 10), 0);
    assert_int_equal(rate_take(&rate, 10, START + 86400000u, 5), 15);
}

/* Whatever the pieces: over ten seconds eleven seconds' worth passes, one at once and ten over time. */
static void the_rate_holds(void **state)
{
    (void)state;
    static const uint64_t rows[][2] = {{1, 1}, {7, 1}, {1000, 1}, {1000, 130}, {1u << 20, 4096}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rate rate = {0};
        uint64_t per_second = rows[i][0], piece = rows[i][1], passed = 0;
        for (uint64_t ms = 0; ms <= 10000; ms++) {
            while (rate_take(&rate, per_second, START + ms, piece) == 0)
                passed += piece;
        }
        assert_in_range(passed, 11 * per_second - 2 * piece, 11 * per_second);
    }
}

static void a_steady_client_is_never_over(void **state)
{
    (void)state;
    struct rate rate = {0};

    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(rate_take(&rate, 100, START + i * 10, 1), 0);
    assert_int_equal(rate_take(&rate, 100, START + 100000 * 10 + 900, 90),
                     0); /* a stall of less than a second */
}

static void the_figure_is_what_was_taken(void **state)
{
    (void)state;
    struct rate rate = {0};

    assert_int_equal(rate_take(&rate, 1000, START, 1500), 1500);
    assert_int_equal(rate_take(&rate, 1000, START, 800), 0);
    assert_int_equal(rate_take(&rate, 1000, START + 100, 400), 1100);
    assert_int_equal(rate_take(&rate, 1000, START + 101, 301), 0);
}

static void what_waited_is_excused(void **state)
{
    (void)state;
    struct rate rate = {0};

    assert_int_equal(rate_take(&rate, 10, START, 10), 0);
    rate_excuse(&rate, 10, START + 400, START + 5400);
    assert_int_equal(rate_take(&rate, 10, START + 5400, 55), 11); /* 4 before the pause, 50 of it */
    assert_int_equal(rate_take(&rate, 10, START + 5400, 54), 0);
    assert_int_equal(rate_take(&rate, 10, START + 5400, 1), 11);
    assert_int_equal(rate_take(&rate, 10, START + 6400, 10), 0);
    assert_int_equal(rate_take(&rate, 10, START + 6400, 1), 11);
}

static void another_rate(void **state)
{
    (void)state;
    struct rate rate = {0};

    assert_int_equal(rate_take(&rate, 10000, START, 10000), 0);
    assert_int_equal(rate_take(&rate, 10, START, 1), 11);
    assert_int_equal(rate_take(&rate, 10, START + 500, 5), 0);
    assert_int_equal(rate_take(&rate, 10000, START + 500, 9990), 0);
}

static void the_largest_figures(void **state)
{
    (void)state;
    struct rate rate = {0};
    uint64_t most = 1ull << 40;

    for (uint64_t i = 0; i < 10; i++)
        rate_excuse(&rate, most, UINT64_MAX / 10 * i, UINT64_MAX / 10 * (i + 1));
    assert_int_equal(rate_take(&rate, most, UINT64_MAX, most), 0);
    rate = (struct rate){0};
    assert_int_equal(rate_take(&rate, most, UINT64_MAX, most), 0);
    assert_int_equal(rate_take(&rate, most, UINT64_MAX, 1), most + 1);
    assert_int_equal(rate_take(&rate, 1, START, most), most + 1); /* a clock that went back gives nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_s_worth_at_once),
        cmocka_unit_test(no_more_however_long_nothing_came),
        cmocka_unit_test(the_rate_holds),
        cmocka_unit_test(a_steady_client_is_never_over),
        cmocka_unit_test(the_figure_is_what_was_taken),
        cmocka_unit_test(what_waited_is_excused),
        cmocka_unit_test(another_rate),
        cmocka_unit_test(the_largest_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
