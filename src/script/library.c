/* Which libraries and base functions scripts have, and how their tables are filled. An allow-list:
 * what is not named here does not exist.
 *
 * All tables of libraries share one metatable, which also keeps them: its array holds them in the
 * order of enum library_index. */
#include "script/library.h"

#include "base/check.h"
#include "base/random.h"
#include "script/bind.h"
#include "script/bind_base.h"
#include "script/wait.h"

#include <lualib.h>
#include <math.h>
#include <pthread.h>

/* Lua's seed for its hashes of strings. */
unsigned int festa_lua_seed(void);
unsigned int festa_lua_seed(void)
{
    unsigned int seed;
    random_bytes(&seed, sizeof seed);
    return seed;
}

/* ---- what scripts may use of Lua's own ---- */

static const char *const base_stock[] = {"assert",   "error",  "getmetatable", "ipairs",   "pcall", "rawequal",
                                         "rawlen",   "rawset", "select",       "tonumber", "type",  "xpcall",
                                         NULL};
static const char *const string_stock[] = {
    [STOCK_STRING_FORMAT] = "format",
    "byte", "char", "find", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize", "rep", "reverse",
    "sub", "unpack", "upper", NULL};
static const char *const table_stock[] = {"concat", "insert", "move", "pack", "remove", "sort", "unpack", NULL};
static const char *const math_stock[] = {"abs",  "acos", "asin",  "atan", "ceil", "cos", "deg",  "exp", "floor",
                                         "fmod", "log",  "max",   "min",  "modf", "rad", "sin",  "sqrt", "tan",
                                         "tointeger", "type", "ult", NULL};
static const char *const utf8_stock[] = {"char", "codepoint", "codes", "len", "offset", NULL};
static const char *const os_stock[] = {"clock", "date", "difftime", "time", NULL};

/* What makes "10" + 1 work: Lua has it in the metatable of strings. */
static const char *const string_operators[] = {"__add", "__sub",  "__mul", "__mod", "__pow",
                                               "__div", "__idiv", "__unm", NULL};

static const char *const math_values[] = {"pi", "huge", "maxinteger", "mininteger", "random", "randomseed", NULL};
static bool math_value(lua_State *L, const char *key);
static const char *const utf8_values[] = {"charpattern", NULL};
static bool utf8_value(lua_State *L, const char *key);

static const struct library base = {.name = LUA_GNAME, .functions = base_functions, .open = luaopen_base,
                                    .stock = base_stock};

const struct library libraries[LIBRARIES] = {
    [LIBRARY_STRING] = {.name = "string", .functions = string_functions, .open = luaopen_string,
                        .stock = string_stock},
    [LIBRARY_TABLE] = {.name = "table", .open = luaopen_table, .stock = table_stock},
    [LIBRARY_MATH] = {.name = "math", .open = luaopen_math, .stock = math_stock, .value = math_value,
                      .values = math_values},
    [LIBRARY_UTF8] = {.name = "utf8", .open = luaopen_utf8, .stock = utf8_stock, .value = utf8_value,
                      .values = utf8_values},
    [LIBRARY_OS] = {.name = "os", .open = luaopen_os, .stock = os_stock},
    [LIBRARY_COROUTINE] = {.name = "coroutine", .functions = coroutine_functions},
    [LIBRARY_DEBUG] = {.name = "debug", .functions = debug_functions},
    [LIBRARY_PARTY] = {.name = "party", .functions = party_functions, .value = party_value,
                       .values = party_values},
    [LIBRARY_RESPONSE] = {.name = "Response", .functions = response_functions, .call = response_call},
    [LIBRARY_JSON] = {.name = "json", .functions = json_functions, .value = json_value, .values = json_values},
    [LIBRARY_CRYPTO] = {.name = "crypto", .functions = crypto_functions},
    [LIBRARY_LOG] = {.name = "log", .functions = log_functions},
    [LIBRARY_HTML] = {.name = "html", .functions = html_functions},
};

_Static_assert((int)LIBRARIES <= VM_LIBRARIES, "vm->libraries has room for all of them");

/* ---- Lua's own functions, read once from a state that is thrown away ---- */

#define STOCK_MAX 24

static struct {
    lua_CFunction base[STOCK_MAX];
    lua_CFunction libraries[LIBRARIES][STOCK_MAX];
    lua_CFunction string_operators[STOCK_MAX];
    lua_CFunction random, randomseed;
    size_t random_size; /* bytes of the generator's state */
} stock;

/* The functions of these names in the table at the top, which is popped. */
static void read_functions(lua_State *L, const char *const *names, lua_CFunction *functions)
{
    for (size_t i = 0; names[i]; i++) {
        CHECK(i < STOCK_MAX);
        lua_getfield(L, -1, names[i]);
        functions[i] = lua_tocfunction(L, -1);
        CHECK(functions[i] && !lua_getupvalue(L, -1, 1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static lua_CFunction read_random_function(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    lua_CFunction function = lua_tocfunction(L, -1);
    CHECK(function && lua_getupvalue(L, -1, 1));
    stock.random_size = lua_rawlen(L, -1);
    lua_pop(L, 2);
    return function;
}

static void read_stock(void)
{
    lua_State *L = luaL_newstate();
    CHECK(L != NULL);
    luaL_requiref(L, base.name, base.open, 0);
    read_functions(L, base.stock, stock.base);
    for (int i = 0; i < LIBRARIES; i++) {
        if (!libraries[i].open)
            continue;
        luaL_requiref(L, libraries[i].name, libraries[i].open, 0);
        if (i == LIBRARY_MATH) {
            stock.random = read_random_function(L, "random");
            stock.randomseed = read_random_function(L, "randomseed");
        }
        read_functions(L, libraries[i].stock, stock.libraries[i]);
    }
    lua_pushliteral(L, "");
    CHECK(lua_getmetatable(L, -1));
    read_functions(L, string_operators, stock.string_operators);
    lua_close(L);
}

lua_CFunction library_stock(enum library_index library, size_t position)
{
    return stock.libraries[library][position];
}

/* ---- values ---- */

/* math.randomseed() without arguments tells what it took for a seed: the system's randomness, where
 * Lua's own takes an address. */
static int math_randomseed(lua_State *L)
{
    if (lua_isnone(L, 1)) {
        lua_Integer seeds[2];
        random_bytes(seeds, sizeof seeds);
        lua_pushinteger(L, seeds[0]);
        lua_pushinteger(L, seeds[1]);
    }
    return stock.randomseed(L);
}

/* math.random and math.randomseed share the generator's state, which is the VM's own. */
static void push_random(lua_State *L, lua_CFunction function)
{
    static const char key;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        random_bytes(lua_newuserdatauv(L, stock.random_size, 0), stock.random_size);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    }
    lua_pushcclosure(L, function, 1);
}

static bool math_value(lua_State *L, const char *key)
{
    if (strcmp(key, "pi") == 0)
        lua_pushnumber(L, 3.141592653589793238462643383279502884);
    else if (strcmp(key, "huge") == 0)
        lua_pushnumber(L, HUGE_VAL);
    else if (strcmp(key, "maxinteger") == 0)
        lua_pushinteger(L, LUA_MAXINTEGER);
    else if (strcmp(key, "mininteger") == 0)
        lua_pushinteger(L, LUA_MININTEGER);
    else if (strcmp(key, "random") == 0)
        push_random(L, stock.random);
    else if (strcmp(key, "randomseed") == 0)
        push_random(L, math_randomseed);
    else
        return false;
    return true;
}

static bool utf8_value(lua_State *L, const char *key)
{
    static const char charpattern[] = "[\0-\x7F\xC2-\xFD][\x80-\xBF]*";

    if (strcmp(key, "charpattern") != 0)
        return false;
    lua_pushlstring(L, charpattern, sizeof charpattern - 1);
    return true;
}

/* ---- the tables ---- */

/* Index into libraries of the table at index, or -1. */
static int library_at(lua_State *L, int index)
{
    const struct vm *vm = vm_of(L);
    const void *table = lua_topointer(L, index);

    for (int i = 0; i < LIBRARIES; i++) {
        if (vm->libraries[i] == table)
            return i;
    }
    return -1;
}

/* Pushes what the library has under this name and returns true, or pushes nothing. */
static bool push_member(lua_State *L, int library, const char *key)
{
    const struct library *from = &libraries[library];

    if (from->functions && bind_method(L, from->functions, key))
        return true;
    for (size_t i = 0; from->stock && from->stock[i]; i++) {
        if (strcmp(from->stock[i], key) == 0) {
            lua_pushcfunction(L, stock.libraries[library][i]);
            return true;
        }
    }
    return from->value && from->value(L, key);
}

/* __index: fetches what is asked for, and keeps it in the table. */
static int library_index(lua_State *L)
{
    int library = lua_type(L, 2) == LUA_TSTRING ? library_at(L, 1) : -1;

    if (library < 0 || !push_member(L, library, lua_tostring(L, 2)))
        return 0;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

/* Puts the member of this name into the table at index, if there is none by that name. */
static void fill_member(lua_State *L, int index, int library, const char *key)
{
    lua_pushstring(L, key);
    lua_pushvalue(L, -1);
    bool absent = lua_rawget(L, index) == LUA_TNIL;
    lua_pop(L, 1);
    if (absent && push_member(L, library, key))
        lua_rawset(L, index);
    else
        lua_pop(L, 1);
}

void library_fill(lua_State *L, int index)
{
    if (!lua_istable(L, index) || !lua_getmetatable(L, index))
        return;
    lua_pop(L, 1);
    int library = library_at(L, index);
    if (library < 0)
        return;
    const struct library *from = &libraries[library];
    index = lua_absindex(L, index);
    for (const luaL_Reg *function = from->functions; function && function->name; function++)
        fill_member(L, index, library, function->name);
    for (const char *const *name = from->stock; name && *name; name++)
        fill_member(L, index, library, *name);
    for (const char *const *name = from->values; name && *name; name++)
        fill_member(L, index, library, *name);
}

/* __pairs: goes over all that the library has. */
static int library_pairs(lua_State *L)
{
    library_fill(L, 1);
    lua_pushcfunction(L, base_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int library_call(lua_State *L)
{
    int library = library_at(L, 1);

    if (library < 0 || !libraries[library].call)
        return luaL_error(L, "attempt to call the library '%s'", library < 0 ? "?" : libraries[library].name);
    return libraries[library].call(L);
}

static void make_metatable(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__index", library_index}, {"__pairs", library_pairs}, {"__call", library_call}, {NULL, NULL}};

    lua_createtable(L, LIBRARIES, 4);
    luaL_setfuncs(L, metamethods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_LIBRARY);
}

/* The metatable of all strings: ("x"):upper(), "10" + 1. The table of the library is at the top. */
static void make_string_metatable(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_createtable(L, 0, (int)(sizeof string_operators / sizeof *string_operators) + 1);
    for (size_t i = 0; string_operators[i]; i++) {
        lua_pushcfunction(L, stock.string_operators[i]);
        lua_setfield(L, -2, string_operators[i]);
    }
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static size_t count_base(void)
{
    size_t n = LIBRARIES + 2; /* _G, _VERSION */
    for (const luaL_Reg *function = base.functions; function->name; function++)
        n++;
    for (const char *const *name = base.stock; *name; name++)
        n++;
    return n;
}

void library_open_all(lua_State *L)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct vm *vm = vm_of(L);

    pthread_once(&once, read_stock);
    lua_createtable(L, 0, (int)count_base()); /* in one piece: Lua's own would grow step by step */
    int globals = lua_gettop(L);
    lua_pushvalue(L, globals);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);

    for (size_t i = 0; base.stock[i]; i++) {
        lua_pushcfunction(L, stock.base[i]);
        lua_setfield(L, globals, base.stock[i]);
    }
    luaL_setfuncs(L, base.functions, 0);
    lua_pushvalue(L, globals);
    lua_setfield(L, globals, LUA_GNAME);
    lua_pushliteral(L, LUA_VERSION);
    lua_setfield(L, globals, "_VERSION");

    make_metatable(L);
    int metatable = lua_gettop(L);
    for (int i = 0; i < LIBRARIES; i++) {
        lua_newtable(L);
        vm->libraries[i] = lua_topointer(L, -1);
        lua_pushvalue(L, metatable);
        lua_setmetatable(L, -2);
        if (i == LIBRARY_STRING)
            make_string_metatable(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, metatable, i + 1);
        lua_setfield(L, globals, libraries[i].name);
    }
    lua_settop(L, globals - 1);
}

/* ---- by name ---- */

static const struct library *find(const char *name, int *index)
{
    for (*index = 0; *index < LIBRARIES; (*index)++) {
        if (strcmp(libraries[*index].name, name) == 0)
            return &libraries[*index];
    }
    return strcmp(base.name, name) == 0 ? &base : NULL;
}

bool library_push(lua_State *L, const char *name)
{
    int index;
    const struct library *library = find(name, &index);

    if (!library)
        return false;
    if (library == &base) {
        lua_pushglobaltable(L);
        return true;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_LIBRARY);
    lua_rawgeti(L, -1, index + 1);
    lua_remove(L, -2);
    return true;
}

static bool listed(const char *const *names, const char *name)
{
    for (; names && *names; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

bool library_has(const char *library, const char *name)
{
    int index;
    const struct library *from = find(library, &index);

    if (!from)
        return false;
    for (const luaL_Reg *function = from->functions; function && function->name; function++) {
        if (strcmp(function->name, name) == 0)
            return true;
    }
    return listed(from->stock, name) || listed(from->values, name);
}
