/* Any text in a line of the log: one line comes out, valid JSON where it is to be, and no control character but
 * the newlines of a text's indented lines. The input is the message and the texts of fields, with a NUL between. */
#include "base/log_encode.h"

#include "../unit/json_check.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELDS_MAX 8u

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* The colours' escape sequences are ours. */
static void check_line(const char *line, size_t len, enum log_style style)
{
    must(len > 0 && len <= LOG_LINE_MAX && line[len - 1] == '\n' && utf8_valid(line, len));
    for (size_t i = 0; i + 1 < len; i++) {
        unsigned char c = (unsigned char)line[i];
        bool indented = c == '\n' && line[i + 1] == ' ';
        bool colour = c == 0x1b && line[i + 1] == '[';
        must((c >= 0x20 && c != 0x7f) || (indented && style != LOG_STYLE_JSON) ||
             (colour && style == LOG_STYLE_COLOURS));
    }
    must(style != LOG_STYLE_JSON || json_valid(line, len - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const field_names[FIELDS_MAX] = {"a", "error", "party", "room",
                                                        "x", "trace", "y",     "z"};
    static char line[LOG_LINE_MAX];
    struct log_field fields[FIELDS_MAX];
    size_t n = 0;
    char *text = malloc(size + 1);

    must(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    size_t at = strlen(text) + 1;
    for (; at <= size && n < FIELDS_MAX; n++) {
        /* The last field has the rest, NULs and all. */
        size_t len = n + 1 < FIELDS_MAX ? strlen(text + at) : size - at;
        int64_t number = 0;
        memcpy(&number, text + at, len < sizeof number ? len : sizeof number);
        double real;
        memcpy(&real, &number, sizeof real);
        switch (len > 0 ? text[at] % 8 : 0) {
        case 1: fields[n] = log_int(field_names[n], number); break;
        case 2: fields[n] = log_real(field_names[n], real); break;
        default: fields[n] = log_text(field_names[n], (struct span){text + at, len}); break;
        }
        at += len + 1;
    }
    for (int style = LOG_STYLE_TEXT; style <= LOG_STYLE_JSON; style++) {
        enum log_level level = (enum log_level)(size % LOG_OFF);
        size_t len =
            log_encode(line, (enum log_style)style, 1700000000000 + (int64_t)size, level, text, fields, n);
        check_line(line, len, (enum log_style)style);
    }
    free(text);
    return 0;
}
