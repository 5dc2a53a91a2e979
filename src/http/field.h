/* Rules for the parts of a message (RFC 9110 §5.5, §5.6, §9, §15; RFC 3986). */
#pragma once

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>

/* How many bytes at the beginning of text may stand in a token (RFC 9110 §5.6.2), in a
 * field's value (§5.5: no control characters but tab), in a request-target (RFC 9112 §3.2:
 * visible ASCII; no "#", for a fragment is never sent). */
size_t http_token_run(const char *text, size_t len);
size_t http_value_run(const char *text, size_t len);
size_t http_target_run(const char *text, size_t len);

/* A token (RFC 9110 §5.6.2): a method, a field's name. Not empty. */
bool http_is_token(struct span text);

/* A field's value: no control characters but tab (RFC 9110 §5.5). */
bool http_is_field_value(struct span text);

/* A Host: uri-host [ ":" port ] (RFC 9110 §7.2, RFC 3986 §3.2.2); empty is valid there.
 * Ports over 65535 and IPvFuture are not. */
bool http_is_host(struct span text);

/* A method that is served: those of RFC 9110 §9 but for CONNECT and TRACE, and PATCH of
 * RFC 5789. */
bool http_is_method(struct span text);

/* The phrase of a status, "Unknown" for one that has none. */
const char *http_reason(int status);

/* May a response of this status have no body (1xx, 204, 304; 205 has none either)? */
bool http_status_bodyless(int status);

/* The next element of a comma-separated list (RFC 9110 §5.6.1), without the blanks around
 * it, maybe empty; *rest moves behind it. False at the end. For lists of tokens only: a comma in
 * a quoted string separates too. */
bool http_list_next(struct span *rest, struct span *element);

/* Percent-decodes (RFC 3986 §2.1) at the end of out; with plus, "+" is a blank (forms and
 * queries). -EINVAL for "%" without two hex digits, -ENOMEM; out is unchanged then. */
int http_percent_decode(struct span text, bool plus, struct buf *out) __attribute__((warn_unused_result));

/* The next name=value of a query or form, decoded into name and value (cleared first);
 * *rest moves behind it. Empty pieces are passed over, invalid escapes are kept as they are
 * written. Returns 1, 0 at the end, or -ENOMEM. */
int http_query_next(struct span *rest, struct buf *name, struct buf *value)
    __attribute__((warn_unused_result));
