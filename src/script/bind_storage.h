/* What bind_storage.c and bind_storage_list.c share. */
#pragma once

#include "room/room.h"

#include <lua.h>

/* __index of party.storage and of a transaction. */
int storage_index(lua_State *L);

/* storage:list([options]) → an iterator over keys and values, in bytewise order of the keys. */
int storage_list(lua_State *L);

/* The room; its storage or transaction may be the first argument, which is taken away. Raises where there is none. */
struct room *storage_room(lua_State *L);

/* At the end of a wait: what was asked for is known now. Raises when the store could not read. */
void storage_answer(lua_State *L);

/* Raises for what a function of room/data.h has returned. */
void storage_result(lua_State *L, int rc);
