/* Keys: secrets for HMAC, and public or private ones of RSA, P-256 and Ed25519, out of PEM, JWK (RFC 7517, 7518 §6,
 * 8037 §2) or raw bytes.
 *
 * A key has one type, and each type one algorithm that it signs with: whoever asks a key about another algorithm is
 * refused, so a public key can't come to be a secret of HMAC. */
#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

enum key_type {
    KEY_NONE,
    KEY_SECRET,
    KEY_RSA,  /* of 2048 to 8192 bits */
    KEY_P256, /* the curve's other names: prime256v1, secp256r1 */
    KEY_ED25519,
};

#define KEY_ED25519_LEN 32 /* bytes of a raw public key, and of a raw private one (RFC 8032 §5.1.5) */

struct key {
    enum key_type type;
    bool private;             /* it can sign; a secret always can */
    struct evp_pkey_st *pkey; /* owned; NULL for a secret */
    uint8_t *secret;          /* owned, wiped when it goes */
    size_t secret_len;
};

/* What reads a key returns NULL and fills *key, or says what is wrong, a constant; then *key is KEY_NONE. Whoever
 * has a key ends it with key_fini, which accepts KEY_NONE. */

/* Any bytes but none at all. Refused is what is a public key in another guise (DER, PEM, its base64 alone, a line
 * of OpenSSH): somebody else knows it. */
const char *key_from_secret(struct key *key, struct span secret) __attribute__((warn_unused_result));

#define KEY_PEM_MAX (64 * 1024) /* bytes of a text with a PEM block in it */

/* One PEM block: PUBLIC KEY, RSA PUBLIC KEY, CERTIFICATE (its key; the certificate itself is not checked),
 * PRIVATE KEY, RSA PRIVATE KEY, EC PRIVATE KEY. What is encrypted is refused. */
const char *key_from_pem(struct key *key, struct span pem) __attribute__((warn_unused_result));

/* Does the text have the first line of a PEM block? */
bool key_is_pem(struct span text);

/* 32 bytes. */
const char *key_from_ed25519(struct key *key, struct span raw, bool private)
    __attribute__((warn_unused_result));

/* The members of a JWK that make the key; those that it doesn't have are NULL. Text as it is in the JSON. */
struct jwk {
    struct span kty, crv;
    struct span k;                      /* oct */
    struct span n, e, p, q, dp, dq, qi; /* RSA */
    struct span x, y;                   /* EC, OKP */
    struct span d;                      /* the private part of all but oct */
};

const char *key_from_jwk(struct key *key, const struct jwk *jwk) __attribute__((warn_unused_result));

void key_fini(struct key *key);
