/*
 * mode - what each mode does when a connection opens, is lost or brings an answer, and what it does as
 * time passes.
 */
#include "load.h"

bool running;
uint64_t started_at, due_total, got_total, rooms_answered;
unsigned n_publishers;
struct stats st;

static uint64_t rate_sent; /* rate mode: messages sent so far */

static void record(uint64_t now, uint64_t ts)
{
    if (running)
        hist_add(now > ts ? now - ts : 0);
}

void on_open(struct conn *c)
{
    n_connecting--;
    n_open++;
    c->state = OPEN;
    if (opt.mode == HTTP && running)
        send_requests(c, opt.depth);
    if (opt.mode == CHURN)
        send_messages(c, 1, c->started); /* latency includes the connect */
}

void on_lost(struct conn *c)
{
    if (opt.mode == HTTP && running) {
        st.reconnects++;
        if (st.reconnects < 100000)
            conn_open(c);
    }
    if (opt.mode == CHURN && running)
        conn_open(c);
}

void on_response(struct conn *c, int status, uint64_t now)
{
    if (status < 200 || status > 299)
        st.errors++;
    st.ops++;
    if (c->ring_len) {
        record(now, c->sent_at[c->ring_head]);
        c->ring_head = (c->ring_head + 1) % opt.depth;
        c->ring_len--;
    }
    rooms_answered++;
    c->credit++;
}

static unsigned members(void)
{
    return opt.conns - (opt.no_self ? 1 : 0);
}

void publish_more(struct conn *p)
{
    int64_t window = (int64_t)opt.depth * members();
    unsigned n = 0;
    while (p->pending + members() <= window) {
        p->pending += members();
        due_total += members();
        n++;
    }
    if (n)
        send_messages(p, n, 0);
}

void on_message(struct conn *c, uint64_t now)
{
    uint64_t ts;
    uint32_t id;

    if (!read_head(c->cap, c->cap_len, &ts, &id) || id >= n_conns) {
        st.other++;
        return;
    }
    if (c->bad || (opt.mode != FANOUT && id != c->id) || conns[id].room != c->room)
        st.bad++;
    st.ops++;
    st.bytes += c->msg_len;
    record(now, ts);

    if (opt.mode == ECHO) {
        c->credit++;
    } else if (opt.mode == CHURN) {
        send_close(c);
    } else if (opt.mode == FANOUT) {
        struct conn *p = &conns[id];
        got_total++;
        p->pending--;
        if (running && !(opt.rate > 0) && p->pending <= (int64_t)(opt.depth - 1) * members())
            publish_more(p);
    }
}

void on_closed_by_server(struct conn *c)
{
    bool expected = c->state == CLOSING;
    conn_close(c);
    if (!expected)
        st.errors++;
    if (expected && opt.mode == CHURN && !running)
        return;
    on_lost(c);
}

/* Rate mode: message m is publisher m % n's, at an even pace over all of them; it is stamped with the
 * time it was due, so a late send shows as latency. Returns when the next one is due. */
static uint64_t send_due(uint64_t now)
{
    double gap = 1e9 / (opt.rate * n_publishers);
    for (;;) {
        uint64_t due = started_at + (uint64_t)((double)rate_sent * gap);
        if (due > now)
            return due;
        uint64_t k = rate_sent++ % n_publishers;
        struct conn *p = &conns[opt.all ? k : k * opt.conns];
        p->pending += members();
        due_total += members();
        send_messages(p, 1, due);
    }
}

/* A broadcast that never fully arrived must not stop a closed loop for good. */
static void unstall(uint64_t now)
{
    for (unsigned i = 0; i < n_conns; i++) {
        struct conn *p = &conns[i];
        if (p->pending > 0 && p->last_sent && now - p->last_sent > NS) {
            st.stalls++;
            p->pending = 0;
            publish_more(p);
        }
    }
}

/* Nor may a server that never answers a close frame. */
static void unstall_closing(uint64_t now)
{
    for (unsigned i = 0; i < n_conns; i++) {
        if (conns[i].state == CLOSING && now - conns[i].last_sent > NS) {
            st.stalls++; /* reported as close_timeouts */
            on_closed_by_server(&conns[i]);
        }
    }
}

uint64_t on_time(uint64_t now, uint64_t wake)
{
    static uint64_t next_check;
    bool paced = opt.mode == FANOUT && opt.rate > 0;

    if (running && paced) {
        uint64_t due = send_due(now);
        return due < wake ? due : wake;
    }
    if (now > next_check && (opt.mode == CHURN || (running && opt.mode == FANOUT))) {
        next_check = now + NS / 5;
        if (opt.mode == CHURN)
            unstall_closing(now);
        else
            unstall(now);
    }
    return wake;
}
