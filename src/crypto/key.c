/* Keys out of everything but JWK (key_jwk.c), and what is asked of each. */
#include "crypto/key.h"

#include "crypto/encoding.h"
#include "crypto/private.h"

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

#define RSA_BITS_MIN 2048 /* RFC 7518 §3.3 */
#define RSA_BITS_MAX 8192 /* beyond, a verification takes long */

static const char no_memory[] = "not enough memory for the key";
static const char other_type[] = "the key is neither RSA nor P-256 nor Ed25519";
static const char other_curve[] = "the curve of the key is not P-256";

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

/* Of a private key no number is larger than the modulus; to sign would take as long as they are. One that is not there
 * is none too many. */
static bool numbers_are_small(const EVP_PKEY *pkey, int bits)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    bool small = true;

    for (size_t i = 0; i < sizeof names / sizeof *names && small; i++) {
        BIGNUM *number = NULL;
        if (EVP_PKEY_get_bn_param(pkey, names[i], &number) == 1)
            small = BN_num_bits(number) <= bits;
        BN_clear_free(number);
    }
    return small;
}

static bool has_two_factors(const EVP_PKEY *pkey)
{
    BIGNUM *third = NULL;
    bool two = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR3, &third) != 1;

    BN_clear_free(third);
    return two;
}

static const char *judge_rsa(const EVP_PKEY *pkey)
{
    int bits = EVP_PKEY_get_bits(pkey);

    if (bits < RSA_BITS_MIN)
        return "an RSA key has 2048 bits at least";
    if (bits > RSA_BITS_MAX)
        return "an RSA key has 8192 bits at most";
    if (!exponent_is_sound(pkey))
        return "the exponent of the RSA key is not an odd number above 1";
    if (!numbers_are_small(pkey, bits))
        return "a number of the RSA key is larger than its modulus";
    return has_two_factors(pkey) ? NULL : "an RSA key has two prime factors";
}

static const char *judge_ec(EVP_PKEY *pkey)
{
    char name[80];
    size_t len;

    if (EVP_PKEY_get_group_name(pkey, name, sizeof name, &len) != 1 || strcmp(name, "prime256v1") != 0)
        return other_curve;
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
    default: problem = other_type; break;
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
    return text.len > 0 && memmem(text.ptr, text.len, begin.ptr, begin.len) != NULL;
}

/* The algorithm of a key, and its curve. To make keys of others takes OpenSSL as long as their numbers are large:
 * it computes the public one of DSA and DH. So it is not asked to. */
static const char *judge_algorithm(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    const void *parameter;
    int type;

    X509_ALGOR_get0(&object, &type, &parameter, algorithm);
    switch (OBJ_obj2nid(object)) {
    case NID_rsaEncryption:
    case NID_ED25519: return NULL;
    case NID_X9_62_id_ecPublicKey: /* a curve that is written out would be computed with as well */
        return type == V_ASN1_OBJECT && OBJ_obj2nid(parameter) == NID_X9_62_prime256v1 ? NULL : other_curve;
    default: return other_type;
    }
}

/* What reads a block's DER leaves a key, or NULL with what is wrong if there is more to say than that it's damaged. */

static EVP_PKEY *read_public(const uint8_t *der, long len, const char **problem)
{
    const uint8_t *at = der;
    long inside;
    int tag, class;

    /* not X509_PUBKEY, which has made the key when it is read */
    if (ASN1_get_object(&at, &inside, &tag, &class, len) & 0x80)
        return NULL;
    X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &at, der + len - at);
    if (!algorithm)
        return NULL;
    *problem = judge_algorithm(algorithm);
    X509_ALGOR_free(algorithm);
    return *problem ? NULL : d2i_PUBKEY(NULL, &der, len);
}

static EVP_PKEY *read_private(const uint8_t *der, long len, const char **problem)
{
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, len);
    const X509_ALGOR *algorithm;
    EVP_PKEY *pkey = NULL;

    if (info && PKCS8_pkey_get0(NULL, NULL, NULL, &algorithm, info) == 1) {
        *problem = judge_algorithm(algorithm);
        pkey = *problem ? NULL : EVP_PKCS82PKEY(info);
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return pkey;
}

/* The forms that are older than PKCS #8 have no algorithm in them. type: the only one that this may be, which
 * d2i_PrivateKey would take for a hint. */
static EVP_PKEY *read_typed(const char *type, const uint8_t *der, long len)
{
    EVP_PKEY *pkey = NULL;
    size_t size = (size_t)len;

    OSSL_DECODER_CTX *ctx = OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", "type-specific", type,
                                                          OSSL_KEYMGMT_SELECT_PRIVATE_KEY, NULL, NULL);
    if (!ctx || OSSL_DECODER_from_data(ctx, &der, &size) != 1)
        pkey = NULL;
    OSSL_DECODER_CTX_free(ctx);
    return pkey;
}

static EVP_PKEY *read_rsa_private(const uint8_t *der, long len, const char **problem)
{
    (void)problem;
    return read_typed("RSA", der, len);
}

/* A curve that is written out has at most 661 bits (OpenSSL's bound). */
static EVP_PKEY *read_ec_private(const uint8_t *der, long len, const char **problem)
{
    (void)problem;
    return read_typed("EC", der, len);
}

/* Its key is made before it can be asked for its algorithm; of a public one nothing is computed. */
static EVP_PKEY *read_certificate(const uint8_t *der, long len, const char **problem)
{
    (void)problem;
    X509 *certificate = d2i_X509(NULL, &der, len);
    EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return pkey;
}

/* The old form of RSA's public keys: PKCS #1 without an algorithm around it. */
static EVP_PKEY *read_rsa_public(const uint8_t *der, long len, const char **problem)
{
    (void)problem;
    return d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, len);
}

static const struct block {
    const char *label; /* behind "-----BEGIN " */
    bool private;
    EVP_PKEY *(*read)(const uint8_t *der, long len, const char **problem);
} blocks[] = {
    {"PUBLIC KEY", false, read_public},          {"RSA PUBLIC KEY", false, read_rsa_public},
    {"CERTIFICATE", false, read_certificate},    {"PRIVATE KEY", true, read_private},
    {"RSA PRIVATE KEY", true, read_rsa_private}, {"EC PRIVATE KEY", true, read_ec_private},
};

static EVP_PKEY *read_block(const struct block *block, struct span text, const char **problem)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    EVP_PKEY *pkey = NULL;
    long len;

    BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    if (bio && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
        if (strcmp(name, block->label) == 0 && *header == '\0') /* which says how it is encrypted */
            pkey = block->read(der, len, problem);
        OPENSSL_clear_free(der, (size_t)len);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(bio);
    return pkey;
}

static bool has_label(struct span text, const char *label)
{
    size_t len = strlen(label);
    return starts_with(text, (struct span){label, len}) &&
           starts_with((struct span){text.ptr + len, text.len - len}, SPAN("-----"));
}

const char *key_from_pem(struct key *key, struct span pem)
{
    struct span rest = {pem.ptr ? pem.ptr : "", pem.len};
    const char *problem = NULL;

    *key = (struct key){0};
    if (pem.len > KEY_PEM_MAX)
        return "the PEM has more than 64 KiB";
    for (;;) {
        const char *found = memmem(rest.ptr, rest.len, begin.ptr, begin.len);
        if (!found)
            return "that is no PEM";
        size_t skipped = (size_t)(found - rest.ptr) + begin.len;
        rest.ptr += skipped;
        rest.len -= skipped;
        if (!has_label(rest, "EC PARAMETERS")) /* which may stand in front of a key */
            break;
    }
    if (starts_with(rest, SPAN("ENCRYPTED")))
        return "the key is encrypted; give it without a password";
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (!has_label(rest, blocks[i].label))
            continue;
        EVP_PKEY *pkey =
            read_block(&blocks[i], (struct span){rest.ptr - begin.len, rest.len + begin.len}, &problem);
        ERR_clear_error();
        if (pkey)
            return key_adopt(key, pkey, blocks[i].private);
        if (problem)
            return problem;
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
