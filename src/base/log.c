/* The log's queue and the thread that writes it. Called from any thread.
 *
 * Lines are copied whole into a ring of fixed size; the thread takes runs of bytes out of
 * it and blocks in write(2) as long as the reader likes, without the lock. It waits a few
 * milliseconds for more lines before it writes, so that a busy server pays for a wake-up
 * and a system call once for many lines. */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_encode.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define RING_SIZE (1024u * 1024)
#define WRITE_MAX (64u * 1024) /* at once, so that the ring has room again bit by bit */
#define GATHER_NS (5u * NS_PER_MS)
#define FINI_NS (1000u * NS_PER_MS)

static struct {
    pthread_mutex_t mutex; /* over all of this struct */
    pthread_cond_t wake;   /* for the writer */
    pthread_cond_t ended;  /* for log_fini */
    pthread_t thread;
    int fd;
    bool present;      /* the thread has not ended; longer than running if its reader is stuck */
    bool running;      /* lines go through the ring */
    bool stopping;     /* log_fini wants the thread to end once the ring is empty */
    bool idle;         /* the writer sleeps until it is told of a line */
    bool failed;       /* the last write did */
    bool torn;         /* what was written last ended inside a line */
    uint64_t unsaid;   /* dropped lines that no line has told of */
    size_t start, len; /* the bytes in the ring */
    char ring[RING_SIZE];
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Read without the lock by everyone who logs. */
static atomic_int threshold = LOG_INFO;
static atomic_int style = LOG_STYLE_TEXT;
static atomic_uint_fast64_t dropped;

/* ---- the ring; the caller holds the lock ---- */

static void ring_put(const char *bytes, size_t len)
{
    size_t at = (queue.start + queue.len) % RING_SIZE;
    size_t first = len < RING_SIZE - at ? len : RING_SIZE - at;
    memcpy(queue.ring + at, bytes, first);
    memcpy(queue.ring, bytes + first, len - first);
    queue.len += len;
}

static void ring_take(size_t len)
{
    queue.len -= len;
    /* Begin anew when it is empty: a quiet log touches few pages. */
    queue.start = queue.len ? (queue.start + len) % RING_SIZE : 0;
}

static void count_dropped(uint64_t lines)
{
    queue.unsaid += lines;
    atomic_fetch_add(&dropped, lines);
}

/* Puts a line about dropped ones where they would stand. False if there is no room for
 * it, so that nothing may come before it. */
static bool say_dropped(void)
{
    if (queue.unsaid == 0)
        return true;
    char line[LOG_LINE_MAX];
    const struct log_field fields[] = {
        log_int("lines", (int64_t)queue.unsaid),
        log_int("total", (int64_t)atomic_load(&dropped)),
    };
    size_t len = log_encode(line, (enum log_style)atomic_load(&style), clock_wall_ms(), LOG_WARN,
                            "the log was not read in time, lines were dropped", fields, 2);
    if (len > RING_SIZE - queue.len)
        return false;
    ring_put(line, len);
    queue.unsaid = 0;
    return true;
}

/* ---- the writer ---- */

/* write(2), waiting as long as it takes. Bytes written or a negative errno. */
static ssize_t write_some(int fd, const char *bytes, size_t len)
{
    for (;;) {
        ssize_t written = write(fd, bytes, len);
        if (written >= 0)
            return written;
        if (errno == EAGAIN) /* somebody else made it non-blocking */
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            return -errno;
    }
}

/* The reader is gone or the disk is full: the lines that wait are lost. */
static void ring_discard(void)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < queue.len; i++)
        lines += queue.ring[(queue.start + i) % RING_SIZE] == '\n';
    ring_take(queue.len);
    count_dropped(lines);
}

/* Writes until the ring is empty. Holds the lock, but not while it writes. */
static void drain(void)
{
    while (queue.len && queue.running) {
        const char *bytes = queue.ring + queue.start;
        size_t len = queue.len;
        if (len > RING_SIZE - queue.start)
            len = RING_SIZE - queue.start;
        if (len > WRITE_MAX)
            len = WRITE_MAX;
        bool mend = queue.failed && queue.torn; /* the rest of that line is lost: end it */
        if (mend) {
            bytes = "\n";
            len = 1;
        }

        pthread_mutex_unlock(&queue.mutex);
        ssize_t written = write_some(queue.fd, bytes, len);
        pthread_mutex_lock(&queue.mutex);

        queue.failed = written < 0;
        if (queue.failed) {
            ring_discard();
            return;
        }
        if (written > 0)
            queue.torn = bytes[written - 1] != '\n';
        if (!mend)
            ring_take((size_t)written);
        say_dropped();
    }
}

static struct timespec after(uint64_t ns)
{
    uint64_t then = clock_monotonic_ns() + ns;
    return (struct timespec){(time_t)(then / 1000000000u), (long)(then % 1000000000u)};
}

/* Half full or told to stop: no time for more lines. */
static bool urgent(void)
{
    return queue.stopping || queue.len > RING_SIZE / 2;
}

static void *writer_main(void *arg)
{
    (void)arg;
    prctl(PR_SET_NAME, "festa-log");

    pthread_mutex_lock(&queue.mutex);
    for (;;) {
        queue.idle = true;
        while (queue.len == 0 && !queue.stopping)
            pthread_cond_wait(&queue.wake, &queue.mutex);
        queue.idle = false;
        if (!queue.running || queue.len == 0)
            break;
        struct timespec deadline = after(GATHER_NS);
        while (!urgent() && pthread_cond_timedwait(&queue.wake, &queue.mutex, &deadline) == 0)
            continue;
        drain();
    }
    queue.running = queue.present = false;
    pthread_cond_signal(&queue.ended);
    pthread_mutex_unlock(&queue.mutex);
    return NULL;
}

/* ---- begin and end ---- */

static bool env_is(const char *name, const char *text)
{
    const char *value = getenv(name);
    return value && strcmp(value, text) == 0;
}

static bool env_set(const char *name)
{
    return getenv(name) && !env_is(name, "");
}

static enum log_style choose_style(int fd, enum log_format format)
{
    bool terminal = isatty(fd);
    if (format == LOG_JSON || (format == LOG_AUTO && !terminal))
        return LOG_STYLE_JSON;
    if (env_set("FORCE_COLOR") && !env_is("FORCE_COLOR", "0"))
        return LOG_STYLE_COLOURS;
    if (!terminal || env_set("NO_COLOR") || env_is("TERM", "dumb"))
        return LOG_STYLE_TEXT;
    return LOG_STYLE_COLOURS;
}

/* A thread that gets none of the process's signals; SIGPIPE becomes EPIPE. */
static int start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&queue.thread, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

static void init_conditions(void)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&queue.wake, &monotonic);
    pthread_cond_init(&queue.ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int log_init(int fd, enum log_level level, enum log_format format)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_conditions);

    int rc = -EALREADY;
    pthread_mutex_lock(&queue.mutex);
    if (queue.present)
        goto unlock;
    rc = start_thread(); /* it waits for the lock */
    if (rc)
        goto unlock;
    queue.fd = fd;
    queue.stopping = queue.failed = queue.torn = false;
    queue.unsaid = 0;
    queue.start = queue.len = 0;
    queue.running = queue.present = true;
    atomic_store(&threshold, level);
    atomic_store(&style, choose_style(fd, format));
unlock:
    pthread_mutex_unlock(&queue.mutex);
    return rc;
}

void log_fini(void)
{
    pthread_mutex_lock(&queue.mutex);
    if (!queue.running) {
        pthread_mutex_unlock(&queue.mutex);
        return;
    }
    queue.stopping = true;
    pthread_cond_signal(&queue.wake);
    struct timespec deadline = after(FINI_NS);
    while (queue.present && pthread_cond_timedwait(&queue.ended, &queue.mutex, &deadline) == 0)
        continue;
    bool stuck = queue.present;
    queue.running = false;
    atomic_store(&style, LOG_STYLE_TEXT);
    pthread_mutex_unlock(&queue.mutex);

    /* Nothing ends a write(2) that blocks without taking more with it: a thread that is
     * in one is left there, touches only the queue if it ever comes back, and goes. */
    if (stuck)
        pthread_detach(queue.thread);
    else
        pthread_join(queue.thread, NULL);
}

/* ---- lines ---- */

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed) && level < LOG_OFF;
}

static void write_directly(const char *bytes, size_t len)
{
    while (len) {
        ssize_t written = write(STDERR_FILENO, bytes, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        len -= (size_t)written;
    }
}

void log_line(enum log_level level, const char *message, const struct log_field *fields, size_t n)
{
    if (!log_enabled(level))
        return;
    char line[LOG_LINE_MAX];
    enum log_style as = (enum log_style)atomic_load_explicit(&style, memory_order_relaxed);
    size_t len = log_encode(line, as, clock_wall_ms(), level, message, fields, n);

    pthread_mutex_lock(&queue.mutex);
    bool running = queue.running;
    if (running) {
        /* After a failed write this line tries whether the next one does better. */
        bool next = queue.failed || say_dropped();
        if (!next || len > RING_SIZE - queue.len)
            count_dropped(1);
        else
            ring_put(line, len);
        if (queue.idle || urgent())
            pthread_cond_signal(&queue.wake);
    }
    pthread_mutex_unlock(&queue.mutex);

    if (!running)
        write_directly(line, len);
}

uint64_t log_dropped(void)
{
    return atomic_load(&dropped);
}

/* The index of text in a NULL-ended array, -1 when it is not there. */
static int index_of(const char *text, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
    }
    return -1;
}

bool log_level_parse(const char *text, enum log_level *level)
{
    int index = index_of(text, log_level_names);
    if (index >= 0)
        *level = (enum log_level)index;
    return index >= 0;
}

bool log_format_parse(const char *text, enum log_format *format)
{
    static const char *const names[] = {"auto", "text", "json", NULL};
    int index = index_of(text, names);
    if (index >= 0)
        *format = (enum log_format)index;
    return index >= 0;
}
