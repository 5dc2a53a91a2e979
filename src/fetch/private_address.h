/* Which addresses are not on the open Internet. Pure.
 *
 * Called for each address that a connection is about to be made to, behind the looking up of its name; so a name
 * that leads elsewhere at its second look-up gains nothing. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* Is it this machine's, or one of its networks': loopback, private (RFC 1918), unique local (RFC 4193), link-local,
 * with the services of clouds in it (169.254.169.254), shared (RFC 6598), or another one that is not globally
 * reachable (RFC 6890), also behind IPv6's ways of writing an IPv4 address? What is neither IPv4 nor IPv6 is. */
bool private_address(const struct sockaddr *address);
