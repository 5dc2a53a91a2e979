#include "app/qr.h"

#include <qrencode.h>
#include <stdbool.h>
#include <string.h>

#define QUIET 2 /* modules of white around the code; readers want some, and paper is not near */

/* Outside of the code everything is white. */
static bool is_black(const QRcode *code, int row, int column)
{
    bool inside = row >= 0 && column >= 0 && row < code->width && column < code->width;
    return inside && (code->data[row * code->width + column] & 1) != 0;
}

static bool has_place(const QRcode *code, const char *margin, int rows, int columns)
{
    int size = code->width + 2 * QUIET;
    return (rows == 0 || (size + 1) / 2 <= rows) && (columns == 0 || (int)strlen(margin) + size <= columns);
}

void qr_append(struct buf *out, const char *text, const char *margin, int rows, int columns)
{
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!code)
        return;
    if (!has_place(code, margin, rows, columns)) {
        QRcode_free(code);
        return;
    }
    (void)!buf_append(out, "\n", 1);
    for (int row = -QUIET; row < code->width + QUIET; row += 2) {
        (void)!buf_printf(out, "%s\033[30;107m", margin);
        for (int column = -QUIET; column < code->width + QUIET; column++) {
            bool upper = is_black(code, row, column), lower = is_black(code, row + 1, column);
            (void)!buf_printf(out, "%s", upper ? (lower ? "█" : "▀") : lower ? "▄" : " ");
        }
        (void)!buf_printf(out, "\033[0m\n");
    }
    QRcode_free(code);
}
