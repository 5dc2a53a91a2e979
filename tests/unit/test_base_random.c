/* random and clock, as far as they can be wrong. */
#include "base/clock.h"
#include "base/random.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* ---- random ---- */

static void random_bytes_fill_all(void **state)
{
    (void)state;
    random_bytes(NULL, 0);
    /* Each byte of a large piece gets each value at some time, and nothing behind it. */
    enum { LEN = 1 << 20 };
    uint8_t *bytes = calloc(1, LEN + 1);
    assert_non_null(bytes);
    random_bytes(bytes, LEN);
    assert_int_equal(bytes[LEN], 0);
    size_t counts[256] = {0};
    for (size_t i = 0; i < LEN; i++)
        counts[bytes[i]]++;
    for (size_t i = 0; i < 256; i++)
        assert_in_range(counts[i], 4096 - 1000, 4096 + 1000); /* 15 standard deviations */
    free(bytes);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void uuids_are_of_version_4(void **state)
{
    (void)state;
    enum { N = 2000 };
    static char ids[N][UUID_LEN + 1];
    bool variant_seen[4] = {0};
    for (size_t i = 0; i < N; i++) {
        memset(ids[i], 'x', sizeof ids[i]);
        random_uuid(ids[i]);
        assert_int_equal(strlen(ids[i]), UUID_LEN);
        for (size_t at = 0; at < UUID_LEN; at++) {
            char c = ids[i][at];
            if (at == 8 || at == 13 || at == 18 || at == 23)
                assert_int_equal(c, '-');
            else
                assert_true(isdigit((unsigned char)c) || (c >= 'a' && c <= 'f'));
        }
        assert_int_equal(ids[i][14], '4');
        const char *variant = strchr("89ab", ids[i][19]);
        assert_non_null(variant);
        variant_seen[variant - strchr("89ab", '8')] = true;
    }
    assert_true(variant_seen[0] && variant_seen[1] && variant_seen[2] && variant_seen[3]);
    qsort(ids, N, sizeof ids[0], compare_text);
    for (size_t i = 1; i < N; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

/* ---- clock ---- */

static void clocks_go_on(void **state)
{
    (void)state;
    uint64_t last = clock_monotonic_ns(), first = last;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_monotonic_ns();
        assert_true(now >= last);
        last = now;
    }
    assert_true(last > first);
    int64_t before = (int64_t)time(NULL), wall = clock_wall_ms(), after = (int64_t)time(NULL);
    assert_true(wall / 1000 >= before - 1 && wall / 1000 <= after + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_fill_all),
        cmocka_unit_test(uuids_are_of_version_4),
        cmocka_unit_test(clocks_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
