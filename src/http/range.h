/* Which part of a body a request asks for (RFC 9110 §14). */
#pragma once

#include "http/message.h"

enum http_range {
    HTTP_RANGE_ALL,  /* everything: there is no Range, or one that is ignored */
    HTTP_RANGE_PART, /* from first, len bytes */
    HTTP_RANGE_NONE, /* none of it is there: 416 */
};

/* What the Range of a GET asks of a body of size bytes. Other methods, other units, malformed ranges, and
 * more than one range are all answered with everything, as §14.2 allows. */
enum http_range http_range_of(const struct http_request *request, uint64_t size, uint64_t *first,
                              uint64_t *len);
