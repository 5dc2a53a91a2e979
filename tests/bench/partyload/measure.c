/*
 * measure - the clock, the histogram of latencies, and what the operating system says about the
 * server's processes and our own.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void die(const char *what)
{
    perror(what);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

/* ---- latency histogram: 64 steps per power of two, error below 1.6 % ---- */

static uint64_t hist[64 * 60];
static uint64_t hist_n, hist_max;

void hist_add(uint64_t ns)
{
    int msb = 63 - __builtin_clzll(ns | 1), shift = msb > 6 ? msb - 6 : 0;
    hist[(size_t)shift * 64 + (ns >> shift)]++;
    hist_n++;
    if (ns > hist_max)
        hist_max = ns;
}

double hist_us(double q)
{
    uint64_t want = (uint64_t)(q * (double)hist_n), seen = 0;
    for (size_t i = 0; i < sizeof hist / sizeof *hist; i++) {
        seen += hist[i];
        if (hist[i] && seen > want) {
            size_t shift = i < 128 ? 0 : i / 64 - 1;
            return (double)((i - shift * 64) << shift) / 1e3;
        }
    }
    return (double)hist_max / 1e3;
}

void hist_reset(void)
{
    memset(hist, 0, sizeof hist);
    hist_n = hist_max = 0;
}

bool hist_empty(void)
{
    return !hist_n;
}

double hist_max_us(void)
{
    return (double)hist_max / 1e3;
}

/* ---- the server process: CPU time and resident memory ---- */

void proc_usage(double *cpu_s, double *user_s, uint64_t *rss)
{
    *cpu_s = *user_s = 0;
    *rss = 0;
    for (const char *p = opt.pids; p && *p; p += strcspn(p, ","), p += *p == ',') {
        char name[64], line[1024];
        int pid = atoi(p);
        FILE *f;

        snprintf(name, sizeof name, "/proc/%d/stat", pid);
        if ((f = fopen(name, "r"))) {
            unsigned long ut = 0, stm = 0;
            size_t n = fread(line, 1, sizeof line - 1, f);
            line[n] = 0;
            char *e = strrchr(line, ')');
            if (e)
                sscanf(e + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &stm);
            *user_s += (double)ut / (double)sysconf(_SC_CLK_TCK);
            *cpu_s += (double)(ut + stm) / (double)sysconf(_SC_CLK_TCK);
            fclose(f);
        }
        snprintf(name, sizeof name, "/proc/%d/statm", pid);
        if ((f = fopen(name, "r"))) {
            unsigned long resident = 0, shared = 0;
            /* What belongs to files (programs, libraries) is shared by all: not memory that a load takes. */
            if (fscanf(f, "%*u %lu %lu", &resident, &shared) == 2)
                *rss += (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
            fclose(f);
        }
    }
}

double own_cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
