/* Reading festa.lua. Each key has a function that checks its value and puts it into the configuration; all
 * that is wrong is said at once. */
#include "script/config_file.h"

#include "base/check.h"
#include "base/suggest.h"
#include "script/code.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MEMORY_MAX ((size_t)16 * 1024 * 1024) /* bytes that the file may use */
#define STEPS_MAX 1000000                     /* instructions that it may run */

struct reading {
    lua_State *L;
    struct config *config;
    const struct code *code;
    struct buf *error;
    const char *section; /* "limits." inside of that table; else "" */
    bool wrong;
};

struct key {
    const char *name;
    void (*read)(struct reading *r, const char *key); /* the value is at the top */
};

/* ---- complaining ---- */

__attribute__((format(printf, 3, 4))) static void complain(struct reading *r, const char *key,
                                                           const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->wrong = true;
    code_complain(r->error, r->code->path, r->code->name, code_line_of(r->code->path, key), "%s%.60s %s",
                  r->section, key, text);
}

/* What the value at the top is, for messages. */
static const char *describe(lua_State *L)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: return lua_pushfstring(L, "\"%s\"", lua_tostring(L, -1));
    case LUA_TNUMBER:
    case LUA_TBOOLEAN: return luaL_tolstring(L, -1, NULL);
    default: return lua_pushfstring(L, "a %s", luaL_typename(L, -1));
    }
}

static void complain_expected(struct reading *r, const char *key, const char *expected)
{
    int top = lua_gettop(r->L);
    complain(r, key, "is %s, not %.100s", expected, describe(r->L));
    lua_settop(r->L, top);
}

/* The section, a table of names, has something else for a key. */
static void complain_nameless(struct reading *r, const char *section, const char *example)
{
    const char *within = r->section;

    r->section = "";
    complain(r, section, "has a key that is no name; what is known are pairs like %s", example);
    r->section = within;
}

static void complain_unknown(struct reading *r, const char *key, const char *const *names)
{
    const char *meant = suggest(key, names);

    if (meant)
        complain(r, key, "is not known; did you mean %s?", meant);
    else
        complain(r, key, "is not known");
}

/* ---- kinds of values ---- */

/* A whole number from least to most at the top. */
static bool read_whole(struct reading *r, const char *key, uint64_t least, uint64_t most, uint64_t *value)
{
    int whole = 0;
    lua_Integer integer = 0;
    char expected[80];

    if (lua_type(r->L, -1) == LUA_TNUMBER)
        integer = lua_tointegerx(r->L, -1, &whole);
    if (whole && integer >= 0 && (uint64_t)integer >= least && (uint64_t)integer <= most) {
        *value = (uint64_t)integer;
        return true;
    }
    snprintf(expected, sizeof expected, "a whole number from %llu to %llu", (unsigned long long)least,
             (unsigned long long)most);
    complain_expected(r, key, expected);
    return false;
}

/* Text without a NUL at the top, or NULL after a complaint. */
static const char *read_text(struct reading *r, const char *key)
{
    size_t len;
    const char *text = lua_type(r->L, -1) == LUA_TSTRING ? lua_tolstring(r->L, -1, &len) : NULL;

    if (text && len > 0 && strlen(text) == len)
        return text;
    complain_expected(r, key, "a text that is not empty");
    return NULL;
}

static bool read_flag(struct reading *r, const char *key, bool *value)
{
    if (!lua_isboolean(r->L, -1)) {
        complain_expected(r, key, "true or false");
        return false;
    }
    *value = lua_toboolean(r->L, -1) != 0;
    return true;
}

static size_t count_keys(lua_State *L)
{
    size_t n = 0;

    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    return n;
}

/* An array of texts at the top, each of which is valid, into list. */
static void read_texts(struct reading *r, const char *key, const char *expected,
                       bool (*valid)(const char *text), struct string_list *list)
{
    lua_State *L = r->L;

    if (!lua_istable(L, -1) || count_keys(L) != lua_rawlen(L, -1)) {
        complain_expected(r, key, "an array of texts");
        return;
    }
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        size_t len = 0;
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
        if (text && strlen(text) == len && valid(text))
            string_list_add(list, text);
        else
            complain_expected(r, key, expected);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void replace_text(char **place, const char *text)
{
    free(*place);
    *place = xstrdup(text);
}

/* ---- keys ---- */

static void read_port(struct reading *r, const char *key)
{
    uint64_t port;
    if (read_whole(r, key, 0, 65535, &port))
        r->config->port = (int)port;
}

static void read_host(struct reading *r, const char *key)
{
    const char *host = read_text(r, key);
    if (host)
        replace_text(&r->config->host, host);
}

static void read_storage_files(struct reading *r, const char *key)
{
    uint64_t files;
    if (read_whole(r, key, 1, 64, &files))
        r->config->storage_files = (int)files;
}

static void read_threads(struct reading *r, const char *key)
{
    uint64_t threads;
    if (read_whole(r, key, 1, 1024, &threads))
        r->config->threads = (int)threads;
}

static void read_public(struct reading *r, const char *key)
{
    const char *folder = read_text(r, key);
    if (folder) {
        replace_text(&r->config->public_folder, folder);
        r->config->public_set = true;
    }
}

static void read_single_page(struct reading *r, const char *key)
{
    read_flag(r, key, &r->config->single_page_app);
}

static void read_cors(struct reading *r, const char *key)
{
    read_flag(r, key, &r->config->cors);
}

static void read_io_uring(struct reading *r, const char *key)
{
    read_flag(r, key, &r->config->io_uring);
}

static void read_fetch_private(struct reading *r, const char *key)
{
    read_flag(r, key, &r->config->fetch_private);
}

static void read_fetch_ca(struct reading *r, const char *key)
{
    const char *file = read_text(r, key);
    if (file)
        replace_text(&r->config->fetch_ca, file);
}

static void read_deflate(struct reading *r, const char *key)
{
    read_flag(r, key, &r->config->deflate);
}

/* "*", or what a browser sends: scheme://host[:port] */
static bool origin_valid(const char *text)
{
    const char *host = strstr(text, "://");

    if (strcmp(text, "*") == 0)
        return true;
    return host && host > text && host[3] && !strpbrk(host + 3, "/?#@ \t\r\n") && !strpbrk(text, " \t\r\n");
}

static void read_origins(struct reading *r, const char *key)
{
    struct config *config = r->config;

    read_texts(r, key, "\"*\" or of the form \"https://example.com\"", origin_valid,
               &config->allowed_origins);
    config->allowed_origins_set = true;
    for (size_t i = 0; i < config->allowed_origins.count; i++)
        config->any_origin = config->any_origin || strcmp(config->allowed_origins.items[i], "*") == 0;
}

static bool proxy_valid(const char *text)
{
    struct config probe = {0};
    bool valid = config_trust(&probe, text);
    config_fini(&probe);
    return valid;
}

static void read_proxies(struct reading *r, const char *key)
{
    struct string_list proxies = {0};

    read_texts(r, key,
               "an array of addresses, like \"10.0.0.1\", \"10.0.0.0/8\", \"loopback\" or \"private\"",
               proxy_valid, &proxies);
    for (size_t i = 0; i < proxies.count; i++)
        config_trust(r->config, proxies.items[i]);
    string_list_fini(&proxies);
}

/* A token of RFC 9110 §5.6.2 (RFC 6455 §4.1: the elements of Sec-WebSocket-Protocol) */
static bool token_valid(const char *text)
{
    static const char allowed[] =
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return *text && strspn(text, allowed) == strlen(text);
}

static void read_subprotocols(struct reading *r, const char *key)
{
    read_texts(r, key, "an array of tokens, like \"chat.v1\"", token_valid, &r->config->subprotocols);
}

static bool variable_valid(const char *name)
{
    static const char allowed[] = "_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return *name && !(*name >= '0' && *name <= '9') && strspn(name, allowed) == strlen(name);
}

/* The variable whose name and value are at the top. */
static void read_variable(struct reading *r)
{
    lua_State *L = r->L;
    int type = lua_type(L, -1);
    size_t len;

    if (lua_type(L, -2) != LUA_TSTRING) {
        complain_nameless(r, "vars", "GREETING = \"hi\"");
        return;
    }
    if (!variable_valid(lua_tostring(L, -2))) {
        complain(r, lua_tostring(L, -2), "is no variable's name: letters, digits and '_', not a digit first");
        return;
    }
    const char *name = lua_tostring(L, -2), *value = luaL_tolstring(L, -1, &len);
    if ((type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN) && strlen(value) == len) {
        lua_pushfstring(L, "%s=%s", name, value);
        string_list_add(&r->config->vars, lua_tostring(L, -1));
        lua_pop(L, 2);
        return;
    }
    lua_pop(L, 1);
    complain_expected(r, name, "a text, a number or a boolean");
}

static void read_vars(struct reading *r, const char *key)
{
    lua_State *L = r->L;

    if (!lua_istable(L, -1)) {
        complain_expected(r, key, "a table of variables");
        return;
    }
    r->section = "vars.";
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        read_variable(r);
    r->section = "";
}

static void read_close(struct reading *r, const char *key)
{
    read_flag(r, key, &r->config->reject_with_close);
}

/* ---- crons ---- */

/* The cron whose name and schedule are at the top. */
static void read_cron(struct reading *r)
{
    struct buf why = {0};
    size_t len;

    const char *name = lua_type(r->L, -2) == LUA_TSTRING ? lua_tolstring(r->L, -2, &len) : NULL;
    if (!name || len == 0 || strlen(name) != len) {
        complain_nameless(r, "crons", "sweep = \"*/5 * * * *\"");
        return;
    }
    const char *schedule = lua_type(r->L, -1) == LUA_TSTRING ? lua_tolstring(r->L, -1, &len) : NULL;
    if (!schedule || strlen(schedule) != len)
        complain_expected(r, name, "a schedule, like \"*/5 * * * *\"");
    else if (!config_add_cron(r->config, name, schedule, &why))
        complain(r, name, "is no schedule, \"%.100s\": %.*s", schedule, (int)why.len, (const char *)why.data);
    buf_fini(&why);
}

static void read_crons(struct reading *r, const char *key)
{
    if (!lua_istable(r->L, -1)) {
        complain_expected(r, key, "a table of schedules");
        return;
    }
    r->section = "crons.";
    for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1))
        read_cron(r);
    r->section = "";
}

/* ---- limits ---- */

static void complain_unknown_limit(struct reading *r, const char *key)
{
    const char *names[64];
    size_t n = 0;

    for (; limit_infos[n].name; n++) {
        CHECK(n + 1 < sizeof names / sizeof *names);
        names[n] = limit_infos[n].name;
    }
    names[n] = NULL;
    complain_unknown(r, key, names);
}

/* The limit of this name, its value at the top. */
static void read_limit(struct reading *r, const char *key)
{
    for (const struct limit_info *info = limit_infos; info->name; info++) {
        uint64_t value;
        if (strcmp(info->name, key) != 0)
            continue;
        if (read_whole(r, key, info->least, info->most, &value))
            memcpy((char *)&r->config->limits + info->offset, &value, sizeof value);
        return;
    }
    complain_unknown_limit(r, key);
}

static void read_limits(struct reading *r, const char *key)
{
    lua_State *L = r->L;

    if (!lua_istable(L, -1)) {
        complain_expected(r, key, "a table of limits");
        return;
    }
    r->section = "limits.";
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            read_limit(r, lua_tostring(L, -2));
        else
            complain_nameless(r, "limits", "message = 65536");
    }
    r->section = "";
}

/* ---- certificates ---- */

/* The pair at the top. */
static void read_pair(struct reading *r)
{
    static const char *const names[] = {"cert", "key", NULL};
    lua_State *L = r->L;
    const char *files[2] = {NULL, NULL};

    if (!lua_istable(L, -1)) {
        complain_expected(r, "tls", "{ cert = \"file.pem\", key = \"file.pem\" }, or an array of such pairs");
        return;
    }
    r->section = "tls.";
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (strcmp(key, "cert") == 0)
            files[0] = read_text(r, key);
        else if (strcmp(key, "key") == 0)
            files[1] = read_text(r, key);
        else
            complain_unknown(r, key, names);
    }
    r->section = "";
    if (files[0] && files[1]) { /* the table keeps them alive */
        string_list_add(&r->config->tls_certs, files[0]);
        string_list_add(&r->config->tls_keys, files[1]);
    } else if (!r->wrong) {
        complain(r, "tls", "has to have both cert and key");
    }
}

static void read_tls(struct reading *r, const char *key)
{
    lua_State *L = r->L;

    (void)key;
    lua_Integer n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
    if (n == 0 || count_keys(L) != (size_t)n) {
        read_pair(r);
        return;
    }
    for (lua_Integer i = 1; i <= n; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, -1, i);
        read_pair(r);
    }
}

/* ---- the table ---- */

static const struct key keys[] = {
    {"port", read_port},
    {"host", read_host},
    {"threads", read_threads},
    {"storageFiles", read_storage_files},
    {"public", read_public},
    {"singlePageApp", read_single_page},
    {"cors", read_cors},
    {"ioUring", read_io_uring},
    {"allowedOrigins", read_origins},
    {"subprotocols", read_subprotocols},
    {"deflate", read_deflate},
    {"fetchPrivate", read_fetch_private},
    {"fetchCa", read_fetch_ca},
    {"tls", read_tls},
    {"trustedProxies", read_proxies},
    {"rejectWithClose", read_close},
    {"vars", read_vars},
    {"crons", read_crons},
    {"limits", read_limits},
};

#define N_KEYS (sizeof keys / sizeof *keys)

static void read_key(struct reading *r, const char *key)
{
    const char *names[N_KEYS + 1];

    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(keys[i].name, key) == 0) {
            keys[i].read(r, key);
            return;
        }
        names[i] = keys[i].name;
    }
    names[N_KEYS] = NULL;
    complain_unknown(r, key, names);
}

static void stop(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    luaL_error(L, "the configuration runs too long; it is plain data");
}

/* Runs the file, and reads the table that it returns. */
static int run(lua_State *L)
{
    struct reading *r = lua_touserdata(L, 1);
    bool nameless = false;

    if (luaL_loadbufferx(L, (const char *)r->code->bytecode, r->code->len, r->code->name, "b") != LUA_OK)
        return lua_error(L);
    lua_newtable(L); /* the environment */
    if (!lua_setupvalue(L, -2, 1))
        lua_pop(L, 1);
    lua_sethook(L, stop, LUA_MASKCOUNT, STEPS_MAX);
    lua_call(L, 0, 1);
    lua_sethook(L, NULL, 0, 0);
    if (!lua_istable(L, -1)) {
        r->wrong = true;
        code_complain(r->error, r->code->path, r->code->name, 0, "must return a table; it returned %s",
                      luaL_typename(L, -1));
        return 0;
    }
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            read_key(r, lua_tostring(L, -2));
            continue;
        }
        if (!nameless)
            complain(r, "return",
                     "gives a table in which something has no name; what is known are pairs like "
                     "port = 1999");
        nameless = true;
    }
    return 0;
}

static void *limited_alloc(void *used, void *block, size_t old_size, size_t new_size)
{
    size_t *total = used;

    if (!block)
        old_size = 0;
    if (new_size > old_size && *total + (new_size - old_size) > MEMORY_MAX)
        return NULL;
    if (new_size == 0) {
        free(block);
        *total -= old_size;
        return NULL;
    }
    void *result = realloc(block, new_size);
    if (result)
        *total = *total - old_size + new_size;
    return result;
}

static int run_protected(struct reading *r)
{
    size_t used = 0;
    const char *message;

    r->L = lua_newstate(limited_alloc, &used);
    if (!r->L)
        return -ENOMEM;
    lua_pushcfunction(r->L, run);
    lua_pushlightuserdata(r->L, r);
    if (lua_pcall(r->L, 1, 0, 0) != LUA_OK) {
        const char *text =
            lua_type(r->L, -1) == LUA_TSTRING ? lua_tostring(r->L, -1) : "an error that is no text";
        int line = code_error_line(text, &message);
        code_complain(r->error, r->code->path, r->code->name, line, "%s", message);
        r->wrong = true;
    }
    lua_close(r->L);
    return r->wrong ? -EINVAL : 0;
}

int config_file_read(struct config *config, const char *path, bool optional, struct buf *error)
{
    if (optional && access(path, F_OK) != 0 && errno == ENOENT)
        return 0;
    struct code *code = code_compile(path, strncmp(path, "./", 2) == 0 ? path + 2 : path, error);
    if (!code)
        return -EINVAL;
    struct reading reading = {.config = config, .code = code, .error = error, .section = ""};
    int rc = run_protected(&reading);
    code_unref(code);
    return rc;
}
