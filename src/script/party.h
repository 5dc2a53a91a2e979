/* Is a party's script right? Internal to project.c and party.c. */
#pragma once

#include "script/project.h"

/* Runs the file scope in a VM of its own and looks at the table that it returns; the options in it become
 * the party's. 0, or a negative code after a paragraph in error for each mistake (code_complain). */
int party_check(struct party *party, struct buf *error);
