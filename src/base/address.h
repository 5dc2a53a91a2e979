/* IP addresses and ranges of them. Pure.
 *
 * Called by config.c for what may be trusted and by edge for who speaks. Resolves no names. */
#pragma once

#include "base/span.h"

#include <stdint.h>

#define ADDRESS_TEXT_MAX 46u /* bytes of an address as text, with a NUL */

/* An IPv6 address; an IPv4 one is mapped, ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). */
struct address {
    uint8_t bytes[16];
};

/* All addresses that have the first bits of first. */
struct address_range {
    struct address first;
    uint8_t bits; /* 0 to 128 */
};

/* Dotted decimal or RFC 4291 §2.2, without port, brackets or zone. False: it is neither. */
bool address_parse(struct span text, struct address *address);

/* In its shortest form (RFC 5952), a mapped one as IPv4. */
void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX]);

/* An address, or one with "/" and how many bits count (RFC 4632 §3.1, RFC 4291 §2.3). */
bool address_range_parse(struct span text, struct address_range *range);

bool address_in_range(const struct address *address, const struct address_range *range);
