#include "app/init_command.h"

#include "app/scaffold.h"
#include "app/types_command.h"
#include "base/suggest.h"
#include "script/embedded.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const templates[] = {"minimal", "chat", "game", "rest", NULL};

static const char *find_template(const char *name)
{
    for (int i = 0; templates[i]; i++) {
        if (strcmp(templates[i], name) == 0)
            return templates[i];
    }
    const char *meant = suggest(name, templates);
    if (meant)
        fprintf(stderr, "festa: unknown template %s: did you mean %s?\n", name, meant);
    else
        fprintf(stderr, "festa: unknown template %s: minimal, chat, game and rest are known\n", name);
    return NULL;
}

/* 1: nothing of weight is in it; 0: something is; or a negative errno. What a version control has put there
 * does not count. */
static int is_empty(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int empty = 1;

    if (!folder)
        return errno == ENOENT ? 1 : -errno;
    while (empty && (entry = readdir(folder)) != NULL) {
        static const char *const ignored[] = {".", "..", ".git", ".hg", ".jj", NULL};
        bool known = false;
        for (int i = 0; ignored[i]; i++)
            known = known || strcmp(entry->d_name, ignored[i]) == 0;
        empty = known;
    }
    closedir(folder);
    return empty;
}

static void report(void *user, const char *name, bool written)
{
    (void)user;
    printf("  %s%s\n", name, written ? "" : "  (was there, left as it is)");
}

/* The folder as a shell reads it. */
static void print_folder(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./~+@%-";
    bool quote = path[strspn(path, plain)] != '\0' || *path == '-' || *path == '~';

    if (!quote) {
        fputs(path, stdout);
        return;
    }
    fputs(*path == '-' ? "./'" : "'", stdout);
    for (; *path; path++)
        fputs(*path == '\'' ? "'\\''" : (const char[]){*path, '\0'}, stdout);
    putchar('\'');
}

static void print_next_steps(const char *path)
{
    printf("\nNext:\n");
    if (strcmp(path, ".") != 0) {
        printf("  cd ");
        print_folder(path);
        putchar('\n');
    }
    printf("  festa test\n  festa dev\n");
}

static int write_project(const char *root, const char *template, struct buf *error)
{
    char prefix[64];

    int rc = scaffold_folder(root);
    if (rc != 0) {
        (void)!buf_printf(error, "the folder %s can't be made: %s", root, strerror(-rc));
        return rc;
    }
    printf("A project out of the template %s, in %s:\n", template, root);
    snprintf(prefix, sizeof prefix, "templates/%s/", template);
    rc = scaffold_tree(root, prefix, "", SCAFFOLD_KEEP, report, NULL, error);
    if (rc == 0)
        rc = scaffold_tree(root, "templates/shared/", "", SCAFFOLD_KEEP, report, NULL, error);
    if (rc == 0)
        rc = types_write(root, error);
    if (rc >= 0)
        report(NULL, ".luarc.json", rc == 0);
    return rc;
}

int init_command(const struct cli *cli)
{
    struct buf error = {0};
    const char *template = find_template(cli->template ? cli->template : templates[0]);

    if (!template)
        return CLI_USAGE;
    int empty = is_empty(cli->directory), rc = empty;
    if (empty < 0)
        (void)!buf_printf(&error, "the folder %s can't be used: %s", cli->directory, strerror(-empty));
    else if (!empty && !cli->force)
        rc = -ENOTEMPTY;
    if (rc == -ENOTEMPTY && empty == 0)
        (void)!buf_printf(
            &error,
            "the folder %s is not empty: with --force what is missing is written into it, and no "
            "file is overwritten",
            cli->directory);
    if (rc >= 0)
        rc = write_project(cli->directory, template, &error);
    if (rc < 0)
        fprintf(stderr, "festa: %.*s\n", (int)error.len, (const char *)error.data);
    else
        print_next_steps(cli->directory);
    buf_fini(&error);
    return rc < 0 ? CLI_FAILURE : 0;
}
