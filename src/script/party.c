/* What a party's table may have, checked once when the project is opened: a misspelt handler would never be
 * called, and nobody would say why. */
#include "script/party.h"

#include "base/suggest.h"
#include "script/call.h"
#include "script/module.h"
#include "script/script.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

const char *const party_handlers[] = {
    "onStart",         "onConnect",       "onMessage", "onClose", "onError",
    "onRequest",       "onStop",          "onReload",  "onAlarm", "getConnectionTags",
    "onBeforeConnect", "onBeforeRequest", "onFetch",   "onCron",  NULL};

const char *const party_hooks[] = {[HOOK_CONNECT] = "onBeforeConnect",
                                   [HOOK_REQUEST] = "onBeforeRequest",
                                   [HOOK_FETCH] = "onFetch",
                                   [HOOK_CRON] = "onCron",
                                   [HOOK_KINDS] = NULL};

const char *const party_option_names[] = {"duplicateId", "persist", "hibernate", NULL};

static const char *const duplicate_ids[] = {
    [DUPLICATE_ALLOW] = "allow", [DUPLICATE_REPLACE] = "replace", [DUPLICATE_REJECT] = "reject", NULL};

struct check {
    struct party *party;
    struct buf *error;
    bool wrong;
    int complaints;
};

#define COMPLAINTS_MAX 20 /* about one party */

static int index_of(const char *name, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

/* ---- complaining ---- */

/* The line where the function at index is defined, if that is in the party's own file; else the first one
 * with the key. */
static int line_of(lua_State *L, int index, const struct code *code, const char *key)
{
    lua_Debug ar;

    if (lua_isfunction(L, index) && !lua_iscfunction(L, index)) {
        lua_pushvalue(L, index);
        lua_getinfo(L, ">S", &ar);
        if (ar.source[0] == '@' && strcmp(ar.source + 1, code->name) == 0)
            return ar.linedefined;
    }
    return code_line_of(code->path, key);
}

/* A complaint about the key, whose value is at the top. format has a %s for the key. */
__attribute__((format(printf, 4, 5))) static void complain(lua_State *L, struct check *check, const char *key,
                                                           const char *format, ...)
{
    const struct code *code = check->party->code;
    char text[256];
    va_list args;

    check->wrong = true;
    if (++check->complaints > COMPLAINTS_MAX) {
        if (check->complaints == COMPLAINTS_MAX + 1)
            code_complain(check->error, "", code->name, 0, "and more; mend these first");
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    code_complain(check->error, code->path, code->name, line_of(L, -1, code, key), "%.60s %s", key, text);
}

static void complain_unknown(lua_State *L, struct check *check, const char *key, const char *what,
                             const char *const *names)
{
    const char *meant = suggest(key, names);

    if (meant)
        complain(L, check, key, "is no %s; did you mean %s?", what, meant);
    else
        complain(L, check, key, "is no %s", what);
}

/* ---- handlers ---- */

/* "onXxx", or a handler's name but for its case ("onmessage")? Other fields are the party's own affair. */
static bool looks_like_handler(const char *key)
{
    if (key[0] == 'o' && key[1] == 'n' && key[2] >= 'A' && key[2] <= 'Z')
        return true;
    for (size_t i = 0; party_handlers[i]; i++) {
        if (strcasecmp(key, party_handlers[i]) == 0)
            return true;
    }
    return false;
}

static bool of_main_alone(const char *key)
{
    return strcmp(key, party_hooks[HOOK_FETCH]) == 0 || strcmp(key, party_hooks[HOOK_CRON]) == 0;
}

static void check_handler(lua_State *L, struct check *check, const char *key)
{
    if (index_of(key, party_handlers) >= 0) {
        if (!lua_isfunction(L, -1))
            complain(L, check, key, "is a %s, not a function", luaL_typename(L, -1));
        else if (of_main_alone(key) && strcmp(check->party->name, "main") != 0)
            complain(L, check, key, "is called in the party main alone");
    } else if (looks_like_handler(key)) {
        complain_unknown(L, check, key, "handler", party_handlers);
    }
}

/* A global function with a handler's name, which was meant to be the party's. */
static void check_globals(lua_State *L, struct check *check)
{
    int party = lua_gettop(L);

    lua_pushglobaltable(L);
    for (size_t i = 0; party_handlers[i]; i++) {
        lua_pushvalue(L, party);
        bool found = party_may_find(L, party_handlers[i]);
        lua_settop(L, party + 1);
        lua_pushstring(L, party_handlers[i]);
        if (lua_rawget(L, party + 1) == LUA_TFUNCTION && !found)
            complain(
                L, check, party_handlers[i],
                "is a global function, which nobody calls; a handler is in the table that the file returns: "
                "function M:%s(…)",
                party_handlers[i]);
        lua_settop(L, party + 1);
    }
    lua_settop(L, party);
}

/* ---- options ---- */

static void check_option(lua_State *L, struct check *check, const char *key)
{
    if (index_of(key, party_option_names) < 0) {
        complain_unknown(L, check, key, "option", party_option_names);
    } else if (strcmp(key, "duplicateId") == 0) {
        int value = lua_type(L, -1) == LUA_TSTRING ? index_of(lua_tostring(L, -1), duplicate_ids) : -1;
        if (value >= 0)
            check->party->options.duplicate_id = (enum duplicate_id)value;
        else
            complain(L, check, key, "is one of \"allow\", \"replace\" and \"reject\"");
    } else if (!lua_isboolean(L, -1)) {
        complain(L, check, key, "is a %s, not true or false", luaL_typename(L, -1));
    } else if (strcmp(key, "persist") == 0) {
        check->party->options.persist = lua_toboolean(L, -1);
    } else {
        check->party->options.hibernate = lua_toboolean(L, -1);
    }
}

static void check_options(lua_State *L, struct check *check)
{
    if (!lua_istable(L, -1)) {
        complain(L, check, "options", "is a %s, not a table", luaL_typename(L, -1));
        return;
    }
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            check_option(L, check, lua_tostring(L, -2));
        else
            complain(L, check, "options", "has a %s as a key; only names are known", luaL_typename(L, -2));
        lua_pop(L, 1);
    }
}

/* ---- hooks ---- */

bool party_may_find(lua_State *L, const char *key)
{
    static const int steps = 16;

    for (int i = 0; i < steps && lua_istable(L, -1); i++) {
        lua_pushstring(L, key);
        if (lua_rawget(L, -2) != LUA_TNIL)
            return true;
        lua_pop(L, 1);
        if (luaL_getmetafield(L, -1, "__index") == LUA_TNIL)
            return false;
        lua_remove(L, -2);
    }
    return true;
}

/* Which hooks the party at the top has. One that it may have inherited counts: if it was not called, it could let
 * everybody in. */
static void find_hooks(lua_State *L, struct party *party)
{
    int top = lua_gettop(L);
    bool is_main = strcmp(party->name, "main") == 0;

    for (int hook = 0; hook < HOOK_KINDS; hook++) {
        lua_pushvalue(L, top);
        party->hooks[hook] =
            (is_main || !of_main_alone(party_hooks[hook])) && party_may_find(L, party_hooks[hook]);
        lua_settop(L, top);
    }
}

/* ---- the table ---- */

static int check_table(lua_State *L)
{
    struct check *check = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_PARTY);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "options") == 0)
            check_options(L, check);
        else if (lua_type(L, -2) == LUA_TSTRING)
            check_handler(L, check, lua_tostring(L, -2));
        lua_pop(L, 1);
    }
    check_globals(L, check);
    find_hooks(L, check->party);
    return 0;
}

/* The file scope raised: what, where, and by which way. */
static void complain_of_failure(const struct party *party, const struct buf *failure, int line,
                                struct buf *error)
{
    const char *text = (const char *)failure->data;
    const char *newline = memchr(text, '\n', failure->len);
    size_t first = newline ? (size_t)(newline - text) : failure->len;

    char *message = strndup(text, first), *path = NULL;
    const char *bare = message, *name = party->code->name;
    int place = message ? code_error_line(message, &bare) : 0;
    if (place > 0) {                        /* "FILE:LINE: …": of the party's own file, or of a module's */
        size_t len = strcspn(message, ":"); /* no file of a project has a colon in its name */
        message[len] = '\0';
        path = project_code_file(party->project->root, message);
        if (path) {
            name = message;
            line = place;
        } else {
            message[len] = ':';
            bare = message;
        }
    }
    code_complain(error, path ? path : party->code->path, name, line, "%s",
                  bare ? bare : "not enough memory");
    free(path);
    free(message);
    size_t from = error->len;
    for (text += first; newline && text < (const char *)failure->data + failure->len; text++) {
        (void)!buf_append(error, text, 1);
        if (*text == '\n')
            (void)!buf_append(error, "    ", 4);
    }
    code_clean(error, from);
}

int party_check(struct party *party, struct buf *error)
{
    struct check check = {.party = party, .error = error};
    struct counters counters = {0};
    struct script script;
    struct buf failure = {0};
    int line = 0;
    size_t from = error->len;

    int rc = script_init(&script, party->project, NULL, &counters);
    if (rc != 0)
        return rc;
    struct vm *vm = vm_new(&script, party, NULL);
    if (!vm) {
        code_complain(error, "", party->code->name, 0, "roomMemory = %llu is too little to load a script",
                      (unsigned long long)party->project->config.limits.room_memory);
        rc = -ENOMEM;
        goto script;
    }
    rc = vm_load(vm, &failure, &line);
    if (rc != 0) {
        complain_of_failure(party, &failure, line, error);
    } else {
        rc = call_protected(vm, check_table, &check);
        if (rc != 0)
            code_complain(error, "", party->code->name, 0, "not enough memory to check the party");
        else if (check.wrong)
            rc = -EINVAL;
        code_sort_complaints(error, from, party->code->name);
    }
    buf_fini(&failure);
    vm_free(vm);
script:
    script_fini(&script);
    return rc;
}
