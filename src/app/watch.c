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
    ino_t inode; /* with device: which folder it is, whatever the way to it */
    bool outer;  /* the project's root, or the configuration's: only some names in it matter */
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
    uint64_t seen;        /* fingerprint of all files as they are now */
    uint64_t fingerprint; /* as they were when they were looked at last */
    bool tests;           /* tests/ too */
    bool warned;          /* that a folder can't be watched */
};

/* ---- one folder ---- */

/* Of the project's root and the configuration's folder: names that mean something to us. */
static bool matters(const struct watch *watch, const char *name)
{
    static const char *const names[] = {"festa.lua", ".env", "parties", "lib", "public", "tests"};
    size_t n = sizeof names / sizeof *names - (watch->tests ? 0 : 1);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    const char *slash = watch->config_path ? strrchr(watch->config_path, '/') : NULL;
    return watch->config_path && strcmp(name, slash ? slash + 1 : watch->config_path) == 0;
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
    else if (folder->found.outer && !matters(watch, name))
        return;
    if (!timer_running(&watch->quiet))
        watch->first = now;
    uint64_t left = now < watch->first + LATEST_MS ? watch->first + LATEST_MS - now : 0;
    timer_start(watch->loop, &watch->quiet, left < QUIET_MS ? left : QUIET_MS);
}

static void on_folder_closed(uv_handle_t *handle)
{
    struct folder *folder = handle->data;
    free(folder->found.path);
    free(folder);
}

static void close_folders(struct watch *watch)
{
    struct list *link;

    while ((link = list_pop(&watch->folders)) != NULL)
        uv_close((uv_handle_t *)&container_of(link, struct folder, link)->handle, on_folder_closed);
}

static void watch_folder(struct watch *watch, const struct found *found)
{
    struct folder *folder = xcalloc(sizeof *folder);

    folder->watch = watch;
    folder->found = *found;
    folder->found.path = xstrdup(found->path);
    CHECK(uv_fs_event_init(&watch->loop->uv, &folder->handle) == 0);
    folder->handle.data = folder;
    list_push(&watch->folders, &folder->link);
    int rc = uv_fs_event_start(&folder->handle, on_event, found->path, 0);
    uv_unref((uv_handle_t *)&folder->handle);
    if (rc == UV_ENOENT) {
        folder->gone = true;
    } else if (rc != 0 && !watch->warned) {
        watch->warned = true;
        log_event(LOG_WARN, "a folder can't be watched; reload by hand (the key r, or SIGHUP)",
                  log_str("folder", found->path), log_str("error", uv_strerror(rc)));
    }
}

/* Are those that were found the ones that are watched? */
static bool all_watched(const struct watch *watch)
{
    size_t i = 0;

    list_each(link, &watch->folders) {
        const struct folder *folder = container_of(link, struct folder, link);
        const struct found *found = &watch->found.items[i];
        if (folder->gone || i++ == watch->found.count || folder->found.device != found->device ||
            folder->found.inode != found->inode || strcmp(folder->found.path, found->path) != 0)
            return false;
    }
    return i == watch->found.count;
}

/* false: they were already. */
static bool watch_found(struct watch *watch)
{
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
        free(list->items[i].path);
    free(list->items);
    *list = (struct found_list){0};
}

/* false: it was found before, or is none. */
static bool add_folder(struct watch *watch, const char *path, bool outer)
{
    struct found_list *list = &watch->found;
    struct stat info;

    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode) || list->count == FOLDERS_MAX)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].device == info.st_dev && list->items[i].inode == info.st_ino)
            return false;
    }
    struct found *items = reallocarray(list->items, list->count + 1, sizeof *items);
    CHECK(items != NULL);
    list->items = items;
    items[list->count++] = (struct found){xstrdup(path), info.st_dev, info.st_ino, outer};
    return true;
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

/* Scripts of a folder and those inside of it. */
static void add_scripts(struct watch *watch, struct siphash *hash, const char *path, int depth)
{
    struct dirent **entries;

    if (!add_folder(watch, path, false))
        return;
    int n = scandir(path, &entries, NULL, compare_names);
    for (int i = 0; i < n; i++) {
        char entry[PATH_MAX];
        const char *name = entries[i]->d_name;
        int len = snprintf(entry, sizeof entry, "%s/%s", path, name);
        if (*name != '.' && strcmp(name, "node_modules") != 0 && len < (int)sizeof entry) {
            if (is_script(name))
                add_file(hash, entry);
            if (depth < DEPTH_MAX)
                add_scripts(watch, hash, entry, depth + 1);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

/* Finds the folders and reads the files. */
static void look(struct watch *watch)
{
    struct siphash hash;
    char path[PATH_MAX];

    siphash_init(&hash, watch->key);
    forget_found(&watch->found);
    add_folder(watch, watch->root, true);
    if (watch->config_path) {
        const char *slash = strrchr(watch->config_path, '/');
        snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - watch->config_path + 1) : 1,
                 slash ? watch->config_path : ".");
        add_folder(watch, path, true);
        add_file(&hash, watch->config_path);
    } else {
        snprintf(path, sizeof path, "%s/festa.lua", watch->root);
        add_file(&hash, path);
    }
    snprintf(path, sizeof path, "%s/.env", watch->root);
    add_file(&hash, path);
    snprintf(path, sizeof path, "%s/parties", watch->root);
    add_scripts(watch, &hash, path, 0);
    snprintf(path, sizeof path, "%s/lib", watch->root);
    add_scripts(watch, &hash, path, 0);
    snprintf(path, sizeof path, "%s/public", watch->root);
    add_identity(&hash, path);
    if (watch->tests) {
        snprintf(path, sizeof path, "%s/tests", watch->root);
        add_scripts(watch, &hash, path, 0);
    }
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
