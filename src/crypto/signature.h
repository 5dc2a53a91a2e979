/* Signatures, as JOSE names and writes them (RFC 7518 §3, RFC 8037 §3.1). */
#pragma once

#include "base/span.h"
#include "crypto/key.h"

enum signature_alg {
    SIGNATURE_HS256, /* HMAC with SHA-256; 32 bytes */
    SIGNATURE_RS256, /* RSASSA-PKCS1-v1_5 with SHA-256; as long as the key's modulus */
    SIGNATURE_ES256, /* ECDSA with P-256 and SHA-256; r and s, 32 bytes each, big-endian */
    SIGNATURE_EDDSA, /* Ed25519 (RFC 8032); 64 bytes */
    SIGNATURE_ALGS
};

#define SIGNATURE_LEN_MAX 1024

/* "HS256", "RS256", "ES256", "EdDSA", in this spelling. -1: there is none of this name. */
int signature_named(struct span name);
const char *signature_name(enum signature_alg alg);

/* The one that keys of this type are for. Not for KEY_NONE. */
enum signature_alg signature_of_key(enum key_type type);

/* Did who has the key sign the message? False too when the key is for another algorithm. */
bool signature_verify(enum signature_alg alg, const struct key *key, struct span message,
                      struct span signature);

/* Writes at most SIGNATURE_LEN_MAX bytes and returns how many; 0: the key is for another algorithm or public, its two
 * halves don't belong together (what was made is verified), or there is no memory. */
size_t signature_make(enum signature_alg alg, const struct key *key, struct span message, uint8_t *out);
