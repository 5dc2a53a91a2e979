/* Schedules of crons: five fields, minute hour day-of-month month day-of-week, in UTC. Pure.
 *
 * A field is a list ("," between its parts) of "*", numbers and ranges ("1-5"), each with a step if wanted ("/15": of a
 * single number, from there to the end). Months and days of the week have names (JAN, MON; any case); 0 and 7 are
 * Sunday. Where both the day of the month and that of the week are restricted, either is enough; a field that begins
 * with "*" is no restriction in this, so that with it the other one has to hold as well. "@yearly" ("@annually"),
 * "@monthly", "@weekly", "@daily" ("@midnight") and "@hourly" are known. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct cron_schedule {
    uint64_t minutes;          /* bit n: minute n; so are the others */
    uint32_t hours, days;      /* days: 1 to 31 */
    uint16_t months;           /* 1 to 12 */
    uint8_t weekdays;          /* 0, Sunday, to 6 */
    bool any_day, any_weekday; /* the field begins with "*" */
};

/* false: it is none; why (appended, one line) says what is wrong with it, be it that it never comes. */
bool cron_parse(struct cron_schedule *schedule, const char *text, struct buf *why)
    __attribute__((warn_unused_result));

/* The first minute of the schedule that begins after this time; both in ms since 1970. */
int64_t cron_next(const struct cron_schedule *schedule, int64_t after);
