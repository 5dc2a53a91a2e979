/* What of the help is about one command. */
#include "app/cli.h"

#include <string.h>

/* Is the word in the line, with no letter beside it? */
static bool has_word(const char *line, size_t len, const char *word)
{
    size_t size = strlen(word);

    for (size_t i = 0; i + size <= len; i++) {
        bool begins = i == 0 || line[i - 1] == ' ';
        bool ends = i + size == len || strchr(" ,:", line[i + size]) != NULL;
        if (begins && ends && strncmp(line + i, word, size) == 0)
            return true;
    }
    return false;
}

/* "  NAME …", or below it "    NAME …". */
static bool describes(const char *line, const char *command)
{
    const char *word = line + strspn(line, " ");
    size_t size = strlen(command);

    return word > line && strncmp(word, command, size) == 0 && word[size] == ' ';
}

/* "  festa NAME …" */
static bool shows(const char *line, const char *command)
{
    static const char program[] = "  festa";
    return strncmp(line, program, sizeof program - 1) == 0 && describes(line + sizeof program - 1, command);
}

void cli_print_help(FILE *out, const char *command)
{
    enum { OTHER, COMMANDS, OPTIONS, EXAMPLES } part = OTHER;
    const char *head = NULL; /* of a part from which nothing was printed yet */
    size_t head_len = 0;

    if (!command) {
        fputs(cli_help, out);
        return;
    }
    for (const char *line = cli_help, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        size_t len = (size_t)(end - line);
        if (len > 0 && *line != ' ') { /* a part begins */
            part = strncmp(line, "commands", len) == 0                                ? COMMANDS
                   : strncmp(line, "examples", len) == 0                              ? EXAMPLES
                   : strncmp(line, "options", 7) == 0 && has_word(line, len, command) ? OPTIONS
                                                                                      : OTHER;
            head = part == COMMANDS ? NULL : line;
            head_len = len + 1;
        } else if (len > 0 && (part == OPTIONS || (part == COMMANDS && describes(line, command)) ||
                               (part == EXAMPLES && shows(line, command)))) {
            if (head)
                fprintf(out, "\n%.*s", (int)head_len, head);
            head = NULL;
            fprintf(out, "%.*s\n", (int)len, line);
        }
    }
}
