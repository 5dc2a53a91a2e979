#include "edge/rate.h"

#define SECOND 1000u          /* ms; also thousandths in one */
#define HOUR (3600u * SECOND) /* ms */

/* What has come back since the last call. */
static void refill(struct rate *rate, uint64_t per_second, uint64_t now)
{
    uint64_t elapsed = now > rate->at ? now - rate->at : 0;
    int64_t back = (int64_t)((elapsed < SECOND ? elapsed : SECOND) * per_second);
    int64_t whole = (int64_t)(per_second * SECOND);

    rate->at = now;
    if (rate->spent > whole) /* it was more when that was taken */
        rate->spent = whole;
    if (rate->spent > 0)
        rate->spent = rate->spent > back ? rate->spent - back : 0;
}

uint64_t rate_take(struct rate *rate, uint64_t per_second, uint64_t now, uint64_t n)
{
    refill(rate, per_second, now);
    int64_t spent = rate->spent + (int64_t)(n * SECOND);
    if (spent > (int64_t)(per_second * SECOND))
        return ((uint64_t)spent + SECOND - 1) / SECOND;
    rate->spent = spent;
    return 0;
}

void rate_excuse(struct rate *rate, uint64_t per_second, uint64_t from, uint64_t to)
{
    uint64_t ms = to - from < HOUR ? to - from : HOUR;
    int64_t least = -(int64_t)(HOUR * per_second);

    refill(rate, per_second, from);
    rate->at = to;
    rate->spent -= (int64_t)(ms * per_second);
    if (rate->spent < least)
        rate->spent = least;
}
