#include "fetch/private_address.h"

#include "base/address.h"
#include "base/check.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

static const char *const ranges_text[] = {
    "0.0.0.0/8",       /* this host: Linux takes 0.0.0.0 for loopback */
    "10.0.0.0/8",      /* RFC 1918 */
    "100.64.0.0/10",   /* RFC 6598: behind a carrier's NAT */
    "127.0.0.0/8",     /* loopback */
    "169.254.0.0/16",  /* link-local, clouds' metadata */
    "172.16.0.0/12",   /* RFC 1918 */
    "192.0.0.0/24",    /* RFC 6890 */
    "192.0.2.0/24",    /* documentation */
    "192.168.0.0/16",  /* RFC 1918 */
    "198.18.0.0/15",   /* benchmarks */
    "198.51.100.0/24", /* documentation */
    "203.0.113.0/24",  /* documentation */
    "224.0.0.0/4",     /* multicast */
    "240.0.0.0/4",     /* reserved, broadcast */
    "::/96",           /* unspecified, loopback, IPv4-compatible (RFC 4291 §2.5.5.1) */
    "64:ff9b:1::/48",  /* RFC 8215: translation inside of a network */
    "100::/64",        /* RFC 6666: discard */
    "2001::/32",       /* Teredo: an IPv4 address is hidden in it */
    "2001:db8::/32",   /* documentation */
    "fc00::/7",        /* RFC 4193: unique local */
    "fe80::/10",       /* link-local */
    "fec0::/10",       /* site-local, deprecated */
    "ff00::/8",        /* multicast */
};

#define RANGES (sizeof ranges_text / sizeof *ranges_text)

static struct address_range ranges[RANGES], nat64, six_to_four;

static void parse_ranges(void)
{
    for (size_t i = 0; i < RANGES; i++)
        CHECK(address_range_parse(span_of(ranges_text[i]), &ranges[i]));
    CHECK(address_range_parse(SPAN("64:ff9b::/96"), &nat64));    /* RFC 6052 */
    CHECK(address_range_parse(SPAN("2002::/16"), &six_to_four)); /* RFC 3056 */
}

/* bytes may lie in the address. */
static void map_ipv4(struct address *address, const void *bytes)
{
    struct address mapped = {.bytes = {[10] = 0xff, [11] = 0xff}};
    memcpy(mapped.bytes + 12, bytes, 4);
    *address = mapped;
}

bool private_address(const struct sockaddr *sockaddr)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct address address;

    CHECK(pthread_once(&once, parse_ranges) == 0);
    if (sockaddr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sockaddr, sizeof in);
        map_ipv4(&address, &in.sin_addr);
    } else if (sockaddr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sockaddr, sizeof in6);
        memcpy(address.bytes, &in6.sin6_addr, sizeof address.bytes);
    } else {
        return true;
    }
    if (address_in_range(&address, &nat64))
        map_ipv4(&address, address.bytes + 12);
    else if (address_in_range(&address, &six_to_four))
        map_ipv4(&address, address.bytes + 2);
    for (size_t i = 0; i < RANGES; i++) {
        if (address_in_range(&address, &ranges[i]))
            return true;
    }
    return false;
}
