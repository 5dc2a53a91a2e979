/* What the server itself has at /_festa/: files of lua/client, as they were when it was built. No file of a
 * project's can have such a URL, so that pages find the same there with every project. Called by static.c. */
#pragma once

#include "http/message.h"

/* Is this path (below public/, decoded, without a NUL) the server's own? */
bool embedded_owns(struct span path);

/* The answer to a request for such a path: the file, 304, 404, 405 or 412. NULL when there is no memory. */
struct http_response *embedded_response(const struct http_request *request, struct span path)
    __attribute__((warn_unused_result));
