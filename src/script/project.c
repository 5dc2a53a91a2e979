/* Opening a project: its parties, found, compiled and checked. */
#include "script/project.h"

#include "base/check.h"
#include "script/module.h"
#include "script/party.h"
#include "script/problem.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_LEN_MAX 64

static void free_party(struct party *party)
{
    if (!party)
        return;
    code_unref(party->code);
    free(party->name);
    free(party->folder);
    free(party);
}

/* [a-z0-9][a-z0-9_-]* */
static bool name_valid(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (i > 0 && (c == '_' || c == '-'))))
            return false;
    }
    return name.len > 0 && name.len <= NAME_LEN_MAX;
}

const char *party_name_problem(struct span name)
{
    if (name_valid(name))
        return NULL;
    return "a party's name is of lower-case letters, digits, '_' and '-', begins with a letter or digit, "
           "and has at most 64 characters";
}

/* ---- the files ---- */

/* Takes the script with this name below the project's root for a party; folder: it is NAME/init.lua. */
static int add_party(struct project *project, const char *file, const char *name, size_t name_len,
                     bool folder, struct buf *error)
{
    const char *problem = party_name_problem((struct span){name, name_len});
    if (problem) {
        code_complain(error, "", file, 0, "%s", problem);
        return -EINVAL;
    }
    char *path = project_file(project->root, file);
    if (!path) {
        int rc = -errno;
        code_complain(error, "", file, 0, "%s", rc == -EXDEV ? "leads out of the project" : strerror(-rc));
        return rc;
    }
    int rc = -EINVAL;
    struct party *party = xcalloc(sizeof *party);
    party->project = project;
    party->name = strndup(name, name_len);
    CHECK(party->name != NULL);
    party->code = code_compile(path, file, error);
    if (folder) {
        *strrchr(path, '/') = '\0';
        party->folder = xstrdup(path);
    }
    if (party->code) {
        struct party **parties = reallocarray(project->parties, project->n_parties + 1, sizeof *parties);
        CHECK(parties != NULL);
        project->parties = parties;
        parties[project->n_parties++] = party;
        rc = 0;
    } else {
        free_party(party);
    }
    free(path);
    return rc;
}

static bool has_file(const struct project *project, const char *file)
{
    struct buf path = {0};
    struct stat info;
    bool found = buf_printf(&path, "%s/%s", project->root, file) == 0 && buf_append(&path, "", 1) == 0 &&
                 stat((const char *)path.data, &info) == 0;
    buf_fini(&path);
    return found;
}

/* An entry of parties/: NAME.lua, or a folder NAME with init.lua in it; anything else is not looked at, but for a
 * folder with main.lua, which somebody takes for a party. */
static int add_entry(struct project *project, const char *entry, struct buf *error)
{
    static const char suffix[] = ".lua";
    size_t len = strlen(entry), suffix_len = sizeof suffix - 1;
    char file[512];

    if (entry[0] == '.')
        return 0;
    if (len > suffix_len && strcmp(entry + len - suffix_len, suffix) == 0) {
        snprintf(file, sizeof file, "parties/%s", entry);
        return add_party(project, file, entry, len - suffix_len, false, error);
    }
    snprintf(file, sizeof file, "parties/%s/init.lua", entry);
    if (has_file(project, file))
        return add_party(project, file, entry, len, true, error);
    snprintf(file, sizeof file, "parties/%s/main.lua", entry);
    if (!has_file(project, file))
        return 0;
    code_complain(error, "", file, 0, "is no party; that of a folder is its init.lua");
    return -EINVAL;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int compare_parties(const void *a, const void *b)
{
    const struct party *const *first = a, *const *second = b;
    return strcmp((*first)->name, (*second)->name);
}

/* Adds all parties, in the order of their names. */
static int find_parties(struct project *project, struct buf *error)
{
    struct dirent **entries;
    struct buf folder = {0};
    int rc = 0;

    if (buf_printf(&folder, "%s/parties", project->root) != 0 || buf_append(&folder, "", 1) != 0)
        return -ENOMEM;
    int n = scandir((const char *)folder.data, &entries, NULL, compare_names);
    if (n < 0) {
        rc = -errno;
        if (rc == -ENOENT)
            code_complain(error, "", project->root, 0,
                          "there is no folder parties/ in it; a project has at least parties/main.lua");
        else
            code_complain(error, "", (const char *)folder.data, 0, "can't be read: %s", strerror(-rc));
    }
    for (int i = 0; i < n; i++) {
        int added = add_entry(project, entries[i]->d_name, error);
        if (added != 0)
            rc = added;
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    if (n >= 0 && rc == 0 && project->n_parties == 0) {
        code_complain(error, "", (const char *)folder.data, 0,
                      "there is no party in it; a party is parties/NAME.lua or parties/NAME/init.lua");
        rc = -ENOENT;
    }
    buf_fini(&folder);
    if (project->n_parties > 0)
        qsort(project->parties, project->n_parties, sizeof(struct party *), compare_parties);
    return rc;
}

static int check_parties(struct project *project, struct buf *error)
{
    int rc = 0;

    for (size_t i = 0; i < project->n_parties; i++) {
        struct party *party = project->parties[i];
        if (i > 0 && strcmp(party->name, project->parties[i - 1]->name) == 0) {
            code_complain(error, "", party->code->name, 0, "the party %s is in %s too; remove one of them",
                          party->name, project->parties[i - 1]->code->name);
            rc = -EINVAL;
            continue;
        }
        int checked = party_check(party, error);
        if (checked != 0)
            rc = checked;
    }
    return rc;
}

/* Somebody has to be told when a schedule is due. */
static int check_crons(const struct project *project, struct buf *error)
{
    const struct party *main = project_party(project, SPAN("main"));

    if (project->config.n_crons == 0 || (main && main->hooks[HOOK_CRON]))
        return 0;
    if (main)
        code_complain(error, "", main->code->name, 0,
                      "has no onCron, and the configuration has crons (%.60s)",
                      project->config.crons[0].name);
    else
        code_complain(error, "", "parties/main.lua", 0,
                      "is missing: the configuration has crons (%.60s), which run in the party main",
                      project->config.crons[0].name);
    return -EINVAL;
}

/* ---- the project ---- */

static void free_project(struct project *project)
{
    for (size_t i = 0; i < project->n_parties; i++)
        free_party(project->parties[i]);
    free(project->parties);
    free(project->root);
    config_fini(&project->config);
    string_list_fini(&project->env);
    module_cache_free(project->modules);
    http_problem_free(project->broken);
    if (project->public_fd >= 0)
        close(project->public_fd);
    free(project);
}

static struct project *project_new(struct config *config)
{
    struct project *project = xcalloc(sizeof *project);
    project->refs = 1;
    project->public_fd = -1;
    project->modules = module_cache_new();
    project->config = *config;
    *config = (struct config){0};
    return project;
}

struct project *project_empty(struct config *config, const struct buf *why)
{
    struct project *project = project_new(config);
    if (why)
        project->broken = problem_loading((struct span){(const char *)why->data, why->len});
    return project;
}

struct project *project_open(const char *directory, struct config *config, struct string_list *env,
                             struct buf *error)
{
    struct project *project = project_new(config);
    struct string_list none = {0}, *variables = env ? env : &none;
    int rc = 0;

    project->env = *variables;
    *variables = (struct string_list){0};
    project->root = realpath(directory, NULL);
    if (!project->root) {
        rc = -errno;
        code_complain(error, "", directory, 0, "can't be read: %s", strerror(-rc));
    } else {
        int found = find_parties(project, error), checked = check_parties(project, error);
        rc = found != 0 ? found : checked != 0 ? checked : check_crons(project, error);
    }
    if (rc == 0)
        return project;
    *config = project->config;
    *variables = project->env;
    project->config = (struct config){0};
    project->env = (struct string_list){0};
    project_unref(project);
    return NULL;
}

struct project *project_ref(struct project *project)
{
    if (project)
        project->refs++;
    return project;
}

void project_unref(struct project *project)
{
    if (project && --project->refs == 0)
        free_project(project);
}

static bool same_strings(const struct string_list *list, const struct string_list *other)
{
    bool same = list->count == other->count;
    for (size_t i = 0; i < list->count && same; i++)
        same = strcmp(list->items[i], other->items[i]) == 0;
    return same;
}

void project_prepare(const struct project *project, const struct project *before)
{
    for (size_t i = 0; i < before->n_parties; i++) {
        const struct party *party = before->parties[i];
        const struct party *other = project_party(project, span_of(party->name));
        if (other && code_same(party->code, other->code))
            modules_prepare(party, other);
    }
}

bool party_same(const struct party *party, const struct party *other)
{
    return code_same(party->code, other->code) && same_strings(&party->project->env, &other->project->env) &&
           modules_same(party, other);
}

struct party *project_party(const struct project *project, struct span name)
{
    size_t low = 0, high = project->n_parties;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct party *party = project->parties[middle];
        size_t len = strlen(party->name);
        int order = memcmp(name.ptr, party->name, name.len < len ? name.len : len);
        if (order == 0 && name.len == len)
            return party;
        if (order < 0 || (order == 0 && name.len < len))
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
