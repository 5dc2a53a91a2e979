/* The values of the opening handshake (RFC 6455 §4.2, RFC 7692 §7.1). Pure functions. */
#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define WS_KEY_LEN 24
#define WS_ACCEPT_LEN 28

/* Is it a Sec-WebSocket-Key: base64 of 16 bytes? */
bool ws_key_valid(struct span key);

/* Sec-WebSocket-Accept for a valid key (RFC 6455 §4.2.2), with a NUL behind it. */
void ws_accept_key(struct span key, char out[WS_ACCEPT_LEN + 1]);

/* What permessage-deflate was agreed on: never with context takeover, either way. */
struct ws_deflate {
    uint8_t window;        /* bits of the window to compress with, 9 to 15; 0: no compression was agreed on */
    uint8_t server_window; /* what the client asked for; 0: nothing */
    uint8_t client_window; /* what it will keep to; 0: it did not say */
};

/* Reads the offers of one Sec-WebSocket-Extensions, the preferred first, and agrees to the first of
 * permessage-deflate that can be met, unless that was done already: the values of several header lines
 * are given one after the other, to begin with a zeroed agreed. An offer with a parameter that is
 * unknown, repeated or wrong is passed over, as is one for a window of 8 bits, which zlib can't do.
 * 0, or -EINVAL when the value is no list of extensions (RFC 6455 §9.1: the handshake has failed). */
int ws_deflate_negotiate(struct ws_deflate *agreed, struct span offers) __attribute__((warn_unused_result));

#define WS_DEFLATE_ANSWER_MAX 160 /* with the NUL */

/* The value of our Sec-WebSocket-Extensions; "" if none was agreed on. */
void ws_deflate_answer(const struct ws_deflate *agreed, char out[WS_DEFLATE_ANSWER_MAX]);
