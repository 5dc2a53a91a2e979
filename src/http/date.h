/* Dates of HTTP (RFC 9110 §5.6.7). */
#pragma once

#include "base/span.h"

#include <stdint.h>

#define HTTP_DATE_LEN 29u

/* Writes seconds since 1970 as an IMF-fixdate, without a NUL: "Sun, 06 Nov 1994 08:49:37 GMT". Dates before
 * the year 1 or after 9999 become the nearest that can be written. */
void http_date_write(int64_t seconds, char out[HTTP_DATE_LEN]);

/* Reads a date in any of the three forms; false when it is none. now (seconds since 1970) settles the
 * century of a year with two digits. */
bool http_date_read(struct span text, int64_t now, int64_t *seconds);
