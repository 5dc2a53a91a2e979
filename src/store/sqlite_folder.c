/* The data folder and its lock: two servers never write to the same files. Called when a store is opened. */
#include "base/clock.h"
#include "store/sqlite_private.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the lock file has behind the process's number when that is a command. */
#define COMMAND " command"

/* So long a server waits for a command that has the folder. */
#define COMMAND_MS 2000

static int make(const char *folder, struct buf *error)
{
    struct stat info;

    if (mkdir(folder, 0700) == 0)
        return 0;
    int rc = -errno;
    if (rc == -EEXIST && stat(folder, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return 0;
        rc = -ENOTDIR;
        (void)!buf_printf(
            error, "%s: is to be the data folder, and is a file: move it away, or choose another folder",
            folder);
    } else if (rc == -ENOENT) {
        (void)!buf_printf(error,
                          "%s: the data folder can't be made: make the folder first that it is to be in",
                          folder);
    } else {
        (void)!buf_printf(error,
                          "%s: the data folder can't be made (%s): make it, writable for the user that runs "
                          "the server, or choose another one",
                          folder, strerror(-rc));
    }
    return rc;
}

/* Who holds the lock: its process's number, 0: it has only just begun; and whether it is a command. */
static long holder(int fd, bool *command)
{
    char text[32] = "", *end = text;
    long process = 0;

    if (pread(fd, text, sizeof text - 1, 0) > 0)
        process = strtol(text, &end, 10);
    *command = strncmp(end, COMMAND, sizeof COMMAND - 1) == 0;
    return process;
}

static int say_taken(int fd, const char *folder, struct buf *error)
{
    bool command;
    long process = holder(fd, &command);

    (void)!buf_printf(error, "%s: the data folder is used by %s", folder,
                      command ? "a festa command" : "another festa");
    if (process > 0)
        (void)!buf_printf(error, " (process %ld)", process);
    (void)!buf_printf(error, "%s",
                      command ? ", which ends by itself: wait for it, or choose another folder"
                              : ": end it, or choose another folder");
    return -EBUSY;
}

/* 0 or a negative errno; -EWOULDBLOCK: another one has it. */
static int lock(int fd, bool waits)
{
    uint64_t until = clock_monotonic_ns() + (uint64_t)COMMAND_MS * NS_PER_MS;
    bool command = true;

    while (flock(fd, LOCK_EX | LOCK_NB)) {
        int rc = -errno;
        if (rc != -EWOULDBLOCK || !waits || clock_monotonic_ns() >= until)
            return rc;
        long process = holder(fd, &command);
        if (!command && process > 0 && kill((pid_t)process, 0) == 0)
            return rc; /* else the number is that of one before, until who has it has written its own */
        (void)usleep(20000);
    }
    return 0;
}

int sqlite_folder_open(const char *folder, bool command, struct buf *error)
{
    char path[PATH_MAX], text[32];

    int rc = make(folder, error);
    if (rc)
        return rc;
    if ((size_t)snprintf(path, sizeof path, "%s/lock", folder) >= sizeof path) {
        (void)!buf_printf(error, "%s: the data folder's path is too long", folder);
        return -ENAMETOOLONG;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        rc = -errno;
        (void)!buf_printf(error, "%s: the data folder can't be written to (%s): %s", folder, strerror(-rc),
                          rc == -ENOSPC ? "free some space"
                                        : "make it writable for the user that runs the server");
        return rc;
    }
    rc = lock(fd, !command);
    if (rc) {
        if (rc == -EWOULDBLOCK)
            rc = say_taken(fd, folder, error);
        else
            (void)!buf_printf(error, "%s: the data folder can't be locked (%s): choose one on a local disk",
                              folder, strerror(-rc));
        close(fd);
        return rc;
    }
    /* For people and the message above; on a full disk it is left out, and the lock is the same. */
    int len = snprintf(text, sizeof text, "%ld%s\n", (long)getpid(), command ? COMMAND : "");
    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)len, 0);
    return fd;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) ? -errno : 0;
    close(fd);
    return rc;
}

int sqlite_folder_sync(const char *folder)
{
    char path[PATH_MAX];

    int rc = sync_folder(folder);
    if (rc)
        return rc;
    if ((size_t)snprintf(path, sizeof path, "%s", folder) >= sizeof path)
        return -ENAMETOOLONG;
    return sync_folder(dirname(path));
}

bool sqlite_folder_has(const char *folder, const char *name)
{
    char path[PATH_MAX];
    return (size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path &&
           access(path, F_OK) == 0;
}

/* Bytes of a file of the folder; 0: it is empty, or not there. */
static off_t size_of(const char *folder, const char *name, const char *ending)
{
    char path[PATH_MAX];
    struct stat info;

    if ((size_t)snprintf(path, sizeof path, "%s/%s%s", folder, name, ending) >= sizeof path ||
        stat(path, &info) != 0)
        return 0;
    return info.st_size;
}

static int check_file(const char *folder, const char *name, struct buf *error)
{
    if (size_of(folder, name, "-wal") == 0 || size_of(folder, name, "") > 0)
        return 0;
    (void)!buf_printf(
        error,
        "%s/%s: this data file is %s, and %s-wal beside it holds what was written last: put back "
        "the file that it belongs to, or a backup in place of the whole folder",
        folder, name, sqlite_folder_has(folder, name) ? "empty" : "missing", name);
    return -ENOENT;
}

int sqlite_folder_check(const char *folder, struct buf *error)
{
    int rc = check_file(folder, sqlite_file_name(1, 1), error);

    for (unsigned number = 1; rc == 0 && number <= STORE_FILES_MAX; number++)
        rc = check_file(folder, sqlite_file_name(number, STORE_FILES_MAX), error);
    return rc;
}
