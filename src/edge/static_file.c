/* See static_file.h. What runs on the pool is marked so; it touches nothing but its own job.
 *
 * openat2 with RESOLVE_BENEATH follows links as long as they stay inside: relative ones, since an absolute
 * link leaves the folder before it may come back. Where the system has no openat2 (Linux before 5.6, some
 * containers), the path is walked segment by segment, and no link is followed. */
#include "edge/static_file.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often a path is tried again that somebody renamed while it was looked up. */
#define RENAME_RETRIES 8

/* Without O_NONBLOCK, opening a FIFO waits for its other end. */
#define FILE_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* ---- what is done to a descriptor ---- */

/* In functions of their own, since ThreadSanitizer is to look away from them: it sees neither openat2 nor how
 * libuv closes, and takes a number that is used again for what had it before (tests/tsan.supp). */

void static_fd_close(int fd)
{
    close(fd);
}

static int static_fd_stat(int fd, struct stat *info)
{
    return fstat(fd, info);
}

static ssize_t static_fd_read(int fd, void *data, size_t len, uint64_t at)
{
    return pread(fd, data, len, (off_t)at);
}

/* ---- opening (on the pool) ---- */

static int open_beneath(int folder, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = -1;

    for (int i = 0; i < RENAME_RETRIES; i++) {
        fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

static int open_walking(int folder, const char *path)
{
    char name[NAME_MAX + 1];
    int at = folder, next;

    for (;;) {
        size_t len = strcspn(path, "/");
        if (len > NAME_MAX) {
            next = -ENAMETOOLONG;
        } else {
            int flags = path[len] ? O_PATH | O_DIRECTORY | O_CLOEXEC : FILE_FLAGS;
            memcpy(name, path, len);
            name[len] = '\0';
            next = openat(at, name, flags | O_NOFOLLOW);
            if (next < 0)
                next = -errno;
        }
        if (at != folder)
            static_fd_close(at);
        if (next < 0 || !path[len])
            return next;
        at = next;
        path += len + 1;
    }
}

static int open_inside(const struct static_folder *folder, const char *path)
{
    return folder->beneath ? open_beneath(folder->fd, path, FILE_FLAGS) : open_walking(folder->fd, path);
}

/* A descriptor of a regular file, or a negative errno. */
static int open_regular(const struct static_folder *folder, const char *path, struct stat *info)
{
    int fd = open_inside(folder, path);
    if (fd < 0)
        return fd;
    int rc = static_fd_stat(fd, info) != 0 ? -errno
             : S_ISREG(info->st_mode)      ? 0
             : S_ISDIR(info->st_mode)      ? -EISDIR
                                           : -ENOENT;
    if (rc == 0)
        return fd;
    static_fd_close(fd);
    return rc;
}

/* -EISDIR only if the folder has an index. */
static int check_index(const struct static_folder *folder, const char *path, struct stat *info)
{
    char index[PATH_MAX];

    int len = snprintf(index, sizeof index, "%s/index.html", path);
    if (len < 0 || (size_t)len >= sizeof index)
        return -ENOENT;
    int fd = open_regular(folder, index, info);
    if (fd < 0)
        return fd == -EISDIR ? -ENOENT : fd;
    static_fd_close(fd);
    return -EISDIR;
}

/* Those errors that say nothing but that there is no such file. ENXIO: a socket, a device that isn't there. */
static bool is_missing(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EXDEV ||
           error == -ENAMETOOLONG || error == -ENXIO || error == -ENODEV || error == -EINVAL;
}

static void look_up(struct job *job)
{
    struct static_lookup *lookup = container_of(job, struct static_lookup, job);

    lookup->fd = open_regular(lookup->folder, lookup->path, &lookup->info);
    lookup->error = lookup->fd < 0 ? lookup->fd : 0;
    if (lookup->error == -EISDIR)
        lookup->error = check_index(lookup->folder, lookup->path, &lookup->info);
    if (is_missing(lookup->error))
        lookup->error = -ENOENT;
}

/* ---- opening (on the loop's thread) ---- */

static void looked_up(struct job *job)
{
    struct static_lookup *lookup = container_of(job, struct static_lookup, job);

    static_folder_unref(lookup->folder);
    lookup->folder = NULL;
    lookup->found(lookup);
}

void static_lookup_start(struct static_lookup *lookup, struct loop *loop)
{
    static_folder_ref(lookup->folder);
    lookup->job.run = look_up;
    lookup->job.done = looked_up;
    job_start(loop, &lookup->job);
}

struct static_folder *static_folder_new(int fd)
{
    struct static_folder *folder = malloc(sizeof *folder);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (!folder || own < 0) {
        free(folder);
        if (own >= 0)
            static_fd_close(own);
        return NULL;
    }
    /* Asked of the kernel now: where it is forbidden rather than missing, the error is another one. */
    int probe = open_beneath(own, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    *folder = (struct static_folder){.refs = 1, .fd = own, .beneath = probe >= 0};
    if (probe >= 0)
        static_fd_close(probe);
    return folder;
}

struct static_folder *static_folder_ref(struct static_folder *folder)
{
    if (folder)
        folder->refs++;
    return folder;
}

void static_folder_unref(struct static_folder *folder)
{
    if (!folder || --folder->refs > 0)
        return;
    static_fd_close(folder->fd);
    free(folder);
}

/* ---- reading ---- */

struct file_source {
    struct http_source source;
    struct loop *loop;
    int fd;
    uint64_t at, end; /* what is left of the file */
    struct job job;
    bool reading;        /* the job is under way */
    bool closed;         /* nobody wants it any more */
    struct bytes *piece; /* owned; being filled by the job */
    struct http_sink *sink;
};

static void free_source(struct file_source *file)
{
    static_fd_close(file->fd);
    bytes_unref(file->piece);
    free(file);
}

/* On the pool: fills the piece, or shortens it to what there is. */
static void fill(struct job *job)
{
    struct file_source *file = container_of(job, struct file_source, job);
    struct bytes *piece = file->piece;
    size_t got = 0;

    while (got < piece->len) {
        ssize_t n = static_fd_read(file->fd, piece->data + got, piece->len - got, file->at + got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    piece->len = got;
}

static void filled(struct job *job)
{
    struct file_source *file = container_of(job, struct file_source, job);
    struct bytes *piece = file->piece;

    file->reading = false;
    if (file->closed) {
        free_source(file);
        return;
    }
    file->piece = NULL;
    if (piece && piece->len == 0) {
        bytes_unref(piece);
        piece = NULL;
    }
    file->at += piece ? piece->len : 0;
    file->sink->piece(file->sink, piece);
}

/* There was no memory for a piece: said by a job that does nothing, since pull calls nobody back. */
static void fill_nothing(struct job *job)
{
    (void)job;
}

static void pull(struct http_source *source, struct http_sink *sink)
{
    struct file_source *file = container_of(source, struct file_source, source);
    uint64_t left = file->end - file->at;

    CHECK(!file->reading && left > 0);
    file->sink = sink;
    file->piece = bytes_new(left < STATIC_PIECE ? (size_t)left : STATIC_PIECE);
    file->job.run = file->piece ? fill : fill_nothing;
    file->job.done = filled;
    file->reading = true;
    job_start(file->loop, &file->job);
}

static void close_source(struct http_source *source)
{
    struct file_source *file = container_of(source, struct file_source, source);

    file->closed = true;
    if (!file->reading)
        free_source(file);
}

struct http_source *static_source_new(struct loop *loop, int fd, uint64_t first, uint64_t len)
{
    struct file_source *file = calloc(1, sizeof *file);
    if (!file) {
        static_fd_close(fd);
        return NULL;
    }
    *file = (struct file_source){.source = {.length = len, .pull = pull, .close = close_source},
                                 .loop = loop,
                                 .fd = fd,
                                 .at = first,
                                 .end = first + len};
    return &file->source;
}
