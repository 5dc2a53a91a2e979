/* Dates of HTTP: all three forms in, one out. */
#include "http/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NOW INT64_C(1790000000) /* in September of 2026 */

static const char *written(int64_t seconds)
{
    static char text[HTTP_DATE_LEN + 1];
    http_date_write(seconds, text);
    return text;
}

static void writing(void **state)
{
    (void)state;
    assert_string_equal(written(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(written(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
    assert_string_equal(written(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_string_equal(written(INT64_MIN), "Mon, 01 Jan 0001 00:00:00 GMT");
    assert_string_equal(written(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void reading(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } dates[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Sun Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Tuesday, 01-Jan-75 00:00:00 GMT", 3313526400}, /* 2075: less than 50 years ahead */
        {"Sunday, 01-Jan-78 00:00:00 GMT", 252460800},   /* 1978: 2078 would be more */
    };
    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        int64_t seconds = -1;
        if (!http_date_read(span_of(dates[i].text), NOW, &seconds) || seconds != dates[i].seconds)
            fail_msg("%s: %lld", dates[i].text, (long long)seconds);
    }
}

static void what_is_no_date(void **state)
{
    static const char *const texts[] = {
        "",
        "0",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT and more",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37 GMT                                                              ",
    };
    int64_t seconds;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (http_date_read(span_of(texts[i]), NOW, &seconds))
            fail_msg("%s", texts[i]);
    assert_false(http_date_read((struct span){NULL, 0}, NOW, &seconds));
    assert_false(http_date_read((struct span){"Sun, 06 Nov\0001994 08:49:37 GMT", 29}, NOW, &seconds));
}

static void what_is_written_can_be_read(void **state)
{
    (void)state;
    for (int64_t at = -INT64_C(30000000000); at < INT64_C(200000000000); at += 86399 * 997) {
        int64_t seconds = 0;
        assert_true(http_date_read(span_of(written(at)), NOW, &seconds));
        assert_int_equal(seconds, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing),
        cmocka_unit_test(reading),
        cmocka_unit_test(what_is_no_date),
        cmocka_unit_test(what_is_written_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
