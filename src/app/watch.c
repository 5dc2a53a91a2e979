/* Looking at the files is done by a thread of the pool, since a disk may be slow; it finds the folders and a
 * fingerprint of what the files hold. Where the folders are not those that are watched, they are watched anew
 * and looked at again: what changes before that is read, what changes after it is reported. */
#include "app/watch.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "base/siphash.h"
#include "loop/job.h"
#include "loop/timer.h"
#include "script/config_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET_MS 50u      /* without an event, before the files are looked at; */
#define LATEST_MS 500u    /* but not longer than this after the first event */
#define FOLDERS_MAX 1000u /* watched at most */
#define DEPTH_MAX 16      /* of folders inside of parties/ and lib/ */

/* A folder of the project, as it was found. */
struct found {
    char *path; /* owned */
    dev_t device;
    ino_t inode;              /* with device: which folder it is, whatever the way to it */
    struct string_list names; /* owned; what matters in it; none: everything does */
};

struct found_list {
    struct found *items; /* owned */
    size_t count;
};

struct folder {
    uv_fs_event_t handle;
    struct list link; /* in watch->folders, in the order in which they were found */
    struct watch *watch;
    struct found found;
    bool gone; /* its watcher told of its own end */
};

struct watch {
    struct loop *loop;
    const char *root, *config_path;
    void (*changed)(void *user);
    void *user;
    struct list folders; /* of struct folder */
    struct timer quiet;
    uint64_t first; /* ms of loop_now: the first event since the files were looked at */
    struct job job; /* looks at the files; what follows is its own while it does */
    bool looking, closed;
    uint8_t key[16];
    struct found_list found;
    struct string_list targets; /* owned; of scripts that are links */
    char *left_out;             /* owned; a folder that is not among those found; NULL: none */
    const char *why;            /* it is left out; a literal */
    uint64_t seen;              /* fingerprint of all files as they are now */
    uint64_t fingerprint;       /* as they were when they were looked at last */
    bool tests;                 /* tests/ too */
    bool warned;                /* that the system can't watch a folder; */
    bool warned_of_bounds;      /* that one is left out */
};

/* ---- one folder ---- */

static bool matters(const struct found *found, const char *name)
{
    for (size_t i = 0; i < found->names.count; i++) {
        if (strcmp(name, found->names.items[i]) == 0)
            return true;
    }
    return found->names.count == 0;
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct folder *folder = handle->data;
    struct watch *watch = folder->watch;
    const char *own = strrchr(folder->found.path, '/');
    uint64_t now = loop_now(watch->loop);

    (void)status;
    if (!name || ((events & UV_RENAME) && strcmp(name, own ? own + 1 : folder->found.path) == 0))
        folder->gone = true; /* or a file of that name: then it is only watched anew */
    else if (!matters(&folder->found, name))
        return;
    if (!timer_running(&watch->quiet))
        watch->first = now;
    uint64_t left = now < watch->first + LATEST_MS ? watch->first + LATEST_MS - now : 0;
    timer_start(watch->loop, &watch->quiet, left < QUIET_MS ? left : QUIET_MS);
}

static void found_fini(struct found *found)
{
    free(found->path);
    string_list_fini(&found->names);
}

static void on_folder_closed(uv_handle_t *handle)
{
    struct folder *folder = handle->data;
    found_fini(&folder->found);
    free(folder);
}

static void close_folders(struct watch *watch)
{
    struct list *link;

    while ((link = list_pop(&watch->folders)) != NULL)
        uv_close((uv_handle_t *)&container_of(link, struct folder, link)->handle, on_folder_closed);
}

/* Said once. */
static void warn(bool *warned, const char *folder, const char *why)
{
    if (!*warned)
        log_event(LOG_WARN, "a folder can't be watched; reload by hand (the key r, or SIGHUP)",
                  log_str("folder", folder), log_str("error", why));
    *warned = true;
}

static void watch_folder(struct watch *watch, const struct found *found)
{
    struct folder *folder = xcalloc(sizeof *folder);

    folder->watch = watch;
    folder->found = *found;
    folder->found.path = xstrdup(found->path);
    folder->found.names = (struct string_list){0};
    for (size_t i = 0; i < found->names.count; i++)
        string_list_add(&folder->found.names, found->names.items[i]);
    CHECK(uv_fs_event_init(&watch->loop->uv, &folder->handle) == 0);
    folder->handle.data = folder;
    list_push(&watch->folders, &folder->link);
    int rc = uv_fs_event_start(&folder->handle, on_event, found->path, 0);
    uv_unref((uv_handle_t *)&folder->handle);
    if (rc == UV_ENOENT)
        folder->gone = true;
    else if (rc != 0)
        warn(&watch->warned, found->path, uv_strerror(rc));
}

/* The same folder, by the same way, with the same names? */
static bool same(const struct found *a, const struct found *b)
{
    if (a->device != b->device || a->inode != b->inode || strcmp(a->path, b->path) != 0 ||
        a->names.count != b->names.count)
        return false;
    for (size_t i = 0; i < a->names.count; i++) {
        if (strcmp(a->names.items[i], b->names.items[i]) != 0)
            return false;
    }
    return true;
}

/* Are those that were found the ones that are watched? */
static bool all_watched(const struct watch *watch)
{
    size_t i = 0;

    list_each(link, &watch->folders) {
        const struct folder *folder = container_of(link, struct folder, link);
        if (folder->gone || i == watch->found.count || !same(&folder->found, &watch->found.items[i]))
            return false;
        i++;
    }
    return i == watch->found.count;
}

/* false: they were already. */
static bool watch_found(struct watch *watch)
{
    if (watch->left_out)
        warn(&watch->warned_of_bounds, watch->left_out, watch->why);
    if (all_watched(watch))
        return false;
    close_folders(watch);
    for (size_t i = 0; i < watch->found.count; i++)
        watch_folder(watch, &watch->found.items[i]);
    return true;
}

/* ---- looking; on a thread of the pool ---- */

static void forget_found(struct found_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        found_fini(&list->items[i]);
    free(list->items);
    *list = (struct found_list){0};
}

static void leave_out(struct watch *watch, const char *path, const char *why)
{
    free(watch->left_out);
    watch->left_out = xstrdup(path);
    watch->why = why;
}

/* Its place in watch->found; *fresh: it was not found before. NULL: it is no folder, or left out. depth: how many
 * folders of scripts it lies in. */
static struct found *add_folder(struct watch *watch, const char *path, int depth, bool *fresh)
{
    struct found_list *list = &watch->found;
    struct stat info;

    *fresh = false;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].device == info.st_dev && list->items[i].inode == info.st_ino)
            return &list->items[i];
    }
    if (list->count == FOLDERS_MAX || depth > DEPTH_MAX) {
        leave_out(watch, path, depth > DEPTH_MAX ? "it lies too deep" : "there are too many others");
        return NULL;
    }
    struct found *items = reallocarray(list->items, list->count + 1, sizeof *items);
    CHECK(items != NULL);
    list->items = items;
    items[list->count] = (struct found){.path = xstrdup(path), .device = info.st_dev, .inode = info.st_ino};
    *fresh = true;
    return &items[list->count++];
}

/* This name in the folder matters. */
static void add_name(struct watch *watch, const char *folder, const char *name)
{
    bool fresh;
    struct found *found = add_folder(watch, folder, 0, &fresh);

    if (found && (fresh || !matters(found, name)))
        string_list_add(&found->names, name);
}

/* The file's name and content; that it is not there counts too. */
static void add_file(struct siphash *hash, const char *path)
{
    char piece[16 * 1024];
    ssize_t n;
    struct stat info;

    siphash_update(hash, path, strlen(path) + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        siphash_update(hash, "+", 1);
        while ((n = read(fd, piece, sizeof piece)) > 0)
            siphash_update(hash, piece, (size_t)n);
    }
    close(fd);
}

/* Which folder it is, not what it holds: by its birth too, since one that is made anew may get the number of the one before. */
static void add_identity(struct siphash *hash, const char *path)
{
    struct statx info;

    siphash_update(hash, path, strlen(path) + 1);
    if (statx(AT_FDCWD, path, 0, STATX_TYPE | STATX_INO | STATX_BTIME, &info) != 0 || !S_ISDIR(info.stx_mode))
        return;
    const uint64_t identity[] = {info.stx_dev_major, info.stx_dev_minor, info.stx_ino,
                                 (uint64_t)info.stx_btime.tv_sec, info.stx_btime.tv_nsec};
    siphash_update(hash, identity, sizeof identity);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool is_script(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, ".lua") == 0;
}

/* A script that is a link: what it leads to may lie anywhere. */
static void add_target(struct watch *watch, const char *path)
{
    char *target = realpath(path, NULL);

    if (target)
        string_list_add(&watch->targets, target);
    free(target);
}

/* Scripts of a folder and those inside of it. */
static void add_scripts(struct watch *watch, struct siphash *hash, const char *path, int depth)
{
    struct dirent **entries;
    bool fresh;

    if (!add_folder(watch, path, depth, &fresh) || !fresh)
        return;
    int n = scandir(path, &entries, NULL, compare_names);
    for (int i = 0; i < n; i++) {
        char entry[PATH_MAX];
        const char *name = entries[i]->d_name;
        int len = snprintf(entry, sizeof entry, "%s/%s", path, name);
        if (*name != '.' && strcmp(name, "node_modules") != 0 && len < (int)sizeof entry) {
            if (is_script(name)) {
                add_file(hash, entry);
                if (entries[i]->d_type == DT_LNK || entries[i]->d_type == DT_UNKNOWN)
                    add_target(watch, entry);
            }
            add_scripts(watch, hash, entry, depth + 1);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

/* After all other folders, of which it may be one. */
static void add_targets(struct watch *watch)
{
    for (size_t i = 0; i < watch->targets.count; i++) {
        char *slash = strrchr(watch->targets.items[i], '/');
        *slash = '\0';
        add_name(watch, slash > watch->targets.items[i] ? watch->targets.items[i] : "/", slash + 1);
    }
    string_list_fini(&watch->targets);
}

/* Another configuration than festa.lua. */
static void add_configuration(struct watch *watch, struct siphash *hash)
{
    char folder[PATH_MAX];
    const char *path = watch->config_path, *slash = strrchr(path, '/');

    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    add_name(watch, folder, slash ? slash + 1 : path);
    add_file(hash, path);
}

/* The folder of static files, as the configuration names it now. Each folder on the way to it is watched for the next
 * one's name, so that it may come later. */
static void add_public(struct watch *watch, struct siphash *hash)
{
    char path[PATH_MAX];
    struct config config;
    struct buf unsaid = {0}; /* whoever loads the project says it */

    config_init(&config);
    snprintf(path, sizeof path, "%s/festa.lua", watch->root);
    (void)!config_file_read(&config, watch->config_path ? watch->config_path : path, !watch->config_path,
                            &unsaid);
    const char *name = config.public_folder;
    size_t start = *name == '/' ? 0 : strlen(watch->root);
    int len = snprintf(path, sizeof path, "%s%s%s", start ? watch->root : "", start ? "/" : "", name);
    for (char *slash = path + start; len < (int)sizeof path && slash; slash = strchr(slash + 1, '/')) {
        char *next = strndup(slash + 1, strcspn(slash + 1, "/"));
        CHECK(next != NULL);
        *slash = '\0';
        if (*next)
            add_name(watch, slash == path ? "/" : path, next);
        *slash = '/';
        free(next);
    }
    add_identity(hash, path);
    buf_fini(&unsaid);
    config_fini(&config);
}

/* Finds the folders and reads the files. */
static void look(struct watch *watch)
{
    static const char *const files[] = {"festa.lua", ".env"}, *const folders[] = {"parties", "lib", "tests"};
    size_t n_folders = watch->tests ? 3 : 2;
    struct siphash hash;
    char path[PATH_MAX];

    siphash_init(&hash, watch->key);
    forget_found(&watch->found);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        add_name(watch, watch->root, files[i]);
        snprintf(path, sizeof path, "%s/%s", watch->root, files[i]);
        if (i > 0 || !watch->config_path)
            add_file(&hash, path);
    }
    for (size_t i = 0; i < n_folders; i++) {
        add_name(watch, watch->root, folders[i]);
        snprintf(path, sizeof path, "%s/%s", watch->root, folders[i]);
        add_scripts(watch, &hash, path, 0);
    }
    if (watch->config_path)
        add_configuration(watch, &hash);
    add_public(watch, &hash);
    add_targets(watch);
    watch->seen = siphash_finish(&hash);
}

static void run_look(struct job *job)
{
    look(container_of(job, struct watch, job));
}

/* ---- when it was looked at ---- */

static void free_watch(struct watch *watch)
{
    forget_found(&watch->found);
    free(watch->left_out);
    free(watch);
}

static void looked(struct job *job)
{
    struct watch *watch = container_of(job, struct watch, job);

    watch->looking = false;
    if (watch->closed) {
        free_watch(watch);
    } else if (watch_found(watch)) {
        watch->looking = true;
        job_start(watch->loop, &watch->job);
    } else if (watch->seen != watch->fingerprint) {
        watch->fingerprint = watch->seen;
        watch->changed(watch->user);
    }
}

static void on_quiet(struct timer *timer)
{
    struct watch *watch = container_of(timer, struct watch, quiet);

    if (watch->looking) { /* what it has read may be older than what came */
        timer_start(watch->loop, &watch->quiet, QUIET_MS);
        return;
    }
    watch->looking = true;
    job_start(watch->loop, &watch->job);
}

static struct watch *open_watch(struct loop *loop, const char *root, const char *config_path, bool tests,
                                void (*changed)(void *user), void *user)
{
    struct watch *watch = xcalloc(sizeof *watch);

    *watch = (struct watch){.loop = loop,
                            .tests = tests,
                            .root = root,
                            .config_path = config_path,
                            .changed = changed,
                            .user = user,
                            .quiet = {.fn = on_quiet},
                            .job = {.run = run_look, .done = looked}};
    list_init(&watch->folders);
    random_bytes(watch->key, sizeof watch->key);
    look(watch);
    if (watch_found(watch))
        look(watch);
    watch->fingerprint = watch->seen;
    return watch;
}

struct watch *watch_open(struct loop *loop, const char *root, const char *config_path,
                         void (*changed)(void *user), void *user)
{
    return open_watch(loop, root, config_path, false, changed, user);
}

struct watch *watch_open_tests(struct loop *loop, const char *root, const char *config_path,
                               void (*changed)(void *user), void *user)
{
    return open_watch(loop, root, config_path, true, changed, user);
}

void watch_close(struct watch *watch)
{
    if (!watch)
        return;
    timer_stop(&watch->quiet);
    close_folders(watch);
    watch->closed = true;
    if (!watch->looking)
        free_watch(watch);
}
