/* The base functions that scripts see, where Lua's own would not do. The list of them all is
 * base_functions (bind.h). */
#pragma once

#include "script/bind.h"

/* As in Lua, but for libraries it sees what they have not fetched yet. */
int base_next(lua_State *L);

/* Calls whose errors are caught, but for the end of a handler's time. (protect.c) */
int base_pcall(lua_State *L);
int base_xpcall(lua_State *L);

/* Writes to the log. (bind_log.c) */
int base_print(lua_State *L);

/* Modules of the project, and the safe libraries. (require.c) */
int base_require(lua_State *L);

/* ---- text of any value (identity.c) ---- */

int base_tostring(lua_State *L);

/* Pushes the text of the value at index, as tostring has it: like luaL_tolstring, but where Lua shows
 * an address this has a number that the VM gave to the object. Runs __tostring; may raise. */
const char *identity_tolstring(lua_State *L, int index, size_t *len);

/* ---- json's marks (bind_json.c) ---- */

/* Has the value at index a metatable that only says array or object? A script may replace it. */
bool json_marked(lua_State *L, int index);

/* ---- libraries ---- */
extern const luaL_Reg string_functions[];
extern const luaL_Reg os_functions[];
extern const luaL_Reg debug_functions[];
