/* Notices when what a project is made of has changed on disk: festa.lua (or another configuration), .env,
 * the scripts below parties/ and lib/, and whether the folder that `public` names is another one. What lies in that
 * needs no reload. Links are followed, to folders and scripts.
 *
 * Every folder has a watcher of the system (inotify). What it reports is only a reason to look: when nothing
 * more has come for a moment, the files are read, and a change of their content is what counts. So a file
 * that was touched changes nothing, and however an editor saves, it is one change. */
#pragma once

#include "loop/loop.h"

struct watch;

/* Watches from here on; changed is called on the loop. root: the project's folder; config_path: the
 * configuration when it isn't festa.lua, else NULL; both must stay. A folder that can't be watched is said
 * in the log. Does not keep the loop running. */
struct watch *watch_open(struct loop *loop, const char *root, const char *config_path,
                         void (*changed)(void *user), void *user);

/* The same, and the scripts below tests/. */
struct watch *watch_open_tests(struct loop *loop, const char *root, const char *config_path,
                               void (*changed)(void *user), void *user);

/* No call follows; its memory goes with the loop's next turns. Accepts NULL. */
void watch_close(struct watch *watch);
