/* Digests: the examples of FIPS 180-4 (empty, "abc", a million of "a"), HMAC by RFC 2202 and RFC 4231. */
#include "crypto/digest.h"
#include "crypto/encoding.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MILLION 1000000u

static int questions;

static bool never(void)
{
    questions++;
    return false;
}

static bool at_the_second(void)
{
    return ++questions == 2;
}

static void check(enum digest digest, int rc, const uint8_t *out, const char *wanted)
{
    char text[DIGEST_LEN_MAX * 2 + 1] = {0};

    assert_int_equal(rc, 0);
    encoding_write(ENCODING_HEX, out, digest_len(digest), text);
    assert_string_equal(text, wanted);
}

static void digests(void **state)
{
    (void)state;
    static const struct {
        const char *name, *empty, *abc, *million;
    } tests[] = {
        {"sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "a9993e364706816aba3e25717850c26c9cd0d89d",
         "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
        {"sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
        {"sha384",
         "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
         "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
         "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8985"},
        {"sha512",
         "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f"
         "63b931bd47417a81a538327af927da3e",
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
         "454d4423643ce80e2a9ac94fa54ca49f",
         "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31b"
         "eb009c5c2c49aa2e4eadb217ad8cc09b"},
    };
    uint8_t out[DIGEST_LEN_MAX];
    char *million = malloc(MILLION);

    assert_non_null(million);
    memset(million, 'a', MILLION);
    assert_int_equal(sizeof tests / sizeof *tests, DIGESTS);
    for (size_t i = 0; i < DIGESTS; i++) {
        enum digest digest = (enum digest)digest_named(tests[i].name);
        assert_int_equal(digest, i);
        check(digest, digest_of(digest, "", 0, never, out), out, tests[i].empty);
        check(digest, digest_of(digest, NULL, 0, NULL, out), out, tests[i].empty);
        check(digest, digest_of(digest, "abc", 3, NULL, out), out, tests[i].abc);
        questions = 0;
        check(digest, digest_of(digest, million, MILLION, never, out), out, tests[i].million);
        assert_true(questions > 3);
        questions = 0;
        assert_int_equal(digest_of(digest, million, MILLION, at_the_second, out), -ECANCELED);
        assert_int_equal(questions, 2);
    }
    free(million);
    assert_int_equal(digest_named("md5"), -1);
    assert_int_equal(digest_named("SHA256"), -1);
    assert_int_equal(digest_named(""), -1);
}

static void hmacs(void **state)
{
    (void)state;
    static const struct {
        const char *name, *first, *second, *sixth;
    } tests[] = {
        {"sha1", "b617318655057264e28bc0b6fb378c8ef146be00", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
         NULL},
        {"sha256", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {"sha384",
         "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
         "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
         "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952"},
        {"sha512",
         "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4"
         "be9d914eeb61f1702e696c203a126854",
         "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
         "caeab1a34d4a6b4b636e070a38bce737",
         "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e52"
         "95e64f73f63f0aec8b915a985d786598"},
    };
    static const char jefe[] = "what do ya want for nothing?";
    static const char larger[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    uint8_t out[DIGEST_LEN_MAX], key[131];
    char *million = malloc(MILLION);

    assert_non_null(million);
    memset(million, 'a', MILLION);
    for (size_t i = 0; i < DIGESTS; i++) {
        enum digest digest = (enum digest)digest_named(tests[i].name);
        memset(key, 0x0b, 20);
        check(digest, hmac_of(digest, key, 20, "Hi There", 8, NULL, out), out, tests[i].first);
        check(digest, hmac_of(digest, "Jefe", 4, jefe, strlen(jefe), never, out), out, tests[i].second);
        memset(key, 0xaa, sizeof key);
        if (tests[i].sixth)
            check(digest, hmac_of(digest, key, sizeof key, larger, strlen(larger), NULL, out), out,
                  tests[i].sixth);
        questions = 0;
        assert_int_equal(hmac_of(digest, key, 1, million, MILLION, at_the_second, out), -ECANCELED);
    }
    free(million);
    /* no key at all, twice, so that a key of before would show */
    for (int i = 0; i < 2; i++)
        check(DIGEST_SHA256, hmac_of(DIGEST_SHA256, NULL, 0, "", 0, NULL, out), out,
              "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void equality(void **state)
{
    (void)state;
    assert_true(equal_in_time("abc", "abc", 3));
    assert_true(equal_in_time("abc", "abd", 2));
    assert_true(equal_in_time("", "", 0));
    assert_false(equal_in_time("abc", "abd", 3));
    assert_false(equal_in_time("bbc", "abc", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests),
        cmocka_unit_test(hmacs),
        cmocka_unit_test(equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
