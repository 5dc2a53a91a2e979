/* A client's payload made readable (RFC 6455 §5.3), and checked in the same pass. Pure
 * functions over the caller's memory; a payload may come in any number of pieces. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Unmasks len bytes from src to dst, which are the same memory or do not overlap. The mask
 * is turned to where the payload goes on. */
void ws_unmask(uint8_t *dst, const uint8_t *src, size_t len, uint8_t mask[4]);

/* The same for text: returns the state (base/utf8.h) after it. Once that is UTF8_REJECT the
 * message has failed, and neither the rest of dst nor the mask is of any use. */
uint32_t ws_unmask_text(uint8_t *dst, const uint8_t *src, size_t len, uint8_t mask[4], uint32_t utf8);
