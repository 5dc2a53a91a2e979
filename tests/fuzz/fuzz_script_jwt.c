/* Tokens in a real VM. The first line is the token, with its signature or, behind "!", to be signed by us; a second
 * one, if there is one, is the key. What nobody signed is never claims, with whatever key, and nothing but a bad key
 * raises. */
#include "../unit/script_driver.h"

#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "script/bind.h"

#include <lauxlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "a secret that no input has, of random letters: gmwXkq0pVtRz"

static const char rsa[] = "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
                          "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
                          "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
                          "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5"
                          "z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_"
                          "I5IhlJH7aGhyxXFvUK-DWNmoudF8N"
                          "Aco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}";

struct input {
    struct span token, key;
    bool sign;
};

/* Pushes what verify makes of the token at 2 and this key; true: claims. */
static bool verify(lua_State *L, struct span key, bool may_raise)
{
    lua_getglobal(L, "crypto");
    lua_getfield(L, -1, "jwt");
    lua_getfield(L, -1, "verify");
    lua_pushvalue(L, 2);
    lua_pushlstring(L, key.ptr, key.len);
    int rc = lua_pcall(L, 2, 2, 0);
    if (rc != LUA_OK) {
        if (!may_raise)
            abort();
        lua_settop(L, 2);
        return false;
    }
    bool claims = lua_istable(L, -2);
    if (!claims && !(lua_isnil(L, -2) && lua_isstring(L, -1)))
        abort();
    lua_settop(L, 2);
    return claims;
}

static int run(lua_State *L)
{
    const struct input *input = lua_touserdata(L, 1);
    char signature[44] = {'.'};
    uint8_t digest[DIGEST_LEN_MAX];

    lua_pushlstring(L, input->token.ptr, input->token.len);
    if (input->sign) {
        if (hmac_of(DIGEST_SHA256, SECRET, strlen(SECRET), input->token.ptr, input->token.len, NULL,
                    digest) != 0)
            abort();
        encoding_write(ENCODING_BASE64URL, digest, digest_len(DIGEST_SHA256), signature + 1);
        lua_pushlstring(L, signature, sizeof signature);
        lua_concat(L, 2);
    }
    bool good = verify(L, SPAN(SECRET), false);
    if (good && !input->sign)
        abort();
    if (verify(L, SPAN("another secret"), false) || (input->sign && verify(L, span_of(rsa), false)))
        abort();
    (void)verify(L, span_of(rsa), false);
    if (input->key.ptr && verify(L, input->key, true) && input->sign &&
        !memmem(input->key.ptr, input->key.len, SECRET, strlen(SECRET)))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct script_driver driver;
    const char *text = (const char *)data;
    const char *newline = size ? memchr(text, '\n', size) : NULL;
    size_t len = newline ? (size_t)(newline - text) : size;
    struct input input = {.token = {text, len}};

    if (newline)
        input.key = (struct span){newline + 1, size - len - 1};
    if (len > 0 && text[0] == '!') {
        input.sign = true;
        input.token.ptr++;
        input.token.len--;
    }
    if (!driver.script.project)
        script_driver_init(&driver, NULL);
    if (script_driver_run(&driver, run, &input) != 0)
        abort();
    return 0;
}
