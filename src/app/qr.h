/* QR codes for a terminal. */
#pragma once

#include "base/buf.h"

/* Appends a blank line and the code of a text, two of its rows for each line, with margin in front of each. Black on white by
 * the terminal's own colours, since many readers don't know the inverse. Nothing for a text that is too long,
 * for a code that has no place in that many rows and columns (0: it has), or without memory. */
void qr_append(struct buf *out, const char *text, const char *margin, int rows, int columns);
