#include "script/problem.h"

#include "base/check.h"
#include "script/module.h"

#include <stdlib.h>

static char *copy_span(struct span text)
{
    return text.len > 0 ? strndup(text.ptr, text.len) : NULL;
}

/* Is the place in a file of Festa's own (lua/), which the author does not have? Then it is forgotten. */
static bool drop_own_place(struct http_problem *problem)
{
    static const char own[] = "festa/";

    if (!problem->file || strncmp(problem->file, own, sizeof own - 1) != 0)
        return false;
    free(problem->file);
    problem->file = NULL;
    problem->line = 0;
    return true;
}

/* Does a line begin with "FILE:LINE: "? Then that is the place, and rest what stands behind it. */
static bool take_place(struct http_problem *problem, const char *text, const char **rest)
{
    int line = code_error_line(text, rest);
    const char *newline = strchr(text, '\n');
    char number[16];

    snprintf(number, sizeof number, ":%d:", line);
    const char *end = strstr(text, number);
    if (line == 0 || !end || (newline && newline < *rest))
        return false;
    problem->file = strndup(text, (size_t)(end - text));
    problem->line = line;
    return true;
}

/* The first place in a traceback that is a script's. */
static void find_place(struct http_problem *problem)
{
    const char *at = problem->traceback, *rest;

    while (at && (!take_place(problem, at, &rest) || drop_own_place(problem))) {
        at = strchr(at, '\n');
        at += at != NULL;
    }
}

static void read_source(struct http_problem *problem, const struct project *project)
{
    struct buf source = {0};
    char *path = problem->file && project->root ? project_code_file(project->root, problem->file) : NULL;

    if (path)
        code_excerpt(path, problem->line, &source);
    if (source.len > 1) /* it begins with a line feed */
        problem->source = strndup((const char *)source.data + 1, source.len - 1);
    buf_fini(&source);
    free(path);
}

struct http_problem *problem_raised(const struct project *project, const char *title, struct span message,
                                    struct span traceback)
{
    struct http_problem *problem = xcalloc(sizeof *problem);
    const char *rest;

    problem->title = strdup(title);
    problem->message = copy_span(message);
    problem->traceback = copy_span(traceback);
    if (problem->message && take_place(problem, problem->message, &rest))
        memmove(problem->message, rest, strlen(rest) + 1);
    if (!problem->file || drop_own_place(problem))
        find_place(problem);
    read_source(problem, project);
    return problem;
}

struct http_problem *problem_loading(struct span text)
{
    struct http_problem *problem = xcalloc(sizeof *problem);
    const char *newline = memchr(text.ptr, '\n', text.len), *rest;
    size_t first = newline ? (size_t)(newline - text.ptr) : text.len;

    problem->title = strdup("The project can't be loaded; it will be when this is mended.");
    problem->message = strndup(text.ptr, first);
    if (newline)
        problem->source = copy_span((struct span){newline + 1, text.len - first - 1});
    if (problem->message && take_place(problem, problem->message, &rest))
        memmove(problem->message, rest, strlen(rest) + 1);
    return problem;
}
