#include "script/key_source.h"

#include "script/bind.h"
#include "script/quota.h"

/* Pushes a member of a table, whatever its metatable says. */
static int push_member(lua_State *L, int index, const char *name)
{
    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

struct span key_member(lua_State *L, int index, const char *name)
{
    struct span text = {0};

    if (push_member(L, index, name) == LUA_TSTRING)
        text.ptr = lua_tolstring(L, -1, &text.len);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

/* ---- what is meant ---- */

static bool is_json(struct span text)
{
    return text.ptr[strspn(text.ptr, " \t\r\n")] == '{'; /* Lua's strings end with a NUL */
}

static void read_json(lua_State *L, int arg, struct span text)
{
    if (!json_decode(L, text.ptr, text.len, false))
        luaL_argerror(
            L, arg,
            lua_pushfstring(L,
                            "a key that begins with { is a JWK or a JWKS, but this is no JSON: %s (a "
                            "secret that happens to begin so: { kty = \"oct\", k = base64url })",
                            lua_tostring(L, -1)));
    lua_replace(L, arg);
}

enum key_given key_given(lua_State *L, int arg)
{
    struct span text;

    if (lua_type(L, arg) == LUA_TSTRING) {
        text.ptr = lua_tolstring(L, arg, &text.len);
        if (!is_json(text))
            return KEY_GIVEN_TEXT;
        read_json(L, arg, text);
    } else if (lua_type(L, arg) != LUA_TTABLE) {
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "a key expected (a secret, PEM, JWK or JWKS), got %s",
                                      luaL_typename(L, arg)));
    }
    bool set = push_member(L, arg, "keys") == LUA_TTABLE;
    lua_pop(L, 1);
    if (set)
        return KEY_GIVEN_JWKS;
    if (!key_member(L, arg, "kty").ptr)
        luaL_argerror(L, arg, "the table has neither the \"kty\" of a JWK nor the \"keys\" of a JWKS");
    return KEY_GIVEN_JWK;
}

bool key_push_element(lua_State *L, int index, lua_Integer i)
{
    quota_poll();
    push_member(L, index, "keys");
    bool found = lua_rawgeti(L, -1, i) != LUA_TNIL;
    lua_remove(L, -2);
    if (!found)
        lua_pop(L, 1);
    return found;
}

/* ---- the parts ---- */

void key_source_text(lua_State *L, int index, struct key_source *source)
{
    *source = (struct key_source){.text = true};
    source->span.ptr = lua_tolstring(L, index, &source->span.len);
}

void key_source_jwk(lua_State *L, int index, bool private, struct key_source *source)
{
    struct jwk *jwk = &source->jwk;
    const struct {
        const char *name;
        struct span *text;
        bool private;
    } members[] = {
        {"kty", &jwk->kty, false}, {"crv", &jwk->crv, false}, {"k", &jwk->k, false},  {"n", &jwk->n, false},
        {"e", &jwk->e, false},     {"x", &jwk->x, false},     {"y", &jwk->y, false},  {"d", &jwk->d, true},
        {"p", &jwk->p, true},      {"q", &jwk->q, true},      {"dp", &jwk->dp, true}, {"dq", &jwk->dq, true},
        {"qi", &jwk->qi, true},
    };

    *source = (struct key_source){0};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (members[i].private && !private)
            continue;
        int type = push_member(L, index, members[i].name);
        if (type == LUA_TSTRING)
            members[i].text->ptr = lua_tolstring(L, -1, &members[i].text->len);
        else if (type != LUA_TNIL)
            source->problem = "the members of a JWK that make its key are strings";
        lua_pop(L, 1);
    }
}

const char *key_source_open(const struct key_source *source, struct key *key)
{
    *key = (struct key){0};
    if (source->problem)
        return source->problem;
    if (!source->text)
        return key_from_jwk(key, &source->jwk);
    return key_is_pem(source->span) ? key_from_pem(key, source->span) : key_from_secret(key, source->span);
}

/* ---- what a JWK is for ---- */

/* "key_ops" at the top of the stack: is this one among them? */
static bool has_operation(lua_State *L, const char *operation)
{
    bool found = false;

    for (lua_Integer i = 1; !found; i++) {
        quota_poll();
        int type = lua_rawgeti(L, -1, i);
        found = type == LUA_TSTRING && strcmp(lua_tostring(L, -1), operation) == 0;
        lua_pop(L, 1);
        if (type == LUA_TNIL)
            break;
    }
    return found;
}

const char *key_unsuitable(lua_State *L, int index, enum signature_alg alg, bool private)
{
    struct span text = key_member(L, index, "alg");

    if (text.ptr && !span_equal(text, span_of(signature_name(alg))))
        return "the JWK is for another \"alg\"";
    text = key_member(L, index, "use");
    if (text.ptr && !span_equal(text, SPAN("sig")))
        return "the \"use\" of the JWK is not \"sig\"";
    int type = push_member(L, index, "key_ops");
    bool allowed = type == LUA_TNIL || (type == LUA_TTABLE && has_operation(L, private ? "sign" : "verify"));
    lua_pop(L, 1);
    return allowed ? NULL : "the \"key_ops\" of the JWK don't allow this";
}
