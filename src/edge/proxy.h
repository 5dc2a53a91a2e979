/* What a trusted proxy says of the client for whom it speaks: X-Forwarded-For and X-Forwarded-Proto, or Forwarded
 * (RFC 7239). Pure.
 *
 * Called by http_conn.c for each request before anything is decided on it. Headers of a peer that is not trusted
 * change nothing, and neither does X-Forwarded-Host: a proxy passes Host on as it came. */
#pragma once

#include "base/config.h"
#include "http/message.h"

/* request->remote is the peer's address. If config trusts that, remote and secure become what it says of the
 * client:
 *
 * - remote is the last address of X-Forwarded-For that is not trusted, that of Forwarded where there is no such
 *   field; the first one if all are trusted. What stands in front of it is the client's own word. It stays the
 *   peer's when something on the way from the end is no address ("unknown", a name, a mistake).
 * - secure is whether the last scheme of X-Forwarded-Proto is https or wss; without that field, and where
 *   Forwarded gave the address, the scheme that stands with it. Others change nothing. */
void proxy_apply(const struct config *config, struct http_request *request);
