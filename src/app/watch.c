/* One uv_fs_event_t for each folder. After each batch of events all are made anew before the files are read,
 * since a folder may have been replaced by one of the same name: what changes before that is read, what
 * changes after it is reported. */
#include "app/watch.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "base/siphash.h"
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

struct folder {
    uv_fs_event_t handle;
    struct list link;
    struct watch *watch;
    dev_t device; /* with inode: which folder it is, whatever the way to it */
    ino_t inode;
};

struct watch {
    struct loop *loop;
    const char *root, *config_path;
    void (*changed)(void *user);
    void *user;
    struct list folders; /* of struct folder */
    size_t n_folders;
    struct timer quiet;
    uint64_t first; /* ms of loop_now: the first event since the files were looked at */
    uint8_t key[16];
    uint64_t fingerprint; /* of all files, as they were when they were looked at last */
    bool warned;          /* that a folder can't be watched */
};

/* ---- one folder ---- */

/* Of the project's root and the configuration's folder: names that mean something to us. */
static bool matters(const struct watch *watch, const char *name)
{
    static const char *const names[] = {"festa.lua", ".env", "parties", "lib"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    const char *slash = watch->config_path ? strrchr(watch->config_path, '/') : NULL;
    return watch->config_path && strcmp(name, slash ? slash + 1 : watch->config_path) == 0;
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct watch *watch = ((struct folder *)handle->data)->watch;
    uint64_t now = loop_now(watch->loop);

    (void)name;
    (void)events;
    (void)status;
    if (!timer_running(&watch->quiet))
        watch->first = now;
    uint64_t left = now < watch->first + LATEST_MS ? watch->first + LATEST_MS - now : 0;
    timer_start(watch->loop, &watch->quiet, left < QUIET_MS ? left : QUIET_MS);
}

static void on_outer_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct watch *watch = ((struct folder *)handle->data)->watch;

    if (!name || matters(watch, name))
        on_event(handle, name, events, status);
}

static void on_folder_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_folders(struct watch *watch)
{
    struct list *link;

    while ((link = list_pop(&watch->folders)) != NULL)
        uv_close((uv_handle_t *)&container_of(link, struct folder, link)->handle, on_folder_closed);
    watch->n_folders = 0;
}

static bool is_watched(const struct watch *watch, const struct stat *info)
{
    list_each(link, &watch->folders) {
        const struct folder *folder = container_of(link, struct folder, link);
        if (folder->device == info->st_dev && folder->inode == info->st_ino)
            return true;
    }
    return false;
}

/* Watches a folder, unless that is done already; false: it is watched, or is none. */
static bool add_folder(struct watch *watch, const char *path, uv_fs_event_cb on_change)
{
    struct stat info;

    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode) || is_watched(watch, &info) ||
        watch->n_folders == FOLDERS_MAX)
        return false;
    struct folder *folder = xcalloc(sizeof *folder);
    folder->watch = watch;
    folder->device = info.st_dev;
    folder->inode = info.st_ino;
    CHECK(uv_fs_event_init(&watch->loop->uv, &folder->handle) == 0);
    folder->handle.data = folder;
    list_push(&watch->folders, &folder->link);
    watch->n_folders++;
    int rc = uv_fs_event_start(&folder->handle, on_change, path, 0);
    uv_unref((uv_handle_t *)&folder->handle);
    if (rc != 0 && rc != UV_ENOENT && !watch->warned) {
        watch->warned = true;
        log_event(LOG_WARN, "a folder can't be watched; reload by hand (the key r, or SIGHUP)",
                  log_str("folder", path), log_str("error", uv_strerror(rc)));
    }
    return true;
}

/* ---- all of them ---- */

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

    if (!add_folder(watch, path, on_event))
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

/* Watches what there is now, then reads it. */
static uint64_t look(struct watch *watch)
{
    struct siphash hash;
    char path[PATH_MAX];

    siphash_init(&hash, watch->key);
    close_folders(watch);
    add_folder(watch, watch->root, on_outer_event);
    if (watch->config_path) {
        const char *slash = strrchr(watch->config_path, '/');
        snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - watch->config_path + 1) : 1,
                 slash ? watch->config_path : ".");
        add_folder(watch, path, on_outer_event);
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
    return siphash_finish(&hash);
}

static void on_quiet(struct timer *timer)
{
    struct watch *watch = container_of(timer, struct watch, quiet);
    uint64_t fingerprint = look(watch);

    if (fingerprint == watch->fingerprint)
        return;
    watch->fingerprint = fingerprint;
    watch->changed(watch->user);
}

struct watch *watch_open(struct loop *loop, const char *root, const char *config_path,
                         void (*changed)(void *user), void *user)
{
    struct watch *watch = xcalloc(sizeof *watch);

    *watch = (struct watch){.loop = loop,
                            .root = root,
                            .config_path = config_path,
                            .changed = changed,
                            .user = user,
                            .quiet = {.fn = on_quiet}};
    list_init(&watch->folders);
    random_bytes(watch->key, sizeof watch->key);
    watch->fingerprint = look(watch);
    return watch;
}

void watch_close(struct watch *watch)
{
    if (!watch)
        return;
    timer_stop(&watch->quiet);
    close_folders(watch);
    free(watch);
}
