/* How much of something may come in a second: a token bucket that holds one second's worth, so that much
 * may come at once and no more than that each second from then on. Pure: whoever counts brings the time.
 *
 * Called by ws_bounds.c for what clients send. Knows neither connections nor clocks. */
#pragma once

#include <stdint.h>

/* Zeroed memory is a full bucket. */
struct rate {
    uint64_t at;   /* ms: the time of the last call */
    int64_t spent; /* thousandths of what was taken and has not come back; negative after rate_excuse */
};

/* Takes n at a time in ms, which never goes back. 0; or, when that is more than there is, what has been taken
 * then as a number over per_second (for messages), and nothing is taken. per_second and n: 1 to 2^40, n may be
 * 0. per_second may be another than before. */
uint64_t rate_take(struct rate *rate, uint64_t per_second, uint64_t now, uint64_t n);

/* From one time (ms) to another nobody has looked at what came: a share for that long may come on top, all at
 * once. At most an hour's worth is kept. */
void rate_excuse(struct rate *rate, uint64_t per_second, uint64_t from, uint64_t to);
