/* What needs to look inside of Lua's state. */
#include "lua_festa.h"

#include "ldo.h"
#include "lstate.h"

void festa_lua_allow_hooks(struct lua_State *L)
{
    L->allowhook = 1;
}

void festa_lua_shrink(struct lua_State *L)
{
    luaD_shrinkstack(L);
}
