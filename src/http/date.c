#include "http/date.h"

#include <time.h>

/* 0001-01-01 00:00:00 and 9999-12-31 23:59:59. */
#define FIRST INT64_C(-62135596800)
#define LAST INT64_C(253402300799)

#define CENTURY 100
#define TEXT_MAX 40u

static char *put_two(char *to, int number)
{
    *to++ = (char)('0' + number / 10 % 10);
    *to++ = (char)('0' + number % 10);
    return to;
}

void http_date_write(int64_t seconds, char out[HTTP_DATE_LEN])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char form[HTTP_DATE_LEN] = {"Thu, 01 Jan 1970 00:00:00 GMT"};
    time_t time = seconds < FIRST ? FIRST : seconds > LAST ? LAST : seconds;
    struct tm utc;

    memcpy(out, form, sizeof form);
    gmtime_r(&time, &utc);
    memcpy(out, days + (size_t)3 * (size_t)utc.tm_wday, 3);
    put_two(out + 5, utc.tm_mday);
    memcpy(out + 8, months + (size_t)3 * (size_t)utc.tm_mon, 3);
    int year = utc.tm_year + 1900;
    put_two(put_two(out + 12, year / CENTURY), year % CENTURY);
    put_two(out + 17, utc.tm_hour);
    put_two(out + 20, utc.tm_min);
    put_two(out + 23, utc.tm_sec);
}

/* The year with these two last digits that lies less than 50 years ahead, as §5.6.7 wants it. tm_year's
 * count is used throughout: years since 1900. */
static int nearest_year(int two, int64_t now)
{
    time_t time = now;
    struct tm utc;
    gmtime_r(&time, &utc);

    int year = utc.tm_year / CENTURY * CENTURY + two;
    return year > utc.tm_year + CENTURY / 2 ? year - CENTURY : year;
}

bool http_date_read(struct span text, int64_t now, int64_t *seconds)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
        "%a, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
        "%a %b %e %H:%M:%S %Y",      /* asctime */
    };
    char copy[TEXT_MAX];

    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm utc = {0};
        const char *end = strptime(copy, forms[i], &utc); /* in the locale "C": no other is ever set */
        if (!end || *end)
            continue;
        if (i == 1)
            utc.tm_year = nearest_year(utc.tm_year % CENTURY, now);
        *seconds = timegm(&utc);
        return true;
    }
    return false;
}
