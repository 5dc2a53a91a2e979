#include "base/cron.h"

#include <string.h>
#include <strings.h>

#define MINUTE_MS 60000
#define MINUTES_OF_DAY 1440

/* 29 February may be eight years away: 2100 is no leap year. */
#define DAYS_AHEAD (9 * 366)

/* ---- reading ---- */

struct field {
    const char *what;
    int least, most;
    const char *const *names; /* of least and what follows; ended by NULL; NULL: there are none */
};

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
                                          "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};

static const struct field fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, month_names},
    {"day of the week", 0, 7, weekday_names},
};

#define N_FIELDS (sizeof fields / sizeof *fields)

/* A number of at most four digits. */
static bool read_number(const char **at, int *number)
{
    size_t digits = strspn(*at, "0123456789");

    if (digits == 0 || digits > 4)
        return false;
    *number = 0;
    for (; digits > 0; digits--)
        *number = *number * 10 + (*(*at)++ - '0');
    return true;
}

/* A number or a name of the field. */
static bool read_value(const struct field *field, const char **at, int *value)
{
    for (int i = 0; field->names && field->names[i]; i++) {
        if (strncasecmp(*at, field->names[i], 3) == 0) {
            *at += 3;
            *value = field->least + i;
            return true;
        }
    }
    return read_number(at, value) && *value >= field->least && *value <= field->most;
}

/* One part of the list; *at is behind it. */
static bool read_part(const struct field *field, const char **at, uint64_t *bits)
{
    int first = field->least, last = field->most, step = 1;

    if (**at == '*') {
        ++*at;
        if (last == 7)
            last = 6; /* Sunday once is enough: steps count from it */
    } else {
        if (!read_value(field, at, &first))
            return false;
        last = first;
        if (**at == '-') {
            ++*at;
            if (!read_value(field, at, &last) || last < first)
                return false;
        } else if (**at == '/') {
            last = field->most == 7 ? 6 : field->most;
        }
    }
    if (**at == '/') {
        ++*at;
        if (!read_number(at, &step) || step < 1)
            return false;
    }
    for (int i = first; i <= last; i += step)
        *bits |= UINT64_C(1) << i;
    return true;
}

/* A field of this length at text. */
static bool read_field(const struct field *field, const char *text, size_t len, uint64_t *bits)
{
    const char *at = text;

    *bits = 0;
    do {
        if (!read_part(field, &at, bits))
            return false;
    } while (at < text + len && *at == ',' && (++at, true));
    return at == text + len;
}

static const char *expand(const char *text)
{
    static const struct {
        const char *name, *schedule;
    } known[] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcasecmp(text, known[i].name) == 0)
            return known[i].schedule;
    }
    return text;
}

/* Days that the longest of the months has. */
static int longest_month(uint16_t months)
{
    static const int days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int longest = 0;

    for (int month = 1; month <= 12; month++) {
        if ((months >> month & 1) && days[month] > longest)
            longest = days[month];
    }
    return longest;
}

static bool ever_comes(const struct cron_schedule *schedule)
{
    uint32_t possible = (uint32_t)((UINT64_C(1) << (longest_month(schedule->months) + 1)) - 1);
    bool by_weekday = !schedule->any_day && !schedule->any_weekday;
    return by_weekday || (schedule->days & possible) != 0;
}

bool cron_parse(struct cron_schedule *schedule, const char *text, struct buf *why)
{
    static const char blanks[] = " \t";
    const char *at = expand(text);
    uint64_t bits[N_FIELDS];
    bool star[N_FIELDS];

    if (*at == '@') {
        (void)!buf_printf(why, "%.40s is none of @yearly, @monthly, @weekly, @daily and @hourly", at);
        return false;
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        at += strspn(at, blanks);
        size_t len = strcspn(at, blanks);
        if (len == 0) {
            (void)!buf_printf(
                why, "it has %zu fields of five: minute, hour, day of the month, month, day of the week", i);
            return false;
        }
        star[i] = *at == '*';
        if (!read_field(&fields[i], at, len, &bits[i])) {
            (void)!buf_printf(why, "\"%.*s\" is no %s (%d to %d)", len < 40 ? (int)len : 40, at,
                              fields[i].what, fields[i].least, fields[i].most);
            return false;
        }
        at += len;
    }
    if (at[strspn(at, blanks)] != '\0') {
        (void)!buf_printf(why, "it has more than five fields");
        return false;
    }
    *schedule = (struct cron_schedule){.minutes = bits[0],
                                       .hours = (uint32_t)bits[1],
                                       .days = (uint32_t)bits[2],
                                       .months = (uint16_t)bits[3],
                                       .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
                                       .any_day = star[2],
                                       .any_weekday = star[4]};
    if (!ever_comes(schedule)) {
        (void)!buf_printf(why, "no such day ever comes");
        return false;
    }
    return true;
}

/* ---- when ---- */

struct date {
    int month, day, weekday;
};

/* Of a day since 1 January 1970; Gregorian, as Howard Hinnant's days_from_civil the other way round. */
static struct date date_of(int64_t days)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;

    return (struct date){.month = (int)(from_march < 10 ? from_march + 3 : from_march - 9),
                         .day = (int)(day_of_year - (153 * from_march + 2) / 5 + 1),
                         .weekday = (int)(((days + 4) % 7 + 7) % 7)};
}

static bool day_matches(const struct cron_schedule *schedule, int64_t days)
{
    struct date date = date_of(days);
    bool day = schedule->days >> date.day & 1, weekday = schedule->weekdays >> date.weekday & 1;

    if (!(schedule->months >> date.month & 1))
        return false;
    return schedule->any_day || schedule->any_weekday ? day && weekday : day || weekday;
}

int64_t cron_next(const struct cron_schedule *schedule, int64_t after)
{
    int64_t minute = after / MINUTE_MS - (after % MINUTE_MS < 0) + 1;
    int64_t day = minute / MINUTES_OF_DAY - (minute % MINUTES_OF_DAY < 0);
    int of_day = (int)(minute - day * MINUTES_OF_DAY);

    for (int64_t last = day + DAYS_AHEAD; day <= last; day++, of_day = 0) {
        if (!day_matches(schedule, day))
            continue;
        for (; of_day < MINUTES_OF_DAY; of_day++) {
            if ((schedule->hours >> (of_day / 60) & 1) && (schedule->minutes >> (of_day % 60) & 1))
                return (day * MINUTES_OF_DAY + of_day) * MINUTE_MS;
        }
    }
    return INT64_MAX; /* not for a schedule that cron_parse has let through */
}
