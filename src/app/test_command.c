#include "app/test_command.h"

#include "app/load.h"
#include "app/tap.h"
#include "app/watch.h"
#include "base/check.h"
#include "testing/testing.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
    const struct cli *cli;
    struct project *project;
    struct tap tap;
    int log;             /* file in memory, in which the log of one test gathers */
    struct buf log_text; /* what was in it */
    bool broken;         /* a file could not be loaded, or the log not be started */
};

/* ---- the log of a test ---- */

static void begin_log(struct run *run)
{
    if (ftruncate(run->log, 0) != 0 || lseek(run->log, 0, SEEK_SET) != 0 ||
        log_init(run->log, run->cli->log_level, LOG_TEXT) != 0)
        run->broken = true;
}

/* All that was logged since then. */
static struct span end_log(struct run *run)
{
    log_fini();
    off_t size = lseek(run->log, 0, SEEK_END);
    run->log_text.len = 0;
    if (size > 0 && buf_reserve(&run->log_text, (size_t)size) == 0) {
        ssize_t n = pread(run->log, run->log_text.data, (size_t)size, 0);
        run->log_text.len = n > 0 ? (size_t)n : 0;
    }
    return (struct span){(const char *)run->log_text.data, run->log_text.len};
}

/* ---- one file ---- */

static void run_test(struct run *run, struct stage *stage, const char *file, size_t number, struct span name)
{
    struct http_problem *problem;
    struct buf errors = {0};

    begin_log(run);
    enum stage_result result = stage_run(stage, number, &problem, &errors);
    struct span log = end_log(run);
    if (result == STAGE_PASSED) {
        tap_pass(&run->tap, file, name);
        if (run->cli->log_level_given)
            tap_comment(&run->tap, log);
    } else {
        tap_fail(&run->tap, file, name,
                 &(struct tap_failure){.problem = problem,
                                       .errors = {(const char *)errors.data, errors.len},
                                       .log = log});
    }
    http_problem_free(problem);
    buf_fini(&errors);
}

static bool is_wanted(const struct run *run, const char *file, struct span name)
{
    const char *filter = run->cli->filter;
    return !filter || strstr(file, filter) || memmem(name.ptr, name.len, filter, strlen(filter));
}

static void run_listed(struct run *run, struct stage *stage, const char *file, struct span names)
{
    for (size_t number = 1; names.len > 0; number++) {
        const char *newline = memchr(names.ptr, '\n', names.len);
        size_t len = newline ? (size_t)(newline - names.ptr) : names.len;
        struct span name = {names.ptr + 1, len - 1};
        if (!is_wanted(run, file, name))
            ;
        else if (*names.ptr == '-')
            tap_skip(&run->tap, file, name);
        else
            run_test(run, stage, file, number, name);
        len += newline != NULL;
        names.ptr += len;
        names.len -= len;
    }
}

static void run_file(struct run *run, const char *file)
{
    struct buf error = {0}, names = {0};
    struct http_problem *problem = NULL;
    struct stage *stage = stage_open(run->project, file, &error);

    if (!stage) {
        struct http_problem why = {.message = (char *)""};
        CHECK(buf_append(&error, "", 1) == 0);
        why.message = (char *)error.data;
        tap_fail(&run->tap, file, SPAN("is loaded"), &(struct tap_failure){.problem = &why});
        buf_fini(&error);
        return;
    }
    begin_log(run);
    bool listed = stage_list(stage, &names, &problem);
    struct span log = end_log(run);
    if (listed)
        run_listed(run, stage, file, (struct span){(const char *)names.data, names.len});
    else
        tap_fail(&run->tap, file, SPAN("is loaded"), &(struct tap_failure){.problem = problem, .log = log});
    http_problem_free(problem);
    buf_fini(&names);
    buf_fini(&error);
    stage_close(stage);
}

/* ---- all files ---- */

static bool is_test(const char *name)
{
    static const char ending[] = "_test.lua";
    size_t len = strlen(name), end = sizeof ending - 1;
    return len > end && strcmp(name + len - end, ending) == 0;
}

static int is_seen(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "node_modules") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

#define FOLDERS_DEEP 16 /* of tests: a link may lead in a circle */

static bool is_folder(const struct run *run, const char *name)
{
    struct buf path = {0};
    struct stat info;

    CHECK(buf_printf(&path, "%s/%s", run->project->root, name) == 0 && buf_append(&path, "", 1) == 0);
    bool folder = stat((const char *)path.data, &info) == 0 && S_ISDIR(info.st_mode);
    buf_fini(&path);
    return folder;
}

/* The files of tests in this folder of the project, and in those inside of it. */
static void run_folder(struct run *run, const char *folder, int depth)
{
    struct dirent **entries = NULL;
    struct buf path = {0};

    CHECK(buf_printf(&path, "%s/%s", run->project->root, folder) == 0 && buf_append(&path, "", 1) == 0);
    int n = scandir((const char *)path.data, &entries, is_seen, by_name);
    for (int i = 0; i < n; i++) {
        path.len = 0;
        CHECK(buf_printf(&path, "%s/%s", folder, entries[i]->d_name) == 0 && buf_append(&path, "", 1) == 0);
        if (depth < FOLDERS_DEEP && is_folder(run, (const char *)path.data))
            run_folder(run, (const char *)path.data, depth + 1);
        else if (is_test(entries[i]->d_name))
            run_file(run, (const char *)path.data);
        free(entries[i]);
    }
    free(entries);
    buf_fini(&path);
}

static int sum_up(struct run *run)
{
    tap_end(&run->tap);
    if (run->tap.n > 0)
        return run->tap.failed > 0 || run->broken ? CLI_FAILURE : 0;
    if (run->cli->filter)
        fprintf(stderr, "festa: no test has '%s' in its name\n", run->cli->filter);
    else
        fprintf(stderr,
                "festa: no tests in %s/tests: a file NAME_test.lua has test(\"…\", function() … end)\n",
                run->cli->directory);
    return CLI_FAILURE;
}

/* Loads the project as it is now and runs all of its tests. */
static int run_once(const struct cli *cli)
{
    struct run run = {.cli = cli};
    struct buf error = {0};
    int exit_code = CLI_FAILURE;

    run.log = memfd_create("festa-test", MFD_CLOEXEC);
    run.project = load_project(cli, &error);
    if (run.log < 0) {
        fprintf(stderr, "festa: %s\n", strerror(errno));
    } else if (!run.project) {
        fprintf(stderr, "festa: %.*s\n", (int)error.len, (const char *)error.data);
    } else {
        tap_begin(&run.tap, stdout);
        run_folder(&run, "tests", 1);
        exit_code = sum_up(&run);
    }
    project_unref(run.project);
    buf_fini(&run.log_text);
    buf_fini(&error);
    if (run.log >= 0)
        close(run.log);
    return exit_code;
}

/* ---- again and again ---- */

struct watching {
    const struct cli *cli;
    struct loop loop;
};

static void on_change(void *user)
{
    struct watching *watching = user;
    fputs("\n", stdout);
    (void)run_once(watching->cli);
}

static int run_watched(const struct cli *cli)
{
    struct watching watching = {.cli = cli};

    if (loop_init(&watching.loop) != 0) {
        fputs("festa: the event loop can't be made\n", stderr);
        return CLI_FAILURE;
    }
    struct watch *watch =
        watch_open_tests(&watching.loop, cli->directory, cli->config_path, on_change, &watching);
    (void)run_once(cli);
    fprintf(stderr, "festa: waiting for changes; Ctrl-C ends\n");
    loop_hold(&watching.loop); /* until a signal ends the process */
    loop_run(&watching.loop);
    loop_release(&watching.loop);
    watch_close(watch);
    loop_fini(&watching.loop);
    return 0;
}

int test_command(const struct cli *cli)
{
    return cli->watch ? run_watched(cli) : run_once(cli);
}
