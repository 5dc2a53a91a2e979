/* Is a party's script right, and what has it? */
#pragma once

#include "script/project.h"

#include <lua.h>

/* The names of the hooks, by enum hook_kind. */
extern const char *const party_hooks[];

/* Might indexing the table at the top find this key? Follows __index from table to table as Lua does, but
 * runs no code of the script's, which is for the door alone: what a function would find is not known. Leaves one
 * value in the place of the table, or above it. */
bool party_may_find(lua_State *L, const char *key);

/* Runs the file scope in a VM of its own and looks at the table that it returns; the options in it, and
 * which hooks it has, become the party's. 0, or a negative code after a paragraph in error for each mistake (code_complain). */
int party_check(struct party *party, struct buf *error);
