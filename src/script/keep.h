/* What of a room's Lua outlives its VM: self, where Party.options say persist, and the state of connections, where
 * they say hibernate. */
#pragma once

#include "script/vm.h"

/* A coroutine that starts a room asks for its self with data_ask_head; then this puts what was kept into self, and
 * returns whether there was anything. Raises when it can't be read. */
bool keep_restore(lua_State *L);

/* An event has run: self is saved within a second. */
void keep_ran(struct vm *vm);

/* self is saved as soon as others have had their turn. */
void keep_soon(struct vm *vm);

/* Saves self now if that takes little of a handler's time, since the rest is for what follows; else soon. Not while the
 * VM runs. */
void keep_first(struct vm *vm);

/* Is it to be saved, later? */
bool keep_due(const struct vm *vm);

/* Saves self now, unless it is as it was saved or restored last. false: it can't be kept, or not in the time that a
 * handler has, which is said in the log; of that, what ran in the same step before has left, or a little. Not while the
 * VM runs. */
bool keep_self(struct vm *vm);

/* All that is to outlive the VM of a room that hibernates: saves self, with persist, and leaves the states of all
 * connections with their peers, where connection_push finds them; both together in the time that a handler has. false:
 * not all of it is kept or durable so far, and the VM has to stay; the log says what can't be kept. The states are
 * where they were then. Not while the VM runs. */
bool keep_room(struct vm *vm);

/* The VM ends. */
void keep_free(struct keep *keep);
