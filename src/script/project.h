/* One version of a project directory: its parties and modules, compiled, its configuration and its
 * variables. Immutable once it is open, but for the cache of modules, which has a lock; shared by threads
 * and counted, since rooms go on with an older one until they take over a newer. */
#pragma once

#include "base/buf.h"
#include "base/config.h"
#include "room/room.h"
#include "script/code.h"

/* Handlers that a party may have; the names are in party.c. */
extern const char *const party_handlers[]; /* ended by NULL: "onStart", "onConnect", … */

/* What its options may have; ended by NULL. */
extern const char *const party_option_names[];

struct party_options {
    enum duplicate_id duplicate_id;
    bool persist;   /* self outlives the VM */
    bool hibernate; /* an idle room's VM goes while its connections stay */
};

/* A party: one script. */
struct party {
    char *name;        /* owned */
    char *folder;      /* owned; absolute path of its own modules (parties/NAME), NULL for a single file */
    struct code *code; /* a reference */
    struct party_options options;
    bool hooks[HOOK_KINDS]; /* which it has */
    struct project *project;
};

struct project {
    _Atomic uint32_t refs;
    char *root;             /* owned; real path of the directory; NULL: none */
    struct party **parties; /* owned, by name */
    size_t n_parties;
    struct config config;
    struct string_list env;       /* party.env: "NAME=value" */
    struct module_cache *modules; /* owned */
    int public_fd;                /* owned; the folder of static files, opened by app; -1: none */
    struct http_problem *broken;  /* owned; why it has no parties (project_empty), else NULL */
};

/* Finds and compiles parties/NAME.lua and parties/NAME/init.lua, and runs each one's file scope
 * once in a VM of its own to see that it returns a table of handlers: an unknown onXxx, an
 * unknown option, or a script that fails are errors. The result has one reference; what config and
 * env (may be NULL) hold is the project's then, and they are empty. On error NULL, config and env
 * are as they were, and error says all that is wrong, one paragraph for each. */
struct project *project_open(const char *directory, struct config *config, struct string_list *env,
                             struct buf *error) __attribute__((warn_unused_result));

/* One without parties, for a server whose project can't be opened yet; why is the text that
 * project_open has left, or NULL. What config holds is its. */
struct project *project_empty(struct config *config, const struct buf *why)
    __attribute__((warn_unused_result));

/* Both accept NULL. */
struct project *project_ref(struct project *project);
void project_unref(struct project *project);

/* NULL, or the rule for names of parties, which this one breaks. */
const char *party_name_problem(struct span name);

/* NULL when there is none. */
struct party *project_party(const struct project *project, struct span name);

/* Before a version takes the place of another: compiles the modules that the one before has, so that it needs no time
 * to see whether they are the same (party_same). */
void project_prepare(const struct project *project, const struct project *before);

/* Would a room notice that its party is another version: its script, the modules that it has required so far, its
 * variables? A version that was not prepared, or by which a module is not kept, counts as another. */
bool party_same(const struct party *party, const struct party *other);

/* The code of a module that a party requires by this name: lib/NAME.lua, or NAME.lua in the
 * party's own folder, where "." in the name separates folders; "/" does too. Compiled at first use, in any
 * thread, on L (code_compile_on, whose rules for errors count), and kept with the project unless that has too much
 * of it already. One reference. On error NULL, and error says why: no such module (where it was looked for), both
 * are there, a name that leads out of the project (also by a symbolic link), or a file that does not compile. */
struct code *project_module(const struct party *party, struct span name, struct lua_State *L,
                            struct buf *error) __attribute__((warn_unused_result));
