/* The flush at a turn's end, and the memory that is kept from one turn to the next. */
#include "net/net.h"

#include "base/bytes.h"
#include "base/check.h"
#include "net/private.h"
#include "net/tls.h"

#include <signal.h>

/* Logs begin with this capacity, and are kept for other groups up to that one. */
#define LOG_CAP_MIN 4096u
#define LOG_CAP_KEPT 65536u

/* Fewer sends than these cost less one by one. */
#define BATCH_MIN 3u

/* Groups come first: each member's share of the log leaves together with its own queue. It
 * matters, too, that no log is appended to between the first write and its own flush: a write
 * that is under way may read from it. */
void net_flush(struct net *net)
{
    struct list *link;

    if (net->batch_due) {
        net->batch_due = false;
        batch_open(net);
    }
    list_each(group, &net->dirty_groups)
        conn_group_flush(container_of(group, struct conn_group, dirty));
    while ((link = list_pop(&net->dirty_conns)) != NULL)
        batch_flush(container_of(link, struct conn, dirty));
    batch_leave(net);
    while ((link = list_pop(&net->dirty_groups)) != NULL)
        conn_group_flushed(container_of(link, struct conn_group, dirty));
}

void net_use_uring(struct net *net)
{
    net->batch_due = true;
}

static bool on_flush(struct loop_hook *hook)
{
    net_flush(container_of(hook, struct net, flush));
    return false;
}

struct bytes *net_log_take(struct net *net)
{
    return net->n_logs > 0 ? net->logs[--net->n_logs] : bytes_new_growing(LOG_CAP_MIN);
}

void net_log_give(struct net *net, struct bytes *log)
{
    if (log && log->refs == 1 && log->cap <= LOG_CAP_KEPT && net->n_logs < NET_LOGS) {
        log->len = 0;
        net->logs[net->n_logs++] = log;
    } else {
        bytes_unref(log);
    }
}

void net_init(struct net *net, struct loop *loop, struct counters *counters, size_t queue_limit,
              uint64_t linger_ms)
{
    *net = (struct net){
        .loop = loop,
        .flush = {.fn = on_flush},
        .counters = counters,
        .queue_limit = queue_limit,
        .linger_ms = linger_ms,
        .batch_min = BATCH_MIN,
    };
    net->total = &net->own_total;
    list_init(&net->dirty_conns);
    list_init(&net->dirty_groups);
    loop_hook_add(&loop->flush, &net->flush);
    signal(SIGPIPE, SIG_IGN);
}

void net_share(struct net *net, struct net_total *total)
{
    net->total = total;
}

void net_set_tls(struct net *net, struct tls_server *tls)
{
    struct tls_server *before = net->tls;
    net->tls = tls_server_ref(tls);
    tls_server_unref(before);
}

void net_fini(struct net *net)
{
    if (!net || !net->loop)
        return;
    CHECK(net->n_conns == 0);
    CHECK(list_empty(&net->dirty_groups));
    loop_hook_remove(&net->flush);
    batch_close(net);
    net_set_tls(net, NULL);
    segment_pool_fini(&net->segments);
    while (net->n_logs > 0)
        bytes_unref(net->logs[--net->n_logs]);
    bytes_thread_fini();
    net->loop = NULL;
}
