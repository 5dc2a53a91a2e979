/* crypto.jwt: JSON Web Tokens (RFC 7519) that are signed (JWS compact form, RFC 7515 §3.1), as RFC 8725 wants them
 * read. A token never chooses how it is checked: its "alg" must be allowed and be the one of the key's type. */
#include "script/bind.h"
#include "script/key_source.h"
#include "script/quota.h"

#include "base/clock.h"
#include "crypto/encoding.h"

#include <math.h>

#define ALL_ALGS ((1u << SIGNATURE_ALGS) - 1)
#define SECONDS_MAX 1e11 /* in the year 5138; larger numbers are milliseconds */

/* ---- options ---- */

/* Raises unless the table at arg, or nil, has no other options than these, ended by NULL. */
static void check_options(lua_State *L, int arg, const char *const *names)
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
                                          lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2)
                                                                         : "of this kind"));
    }
}

/* Pushes a member of the table at index, whatever its metatable says: nothing of the script's runs in between. */
static int push_field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

/* Pushes an option; nil when there are none. */
static int push_option(lua_State *L, int arg, const char *name)
{
    if (!lua_isnil(L, arg))
        return push_field(L, arg, name);
    lua_pushnil(L);
    return LUA_TNIL;
}

static unsigned alg_bit(lua_State *L, int arg)
{
    struct span name = {0};

    if (lua_type(L, -1) == LUA_TSTRING)
        name.ptr = lua_tolstring(L, -1, &name.len);
    int alg = name.ptr ? signature_named(name) : -1;
    if (alg < 0)
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "no algorithm %s; there are HS256, RS256, ES256 and EdDSA",
                                      name.ptr ? name.ptr : luaL_typename(L, -1)));
    return 1u << alg;
}

/* The option `algs`: a name, or an array of them. */
static unsigned allowed_algs(lua_State *L, int arg)
{
    unsigned algs = 0;
    int type = push_option(L, arg, "algs");

    if (type == LUA_TNIL) {
        algs = ALL_ALGS; /* the key's type has the last word in any case */
    } else if (type == LUA_TTABLE) {
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
            quota_poll();
            algs |= alg_bit(L, arg);
        }
        lua_pop(L, 1);
        luaL_argcheck(L, algs != 0, arg, "algs names no algorithm");
    } else {
        algs = alg_bit(L, arg);
    }
    lua_pop(L, 1);
    return algs;
}

/* Raises unless the option is nil, a string, or an array of at least one string. */
static void check_names(lua_State *L, int arg, const char *option)
{
    int type = push_option(L, arg, option);
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

    if (push_option(L, arg, "leeway") != LUA_TNIL) {
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
        return lua_pushfstring(L, "the token's \"alg\" is %s, which algs does not allow", name.ptr);
    *alg = (enum signature_alg)found;
    /* what it says must be understood, and nothing of it is (RFC 7515 §4.1.11) */
    if (push_field(L, index, "crit") != LUA_TNIL)
        return "the token's header has \"crit\", of which nothing is supported";
    lua_pop(L, 1);
    int kid = push_field(L, index, "kid");
    lua_pop(L, 1);
    if (kid != LUA_TNIL && kid != LUA_TSTRING)
        return "the \"kid\" in the token's header is no string";
    return NULL;
}

/* ---- the claims ---- */

/* A time among the claims at index: false if it is there and no number. NAN: it is not there. */
static bool time_claim(lua_State *L, int index, const char *name, double *time)
{
    int type = push_field(L, index, name);

    *time = type == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
    lua_pop(L, 1);
    return type == LUA_TNIL || type == LUA_TNUMBER;
}

static const char *judge_times(lua_State *L, int index, double leeway)
{
    double now = (double)clock_wall_ms() / 1000, exp, nbf, iat;

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

    if (push_option(L, options, option) != LUA_TNIL) {
        int type = push_field(L, claims, name);
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
static int jwt_verify(lua_State *L)
{
    static const char *const options[] = {"algs", "issuer", "audience", "leeway", NULL};
    enum { TOKEN = 1, KEY, OPTIONS, HEADER, SIGNATURE, CLAIMS };
    struct key_source source;
    struct span text = {0}, signature;
    struct token token;
    enum signature_alg alg;

    if (!lua_isnoneornil(L, TOKEN))
        text.ptr = luaL_checklstring(L, TOKEN, &text.len);
    lua_settop(L, OPTIONS);
    check_options(L, OPTIONS, options);
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
    check_options(L, OPTIONS, options);
    unsigned wanted = push_option(L, OPTIONS, "alg") == LUA_TNIL ? 0 : alg_bit(L, OPTIONS);
    lua_settop(L, OPTIONS);
    check_claims(L, CLAIMS);
    push_claims(L, CLAIMS); /* the last that may run code of the script's */
    encode_top(L);
    if (push_option(L, OPTIONS, "kid") != LUA_TNIL) {
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
