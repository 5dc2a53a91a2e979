/* Several values of Lua as bytes, for calls between rooms: arguments and results. Each is as value.h has it; nil may be
 * among them. Its length goes before it (4 bytes, lowest first); 0: nil. */
#pragma once

#include "script/value.h"

/* Pushes the bytes of the n values from index first on as a string. Raises as value_encode does; terms are those of
 * each, whose name is followed by its number, and their limit is that of all together. */
void values_pack(lua_State *L, int first, int n, const struct value_terms *terms);

/* Pushes the values and returns their number; -1: the bytes are damaged. They have to stay meanwhile. */
int values_unpack(lua_State *L, struct span bytes);
