/* crypto.jwt: JSON Web Tokens (RFC 7519), signed ones (RFC 7515). Here they are made; jwt_verify.c reads them. */
#include "script/bind.h"
#include "script/jwt.h"

#include "crypto/encoding.h"

#include <math.h>

#define SECONDS_MAX 1e11 /* in the year 5138; larger numbers are milliseconds */

/* ---- options ---- */

void jwt_check_options(lua_State *L, int arg, const char *const *names)
{
    if (lua_isnil(L, arg))
        return;
    luaL_checktype(L, arg, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
        bool known = false;
        for (size_t i = 0; names[i] && !known; i++)
            known = lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), names[i]) == 0;
        if (!known)
            luaL_argerror(L, arg,
                          lua_pushfstring(L, "no option %s here",
                                          bind_quote(lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2)
                                                                                    : "of this kind")
                                              .text));
    }
}

int jwt_push_field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

int jwt_push_option(lua_State *L, int arg, const char *name)
{
    if (!lua_isnil(L, arg))
        return jwt_push_field(L, arg, name);
    lua_pushnil(L);
    return LUA_TNIL;
}

unsigned jwt_alg_bit(lua_State *L, int arg)
{
    struct span name = {0};

    if (lua_type(L, -1) == LUA_TSTRING)
        name.ptr = lua_tolstring(L, -1, &name.len);
    int alg = name.ptr ? signature_named(name) : -1;
    if (alg < 0)
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "no algorithm %s; there are HS256, RS256, ES256 and EdDSA",
                                      bind_quote(name.ptr ? name.ptr : luaL_typename(L, -1)).text));
    return alg < 0 ? 0 : 1u << alg; /* the former raised */
}

/* ---- sign ---- */

/* Leaves the key of the JWKS at arg that signs in its place: the one with the kid of the options, or the only one. */
static void choose_key(lua_State *L, int arg, struct span kid)
{
    int chosen = 0;

    for (lua_Integer i = 1; key_push_element(L, arg, i); i++) {
        bool fits = lua_istable(L, -1) && (!kid.ptr || span_equal(kid, key_member(L, -1, "kid")));
        if (fits && chosen)
            luaL_argerror(L, arg, "the JWKS has several keys that could sign; name one by its kid");
        if (fits)
            chosen = lua_gettop(L);
        else
            lua_pop(L, 1);
    }
    if (!chosen)
        luaL_argerror(L, arg, kid.ptr ? "the JWKS has no key with this kid" : "the JWKS has no key");
    lua_replace(L, arg);
}

/* Raises for claims that are no object, and for times that are no seconds. */
static void check_claims(lua_State *L, int arg)
{
    static const char *const times[] = {"exp", "nbf", "iat"};

    luaL_checktype(L, arg, LUA_TTABLE);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int type = lua_getfield(L, arg, times[i]);
        if (type != LUA_TNIL && type != LUA_TNUMBER)
            luaL_argerror(L, arg, lua_pushfstring(L, "the claim %s is a number of seconds", times[i]));
        if (type == LUA_TNUMBER && fabs(lua_tonumber(L, -1)) > SECONDS_MAX)
            luaL_argerror(
                L, arg,
                lua_pushfstring(L, "the claim %s is in seconds since 1970: now() // 1000 + …, or os.time()",
                                times[i]));
        lua_pop(L, 1);
    }
}

/* Pushes the claims at arg as JSON. */
static void push_claims(lua_State *L, int arg)
{
    json_push(L, arg, false);
    const char *text = lua_tostring(L, -1);
    if (text[0] == '{')
        return;
    luaL_argcheck(L, strcmp(text, "[]") == 0, arg, "claims are a table with names");
    lua_pop(L, 1);
    lua_pushliteral(L, "{}");
}

/* The string at the top becomes its base64url. */
static void encode_top(lua_State *L)
{
    luaL_Buffer out;
    size_t len;
    const char *data = lua_tolstring(L, -1, &len);
    size_t text_len = encoding_text_len(ENCODING_BASE64URL, len);

    encoding_write(ENCODING_BASE64URL, data, len, luaL_buffinitsize(L, &out, text_len));
    luaL_pushresultsize(&out, text_len);
    lua_remove(L, -2);
}

/* Pushes the header, in base64url. */
static void push_header(lua_State *L, enum signature_alg alg, struct span kid)
{
    lua_pushfstring(L, "{\"alg\":\"%s\",\"typ\":\"JWT\"", signature_name(alg));
    if (kid.ptr) {
        lua_pushliteral(L, ",\"kid\":");
        lua_pushlstring(L, kid.ptr, kid.len);
        json_push(L, -1, false);
        lua_remove(L, -2);
        lua_pushliteral(L, "}");
        lua_concat(L, 4);
    } else {
        lua_pushliteral(L, "}");
        lua_concat(L, 2);
    }
    encode_top(L);
}

/* The algorithm of the key that the source is for, checked. Raises. */
static enum signature_alg alg_of_key(lua_State *L, const struct key_source *source)
{
    struct key key;

    const char *problem = key_source_open(source, &key);
    enum signature_alg alg = signature_of_key(key.type);
    bool private = key.private;
    key_fini(&key);
    if (problem)
        luaL_argerror(L, 2, problem);
    luaL_argcheck(L, private, 2, "the key is a public one; signing takes the private one");
    return alg;
}

/* crypto.jwt.sign(claims, key [, { alg, kid }]) → token */
static int jwt_sign(lua_State *L)
{
    static const char *const options[] = {"alg", "kid", NULL};
    enum { CLAIMS = 1, KEY, OPTIONS, PAYLOAD, KID };
    uint8_t signature[SIGNATURE_LEN_MAX];
    struct key_source source;
    struct span kid = {0}, message;
    struct key key;

    lua_settop(L, OPTIONS);
    jwt_check_options(L, OPTIONS, options);
    unsigned wanted = jwt_push_option(L, OPTIONS, "alg") == LUA_TNIL ? 0 : jwt_alg_bit(L, OPTIONS);
    lua_settop(L, OPTIONS);
    check_claims(L, CLAIMS);
    push_claims(L, CLAIMS); /* the last that may run code of the script's */
    encode_top(L);
    if (jwt_push_option(L, OPTIONS, "kid") != LUA_TNIL) {
        luaL_argcheck(L, lua_type(L, KID) == LUA_TSTRING, OPTIONS, "kid is a string");
        kid.ptr = lua_tolstring(L, KID, &kid.len);
    }
    enum key_given given = key_given(L, KEY);
    if (given == KEY_GIVEN_JWKS)
        choose_key(L, KEY, kid);
    if (given == KEY_GIVEN_TEXT)
        key_source_text(L, KEY, &source);
    else
        key_source_jwk(L, KEY, true, &source);
    if (given != KEY_GIVEN_TEXT && !kid.ptr)
        kid = key_member(L, KEY, "kid");

    enum signature_alg alg = alg_of_key(L, &source);
    if (wanted && (wanted >> alg & 1) == 0)
        luaL_argerror(L, KEY, lua_pushfstring(L, "the key is for %s", signature_name(alg)));
    const char *why = given == KEY_GIVEN_TEXT ? NULL : key_unsuitable(L, KEY, alg, true);
    if (why)
        luaL_argerror(L, KEY, why);

    push_header(L, alg, kid);
    lua_pushliteral(L, ".");
    lua_pushvalue(L, PAYLOAD);
    lua_concat(L, 3);
    message.ptr = lua_tolstring(L, -1, &message.len);
    why = key_source_open(&source, &key);
    size_t len = why ? 0 : signature_make(alg, &key, message, signature);
    key_fini(&key);
    luaL_argcheck(L, len > 0, KEY, "the key signs nothing: its private part belongs to another public one");
    lua_pushliteral(L, ".");
    lua_pushlstring(L, (const char *)signature, len);
    encode_top(L);
    lua_concat(L, 3);
    return 1;
}

const luaL_Reg jwt_functions[] = {{"sign", jwt_sign}, {"verify", jwt_verify}, {NULL, NULL}};
