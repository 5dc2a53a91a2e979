/* base: schedules of crons, beside the calendar of the C library. */
#include "base/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct cron_schedule parse(const char *text)
{
    struct cron_schedule schedule;
    struct buf why = {0};

    if (!cron_parse(&schedule, text, &why))
        fail_msg("%s: %.*s", text, (int)why.len, (char *)why.data);
    return schedule;
}

/* "2024-02-29 23:59:30" as ms since 1970 */
static int64_t at(const char *text)
{
    struct tm tm = {0};
    assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                            &tm.tm_min, &tm.tm_sec),
                     6);
    tm.tm_year -= 1900;
    tm.tm_mon--;
    return (int64_t)timegm(&tm) * 1000;
}

static void the_next_minute(void **state)
{
    (void)state;
    static const struct {
        const char *schedule, *after, *next;
    } rows[] = {
        {"* * * * *", "2026-01-01 00:00:00", "2026-01-01 00:01:00"},
        {"* * * * *", "2026-12-31 23:59:59", "2027-01-01 00:00:00"},
        {"*/5 * * * *", "2026-01-01 00:00:00", "2026-01-01 00:05:00"},
        {"*/5 * * * *", "2026-01-01 00:04:59", "2026-01-01 00:05:00"},
        {"*/7 * * * *", "2026-01-01 00:57:00", "2026-01-01 01:00:00"},
        {"50/4 * * * *", "2026-01-01 00:50:00", "2026-01-01 00:54:00"},
        {"50/4 * * * *", "2026-01-01 00:58:00", "2026-01-01 01:50:00"},
        {"0 9-17/4 * * *", "2026-01-01 09:00:00", "2026-01-01 13:00:00"},
        {"0 9-17/4 * * *", "2026-01-01 17:00:00", "2026-01-02 09:00:00"},
        {"1,31 0,12 * * *", "2026-01-01 00:31:00", "2026-01-01 12:01:00"},
        {"0,1-2,58/1 * * * *", "2026-01-01 00:02:00", "2026-01-01 00:58:00"},
        {"  0\t0  1   1 *  ", "2026-06-01 00:00:00", "2027-01-01 00:00:00"},
        /* the ends of months, leap years */
        {"0 0 31 * *", "2026-01-31 00:00:00", "2026-03-31 00:00:00"},
        {"0 0 30 * *", "2026-01-30 00:00:00", "2026-03-30 00:00:00"},
        {"0 0 29 2 *", "2024-02-29 00:00:00", "2028-02-29 00:00:00"},
        {"0 0 29 2 *", "2096-02-29 00:00:00", "2104-02-29 00:00:00"},
        {"0 0 29 2 *", "1996-03-01 00:00:00", "2000-02-29 00:00:00"},
        {"30 12 28-31 2 *", "2025-02-28 12:30:00", "2026-02-28 12:30:00"},
        {"0 0 1 * *", "2026-02-28 23:59:59", "2026-03-01 00:00:00"},
        {"0 0 31 4,6,9,11,12 *", "2026-01-01 00:00:00", "2026-12-31 00:00:00"},
        /* days of the week */
        {"0 0 * * 0", "2026-11-29 00:00:00", "2026-12-06 00:00:00"},
        {"0 0 * * 7", "2026-11-28 00:00:00", "2026-11-29 00:00:00"},
        {"0 0 * * SUN", "2026-11-28 00:00:00", "2026-11-29 00:00:00"},
        {"0 0 * * mon-Fri", "2026-11-27 00:00:00", "2026-11-30 00:00:00"},
        {"0 0 * * 5-7", "2026-11-28 00:00:00", "2026-11-29 00:00:00"},
        {"0 0 * * */2", "2026-11-29 00:00:00", "2026-12-01 00:00:00"},
        {"0 0 * * */2", "2026-12-05 00:00:00", "2026-12-06 00:00:00"},
        {"0 0 * jan,MAR *", "2026-01-31 00:00:00", "2026-03-01 00:00:00"},
        {"0 0 * feb-apr *", "2026-04-30 00:00:00", "2027-02-01 00:00:00"},
        /* both: either is enough */
        {"0 0 13 * FRI", "2026-11-06 00:00:00", "2026-11-13 00:00:00"},
        {"0 0 13 * FRI", "2026-12-11 00:00:00", "2026-12-13 00:00:00"},
        {"0 0 13 * FRI", "2026-12-13 00:00:00", "2026-12-18 00:00:00"},
        {"0 0 30 2 MON", "2026-02-02 00:00:00", "2026-02-09 00:00:00"}, /* the week's day comes */
        /* one that begins with "*": both have to hold */
        {"0 0 */2 * MON", "2026-11-23 00:00:00", "2026-12-07 00:00:00"},
        {"0 0 13 * */1", "2026-11-14 00:00:00", "2026-12-13 00:00:00"},
        {"@hourly", "2026-01-01 00:00:01", "2026-01-01 01:00:00"},
        {"@daily", "2026-01-01 00:00:00", "2026-01-02 00:00:00"},
        {"@midnight", "2026-01-01 00:00:00", "2026-01-02 00:00:00"},
        {"@Weekly", "2026-11-29 00:00:00", "2026-12-06 00:00:00"},
        {"@monthly", "2026-01-01 00:00:00", "2026-02-01 00:00:00"},
        {"@yearly", "2026-01-01 00:00:00", "2027-01-01 00:00:00"},
        {"@annually", "2026-01-01 00:00:00", "2027-01-01 00:00:00"},
        /* before 1970 */
        {"0 0 * * *", "1969-12-31 23:59:59", "1970-01-01 00:00:00"},
        {"59 23 28 2 *", "1968-02-29 00:00:00", "1969-02-28 23:59:00"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cron_schedule schedule = parse(rows[i].schedule);
        int64_t next = cron_next(&schedule, at(rows[i].after));
        time_t seconds = (time_t)(next / 1000);
        char text[32];
        struct tm tm;
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime_r(&seconds, &tm));
        if (strcmp(text, rows[i].next) != 0)
            fail_msg("%s after %s: %s, not %s", rows[i].schedule, rows[i].after, text, rows[i].next);
    }
}

/* What is no schedule, and what is said of it. */
static void mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "it has 0 fields of five"},
        {"   ", "it has 0 fields of five"},
        {"* * * *", "it has 4 fields of five: minute, hour, day of the month, month, day of the week"},
        {"* * * * * *", "it has more than five fields"},
        {"60 * * * *", "\"60\" is no minute (0 to 59)"},
        {"-1 * * * *", "\"-1\" is no minute"},
        {"* 24 * * *", "\"24\" is no hour (0 to 23)"},
        {"* * 0 * *", "\"0\" is no day of the month (1 to 31)"},
        {"* * 32 * *", "\"32\" is no day of the month"},
        {"* * * 0 *", "\"0\" is no month (1 to 12)"},
        {"* * * 13 *", "\"13\" is no month"},
        {"* * * JANUARY *", "\"JANUARY\" is no month"},
        {"* * * * 8", "\"8\" is no day of the week (0 to 7)"},
        {"* * * * MO", "\"MO\" is no day of the week"},
        {"MON * * * *", "\"MON\" is no minute"},
        {"*/0 * * * *", "\"*/0\" is no minute"},
        {"*/ * * * *", "\"*/\" is no minute"},
        {"*/-5 * * * *", "\"*/-5\" is no minute"},
        {"*5 * * * *", "\"*5\" is no minute"},
        {"5- * * * *", "\"5-\" is no minute"},
        {"5-60 * * * *", "\"5-60\" is no minute"},
        {"50-10 * * * *", "\"50-10\" is no minute"},
        {"1,,2 * * * *", "\"1,,2\" is no minute"},
        {"1, * * * *", "\"1,\" is no minute"},
        {",1 * * * *", "\",1\" is no minute"},
        {"1.5 * * * *", "\"1.5\" is no minute"},
        {"1-2-3 * * * *", "\"1-2-3\" is no minute"},
        {"*/5/5 * * * *", "\"*/5/5\" is no minute"},
        {"99999999999999999999 * * * *", "\"99999999999999999999\" is no minute"},
        {"? * * * *", "\"?\" is no minute"},
        {"* * L * *", "\"L\" is no day of the month"},
        {"0 0 30 2 *", "no such day ever comes"},
        {"0 0 31 4,6,9,11 *", "no such day ever comes"},
        {"@reboot", "@reboot is none of @yearly"},
        {"@", "@ is none of"},
        {"@hourly *", "@hourly * is none of"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cron_schedule schedule;
        struct buf why = {0};
        if (cron_parse(&schedule, rows[i].text, &why))
            fail_msg("%s was taken", rows[i].text);
        assert_int_equal(buf_append(&why, "", 1), 0);
        if (!strstr((char *)why.data, rows[i].why))
            fail_msg("%s: %s", rows[i].text, (char *)why.data);
        buf_fini(&why);
    }
}

/* One step of a field: what it allows, and its text. */
static uint64_t dice_field(char *text, size_t size, int least, int most)
{
    int first = least + rand() % (most - least + 1), last = first + rand() % (most - first + 1);
    int step = 1 + rand() % 9;
    uint64_t bits = 0;

    if (rand() % 3 == 0) {
        snprintf(text, size, "*");
        first = least;
        last = most;
        step = 1;
    } else {
        snprintf(text, size, "%d-%d/%d", first, last, step);
    }
    for (int i = first; i <= last; i += step)
        bits |= UINT64_C(1) << i;
    return bits;
}

/* Beside a search minute for minute. */
static void the_same_as_by_counting(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 300; round++) {
        static const int least[] = {0, 0, 1, 1, 0}, most[] = {59, 23, 31, 12, 6};
        char field[5][32], text[200];
        uint64_t bits[5];
        for (int i = 0; i < 5; i++)
            bits[i] = dice_field(field[i], sizeof field[i], least[i], most[i]);
        snprintf(text, sizeof text, "%s %s %s %s %s", field[0], field[1], field[2], field[3], field[4]);
        bool any_day = field[2][0] == '*', any_weekday = field[4][0] == '*';
        struct cron_schedule schedule;
        struct buf why = {0};
        bool taken = cron_parse(&schedule, text, &why);
        buf_fini(&why);
        if (!taken) /* it may be one that never comes */
            continue;
        int64_t after = (int64_t)(rand() % 2000000) * 1000000 + rand() % 1000000;
        int64_t next = cron_next(&schedule, after), minute = after / 60000 * 60000 + 60000;
        assert_true(next > after && next % 60000 == 0);
        for (int n = 0; n < 100000; n++, minute += 60000) { /* ten weeks, or until it comes */
            time_t seconds = (time_t)(minute / 1000);
            struct tm tm;
            gmtime_r(&seconds, &tm);
            bool day = bits[2] >> tm.tm_mday & 1, weekday = bits[4] >> tm.tm_wday & 1;
            bool due = (bits[0] >> tm.tm_min & 1) && (bits[1] >> tm.tm_hour & 1) &&
                       (bits[3] >> (tm.tm_mon + 1) & 1) &&
                       (any_day || any_weekday ? day && weekday : day || weekday);
            if (due != (minute == next))
                fail_msg("%s after %lld: %lld, not %lld", text, (long long)after, (long long)next,
                         (long long)minute);
            if (due)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_minute),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(the_same_as_by_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
