/* Signatures: the published examples of RFC 7515 A.1 to A.3, RFC 8037 A and RFC 8032, and what is no signature. */
#include "crypto_keys.h"

#include "crypto/encoding.h"
#include "crypto/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PAYLOAD                                                                                              \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

struct example {
    enum signature_alg alg;
    struct jwk jwk;
    const char *message, *signature; /* base64url */
    bool same;                       /* signing makes the same again */
};

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
static const char rsa_signature[] =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F"
    "p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB"
    "MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY"
    "I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

static void examples(struct example out[4])
{
    out[0] = (struct example){
        SIGNATURE_HS256,
        {.kty = SPAN("oct"),
         .k = SPAN("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")},
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD,
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        true};
    out[1] =
        (struct example){SIGNATURE_RS256,
                         {.kty = SPAN("RSA"), .n = span_of(rsa_n), .e = SPAN("AQAB"), .d = span_of(rsa_d)},
                         "eyJhbGciOiJSUzI1NiJ9." PAYLOAD,
                         rsa_signature,
                         true};
    out[2] = (struct example){
        SIGNATURE_ES256,
        {.kty = SPAN("EC"),
         .crv = SPAN("P-256"),
         .x = SPAN("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
         .y = SPAN("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
         .d = SPAN("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")},
        "eyJhbGciOiJFUzI1NiJ9." PAYLOAD,
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        false};
    out[3] = (struct example){
        SIGNATURE_EDDSA,
        {.kty = SPAN("OKP"),
         .crv = SPAN("Ed25519"),
         .x = SPAN("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
         .d = SPAN("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")},
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        true};
}

static size_t decode(const char *text, uint8_t *out)
{
    size_t len;
    assert_null(encoding_read(ENCODING_BASE64URL, text, strlen(text), out, &len));
    return len;
}

static void the_published_examples(void **state)
{
    (void)state;
    struct example all[4];
    struct key key;

    examples(all);
    for (size_t i = 0; i < 4; i++) {
        const struct example *example = &all[i];
        uint8_t signature[SIGNATURE_LEN_MAX + 2], made[SIGNATURE_LEN_MAX];
        struct span message = span_of(example->message);
        struct span wanted = {(char *)signature, decode(example->signature, signature)};

        struct jwk public = example->jwk;
        public.d = (struct span){0};
        assert_null(key_from_jwk(&key, &public));
        assert_int_equal(key.private, example->alg == SIGNATURE_HS256);
        assert_int_equal(signature_of_key(key.type), example->alg);
        for (int alg = 0; alg < SIGNATURE_ALGS; alg++) /* no other algorithm takes this key */
            assert_int_equal(signature_verify((enum signature_alg)alg, &key, message, wanted),
                             alg == (int)example->alg);
        assert_int_equal(signature_make(example->alg, &key, message, made) > 0, key.private);
        key_fini(&key);

        assert_null(key_from_jwk(&key, &example->jwk));
        assert_true(key.private);
        size_t len = signature_make(example->alg, &key, message, made);
        assert_int_equal(len, wanted.len);
        assert_int_equal(memcmp(made, signature, len) == 0, example->same);
        assert_true(signature_verify(example->alg, &key, message, (struct span){(char *)made, len}));
        assert_int_equal(signature_make((enum signature_alg)((i + 1) % 4), &key, message, made), 0);
        key_fini(&key);
    }
}

/* One bit more or less, one byte more or less, in message or signature. */
static void what_is_no_signature(void **state)
{
    (void)state;
    struct example all[4];
    struct key key;

    examples(all);
    for (size_t i = 0; i < 4; i++) {
        const struct example *example = &all[i];
        uint8_t signature[SIGNATURE_LEN_MAX + 2] = {0};
        char text[512];
        size_t len = decode(example->signature, signature);
        struct span message = {text, strlen(example->message)}, sig = {(char *)signature, len};

        memcpy(text, example->message, message.len);
        assert_null(key_from_jwk(&key, &example->jwk));
        assert_true(signature_verify(example->alg, &key, message, sig));
        for (size_t bit = 0; bit < len * 8; bit += 7) {
            signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(signature_verify(example->alg, &key, message, sig));
            signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        text[message.len / 2] ^= 1;
        assert_false(signature_verify(example->alg, &key, message, sig));
        text[message.len / 2] ^= 1;
        message.len--;
        assert_false(signature_verify(example->alg, &key, message, sig));
        message.len++;
        for (size_t wrong = 0; wrong < len + 2; wrong++) {
            sig.len = wrong;
            assert_int_equal(signature_verify(example->alg, &key, message, sig), wrong == len);
        }
        memset(signature, 0, sizeof signature);
        sig.len = len;
        assert_false(signature_verify(example->alg, &key, message, sig));
        key_fini(&key);
    }
}

/* A JWK whose private part is of another key makes no signatures, instead of some that nobody can verify. */
static void halves_of_two_keys(void **state)
{
    (void)state;
    struct example all[4];
    struct key key;
    uint8_t made[SIGNATURE_LEN_MAX];

    examples(all);
    struct jwk rsa = all[1].jwk, ec = all[2].jwk;
    rsa.d = SPAN("AQAB");
    ec.d = all[3].jwk.d;
    assert_null(key_from_jwk(&key, &rsa));
    assert_int_equal(signature_make(SIGNATURE_RS256, &key, SPAN("text"), made), 0);
    key_fini(&key);
    assert_null(key_from_jwk(&key, &ec));
    assert_int_equal(signature_make(SIGNATURE_ES256, &key, SPAN("text"), made), 0);
    key_fini(&key);
}

/* OpenSSL's own form of ES256, DER, is not that of JOSE. */
static void es256_in_der_is_refused(void **state)
{
    (void)state;
    struct example all[4];
    struct key key;
    uint8_t raw[SIGNATURE_LEN_MAX], der[80] = {0x30, 0, 0x02};
    size_t at = 3;

    examples(all);
    assert_null(key_from_jwk(&key, &all[2].jwk));
    decode(all[2].signature, raw);
    for (int i = 0; i < 2; i++) {
        bool high = raw[i * 32] >= 0x80;
        der[at++] = (uint8_t)(32 + high);
        if (high)
            der[at++] = 0;
        memcpy(der + at, raw + (ptrdiff_t)i * 32, 32);
        at += 32;
        if (i == 0)
            der[at++] = 0x02;
    }
    der[1] = (uint8_t)(at - 2);
    assert_false(
        signature_verify(SIGNATURE_ES256, &key, span_of(all[2].message), (struct span){(char *)der, at}));
    key_fini(&key);
}

/* RFC 8032 §7.1, tests 1 to 3. */
static void ed25519(void **state)
{
    (void)state;
    static const struct {
        const char *private, *public, *message, *signature;
    } tests[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
         "d25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
         "387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
         "4a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        uint8_t private[32], public[32], message[8], signature[64], made[SIGNATURE_LEN_MAX];
        size_t len, n;
        struct key key;

        assert_null(encoding_read(ENCODING_HEX, tests[i].private, 64, private, &n));
        assert_null(encoding_read(ENCODING_HEX, tests[i].public, 64, public, &n));
        assert_null(encoding_read(ENCODING_HEX, tests[i].signature, 128, signature, &n));
        assert_null(encoding_read(ENCODING_HEX, tests[i].message, strlen(tests[i].message), message, &len));
        struct span text = {(char *)message, len};
        assert_null(key_from_ed25519(&key, (struct span){(char *)private, 32}, true));
        assert_int_equal(signature_make(SIGNATURE_EDDSA, &key, text, made), 64);
        assert_memory_equal(made, signature, 64);
        key_fini(&key);
        assert_null(key_from_ed25519(&key, (struct span){(char *)public, 32}, false));
        assert_true(signature_verify(SIGNATURE_EDDSA, &key, text, (struct span){(char *)signature, 64}));
        signature[63] ^= 0x20;
        assert_false(signature_verify(SIGNATURE_EDDSA, &key, text, (struct span){(char *)signature, 64}));
        key_fini(&key);
    }
}

static void names(void **state)
{
    (void)state;
    for (int i = 0; i < SIGNATURE_ALGS; i++)
        assert_int_equal(signature_named(span_of(signature_name((enum signature_alg)i))), i);
    static const char *const others[] = {"none", "None",  "",      "hs256", "HS256 ",
                                         "HS25", "HS512", "PS256", "ES384"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(signature_named(span_of(others[i])), -1);
}

/* What signs with a key out of PEM verifies with its public half out of PEM. */
static void pairs_out_of_pem(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{pem_p256_private, pem_p256_public},
                                           {pem_ec_parameters, pem_certificate},
                                           {pem_ed_private, pem_ed_public},
                                           {pem_rsa_private, pem_rsa_private}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct key private, public;
        uint8_t made[SIGNATURE_LEN_MAX];

        assert_null(key_from_pem(&private, span_of(pairs[i][0])));
        assert_null(key_from_pem(&public, span_of(pairs[i][1])));
        enum signature_alg alg = signature_of_key(private.type);
        size_t len = signature_make(alg, &private, SPAN("text"), made);
        assert_true(len > 0);
        assert_true(signature_verify(alg, &public, SPAN("text"), (struct span){(char *)made, len}));
        assert_false(signature_verify(alg, &public, SPAN("Text"), (struct span){(char *)made, len}));
        key_fini(&private);
        key_fini(&public);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples),
        cmocka_unit_test(what_is_no_signature),
        cmocka_unit_test(es256_in_der_is_refused),
        cmocka_unit_test(halves_of_two_keys),
        cmocka_unit_test(ed25519),
        cmocka_unit_test(names),
        cmocka_unit_test(pairs_out_of_pem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
