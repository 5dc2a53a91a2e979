/* What follows when code of a party raised: the answer, the log, the counters. Called by those who run it. */
#pragma once

#include "base/buf.h"
#include "room/room.h"
#include "script/call.h"

struct script;

/* The handler of task->event has failed: its request is answered, its connection closed if it asked for that,
 * the rest is said in the log. */
void report_event(struct task *task, enum call_result result);

/* The same for one of no event (a timer's): said in the log alone. */
void report_handler(struct task *task, enum call_result result);

/* The party's script could not be started in this room; error is what vm_load left. Returns the answer to what
 * woke the room, which is the caller's; NULL: no memory. */
struct http_response *report_start(struct script *script, const struct room *room, const struct buf *error);

/* Its new version could not be; the one before goes on. */
void report_reload(struct script *script, const struct room *room, const struct buf *error);
