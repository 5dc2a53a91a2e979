/* Results of tests as TAP, version 14 (https://testanything.org), which readers of version 13 understand: a line for
 * each test, and behind one that failed a block of YAML with what is known of it. Coloured on a terminal. */
#pragma once

#include "base/span.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdio.h>

struct tap {
    FILE *out;
    bool colours;
    unsigned n, failed, skipped;
};

/* Writes the version. */
void tap_begin(struct tap *tap, FILE *out);

/* One test. file goes before its name. */
void tap_pass(struct tap *tap, const char *file, struct span name);
void tap_skip(struct tap *tap, const char *file, struct span name);

/* What is known of a failure; each may be NULL or empty. */
struct tap_failure {
    const struct http_problem *problem;
    struct span errors; /* lines: what handlers have raised */
    struct span log;    /* lines */
};
void tap_fail(struct tap *tap, const char *file, struct span name, const struct tap_failure *failure);

/* Lines as comments. */
void tap_comment(struct tap *tap, struct span lines);

/* Writes the plan and the sum. */
void tap_end(struct tap *tap);
