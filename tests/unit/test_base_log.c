/* The log's queue and thread: whole lines from many threads, readers that are slow, stuck
 * or gone, and an end that comes in any case. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "json_check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_SECONDS 120 /* then a signal ends the process: something hangs */

/* ---- reading what was written ---- */

struct reader {
    pthread_t thread;
    int fd;
    struct buf got;
};

static void *read_to_the_end(void *arg)
{
    struct reader *reader = arg;
    char piece[4096];
    for (;;) {
        ssize_t n = read(reader->fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || buf_append(&reader->got, piece, (size_t)n) != 0)
            return NULL;
    }
}

static void reader_start(struct reader *reader, int fd)
{
    *reader = (struct reader){.fd = fd};
    assert_int_equal(pthread_create(&reader->thread, NULL, read_to_the_end, reader), 0);
}

/* Waits for the end of the input; the bytes get a NUL behind them. */
static void reader_join(struct reader *reader)
{
    pthread_join(reader->thread, NULL);
    close(reader->fd);
    assert_int_equal(buf_append(&reader->got, "", 1), 0);
}

/* Takes the next line out of text, without its newline; NULL at the end. All is lines. */
static char *next_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    if (!end) {
        assert_int_equal(*line, '\0');
        return NULL;
    }
    *end = '\0';
    *text = end + 1;
    return line;
}

/* The number behind "name": in a line, -1 without it. */
static long long number_in(const char *line, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(line, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

/* Reads one line, for at most the time that a test has. */
static void read_line(int fd, char *line, size_t size)
{
    size_t len = 0;
    do {
        assert_true(len < size - 1);
        assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, TEST_SECONDS * 1000), 1);
        assert_int_equal(read(fd, line + len, 1), 1);
    } while (line[len++] != '\n');
    line[len] = '\0';
}

static void await_dropped(uint64_t least)
{
    uint64_t deadline = clock_monotonic_ns() + TEST_SECONDS * 1000000000ull;
    while (log_dropped() < least) {
        assert_true(clock_monotonic_ns() < deadline);
        sched_yield();
    }
}

/* ---- ordinary use ---- */

static void lines_arrive_without_an_end(void **state)
{
    (void)state;
    int ends[2];
    char line[4096];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(log_init(ends[1], LOG_INFO, LOG_AUTO), 0);
    assert_int_equal(log_init(ends[1], LOG_INFO, LOG_AUTO), -EALREADY);
    for (int i = 0; i < 20; i++) {
        log_event(LOG_INFO, "one line", log_int("n", i), log_str("from", "a\nb\xff"));
        read_line(ends[0], line, sizeof line);
        assert_true(json_valid(line, strlen(line)));
        assert_int_equal(number_in(line, "n"), i);
        assert_non_null(strstr(line, "\"level\":\"info\",\"msg\":\"one line\""));
    }
    log_fini();
    log_fini();
    close(ends[0]);
    close(ends[1]);
}

static void levels_are_kept(void **state)
{
    (void)state;
    for (enum log_level level = LOG_DEBUG; level <= LOG_OFF; level++) {
        int ends[2];
        struct reader reader;
        assert_int_equal(pipe(ends), 0);
        reader_start(&reader, ends[0]);
        assert_int_equal(log_init(ends[1], level, LOG_JSON), 0);
        for (enum log_level each = LOG_DEBUG; each <= LOG_OFF; each++) {
            assert_int_equal(log_enabled(each), each >= level && each != LOG_OFF);
            log_event(each, "x", log_int("each", each));
        }
        log_fini();
        close(ends[1]);
        reader_join(&reader);
        char *text = (char *)reader.got.data, *line;
        for (enum log_level each = level; each < LOG_OFF; each++) {
            line = next_line(&text);
            assert_non_null(line);
            assert_int_equal(number_in(line, "each"), each);
        }
        assert_null(next_line(&text));
        buf_fini(&reader.got);
    }
}

static void names_of_levels_and_formats(void **state)
{
    (void)state;
    static const char *const levels[] = {"debug", "info", "warn", "error", "off"};
    static const char *const formats[] = {"auto", "text", "json"};
    enum log_level level;
    enum log_format format;
    for (int i = 0; i < 5; i++) {
        assert_true(log_level_parse(levels[i], &level));
        assert_int_equal(level, i);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(log_format_parse(formats[i], &format));
        assert_int_equal(format, i);
    }
    level = LOG_WARN;
    format = LOG_TEXT;
    static const char *const bad[] = {"", "INFO", "inf", "infos", "xml", "warning"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(log_level_parse(bad[i], &level) || log_format_parse(bad[i], &format));
    assert_int_equal(level, LOG_WARN);
    assert_int_equal(format, LOG_TEXT);
}

enum { WRITERS = 4, LINES_EACH = 5000 };

static void *write_lines(void *arg)
{
    char text[200];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < LINES_EACH; i++)
        log_event(LOG_INFO, "line", log_int("thread", *(int *)arg), log_int("n", i),
                  log_text("text", (struct span){text, (size_t)i % sizeof text}));
    return NULL;
}

static void start_writers(pthread_t threads[WRITERS])
{
    static int numbers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
}

static void join_writers(pthread_t threads[WRITERS])
{
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
}

/* Reads until each line of the writers came or was told of as dropped: every line is
 * whole, those of a thread are in order. Closes fd; returns how many were dropped. */
static uint64_t collect(int fd)
{
    FILE *in = fdopen(fd, "r");
    assert_non_null(in);
    long long last[WRITERS] = {-1, -1, -1, -1};
    uint64_t lines = 0, told = 0;
    char *line = NULL;
    size_t size = 0;
    while (lines + told < WRITERS * LINES_EACH) {
        ssize_t len = getline(&line, &size, in);
        assert_true(len > 0 && line[len - 1] == '\n');
        assert_true(json_valid(line, (size_t)len));
        long long thread = number_in(line, "thread"), n = number_in(line, "n");
        if (thread < 0) {
            assert_non_null(strstr(line, "\"level\":\"warn\""));
            assert_true(number_in(line, "lines") > 0);
            told += (uint64_t)number_in(line, "lines");
            continue;
        }
        assert_true(thread < WRITERS && n > last[thread]);
        last[thread] = n;
        lines++;
    }
    assert_int_equal(lines + told, WRITERS * LINES_EACH);
    free(line);
    fclose(in);
    return told;
}

static void many_threads_write_whole_lines_in_order(void **state)
{
    (void)state;
    int ends[2];
    pthread_t threads[WRITERS];
    assert_int_equal(pipe(ends), 0);
    uint64_t dropped = log_dropped();
    assert_int_equal(log_init(ends[1], LOG_INFO, LOG_JSON), 0);
    start_writers(threads);
    /* On a busy machine this may read too slowly for all: then that is said. */
    uint64_t told = collect(ends[0]);
    join_writers(threads);
    assert_int_equal(told, log_dropped() - dropped);
    log_fini();
    close(ends[1]);
}

/* ---- readers that do not read ---- */

static void a_stuck_reader_holds_nobody_up(void **state)
{
    (void)state;
    int ends[2];
    pthread_t threads[WRITERS];
    /* Both kinds of descriptor; a non-blocking one is whatever others made it. */
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(fcntl(ends[1], F_SETFL, flags), 0);
        uint64_t dropped = log_dropped();
        assert_int_equal(log_init(ends[1], LOG_INFO, LOG_JSON), 0);

        /* Four megabytes, while nobody reads: that this comes to an end is the test. */
        start_writers(threads);
        join_writers(threads);
        dropped = log_dropped() - dropped;
        assert_true(dropped > 0);

        assert_int_equal(collect(ends[0]), dropped);
        log_fini();
        close(ends[1]);
    }
}

/* Puts bytes into a pipe until it is full; returns how many. */
static size_t fill(int fd)
{
    size_t filled = 0;
    char piece[4096] = {0};
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    for (ssize_t n; (n = write(fd, piece, sizeof piece)) > 0;)
        filled += (size_t)n;
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    return filled;
}

static void what_was_dropped_is_said_without_a_further_line(void **state)
{
    (void)state;
    int ends[2];
    static char line[20000];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(log_init(ends[1], LOG_INFO, LOG_JSON), 0);
    size_t filled = fill(ends[1]);
    uint64_t before = log_dropped(), written = 0;
    char text[300];
    memset(text, 'x', sizeof text);
    for (; log_dropped() - before < 500; written++) /* of many lengths: some would fit into the last gap */
        log_event(LOG_INFO, "line", log_int("n", (int64_t)written),
                  log_text("text", (struct span){text, written * 37 % sizeof text}));
    for (char byte; filled; filled--)
        assert_int_equal(read(ends[0], &byte, 1), 1);

    /* Where lines are missing, and nowhere else, a line tells how many. */
    uint64_t next = 0, total = before;
    while (next < written) {
        read_line(ends[0], line, sizeof line);
        if (number_in(line, "n") >= 0) {
            assert_int_equal(number_in(line, "n"), next);
            next++;
        } else {
            next += (uint64_t)number_in(line, "lines");
            total += (uint64_t)number_in(line, "lines");
        }
    }
    assert_int_equal(next, written);
    assert_int_equal(total, log_dropped());

    log_event(LOG_INFO, "line", log_int("n", -5));
    read_line(ends[0], line, sizeof line);
    assert_int_equal(number_in(line, "n"), -5);
    log_fini();
    close(ends[0]);
    close(ends[1]);
}

static void end_beside_a_stuck_reader(bool goes_away)
{
    int ends[2];
    pthread_t threads[WRITERS];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(log_init(ends[1], LOG_INFO, LOG_JSON), 0);
    start_writers(threads);
    join_writers(threads);
    uint64_t begin = clock_monotonic_ns();
    log_fini();
    assert_true(clock_monotonic_ns() - begin < 10000000000u);

    /* The thread is still in its write: no second one beside it. Once the reader reads, or
     * goes away, the thread does too. */
    assert_int_equal(log_init(ends[1], LOG_INFO, LOG_JSON), -EALREADY);
    if (goes_away)
        close(ends[0]);
    struct reader reader;
    if (!goes_away)
        reader_start(&reader, ends[0]);
    int other[2];
    assert_int_equal(pipe(other), 0);
    uint64_t deadline = clock_monotonic_ns() + TEST_SECONDS * 1000000000ull;
    while (log_init(other[1], LOG_INFO, LOG_JSON) == -EALREADY) {
        assert_true(clock_monotonic_ns() < deadline);
        sched_yield();
    }
    close(ends[1]);
    if (!goes_away) {
        reader_join(&reader);
        char *text = (char *)reader.got.data, *end; /* cut anywhere, but whole before that */
        for (; (end = strchr(text, '\n')); text = end + 1)
            assert_true(json_valid(text, (size_t)(end - text)));
        buf_fini(&reader.got);
    }

    /* Of the old lines, none comes to the new log. */
    char line[4096];
    log_event(LOG_INFO, "anew", log_int("n", 1));
    read_line(other[0], line, sizeof line);
    assert_non_null(strstr(line, "\"anew\""));
    log_fini();
    close(other[0]);
    close(other[1]);
}

static void the_end_does_not_wait_for_a_stuck_reader(void **state)
{
    (void)state;
    end_beside_a_stuck_reader(false);
    end_beside_a_stuck_reader(true);
}

static void a_reader_that_went_away_is_survived(void **state)
{
    (void)state;
    for (int full_disk = 0; full_disk <= 1; full_disk++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        close(ends[0]);
        int fd = full_disk ? open("/dev/full", O_WRONLY) : dup(ends[1]);
        assert_true(fd >= 0);
        uint64_t dropped = log_dropped();
        assert_int_equal(log_init(fd, LOG_INFO, LOG_JSON), 0);
        for (uint64_t i = 1; i <= 50; i++) {
            log_event(LOG_INFO, "into the void", log_int("n", (int64_t)i));
            await_dropped(dropped + i);
        }
        log_fini();
        assert_int_equal(log_dropped(), dropped + 50);
        close(fd);
        close(ends[1]);
    }
}

/* A disk that gets full in the middle of a line, played by the limit of a file's size. */
static void a_torn_line_ends_before_the_next(void **state)
{
    (void)state;
    enum { ROOM = 1001, LINE = 80, BEFORE = 30, WHOLE = ROOM / LINE, AFTER = 5 };
    FILE *file = tmpfile();
    assert_non_null(file);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = ROOM;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);

    uint64_t dropped = log_dropped();
    assert_int_equal(log_init(fileno(file), LOG_INFO, LOG_JSON), 0);
    for (int i = 0; i < BEFORE; i++)
        log_event(LOG_INFO, "until it is full", log_int("n", 1));
    await_dropped(dropped + BEFORE - WHOLE);
    for (uint64_t i = 1; i <= AFTER; i++) {
        log_event(LOG_INFO, "while it is full", log_int("n", 2));
        await_dropped(dropped + BEFORE - WHOLE + i);
    }
    assert_int_equal(log_dropped(), dropped + BEFORE - WHOLE + AFTER);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    log_event(LOG_INFO, "room again", log_int("n", 3));
    log_fini();

    assert_true(lseek(fileno(file), 0, SEEK_SET) == 0);
    struct reader reader;
    reader_start(&reader, dup(fileno(file)));
    reader_join(&reader);
    char *text = (char *)reader.got.data, *line;
    int torn = 0, told = 0, counts[4] = {0};
    while ((line = next_line(&text))) {
        bool valid = json_valid(line, strlen(line));
        torn += !valid;
        if (valid && number_in(line, "n") > 0)
            counts[number_in(line, "n")]++;
        told += valid && number_in(line, "lines") == BEFORE - WHOLE + AFTER;
    }
    assert_int_equal(torn, 1);
    assert_int_equal(told, 1);
    assert_int_equal(counts[1], WHOLE);
    assert_int_equal(counts[2], 0);
    assert_int_equal(counts[3], 1);
    buf_fini(&reader.got);
    fclose(file);
}

/* ---- where it goes ---- */

static void before_and_after_lines_go_to_stderr(void **state)
{
    (void)state;
    int err[2], ends[2], saved = dup(STDERR_FILENO);
    char line[4096];
    assert_int_equal(pipe(err), 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(err[1], STDERR_FILENO), STDERR_FILENO);

    log_event(LOG_ERROR, "before", log_int("n", 1));
    assert_int_equal(log_init(ends[1], LOG_INFO, LOG_JSON), 0);
    log_event(LOG_ERROR, "between", log_int("n", 2));
    log_fini();
    log_event(LOG_ERROR, "after", log_int("n", 3));
    dup2(saved, STDERR_FILENO);
    close(saved);

    read_line(err[0], line, sizeof line);
    assert_non_null(strstr(line, " error before  n=1\n"));
    read_line(err[0], line, sizeof line);
    assert_non_null(strstr(line, " error after  n=3\n"));
    read_line(ends[0], line, sizeof line);
    assert_int_equal(number_in(line, "n"), 2);
    for (int i = 0; i < 2; i++) {
        close(err[i]);
        close(ends[i]);
    }
}

/* The first line that the log writes to fd, as read from the other end. */
static const char *first_line(int fd, int other, enum log_format format)
{
    static char line[4096];
    assert_int_equal(log_init(fd, LOG_INFO, format), 0);
    log_line(LOG_INFO, "hello", NULL, 0);
    read_line(other, line, sizeof line);
    log_fini();
    return line;
}

static void the_format_follows_the_descriptor(void **state)
{
    (void)state;
    int ends[2], master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_int_equal(pipe(ends), 0);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);

    unsetenv("NO_COLOR");
    unsetenv("FORCE_COLOR");
    setenv("TERM", "xterm", 1);
    assert_int_equal(*first_line(ends[1], ends[0], LOG_AUTO), '{');
    assert_null(strchr(first_line(ends[1], ends[0], LOG_TEXT), '\033'));
    assert_int_equal(*first_line(terminal, master, LOG_JSON), '{');
    assert_int_equal(*first_line(terminal, master, LOG_AUTO), '\033');

    setenv("TERM", "dumb", 1);
    assert_null(strchr(first_line(terminal, master, LOG_AUTO), '\033'));
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    assert_null(strchr(first_line(terminal, master, LOG_AUTO), '\033'));
    setenv("FORCE_COLOR", "0", 1);
    assert_null(strchr(first_line(terminal, master, LOG_AUTO), '\033'));
    setenv("FORCE_COLOR", "1", 1);
    assert_int_equal(*first_line(ends[1], ends[0], LOG_TEXT), '\033');
    assert_int_equal(*first_line(ends[1], ends[0], LOG_AUTO), '{');
    unsetenv("FORCE_COLOR");
    setenv("NO_COLOR", "", 1);
    assert_int_equal(*first_line(terminal, master, LOG_AUTO), '\033');

    close(terminal);
    close(master);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    alarm(TEST_SECONDS);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_levels_and_formats),
        cmocka_unit_test(lines_arrive_without_an_end),
        cmocka_unit_test(levels_are_kept),
        cmocka_unit_test(many_threads_write_whole_lines_in_order),
        cmocka_unit_test(a_stuck_reader_holds_nobody_up),
        cmocka_unit_test(what_was_dropped_is_said_without_a_further_line),
        cmocka_unit_test(the_end_does_not_wait_for_a_stuck_reader),
        cmocka_unit_test(a_reader_that_went_away_is_survived),
        cmocka_unit_test(a_torn_line_ends_before_the_next),
        cmocka_unit_test(before_and_after_lines_go_to_stderr),
        cmocka_unit_test(the_format_follows_the_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
