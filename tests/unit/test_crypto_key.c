/* Keys: every form that is read, and everything that is refused, by what it says. */
#include "crypto_keys.h"

#include "base/buf.h"
#include "crypto/encoding.h"
#include "crypto/key.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
        {pem_rsa_public, KEY_RSA, false},       {pem_rsa_pkcs1, KEY_RSA, false},
        {pem_rsa_private, KEY_RSA, true},       {pem_p256_public, KEY_P256, false},
        {pem_rsa_private_pkcs1, KEY_RSA, true}, {pem_p256_private, KEY_P256, true},
        {pem_ec_parameters, KEY_P256, true},    {pem_certificate, KEY_P256, false},
        {pem_ed_public, KEY_ED25519, false},    {pem_ed_private, KEY_ED25519, true},
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

/* ---- other algorithms ---- */

/* Puts a header of DER in front of what out has from at on. */
static void wrap(struct buf *out, size_t at, uint8_t tag)
{
    size_t len = out->len - at;
    uint8_t header[] = {tag, 0x83, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

    assert_int_equal(buf_append(out, header, sizeof header), 0);
    memmove(out->data + at + sizeof header, out->data + at, len);
    memcpy(out->data + at, header, sizeof header);
}

static void add_number(struct buf *out, size_t bytes)
{
    size_t at = out->len;

    assert_int_equal(buf_reserve(out, bytes), 0);
    memset(out->data + at, 0x7f, bytes);
    out->len += bytes;
    wrap(out, at, 0x02);
}

static void add_oid(struct buf *out, struct span oid)
{
    assert_int_equal(buf_append(out, oid.ptr, oid.len), 0);
}

#define OID_DSA SPAN("\x06\x07\x2a\x86\x48\xce\x38\x04\x01")
#define OID_DH SPAN("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01")
#define OID_EC SPAN("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01")
#define OID_P384 SPAN("\x06\x05\x2b\x81\x04\x00\x22")

static void write_pem(struct buf *pem, const char *label, const struct buf *der)
{
    static char digits[128 * 1024];
    size_t len = encoding_text_len(ENCODING_BASE64, der->len);

    assert_true(len < sizeof digits);
    encoding_write(ENCODING_BASE64, der->data, der->len, digits);
    assert_int_equal(buf_printf(pem, "-----BEGIN %s-----\n", label), 0);
    for (size_t i = 0; i < len; i += 64)
        assert_int_equal(buf_printf(pem, "%.*s\n", len - i < 64 ? (int)(len - i) : 64, digits + i), 0);
    assert_int_equal(buf_printf(pem, "-----END %s-----\n", label), 0);
}

/* PKCS #8 of a key whose algorithm has three numbers of so many bytes, and itself is one. */
static void write_private(struct buf *der, struct span oid, size_t bytes)
{
    add_oid(der, SPAN("\x02\x01\x00"));
    size_t algorithm = der->len;
    add_oid(der, oid);
    size_t numbers = der->len;
    for (int i = 0; i < 3; i++)
        add_number(der, bytes);
    wrap(der, numbers, 0x30);
    wrap(der, algorithm, 0x30);
    size_t key = der->len;
    add_number(der, bytes);
    wrap(der, key, 0x04);
    wrap(der, 0, 0x30);
}

/* Nothing is computed with them: OpenSSL would take seconds for the public key of this one of DSA. */
static void keys_of_other_algorithms(void **state)
{
    (void)state;
    static const char *const labels[] = {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"};
    const struct span oids[] = {OID_DSA, OID_DH};

    for (size_t i = 0; i < 2 * sizeof labels / sizeof *labels; i++) {
        struct buf der = {0}, pem = {0};
        struct key key;

        write_private(&der, oids[i % 2], 9000);
        write_pem(&pem, labels[i / 2], &der);
        clock_t before = clock();
        const char *problem = key_from_pem(&key, (struct span){(char *)pem.data, pem.len});
        assert_true(clock() - before < CLOCKS_PER_SEC / 2);
        refused(problem, &key, i / 2 == 0 ? "neither RSA nor P-256 nor Ed25519" : "damaged");
        buf_fini(&der);
        buf_fini(&pem);
    }
}

/* Which it would take seconds to sign with. */
static void rsa_numbers_beyond_the_modulus(void **state)
{
    (void)state;

    for (int large = 2; large < 8; large++) { /* n, e, d, p, q, dp, dq, qi */
        struct buf der = {0}, pem = {0};
        struct key key;

        add_oid(&der, SPAN("\x02\x01\x00"));
        for (int i = 0; i < 8; i++)
            add_number(&der, i == large ? 258 : i == 1 ? 3 : 257);
        wrap(&der, 0, 0x30);
        write_pem(&pem, "RSA PRIVATE KEY", &der);
        refused(key_from_pem(&key, (struct span){(char *)pem.data, pem.len}), &key,
                "larger than its modulus");
        buf_fini(&der);
        buf_fini(&pem);
    }
}

static void rsa_of_three_factors(void **state)
{
    (void)state;
    struct buf der = {0}, pem = {0};
    struct key key;

    add_oid(&der, SPAN("\x02\x01\x01"));
    for (int i = 0; i < 8; i++)
        add_number(&der, i == 0 ? 257 : i == 1 ? 3 : 128);
    size_t others = der.len;
    for (int i = 0; i < 3; i++)
        add_number(&der, 128);
    wrap(&der, others, 0x30);
    wrap(&der, others, 0x30);
    wrap(&der, 0, 0x30);
    write_pem(&pem, "RSA PRIVATE KEY", &der);
    refused(key_from_pem(&key, (struct span){(char *)pem.data, pem.len}), &key, "two prime factors");
    buf_fini(&der);
    buf_fini(&pem);
}

/* Also one that is written out, which has no name. */
static void other_curves(void **state)
{
    (void)state;

    for (int i = 0; i < 2; i++) {
        struct buf der = {0}, pem = {0};
        struct key key;

        if (i == 0) {
            write_private(&der, OID_EC, 32);
        } else {
            add_oid(&der, SPAN("\x02\x01\x00"));
            size_t algorithm = der.len;
            add_oid(&der, OID_EC);
            add_oid(&der, OID_P384);
            wrap(&der, algorithm, 0x30);
            add_oid(&der, SPAN("\x04\x02\x30\x00"));
            wrap(&der, 0, 0x30);
        }
        write_pem(&pem, "PRIVATE KEY", &der);
        refused(key_from_pem(&key, (struct span){(char *)pem.data, pem.len}), &key, "not P-256");
        buf_fini(&der);
        buf_fini(&pem);
    }
}

/* The private part is what the label promises. */
static void a_public_key_as_a_private_one(void **state)
{
    (void)state;
    struct key key;
    char text[1024];

    size_t body = strlen("-----BEGIN RSA PUBLIC KEY-----"), end = strlen("-----END RSA PUBLIC KEY-----\n");
    snprintf(text, sizeof text, "-----BEGIN RSA PRIVATE KEY-----%.*s-----END RSA PRIVATE KEY-----\n",
             (int)(strlen(pem_rsa_pkcs1) - body - end), pem_rsa_pkcs1 + body);
    refused(key_from_pem(&key, span_of(text)), &key, "damaged");
}

static void long_pem(void **state)
{
    (void)state;
    struct key key;
    struct buf text = {0};

    assert_int_equal(buf_append(&text, pem_ed_public, strlen(pem_ed_public)), 0);
    while (text.len < KEY_PEM_MAX)
        assert_int_equal(buf_append(&text, "\n", 1), 0);
    assert_null(key_from_pem(&key, (struct span){(char *)text.data, text.len}));
    key_fini(&key);
    assert_int_equal(buf_append(&text, "\n", 1), 0);
    refused(key_from_pem(&key, (struct span){(char *)text.data, text.len}), &key, "more than 64 KiB");

    text.len = 0; /* what is read is of the kind that was judged by its label */
    assert_int_equal(buf_printf(&text, "-----BEGIN PRIVATE KEY-----x\n%s", pem_ed_public), 0);
    refused(key_from_pem(&key, (struct span){(char *)text.data, text.len}), &key, "damaged");
    buf_fini(&text);
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
        cmocka_unit_test(keys_of_other_algorithms),
        cmocka_unit_test(rsa_numbers_beyond_the_modulus),
        cmocka_unit_test(rsa_of_three_factors),
        cmocka_unit_test(other_curves),
        cmocka_unit_test(a_public_key_as_a_private_one),
        cmocka_unit_test(long_pem),
        cmocka_unit_test(secrets),
        cmocka_unit_test(raw_ed25519),
        cmocka_unit_test(jwk_that_is_read),
        cmocka_unit_test(jwk_that_is_refused),
        cmocka_unit_test(an_rsa_key_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
