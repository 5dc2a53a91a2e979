/* crypto: what scripts need of randomness. */
#include "script/bind.h"

#include "base/random.h"

/* crypto.randomUUID() → a random UUID in lower case */
static int crypto_random_uuid(lua_State *L)
{
    char uuid[UUID_LEN + 1];

    random_uuid(uuid);
    lua_pushlstring(L, uuid, UUID_LEN);
    return 1;
}

const luaL_Reg crypto_functions[] = {{"randomUUID", crypto_random_uuid}, {NULL, NULL}};
