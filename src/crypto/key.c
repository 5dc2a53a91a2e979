/* Keys out of everything but JWK (key_jwk.c), and what is asked of each. */
#include "crypto/key.h"

#include "crypto/encoding.h"
#include "crypto/private.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

#define RSA_BITS_MIN 2048 /* RFC 7518 §3.3 */
#define RSA_BITS_MAX 8192 /* beyond, a verification takes long */

static const char no_memory[] = "not enough memory for the key";

static bool starts_with(struct span text, struct span with)
{
    return text.len >= with.len && memcmp(text.ptr, with.ptr, with.len) == 0;
}

void key_fini(struct key *key)
{
    if (key->secret)
        OPENSSL_cleanse(key->secret, key->secret_len);
    free(key->secret);
    EVP_PKEY_free(key->pkey);
    *key = (struct key){0};
}

/* ---- what is asked of a key ---- */

/* With an exponent of 1, or an even one, anybody could sign. */
static bool exponent_is_sound(const EVP_PKEY *pkey)
{
    BIGNUM *e = NULL;

    bool sound = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) && !BN_is_one(e);
    BN_free(e);
    return sound;
}

static const char *judge_rsa(const EVP_PKEY *pkey)
{
    int bits = EVP_PKEY_get_bits(pkey);

    if (bits < RSA_BITS_MIN)
        return "an RSA key has 2048 bits at least";
    if (bits > RSA_BITS_MAX)
        return "an RSA key has 8192 bits at most";
    return exponent_is_sound(pkey) ? NULL : "the exponent of the RSA key is not an odd number above 1";
}

static const char *judge_ec(EVP_PKEY *pkey)
{
    char name[80];
    size_t len;

    if (EVP_PKEY_get_group_name(pkey, name, sizeof name, &len) != 1 || strcmp(name, "prime256v1") != 0)
        return "the curve of the key is not P-256";
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool good = ctx && EVP_PKEY_public_check_quick(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good ? NULL : "the key's point is not on the curve P-256";
}

const char *key_adopt(struct key *key, EVP_PKEY *pkey, bool private)
{
    const char *problem = NULL;

    *key = (struct key){.private = private, .pkey = pkey};
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        key->type = KEY_RSA;
        problem = judge_rsa(pkey);
        break;
    case EVP_PKEY_EC:
        key->type = KEY_P256;
        problem = judge_ec(pkey);
        break;
    case EVP_PKEY_ED25519: key->type = KEY_ED25519; break;
    default: problem = "the key is neither RSA nor P-256 nor Ed25519"; break;
    }
    ERR_clear_error();
    if (problem)
        key_fini(key);
    return problem;
}

/* ---- secrets ---- */

/* Is this all of one public key, or a certificate, in DER? */
static bool is_der(const uint8_t *data, size_t len)
{
    const uint8_t *at = data;

    if (len < 2 || len > 64 * 1024 || data[0] != 0x30) /* a SEQUENCE */
        return false;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)len);
    if (!pkey) {
        at = data;
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)len);
    }
    X509 *certificate = NULL;
    if (!pkey) {
        at = data;
        certificate = d2i_X509(NULL, &at, (long)len);
    }
    bool is = (pkey || certificate) && at == data + len;
    EVP_PKEY_free(pkey);
    X509_free(certificate);
    ERR_clear_error();
    return is;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The same behind base64 or base64url, lines or not. */
static bool is_base64_of_der(struct span text)
{
    size_t n = 0, len;

    while (text.len > 0 && is_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    if (text.len < 40 || text.len > 64 * 1024 || text.ptr[0] != 'M') /* 0x30 begins so */
        return false;
    char *digits = malloc(text.len);
    uint8_t *data = malloc(encoding_bytes_max(ENCODING_BASE64URL, text.len));
    bool is = false;
    if (digits && data) {
        for (size_t i = 0; i < text.len; i++) {
            char c = text.ptr[i];
            if (!is_blank(c) && c != '=')
                digits[n++] = (char)(c == '+' ? '-' : c == '/' ? '_' : c);
        }
        is = !encoding_read(ENCODING_BASE64URL, digits, n, data, &len) && is_der(data, len);
    }
    free(digits);
    free(data);
    return is;
}

static bool is_openssh(struct span text)
{
    static const char *const begins[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"};

    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        if (starts_with(text, span_of(begins[i])))
            return true;
    }
    return false;
}

const char *key_from_secret(struct key *key, struct span secret)
{
    *key = (struct key){0};
    if (secret.len == 0)
        return "the secret is empty";
    if (key_is_pem(secret) || is_openssh(secret) || is_der((const uint8_t *)secret.ptr, secret.len) ||
        is_base64_of_der(secret))
        return "a public key is no secret; give it as PEM or JWK";
    key->secret = malloc(secret.len);
    if (!key->secret)
        return no_memory;
    memcpy(key->secret, secret.ptr, secret.len);
    key->secret_len = secret.len;
    key->type = KEY_SECRET;
    key->private = true;
    return NULL;
}

/* ---- PEM ---- */

static const struct span begin = {"-----BEGIN ", 11};

bool key_is_pem(struct span text)
{
    return memmem(text.ptr, text.len, begin.ptr, begin.len) != NULL;
}

/* Nobody is there to be asked. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's */
static int no_password(char *buffer, int size, int writes, void *data)
{
    (void)buffer;
    (void)size;
    (void)writes;
    (void)data;
    return -1;
}

static EVP_PKEY *read_public(BIO *bio)
{
    return PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
}

static EVP_PKEY *read_private(BIO *bio)
{
    return PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
}

static EVP_PKEY *read_certificate(BIO *bio)
{
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return pkey;
}

/* The old form of RSA's public keys: PKCS #1 without an algorithm around it. */
static EVP_PKEY *read_rsa_public(BIO *bio)
{
    EVP_PKEY *pkey = NULL;
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long len;

    if (PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
        const unsigned char *at = data;
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, len);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    return pkey;
}

static const struct {
    const char *label; /* behind "-----BEGIN " */
    bool private;
    EVP_PKEY *(*read)(BIO *bio);
} blocks[] = {
    {"PUBLIC KEY-----", false, read_public},       {"RSA PUBLIC KEY-----", false, read_rsa_public},
    {"CERTIFICATE-----", false, read_certificate}, {"PRIVATE KEY-----", true, read_private},
    {"RSA PRIVATE KEY-----", true, read_private},  {"EC PRIVATE KEY-----", true, read_private},
};

const char *key_from_pem(struct key *key, struct span pem)
{
    struct span rest = pem;

    *key = (struct key){0};
    for (;;) {
        const char *found = memmem(rest.ptr, rest.len, begin.ptr, begin.len);
        if (!found)
            return "that is no PEM";
        size_t skipped = (size_t)(found - rest.ptr) + begin.len;
        rest.ptr += skipped;
        rest.len -= skipped;
        if (!starts_with(rest, SPAN("EC PARAMETERS-----"))) /* which may stand in front of a key */
            break;
    }
    if (starts_with(rest, SPAN("ENCRYPTED")))
        return "the key is encrypted; give it without a password";
    if (rest.len > INT_MAX - begin.len)
        return "the PEM is too long";
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (!starts_with(rest, span_of(blocks[i].label)))
            continue;
        BIO *bio = BIO_new_mem_buf(rest.ptr - begin.len, (int)(rest.len + begin.len));
        EVP_PKEY *pkey = bio ? blocks[i].read(bio) : NULL;
        BIO_free(bio);
        ERR_clear_error();
        if (pkey)
            return key_adopt(key, pkey, blocks[i].private);
        if (memmem(rest.ptr, rest.len, "Proc-Type: 4,ENCRYPTED", 22))
            return "the key is encrypted; give it without a password";
        return memmem(rest.ptr, rest.len, "\\n", 2) ? "the PEM has \\n as two characters where a line ends"
                                                    : "the PEM is damaged";
    }
    return "this kind of PEM is no key that signs";
}

/* ---- raw ---- */

const char *key_from_ed25519(struct key *key, struct span raw, bool private)
{
    *key = (struct key){0};
    if (raw.len != KEY_ED25519_LEN)
        return "a raw key of Ed25519 has 32 bytes";
    const uint8_t *bytes = (const uint8_t *)raw.ptr;
    EVP_PKEY *pkey = private ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, raw.len)
                             : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, raw.len);
    return pkey ? key_adopt(key, pkey, private) : no_memory;
}
