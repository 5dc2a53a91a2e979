/*
 * partyload - a load generator for HTTP/1.1 + WebSocket room servers. usage() below has the modes and
 * the options; this file reads them, and the others are: run.c (one measurement), mode.c (what the
 * modes do), loop.c (the event loop), conn.c (sockets and output), http.c and ws.c (input), message.c
 * (what is sent), measure.c (clock, latencies, the server's CPU and memory).
 *
 * One thread, one epoll set, no dependencies beyond libc. How it stays cheap enough not to be the
 * bottleneck:
 *   - client frames are masked once, as a template; a send patches only the 32 bytes that change (time
 *     stamp and sender) and is one write for all the messages that a connection may send at that moment;
 *   - one read buffer serves all connections; the WebSocket parser streams, so a payload is never
 *     copied or collected;
 *   - HTTP requests are rendered once per connection and repeated.
 *
 * Every message starts with "@", 16 hex digits of the send time in ns and 8 hex digits of the sender,
 * so whoever receives a broadcast knows its latency and whose it was. Messages without that mark
 * (greetings, presence) are counted as "other" and ignored.
 */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct options opt = {
    .host = "127.0.0.1",
    .port = 8080,
    .method = "GET",
    .extra = "",
    .fill = "ascii",
    .conns = 64,
    .rooms = 1,
    .depth = 1,
    .size = 64,
    .sources = 1,
    .secs = 5,
    .warm = 0.5,
    .settle = 1.0,
};

static void usage(void)
{
    fputs("usage: partyload MODE [options]\n"
          "modes\n"
          "  http     requests over -c keep-alive connections, -P of them pipelined\n"
          "  rooms    touch -n distinct rooms once each; needs --pid for bytes per room\n"
          "  echo     -c connections over -r rooms, -P messages of -s bytes outstanding\n"
          "  fanout   -r rooms of -c connections; the first of each (or --all) publishes\n"
          "           at -q messages/s, or (-q 0) when all members got the last -P\n"
          "  idle     hold -c connections over -r rooms for -t s; --pid for bytes each\n"
          "  churn    -c at a time: connect, one echo, close, again\n"
          "  large    echo with one connection and 1 MiB messages, in MB/s\n"
          "options\n"
          "  -h, --host ADDR     127.0.0.1      -p, --port N        8080\n"
          "  -u, --path PATH     %d is the room's number, %c the connection's\n"
          "  -c, --conns N       -r, --rooms N  -P, --depth N       -s, --size BYTES\n"
          "  -t, --secs S        -w, --warm S   (before measuring)  -q, --rate PER_S\n"
          "  -m, --method M      -b, --body B   -H, --header 'A: b' -n, --count N\n"
          "      --pid P[,P...]  server processes whose CPU and memory are reported\n"
          "      --all           every member publishes             --no-self  the sender\n"
          "                      does not get its own message back\n"
          "      --binary        --zero-mask    --fill ascii|utf8   --verify (payloads)\n"
          "      --spin          never sleep    --sources N  (127.0.0.1 .. N)\n"
          "      --settle S      wait before reading memory         --json  one line\n",
          stderr);
    exit(2);
}

static void parse_options(int argc, char **argv)
{
    enum {
        O_PID = 256,
        O_ALL,
        O_NOSELF,
        O_BINARY,
        O_ZERO,
        O_FILL,
        O_VERIFY,
        O_SPIN,
        O_SOURCES,
        O_SETTLE,
        O_JSON
    };
    static const struct option longs[] = {
        {"host", 1, 0, 'h'},          {"port", 1, 0, 'p'},
        {"path", 1, 0, 'u'},          {"conns", 1, 0, 'c'},
        {"rooms", 1, 0, 'r'},         {"depth", 1, 0, 'P'},
        {"size", 1, 0, 's'},          {"secs", 1, 0, 't'},
        {"warm", 1, 0, 'w'},          {"rate", 1, 0, 'q'},
        {"method", 1, 0, 'm'},        {"body", 1, 0, 'b'},
        {"header", 1, 0, 'H'},        {"count", 1, 0, 'n'},
        {"pid", 1, 0, O_PID},         {"all", 0, 0, O_ALL},
        {"no-self", 0, 0, O_NOSELF},  {"binary", 0, 0, O_BINARY},
        {"zero-mask", 0, 0, O_ZERO},  {"fill", 1, 0, O_FILL},
        {"verify", 0, 0, O_VERIFY},   {"spin", 0, 0, O_SPIN},
        {"sources", 1, 0, O_SOURCES}, {"settle", 1, 0, O_SETTLE},
        {"json", 0, 0, O_JSON},       {0, 0, 0, 0},
    };
    static char extra[2048];
    int o;

    if (argc < 2)
        usage();
    bool large = !strcmp(argv[1], "large");
    int mode = large ? ECHO : -1;
    for (int i = 0; i < N_MODES; i++)
        if (!strcmp(argv[1], mode_names[i]))
            mode = i;
    if (mode < 0)
        usage();
    opt.mode = (enum mode)mode;
    if (large) {
        opt.conns = 1;
        opt.size = 1 << 20;
    }
    optind = 2;
    while ((o = getopt_long(argc, argv, "h:p:u:c:r:P:s:t:w:q:m:b:H:n:", longs, NULL)) != -1) {
        switch (o) {
        case 'h': opt.host = optarg; break;
        case 'p': opt.port = atoi(optarg); break;
        case 'u': opt.path = optarg; break;
        case 'c': opt.conns = (unsigned)atoi(optarg); break;
        case 'r': opt.rooms = (unsigned)atoi(optarg); break;
        case 'P': opt.depth = (unsigned)atoi(optarg); break;
        case 's': opt.size = (unsigned)atoi(optarg); break;
        case 't': opt.secs = atof(optarg); break;
        case 'w': opt.warm = atof(optarg); break;
        case 'q': opt.rate = atof(optarg); break;
        case 'm': opt.method = optarg; break;
        case 'b': opt.body = optarg; break;
        case 'H':
            strncat(extra, optarg, sizeof extra - strlen(extra) - 3);
            strcat(extra, "\r\n");
            opt.extra = extra;
            break;
        case 'n': opt.count = strtoull(optarg, NULL, 10); break;
        case O_PID: opt.pids = optarg; break;
        case O_ALL: opt.all = true; break;
        case O_NOSELF: opt.no_self = true; break;
        case O_BINARY: opt.binary = true; break;
        case O_ZERO: opt.zero_mask = true; break;
        case O_FILL: opt.fill = optarg; break;
        case O_VERIFY: opt.verify = true; break;
        case O_SPIN: opt.spin = true; break;
        case O_SOURCES: opt.sources = atoi(optarg); break;
        case O_SETTLE: opt.settle = atof(optarg); break;
        case O_JSON: opt.json = true; break;
        default: usage();
        }
    }
    if (!opt.path)
        opt.path = opt.mode == ECHO || opt.mode == CHURN ? "/parties/echo/room-%d" : "/parties/main/room-%d";
    if (opt.size < HEAD)
        opt.size = HEAD;
    if (opt.body && !strcmp(opt.method, "GET"))
        opt.method = "POST";
    if (!opt.conns || !opt.rooms || !opt.depth || optind < argc)
        usage();
    if (opt.mode == ROOMS && opt.depth > 16) /* they fit one buffer */
        opt.depth = 16;
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    alarm((unsigned)(opt.secs + opt.warm + opt.settle) + 300); /* it stops by itself */

    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);

    if (!conn_init(opt.host, opt.port)) {
        fprintf(stderr, "the host must be an address in 127.0.0.0/8\n");
        return 2;
    }
    make_frame();

    switch (opt.mode) {
    case HTTP: run_load("requests"); break;
    case ROOMS: run_rooms(); break;
    case ECHO: run_load("messages"); break;
    case FANOUT: run_load("deliveries"); break;
    case IDLE: run_idle(); break;
    case CHURN: run_load("cycles"); break;
    case N_MODES: break;
    }
    return st.errors || st.bad ? 1 : 0;
}
