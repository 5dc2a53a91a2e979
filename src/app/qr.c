#include "app/qr.h"

#include <qrencode.h>
#include <stdbool.h>

#define QUIET 2 /* modules of white around the code; readers want some, and paper is not near */

/* Outside of the code everything is white. */
static bool is_black(const QRcode *code, int row, int column)
{
    bool inside = row >= 0 && column >= 0 && row < code->width && column < code->width;
    return inside && (code->data[row * code->width + column] & 1) != 0;
}

void qr_append(struct buf *out, const char *text, const char *margin)
{
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!code)
        return;
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
