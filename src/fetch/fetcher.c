/* curl on the loop: its sockets are libuv's polls, its timeout is a timer of the loop's. Called by fetch.c and
 * transfer.c; calls no owner but from `soon`, when nothing of curl's is under way. */
#include "fetch/private.h"

#include "base/check.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_CONNECTIONS 32 /* that are kept for the next fetch */

/* A socket of curl's. */
struct watched {
    uv_poll_t poll;
    struct fetcher *fetcher;
    int events; /* of libuv's, that curl wants to know of */
};

static bool ca_folder;

/* "5ad8a5d6.0": a certificate by the hash of its name (openssl-rehash). */
static bool is_hashed(const struct dirent *entry)
{
    static const char digits[] = "0123456789abcdef";
    return strspn(entry->d_name, digits) == 8 && strcmp(entry->d_name + 8, ".0") == 0;
}

static bool has_ca_folder(void)
{
    char *path = NULL;
    bool found = false;
    CURL *easy = curl_easy_init();

    CHECK(easy != NULL);
    curl_easy_getinfo(easy, CURLINFO_CAPATH, &path);
    DIR *folder = path ? opendir(path) : NULL;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder)) != NULL;)
        found = is_hashed(entry);
    if (folder)
        closedir(folder);
    curl_easy_cleanup(easy);
    return found;
}

static void init_curl(void)
{
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    ca_folder = has_ca_folder();
    signal(SIGPIPE, SIG_IGN); /* a connection that its peer has reset is an error */
}

/* What curl has finished. */
static void take_messages(struct fetcher *fetcher)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(fetcher->multi, &left)) != NULL) {
        struct transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        transfer_done(transfer, result);
    }
}

static void act(struct fetcher *fetcher, curl_socket_t socket, int what)
{
    int running;

    (void)curl_multi_socket_action(fetcher->multi, socket, what, &running);
    take_messages(fetcher);
}

/* Of an error curl is told that it may read and write: so it finds out which, and asks again on a new connection if the
 * server has closed one that was kept. CURL_CSELECT_ERR ends the fetch whatever it is. */
static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watched *watched = container_of(poll, struct watched, poll);
    uv_os_fd_t fd;
    int what = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0;

    if (events & UV_READABLE)
        what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        what |= CURL_CSELECT_OUT;
    CHECK(uv_fileno((const uv_handle_t *)poll, &fd) == 0);
    act(watched->fetcher, fd, what);
    if (status < 0 && !uv_is_closing((uv_handle_t *)poll) && !uv_is_active((uv_handle_t *)poll))
        uv_poll_start(poll, watched->events, on_ready); /* libuv stops at an error, curl may have not */
}

static void on_unwatched(uv_handle_t *handle)
{
    free(container_of(handle, struct watched, poll));
}

static void unwatch(struct fetcher *fetcher, curl_socket_t socket, struct watched *watched)
{
    curl_multi_assign(fetcher->multi, socket, NULL);
    uv_poll_stop(&watched->poll);
    uv_close((uv_handle_t *)&watched->poll, on_unwatched);
}

static struct watched *watch(struct fetcher *fetcher, curl_socket_t socket)
{
    struct watched *watched = xcalloc(sizeof *watched);

    watched->fetcher = fetcher;
    if (uv_poll_init(&fetcher->loop->uv, &watched->poll, socket) != 0) {
        free(watched); /* nothing is heard of it: its fetch has a timeout */
        return NULL;
    }
    curl_multi_assign(fetcher->multi, socket, watched);
    return watched;
}

/* curl wants to know of a socket, or no more. */
static int on_socket(CURL *easy, curl_socket_t socket, int what, void *user, void *socket_user)
{
    struct fetcher *fetcher = user;
    struct watched *watched = socket_user;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched)
            unwatch(fetcher, socket, watched);
        return 0;
    }
    if (!watched && !(watched = watch(fetcher, socket)))
        return 0;
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    watched->events = events;
    uv_poll_start(&watched->poll, events, on_ready);
    return 0;
}

static void on_timer(struct timer *timer)
{
    act(container_of(timer, struct fetcher, timer), CURL_SOCKET_TIMEOUT, 0);
}

/* curl wants to be called in so many ms; -1: not by time. */
static int on_timeout(CURLM *multi, long ms, void *user)
{
    struct fetcher *fetcher = user;

    (void)multi;
    if (ms < 0)
        timer_stop(&fetcher->timer);
    else
        timer_start(fetcher->loop, &fetcher->timer, (uint64_t)ms);
    return 0;
}

static void tell(struct soon *soon)
{
    struct fetcher *fetcher = container_of(soon, struct fetcher, soon);
    struct list batch, *link;

    list_init(&batch);
    list_splice(&batch, &fetcher->touched);
    while ((link = list_pop(&batch)) != NULL) {
        struct fetch *fetch = container_of(link, struct fetch, touched);
        fetch->changed(fetch);
    }
}

/* ---- what is inflated in one turn ---- */

bool fetcher_may_inflate(struct fetcher *fetcher)
{
    if (fetcher->turn != fetcher->loop->turn) {
        fetcher->turn = fetcher->loop->turn;
        fetcher->inflating = 0;
    }
    return fetcher->inflating < FETCH_INFLATE_TURN;
}

void fetcher_put_off(struct transfer *transfer)
{
    struct fetcher *fetcher = transfer->fetcher;

    if (!list_linked(&transfer->put_off))
        list_push(&fetcher->put_off, &transfer->put_off);
    if (!timer_running(&fetcher->decode))
        timer_start(fetcher->loop, &fetcher->decode, 0);
}

static void go_on(struct timer *timer)
{
    struct fetcher *fetcher = container_of(timer, struct fetcher, decode);
    struct list batch, *link;

    list_init(&batch);
    list_splice(&batch, &fetcher->put_off);
    while ((link = list_pop(&batch)) != NULL)
        transfer_go_on(container_of(link, struct transfer, put_off));
}

struct fetcher *fetcher_new(struct loop *loop)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct fetcher *fetcher = xcalloc(sizeof *fetcher);

    CHECK(pthread_once(&once, init_curl) == 0);
    fetcher->loop = loop;
    fetcher->ca_folder = ca_folder;
    fetcher->timer.fn = on_timer;
    fetcher->decode.fn = go_on;
    fetcher->soon.fn = tell;
    list_init(&fetcher->touched);
    list_init(&fetcher->transfers);
    list_init(&fetcher->put_off);
    fetcher->multi = curl_multi_init();
    CHECK(fetcher->multi != NULL);
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    curl_multi_setopt(fetcher->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)FETCH_CONNECTIONS);
    curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
    /* One fetch at a time on a connection: a body that nobody reads must not hold up another room's. */
    curl_multi_setopt(fetcher->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
    if (!fetcher)
        return;
    list_each_safe(link, &fetcher->transfers) {
        struct transfer *transfer = container_of(link, struct transfer, link);
        CHECK(!transfer->fetch);
        transfer_free(transfer);
    }
    curl_multi_cleanup(fetcher->multi);
    timer_stop(&fetcher->timer);
    timer_stop(&fetcher->decode);
    loop_soon_cancel(&fetcher->soon);
    free(fetcher);
}
