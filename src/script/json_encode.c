/* Writing JSON. Tables are read without metamethods, so no script code runs meanwhile. Raises with the
 * path to the value that can't be written. */
#include "script/bind.h"
#include "script/json.h"
#include "script/quota.h"
#include "script/table_path.h"

#include "base/utf8.h"

#include <math.h>
#include <yyjson.h>

#define INDENT 2

/* The text so far. It lies in the C stack while it is short, then in a userdata, which goes with the Lua
 * stack whatever raises. */
struct writer {
    lua_State *L;
    char *data;
    size_t len, cap;
    int memory; /* index of the userdata */
    bool pretty;
    int depth;
    struct table_step levels[JSON_DEPTH_MAX];
    char first[1024];
};

static void write_value(struct writer *w, int index);

/* ---- failing ---- */

/* "json: WHAT (at players[2].run)" */
static void fail(struct writer *w, const char *what)
{
    char path[TABLE_PATH_MAX];

    table_path(w->L, w->levels, w->depth, path);
    if (!*path)
        luaL_error(w->L, "json: %s", what);
    luaL_error(w->L, "json: %s (at %s)", what, path + (*path == '.'));
}

/* ---- bytes ---- */

static void grow(struct writer *w, size_t n)
{
    size_t cap = w->cap * 2 > w->len + n ? w->cap * 2 : w->len + n;
    char *grown = lua_newuserdatauv(w->L, cap, 0);

    memcpy(grown, w->data, w->len);
    lua_replace(w->L, w->memory);
    w->data = grown;
    w->cap = cap;
}

/* Room for n more bytes. */
static inline char *reserve(struct writer *w, size_t n)
{
    if (w->cap - w->len < n)
        grow(w, n);
    return w->data + w->len;
}

static inline void put(struct writer *w, const char *bytes, size_t n)
{
    memcpy(reserve(w, n), bytes, n);
    w->len += n;
}

static inline void put_char(struct writer *w, char c)
{
    *reserve(w, 1) = c;
    w->len++;
}

/* A new line, as far in as the depth asks for, when it is to be pretty. */
static void put_line(struct writer *w)
{
    if (!w->pretty)
        return;
    size_t indent = (size_t)w->depth * INDENT;
    char *at = reserve(w, indent + 1);
    *at = '\n';
    memset(at + 1, ' ', indent);
    w->len += indent + 1;
}

/* ---- plain values ---- */

static void write_integer(struct writer *w, lua_Integer value)
{
    char digits[24], *at = digits + sizeof digits;
    lua_Unsigned rest = value < 0 ? 0 - (lua_Unsigned)value : (lua_Unsigned)value;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--at = '-';
    put(w, at, (size_t)(digits + sizeof digits - at));
}

/* yyjson's one allocation for a number comes from the stack. */
static void *number_alloc(void *memory, size_t size)
{
    return size <= 64 ? memory : NULL;
}

static void *number_realloc(void *memory, void *block, size_t old_size, size_t size)
{
    (void)block;
    (void)old_size;
    return number_alloc(memory, size);
}

static void number_free(void *memory, void *block)
{
    (void)memory;
    (void)block;
}

/* The shortest text that reads back as the same number, and as a float. */
static void write_float(struct writer *w, lua_Number value)
{
    char memory[64];
    yyjson_alc alc = {number_alloc, number_realloc, number_free, memory};
    yyjson_val number = {.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL, .uni.f64 = value};
    size_t len = 0;

    if (!isfinite(value))
        fail(w, "NaN and infinities have no place in JSON");
    const char *text = yyjson_val_write_opts(&number, YYJSON_WRITE_NOFLAG, &alc, &len, NULL);
    put(w, text, len);
}

static void write_escape(struct writer *w, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', (char)c, '0', '0'};
    size_t len = 2;

    switch (c) {
    case '"':
    case '\\': break;
    case '\b': escape[1] = 'b'; break;
    case '\f': escape[1] = 'f'; break;
    case '\n': escape[1] = 'n'; break;
    case '\r': escape[1] = 'r'; break;
    case '\t': escape[1] = 't'; break;
    default:
        escape[1] = 'u';
        escape[4] = hex[c >> 4];
        escape[5] = hex[c & 15];
        len = 6;
    }
    put(w, escape, len);
}

/* Writes the rest of a string, from a character that needs an escape on. */
static void write_escaped(struct writer *w, const char *at, const char *end, bool *high)
{
    while (at < end) {
        write_escape(w, (unsigned char)*at++);
        const char *stop = json_plain_run(at, end, high);
        put(w, at, (size_t)(stop - at));
        at = stop;
    }
}

static void write_string(struct writer *w, int index)
{
    size_t len;
    const char *text = lua_tolstring(w->L, index, &len), *end = text + len;
    bool high = false;

    reserve(w, len + 2);
    put_char(w, '"');
    const char *stop = json_plain_run(text, end, &high);
    put(w, text, (size_t)(stop - text));
    write_escaped(w, stop, end, &high);
    if (high && !utf8_valid(text, len))
        fail(w, "a string is not valid UTF-8");
    put_char(w, '"');
}

/* ---- tables ---- */

static struct table_step *enter(struct writer *w)
{
    if (w->depth == JSON_DEPTH_MAX)
        fail(w, "more than 128 tables inside of each other; is there a cycle?");
    luaL_checkstack(w->L, 6, "json");
    struct table_step *level = &w->levels[w->depth++];
    *level = (struct table_step){0};
    return level;
}

static void leave(struct writer *w, char bracket, bool empty)
{
    w->depth--;
    if (!empty)
        put_line(w);
    put_char(w, bracket);
}

static void separate(struct writer *w, bool first)
{
    if (!first)
        put_char(w, ',');
    put_line(w);
}

/* An element at the top. */
static void write_element(struct writer *w, struct table_step *level, lua_Integer place)
{
    level->place = place;
    separate(w, place == 1);
    write_value(w, lua_gettop(w->L));
}

/* The keys 1..n, n being the number of keys, or an error that says what is wrong with them. */
static lua_Integer check_array(struct writer *w, int table, bool marked)
{
    lua_State *L = w->L;
    lua_Integer count = 0, last = 0;
    bool strings = false;

    lua_pushnil(L);
    while (lua_next(L, table)) {
        quota_poll();
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            strings = true;
        else if (!lua_isinteger(L, -1))
            fail(w, lua_pushfstring(L, "a %s is no key for JSON", luaL_typename(L, -1)));
        else if (lua_tointeger(L, -1) < 1)
            last = LUA_MAXINTEGER;
        else if (lua_tointeger(L, -1) > last)
            last = lua_tointeger(L, -1);
        count++;
    }
    if (strings && marked)
        fail(w, "a table marked as an array has string keys");
    if (strings)
        fail(w, "a table has both string and integer keys");
    if (last != count)
        fail(w, "an array has holes; mark a table of integer keys with json.object");
    return count;
}

/* The array at table, whose first key and value are at the top if there is one. The usual array's keys
 * come in order; any other one is looked at as a whole. */
static void write_array(struct writer *w, struct table_step *level, int table, bool marked, bool more)
{
    lua_State *L = w->L;
    size_t start = w->len;
    lua_Integer n = 0;

    put_char(w, '[');
    for (; more; more = lua_next(L, table) != 0) {
        if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != n + 1) {
            lua_pop(L, 2);
            goto any_order;
        }
        write_element(w, level, ++n);
        lua_pop(L, 1);
    }
    leave(w, ']', n == 0);
    return;

any_order:
    w->depth--;
    n = check_array(w, table, marked);
    w->depth++;
    w->len = start + 1;
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, table, i);
        write_element(w, level, i);
        lua_pop(L, 1);
    }
    leave(w, ']', n == 0);
}

/* A key at the top, an integer: its text, unless the object has that as a key too. */
static void write_integer_key(struct writer *w, int table, bool marked)
{
    lua_State *L = w->L;

    if (!lua_isinteger(L, -1))
        fail(w, lua_pushfstring(L, "a %s is no key for JSON", luaL_typename(L, -1)));
    if (!marked)
        fail(w, "a table has both string and integer keys");
    put_char(w, '"');
    write_integer(w, lua_tointeger(L, -1));
    put_char(w, '"');

    lua_pushvalue(L, -1);
    lua_tostring(L, -1);
    if (lua_rawget(L, table) != LUA_TNIL)
        fail(w, "a key is there both as an integer and as a string");
    lua_pop(L, 1);
}

/* The object at table, whose first key and value are at the top if there is one. */
static void write_object(struct writer *w, struct table_step *level, int table, bool marked, bool more)
{
    lua_State *L = w->L;
    bool empty = !more;

    put_char(w, '{');
    level->key = more ? lua_gettop(L) - 1 : 0;
    for (bool first = true; more; more = lua_next(L, table) != 0, first = false) {
        separate(w, first);
        if (lua_type(L, level->key) == LUA_TSTRING) {
            write_string(w, level->key);
        } else {
            lua_pushvalue(L, level->key);
            write_integer_key(w, table, marked);
            lua_pop(L, 1);
        }
        put(w, ": ", w->pretty ? 2 : 1);
        write_value(w, level->key + 1);
        lua_pop(L, 1);
    }
    leave(w, '}', empty);
}

/* Where there is no mark the first key tells; without any key it is an array. */
static void write_table(struct writer *w, int table)
{
    struct table_step *level = enter(w);
    enum json_mark mark = json_mark_of(w->L, table);

    lua_pushnil(w->L);
    bool more = lua_next(w->L, table) != 0;
    if (mark == JSON_OBJECT || (mark == JSON_UNMARKED && more && lua_type(w->L, -2) == LUA_TSTRING))
        write_object(w, level, table, mark == JSON_OBJECT, more);
    else
        write_array(w, level, table, mark == JSON_ARRAY, more);
}

static void write_value(struct writer *w, int index)
{
    lua_State *L = w->L;

    quota_poll();
    switch (lua_type(L, index)) {
    case LUA_TNIL: put(w, "null", 4); break;
    case LUA_TBOOLEAN: lua_toboolean(L, index) ? put(w, "true", 4) : put(w, "false", 5); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            write_integer(w, lua_tointeger(L, index));
        else
            write_float(w, lua_tonumber(L, index));
        break;
    case LUA_TSTRING: write_string(w, index); break;
    case LUA_TTABLE: write_table(w, index); break;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, index)) {
            put(w, "null", 4);
            break;
        } /* fall through */
    default: fail(w, lua_pushfstring(L, "a %s has no place in JSON", luaL_typename(L, index)));
    }
}

void json_push(lua_State *L, int index, bool pretty)
{
    struct writer w;

    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, "json");
    w.L = L;
    w.data = w.first;
    w.len = 0;
    w.cap = sizeof w.first;
    w.pretty = pretty;
    w.depth = 0;
    lua_pushnil(L);
    w.memory = lua_gettop(L);
    write_value(&w, index);
    lua_pushlstring(L, w.data, w.len);
    lua_replace(L, w.memory);
}
