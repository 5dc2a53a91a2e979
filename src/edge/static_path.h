/* Which file of public/ a URL means: by its text alone, no file is looked at. */
#pragma once

#include "base/buf.h"
#include "http/message.h"

/* The path of the file below public/, with a NUL behind it, at the end of out; what ends in "/" means its
 * index.html. 0, -ENOMEM, or -ENOENT for what no file can have: see static_path.c. */
int static_path(struct span path, struct buf *out) __attribute__((warn_unused_result));

/* The media type by the name's extension; "application/octet-stream" when that is not known. */
const char *static_type(struct span name);

/* Is the request one that a single-page application answers itself: the navigation of a browser (it accepts
 * text/html) to a path whose last segment has no extension? */
bool static_wants_page(const struct http_request *request);
