/* Keys as scripts give them: a secret, PEM, a JWK or a JWKS, the last two as a table or as JSON (RFC 7517). What is
 * meant is seen from the value alone: text that begins with "{" is JSON, text with a PEM line is PEM, and neither
 * is ever taken for a secret.
 *
 * A source only points to what lies in Lua's values. It is gathered first, which may raise, and opened when
 * nothing raises any more until the key has been used and ended. */
#pragma once

#include "crypto/key.h"
#include "crypto/signature.h"
#include "script/vm.h"

struct key_source {
    bool text;        /* a secret, or PEM; else the JWK */
    struct span span; /* of that text */
    struct jwk jwk;
    const char *problem; /* a member of the JWK is wrong: what, a constant; else NULL */
};

enum key_given {
    KEY_GIVEN_TEXT, /* a secret or PEM */
    KEY_GIVEN_JWK,  /* a table */
    KEY_GIVEN_JWKS, /* a table; the field "keys" is an array */
};

/* What is the key at arg? JSON there becomes the table of it. Raises for what is none of these. */
enum key_given key_given(lua_State *L, int arg);

/* What the text, or the table of a JWK, at index is. private: with its private part. */
void key_source_text(lua_State *L, int index, struct key_source *source);
void key_source_jwk(lua_State *L, int index, bool private, struct key_source *source);

/* Is the JWK at index for signatures of this algorithm, by its "alg", "use" and "key_ops"? NULL, or why not, a
 * constant. */
const char *key_unsuitable(lua_State *L, int index, enum signature_alg alg, bool private);

/* The text of a member of the table at index, which is valid as long as it stays there; NULL: it is no string. */
struct span key_member(lua_State *L, int index, const char *name);

/* Pushes element i (from 1) of the keys of the JWKS at index; false, and nothing is pushed, behind the last one. */
bool key_push_element(lua_State *L, int index, lua_Integer i);

/* Makes the key. NULL, or what is wrong, a constant. The caller ends it with key_fini. Raises nothing. */
const char *key_source_open(const struct key_source *source, struct key *key)
    __attribute__((warn_unused_result));
