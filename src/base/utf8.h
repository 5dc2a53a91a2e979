/* UTF-8, checked as it arrives (RFC 3629: shortest form, no surrogates, up to U+10FFFF). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_ACCEPT 0u /* between two characters: the state to begin with */
#define UTF8_REJECT 1u /* the bytes so far can't become valid; it stays so */

/* The state after len more bytes. ASCII is passed over eight bytes at a time. */
uint32_t utf8_feed(uint32_t state, const void *data, size_t len);

/* Is it a whole number of valid characters? */
bool utf8_valid(const void *data, size_t len);

/* Is there a control character (C0, DEL, C1) in valid UTF-8? */
bool utf8_has_control(const char *text, size_t len);

/* The largest length <= max that does not cut a character of valid UTF-8. */
size_t utf8_cut(const char *text, size_t len, size_t max);
