/* Which libraries and base functions scripts have, and how their tables are filled. An allow-list:
 * what is not named here does not exist.
 *
 * All tables of libraries, _G among them, share one metatable. Its __index gives each member once:
 * what the script takes away afterwards stays away. */
#include "script/library.h"

#include "base/check.h"
#include "base/random.h"
#include "script/bind.h"
#include "script/bind_base.h"
#include "script/wait.h"

#include <lua_festa.h>
#include <lualib.h>
#include <math.h>
#include <pthread.h>

/* ---- what Lua's hashes are seeded with ---- */

unsigned long long festa_lua_multiplier = 1;

static void choose_multiplier(void)
{
    random_bytes(&festa_lua_multiplier, sizeof festa_lua_multiplier);
    festa_lua_multiplier |= 1;
}

unsigned int festa_lua_seed(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned int seed;

    CHECK(pthread_once(&once, choose_multiplier) == 0);
    random_bytes(&seed, sizeof seed);
    return seed;
}

/* ---- what scripts may use of Lua's own ---- */

static const char *const base_stock[] = {"assert", "error",    "ipairs", "rawequal", "rawlen",
                                         "select", "tonumber", "type",   NULL};
static const char *const string_stock[] = {"format",  "byte",  "char",   "find",  "gmatch",   "gsub",
                                           "len",     "lower", "match",  "pack",  "packsize", "rep",
                                           "reverse", "sub",   "unpack", "upper", NULL};
_Static_assert(STOCK_STRING_FORMAT == 0, "its place in string_stock");
static const char *const table_stock[] = {"concat", "insert", "move",   "pack",
                                          "remove", "sort",   "unpack", NULL};
static const char *const math_stock[] = {"abs",   "acos", "asin",      "atan", "ceil", "cos",  "deg", "exp",
                                         "floor", "fmod", "log",       "max",  "min",  "modf", "rad", "sin",
                                         "sqrt",  "tan",  "tointeger", "type", "ult",  NULL};
static const char *const utf8_stock[] = {"char", "codepoint", "codes", "len", "offset", NULL};
static const char *const os_stock[] = {"date", "time", "clock", "difftime", NULL};
_Static_assert(STOCK_OS_DATE == 0 && STOCK_OS_TIME == 1, "their places in os_stock");

/* What makes "10" + 1 work: Lua has it in the metatable of strings. */
static const char *const string_operators[] = {"__add", "__sub",  "__mul", "__mod", "__pow",
                                               "__div", "__idiv", "__unm", NULL};

static const char *const math_values[] = {"pi",     "huge",       "maxinteger", "mininteger",
                                          "random", "randomseed", NULL};
static bool math_value(lua_State *L, const char *key);
static const char *const utf8_values[] = {"charpattern", NULL};
static bool utf8_value(lua_State *L, const char *key);

static bool global_value(lua_State *L, const char *key);
static const char *const global_values[] = {"string", "table",   "math",     "utf8", "os",     "coroutine",
                                            "debug",  "party",   "Response", "json", "crypto", "log",
                                            "html",   LUA_GNAME, "_VERSION", NULL};

const struct library libraries[LIBRARIES] = {
    [LIBRARY_STRING] = {.name = "string",
                        .functions = string_functions,
                        .open = luaopen_string,
                        .stock = string_stock},
    [LIBRARY_TABLE] = {.name = "table", .open = luaopen_table, .stock = table_stock},
    [LIBRARY_MATH] = {.name = "math",
                      .open = luaopen_math,
                      .stock = math_stock,
                      .value = math_value,
                      .values = math_values},
    [LIBRARY_UTF8] = {.name = "utf8",
                      .open = luaopen_utf8,
                      .stock = utf8_stock,
                      .value = utf8_value,
                      .values = utf8_values},
    [LIBRARY_OS] = {.name = "os", .functions = os_functions, .open = luaopen_os, .stock = os_stock},
    [LIBRARY_COROUTINE] = {.name = "coroutine", .functions = coroutine_functions},
    [LIBRARY_DEBUG] = {.name = "debug", .functions = debug_functions},
    [LIBRARY_PARTY] = {.name = "party",
                       .functions = party_functions,
                       .value = party_value,
                       .values = party_values},
    [LIBRARY_RESPONSE] = {.name = "Response", .functions = response_functions, .call = response_call},
    [LIBRARY_JSON] = {.name = "json",
                      .functions = json_functions,
                      .value = json_value,
                      .values = json_values},
    [LIBRARY_CRYPTO] = {.name = "crypto",
                        .functions = crypto_functions,
                        .value = crypto_value,
                        .values = crypto_values},
    [LIBRARY_LOG] = {.name = "log", .functions = log_functions},
    [LIBRARY_HTML] = {.name = "html", .functions = html_functions},
    [LIBRARY_GLOBALS] = {.name = LUA_GNAME,
                         .functions = base_functions,
                         .open = luaopen_base,
                         .stock = base_stock,
                         .value = global_value,
                         .values = global_values},
};

_Static_assert((int)LIBRARIES <= VM_LIBRARIES, "vm->libraries has room for all of them");

/* ---- Lua's own functions, read once from a state that is thrown away ---- */

#define STOCK_MAX 24

static struct {
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

/* Is the value at index a table with the metatable of libraries? */
static bool has_library_metatable(lua_State *L, int index)
{
    if (!lua_istable(L, index) || !lua_getmetatable(L, index))
        return false;
    bool same = lua_topointer(L, -1) == vm_of(L)->library_metatable;
    lua_pop(L, 1);
    return same;
}

/* Index into libraries of the table at index, or -1. */
static int library_at(lua_State *L, int index)
{
    const struct vm *vm = vm_of(L);

    if (!has_library_metatable(L, index))
        return -1;
    for (int i = 0; i < LIBRARIES; i++) {
        if (vm->libraries[i] == lua_topointer(L, index))
            return i;
    }
    return -1;
}

static int name_index(const char *const *names, const char *key)
{
    for (int i = 0; names && names[i]; i++) {
        if (strcmp(names[i], key) == 0)
            return i;
    }
    return -1;
}

static int count_names(const char *const *names)
{
    int n = 0;
    while (names && names[n])
        n++;
    return n;
}

/* The members of a library in order: its functions, those of Lua's own, its values. */
struct member {
    int index; /* among all; -1: there is none of this name */
    const char *name;
    lua_CFunction function; /* NULL: a value */
};

static struct member member_at(int library, int index)
{
    const struct library *from = &libraries[library];
    int n = index;

    for (const luaL_Reg *own = from->functions; own && own->name; own++, n--) {
        if (n == 0)
            return (struct member){index, own->name, own->func};
    }
    int n_stock = count_names(from->stock);
    if (n < n_stock)
        return (struct member){index, from->stock[n], stock.libraries[library][n]};
    n -= n_stock;
    if (n < count_names(from->values))
        return (struct member){index, from->values[n], NULL};
    return (struct member){.index = -1};
}

static struct member member_named(int library, const char *name)
{
    const struct library *from = &libraries[library];
    int before = 0;

    for (const luaL_Reg *own = from->functions; own && own->name; own++, before++) {
        if (strcmp(own->name, name) == 0)
            return (struct member){before, name, own->func};
    }
    int i = name_index(from->stock, name);
    if (i >= 0)
        return (struct member){before + i, name, stock.libraries[library][i]};
    before += count_names(from->stock);
    i = name_index(from->values, name);
    return (struct member){i < 0 ? -1 : before + i, name, NULL};
}

static bool was_given(const struct vm *vm, int library, int member)
{
    return (vm->given[library] >> member & 1) != 0;
}

/* Pushes the member and returns true, if the script was not given it before. */
static bool give(lua_State *L, int library, struct member member)
{
    struct vm *vm = vm_of(L);

    if (member.index < 0 || was_given(vm, library, member.index))
        return false;
    if (member.function)
        lua_pushcfunction(L, member.function);
    else if (!libraries[library].value(L, member.name))
        return false;
    return true;
}

/* Puts what is at the top, a member, into its table at index; pops it. */
static void keep(lua_State *L, int index, int library, struct member member)
{
    lua_pushstring(L, member.name);
    lua_insert(L, -2);
    lua_rawset(L, index);
    vm_of(L)->given[library] |= (uint64_t)1 << member.index;
}

/* __index: gives what is asked for, and keeps it in the table. */
static int library_index(lua_State *L)
{
    int library = lua_type(L, 2) == LUA_TSTRING ? library_at(L, 1) : -1;
    if (library < 0)
        return 0;
    struct member member = member_named(library, lua_tostring(L, 2));
    if (!give(L, library, member))
        return 0;
    lua_pushvalue(L, -1);
    keep(L, 1, library, member);
    return 1;
}

void library_replace(lua_State *L, int index)
{
    int library = lua_type(L, index + 1) == LUA_TSTRING ? library_at(L, index) : -1;
    if (library < 0)
        return;
    int member = member_named(library, lua_tostring(L, index + 1)).index;
    if (member >= 0)
        vm_of(L)->given[library] |= (uint64_t)1 << member;
}

/* __newindex: the script puts its own in the place of a member, or takes it away. */
static int library_newindex(lua_State *L)
{
    library_replace(L, 1);
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}

void library_fill(lua_State *L, int index)
{
    int library = library_at(L, index);
    if (library < 0)
        return;
    index = lua_absindex(L, index);
    struct member member;
    for (int i = 0; (member = member_at(library, i)).index >= 0; i++) {
        if (give(L, library, member))
            keep(L, index, library, member);
    }
}

void library_renew(lua_State *L, enum library_index index, const char *name)
{
    struct vm *vm = vm_of(L);
    int library = (int)index;
    struct member member = member_named(library, name);

    if (!vm->libraries[library] || !was_given(vm, library, member.index))
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SLOTS + library);
    lua_pushstring(L, name);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    vm->given[library] &= ~((uint64_t)1 << member.index);
}

bool library_is_globals(lua_State *L, int index)
{
    return library_at(L, index) == LIBRARY_GLOBALS;
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
    static const luaL_Reg metamethods[] = {{"__index", library_index},
                                           {"__newindex", library_newindex},
                                           {"__pairs", library_pairs},
                                           {"__call", library_call},
                                           {NULL, NULL}};

    lua_createtable(L, 0, 5);
    luaL_setfuncs(L, metamethods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    vm_of(L)->library_metatable = lua_topointer(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_LIBRARY);
}

/* Makes the table at the top that of a library. */
static void adopt(lua_State *L, int library)
{
    struct vm *vm = vm_of(L);

    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_LIBRARY);
    lua_setmetatable(L, -2);
    vm->libraries[library] = lua_topointer(L, -1);
    vm->given[library] = 0;
}

/* The metatable of all strings: ("x"):upper(), "10" + 1. It keeps the library's table. */
static void make_string_metatable(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_createtable(L, 0, (int)(sizeof string_operators / sizeof *string_operators) + 1);
    for (size_t i = 0; string_operators[i]; i++) {
        lua_pushcfunction(L, stock.string_operators[i]);
        lua_setfield(L, -2, string_operators[i]);
    }
    lua_newtable(L);
    adopt(L, LIBRARY_STRING);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* Pushes the table of a library, made at first use. The registry keeps it: a script that drops its global
 * may hold the table still, and no other one may get its address. */
static void push_library(lua_State *L, int library)
{
    if (library == LIBRARY_STRING) {
        lua_pushliteral(L, "");
        luaL_getmetafield(L, -1, "__index");
        lua_remove(L, -2);
    } else if (lua_rawgeti(L, LUA_REGISTRYINDEX, VM_SLOTS + library) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, LUA_REGISTRYINDEX, VM_SLOTS + library);
        adopt(L, library); /* nothing can fail from here on */
    }
}

static int find(const char *name)
{
    for (int i = 0; i < LIBRARIES; i++) {
        if (strcmp(libraries[i].name, name) == 0)
            return i;
    }
    return -1;
}

static bool global_value(lua_State *L, const char *key)
{
    int library = find(key);

    if (library == LIBRARY_GLOBALS)
        lua_pushglobaltable(L);
    else if (library >= 0)
        push_library(L, library);
    else
        lua_pushliteral(L, LUA_VERSION);
    return true;
}

void library_open_all(lua_State *L)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, read_stock);
    make_metatable(L);
    make_string_metatable(L);
    lua_pushglobaltable(L);
    adopt(L, LIBRARY_GLOBALS);
    lua_pop(L, 1);
}

/* ---- by name ---- */

bool library_push(lua_State *L, const char *name)
{
    int library = find(name);

    if (library == LIBRARY_GLOBALS)
        lua_pushglobaltable(L);
    else if (library >= 0)
        push_library(L, library);
    return library >= 0;
}

bool library_has(const char *library, const char *name)
{
    int index = find(library);
    return index >= 0 && member_named(index, name).index >= 0;
}
