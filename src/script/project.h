/* A project directory: its parties and modules, compiled, and its variables. Made before the
 * first loop runs; immutable afterwards but for the cache of modules, which has a lock. */
#pragma once

#include "base/buf.h"
#include "base/config.h"
#include "room/room.h"
#include "script/code.h"

/* Handlers that a party may have; the names are in party.c. */
extern const char *const party_handlers[]; /* ended by NULL: "onStart", "onConnect", … */

struct party_options {
    enum duplicate_id duplicate_id;
};

/* A party: one script. */
struct party {
    char *name;        /* owned */
    char *folder;      /* owned; absolute path of its own modules (parties/NAME), NULL for a single file */
    struct code *code; /* a reference */
    struct party_options options;
    struct project *project;
};

struct project {
    char *root;             /* owned; real path of the directory */
    struct party **parties; /* owned, by name */
    size_t n_parties;
    struct string_list env;       /* party.env: "NAME=value" */
    struct module_cache *modules; /* owned */
};

/* Finds and compiles parties/NAME.lua and parties/NAME/init.lua, and runs each one's file scope
 * once in a VM of its own to see that it returns a table of handlers: an unknown onXxx, an
 * unknown option, or a script that fails are errors. On error a negative code, and error says
 * all that is wrong, one paragraph for each. config is read for the limits of that VM. */
int project_open(struct project *project, const char *directory, const struct config *config,
                 struct buf *error) __attribute__((warn_unused_result));
void project_close(struct project *project);

/* NULL when there is none. */
struct party *project_party(const struct project *project, struct span name);

/* The code of a module that a party requires by this name: lib/NAME.lua, or NAME.lua in the
 * party's own folder, where "." in the name separates folders; "/" does too. Compiled at first use, in any
 * thread; it is the project's and stays until project_close. On error NULL, and error says why: no such
 * module (where it was looked for), both are there, a name that leads out of the project (also by a
 * symbolic link), or a file that does not compile. */
const struct code *project_module(struct project *project, const struct party *party, struct span name,
                                  struct buf *error) __attribute__((warn_unused_result));
