/* The page that shows a script's author what was wrong (festa dev): HTML for browsers, JSON for programs. */
#pragma once

#include "http/message.h"

/* Does the client prefer HTML to JSON (RFC 9110 §12.5.1)? Only where it names text/html; the wildcards of
 * programs mean JSON. */
bool error_page_wants_html(const struct http_request *request);

/* Makes the response's body of its problem. Without memory it stays as it is. */
void error_page_fill(struct http_response *response, bool html);
