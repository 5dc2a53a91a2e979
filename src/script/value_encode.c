/* Writing values (value.h). One pass over each table: how many elements and pairs it has is known behind it, so
 * that the head is written last, in the room that was left for it. */
#include "script/value.h"

#include "script/bind.h"
#include "script/json.h"
#include "script/quota.h"
#include "script/script.h"
#include "script/table_path.h"

#include <limits.h>

#define SLACK 16u          /* bytes over the limit that may be in the way before it is noticed */
#define KEEP (64u * 1024u) /* bytes that the thread's buffer always may keep */

struct writer {
    lua_State *L;
    struct buf *buf;
    uint8_t *at, *end; /* in buf */
    const struct value_terms *terms;
    size_t limit;
    bool asked; /* terms->more */
    int depth;
    struct table_step steps[VALUE_DEPTH_MAX];
    const void *tables[VALUE_DEPTH_MAX]; /* that the value lies in */
};

/* A table's head: so many bytes at this offset. */
struct head {
    size_t offset, size;
    uint32_t n_elements, n_pairs;
};

static void write_value(struct writer *w, int index);

/* ---- failing ---- */

/* "NAME.players[3].run", so many steps into the value; pushed. */
static const char *place_of(struct writer *w, int depth)
{
    const struct table_step key = {.key = w->terms->key};
    char at[TABLE_PATH_MAX], path[TABLE_PATH_MAX];

    table_path(w->L, &key, key.key ? 1 : 0, at);
    table_path(w->L, w->steps, depth, path);
    return lua_pushfstring(w->L, "%s%s%s", w->terms->name, at, path);
}

/* "REFUSAL: NAME.players[3].run WHAT" */
_Noreturn static void fail(struct writer *w, const char *what)
{
    luaL_error(w->L, "%s: %s %s", w->terms->refusal, place_of(w, w->depth), what);
    __builtin_unreachable();
}

_Noreturn static void fail_type(struct writer *w, int index, const char *what)
{
    const char *type = bind_type_name(w->L, index);

    fail(w, lua_pushfstring(w->L, "%s a %s", what, type ? type : luaL_typename(w->L, index)));
}

_Noreturn static void fail_size(struct writer *w)
{
    const char *name = w->terms->limit;

    w->depth = 0;
    fail(w, lua_pushfstring(w->L, "takes more than %I bytes%s%s%s", (lua_Integer)w->limit, name ? " (" : "",
                            name ? name : "", name ? ")" : ""));
}

_Noreturn static void fail_cycle(struct writer *w, int depth)
{
    fail(w, lua_pushfstring(w->L, "is %s again, a cycle", place_of(w, depth)));
}

/* ---- bytes ---- */

static size_t written(const struct writer *w)
{
    return (size_t)(w->at - w->buf->data);
}

static void set_limit(struct writer *w, size_t limit)
{
    w->limit = limit < INT_MAX - SLACK ? limit : INT_MAX - SLACK;
}

/* len and n may be of SLACK bytes too many. */
static void check_size(struct writer *w, size_t len, size_t n, size_t slack)
{
    if (n <= w->limit + slack && len <= w->limit + slack - n)
        return;
    if (!w->terms->more || w->asked)
        fail_size(w);
    w->asked = true;
    set_limit(w, w->terms->more(w->L));
    check_size(w, len, n, slack);
}

static void grow(struct writer *w, size_t n)
{
    size_t len = w->at ? written(w) : 0;

    check_size(w, len, n, SLACK);
    size_t most = w->limit + SLACK;
    w->buf->len = len;
    if (buf_reserve(w->buf, n) != 0)
        luaL_error(w->L, "not enough memory");
    w->at = w->buf->data + len;
    w->end = w->buf->data + (w->buf->cap < most ? w->buf->cap : most);
}

/* Room for n more bytes. */
static inline void reserve(struct writer *w, size_t n)
{
    if (__builtin_expect((size_t)(w->end - w->at) < n, 0))
        grow(w, n);
}

static inline void put_tag(struct writer *w, unsigned tag)
{
    reserve(w, 1);
    *w->at++ = (uint8_t)tag;
}

/* There is room. */
static void put_varint(struct writer *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *w->at++ = (uint8_t)(value | 0x80);
    *w->at++ = (uint8_t)value;
}

/* The n lowest bytes. */
static void put_fixed(uint8_t *at, uint64_t value, int n)
{
    for (int i = 0; i < n; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* ---- plain values ---- */

static void write_integer(struct writer *w, lua_Integer value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);

    reserve(w, 1 + VALUE_VARINT_MAX);
    if (zigzag <= VALUE_SMALL_MAX) {
        *w->at++ = (uint8_t)(VALUE_SMALL | zigzag);
        return;
    }
    *w->at++ = VALUE_INTEGER;
    put_varint(w, zigzag);
}

static void write_float(struct writer *w, lua_Number value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    reserve(w, 1 + sizeof bits);
    *w->at++ = VALUE_FLOAT;
    put_fixed(w->at, bits, sizeof bits);
    w->at += sizeof bits;
}

static void write_string(struct writer *w, int index)
{
    size_t len;
    const char *text = lua_tolstring(w->L, index, &len);

    reserve(w, 1 + VALUE_VARINT_MAX + len);
    if (len <= VALUE_SHORT_MAX) {
        *w->at++ = (uint8_t)(VALUE_SHORT | len);
    } else {
        *w->at++ = VALUE_STRING;
        put_varint(w, len);
    }
    memcpy(w->at, text, len);
    w->at += len;
}

/* ---- tables ---- */

/* Makes room for the head that the table needs by now. What is already there moves when it gets too small, at
 * the 16th element and at the 256th. */
static void widen(struct writer *w, struct head *head)
{
    uint32_t n = head->n_elements, m = head->n_pairs;
    size_t size = n > UINT8_MAX || m > UINT8_MAX                       ? 9
                  : n > VALUE_FEW_MAX || m > VALUE_FEW_MAX || (n && m) ? 3
                                                                       : 1;
    if (__builtin_expect(size == head->size, 1))
        return;
    size_t more = size - head->size;
    reserve(w, more);
    uint8_t *body = w->buf->data + head->offset + head->size;
    memmove(body + more, body, (size_t)(w->at - body));
    w->at += more;
    head->size = size;
}

static void put_head(struct writer *w, const struct head *head)
{
    uint8_t *at = w->buf->data + head->offset;

    if (head->size == 1) {
        *at = (uint8_t)(head->n_pairs ? VALUE_PAIRS | head->n_pairs : VALUE_ELEMENTS | head->n_elements);
        return;
    }
    int width = head->size == 3 ? 1 : 4;
    *at = width == 1 ? VALUE_TABLE : VALUE_LARGE;
    put_fixed(at + 1, head->n_elements, width);
    put_fixed(at + 1 + width, head->n_pairs, width);
}

static void check_cycle(struct writer *w, const void *identity)
{
    for (int i = 0; i < w->depth; i++) {
        if (w->tables[i] == identity)
            fail_cycle(w, i);
    }
}

static struct table_step *enter(struct writer *w, int table)
{
    const void *identity = lua_topointer(w->L, table);

    check_cycle(w, identity);
    if (w->depth == VALUE_DEPTH_MAX)
        fail(w, "is inside of more than 128 tables");
    luaL_checkstack(w->L, 6, "value");
    w->tables[w->depth] = identity;
    w->steps[w->depth] = (struct table_step){0};
    return &w->steps[w->depth++];
}

static void write_mark(struct writer *w, int table)
{
    enum json_mark mark = json_mark_alone(w->L, table);

    if (mark == JSON_UNMARKED) {
        check_cycle(w, lua_topointer(w->L, table)); /* self has one, and may be in itself */
        fail(w, "has a metatable");
    }
    put_tag(w, mark == JSON_ARRAY ? VALUE_ARRAY : VALUE_OBJECT);
}

static void write_key(struct writer *w, int key)
{
    switch (lua_type(w->L, key)) {
    case LUA_TSTRING: write_string(w, key); break;
    case LUA_TNUMBER:
    case LUA_TBOOLEAN: write_value(w, key); break;
    default: w->depth--; fail_type(w, key, "has a key that is");
    }
}

static void write_table(struct writer *w, int table, bool bare)
{
    lua_State *L = w->L;

    if (!bare && lua_getmetatable(L, table)) {
        lua_pop(L, 1);
        write_mark(w, table);
    }
    struct table_step *step = enter(w, table);
    struct head head = {.offset = written(w), .size = 1};
    put_tag(w, VALUE_ELEMENTS);

    lua_pushnil(L);
    int key = lua_gettop(L);
    step->key = key;
    bool more = lua_next(L, table) != 0;
    for (; more && lua_isinteger(L, key) && lua_tointeger(L, key) == (lua_Integer)head.n_elements + 1;
         more = lua_next(L, table) != 0) {
        head.n_elements++;
        widen(w, &head);
        write_value(w, key + 1);
        lua_settop(L, key);
    }
    for (; more; more = lua_next(L, table) != 0) {
        head.n_pairs++;
        widen(w, &head);
        write_key(w, key);
        write_value(w, key + 1);
        lua_settop(L, key);
    }
    put_head(w, &head);
    w->depth--;
}

static void write_value(struct writer *w, int index)
{
    lua_State *L = w->L;

    quota_poll();
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: put_tag(w, lua_toboolean(L, index) ? VALUE_TRUE : VALUE_FALSE); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            write_integer(w, lua_tointeger(L, index));
        else
            write_float(w, lua_tonumber(L, index));
        break;
    case LUA_TSTRING: write_string(w, index); break;
    case LUA_TTABLE: write_table(w, index, w->depth == 0 && w->terms->bare); break;
    case LUA_TNIL: fail(w, "is nil");
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, index)) {
            put_tag(w, VALUE_NULL);
            break;
        } /* fall through */
    default: fail_type(w, index, "is");
    }
}

struct span value_encode(lua_State *L, int index, const struct value_terms *terms)
{
    struct writer w;
    struct buf *buf = &vm_of(L)->script->encoded;

    /* One large value does not cost a large buffer for good; if others follow it is not made anew each time. */
    if (buf->cap > KEEP && buf->len < buf->cap / 4)
        buf_fini(buf);
    w.L = L;
    w.buf = buf;
    w.terms = terms;
    w.asked = false;
    set_limit(&w, terms->limit_bytes);
    w.depth = 0;
    w.at = w.end = NULL;
    luaL_checkstack(L, 8, "value");
    grow(&w, 64);
    *w.at++ = VALUE_VERSION;
    write_value(&w, lua_absindex(L, index));
    buf->len = written(&w);
    check_size(&w, buf->len, 0, 0);
    return (struct span){(const char *)buf->data, buf->len};
}
