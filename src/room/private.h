/* What the files of room call of each other: rooms.c has the thread's rooms, room.c a room's life,
 * room_inbox.c what waits for its turn, room_input.c what comes in, room_output.c what goes out. */
#pragma once

#include "base/clock.h"
#include "room/room.h"

/* Time for one kind of work (the events of rooms of one pace, evictions) in one turn of the loop, before sockets are
 * looked at again. */
#define WORK_BUDGET_NS (5u * NS_PER_MS)

/* May an event be taken out of the inbox now? */
bool room_inbox_open(const struct room *room);

/* Takes the first event out of the inbox, whether or not it is open; the event is the caller's. NULL: it is empty. */
struct event *room_inbox_pop(struct room *room);

/* The event that was taken out comes again, before all others. */
void room_inbox_put_back(struct room *room, struct event *event);

/* Has it something to do now? Then it is put among the ready ones. */
void room_schedule(struct room *room);

/* Has it something to do now? */
bool room_has_work(const struct room *room);

/* Among which rooms it is served now. */
enum room_pace room_pace_of(const struct room *room);

/* Does one thing: makes the VM and runs onStart, or gives the next event to the script. */
void room_step(struct room *room);

/* An event begins, at this time (ns). */
void rooms_begin(struct rooms *rooms, uint64_t now);

/* Has what began at rooms->began, and is over now (ns), taken long? */
bool rooms_took_long(const struct rooms *rooms, uint64_t now);

/* The room's event that began at rooms->began is over now (ns): what does that say of its pace? The next
 * event begins. */
void room_stepped(struct room *room, uint64_t now);

/* May more work of this kind be done in this turn of the loop? Then it begins; and when it was for this room, it is
 * over. */
bool rooms_may_spend(struct rooms *rooms, struct turn_budget *budget);
void room_spent(struct room *room, struct turn_budget *budget);

/* What was done may have been the last reason to stay in memory: among the idle, or out of memory. */
void room_settle(struct room *room);

/* Begins onStop; the room leaves when it is over. */
void room_stop(struct room *room);

/* The VM of an idle room goes, while its peers stay: the next event makes another one. */
void room_hibernate(struct room *room);

/* onStop is over and all is durable: out of memory, or anew for what came meanwhile. */
void room_leave(struct room *room);

/* Takes the room out of memory: drops the VM, its inbox and its output; its peers get a room no more. */
void room_remove(struct room *room);

/* Runs the event at once if it may, else queues it; it is the room's. Its data is copied only when
 * it has to wait. */
void room_post(struct room *room, struct event *event);

/* Posts the onClose of a peer. */
void room_post_close(struct peer *peer, uint16_t code, const char *reason, size_t len, bool clean);

/* The room of this name on this thread, made when it isn't there, or why there is none, for the one who asks (NULL: no
 * memory for that). */
struct room *rooms_enter(struct rooms *rooms, struct span party_name, struct span id,
                         struct http_response **refusal);

struct call_chain;

/* Gives the event a copy of the chain (call.h), if there is one. false: no memory. */
bool room_set_chain(struct event *event, const struct call_chain *chain) __attribute__((warn_unused_result));

/* A call of another room has arrived; it is answered in any case. */
struct room_call;
void room_called(struct room *room, struct room_call *call);

/* As room_connect, for a peer by which the rooms of the chain come; the request is the callee's. */
void room_connect_from(struct room *room, struct peer *peer, struct http_request *request,
                       const struct call_chain *chain);

/* An event that waits in the inbox never runs; its peer and its exchange are the caller's to answer before. */
void room_unpost(struct room *room, struct event *event);

/* May it take in no more of what clients can make at will? Then the answer to a request for it. */
bool room_full(const struct room *room);
struct http_response *room_unavailable(struct room *room);

/* The room with this key: one that can be entered, or a lobby. */
struct room *rooms_lookup(struct rooms *rooms, struct span party, struct span id, bool lobby);

/* Made when it isn't there. NULL: no memory, or the rooms stop. */
struct room *rooms_make(struct rooms *rooms, struct party *party, struct span party_name, struct span id,
                        bool lobby);

/* The hook of this event has its turn; its answer is given. */
void room_lend(struct room *room, struct event *event);
void room_lent_back(struct room *room, const struct event *event);

/* Lets the peers read on that found the inbox full, once there is room in it. */
void room_resume_peers(struct room *room);

/* The turn of an event: between these, what the script sends is staged. */
void room_turn_begin(struct room *room);
void room_turn_end(struct room *room);

/* The room's batches up to this one are durable: what waited for that leaves. */
void room_durable(struct room *room, uint64_t number);

/* A batch of the room was not kept: nothing that came of it leaves, who is connected is closed with 1011, and
 * its memory is forgotten. It starts anew from what is stored, with its next event. */
void room_break(struct room *room, const char *why);

/* Says in the log that something of the room could not be stored, and what follows. */
void room_say_unstored(const struct room *room, const char *what, const char *why);

/* Its alarm may be due. */
void room_alarm_due(struct room *room);

/* The handler of an EVENT_ALARM has ended. */
void room_alarm_end(struct room *room, enum outcome outcome);

/* An EVENT_CHANGE has its turn; the event is the callee's. */
void room_run_change(struct room *room, struct event *event);

/* What the handler that waits for the store has waited for is there. */
void room_answer(struct room *room, void *handle);

/* The peer is closed for the script: it is no longer counted or found. */
void room_unlist(struct peer *peer);

/* The peer is gone for the room. */
void room_part(struct peer *peer);
