/* What the files of the storage commands share: storage_command.c is which there are, rooms_command.c lists rooms,
 * export.c and import.c carry their data. */
#pragma once

#include "app/cli.h"
#include "app/control_client.h"

/* One command that is at work. */
struct command_run {
    const struct cli *cli;
    struct control_client *client;
    struct buf request, answer; /* for one after the other */
    struct buf error;           /* one line: why it has failed */
};

/* Sends run->request, which begins anew with the next command_begin; rc: of its making. The answer's fields are
 * *rest, until the next one. 0 or -EIO; then run->error says why. */
int command_ask(struct command_run *run, int rc, struct span *rest) __attribute__((warn_unused_result));

/* Begins a request; the second one with the party and the room that it is about. 0 or -ENOMEM. */
int command_begin(struct command_run *run, enum control_request request) __attribute__((warn_unused_result));
int command_begin_room(struct command_run *run, enum control_request request, struct span party,
                       struct span room) __attribute__((warn_unused_result));

/* Can there be a room of this name? As the server itself asks; whether it has the party does not matter. 0, or -EINVAL and
 * says in run->error why not. */
int command_check_room(struct command_run *run, struct span party, struct span room)
    __attribute__((warn_unused_result));

/* Says in run->error what is wrong; returns -EINVAL. */
int command_fail(struct command_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Calls each for the rooms that the store has, of cli's party and prefix, by (party, id), until it does not return
 * 0; that is the result. */
int command_each_room(struct command_run *run,
                      int (*each)(struct command_run *run, const struct store_found *room, void *user),
                      void *user) __attribute__((warn_unused_result));

/* The commands. 0, or a negative code; then run->error says why. */
int command_rooms(struct command_run *run) __attribute__((warn_unused_result));
int command_export(struct command_run *run) __attribute__((warn_unused_result));
int command_import(struct command_run *run) __attribute__((warn_unused_result));
