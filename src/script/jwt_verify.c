/* Reading tokens: the compact form of RFC 7515 §3.1, as RFC 8725 wants it read. A token never chooses how it is
 * checked: its "alg" must be allowed and be the one of the key's type. */
#include "script/bind.h"
#include "script/jwt.h"
#include "script/quota.h"

#include "crypto/encoding.h"

#include <math.h>

#define ALL_ALGS ((1u << SIGNATURE_ALGS) - 1)

/* ---- options ---- */

/* The option `algs`: a name, or an array of them. */
static unsigned allowed_algs(lua_State *L, int arg)
{
    unsigned algs = 0;
    int type = jwt_push_option(L, arg, "algs");

    if (type == LUA_TNIL) {
        algs = ALL_ALGS; /* the key's type has the last word in any case */
    } else if (type == LUA_TTABLE) {
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
            quota_poll();
            algs |= jwt_alg_bit(L, arg);
        }
        lua_pop(L, 1);
        luaL_argcheck(L, algs != 0, arg, "algs names no algorithm");
    } else {
        algs = jwt_alg_bit(L, arg);
    }
    lua_pop(L, 1);
    return algs;
}

/* Raises unless the option is nil, a string, or an array of at least one string. */
static void check_names(lua_State *L, int arg, const char *option)
{
    int type = jwt_push_option(L, arg, option);
    bool good = type == LUA_TNIL || type == LUA_TSTRING;

    if (type == LUA_TTABLE) {
        lua_Integer n = 0;
        for (good = true; lua_rawgeti(L, -1, n + 1) != LUA_TNIL; n++, lua_pop(L, 1)) {
            quota_poll();
            good = good && lua_type(L, -1) == LUA_TSTRING;
        }
        lua_pop(L, 1);
        good = good && n > 0;
    }
    if (!good)
        luaL_argerror(L, arg, lua_pushfstring(L, "%s is a string or an array of strings", option));
    lua_pop(L, 1);
}

static double leeway_of(lua_State *L, int arg)
{
    double leeway = 0;

    if (jwt_push_option(L, arg, "leeway") != LUA_TNIL) {
        luaL_argcheck(L, lua_type(L, -1) == LUA_TNUMBER, arg, "leeway is a number of seconds");
        leeway = lua_tonumber(L, -1);
        luaL_argcheck(L, leeway >= 0 && isfinite(leeway), arg, "leeway is a number of seconds from 0");
    }
    lua_pop(L, 1);
    return leeway;
}

/* ---- failures ---- */

static int refuse(lua_State *L, const char *message)
{
    lua_pushnil(L);
    lua_pushstring(L, message);
    return 2;
}

/* Pushes text out of a token for a message: short, and without what could harm who reads it. */
static const char *push_shown(lua_State *L, struct span text)
{
    bool plain = text.len <= 80;

    for (size_t i = 0; i < text.len && plain; i++)
        plain = text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f && text.ptr[i] != '"';
    if (plain) {
        lua_pushliteral(L, "\"");
        lua_pushlstring(L, text.ptr, text.len);
        lua_pushliteral(L, "\"");
        lua_concat(L, 3);
    } else {
        lua_pushliteral(L, "that can't be shown");
    }
    return lua_tostring(L, -1);
}

/* ---- the parts of a token ---- */

struct token {
    struct span header, payload, signature; /* base64url */
    struct span signed_part;                /* header and payload, with the dot between them */
};

static const char *split(struct span text, struct token *token)
{
    struct span parts[3];
    size_t n = 0, begin = 0;

    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.ptr[i] != '.')
            continue;
        if (n < 3)
            parts[n] = (struct span){text.ptr + begin, i - begin};
        n++;
        begin = i + 1;
    }
    if (n == 5)
        return "the token is encrypted (JWE); only signed ones can be verified";
    if (n != 3)
        return "that is no token: it has not three parts with dots between them";
    *token = (struct token){parts[0], parts[1], parts[2], {text.ptr, parts[0].len + 1 + parts[1].len}};
    return NULL;
}

/* Pushes the bytes of a part; false, and pushes nothing: it is no base64url. */
static bool push_part(lua_State *L, struct span part)
{
    luaL_Buffer out;
    size_t len;

    quota_poll();
    char *bytes = luaL_buffinitsize(L, &out, encoding_bytes_max(ENCODING_BASE64URL, part.len));
    bool good = !encoding_read(ENCODING_BASE64URL, part.ptr, part.len, (uint8_t *)bytes, &len);
    luaL_pushresultsize(&out, good ? len : 0);
    if (!good)
        lua_pop(L, 1);
    return good;
}

/* Pushes the object that a part is; false, and pushes nothing: it is none. */
static bool push_object(lua_State *L, struct span part, bool keep_null)
{
    int top = lua_gettop(L);
    size_t len;

    if (push_part(L, part)) {
        const char *text = lua_tolstring(L, -1, &len);
        bool braces = len > 0 && text[strspn(text, " \t\r\n")] == '{';
        if (braces && json_decode(L, text, len, keep_null)) {
            lua_replace(L, top + 1);
            lua_settop(L, top + 1);
            return true;
        }
    }
    lua_settop(L, top);
    return false;
}

/* ---- the signature ---- */

static const char no_match[] = "the signature does not match";

/* Does the key that the source is for sign with alg, and has it signed this? NULL, or why not. Raises when the
 * key itself is wrong, and nobody else's: must. */
static const char *check_signature(lua_State *L, const struct key_source *source, bool must,
                                   enum signature_alg alg, struct span message, struct span signature)
{
    struct key key;
    const char *result = NULL;

    const char *problem = key_source_open(source, &key);
    if (!problem && signature_of_key(key.type) != alg)
        result = "the token's \"alg\" is not the one that the key is for";
    else if (!problem && !signature_verify(alg, &key, message, signature))
        result = no_match;
    key_fini(&key);
    if (problem && must)
        luaL_argerror(L, 2, problem);
    return problem ? problem : result;
}

/* Tries the keys of the JWKS at 2 that the token means: those with its kid, or all when it names none. What can't
 * be used there, for whatever reason, is as if it were not there (RFC 7517 §5). */
static const char *check_set(lua_State *L, struct span kid, enum signature_alg alg, struct span message,
                             struct span signature)
{
    struct key_source source;
    const char *result = NULL;
    bool tried = false;

    for (lua_Integer i = 1; key_push_element(L, 2, i); i++, lua_pop(L, 1)) {
        if (!lua_istable(L, -1))
            continue;
        if (kid.ptr && !span_equal(kid, key_member(L, -1, "kid")))
            continue;
        const char *why = key_unsuitable(L, -1, alg, false);
        if (!why) {
            key_source_jwk(L, -1, false, &source);
            why = check_signature(L, &source, false, alg, message, signature);
            if (!why) {
                lua_pop(L, 1);
                return NULL;
            }
        }
        if (!tried || why == no_match)
            result = why;
        tried = true;
    }
    if (tried)
        return result;
    return kid.ptr ? lua_pushfstring(L, "there is no key with the kid %s", push_shown(L, kid))
                   : "there is no key in the JWKS";
}

/* The header at index, against what is allowed; *alg. NULL, or why it is refused, which may be at the top. */
static const char *judge_header(lua_State *L, int index, unsigned algs, enum signature_alg *alg)
{
    struct span name = key_member(L, index, "alg");

    if (!name.ptr)
        return "the token's header has no \"alg\"";
    int found = signature_named(name);
    if (found < 0)
        return lua_pushfstring(L, "the token's \"alg\" is %s, not HS256, RS256, ES256 or EdDSA",
                               push_shown(L, name));
    if ((algs >> found & 1) == 0)
        return lua_pushfstring(L, "the token's \"alg\" is %s, which algs does not allow",
                               bind_quote(name.ptr).text);
    *alg = (enum signature_alg)found;
    /* what it says must be understood, and nothing of it is (RFC 7515 §4.1.11) */
    if (jwt_push_field(L, index, "crit") != LUA_TNIL)
        return "the token's header has \"crit\", of which nothing is supported";
    lua_pop(L, 1);
    int kid = jwt_push_field(L, index, "kid");
    lua_pop(L, 1);
    if (kid != LUA_TNIL && kid != LUA_TSTRING)
        return "the \"kid\" in the token's header is no string";
    return NULL;
}

/* ---- the claims ---- */

/* A time among the claims at index: false if it is there and no number. NAN: it is not there. */
static bool time_claim(lua_State *L, int index, const char *name, double *time)
{
    int type = jwt_push_field(L, index, name);

    *time = type == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
    lua_pop(L, 1);
    return type == LUA_TNIL || type == LUA_TNUMBER;
}

static const char *judge_times(lua_State *L, int index, double leeway)
{
    double now = (double)now_ms(L) / 1000, exp, nbf, iat;

    if (!time_claim(L, index, "exp", &exp) || !time_claim(L, index, "nbf", &nbf) ||
        !time_claim(L, index, "iat", &iat))
        return "one of the claims exp, nbf and iat is no number";
    if (now >= exp + leeway)
        return "the token has expired";
    if (now < nbf - leeway)
        return "the token is not valid yet";
    return NULL;
}

/* Is the string at index wanted by the option at options, a string or an array of them? */
static bool is_wanted(lua_State *L, int index, int option)
{
    if (lua_type(L, option) == LUA_TSTRING)
        return lua_rawequal(L, index, option);
    bool found = false;
    for (lua_Integer i = 1; !found && lua_rawgeti(L, option, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
        quota_poll();
        found = lua_rawequal(L, index, -1);
    }
    return found;
}

/* Is the claim wanted, or, where it may be an array, one of its elements? */
static bool claim_matches(lua_State *L, int claims, const char *name, int options, const char *option,
                          bool array)
{
    int top = lua_gettop(L);
    bool good = true;

    if (jwt_push_option(L, options, option) != LUA_TNIL) {
        int type = jwt_push_field(L, claims, name);
        good = type == LUA_TSTRING && is_wanted(L, top + 2, top + 1);
        for (lua_Integer i = 1; array && type == LUA_TTABLE && !good; i++) {
            lua_settop(L, top + 2);
            int element = lua_rawgeti(L, top + 2, i);
            if (element == LUA_TNIL)
                break;
            good = element == LUA_TSTRING && is_wanted(L, top + 3, top + 1);
        }
    }
    lua_settop(L, top);
    return good;
}

static const char *judge_claims(lua_State *L, int index, int options, double leeway)
{
    const char *why = judge_times(L, index, leeway);
    if (why)
        return why;
    if (!claim_matches(L, index, "iss", options, "issuer", false))
        return "the token's issuer (iss) is not the one that is wanted";
    if (!claim_matches(L, index, "aud", options, "audience", true))
        return "the token is for another audience (aud)";
    return NULL;
}

/* ---- verify ---- */

/* crypto.jwt.verify(token, key [, { algs, issuer, audience, leeway }]) → claims, or nil and a message */
int jwt_verify(lua_State *L)
{
    static const char *const options[] = {"algs", "issuer", "audience", "leeway", NULL};
    enum { TOKEN = 1, KEY, OPTIONS, HEADER, SIGNATURE, CLAIMS };
    struct key_source source;
    struct span text = {0}, signature;
    struct token token;
    enum signature_alg alg = SIGNATURE_HS256; /* judge_header sets it, which not all compilers see */

    if (!lua_isnoneornil(L, TOKEN))
        text.ptr = luaL_checklstring(L, TOKEN, &text.len);
    lua_settop(L, OPTIONS);
    jwt_check_options(L, OPTIONS, options);
    unsigned algs = allowed_algs(L, OPTIONS);
    check_names(L, OPTIONS, "issuer");
    check_names(L, OPTIONS, "audience");
    double leeway = leeway_of(L, OPTIONS);
    enum key_given given = key_given(L, KEY);

    const char *why = text.ptr ? split(text, &token) : "there is no token";
    if (why)
        return refuse(L, why);
    if (!push_object(L, token.header, true))
        return refuse(L, "the token's header is no JSON object in base64url");
    why = judge_header(L, HEADER, algs, &alg);
    if (why)
        return refuse(L, why);
    if (!push_part(L, token.signature))
        return refuse(L, "the token's signature is no base64url");
    signature.ptr = lua_tolstring(L, SIGNATURE, &signature.len);

    if (given == KEY_GIVEN_JWKS) {
        why = check_set(L, key_member(L, HEADER, "kid"), alg, token.signed_part, signature);
    } else {
        if (given == KEY_GIVEN_TEXT)
            key_source_text(L, KEY, &source);
        else
            key_source_jwk(L, KEY, false, &source);
        why = given == KEY_GIVEN_JWK ? key_unsuitable(L, KEY, alg, false) : NULL;
        if (!why)
            why = check_signature(L, &source, true, alg, token.signed_part, signature);
    }
    if (why)
        return refuse(L, why);
    lua_settop(L, SIGNATURE);
    if (!push_object(L, token.payload, false))
        return refuse(L, "the token's claims are no JSON object in base64url");
    why = judge_claims(L, CLAIMS, OPTIONS, leeway);
    if (why)
        return refuse(L, why);
    lua_settop(L, CLAIMS);
    return 1;
}
