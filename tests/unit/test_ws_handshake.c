/* ws: the key of the opening handshake, and its answer. */
#include "ws/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_accept(void **state)
{
    static const struct {
        const char *key, *accept;
    } cases[] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, /* RFC 6455 §1.3 */
        {"x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
        {"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
        {"+/+/+/+/+/+/+/+/+/+/+w==", "M0DUs3om0SqzerhOhYSMM7WQuBQ="},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char accept[WS_ACCEPT_LEN + 1];
        assert_true(ws_key_valid(span_of(cases[i].key)));
        ws_accept_key(span_of(cases[i].key), accept);
        assert_string_equal(accept, cases[i].accept);
    }
}

static void test_valid(void **state)
{
    static const char *const bad[] = {
        "",
        "==",
        "dGhlIHNhbXBsZSBub25jZQ=",   /* short */
        "dGhlIHNhbXBsZSBub25jZQ===", /* long */
        "dGhlIHNhbXBsZSBub25jZQ",    /* no padding */
        "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhlIHNhbXBsZSBub25jZQA=", /* 17 bytes */
        "dGhlIHNhbXBsZSBub25jZQAA", /* 18 bytes */
        "dGhlIHNhbXBsZSBub25jZ===", /* 15 bytes and a bit */
        "dGhlIHNhbXBsZSBub25j====",
        "dGhlIHNhbXBsZSBub2=jZQ==",
        "dGhlIHNhbXBs-SBub25jZQ==", /* base64url */
        "dGhlIHNhbXBs_SBub25jZQ==",
        "dGhlIHNhbXBs SBub25jZQ==",
        " dGhlIHNhbXBsSBub25jZQ==",
        "dGhlIHNhbXBs\xc3\xa9Sub25jZQ==",
    };
    char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ws_key_valid(span_of(bad[i])));
    assert_false(ws_key_valid((struct span){0}));
    assert_true(ws_key_valid(SPAN("dGhlIHNhbXBsZSBub25jZR=="))); /* bits to spare */

    for (int byte = 0; byte < 256; byte++) {
        bool digit = byte && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", byte);
        key[7] = (char)byte;
        assert_int_equal(ws_key_valid((struct span){key, WS_KEY_LEN}), digit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
