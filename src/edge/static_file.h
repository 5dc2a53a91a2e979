/* The folder public/, and files of it: found, opened and read on threads of libuv's pool, so that a slow
 * disk holds up nobody but those who asked for the file. Nothing here leads out of the folder. */
#pragma once

#include "base/buf.h"
#include "http/message.h"
#include "loop/job.h"

#include <sys/stat.h>

/* Bytes of one piece of a file. */
#define STATIC_PIECE (128u * 1024)

/* The folder. Counted, and of one thread: a lookup that is under way holds a reference, so that another folder
 * may take its place meanwhile. */
struct static_folder {
    unsigned refs;
    int fd;       /* owned */
    bool beneath; /* the kernel keeps paths inside (openat2); else no link is followed at all */
};

/* The folder behind a descriptor, which stays the caller's; one reference. NULL: no memory, or no descriptor. */
struct static_folder *static_folder_new(int fd);
struct static_folder *static_folder_ref(struct static_folder *folder);
void static_folder_unref(struct static_folder *folder);

/* Looks for a file. Lies inside its owner. */
struct static_lookup {
    struct job job;
    struct static_folder *folder;                /* a reference, from static_lookup_start until found */
    const char *path;                            /* below it (static_path); the owner's until found */
    void (*found)(struct static_lookup *lookup); /* called later, once; what follows is set then */
    int error;                                   /* 0: there is a file, and fd is the owner's. Or a negative
                                                    * errno; -ENOENT: there is none that may be sent,
                                                    * -EISDIR: it is a folder that has an index.html */
    int fd;
    struct stat info;
};

void static_lookup_start(struct static_lookup *lookup, struct loop *loop);

/* Closes what a lookup has found. */
void static_fd_close(int fd);

/* A part of a file as the body of a response; takes the descriptor over. A file that got shorter meanwhile
 * ends early. NULL: no memory, and it is closed. */
struct http_source *static_source_new(struct loop *loop, int fd, uint64_t first, uint64_t len);
