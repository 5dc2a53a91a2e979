/* What needs to look inside of Lua's state. */
#include "lua_festa.h"

#include "lstate.h"

void festa_lua_allow_hooks(struct lua_State *L)
{
    L->allowhook = 1;
}
