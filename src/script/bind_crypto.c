/* crypto: randomness, digests, bytes as text, signatures of Ed25519. What is raw bytes is a string. crypto.jwt is
 * in bind_jwt.c. */
#include "script/bind.h"
#include "script/key_source.h"
#include "script/quota.h"

#include "base/random.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "crypto/signature.h"

#include <errno.h>

#define RANDOM_MAX 65536 /* bytes of one call; as much as a browser's getRandomValues gives */

/* crypto.randomUUID() → a random UUID in lower case */
static int crypto_random_uuid(lua_State *L)
{
    char uuid[UUID_LEN + 1];

    random_uuid(uuid);
    lua_pushlstring(L, uuid, UUID_LEN);
    return 1;
}

/* crypto.randomBytes(n) → n random bytes */
static int crypto_random_bytes(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);
    luaL_Buffer out;

    luaL_argcheck(L, n >= 0 && n <= RANDOM_MAX, 1, "from 0 to 65536 bytes");
    random_bytes(luaL_buffinitsize(L, &out, (size_t)n), (size_t)n);
    luaL_pushresultsize(&out, (size_t)n);
    return 1;
}

/* ---- digests ---- */

static bool is_late(void)
{
    return festa_lua_late != 0;
}

/* Pushes what was made of long data, unless the handler's time was over meanwhile. */
static int push_digest(lua_State *L, int rc, enum digest digest, const uint8_t *out)
{
    quota_poll();
    if (rc != 0)
        return luaL_error(L, rc == -ENOMEM ? "not enough memory" : "the digest was stopped");
    lua_pushlstring(L, (const char *)out, digest_len(digest));
    return 1;
}

static int digest_argument(lua_State *L, enum digest digest)
{
    uint8_t out[DIGEST_LEN_MAX];
    size_t len;
    const char *data = luaL_checklstring(L, 1, &len);

    return push_digest(L, digest_of(digest, data, len, is_late, out), digest, out);
}

static int crypto_sha1(lua_State *L)
{
    return digest_argument(L, DIGEST_SHA1);
}

static int crypto_sha256(lua_State *L)
{
    return digest_argument(L, DIGEST_SHA256);
}

static int crypto_sha384(lua_State *L)
{
    return digest_argument(L, DIGEST_SHA384);
}

static int crypto_sha512(lua_State *L)
{
    return digest_argument(L, DIGEST_SHA512);
}

/* crypto.hmac(alg, key, data) → digest */
static int crypto_hmac(lua_State *L)
{
    uint8_t out[DIGEST_LEN_MAX];
    size_t key_len, len;
    int digest = digest_named(luaL_checkstring(L, 1));
    const char *key = luaL_checklstring(L, 2, &key_len);
    const char *data = luaL_checklstring(L, 3, &len);

    if (digest < 0)
        luaL_argerror(L, 1,
                      lua_pushfstring(L, "no algorithm \"%s\"; there are sha1, sha256, sha384 and sha512",
                                      bind_quote(lua_tostring(L, 1)).text));
    int rc = hmac_of((enum digest)digest, key, key_len, data, len, is_late, out);
    return push_digest(L, rc, (enum digest)digest, out);
}

/* crypto.timingSafeEqual(a, b): are the two strings the same? nil is the same as nothing, not even nil. */
static int crypto_timing_safe_equal(lua_State *L)
{
    size_t a_len = 0, b_len = 0;
    const char *a = lua_isnoneornil(L, 1) ? NULL : luaL_checklstring(L, 1, &a_len);
    const char *b = lua_isnoneornil(L, 2) ? NULL : luaL_checklstring(L, 2, &b_len);

    lua_pushboolean(L, a && b && a_len == b_len && equal_in_time(a, b, a_len));
    return 1;
}

/* ---- bytes as text ---- */

static int encode_argument(lua_State *L, enum encoding encoding)
{
    size_t len;
    const char *data = luaL_checklstring(L, 1, &len);
    size_t text_len = encoding_text_len(encoding, len);
    luaL_Buffer out;

    quota_poll();
    encoding_write(encoding, data, len, luaL_buffinitsize(L, &out, text_len));
    luaL_pushresultsize(&out, text_len);
    return 1;
}

static int decode_argument(lua_State *L, enum encoding encoding)
{
    size_t len, bytes_len;
    const char *text = luaL_checklstring(L, 1, &len);
    luaL_Buffer out;

    quota_poll();
    uint8_t *bytes = (uint8_t *)luaL_buffinitsize(L, &out, encoding_bytes_max(encoding, len));
    const char *problem = encoding_read(encoding, text, len, bytes, &bytes_len);
    if (problem) {
        lua_pushnil(L);
        lua_pushstring(L, problem);
        return 2;
    }
    luaL_pushresultsize(&out, bytes_len);
    return 1;
}

static int base64_encode(lua_State *L)
{
    return encode_argument(L, ENCODING_BASE64);
}

static int base64_decode(lua_State *L)
{
    return decode_argument(L, ENCODING_BASE64);
}

static int base64url_encode(lua_State *L)
{
    return encode_argument(L, ENCODING_BASE64URL);
}

static int base64url_decode(lua_State *L)
{
    return decode_argument(L, ENCODING_BASE64URL);
}

static int hex_encode(lua_State *L)
{
    return encode_argument(L, ENCODING_HEX);
}

static int hex_decode(lua_State *L)
{
    return decode_argument(L, ENCODING_HEX);
}

/* ---- Ed25519 ---- */

/* Opens the key at arg, into zeroed memory: 32 bytes, PEM or a JWK. Raises, and then there is none; whoever has it must not raise until
 * it is ended. */
static void open_ed25519(lua_State *L, int arg, bool private, struct key *key)
{
    struct key_source source = {0};
    const char *problem;

    if (lua_type(L, arg) == LUA_TSTRING)
        key_source_text(L, arg, &source);
    if (source.span.len == KEY_ED25519_LEN) { /* PEM and JSON are longer */
        problem = key_from_ed25519(key, source.span, private);
    } else {
        enum key_given given = key_given(L, arg);
        if (given == KEY_GIVEN_JWK)
            key_source_jwk(L, arg, private, &source);
        if (given == KEY_GIVEN_JWKS || (given == KEY_GIVEN_TEXT && !key_is_pem(source.span)))
            problem = "a key of Ed25519 is 32 raw bytes, PEM or a JWK";
        else
            problem = key_source_open(&source, key);
    }
    if (!problem && key->type != KEY_ED25519)
        problem = "the key is not one of Ed25519";
    else if (!problem && private && !key->private)
        problem = "the key is a public one; signing takes the private one";
    if (problem) {
        key_fini(key);
        luaL_argerror(L, arg, problem);
    }
}

/* crypto.ed25519.verify(signature, message, publicKey) → boolean */
static int ed25519_verify(lua_State *L)
{
    struct span signature = {0}, message;
    struct key key = {0};

    if (!lua_isnoneornil(L, 1))
        signature.ptr = luaL_checklstring(L, 1, &signature.len);
    message.ptr = luaL_checklstring(L, 2, &message.len);
    lua_settop(L, 3);
    open_ed25519(L, 3, false, &key);
    bool good = signature.ptr && signature_verify(SIGNATURE_EDDSA, &key, message, signature);
    key_fini(&key);
    lua_pushboolean(L, good);
    return 1;
}

/* crypto.ed25519.sign(message, privateKey) → signature */
static int ed25519_sign(lua_State *L)
{
    uint8_t out[SIGNATURE_LEN_MAX];
    struct span message;
    struct key key = {0};

    message.ptr = luaL_checklstring(L, 1, &message.len);
    lua_settop(L, 2);
    open_ed25519(L, 2, true, &key);
    size_t len = signature_make(SIGNATURE_EDDSA, &key, message, out);
    key_fini(&key);
    if (len == 0)
        return luaL_error(L, "not enough memory");
    lua_pushlstring(L, (const char *)out, len);
    return 1;
}

/* ---- the tables ---- */

static const luaL_Reg base64_functions[] = {{"decode", base64_decode},
                                            {"encode", base64_encode},
                                            {NULL, NULL}};
static const luaL_Reg base64url_functions[] = {{"decode", base64url_decode},
                                               {"encode", base64url_encode},
                                               {NULL, NULL}};
static const luaL_Reg hex_functions[] = {{"decode", hex_decode}, {"encode", hex_encode}, {NULL, NULL}};
static const luaL_Reg ed25519_functions[] = {{"sign", ed25519_sign},
                                             {"verify", ed25519_verify},
                                             {NULL, NULL}};

const struct bind_table crypto_tables[] = {{"base64", base64_functions}, {"base64url", base64url_functions},
                                           {"hex", hex_functions},       {"ed25519", ed25519_functions},
                                           {"jwt", jwt_functions},       {NULL, NULL}};

const char *const crypto_values[] = {"base64", "base64url", "hex", "ed25519", "jwt", NULL};

bool crypto_value(lua_State *L, const char *key)
{
    for (const struct bind_table *table = crypto_tables; table->name; table++) {
        if (strcmp(table->name, key) == 0) {
            lua_createtable(L, 0, 2);
            luaL_setfuncs(L, table->functions, 0);
            return true;
        }
    }
    return false;
}

const luaL_Reg crypto_functions[] = {
    {"hmac", crypto_hmac},
    {"randomBytes", crypto_random_bytes},
    {"randomUUID", crypto_random_uuid},
    {"sha1", crypto_sha1},
    {"sha256", crypto_sha256},
    {"sha384", crypto_sha384},
    {"sha512", crypto_sha512},
    {"timingSafeEqual", crypto_timing_safe_equal},
    {NULL, NULL},
};
