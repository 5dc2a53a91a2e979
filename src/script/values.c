/* Several values at once, see values.h. */
#include "script/values.h"

#include "script/quota.h"

#include <lauxlib.h>
#include <stdio.h>

#define LENGTH_BYTES 4u

static void add_length(luaL_Buffer *out, size_t len)
{
    char bytes[LENGTH_BYTES];
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        bytes[i] = (char)(len >> (8 * i) & 0xff);
    luaL_addlstring(out, bytes, sizeof bytes);
}

void values_pack(lua_State *L, int first, int n, const struct value_terms *terms)
{
    luaL_Buffer out;
    size_t total = 0;

    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    luaL_buffinit(L, &out);
    for (int i = 0; i < n; i++) {
        char name[32];
        struct value_terms each = *terms;
        struct span bytes = {0};

        quota_poll();
        snprintf(name, sizeof name, "%s %d", terms->name, i + 1);
        each.name = name;
        if (!lua_isnil(L, first + i))
            bytes = value_encode(L, first + i, &each);
        total += LENGTH_BYTES + bytes.len;
        if (total > terms->limit_bytes)
            luaL_error(L, "%s %s: together they have more than %I bytes (%s)", name, terms->refusal,
                       (lua_Integer)terms->limit_bytes, terms->limit);
        add_length(&out, bytes.len);
        if (bytes.len > 0)
            luaL_addlstring(&out, bytes.ptr, bytes.len);
    }
    luaL_pushresult(&out);
}

int values_unpack(lua_State *L, struct span bytes)
{
    int n = 0;

    while (bytes.len > 0) {
        size_t len = 0;
        quota_poll();
        if (bytes.len < LENGTH_BYTES)
            return -1;
        for (size_t i = 0; i < LENGTH_BYTES; i++)
            len |= (size_t)(unsigned char)bytes.ptr[i] << (8 * i);
        bytes.ptr += LENGTH_BYTES;
        bytes.len -= LENGTH_BYTES;
        luaL_checkstack(L, LUA_MINSTACK, "too many values");
        if (len > bytes.len)
            return -1;
        if (len == 0)
            lua_pushnil(L);
        else if (value_decode(L, (struct span){bytes.ptr, len}) != 0)
            return -1;
        bytes.ptr += len;
        bytes.len -= len;
        n++;
    }
    return n;
}
