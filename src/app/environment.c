#include "app/environment.h"

#include "base/check.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Adds NAME=value; a later one takes the place of an earlier one of the same name. */
static void set(struct string_list *env, const char *assignment)
{
    size_t name = (size_t)(strchr(assignment, '=') - assignment) + 1;
    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(env->items[i], assignment, name) == 0) {
            free(env->items[i]);
            env->items[i] = xstrdup(assignment);
            return;
        }
    }
    string_list_add(env, assignment);
}

static char *skip_blanks(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

static void cut_blanks(char *text)
{
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
}

/* The value of a line: bare (a # behind a blank begins a comment), 'as it is', or "with \n, \t, \" and \\".
 * Changed in place; NULL when a quote is not closed or something follows it. */
static char *parse_value(char *text)
{
    char quote = *text;

    if (quote != '"' && quote != '\'') {
        for (char *at = text; *at; at++) {
            if (*at == '#' && (at == text || at[-1] == ' ' || at[-1] == '\t')) {
                *at = '\0';
                break;
            }
        }
        cut_blanks(text);
        return text;
    }
    char *out = text, *at = text + 1;
    for (; *at && *at != quote; at++) {
        if (quote == '"' && *at == '\\' && at[1]) {
            at++;
            *out++ = (char)(*at == 'n' ? '\n' : *at == 't' ? '\t' : *at);
        } else {
            *out++ = *at;
        }
    }
    if (!*at)
        return NULL;
    at = skip_blanks(at + 1);
    *out = '\0';
    return *at == '\0' || *at == '#' ? text : NULL;
}

/* One line of a .env; false when it is none. */
static bool parse_line(struct string_list *env, char *line)
{
    cut_blanks(line);
    line = skip_blanks(line);
    if (*line == '\0' || *line == '#')
        return true;
    if (strncmp(line, "export ", 7) == 0)
        line = skip_blanks(line + 7);

    char *name = line;
    if (!isalpha((unsigned char)*line) && *line != '_')
        return false;
    while (isalnum((unsigned char)*line) || *line == '_')
        line++;
    size_t name_len = (size_t)(line - name);
    line = skip_blanks(line);
    if (*line != '=')
        return false;
    char *value = parse_value(skip_blanks(line + 1));
    if (!value)
        return false;

    size_t size = name_len + strlen(value) + 2;
    char *assignment = malloc(size);
    if (!assignment)
        return false;
    snprintf(assignment, size, "%.*s=%s", (int)name_len, name, value);
    set(env, assignment);
    free(assignment);
    return true;
}

/* NULL and a negative errno for what is no ordinary file: a pipe could hold up the start for ever. */
static FILE *open_regular(const char *path, int *rc)
{
    struct stat info;
    FILE *file = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &info) != 0 || (S_ISREG(info.st_mode) && !(file = fdopen(fd, "r"))))
        *rc = -errno;
    else if (!file)
        *rc = -EINVAL;
    if (!file && fd >= 0)
        close(fd);
    return file;
}

static int read_dotenv(struct string_list *env, const char *directory, struct buf *error)
{
    char path[4096];
    char *line = NULL;
    size_t size = 0;
    int number = 0, rc = 0;

    snprintf(path, sizeof path, "%s/.env", directory);
    FILE *file = open_regular(path, &rc);
    if (!file) {
        if (rc == -ENOENT)
            return 0;
        (void)!buf_printf(error, "%s can't be read: %s", path,
                          rc == -EINVAL ? "it is no ordinary file" : strerror(-rc));
        return rc;
    }
    while (getline(&line, &size, file) >= 0) {
        number++;
        if (!parse_line(env, line)) {
            (void)!buf_printf(error, "%s:%d: expected NAME=value, a comment or an empty line", path, number);
            rc = -EINVAL;
            break;
        }
    }
    if (rc == 0 && ferror(file)) {
        (void)!buf_printf(error, "%s can't be read", path);
        rc = -EIO;
    }
    free(line);
    fclose(file);
    return rc;
}

int environment_collect(struct string_list *env, const struct config *config, const char *directory,
                        const struct cli *cli, struct buf *error)
{
    static const char prefix[] = "FESTA_VAR_";

    for (size_t i = 0; i < config->vars.count; i++)
        set(env, config->vars.items[i]);
    int rc = read_dotenv(env, directory, error);
    if (rc != 0)
        return rc;
    for (char **variable = environ; *variable; variable++) {
        const char *name = *variable + sizeof prefix - 1;
        if (strncmp(*variable, prefix, sizeof prefix - 1) == 0 && *name != '=' && strchr(name, '='))
            set(env, name);
    }
    for (size_t i = 0; i < cli->vars.count; i++)
        set(env, cli->vars.items[i]);
    return 0;
}
