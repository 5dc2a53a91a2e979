/* Which addresses are private. */
#include "fetch/private_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static bool is_private(const char *text)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;

    memset(&address, 0, sizeof address);
    if (strchr(text, ':')) {
        address.in6.sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &address.in6.sin6_addr), 1);
    } else {
        address.in.sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &address.in.sin_addr), 1);
    }
    return private_address(&address.any);
}

static void those_that_are(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.170",
        "192.0.2.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:169.254.169.254",
        "64:ff9b::a01:203",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a01:203::1",
        "2001:0:1:2::3",
        "2001:db8::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "100::1",
    };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        if (!is_private(addresses[i]))
            fail_msg("%s is private", addresses[i]);
    }
}

static void those_that_are_not(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "1.0.0.0",        "9.255.255.255",    "11.0.0.0",        "100.63.255.255",       "100.128.0.0",
        "126.255.255.1",  "128.0.0.1",        "169.253.255.255", "169.255.0.0",          "172.15.255.255",
        "172.32.0.0",     "192.0.1.0",        "192.167.255.255", "192.169.0.0",          "198.17.255.255",
        "198.20.0.0",     "223.255.255.1",    "8.8.8.8",         "2606:4700:4700::1111", "2a00::1",
        "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2001:4860::1",         "fbff::1",
    };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        if (is_private(addresses[i]))
            fail_msg("%s is not private", addresses[i]);
    }
}

static void what_is_no_internet_address_is(void **state)
{
    (void)state;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_true(private_address((struct sockaddr *)&local));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_are),
        cmocka_unit_test(those_that_are_not),
        cmocka_unit_test(what_is_no_internet_address_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
