/* The names of all that scripts can use, out of the bindings' own lists: so that annotations and documentation can be
 * held against them. */
#pragma once

#include "base/buf.h"

/* Appends one name a line. Globals and members of libraries as scripts write them ("sleep", "json.encode",
 * "party.storage.get"); what objects have behind the name of their class, "." before a field and ":" before a method
 * ("Connection.id", "Connection:send"); handlers and options as members of a party ("Party:onStart",
 * "Party.options.persist"). 0 or -ENOMEM. */
int names_list(struct buf *out) __attribute__((warn_unused_result));
