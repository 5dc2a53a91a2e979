/* Who may open a WebSocket from a browser (RFC 6455 §10.2), and the headers of CORS. */
#pragma once

#include "base/buf.h"
#include "base/config.h"
#include "http/message.h"

/* May a page of this request's Origin open a WebSocket? Without an Origin: yes. Without
 * allowedOrigins: pages of the same host. In festa dev those of localhost may too, from any port. */
bool origin_allowed(const struct config *config, const struct http_request *request);

/* Is it a preflight (OPTIONS with Origin and Access-Control-Request-Method)? */
bool cors_is_preflight(const struct http_request *request);

/* The header lines that a response gets besides its own: CORS's while that is on, unless it says itself
 * who may read it. */
struct span cors_headers(const struct config *config, const struct http_response *response);

/* Those of the answer to a preflight: what is allowed. */
#define CORS_PREFLIGHT_HEADERS                                                                               \
    "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"                         \
    "Access-Control-Allow-Headers: *, Authorization\r\n"                                                     \
    "Access-Control-Max-Age: 86400\r\n"
