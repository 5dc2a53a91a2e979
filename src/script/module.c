/* Modules: require "a.b" is lib/a/b.lua, or a/b.lua in the folder of the party that asks. Code is compiled
 * by whoever asks first, and kept for all threads as long as the project, up to a bound. */
#include "script/module.h"

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"

#include <errno.h>
#include <lua.h>
#include <pthread.h>
#include <stdlib.h>

#define KEPT_MAX ((size_t)4 * 1024 * 1024) /* bytes of bytecode; modules beyond are compiled by each room */

/* A module as a party knows it by name: two parties may mean different files by the same name. */
struct module {
    struct map_node node;
    const struct party *party;
    char *name;
    struct code *code; /* a reference */
};

struct module_cache {
    pthread_mutex_t mutex;
    struct map modules; /* of struct module, owned */
    size_t size;        /* of their bytecode */
    bool full;          /* there was one that is not kept */
};

struct module_cache *module_cache_new(void)
{
    struct module_cache *cache = xcalloc(sizeof *cache);
    CHECK(pthread_mutex_init(&cache->mutex, NULL) == 0);
    return cache;
}

void module_cache_free(struct module_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->modules.n_buckets; i++) {
        for (struct map_node *node = cache->modules.buckets[i], *next; node; node = next) {
            struct module *module = container_of(node, struct module, node);
            next = node->next;
            code_unref(module->code);
            free(module->name);
            free(module);
        }
    }
    map_fini(&cache->modules);
    pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

char *project_file(const char *root, const char *name)
{
    struct buf path = {0};
    size_t root_len = strlen(root);
    char *real = NULL;

    if (buf_printf(&path, "%s/%s", root, name) == 0 && buf_append(&path, "", 1) == 0)
        real = realpath((const char *)path.data, NULL);
    if (real && (strncmp(real, root, root_len) != 0 || (real[root_len] != '/' && root_len > 1))) {
        free(real);
        real = NULL;
        errno = EXDEV;
    }
    buf_fini(&path);
    return real;
}

static bool ends_with_lua(const char *name)
{
    size_t len = strlen(name);
    return len >= 4 && strcmp(name + len - 4, ".lua") == 0;
}

char *project_code_file(const char *root, const char *name)
{
    static const char *const folders[] = {"parties/", "lib/", "tests/"};
    bool found = false;

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        found = found || strncmp(name, folders[i], strlen(folders[i])) == 0;
    char *real = found && ends_with_lua(name) && !strstr(name, "..") ? project_file(root, name) : NULL;
    if (real && ends_with_lua(real)) /* not so behind a link: another kind of file */
        return real;
    free(real);
    errno = ENOENT;
    return NULL;
}

/* Words of letters, digits, "_" and "-" with "." between them. "/" may stand for ".". */
bool module_name_valid(struct span name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    bool in_word = false;

    if (name.len == 0 || name.len > MODULE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        bool separator = name.ptr[i] == '.' || name.ptr[i] == '/';
        if (separator ? !in_word : !name.ptr[i] || !strchr(allowed, name.ptr[i]))
            return false;
        in_word = !separator;
    }
    return in_word;
}

/* Names, relative to the project's root, of the files that a module's name can mean. */
struct candidates {
    char names[2][MODULE_NAME_MAX + 512];
    size_t n;
};

static void add_candidate(struct candidates *candidates, const char *folder, struct span name)
{
    char *out = candidates->names[candidates->n++];
    int len = snprintf(out, sizeof candidates->names[0], "%s/%.*s.lua", folder, (int)name.len, name.ptr);
    CHECK(len > 0 && (size_t)len < sizeof candidates->names[0]); /* names of parties are short */
    for (char *at = out + strlen(folder); at < out + len - 4; at++) {
        if (*at == '.')
            *at = '/';
    }
}

static void list_candidates(struct candidates *candidates, const struct party *party, struct span name)
{
    candidates->n = 0;
    add_candidate(candidates, "lib", name);
    if (party->folder) {
        char folder[512];
        snprintf(folder, sizeof folder, "parties/%s", party->name);
        add_candidate(candidates, folder, name);
    }
}

/* Finds the one file that is meant, and compiles it. */
static struct code *find_and_compile(const struct party *party, struct span name, lua_State *L,
                                     struct buf *error)
{
    const char *root = party->project->root;
    struct candidates candidates;
    struct code *code = NULL;
    char *path = NULL;
    const char *file = NULL;

    list_candidates(&candidates, party, name);
    for (size_t i = 0; i < candidates.n; i++) {
        const char *candidate = candidates.names[i];
        char *real = project_file(root, candidate);
        if (!real && errno == ENOENT)
            continue;
        if (!real) {
            (void)!buf_printf(error, "module '%.*s': %s %s", (int)name.len, name.ptr, candidate,
                              errno == EXDEV ? "leads out of the project" : strerror(errno));
            goto done;
        }
        if (path) {
            (void)!buf_printf(error, "module '%.*s' may be %s or %s; rename one of them", (int)name.len,
                              name.ptr, file, candidate);
            free(real);
            goto done;
        }
        path = real;
        file = candidate;
    }
    if (path) {
        code = code_compile_on(L, path, file, error);
    } else {
        (void)!buf_printf(error, "module '%.*s' not found:", (int)name.len, name.ptr);
        for (size_t i = 0; i < candidates.n; i++)
            (void)!buf_printf(error, "\n\tno file '%s'", candidates.names[i]);
    }
done:
    free(path);
    return code;
}

static uint64_t hash_of(const struct party *party, struct span name)
{
    return map_hash2(party->name, strlen(party->name), name.ptr, name.len);
}

/* Under the mutex. NULL: it is not kept. */
static struct code *find_kept(const struct party *party, struct span name)
{
    const struct module_cache *cache = party->project->modules;

    for (struct map_node *node = map_find(&cache->modules, hash_of(party, name)); node;
         node = map_next(node)) {
        const struct module *module = container_of(node, struct module, node);
        if (module->party == party && span_equal(span_of(module->name), name))
            return module->code;
    }
    return NULL;
}

/* A reference, or NULL. */
static struct code *get_kept(const struct party *party, struct span name)
{
    pthread_mutex_t *mutex = &party->project->modules->mutex;

    pthread_mutex_lock(mutex);
    struct code *code = code_ref(find_kept(party, name));
    pthread_mutex_unlock(mutex);
    return code;
}

/* Keeps code that was just compiled, if there is room for it. Takes the reference, and returns one: to what another
 * thread has compiled and kept meanwhile, or the same. */
static struct code *keep(const struct party *party, struct span name, struct code *code)
{
    struct module_cache *cache = party->project->modules;

    pthread_mutex_lock(&cache->mutex);
    struct code *kept = code_ref(find_kept(party, name));
    if (!kept && code->len <= KEPT_MAX - cache->size) {
        struct module *module = xcalloc(sizeof *module);
        module->party = party;
        module->name = strndup(name.ptr, name.len);
        CHECK(module->name != NULL);
        module->code = code_ref(code);
        map_add(&cache->modules, &module->node, hash_of(party, name));
        cache->size += code->len;
    } else if (!kept) {
        cache->full = true;
    }
    pthread_mutex_unlock(&cache->mutex);
    if (!kept)
        return code;
    code_unref(code);
    return kept;
}

struct code *project_module(const struct party *party, struct span name, lua_State *L, struct buf *error)
{
    if (!module_name_valid(name)) {
        (void)!buf_printf(error,
                          "'%.*s' is no module's name: letters, digits, '_' and '-', with '.' or '/' "
                          "between folders",
                          name.len > MODULE_NAME_MAX ? MODULE_NAME_MAX : (int)name.len, name.ptr);
        return NULL;
    }
    struct code *code = get_kept(party, name);
    if (code)
        return code;
    code = find_and_compile(party, name, L, error); /* without the mutex: other threads go on */
    return code ? keep(party, name, code) : NULL;
}

/* ---- another version ---- */

/* The names of the party's modules that are kept. False: there are others that are not. */
static bool list_kept(const struct party *party, struct string_list *names)
{
    struct module_cache *cache = party->project->modules;

    pthread_mutex_lock(&cache->mutex);
    for (size_t i = 0; i < cache->modules.n_buckets; i++) {
        for (const struct map_node *node = cache->modules.buckets[i]; node; node = node->next) {
            const struct module *module = container_of(node, struct module, node);
            if (module->party == party)
                string_list_add(names, module->name);
        }
    }
    bool all = !cache->full;
    pthread_mutex_unlock(&cache->mutex);
    return all;
}

void modules_prepare(const struct party *party, const struct party *other)
{
    struct string_list names = {0};

    (void)list_kept(party, &names);
    for (size_t i = 0; i < names.count; i++) {
        struct buf unsaid = {0};
        code_unref(project_module(other, span_of(names.items[i]), NULL, &unsaid));
        buf_fini(&unsaid);
    }
    string_list_fini(&names);
}

bool modules_same(const struct party *party, const struct party *other)
{
    struct string_list names = {0};

    bool same = list_kept(party, &names);
    for (size_t i = 0; i < names.count && same; i++) {
        struct code *code = get_kept(party, span_of(names.items[i]));
        struct code *others = get_kept(other, span_of(names.items[i]));
        same = code_same(code, others);
        code_unref(code);
        code_unref(others);
    }
    string_list_fini(&names);
    return same;
}
