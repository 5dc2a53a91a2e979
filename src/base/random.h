/* Randomness of the system: for ids, hash keys and seeds. Never fails: without it the
 * process can't promise anything, so it ends with a message. */
#pragma once

#include <stddef.h>

void random_bytes(void *out, size_t len);

#define UUID_LEN 36

/* A version 4 UUID (RFC 9562 §5.4) in lower case, with a NUL behind it. After a fork both processes would go on with
 * the same ones. */
void random_uuid(char out[UUID_LEN + 1]);

#define REFERENCE_LEN 8

/* Hex digits with a NUL behind them: what a client is shown of an error, and finds again in the log. */
void random_reference(char out[REFERENCE_LEN + 1]);
