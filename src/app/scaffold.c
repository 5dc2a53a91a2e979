#include "app/scaffold.h"

#include "script/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The data folder has the same rights (store/sqlite_folder.c): it may be made here first. */
static mode_t mode_of(const char *path)
{
    const char *name = strrchr(path, '/');
    return strcmp(name ? name + 1 : path, ".festa") == 0 ? 0700 : 0777;
}

int scaffold_folder(const char *path)
{
    char part[PATH_MAX];
    struct stat info;
    size_t len = strlen(path);

    if (len >= sizeof part)
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, mode_of(part)) != 0 && errno != EEXIST)
            return -errno;
    }
    if (stat(path, &info) != 0)
        return -errno;
    return S_ISDIR(info.st_mode) ? 0 : -ENOTDIR;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* A new file; one that could not be written as a whole does not stay. */
static int create(const char *path, const char *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int rc = write_all(fd, data, size);
    if (close(fd) != 0 && rc == 0)
        rc = -errno;
    if (rc != 0)
        (void)unlink(path);
    return rc;
}

static int replace(const char *path, const char *data, size_t size)
{
    char part[PATH_MAX];

    if (snprintf(part, sizeof part, "%s.new", path) >= (int)sizeof part)
        return -ENAMETOOLONG;
    (void)unlink(part);
    int rc = create(part, data, size);
    if (rc == 0 && rename(part, path) != 0) {
        rc = -errno;
        (void)unlink(part);
    }
    return rc;
}

int scaffold_file(const char *root, const char *name, const char *data, size_t size, enum scaffold_rule rule,
                  struct buf *error)
{
    char path[PATH_MAX];
    int rc = -ENAMETOOLONG;

    if (snprintf(path, sizeof path, "%s/%s", root, name) < (int)sizeof path) {
        char *slash = strrchr(path, '/');
        *slash = '\0';
        rc = scaffold_folder(path);
        *slash = '/';
        if (rc == 0)
            rc = rule == SCAFFOLD_REPLACE ? replace(path, data, size) : create(path, data, size);
    }
    if (rc == -EEXIST && rule == SCAFFOLD_KEEP)
        return 1;
    if (rc != 0)
        (void)!buf_printf(error, "%s/%s can't be written: %s", root, name, strerror(-rc));
    return rc;
}

int scaffold_tree(const char *root, const char *prefix, const char *under, enum scaffold_rule rule,
                  scaffold_report report, void *user, struct buf *error)
{
    char name[PATH_MAX];

    for (const struct embedded_file *file = embedded_files; file->name; file++) {
        if (strncmp(file->name, prefix, strlen(prefix)) != 0)
            continue;
        if (snprintf(name, sizeof name, "%s%s", under, file->name + strlen(prefix)) >= (int)sizeof name)
            return -ENAMETOOLONG; /* ours are short */
        int rc = scaffold_file(root, name, file->data, file->size, rule, error);
        if (rc < 0)
            return rc;
        if (report)
            report(user, name, rc == 0);
    }
    return 0;
}
