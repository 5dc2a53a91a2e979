/* One line of a traceback, of bounded length whatever names a script uses: for debug.traceback and for
 * what the log shows of a handler that failed. */
#pragma once

#include <lua.h>
#include <stddef.h>

#define TRACE_LEVELS 22    /* shown at most */
#define TRACE_LINE_MAX 320 /* bytes of a line, its NUL included */

/* Replaces control characters by "?": names are a script's to choose, and a terminal's to obey. */
void trace_clean(char *text, size_t len);

/* Writes "parties/chat.lua:12: in method 'shout'", without a newline. ar was filled with "Sln".
 * Returns the length. */
size_t trace_line(char out[TRACE_LINE_MAX], const lua_Debug *ar);
