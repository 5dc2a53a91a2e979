/* Addresses and ranges: what is one, and what lies in one. */
#include "base/address.h"

#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *same; /* NULL: it is none */
    } rows[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"::1", "::1"},
        {"::", "::"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::ffff:10.1.2.3", "10.1.2.3"},
        {"::ffff:a01:203", "10.1.2.3"},
        {"64:ff9b::10.1.2.3", "64:ff9b::a01:203"},
        {"1111:2222:3333:4444:5555:6666:123.123.123.123", "1111:2222:3333:4444:5555:6666:7b7b:7b7b"},
        {"", NULL},
        {"1", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"1.2.3.256", NULL},
        {"01.2.3.4", NULL},
        {"0x1.2.3.4", NULL},
        {" 1.2.3.4", NULL},
        {"1.2.3.4 ", NULL},
        {"1.2.3.4:80", NULL},
        {"[::1]", NULL},
        {"fe80::1%eth0", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1::2::3", NULL},
        {"localhost", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct address address;
        char text[ADDRESS_TEXT_MAX] = "none";
        if (address_parse(span_of(rows[i].text), &address))
            address_format(&address, text);
        assert_string_equal(text, rows[i].same ? rows[i].same : "none");
    }
    struct address address;
    assert_false(address_parse(SPAN("1.2.3.4\0"), &address));
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        const char *range, *address;
        int in; /* -1: the range is none */
    } rows[] = {
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.7/8", "10.1.1.1", true}, /* the bits behind do not count */
        {"172.16.0.0/12", "172.31.255.255", true},
        {"172.16.0.0/12", "172.32.0.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.129", true},
        {"192.0.2.1/32", "192.0.2.1", true},
        {"192.0.2.1/32", "192.0.2.0", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"::1", "::1", true},
        {"::1", "127.0.0.1", false},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::1/128", "2001:db8::1", true},
        {"::/0", "2001:db8::1", true},
        {"", "::", -1},
        {"/8", "::", -1},
        {"10.0.0.0/", "::", -1},
        {"10.0.0.0/33", "::", -1},
        {"10.0.0.0/-1", "::", -1},
        {"10.0.0.0/8 ", "::", -1},
        {"10.0.0.0/8/8", "::", -1},
        {"10.0.0.0/0008", "::", -1},
        {"10.0.0/8", "::", -1},
        {"::/129", "::", -1},
        {"::/1000", "::", -1},
        {"[::]/8", "::", -1},
        {"example.com", "::", -1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct address_range range;
        struct address address;
        int in = -1;
        assert_true(address_parse(span_of(rows[i].address), &address));
        if (address_range_parse(span_of(rows[i].range), &range))
            in = address_in_range(&address, &range);
        if (in != rows[i].in)
            fail_msg("%s in %s: %d", rows[i].address, rows[i].range, in);
    }
}

static bool trusts(const struct config *config, const char *text)
{
    struct address address;
    bool in = false;

    assert_true(address_parse(span_of(text), &address));
    for (size_t i = 0; i < config->n_trusted_proxies; i++)
        in = in || address_in_range(&address, &config->trusted_proxies[i]);
    return in;
}

static void names(void **state)
{
    (void)state;
    struct config config;

    config_init(&config);
    assert_false(config_trust(&config, "Loopback"));
    assert_false(config_trust(&config, "public"));
    assert_int_equal(config.n_trusted_proxies, 0);
    assert_true(config_trust(&config, "loopback"));
    assert_true(trusts(&config, "127.0.0.1") && trusts(&config, "127.1.2.3") && trusts(&config, "::1"));
    assert_false(trusts(&config, "10.0.0.1") || trusts(&config, "128.0.0.1") || trusts(&config, "::2"));
    assert_true(config_trust(&config, "private"));
    assert_true(trusts(&config, "10.0.0.1") && trusts(&config, "172.20.0.1"));
    assert_true(trusts(&config, "192.168.1.1") && trusts(&config, "fd00::1"));
    assert_false(trusts(&config, "203.0.113.1") || trusts(&config, "2001:db8::1"));
    assert_true(config_trust(&config, "203.0.113.0/24") && trusts(&config, "203.0.113.1"));
    config_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(ranges),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
