#include "app/public_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The real path of name below folder, or of name if it is absolute. NULL and errno. */
static char *real_path(const char *folder, const char *name)
{
    struct buf path = {0};
    char *real = NULL;
    int rc = name[0] == '/' ? buf_printf(&path, "%s", name) : buf_printf(&path, "%s/%s", folder, name);

    errno = ENOMEM;
    if (rc == 0 && buf_append(&path, "", 1) == 0)
        real = realpath((const char *)path.data, NULL);
    int error = errno;
    buf_fini(&path);
    errno = error;
    return real;
}

/* Is the path this folder, or below it? */
static bool is_within(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/' || len == 1);
}

/* The real path of a data folder; of the folder in which it is to be made, while it isn't there. */
static char *real_data_path(const char *data)
{
    char path[PATH_MAX];
    char *real = realpath(data, NULL);

    if (real || errno != ENOENT || (size_t)snprintf(path, sizeof path, "%s", data) >= sizeof path)
        return real;
    return realpath(dirname(path), NULL);
}

static bool shows_data(const char *folder, const char *data)
{
    char *real = real_data_path(data);
    bool shows = real && is_within(real, folder);

    free(real);
    return shows;
}

/* What the folder would show that it should not, NULL when nothing. */
static const char *shown(const char *root, const char *folder, const char *data)
{
    static const char *const names[] = {"parties", "lib", ".festa"};

    if (is_within(root, folder))
        return "the project itself";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *real = real_path(root, names[i]);
        bool overlap = real && (is_within(real, folder) || is_within(folder, real));
        free(real);
        if (overlap)
            return names[i];
    }
    return shows_data(folder, data) ? "the data folder" : NULL;
}

int public_folder_open(const char *root, const struct config *config, const char *data, int *fd,
                       struct buf *error)
{
    const char *name = config->public_folder;
    char *real = real_path(root, name);
    int rc = 0;

    *fd = -1;
    if (!real && errno == ENOENT && !config->public_set)
        return 0;
    if (!real) {
        rc = -errno;
        (void)!buf_printf(error, "the folder of static files (public = \"%s\") can't be read: %s", name,
                          strerror(-rc));
        return rc;
    }
    const char *what = shown(root, real, data);
    if (what) {
        rc = -EINVAL;
        (void)!buf_printf(error,
                          "public = \"%s\" would serve %s; name a folder that holds nothing else than "
                          "what everybody may see",
                          name, what);
    } else {
        *fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*fd < 0) {
            rc = -errno;
            (void)!buf_printf(error, "the folder of static files (public = \"%s\") can't be opened: %s", name,
                              strerror(-rc));
        }
    }
    free(real);
    return rc;
}
