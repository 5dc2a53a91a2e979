#include "crypto/signature.h"

#include "crypto/digest.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define PART 32 /* bytes of r and of s */
#define DER_MAX 80

static const char *const names[SIGNATURE_ALGS] = {[SIGNATURE_HS256] = "HS256",
                                                  [SIGNATURE_RS256] = "RS256",
                                                  [SIGNATURE_ES256] = "ES256",
                                                  [SIGNATURE_EDDSA] = "EdDSA"};

int signature_named(struct span name)
{
    for (int i = 0; i < SIGNATURE_ALGS; i++) {
        if (span_equal(name, span_of(names[i])))
            return i;
    }
    return -1;
}

const char *signature_name(enum signature_alg alg)
{
    return names[alg];
}

enum signature_alg signature_of_key(enum key_type type)
{
    switch (type) {
    case KEY_NONE:
    case KEY_SECRET: break;
    case KEY_RSA: return SIGNATURE_RS256;
    case KEY_P256: return SIGNATURE_ES256;
    case KEY_ED25519: return SIGNATURE_EDDSA;
    }
    return SIGNATURE_HS256;
}

static bool fits(enum signature_alg alg, const struct key *key)
{
    return key->type != KEY_NONE && signature_of_key(key->type) == alg;
}

/* ---- r and s of ECDSA: OpenSSL has them in DER ---- */

/* Returns the length; 0: they are no signature, or there is no memory. */
static size_t to_der(struct span raw, uint8_t der[DER_MAX])
{
    const uint8_t *at = (const uint8_t *)raw.ptr;
    uint8_t *out = der;
    int len = 0;

    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(at, PART, NULL), *s = BN_bin2bn(at + PART, PART, NULL);
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        len = i2d_ECDSA_SIG(sig, &out);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return len > 0 ? (size_t)len : 0;
}

static size_t from_der(const uint8_t *der, size_t len, uint8_t *raw)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool good = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, PART) == PART &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + PART, PART) == PART;
    ECDSA_SIG_free(sig);
    return good ? (size_t)2 * PART : 0;
}

/* ---- both ways ---- */

static const EVP_MD *digest_for(enum signature_alg alg)
{
    return alg == SIGNATURE_EDDSA ? NULL : EVP_sha256(); /* Ed25519 has its own inside */
}

static bool verify_public(enum signature_alg alg, const struct key *key, struct span message,
                          struct span signature)
{
    const uint8_t *bytes = (const uint8_t *)signature.ptr;
    uint8_t der[DER_MAX];
    size_t len = signature.len;

    if (alg == SIGNATURE_RS256 && len != (size_t)EVP_PKEY_get_size(key->pkey))
        return false;
    if (alg != SIGNATURE_RS256 && len != (size_t)2 * PART)
        return false;
    if (alg == SIGNATURE_ES256) {
        len = to_der(signature, der);
        bytes = der;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = len > 0 && ctx && EVP_DigestVerifyInit(ctx, NULL, digest_for(alg), NULL, key->pkey) == 1 &&
                EVP_DigestVerify(ctx, bytes, len, (const uint8_t *)message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

bool signature_verify(enum signature_alg alg, const struct key *key, struct span message,
                      struct span signature)
{
    uint8_t wanted[DIGEST_LEN_MAX];

    if (!fits(alg, key))
        return false;
    if (alg != SIGNATURE_HS256)
        return verify_public(alg, key, message, signature);
    return signature.len == digest_len(DIGEST_SHA256) &&
           hmac_of(DIGEST_SHA256, key->secret, key->secret_len, message.ptr, message.len, NULL, wanted) ==
               0 &&
           equal_in_time(wanted, signature.ptr, signature.len);
}

static size_t sign_private(enum signature_alg alg, const struct key *key, struct span message, uint8_t *out)
{
    uint8_t der[DER_MAX];
    bool ecdsa = alg == SIGNATURE_ES256;
    size_t len = ecdsa ? sizeof der : SIGNATURE_LEN_MAX;

    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, digest_for(alg), NULL, key->pkey) != 1 ||
        EVP_DigestSign(ctx, ecdsa ? der : out, &len, (const uint8_t *)message.ptr, message.len) != 1)
        len = 0;
    EVP_MD_CTX_free(ctx);
    if (ecdsa && len > 0)
        len = from_der(der, len, out);
    ERR_clear_error();
    return verify_public(alg, key, message, (struct span){(const char *)out, len}) ? len : 0;
}

size_t signature_make(enum signature_alg alg, const struct key *key, struct span message, uint8_t *out)
{
    if (!fits(alg, key) || !key->private)
        return 0;
    if (alg != SIGNATURE_HS256)
        return sign_private(alg, key, message, out);
    if (hmac_of(DIGEST_SHA256, key->secret, key->secret_len, message.ptr, message.len, NULL, out) != 0)
        return 0;
    return digest_len(DIGEST_SHA256);
}
