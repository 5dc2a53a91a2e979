/* What needs to look inside of Lua's state. */
#include "lua_festa.h"

#include "ldo.h"
#include "lobject.h"
#include "lstate.h"

void festa_lua_allow_hooks(struct lua_State *L)
{
    L->allowhook = 1;
}

void *festa_lua_object(struct lua_State *L, int index, const void *metatable)
{
    StkId place = index > 0 ? L->ci->func.p + index : L->top.p + index;
    if (place >= L->top.p || !ttisfulluserdata(s2v(place)) || uvalue(s2v(place))->metatable != metatable)
        return NULL;
    return getudatamem(uvalue(s2v(place)));
}

void festa_lua_shrink(struct lua_State *L)
{
    luaD_shrinkstack(L);
}
