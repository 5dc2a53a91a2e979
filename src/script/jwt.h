/* What signing (bind_jwt.c) and verifying (jwt_verify.c) of tokens share. */
#pragma once

#include "script/key_source.h"

#include <lua.h>

/* Pushes a member of the table at index, whatever its metatable says: nothing of the script's runs in between. */
int jwt_push_field(lua_State *L, int index, const char *name);

/* Raises unless the table at arg, or nil, has no other options than these, ended by NULL. */
void jwt_check_options(lua_State *L, int arg, const char *const *names);

/* Pushes an option; nil when there are none. Returns its type. */
int jwt_push_option(lua_State *L, int arg, const char *name);

/* The bit of the algorithm whose name is at the top. Raises for what is none. */
unsigned jwt_alg_bit(lua_State *L, int arg);

int jwt_verify(lua_State *L);
