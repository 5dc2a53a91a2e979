/* Asks what a command needs, of a server or of the data folder itself. */
#include "app/control_client.h"

#include "app/control_server.h"
#include "base/check.h"
#include "base/clock.h"
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* So long a folder may be taken by one that does not answer: another command, or a server that begins or ends. */
#define TAKEN_MS 5000

struct control_client {
    int socket; /* -1: there is no server, */
    struct loop loop;
    struct control control; /* so these are in use */
    bool answered;
    struct buf answer;
};

/* ---- opening ---- */

/* The server's socket; -1: no server listens in the folder, or errno is another one. */
static int connect_to(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CONTROL_SOCKET, at);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        fd = -1;
        errno = error;
    }
    int error = errno;
    close(at);
    errno = error;
    return fd;
}

static bool is_writable(const char *folder)
{
    return access(folder, W_OK) == 0 || (errno != EACCES && errno != EROFS);
}

static int open_here(struct control_client *client, const char *folder, enum control_use use,
                     unsigned n_files, struct buf *error)
{
    struct store **store = &client->control.store;

    int rc = use == CONTROL_READS && !is_writable(folder)
                 ? store_open_sqlite_to_read(folder, error, store)
                 : store_open_sqlite(folder, n_files, true, error, store);
    if (rc != 0)
        return rc;
    if (loop_init(&client->loop) != 0) {
        (void)!buf_printf(error, "the event loop can't be made");
        store_close(client->control.store);
        return -ENOMEM;
    }
    client->control.loop = &client->loop;
    return 0;
}

/* A server, or the folder itself; -EBUSY: somebody has it who does not answer. */
static int try_open(struct control_client *client, const char *folder, enum control_use use, unsigned n_files,
                    struct buf *error)
{
    client->socket = connect_to(folder);
    if (client->socket >= 0)
        return 0;
    if (errno == EACCES || errno == EPERM) {
        (void)!buf_printf(error, "%s: no permission to use the data folder: be the user that runs the server",
                          folder);
        return -EACCES;
    }
    return open_here(client, folder, use, n_files, error);
}

struct control_client *control_client_open(const char *folder, enum control_use use, unsigned n_files,
                                           struct buf *error)
{
    struct control_client *client = xcalloc(sizeof *client);
    int64_t until = clock_wall_ms() + TAKEN_MS;
    int rc = 0;

    if (use != CONTROL_MAKES && access(folder, F_OK) != 0) {
        (void)!buf_printf(error, "%s: there is no data folder: name the project's folder, or it with --data",
                          folder);
        rc = -ENOENT;
    } else if ((use == CONTROL_READS || use == CONTROL_CHANGES) && access(folder, X_OK) == 0 &&
               !store_sqlite_has_data(folder)) {
        (void)!buf_printf(
            error, "%s: there is no data in this folder: name the project's, or the data folder with --data",
            folder);
        rc = -ENOENT;
    }
    while (rc == 0 && (rc = try_open(client, folder, use, n_files, error)) == -EBUSY &&
           clock_wall_ms() < until) {
        error->len = 0;
        rc = 0;
        (void)usleep(20000);
    }
    if (rc == 0)
        return client;
    free(client);
    return NULL;
}

bool control_client_has_server(const struct control_client *client)
{
    return client->socket >= 0;
}

void control_client_close(struct control_client *client)
{
    if (!client)
        return;
    if (client->socket >= 0) {
        close(client->socket);
    } else {
        loop_run(&client->loop);
        store_close(client->control.store);
        loop_fini(&client->loop);
    }
    free(client);
}

/* ---- asking ---- */

static bool write_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *data, size_t len)
{
    for (char *at = data; len > 0;) {
        ssize_t n = read(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool ask_server(struct control_client *client, const struct buf *request, struct buf *answer)
{
    uint32_t len = (uint32_t)request->len;

    if (!write_all(client->socket, &len, sizeof len) || !write_all(client->socket, request->data, len)) {
        /* It may have said why before it closed. */
    }
    if (!read_all(client->socket, &len, sizeof len) || len > CONTROL_MAX || buf_reserve(answer, len) != 0 ||
        !read_all(client->socket, answer->data, len))
        return false;
    answer->len = len;
    return true;
}

static void on_answer(void *user, struct buf answer)
{
    struct control_client *client = user;
    client->answered = true;
    client->answer = answer;
}

static void ask_here(struct control_client *client, const struct buf *request, struct buf *answer)
{
    client->answered = false;
    control_run(&client->control, (struct span){(const char *)request->data, request->len}, on_answer,
                client);
    if (!client->answered)
        loop_run(&client->loop);
    CHECK(client->answered);
    buf_fini(answer);
    *answer = client->answer;
}

int control_client_ask(struct control_client *client, const struct buf *request, struct buf *answer,
                       struct buf *error)
{
    answer->len = 0;
    if (client->socket < 0) {
        ask_here(client, request, answer);
    } else if (!ask_server(client, request, answer)) {
        (void)!buf_printf(error, "the server has ended the connection: it is stopping, or has other commands "
                                 "at work; what was asked may have been done");
        return -EIO;
    }
    if (answer->len > 0 && answer->data[0] == 0) {
        buf_consume(answer, 1);
        return 0;
    }
    if (answer->len > 1)
        (void)!buf_append(error, answer->data + 1, answer->len - 1);
    else
        (void)!buf_printf(error, "not enough memory");
    return -EIO;
}
