/* The opening handshake's two values (RFC 6455 §4.2). */
#pragma once

#include "base/span.h"

#include <stdbool.h>

#define WS_KEY_LEN 24
#define WS_ACCEPT_LEN 28

/* Is it a Sec-WebSocket-Key: base64 of 16 bytes? */
bool ws_key_valid(struct span key);

/* Sec-WebSocket-Accept for a valid key (RFC 6455 §4.2.2), with a NUL behind it. */
void ws_accept_key(struct span key, char out[WS_ACCEPT_LEN + 1]);
