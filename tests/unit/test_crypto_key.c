/* Keys: every form that is read, and everything that is refused, by what it says. */
#include "crypto_keys.h"

#include "crypto/encoding.h"
#include "crypto/key.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char rsa_n[] =
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0B"
    "m4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5"
    "z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7"
    "aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
static const char rsa_d[] =
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2N"
    "XOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M"
    "_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x"
    "_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
static const char weak_n[] =
    "tLAn9yBojlY1_TS4vvzO4NabPnerxZCtbPZjaROI7p-oNxtpt98kmwhPJqhFd8Y03rOE3o5wf6MD950KKtsXICFzFz"
    "1CpEzHq0yDWDzoFi-HVyms6teB5Vd5BvJG5fk5yArST-6kSiHxtVr9VKx2DxxDs5E75AlmOV9gpe090nU";
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC_D "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ED_D "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"

static void refused(const char *problem, const struct key *key, const char *wanted)
{
    assert_non_null(problem);
    if (!strstr(problem, wanted))
        fail_msg("\"%s\" does not say \"%s\"", problem, wanted);
    assert_int_equal(key->type, KEY_NONE);
    assert_null(key->pkey);
    assert_null(key->secret);
}

static void pem_that_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *pem;
        enum key_type type;
        bool private;
    } all[] = {
        {pem_rsa_public, KEY_RSA, false},    {pem_rsa_pkcs1, KEY_RSA, false},
        {pem_rsa_private, KEY_RSA, true},    {pem_p256_public, KEY_P256, false},
        {pem_p256_private, KEY_P256, true},  {pem_ec_parameters, KEY_P256, true},
        {pem_certificate, KEY_P256, false},  {pem_ed_public, KEY_ED25519, false},
        {pem_ed_private, KEY_ED25519, true},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct key key;
        char text[4096] = "a comment in front\n  ";

        assert_true(key_is_pem(span_of(all[i].pem)));
        assert_null(key_from_pem(&key, span_of(all[i].pem)));
        assert_int_equal(key.type, all[i].type);
        assert_int_equal(key.private, all[i].private);
        key_fini(&key);
        strcat(text, all[i].pem);
        assert_null(key_from_pem(&key, span_of(text + 19)));
        key_fini(&key);
        refused(key_from_secret(&key, span_of(text)), &key, "public key is no secret");
    }
}

static void pem_that_is_refused(void **state)
{
    (void)state;
    struct key key;
    char text[4096];

    refused(key_from_pem(&key, span_of(pem_rsa_1024)), &key, "2048 bits at least");
    refused(key_from_pem(&key, span_of(pem_p384_public)), &key, "not P-256");
    refused(key_from_pem(&key, span_of(pem_x25519_public)), &key, "neither RSA nor P-256 nor Ed25519");
    refused(key_from_pem(&key, span_of(pem_p256_encrypted)), &key, "encrypted");
    refused(key_from_pem(&key, span_of(pem_p256_encrypted_old)), &key, "encrypted");
    refused(key_from_pem(&key, span_of("no PEM")), &key, "no PEM");
    refused(key_from_pem(&key, (struct span){0}), &key, "no PEM");
    refused(key_from_pem(&key, span_of("-----BEGIN DH PARAMETERS-----\n")), &key, "no key that signs");
    refused(key_from_pem(&key, span_of("-----BEGIN PUBLIC KEY-----")), &key, "damaged");
    refused(key_from_pem(&key, span_of("-----BEGIN PUBLIC KEY-----\\nMCow\\n")), &key, "two characters");
    for (size_t cut = 27; cut < strlen(pem_rsa_public) - 2; cut += 13)
        refused(key_from_pem(&key, (struct span){pem_rsa_public, cut}), &key, "damaged");
    strcpy(text, pem_rsa_public);
    text[200] ^= 0x10; /* another number, or no base64: whatever is read, it is no crash */
    if (!key_from_pem(&key, span_of(text)))
        key_fini(&key);
}

static void secrets(void **state)
{
    (void)state;
    struct key key;
    uint8_t der[1024];
    char lines[2048];
    size_t len;

    assert_null(key_from_secret(&key, SPAN("s")));
    assert_int_equal(key.type, KEY_SECRET);
    assert_true(key.private && key.secret_len == 1 && key.secret[0] == 's');
    key_fini(&key);
    assert_null(key_from_secret(&key, SPAN("0\0with zeros"))); /* begins as DER does */
    assert_int_equal(key.secret_len, 12);
    key_fini(&key);
    assert_null(
        key_from_secret(&key, SPAN("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"))); /* as base64 of it */
    key_fini(&key);
    refused(key_from_secret(&key, SPAN("")), &key, "empty");

    /* a public key without its lines, with the line ends and without, and what they stand for */
    const char *from = strchr(pem_rsa_public, '\n') + 1, *to = strstr(pem_rsa_public, "-----END");
    size_t n = 0;
    refused(key_from_secret(&key, (struct span){from, (size_t)(to - from)}), &key, "public key is no secret");
    for (; from < to; from++) {
        if (*from != '\n')
            lines[n++] = *from;
    }
    refused(key_from_secret(&key, (struct span){lines, n}), &key, "public key is no secret");
    assert_null(encoding_read(ENCODING_BASE64, lines, n, der, &len));
    refused(key_from_secret(&key, (struct span){(char *)der, len}), &key, "public key is no secret");
    refused(key_from_secret(&key, SPAN("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here")), &key,
            "public key is no");
    refused(key_from_secret(&key, SPAN("ecdsa-sha2-nistp256 AAAA")), &key, "public key is no secret");
}

static void raw_ed25519(void **state)
{
    (void)state;
    struct key key;
    uint8_t raw[34] = {7};

    for (size_t len = 0; len < sizeof raw; len++) {
        for (int private = 0; private < 2; private ++) {
            const char *problem = key_from_ed25519(&key, (struct span){(char *)raw, len}, private);
            if (len == 32) {
                assert_null(problem);
                assert_int_equal(key.type, KEY_ED25519);
                assert_int_equal(key.private, private);
                key_fini(&key);
            } else {
                refused(problem, &key, "32 bytes");
            }
        }
    }
}

static void jwk_that_is_read(void **state)
{
    (void)state;
    const struct {
        struct jwk jwk;
        enum key_type type;
        bool private;
    } all[] = {
        {{.kty = SPAN("oct"), .k = SPAN("c2VjcmV0")}, KEY_SECRET, true},
        {{.kty = SPAN("RSA"), .n = span_of(rsa_n), .e = SPAN("AQAB")}, KEY_RSA, false},
        {{.kty = SPAN("RSA"), .n = span_of(rsa_n), .e = SPAN("AQAB"), .d = span_of(rsa_d)}, KEY_RSA, true},
        {{.kty = SPAN("EC"), .crv = SPAN("P-256"), .x = SPAN(EC_X), .y = SPAN(EC_Y)}, KEY_P256, false},
        {{.kty = SPAN("EC"), .crv = SPAN("P-256"), .x = SPAN(EC_X), .y = SPAN(EC_Y), .d = SPAN(EC_D)},
         KEY_P256,
         true},
        {{.kty = SPAN("OKP"), .crv = SPAN("Ed25519"), .x = SPAN(ED_X)}, KEY_ED25519, false},
        {{.kty = SPAN("OKP"), .crv = SPAN("Ed25519"), .x = SPAN(ED_X), .d = SPAN(ED_D)}, KEY_ED25519, true},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct key key;
        assert_null(key_from_jwk(&key, &all[i].jwk));
        assert_int_equal(key.type, all[i].type);
        assert_int_equal(key.private, all[i].private);
        key_fini(&key);
    }
}

static void jwk_that_is_refused(void **state)
{
    (void)state;
    char *huge = malloc(20000);
    assert_non_null(huge);
    memset(huge, 'A', 20000);
    const struct span n = span_of(rsa_n), e = SPAN("AQAB"), x = SPAN(EC_X), y = SPAN(EC_Y);
    const struct {
        struct jwk jwk;
        const char *problem;
    } all[] = {
        {{.n = n, .e = e}, "no \"kty\""},
        {{.kty = SPAN("rsa"), .n = n, .e = e}, "none of"},
        {{.kty = SPAN("oct")}, "no \"k\""},
        {{.kty = SPAN("oct"), .k = SPAN("")}, "empty"},
        {{.kty = SPAN("oct"), .k = SPAN("c2VjcmV0=")}, "no base64url"},
        {{.kty = SPAN("RSA"), .n = n}, "\"n\" and \"e\""},
        {{.kty = SPAN("RSA"), .e = e}, "\"n\" and \"e\""},
        {{.kty = SPAN("RSA"), .n = SPAN(""), .e = e}, "\"n\" and \"e\""},
        {{.kty = SPAN("RSA"), .n = SPAN("a+b/"), .e = e}, "\"n\" and \"e\""},
        {{.kty = SPAN("RSA"), .n = {huge, 20000}, .e = e}, "\"n\" and \"e\""},
        {{.kty = SPAN("RSA"), .n = n, .e = SPAN("AQ")}, "exponent"},
        {{.kty = SPAN("RSA"), .n = n, .e = SPAN("Ag")}, "exponent"},
        {{.kty = SPAN("RSA"), .n = span_of(weak_n), .e = e}, "2048 bits at least"},
        {{.kty = SPAN("RSA"), .n = n, .e = e, .d = SPAN("*")}, "\"d\""},
        {{.kty = SPAN("RSA"), .n = n, .e = e, .d = span_of(rsa_d), .p = SPAN("AQAB")}, "\"qi\""},
        {{.kty = SPAN("EC"), .crv = SPAN("P-384"), .x = x, .y = y}, "not P-256"},
        {{.kty = SPAN("EC"), .x = x, .y = y}, "not P-256"},
        {{.kty = SPAN("EC"), .crv = SPAN("P-256"), .x = x}, "32 bytes each"},
        {{.kty = SPAN("EC"), .crv = SPAN("P-256"), .x = x, .y = {EC_Y, 42}}, "32 bytes each"},
        {{.kty = SPAN("EC"), .crv = SPAN("P-256"), .x = y, .y = x}, "make no key"}, /* not on the curve */
        {{.kty = SPAN("EC"), .crv = SPAN("P-256"), .x = x, .y = y, .d = SPAN("AQAB")}, "\"d\""},
        {{.kty = SPAN("OKP"), .crv = SPAN("X25519"), .x = SPAN(ED_X)}, "not Ed25519"},
        {{.kty = SPAN("OKP"), .crv = SPAN("Ed25519")}, "\"x\""},
        {{.kty = SPAN("OKP"), .crv = SPAN("Ed25519"), .x = SPAN(ED_X), .d = SPAN("AQAB")}, "\"d\""},
        {{.kty = SPAN("OKP"), .crv = SPAN("Ed25519"), .x = SPAN(ED_X), .d = SPAN(EC_D)},
         "another public one"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct key key;
        refused(key_from_jwk(&key, &all[i].jwk), &key, all[i].problem);
    }
    free(huge);
}

/* 16384 bits are a key, and as long to reckon with as sixty of 2048. */
static void an_rsa_key_that_is_too_large(void **state)
{
    (void)state;
    struct key key;
    uint8_t bytes[1025];
    char text[2000];

    memset(bytes, 0xff, sizeof bytes);
    encoding_write(ENCODING_BASE64URL, bytes, sizeof bytes, text);
    struct jwk jwk = {.kty = SPAN("RSA"),
                      .n = {text, encoding_text_len(ENCODING_BASE64URL, sizeof bytes)},
                      .e = SPAN("AQAB")};
    refused(key_from_jwk(&key, &jwk), &key, "8192 bits at most");
    bytes[0] = 0; /* a zero in front does not count */
    encoding_write(ENCODING_BASE64URL, bytes, sizeof bytes, text);
    assert_null(key_from_jwk(&key, &jwk));
    key_fini(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pem_that_is_read),
        cmocka_unit_test(pem_that_is_refused),
        cmocka_unit_test(secrets),
        cmocka_unit_test(raw_ed25519),
        cmocka_unit_test(jwk_that_is_read),
        cmocka_unit_test(jwk_that_is_refused),
        cmocka_unit_test(an_rsa_key_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
