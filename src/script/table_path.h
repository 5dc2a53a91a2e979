/* Names a place inside of nested tables for error messages, ".players[3].run". For json_encode.c and
 * value_encode.c. */
#pragma once

#include <lua.h>
#include <stddef.h>

#define TABLE_PATH_MAX 256u

/* One table's way down: the key at this index of the stack, or a place in an array. */
struct table_step {
    int key; /* 0: place counts */
    lua_Integer place;
};

/* Writes n steps, outermost first, as a string that ends in "…" where it was cut. Changes no key and raises
 * nothing. */
void table_path(lua_State *L, const struct table_step *steps, int n, char out[TABLE_PATH_MAX]);
