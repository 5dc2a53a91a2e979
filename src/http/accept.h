/* What a client would like to get (RFC 9110 §12.5.1). */
#pragma once

#include "http/message.h"

/* The weight, in thousandths, of a media type that the request's Accept names: 1 to 1000; 0: it is not wanted,
 * or not named. Wildcards name nothing. */
int http_accept_weight(const struct http_request *request, const char *type);
