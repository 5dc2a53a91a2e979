/*
 * run - one measurement from the first connection to the report.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const mode_names[N_MODES] = {"http", "rooms", "echo", "fanout", "idle", "churn"};

static bool all_open(void)
{
    return n_open == n_conns || st.errors > n_conns;
}
static bool all_rooms(void)
{
    return rooms_answered >= opt.count;
}
static bool all_delivered(void)
{
    return got_total >= due_total;
}

/* ---- output ---- */

static void out(const char *name, double v, const char *unit)
{
    if (opt.json)
        printf(", \"%s\": %.6g", name, v);
    else
        printf("  %-22s %14.6g %s\n", name, v, unit);
}

static void begin_report(void)
{
    if (opt.json)
        printf("{\"mode\": \"%s\"", mode_names[opt.mode]);
    else
        printf("%s: %u connections, %u rooms\n", mode_names[opt.mode], n_conns, opt.rooms);
}

static void end_report(void)
{
    printf(opt.json ? "}\n" : "");
}

static void report_load(const char *op, double secs, double cpu, double user, double own)
{
    char name[32];
    begin_report();
    snprintf(name, sizeof name, "%s_per_s", op);
    out(name, (double)st.ops / secs, "");
    if (opt.mode != CHURN)
        out("MB_per_s", (double)st.bytes / secs / 1e6, "payload");
    if (!hist_empty()) {
        out("p50_us", hist_us(0.50), "us");
        out("p90_us", hist_us(0.90), "us");
        out("p99_us", hist_us(0.99), "us");
        out("p999_us", hist_us(0.999), "us");
        out("max_us", hist_max_us(), "us");
    }
    if (opt.mode == FANOUT) {
        out("published_per_s", (double)st.sent / secs, "");
        out("lost", (double)due_total - (double)got_total, "deliveries");
        out("stalls", (double)st.stalls, "");
    }
    if (opt.mode == CHURN)
        out("close_timeouts", (double)st.stalls, "close frames not answered in 1 s");
    out("errors", (double)st.errors, "");
    if (st.bad || opt.verify)
        out("bad", (double)st.bad, "wrong payloads or frames");
    if (st.other)
        out("other", (double)st.other, "messages not ours");
    if (opt.pids) {
        out("server_cpu_pct", cpu / secs * 100, "%");
        out("server_user_pct", user / secs * 100, "%");
        out("cpu_s_per_M", st.ops ? cpu / ((double)st.ops / 1e6) : 0, "server CPU s per million");
    }
    out("client_cpu_pct", own / secs * 100, "%");
    end_report();
}

/* ---- modes ---- */

/* HTTP: renders the connection's requests, one beside the other. */
static void setup_requests(struct conn *c)
{
    size_t cap = strlen(opt.body ? opt.body : "") + 2048;
    char *one = malloc(cap);
    c->sent_at = calloc(opt.depth, sizeof *c->sent_at);
    if (!one || !c->sent_at)
        die("malloc");
    c->request_len = render_request(one, cap, c->room, c->id);
    c->request = malloc(c->request_len * opt.depth);
    if (!c->request)
        die("malloc");
    for (unsigned k = 0; k < opt.depth; k++)
        memcpy(c->request + k * c->request_len, one, c->request_len);
    free(one);
}

/* Fan-out has opt.conns connections in each room, every other mode in all rooms together. */
static void setup_conns(void)
{
    bool fanout = opt.mode == FANOUT;
    n_conns = fanout ? opt.rooms * opt.conns : opt.conns;
    n_publishers = fanout ? opt.rooms * (opt.all ? opt.conns : 1) : 0;
    conns = calloc(n_conns, sizeof *conns);
    if (!conns)
        die("calloc");
    for (unsigned i = 0; i < n_conns; i++) {
        struct conn *c = &conns[i];
        c->fd = -1;
        c->id = i;
        c->room = fanout ? i / opt.conns : i % opt.rooms;
        if (opt.mode == HTTP || opt.mode == ROOMS)
            setup_requests(c);
    }
}

static void open_all(void)
{
    run_until(now_ns() + 120 * NS, all_open);
    if (n_open < n_conns)
        fprintf(stderr, "only %u of %u connections opened\n", n_open, n_conns);
}

static void start(void)
{
    running = true;
    started_at = now_ns();
    for (unsigned i = 0; i < n_conns; i++) {
        struct conn *c = &conns[i];
        if (c->state != OPEN)
            continue;
        if (opt.mode == HTTP || opt.mode == ROOMS)
            send_requests(c, opt.depth);
        else if (opt.mode == ECHO)
            send_messages(c, opt.depth, 0);
        else if (opt.mode == FANOUT && !(opt.rate > 0) && (opt.all || i % opt.conns == 0))
            publish_more(c);
    }
}

static void reset_stats(void)
{
    memset(&st, 0, sizeof st);
    hist_reset();
}

void run_load(const char *op)
{
    double cpu0, cpu1, user0, user1, own0;
    uint64_t rss, t0;

    setup_conns();
    if (opt.mode != CHURN) {
        open_all();
        run_until(now_ns() + NS / 5, NULL);
    }
    uint64_t failed = st.errors;
    start();
    run_until(now_ns() + (uint64_t)(opt.warm * 1e9) + 1, NULL);
    reset_stats();
    st.errors = failed;
    proc_usage(&cpu0, &user0, &rss);
    own0 = own_cpu();
    t0 = now_ns();
    run_until(t0 + (uint64_t)(opt.secs * 1e9), NULL);
    double secs = (double)(now_ns() - t0) / 1e9, own = own_cpu() - own0;
    proc_usage(&cpu1, &user1, &rss);

    /* what was measured is fixed now; only the books are closed below */
    struct stats kept = st;
    running = false;
    if (opt.mode == FANOUT)
        run_until(now_ns() + 3 * NS, all_delivered);
    else if (opt.mode == CHURN)
        run_until(now_ns() + NS, NULL);
    kept.bad = st.bad;
    st = kept;
    report_load(op, secs, cpu1 - cpu0, user1 - user0, own);
}

void run_idle(void)
{
    double cpu0, cpu1, user;
    uint64_t rss0, rss1, rss2, t0;

    setup_conns();
    t0 = now_ns();
    proc_usage(&cpu0, &user, &rss0);
    open_all();
    double opened = (double)(now_ns() - t0) / 1e9;
    run_until(now_ns() + (uint64_t)(opt.settle * 1e9), NULL);
    proc_usage(&cpu0, &user, &rss1);
    run_until(now_ns() + (uint64_t)(opt.secs * 1e9), NULL);
    proc_usage(&cpu1, &user, &rss2);

    begin_report();
    out("open", n_open, "connections");
    out("connects_per_s", n_open / opened, "");
    out("rss_before_MB", (double)rss0 / 1e6, "MB");
    out("rss_open_MB", (double)rss1 / 1e6, "MB");
    out("rss_end_MB", (double)rss2 / 1e6, "MB");
    out("bytes_per_conn", n_open ? ((double)rss2 - (double)rss0) / n_open : 0, "B");
    out("idle_cpu_pct", (cpu1 - cpu0) / (opt.secs > 0 ? opt.secs : 1) * 100, "%");
    out("errors", (double)st.errors, "");
    end_report();
}

void run_rooms(void)
{
    double cpu0, cpu1, user;
    uint64_t rss0, rss1, rss2, t0;

    setup_conns();
    open_all();
    proc_usage(&cpu0, &user, &rss0);
    t0 = now_ns();
    start();
    run_until(now_ns() + 120 * NS, all_rooms);
    double secs = (double)(now_ns() - t0) / 1e9;
    proc_usage(&cpu1, &user, &rss1);
    run_until(now_ns() + (uint64_t)(opt.settle * 1e9), NULL);
    proc_usage(&cpu0, &user, &rss2);

    begin_report();
    out("rooms", (double)rooms_answered, "");
    out("rooms_per_s", (double)rooms_answered / secs, "");
    out("p50_us", hist_us(0.5), "us");
    out("p99_us", hist_us(0.99), "us");
    out("rss_before_MB", (double)rss0 / 1e6, "MB");
    out("rss_after_MB", (double)rss2 / 1e6, "MB");
    out("bytes_per_room", ((double)rss2 - (double)rss0) / (double)(rooms_answered ? rooms_answered : 1), "B");
    out("errors", (double)st.errors, "");
    end_report();
}
