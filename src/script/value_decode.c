/* Reading values (value.h), from bytes that may be damaged: each length and number is held against what is
 * there before memory is taken for it. */
#include "script/value.h"

#include "script/bind.h"
#include "script/json.h"
#include "script/quota.h"

#include <errno.h>
#include <limits.h>

struct reader {
    lua_State *L;
    const uint8_t *at, *end;
    size_t owed; /* bytes at least that the tables around this value have still to come: what one of them
                  * was made for can't be promised to another */
    int depth;
};

static bool read_value(struct reader *r);

static inline size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* ---- plain values ---- */

static bool read_varint(struct reader *r, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; r->at < r->end && shift < 64; shift += 7) {
        uint64_t byte = *r->at++;
        if (shift == 63 && byte > 1)
            return false;
        *value |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool read_fixed(struct reader *r, size_t n, uint64_t *value)
{
    if (left(r) < n)
        return false;
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value |= (uint64_t)r->at[i] << (8 * i);
    r->at += n;
    return true;
}

static void push_integer(struct reader *r, uint64_t zigzag)
{
    lua_pushinteger(r->L, (lua_Integer)(zigzag >> 1 ^ (0 - (zigzag & 1))));
}

static bool read_integer(struct reader *r)
{
    uint64_t zigzag;

    if (!read_varint(r, &zigzag))
        return false;
    push_integer(r, zigzag);
    return true;
}

static bool read_float(struct reader *r)
{
    uint64_t bits;
    lua_Number value;

    if (!read_fixed(r, sizeof bits, &bits))
        return false;
    memcpy(&value, &bits, sizeof value);
    lua_pushnumber(r->L, value);
    return true;
}

static bool read_string(struct reader *r, uint64_t len)
{
    if (len > left(r))
        return false;
    lua_pushlstring(r->L, (const char *)r->at, (size_t)len);
    r->at += len;
    return true;
}

static bool read_long_string(struct reader *r)
{
    uint64_t len;

    return read_varint(r, &len) && read_string(r, len);
}

/* ---- tables ---- */

/* Is the value at at one that Lua takes as a key? */
static bool at_key(const struct reader *r)
{
    if (r->at == r->end)
        return false;
    uint8_t tag = *r->at;
    return tag < VALUE_ELEMENTS || tag == VALUE_FALSE || tag == VALUE_TRUE || tag == VALUE_INTEGER ||
           tag == VALUE_FLOAT || tag == VALUE_STRING;
}

/* NaN is none. */
static bool read_key(struct reader *r)
{
    return at_key(r) && read_value(r) && (lua_type(r->L, -1) != LUA_TNUMBER || lua_rawequal(r->L, -1, -1));
}

static bool read_table(struct reader *r, uint64_t n_elements, uint64_t n_pairs)
{
    size_t need = (size_t)n_elements + 2 * (size_t)n_pairs;

    if (left(r) < r->owed + need || r->depth == VALUE_DEPTH_MAX)
        return false;
    luaL_checkstack(r->L, 8, "value");
    lua_createtable(r->L, (int)n_elements, (int)n_pairs);
    r->depth++;
    r->owed += need;
    for (lua_Integer i = 1; i <= (lua_Integer)n_elements; i++) {
        r->owed--;
        if (!read_value(r))
            return false;
        lua_rawseti(r->L, -2, i);
    }
    for (; n_pairs > 0; n_pairs--) {
        r->owed -= 2;
        if (!read_key(r) || !read_value(r))
            return false;
        lua_rawset(r->L, -3);
    }
    r->depth--;
    return true;
}

static bool read_large_table(struct reader *r, size_t width)
{
    uint64_t n_elements, n_pairs;

    return read_fixed(r, width, &n_elements) && read_fixed(r, width, &n_pairs) &&
           read_table(r, n_elements, n_pairs);
}

static bool read_marked_table(struct reader *r, enum json_mark mark)
{
    if (r->at == r->end || at_key(r) || *r->at == VALUE_NULL || *r->at >= VALUE_ARRAY || !read_value(r))
        return false;
    json_mark(r->L, -1, mark);
    return true;
}

/* ---- values ---- */

/* Pushes the value at at. */
static bool read_value(struct reader *r)
{
    quota_poll();
    if (r->at == r->end)
        return false;
    uint8_t tag = *r->at++;
    if (tag < VALUE_SHORT) {
        push_integer(r, tag);
        return true;
    }
    if (tag < VALUE_ELEMENTS)
        return read_string(r, tag & VALUE_SHORT_MAX);
    if (tag < VALUE_PAIRS)
        return read_table(r, tag & VALUE_FEW_MAX, 0);
    if (tag < VALUE_FALSE)
        return read_table(r, 0, tag & VALUE_FEW_MAX);
    switch (tag) {
    case VALUE_FALSE: lua_pushboolean(r->L, 0); return true;
    case VALUE_TRUE: lua_pushboolean(r->L, 1); return true;
    case VALUE_NULL: lua_pushlightuserdata(r->L, NULL); return true;
    case VALUE_INTEGER: return read_integer(r);
    case VALUE_FLOAT: return read_float(r);
    case VALUE_STRING: return read_long_string(r);
    case VALUE_TABLE: return read_large_table(r, 1);
    case VALUE_LARGE: return read_large_table(r, 4);
    case VALUE_ARRAY: return read_marked_table(r, JSON_ARRAY);
    case VALUE_OBJECT: return read_marked_table(r, JSON_OBJECT);
    default: return false;
    }
}

int value_decode(lua_State *L, struct span bytes)
{
    const uint8_t *begin = (const uint8_t *)bytes.ptr;

    /* Numbers of elements and pairs fit Lua's. */
    if (bytes.len == 0 || bytes.len > INT_MAX || *begin != VALUE_VERSION)
        return -EINVAL;
    struct reader r = {.L = L, .at = begin + 1, .end = begin + bytes.len};
    int top = lua_gettop(L);
    luaL_checkstack(L, 8, "value");
    if (read_value(&r) && r.at == r.end)
        return 0;
    lua_settop(L, top);
    return -EINVAL;
}
