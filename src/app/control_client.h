/* The command's end of control.h: asks the server of a data folder, or carries requests out itself when none runs.
 * Waits for every answer. */
#pragma once

#include "app/control.h"

struct control_client;

/* What a command does with the data folder. */
enum control_use {
    CONTROL_READS,   /* only that, so the folder need not be writable */
    CONTROL_CHANGES, /* what is there */
    CONTROL_WRITES,
    CONTROL_MAKES, /* the same, and makes a folder that is missing */
};

/* n_files: of a folder that is made. NULL: error has one line that says why. */
struct control_client *control_client_open(const char *folder, enum control_use use, unsigned n_files,
                                           struct buf *error);

/* Is it a server that answers? */
bool control_client_has_server(const struct control_client *client);

/* Sends the request and waits. The answer's fields take the place of what is in answer. 0, or -EIO; then error has
 * one line that says why. */
int control_client_ask(struct control_client *client, const struct buf *request, struct buf *answer,
                       struct buf *error) __attribute__((warn_unused_result));

/* Accepts NULL. */
void control_client_close(struct control_client *client);
