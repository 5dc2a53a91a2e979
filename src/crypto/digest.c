/* Digests out of OpenSSL. What it knows of each is fetched once for the process: fetching takes longer than the
 * digest of a short text. */
#include "crypto/digest.h"

#include "base/check.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#define PIECE ((size_t)128 * 1024) /* bytes between two questions whether to stop */

static const struct {
    const char *name;  /* ours */
    const char *fetch; /* OpenSSL's */
    size_t len;
} digests[DIGESTS] = {[DIGEST_SHA1] = {"sha1", "SHA1", 20},
                      [DIGEST_SHA256] = {"sha256", "SHA256", 32},
                      [DIGEST_SHA384] = {"sha384", "SHA384", 48},
                      [DIGEST_SHA512] = {"sha512", "SHA512", 64}};

static struct {
    EVP_MD *digests[DIGESTS];
    EVP_MAC *hmac;
} fetched;

static void fetch_all(void)
{
    for (int i = 0; i < DIGESTS; i++)
        CHECK((fetched.digests[i] = EVP_MD_fetch(NULL, digests[i].fetch, NULL)) != NULL);
    CHECK((fetched.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL)) != NULL);
}

static void fetch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, fetch_all) == 0);
}

int digest_named(const char *name)
{
    for (int i = 0; i < DIGESTS; i++) {
        if (strcmp(digests[i].name, name) == 0)
            return i;
    }
    return -1;
}

size_t digest_len(enum digest digest)
{
    return digests[digest].len;
}

int digest_of(enum digest digest, const void *data, size_t len, digest_stop stop, uint8_t *out)
{
    const uint8_t *at = data;
    int rc = 0;

    fetch();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestInit_ex2(ctx, fetched.digests[digest], NULL) != 1)
        rc = -ENOMEM;
    while (rc == 0 && len > 0) {
        size_t piece = len < PIECE ? len : PIECE;
        if (EVP_DigestUpdate(ctx, at, piece) != 1)
            rc = -ENOMEM;
        at += piece;
        len -= piece;
        if (rc == 0 && len > 0 && stop && stop())
            rc = -ECANCELED;
    }
    if (rc == 0 && EVP_DigestFinal_ex(ctx, out, NULL) != 1)
        rc = -ENOMEM;
    EVP_MD_CTX_free(ctx);
    return rc;
}

int hmac_of(enum digest digest, const void *key, size_t key_len, const void *data, size_t len,
            digest_stop stop, uint8_t *out)
{
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                            (char *)digests[digest].fetch, 0),
                           OSSL_PARAM_construct_end()};
    const uint8_t *at = data;
    int rc = 0;

    fetch();
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(fetched.hmac);
    /* an empty key is one of zeros; a NULL pointer would mean the key of before */
    if (!ctx || EVP_MAC_init(ctx, key_len > 0 ? key : (const void *)"", key_len, params) != 1)
        rc = -ENOMEM;
    while (rc == 0 && len > 0) {
        size_t piece = len < PIECE ? len : PIECE;
        if (EVP_MAC_update(ctx, at, piece) != 1)
            rc = -ENOMEM;
        at += piece;
        len -= piece;
        if (rc == 0 && len > 0 && stop && stop())
            rc = -ECANCELED;
    }
    if (rc == 0 && EVP_MAC_final(ctx, out, NULL, DIGEST_LEN_MAX) != 1)
        rc = -ENOMEM;
    EVP_MAC_CTX_free(ctx);
    return rc;
}

bool equal_in_time(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
