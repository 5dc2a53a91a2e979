/* Where the code of modules is found, and kept once it is compiled. Internal to project.c and module.c. */
#pragma once

#include "script/project.h"

struct module_cache *module_cache_new(void);

/* Accepts NULL. */
void module_cache_free(struct module_cache *cache);

/* Compiles the modules that the party has required so far, for another version of it. */
void modules_prepare(const struct party *party, const struct party *other);

/* Does another version of the party have all modules that this one has required so far, and are they the same? Compiles
 * nothing. */
bool modules_same(const struct party *party, const struct party *other);

#define MODULE_NAME_MAX 200 /* bytes */

/* Words of letters, digits, '_' and '-', with '.' or '/' between them? */
bool module_name_valid(struct span name);

/* The real path of a file of the project, to be freed; its name is relative to the project's root. NULL
 * with errno: ENOENT, EXDEV when it leads out of the project, or another. */
char *project_file(const char *root, const char *name);

/* The same for what an error calls its place, which a script can make up: NULL with ENOENT for what can't be a file
 * of code. Only of code are lines shown. */
char *project_code_file(const char *root, const char *name);
