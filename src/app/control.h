/* What an operator's command asks of a data folder: requests and answers as bytes, and carrying one out. The server
 * does it for commands that come by its socket (control_server.h); where no server runs the command does it itself
 * (control_client.h).
 *
 * A request is a byte for the version, one of enum control_request, and its fields; an answer is a byte, 0 or 1, and
 * its fields, or 1 and a text of what is wrong. On the socket each has its length before it (u32). Numbers are in the
 * machine's order: both ends are on one machine.
 *
 * Reads answer what is durable: nobody outside of a room has seen anything later. A change of a room that is in memory
 * goes through the room (room/change.h). */
#pragma once

#include "app/worker.h"
#include "base/buf.h"
#include "base/span.h"
#include "store/store.h"

#include <stdbool.h>

#define CONTROL_VERSION 1u

/* Bytes of a request or an answer at most. */
#define CONTROL_MAX (96u * 1024u * 1024u)

enum control_request {
    CONTROL_ROOMS, /* bytes party (empty: any), prefix, after_party, after_id; u32 limit → store_next_found's */
    CONTROL_MEMORY, /* u32 thread → u32 threads; of each room in its memory: bytes party, id, u32 connections */
    CONTROL_GET,    /* bytes party, room, key → u32 1, bytes value; or u32 0 */
    CONTROL_LIST,   /* bytes party, room, start → u32 are there more; bytes key, value, … */
    CONTROL_HEAD,   /* bytes party, room → i64 alarm, u32 attempt, u32 is there a self, bytes self */
    CONTROL_CHANGE, /* bytes party, room; operations (enum control_change) → nothing, when they are durable */
    CONTROL_BACKUP, /* bytes path → nothing */
};

enum control_change {
    CHANGE_PUT,    /* bytes key, value */
    CHANGE_DELETE, /* bytes key */
    CHANGE_ALARM,  /* i64 time, u32 attempt */
    CHANGE_SELF,   /* bytes */
};

/* ---- bytes ---- */

/* Begin a request; append to it. 0 or -ENOMEM. */
int control_begin(struct buf *buf, enum control_request request) __attribute__((warn_unused_result));
int control_put_u32(struct buf *buf, uint32_t number) __attribute__((warn_unused_result));
int control_put_i64(struct buf *buf, int64_t number) __attribute__((warn_unused_result));
int control_put_bytes(struct buf *buf, struct span bytes) __attribute__((warn_unused_result));

/* Take the next field off; false: there is none. */
bool control_take_u8(struct span *rest, uint8_t *number);
bool control_take_u32(struct span *rest, uint32_t *number);
bool control_take_i64(struct span *rest, int64_t *number);
bool control_take_bytes(struct span *rest, struct span *bytes);

/* An answer that says only what is wrong. Without memory it is empty. */
void control_refuse(struct buf *answer, const char *why);

/* ---- carrying out ---- */

/* Where. All of it is used on the loop's thread. */
struct control {
    struct loop *loop;
    struct store *store;     /* NULL: nothing is stored here */
    struct workers *workers; /* NULL: no server, and no rooms */
};

/* Carries out a request, which is copied. done is called on the loop exactly once, maybe at once; the answer is the
 * callee's (buf_fini). While one is under way the loop goes on, and so do the workers'. */
void control_run(const struct control *control, struct span request,
                 void (*done)(void *user, struct buf answer), void *user);
