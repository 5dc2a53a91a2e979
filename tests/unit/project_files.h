/* Project folders for tests: made in a temporary folder, and removed with all that is in them. */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct project_files {
    char root[64];
};

static inline void project_files_init(struct project_files *files)
{
    strcpy(files->root, "/tmp/festa-test-XXXXXX");
    assert_non_null(mkdtemp(files->root));
}

static inline int project_files_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void project_files_fini(struct project_files *files)
{
    assert_int_equal(nftw(files->root, project_files_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Where a file of the project is; valid until the next call. */
static inline const char *project_files_path(const struct project_files *files, const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", files->root, name);
    return path;
}

/* Makes the folders that a file of this name lies in. */
static inline void project_files_folders(const struct project_files *files, const char *name)
{
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        char folder[256];
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
        mkdir(project_files_path(files, folder), 0700);
    }
}

/* Writes a file, and the folders that it lies in. */
static inline void project_files_write_bytes(const struct project_files *files, const char *name,
                                             const void *content, size_t len)
{
    project_files_folders(files, name);
    int fd = open(project_files_path(files, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    close(fd);
}

static inline void project_files_write(const struct project_files *files, const char *name,
                                       const char *content)
{
    project_files_write_bytes(files, name, content, strlen(content));
}

static inline void project_files_link(const struct project_files *files, const char *name, const char *target)
{
    project_files_folders(files, name);
    assert_int_equal(symlink(target, project_files_path(files, name)), 0);
}
