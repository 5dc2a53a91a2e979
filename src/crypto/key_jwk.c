/* Keys out of JWK: RFC 7518 §6 for RSA, P-256 and secrets, RFC 8037 §2 for Ed25519. */
#include "crypto/encoding.h"
#include "crypto/key.h"
#include "crypto/private.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#define NUMBER_MAX 1025 /* bytes of a number of RSA: 8192 bits, and a zero in front */
#define PART 32         /* bytes of a coordinate of P-256, and of its private number */

static const char no_memory[] = "not enough memory for the key";

/* The bytes of a member, of which there are at most max. */
static bool read_member(struct span text, uint8_t *out, size_t max, size_t *len)
{
    uint8_t bytes[(NUMBER_MAX + 2) / 3 * 3 + 3];

    if (!text.ptr || text.len > encoding_text_len(ENCODING_BASE64URL, NUMBER_MAX) ||
        encoding_read(ENCODING_BASE64URL, text.ptr, text.len, bytes, len) || *len > max)
        return false;
    memcpy(out, bytes, *len);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return true;
}

static bool read_exactly(struct span text, uint8_t *out, size_t wanted)
{
    size_t len;
    return read_member(text, out, wanted, &len) && len == wanted;
}

/* ---- secrets ---- */

static const char *from_oct(struct key *key, const struct jwk *jwk)
{
    size_t len;

    if (!jwk->k.ptr)
        return "the JWK has no \"k\"";
    uint8_t *bytes = malloc(encoding_bytes_max(ENCODING_BASE64URL, jwk->k.len));
    if (!bytes)
        return no_memory;
    const char *problem = "the \"k\" of the JWK is no base64url";
    if (!encoding_read(ENCODING_BASE64URL, jwk->k.ptr, jwk->k.len, bytes, &len)) {
        problem = key_from_secret(key, (struct span){(const char *)bytes, len});
        OPENSSL_cleanse(bytes, len);
    }
    free(bytes);
    return problem;
}

/* ---- Ed25519 ---- */

static const char *from_okp(struct key *key, const struct jwk *jwk)
{
    uint8_t x[KEY_ED25519_LEN], d[KEY_ED25519_LEN], own[KEY_ED25519_LEN];
    size_t len = sizeof own;

    if (!span_equal(jwk->crv, SPAN("Ed25519")))
        return "the curve of the key is not Ed25519";
    if (!read_exactly(jwk->x, x, sizeof x))
        return "the \"x\" of the JWK is not 32 bytes in base64url";
    if (!jwk->d.ptr)
        return key_from_ed25519(key, (struct span){(const char *)x, sizeof x}, false);
    if (!read_exactly(jwk->d, d, sizeof d))
        return "the \"d\" of the JWK is not 32 bytes in base64url";
    const char *problem = key_from_ed25519(key, (struct span){(const char *)d, sizeof d}, true);
    OPENSSL_cleanse(d, sizeof d);
    if (problem)
        return problem;
    if (EVP_PKEY_get_raw_public_key(key->pkey, own, &len) == 1 && memcmp(own, x, sizeof x) == 0)
        return NULL;
    key_fini(key);
    return "the private part of the JWK belongs to another public one";
}

/* ---- RSA and P-256, out of parameters ---- */

/* The numbers of a key, until it is made of them. */
struct numbers {
    OSSL_PARAM_BLD *build;
    BIGNUM *held[8];
    size_t n;
    bool failed; /* no memory */
};

/* One more number; false: that is not one. */
static bool add(struct numbers *numbers, const char *name, struct span text, size_t exactly)
{
    uint8_t bytes[NUMBER_MAX];
    size_t len;

    if (!read_member(text, bytes, sizeof bytes, &len) || len == 0 || (exactly > 0 && len != exactly))
        return false;
    BIGNUM *number = BN_bin2bn(bytes, (int)len, NULL);
    OPENSSL_cleanse(bytes, sizeof bytes);
    if (number)
        numbers->held[numbers->n++] = number;
    if (!number || OSSL_PARAM_BLD_push_BN(numbers->build, name, number) != 1)
        numbers->failed = true;
    return true;
}

static EVP_PKEY *make(const char *type, struct numbers *numbers, bool private)
{
    EVP_PKEY *pkey = NULL;

    OSSL_PARAM *params = numbers->failed ? NULL : OSSL_PARAM_BLD_to_param(numbers->build);
    EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static const char *finish(struct key *key, const char *type, struct numbers *numbers, bool private)
{
    EVP_PKEY *pkey = make(type, numbers, private);
    ERR_clear_error();
    if (!pkey)
        return numbers->failed ? no_memory : "the members of the JWK make no key";
    return key_adopt(key, pkey, private);
}

static const char *from_rsa(struct key *key, const struct jwk *jwk, struct numbers *numbers)
{
    const struct {
        const char *name;
        struct span text;
    } factors[] = {{OSSL_PKEY_PARAM_RSA_FACTOR1, jwk->p},
                   {OSSL_PKEY_PARAM_RSA_FACTOR2, jwk->q},
                   {OSSL_PKEY_PARAM_RSA_EXPONENT1, jwk->dp},
                   {OSSL_PKEY_PARAM_RSA_EXPONENT2, jwk->dq},
                   {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, jwk->qi}};
    bool private = jwk->d.ptr != NULL;

    if (!add(numbers, OSSL_PKEY_PARAM_RSA_N, jwk->n, 0) || !add(numbers, OSSL_PKEY_PARAM_RSA_E, jwk->e, 0))
        return "the \"n\" and \"e\" of the JWK are not two numbers of up to 8192 bits in base64url";
    if (private && !add(numbers, OSSL_PKEY_PARAM_RSA_D, jwk->d, 0))
        return "the \"d\" of the JWK is not a number in base64url";
    for (size_t i = 0; private && jwk->p.ptr && i < sizeof factors / sizeof *factors; i++) {
        if (!add(numbers, factors[i].name, factors[i].text, 0))
            return "\"p\", \"q\", \"dp\", \"dq\" and \"qi\" of the JWK are not all numbers in base64url";
    }
    return finish(key, "RSA", numbers, private);
}

static const char *from_ec(struct key *key, const struct jwk *jwk, struct numbers *numbers)
{
    uint8_t point[1 + 2 * PART] = {0x04}; /* both coordinates follow (SEC 1 §2.3.3) */
    bool private = jwk->d.ptr != NULL;

    if (!span_equal(jwk->crv, SPAN("P-256")))
        return "the curve of the key is not P-256";
    if (!read_exactly(jwk->x, point + 1, PART) || !read_exactly(jwk->y, point + 1 + PART, PART))
        return "\"x\" and \"y\" of the JWK are not 32 bytes each in base64url";
    if (private && !add(numbers, OSSL_PKEY_PARAM_PRIV_KEY, jwk->d, PART))
        return "the \"d\" of the JWK is not 32 bytes in base64url";
    if (OSSL_PARAM_BLD_push_utf8_string(numbers->build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(numbers->build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) != 1)
        return no_memory;
    return finish(key, "EC", numbers, private);
}

const char *key_from_jwk(struct key *key, const struct jwk *jwk)
{
    const char *problem;

    *key = (struct key){0};
    if (!jwk->kty.ptr)
        return "the JWK has no \"kty\"";
    if (span_equal(jwk->kty, SPAN("oct")))
        return from_oct(key, jwk);
    if (span_equal(jwk->kty, SPAN("OKP")))
        return from_okp(key, jwk);
    bool rsa = span_equal(jwk->kty, SPAN("RSA"));
    if (!rsa && !span_equal(jwk->kty, SPAN("EC")))
        return "the \"kty\" of the JWK is none of \"RSA\", \"EC\", \"OKP\" and \"oct\"";
    struct numbers numbers = {.build = OSSL_PARAM_BLD_new()};
    if (numbers.build)
        problem = rsa ? from_rsa(key, jwk, &numbers) : from_ec(key, jwk, &numbers);
    else
        problem = no_memory;
    OSSL_PARAM_BLD_free(numbers.build);
    for (size_t i = 0; i < numbers.n; i++)
        BN_clear_free(numbers.held[i]);
    return problem;
}
