#include "app/types_command.h"

#include "app/scaffold.h"
#include "script/embedded.h"
#include "script/names.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TYPES ".festa/types"

static const struct embedded_file *find(const char *name)
{
    for (const struct embedded_file *file = embedded_files; file->name; file++) {
        if (strcmp(file->name, name) == 0)
            return file;
    }
    return NULL;
}

int types_write(const char *root, struct buf *error)
{
    const struct embedded_file *settings = find("types/luarc.json");

    for (const struct embedded_file *file = embedded_files; file->name; file++) {
        static const char folder[] = "types/";
        if (strncmp(file->name, folder, sizeof folder - 1) != 0 || file == settings)
            continue;
        char name[256];
        snprintf(name, sizeof name, TYPES "/%.200s", file->name + sizeof folder - 1);
        int rc = scaffold_file(root, name, file->data, file->size, SCAFFOLD_REPLACE, error);
        if (rc < 0)
            return rc;
    }
    return scaffold_file(root, ".luarc.json", settings->data, settings->size, SCAFFOLD_KEEP, error);
}

/* Do the settings that are there name our folder? (A text search: they may be JSON with comments.) */
static bool settings_know(const char *root)
{
    char path[PATH_MAX], text[16384];

    if (snprintf(path, sizeof path, "%s/.luarc.json", root) >= (int)sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    return strstr(text, "library") && strstr(text, TYPES);
}

static int list_names(void)
{
    struct buf names = {0};

    if (names_list(&names) != 0) {
        buf_fini(&names);
        fputs("festa: not enough memory\n", stderr);
        return CLI_FAILURE;
    }
    fwrite(names.data, 1, names.len, stdout);
    buf_fini(&names);
    return 0;
}

int types_command(const struct cli *cli)
{
    struct buf error = {0};
    struct stat info;
    int rc = 0;

    if (cli->names)
        return list_names();
    if (stat(cli->directory, &info) != 0)
        rc = -errno;
    else if (!S_ISDIR(info.st_mode))
        rc = -ENOTDIR;
    if (rc != 0)
        (void)!buf_printf(&error, "the project folder %s can't be used: %s", cli->directory, strerror(-rc));
    else
        rc = types_write(cli->directory, &error);
    if (rc < 0)
        fprintf(stderr, "festa: %.*s\n", (int)error.len, (const char *)error.data);
    else if (rc > 0 && settings_know(cli->directory))
        printf("Wrote " TYPES ".\n");
    else if (rc == 0)
        printf("Wrote " TYPES " and .luarc.json: editors with lua-language-server know Festa now.\n");
    else
        printf("Wrote " TYPES ". The .luarc.json that is there was left alone; it needs\n"
               "  \"workspace.library\": [\"" TYPES "\"]\n");
    buf_fini(&error);
    return rc < 0 ? CLI_FAILURE : 0;
}
