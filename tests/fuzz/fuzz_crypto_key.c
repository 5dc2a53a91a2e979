/* Any bytes as PEM, as a secret, as a raw key, as the members of a JWK (one a line: "n=…"). What is read as a key has
 * one algorithm, and only a secret has HMAC; what it signs it verifies, and a bit more or less it does not. */
#include "crypto/encoding.h"
#include "crypto/signature.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void use(const char *problem, struct key *key, bool secret)
{
    uint8_t made[SIGNATURE_LEN_MAX];

    must((problem == NULL) == (key->type != KEY_NONE));
    if (problem) {
        must(*problem && !key->pkey && !key->secret && !key->private);
        return;
    }
    must((key->type == KEY_SECRET) == secret && (key->secret != NULL) == secret &&
         (key->pkey != NULL) == !secret);
    enum signature_alg alg = signature_of_key(key->type);
    must((alg == SIGNATURE_HS256) == secret);
    struct span signature = {(char *)made, signature_make(alg, key, SPAN("text"), made)};
    must(key->private || signature.len == 0);
    if (signature.len > 0) {
        must(signature_verify(alg, key, SPAN("text"), signature));
        must(!signature_verify(alg, key, SPAN("Text"), signature));
        made[signature.len / 2] ^= 1;
        must(!signature_verify(alg, key, SPAN("text"), signature));
    }
    for (int other = 0; other < SIGNATURE_ALGS; other++) {
        if (other != (int)alg)
            must(signature_make((enum signature_alg)other, key, SPAN("text"), made) == 0);
    }
    key_fini(key);
}

static void members(struct span text, struct jwk *jwk)
{
    const struct {
        const char *name;
        struct span *value;
    } all[] = {{"kty", &jwk->kty}, {"crv", &jwk->crv}, {"k", &jwk->k},   {"n", &jwk->n},   {"e", &jwk->e},
               {"p", &jwk->p},     {"q", &jwk->q},     {"dp", &jwk->dp}, {"dq", &jwk->dq}, {"qi", &jwk->qi},
               {"x", &jwk->x},     {"y", &jwk->y},     {"d", &jwk->d}};

    while (text.len > 0) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.ptr) : text.len;
        const char *equals = memchr(text.ptr, '=', len);
        for (size_t i = 0; equals && i < sizeof all / sizeof *all; i++) {
            if (span_equal((struct span){text.ptr, (size_t)(equals - text.ptr)}, span_of(all[i].name)))
                *all[i].value = (struct span){equals + 1, len - (size_t)(equals + 1 - text.ptr)};
        }
        len += newline != NULL;
        text.ptr += len;
        text.len -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct jwk jwk = {0};
    struct key key;

    use(key_from_pem(&key, text), &key, false);
    use(key_from_secret(&key, text), &key, true);
    use(key_from_ed25519(&key, text, false), &key, false);
    use(key_from_ed25519(&key, text, true), &key, false);
    members(text, &jwk);
    use(key_from_jwk(&key, &jwk), &key, span_equal(jwk.kty, SPAN("oct")));
    return 0;
}
