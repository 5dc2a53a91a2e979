/* The nearest name, by edit distance (insert, delete, replace, swap neighbours). For
 * messages about what people typed; allocates nothing. */
#include "base/suggest.h"

#include <stdbool.h>
#include <string.h>

#define NAME_MAX_LEN 63u /* longer texts are not taken for a slip of the keyboard */

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance, ASCII case apart; both at most NAME_MAX_LEN long. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NAME_MAX_LEN + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_len];
}

const char *suggest(const char *text, const char *const *names)
{
    size_t len = strlen(text);
    if (len == 0 || len > NAME_MAX_LEN)
        return NULL;

    const char *best = NULL;
    size_t best_distance = 0;
    for (; *names; names++) {
        size_t name_len = strlen(*names);
        if (name_len > NAME_MAX_LEN)
            continue;
        size_t d = distance(text, len, *names, name_len);
        size_t longer = len > name_len ? len : name_len;
        if (d * 3 <= longer && (!best || d < best_distance)) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}
