/* Listens for operators' commands on a Unix domain socket, and has control.c carry them out. On the first thread. */
#include "app/control_server.h"

#include "base/check.h"
#include "base/log.h"
#include "loop/timer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENTS_MAX 8u

/* For a request to come, and an answer to be taken. */
#define CLIENT_MS 30000u

#define READ_BYTES (64u * 1024u)

struct control_server {
    struct control control;
    uv_pipe_t pipe;
    int folder;    /* its descriptor */
    char path[64]; /* of the socket, by the descriptor: one of any length has no place in an address */
    unsigned refs; /* the listener, and each client */
    unsigned n_clients;
    struct list clients; /* of struct client */
    bool stopping;
};

struct client {
    struct list link;
    struct control_server *server;
    uv_pipe_t pipe;
    uv_write_t write;
    struct timer timer;
    struct buf in, out;
    uint32_t out_len;
    bool refused; /* the answer says so, and is the last */
    bool busy;    /* its request is being carried out */
    bool closing, closed;
};

/* ---- the end ---- */

static void unref(struct control_server *server)
{
    if (--server->refs > 0)
        return;
    close(server->folder);
    free(server);
}

static void free_if_done(struct client *client)
{
    if (!client->closed || client->busy)
        return;
    struct control_server *server = client->server;
    buf_fini(&client->in);
    buf_fini(&client->out);
    free(client);
    unref(server);
}

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    client->closed = true;
    free_if_done(client);
}

static void close_client(struct client *client)
{
    if (client->closing)
        return;
    client->closing = true;
    client->server->n_clients--;
    list_remove(&client->link);
    timer_stop(&client->timer);
    uv_close((uv_handle_t *)&client->pipe, on_closed);
}

static void on_timer(struct timer *timer)
{
    close_client(container_of(timer, struct client, timer));
}

/* ---- one request ---- */

static void serve_next(struct client *client);

static void on_written(uv_write_t *request, int status)
{
    struct client *client = request->data;

    buf_fini(&client->out);
    if (status != 0 || client->refused || client->server->stopping)
        close_client(client);
    else if (!client->closing)
        serve_next(client);
}

static void send_out(struct client *client)
{
    client->out_len = (uint32_t)client->out.len;
    uv_buf_t parts[2] = {uv_buf_init((char *)&client->out_len, sizeof client->out_len),
                         uv_buf_init((char *)client->out.data, client->out_len)};

    client->write.data = client;
    timer_start(client->server->control.loop, &client->timer, CLIENT_MS);
    if (client->out_len == 0 ||
        uv_write(&client->write, (uv_stream_t *)&client->pipe, parts, 2, on_written) != 0)
        close_client(client);
}

static void on_answer(void *user, struct buf answer)
{
    struct client *client = user;

    client->busy = false;
    client->out = answer;
    if (client->closing)
        free_if_done(client);
    else
        send_out(client);
}

static void alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *client = handle->data;

    (void)suggested;
    *buf = buf_reserve(&client->in, READ_BYTES) == 0
               ? uv_buf_init((char *)client->in.data + client->in.len, READ_BYTES)
               : uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = stream->data;

    (void)buf;
    if (n < 0) {
        close_client(client);
        return;
    }
    client->in.len += (size_t)n;
    if (n > 0)
        serve_next(client);
}

/* Carries out the request that is there whole, or reads on. */
static void serve_next(struct client *client)
{
    struct span rest = {(const char *)client->in.data, client->in.len};
    uint32_t len = 0;

    bool known = control_take_u32(&rest, &len);
    if (known && len > CONTROL_MAX) {
        close_client(client);
        return;
    }
    if (!known || rest.len < len) {
        timer_start(client->server->control.loop, &client->timer, CLIENT_MS);
        int rc = uv_read_start((uv_stream_t *)&client->pipe, alloc, on_read);
        if (rc < 0 && rc != UV_EALREADY)
            close_client(client);
        return;
    }
    uv_read_stop((uv_stream_t *)&client->pipe);
    timer_stop(&client->timer);
    client->busy = true;
    struct buf in = client->in;
    client->in = (struct buf){0};
    control_run(&client->server->control, (struct span){rest.ptr, len}, on_answer, client);
    buf_fini(&in); /* a command waits for the answer before it asks again */
}

/* ---- those who come ---- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct control_server *server = stream->data;

    if (status != 0)
        return;
    struct client *client = xcalloc(sizeof *client);
    client->server = server;
    client->timer.fn = on_timer;
    client->pipe.data = client;
    CHECK(uv_pipe_init(&server->control.loop->uv, &client->pipe, 0) == 0);
    server->refs++;
    server->n_clients++;
    list_push(&server->clients, &client->link);
    if (uv_accept(stream, (uv_stream_t *)&client->pipe) != 0) {
        close_client(client);
    } else if (server->n_clients > CLIENTS_MAX) {
        client->refused = true;
        control_refuse(&client->out, "the server has other commands at work: try again later");
        send_out(client);
    } else {
        serve_next(client);
    }
}

/* ---- life ---- */

static void on_pipe_closed(uv_handle_t *handle)
{
    unref(handle->data);
}

static int listen_at(struct control_server *server)
{
    (void)unlink(server->path);
    int rc = uv_pipe_bind(&server->pipe, server->path);
    if (rc == 0 && chmod(server->path, 0600) != 0) /* nobody can connect before it listens */
        rc = -errno;
    return rc ? rc : uv_listen((uv_stream_t *)&server->pipe, (int)CLIENTS_MAX, on_connection);
}

struct control_server *control_server_open(const char *folder, struct store *store, struct workers *workers)
{
    struct loop *loop = &workers->items[0].loop;
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        log_event(LOG_WARN, "operators' commands can't reach the server: its data folder can't be opened",
                  log_str("error", strerror(errno)));
        return NULL;
    }
    struct control_server *server = xcalloc(sizeof *server);
    *server = (struct control_server){.control = {.loop = loop, .store = store, .workers = workers},
                                      .folder = fd,
                                      .refs = 1};
    list_init(&server->clients);
    snprintf(server->path, sizeof server->path, "/proc/self/fd/%d/" CONTROL_SOCKET, fd);
    server->pipe.data = server;
    CHECK(uv_pipe_init(&loop->uv, &server->pipe, 0) == 0);
    int rc = listen_at(server);
    if (rc != 0) {
        log_event(LOG_WARN, "operators' commands can't reach the server: it can't listen in its data folder",
                  log_str("error", uv_strerror(rc)));
        server->stopping = true;
        uv_close((uv_handle_t *)&server->pipe, on_pipe_closed);
        return NULL;
    }
    server->refs++; /* until control_server_close */
    uv_unref((uv_handle_t *)&server->pipe);
    return server;
}

void control_server_stop(struct control_server *server)
{
    if (!server || server->stopping)
        return;
    server->stopping = true;
    (void)unlink(server->path);
    uv_close((uv_handle_t *)&server->pipe, on_pipe_closed);
    list_each_safe(link, &server->clients) {
        struct client *client = container_of(link, struct client, link);
        if (!client->busy && client->out.cap == 0)
            close_client(client);
    }
}

void control_server_close(struct control_server *server)
{
    if (!server)
        return;
    control_server_stop(server);
    while (!list_empty(&server->clients))
        close_client(container_of(server->clients.next, struct client, link));
    unref(server);
}
