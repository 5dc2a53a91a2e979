/* Reading JSON, strictly as RFC 8259 has it. One pass: values go to the Lua stack as they are read, and
 * from there into tables that are made in the right size. */
#include "script/bind.h"
#include "script/json.h"
#include "script/quota.h"

#include "base/utf8.h"

#include <yyjson.h>

/* How many elements, or keys and values, are kept on the stack before they go into their table. */
#define HELD_MAX 64
#define STACK_STEP 16

struct reader {
    lua_State *L;
    const char *at, *end; /* a NUL stands at end */
    const char *error;    /* what is wrong at at */
    int depth;
    bool null_in_objects;
};

static bool read_value(struct reader *r);

static bool fail_at(struct reader *r, const char *at, const char *error)
{
    r->at = at;
    r->error = at == r->end ? "the text ends too early" : error;
    return false;
}

static bool fail(struct reader *r, const char *error)
{
    return fail_at(r, r->at, error);
}

static void skip_space(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t')
        r->at++;
}

static bool read_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(r->at, word, len) != 0)
        return fail(r, "a value expected");
    r->at += len;
    return true;
}

/* ---- strings ---- */

/* The four digits of a \u escape, or -1. */
static int hex4(const char *at)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        char c = at[i];
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return value;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xe0 | code >> 12);
        } else {
            *out++ = (char)(0xf0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* The escape at *at, which is moved behind it; NULL after fail_at. */
static char *unescape(struct reader *r, const char **at, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *escape = *at;

    if (escape[1] != 'u') {
        const char *found = escape[1] ? strchr(from, escape[1]) : NULL;
        if (!found) {
            fail_at(r, escape, "no such escape");
            return NULL;
        }
        *at = escape + 2;
        *out++ = to[found - from];
        return out;
    }
    int code = hex4(escape + 2);
    if (code < 0) {
        fail_at(r, escape, "four hexadecimal digits expected behind \\u");
        return NULL;
    }
    *at = escape + 6;
    if (code >= 0xd800 && code < 0xe000) {
        int low = code < 0xdc00 && escape[6] == '\\' && escape[7] == 'u' ? hex4(escape + 8) : -1;
        if (low < 0xdc00 || low >= 0xe000) {
            fail_at(r, escape, "half of a surrogate pair");
            return NULL;
        }
        *at = escape + 12;
        return put_utf8(out, 0x10000u + ((uint32_t)(code - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
    }
    return put_utf8(out, (uint32_t)code);
}

/* Pushes the string between begin and end, which has escapes. */
static bool push_unescaped(struct reader *r, const char *begin, const char *end)
{
    luaL_Buffer buffer;
    char *start = luaL_buffinitsize(r->L, &buffer, (size_t)(end - begin)), *out = start;
    bool high = false;

    while (begin < end) {
        const char *stop = json_plain_run(begin, end, &high);
        memcpy(out, begin, (size_t)(stop - begin));
        out += stop - begin;
        begin = stop;
        if (begin < end && !(out = unescape(r, &begin, out)))
            return false;
    }
    luaL_pushresultsize(&buffer, (size_t)(out - start));
    return true;
}

static bool fail_utf8(struct reader *r, const char *at)
{
    uint32_t state = UTF8_ACCEPT;
    const char *character = at;

    for (; state != UTF8_REJECT; at++) {
        if (state == UTF8_ACCEPT)
            character = at;
        state = utf8_feed(state, at, 1);
    }
    return fail_at(r, character, "invalid UTF-8");
}

/* Pushes the string that begins at at. */
static bool read_string(struct reader *r)
{
    const char *begin = r->at + 1, *stop = begin;
    bool high = false, escapes = false;

    while (*(stop = json_plain_run(stop, r->end, &high)) != '"') {
        if (stop == r->end)
            return fail_at(r, stop, NULL);
        if (*stop != '\\')
            return fail_at(r, stop, "a control character in a string");
        escapes = true;
        stop += stop + 1 < r->end ? 2 : 1;
    }
    if (high && !utf8_valid(begin, (size_t)(stop - begin)))
        return fail_utf8(r, begin);
    if (!escapes)
        lua_pushlstring(r->L, begin, (size_t)(stop - begin));
    else if (!push_unescaped(r, begin, stop))
        return false;
    r->at = stop + 1;
    return true;
}

/* ---- numbers ---- */

static const char *skip_digits(const char *at)
{
    while (*at >= '0' && *at <= '9')
        at++;
    return at;
}

static bool push_float(struct reader *r, const char *end)
{
    yyjson_val value;

    /* What it takes for a number is at least ours, and ours has a point or an exponent. */
    if (!yyjson_read_number(r->at, &value, YYJSON_READ_NOFLAG, NULL, NULL) || !yyjson_is_real(&value))
        return fail(r, "the number is out of range");
    lua_pushnumber(r->L, yyjson_get_real(&value));
    r->at = end;
    return true;
}

static bool push_integer(struct reader *r, const char *digits, const char *end)
{
    bool negative = digits > r->at;
    uint64_t most = (uint64_t)LUA_MAXINTEGER + negative, value = 0;

    for (const char *at = digits; at < end; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (most - digit) / 10)
            return fail(r, "the number is out of range");
        value = value * 10 + digit;
    }
    lua_pushinteger(r->L, (lua_Integer)(negative ? 0 - value : value));
    r->at = end;
    return true;
}

static bool read_number(struct reader *r)
{
    const char *digits = r->at + (*r->at == '-');
    const char *at = skip_digits(digits);
    bool is_float = false;

    if (at == digits)
        return fail_at(r, at, "a digit expected");
    if (*digits == '0' && at > digits + 1)
        return fail(r, "a number begins with a zero");
    if (*at == '.') {
        const char *fraction = at + 1;
        at = skip_digits(fraction);
        if (at == fraction)
            return fail_at(r, at, "a digit expected");
        is_float = true;
    }
    if (*at == 'e' || *at == 'E') {
        const char *exponent = at + 1 + (at[1] == '+' || at[1] == '-');
        at = skip_digits(exponent);
        if (at == exponent)
            return fail_at(r, at, "a digit expected");
        is_float = true;
    }
    return is_float ? push_float(r, at) : push_integer(r, digits, at);
}

/* ---- arrays and objects ---- */

static bool enter(struct reader *r)
{
    if (r->depth == JSON_DEPTH_MAX)
        return fail(r, "more than 128 arrays and objects inside of each other");
    r->depth++;
    r->at++;
    skip_space(r);
    luaL_checkstack(r->L, STACK_STEP + 4, "json");
    lua_pushnil(r->L); /* the table's place */
    return true;
}

/* Room on the stack for the next values, seen to now and then: held is how many are there. */
static void make_room(struct reader *r, int held)
{
    if (held % STACK_STEP == 0)
        luaL_checkstack(r->L, STACK_STEP + 4, "json");
}

/* Moves what is on the stack above the table's place into the table, in order: of a key that comes twice
 * the last value counts. first is the place of the first element in an array, 0 for an object. */
static void store(struct reader *r, int table, lua_Integer first)
{
    lua_State *L = r->L;
    int top = lua_gettop(L);

    if (lua_isnil(L, table)) {
        lua_createtable(L, first ? top - table : 0, first ? 0 : (top - table) / 2);
        lua_replace(L, table);
    }
    for (int i = table + 1; first && i <= top; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, table, first++);
    }
    for (int i = table + 1; !first && i <= top; i += 2) {
        lua_pushvalue(L, i);
        lua_pushvalue(L, i + 1);
        lua_rawset(L, table);
    }
    lua_settop(L, table);
}

/* Passes over a comma, or the bracket, which ends it. */
static bool read_separator(struct reader *r, char bracket, bool *over)
{
    skip_space(r);
    *over = *r->at == bracket;
    if (!*over && *r->at != ',')
        return fail(r, bracket == ']' ? "',' or ']' expected" : "',' or '}' expected");
    r->at++;
    skip_space(r);
    return true;
}

static bool read_array(struct reader *r)
{
    int table = lua_gettop(r->L) + 1, held = 0;
    lua_Integer stored = 0;

    if (!enter(r))
        return false;
    bool over = *r->at == ']';
    if (over)
        r->at++;
    while (!over) {
        if (!read_value(r) || !read_separator(r, ']', &over))
            return false;
        if (++held == HELD_MAX && !over) {
            store(r, table, stored + 1);
            stored += held;
            held = 0;
        }
        make_room(r, held);
    }
    store(r, table, stored + 1);
    r->depth--;
    return true;
}

static bool read_key(struct reader *r)
{
    if (*r->at != '"')
        return fail(r, "a key in quotes expected");
    if (!read_string(r))
        return false;
    skip_space(r);
    if (*r->at != ':')
        return fail(r, "':' expected");
    r->at++;
    skip_space(r);
    return true;
}

/* An object that is empty for Lua would else become an array when it is written again. */
static void mark_if_empty(lua_State *L)
{
    lua_pushnil(L);
    if (lua_next(L, -2))
        lua_pop(L, 2);
    else
        json_mark(L, -1, JSON_OBJECT);
}

static bool read_object(struct reader *r)
{
    int table = lua_gettop(r->L) + 1, held = 0;

    if (!enter(r))
        return false;
    bool over = *r->at == '}', maybe_empty = over;
    if (over)
        r->at++;
    while (!over) {
        if (!read_key(r))
            return false;
        if (*r->at == 'n' && !r->null_in_objects) {
            lua_pushnil(r->L);
            maybe_empty = true;
            if (!read_word(r, "null"))
                return false;
        } else if (!read_value(r)) {
            return false;
        }
        if (!read_separator(r, '}', &over))
            return false;
        held += 2;
        if (held == HELD_MAX && !over) {
            store(r, table, 0);
            held = 0;
        }
        make_room(r, held);
    }
    store(r, table, 0);
    if (maybe_empty)
        mark_if_empty(r->L);
    r->depth--;
    return true;
}

/* ---- values ---- */

/* Pushes the value at at. */
static bool read_value(struct reader *r)
{
    quota_poll();
    switch (*r->at) {
    case '{': return read_object(r);
    case '[': return read_array(r);
    case '"': return read_string(r);
    case 't': lua_pushboolean(r->L, 1); return read_word(r, "true");
    case 'f': lua_pushboolean(r->L, 0); return read_word(r, "false");
    case 'n': lua_pushlightuserdata(r->L, NULL); return read_word(r, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return read_number(r);
    default: return fail(r, "a value expected");
    }
}

static void push_error(const struct reader *r, const char *begin)
{
    const char *line = begin;
    lua_Integer lines = 1;

    for (const char *at = begin; (at = memchr(at, '\n', (size_t)(r->at - at))); line = ++at)
        lines++;
    lua_pushfstring(r->L, "JSON error in line %I, column %I: %s", lines, (lua_Integer)(r->at - line) + 1,
                    r->error);
}

bool json_decode(lua_State *L, const char *text, size_t len, bool null_in_objects)
{
    struct reader r = {.L = L, .at = text, .end = text + len, .null_in_objects = null_in_objects};
    int top = lua_gettop(L);

    luaL_checkstack(L, 8, "json");
    skip_space(&r);
    if (read_value(&r)) {
        skip_space(&r);
        if (r.at == r.end)
            return true;
        fail(&r, "something follows the value");
    }
    lua_settop(L, top);
    lua_pushnil(L);
    push_error(&r, text);
    return false;
}
