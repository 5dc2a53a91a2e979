/* JSON (RFC 8259) straight from and to values of Lua, without a document in between. Internal to
 * json_encode.c, json_decode.c and bind_json.c, but for the marks, which stored values have too (value.h); what
 * the other bindings use is in bind.h. */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define JSON_DEPTH_MAX 128 /* arrays and objects inside of each other, both ways */

/* What a table is to be, whatever it holds. */
enum json_mark { JSON_UNMARKED, JSON_ARRAY, JSON_OBJECT };

/* The mark of the table at index: `__jsontype = "array"` or "object" in its metatable. */
enum json_mark json_mark_of(lua_State *L, int index);

/* The same if that metatable is one of the two that stand for a mark and nothing else, as json_mark sets them;
 * JSON_UNMARKED for every other table. */
enum json_mark json_mark_alone(lua_State *L, int index);

/* Marks the table at index, which has no metatable, or only a mark. */
void json_mark(lua_State *L, int index, enum json_mark mark);

/* The eight bytes at at, the first one lowest. */
static inline uint64_t json_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Where the run of bytes ends that stand for themselves inside of a JSON string: at a quote, a backslash,
 * a control character or end. Sets *high when one of them is no ASCII. */
static inline const char *json_plain_run(const char *at, const char *end, bool *high)
{
    static const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;

    for (; end - at >= 8; at += 8) {
        uint64_t word = json_word(at);
        uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
        /* Subtracting sets the top bit of bytes below 0x20, and of those that the others made zero. What
         * is borrowed changes only bytes behind the first of them. */
        uint64_t special = ((word - ones * 0x20) | (quote - ones) | (backslash - ones)) & ~word & tops;
        if (special != 0) {
            int bits = __builtin_ctzll(special) & ~7;
            *high = *high || (word & tops & (((uint64_t)1 << bits) - 1)) != 0;
            return at + bits / 8;
        }
        *high = *high || (word & tops) != 0;
    }
    for (; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        *high = *high || c >= 0x80;
    }
    return at;
}
