/*
 * load - what the parts of partyload share: the options, the connections, the counters, and what each
 * file does for the others. One thread; nothing here is safe for a second.
 */
#ifndef PARTYLOAD_LOAD_H
#define PARTYLOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS 1000000000ull
#define HEAD 32    /* bytes of a payload that we write and read   */
#define CAPTURE 96 /* bytes of a received payload that we look at */

enum mode { HTTP, ROOMS, ECHO, FANOUT, IDLE, CHURN, N_MODES };
enum state { CLOSED, CONNECTING, UPGRADING, OPEN, CLOSING };

struct conn {
    int fd;
    uint32_t id, room;
    enum state state;
    bool want_write;

    /* bytes that the socket did not take, or (big frames) messages queued */
    uint8_t *out;
    size_t out_off, out_len, out_cap;
    unsigned queued; /* whole big frames still to start */
    size_t big_off;  /* bytes of the current one sent   */
    uint8_t big_head[14 + HEAD];

    /* HTTP: an incomplete response head; a body still to be skipped */
    uint8_t *in;
    size_t in_len, in_cap;
    uint64_t body_left;
    int status;
    char *request; /* depth copies, back to back */
    size_t request_len;
    uint64_t *sent_at; /* ring of depth send times */
    unsigned ring_head, ring_len;

    /* WebSocket: the frame being read */
    uint8_t hdr[14], hdr_len;
    bool in_payload, fin, bad;
    uint8_t opcode;
    uint64_t left, msg_len;
    uint8_t cap[CAPTURE], ctl[128];
    unsigned cap_len, ctl_len;

    unsigned credit; /* messages or requests that it may send now */
    int64_t pending; /* deliveries of its messages still due      */
    uint64_t last_sent, started;
};

/* The command line; usage() in main.c says what each means. Times in seconds. */
struct options {
    enum mode mode;
    const char *host, *path, *method, *body, *extra, *pids, *fill;
    int port, sources;
    unsigned conns, rooms, depth, size;
    double secs, warm, rate, settle;
    bool all, no_self, binary, zero_mask, spin, json, verify;
    uint64_t count;
};
extern struct options opt;

/* What is measured; reset at the end of the warm-up. */
struct stats {
    uint64_t ops, bytes, sent, errors, other, bad, reconnects, stalls;
};
extern struct stats st;

/* Never reset: the books of deliveries that must balance at the end. */
extern uint64_t due_total, got_total;

extern bool running;            /* messages are being sent                             */
extern uint64_t started_at;     /* when that began, in ns; rate mode counts from it    */
extern unsigned n_publishers;   /* rate mode: how many take turns                      */
extern uint64_t rooms_answered; /* rooms mode: answers so far                          */

/* conn.c */
extern struct conn *conns;
extern unsigned n_conns, n_open, n_connecting;

/* Opens the epoll set for connections to 127.x.y.z:port; false if `host` is no such address. */
bool conn_init(const char *host, int port);
int conn_epoll(void);
void conn_open(struct conn *c);
void conn_close(struct conn *c);
void conn_fail(struct conn *c);
void conn_write(struct conn *c, const void *data, size_t n);
/* Finishes what an earlier write left; `c` may be closed afterwards. */
void conn_flush(struct conn *c);
/* Asks epoll for writability, or stops asking. */
void conn_watch(struct conn *c, bool out);
/* Sends n messages of connection c, stamped ts (0: now), in one write. */
void send_messages(struct conn *c, unsigned n, uint64_t ts);
/* Makes *cap at least `need` bytes; ends the process when there is no memory. */
void *grow(void *p, size_t *cap, size_t need);

/* http.c */
size_t render_request(char *dst, size_t cap, uint64_t room, uint32_t id);
void send_requests(struct conn *c, unsigned n);
void send_upgrade(struct conn *c);
void http_input(struct conn *c, const uint8_t *p, size_t n, uint64_t now);
void upgrade_input(struct conn *c, const uint8_t *p, size_t n, uint64_t now);

/* ws.c */
void ws_input(struct conn *c, const uint8_t *p, size_t n, uint64_t now);
void send_close(struct conn *c);

/* mode.c: what the modes do when something happens */
void on_open(struct conn *c);
void on_lost(struct conn *c);
void on_response(struct conn *c, int status, uint64_t now);
void on_message(struct conn *c, uint64_t now);
void on_closed_by_server(struct conn *c);
/* Lets a publisher send as many messages as its window allows. */
void publish_more(struct conn *p);
/* Does what time alone brings; returns when it wants to be called again, at most `wake`. */
uint64_t on_time(uint64_t now, uint64_t wake);

/* loop.c */
/* Runs the loop until `end` (ns), or until done() is true. */
void run_until(uint64_t end, bool (*done)(void));

/* run.c: one measurement each, from the first connection to the report */
extern const char *const mode_names[N_MODES];
void run_load(const char *op);
void run_idle(void);
void run_rooms(void);

/* message.c */
extern uint8_t *frame; /* header, mask key, masked payload */
extern size_t frame_header_len, frame_len;
extern uint8_t *plain; /* the payload before masking       */
extern uint8_t mask_key[4];

void make_frame(void);
/* Writes the masked HEAD bytes of a payload: @, time, sender, spaces. */
void write_head(uint8_t *dst, uint64_t ts, uint32_t id);
/* Finds time and sender in a payload's first bytes (a server may wrap it). */
bool read_head(const uint8_t *p, unsigned n, uint64_t *ts, uint32_t *id);

/* measure.c */
uint64_t now_ns(void);
_Noreturn void die(const char *what);
void hist_add(uint64_t ns);
void hist_reset(void);
bool hist_empty(void);
double hist_us(double quantile);
double hist_max_us(void);
/* CPU seconds (all, user) and resident bytes of the processes in opt.pids, together. */
void proc_usage(double *cpu_s, double *user_s, uint64_t *rss);
double own_cpu(void);

#endif
