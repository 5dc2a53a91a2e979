/* The keys of festa.lua. Each has a function that checks its value and puts it into the configuration. */
#include "script/config_read.h"

#include "base/check.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

struct key {
    const char *name;
    void (*read)(struct reading *r, const char *key); /* the value is at the top */
};

static void replace_text(char **place, const char *text)
{
    free(*place);
    *place = xstrdup(text);
}

/* ---- plain ones ---- */

static void read_int(struct reading *r, const char *key, uint64_t least, uint64_t most, int *place)
{
    uint64_t number;
    if (config_whole(r, key, least, most, &number))
        *place = (int)number;
}

static void read_port(struct reading *r, const char *key)
{
    read_int(r, key, 0, 65535, &r->config->port);
}

static void read_storage_files(struct reading *r, const char *key)
{
    read_int(r, key, 1, 64, &r->config->storage_files);
}

static void read_threads(struct reading *r, const char *key)
{
    read_int(r, key, 1, 1024, &r->config->threads);
}

static void read_host(struct reading *r, const char *key)
{
    const char *host = config_text(r, key);
    if (host)
        replace_text(&r->config->host, host);
}

static void read_public(struct reading *r, const char *key)
{
    const char *folder = config_text(r, key);
    if (folder) {
        replace_text(&r->config->public_folder, folder);
        r->config->public_set = true;
    }
}

static void read_single_page(struct reading *r, const char *key)
{
    config_flag(r, key, &r->config->single_page_app);
}

static void read_cors(struct reading *r, const char *key)
{
    config_flag(r, key, &r->config->cors);
}

static void read_io_uring(struct reading *r, const char *key)
{
    config_flag(r, key, &r->config->io_uring);
}

static void read_fetch_private(struct reading *r, const char *key)
{
    config_flag(r, key, &r->config->fetch_private);
}

static void read_fetch_ca(struct reading *r, const char *key)
{
    const char *file = config_text(r, key);
    if (file)
        replace_text(&r->config->fetch_ca, file);
}

static void read_deflate(struct reading *r, const char *key)
{
    config_flag(r, key, &r->config->deflate);
}

/* "*", or what a browser sends: scheme://host[:port] */
static bool origin_valid(const char *text)
{
    const char *host = strstr(text, "://");

    if (strcmp(text, "*") == 0)
        return true;
    return host && host > text && host[3] && !strpbrk(host + 3, "/?#@") && !strpbrk(text, "* \t\r\n");
}

static void read_origins(struct reading *r, const char *key)
{
    struct config *config = r->config;

    config_texts(r, key, "\"*\" for all or, without a *, of the form \"https://example.com\"", origin_valid,
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

    config_texts(r, key,
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
    config_texts(r, key, "an array of tokens, like \"chat.v1\"", token_valid, &r->config->subprotocols);
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
        config_nameless(r, "vars", "GREETING = \"hi\"");
        return;
    }
    if (!variable_valid(lua_tostring(L, -2))) {
        config_complain(r, lua_tostring(L, -2),
                        "is no variable's name: letters, digits and '_', not a digit first");
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
    config_expected(r, name, "a text, a number or a boolean");
}

static void read_vars(struct reading *r, const char *key)
{
    lua_State *L = r->L;

    if (!lua_istable(L, -1)) {
        config_expected(r, key, "a table of variables");
        return;
    }
    r->section = "vars.";
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        read_variable(r);
    r->section = "";
}

static void read_close(struct reading *r, const char *key)
{
    config_flag(r, key, &r->config->reject_with_close);
}

/* ---- crons ---- */

/* The cron whose name and schedule are at the top. */
static void read_cron(struct reading *r)
{
    struct buf why = {0};
    size_t len;

    const char *name = lua_type(r->L, -2) == LUA_TSTRING ? lua_tolstring(r->L, -2, &len) : NULL;
    if (!name || len == 0 || strlen(name) != len) {
        config_nameless(r, "crons", "sweep = \"*/5 * * * *\"");
        return;
    }
    const char *schedule = lua_type(r->L, -1) == LUA_TSTRING ? lua_tolstring(r->L, -1, &len) : NULL;
    if (!schedule || strlen(schedule) != len)
        config_expected(r, name, "a schedule, like \"*/5 * * * *\"");
    else if (!config_add_cron(r->config, name, schedule, &why))
        config_complain(r, name, "is no schedule, \"%.100s\": %.*s", schedule, (int)why.len,
                        (const char *)why.data);
    buf_fini(&why);
}

static void read_crons(struct reading *r, const char *key)
{
    if (!lua_istable(r->L, -1)) {
        config_expected(r, key, "a table of schedules");
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
    config_unknown(r, key, names);
}

/* The limit of this name, its value at the top. */
static void read_limit(struct reading *r, const char *key)
{
    for (const struct limit_info *info = limit_infos; info->name; info++) {
        uint64_t value;
        if (strcmp(info->name, key) != 0)
            continue;
        if (config_whole(r, key, info->least, info->most, &value))
            memcpy((char *)&r->config->limits + info->offset, &value, sizeof value);
        return;
    }
    complain_unknown_limit(r, key);
}

static void read_limits(struct reading *r, const char *key)
{
    lua_State *L = r->L;

    if (!lua_istable(L, -1)) {
        config_expected(r, key, "a table of limits");
        return;
    }
    r->section = "limits.";
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            read_limit(r, lua_tostring(L, -2));
        else
            config_nameless(r, "limits", "message = 65536");
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
    bool complained = false;

    if (!lua_istable(L, -1)) {
        config_expected(r, "tls", "{ cert = \"file.pem\", key = \"file.pem\" }, or an array of such pairs");
        return;
    }
    r->section = "tls.";
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        int place = strcmp(key, "cert") == 0 ? 0 : strcmp(key, "key") == 0 ? 1 : -1;
        if (place < 0)
            config_unknown(r, key, names);
        else
            files[place] = config_text(r, key);
        complained = complained || place < 0 || !files[place];
    }
    r->section = "";
    if (files[0] && files[1]) { /* the table keeps them alive */
        string_list_add(&r->config->tls_certs, files[0]);
        string_list_add(&r->config->tls_keys, files[1]);
    } else if (!complained) {
        config_complain(r, "tls", "has to have both cert and key");
    }
}

static void read_tls(struct reading *r, const char *key)
{
    lua_State *L = r->L;

    (void)key;
    lua_Integer n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
    if (n == 0 || config_count(L) != (size_t)n) {
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

void config_key(struct reading *r, const char *key)
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
    config_unknown(r, key, names);
}
