/* A room: one running instance of a party. Its events wait in an inbox and are given to its
 * script one at a time; what the script does to the outside goes through the output gate.
 *
 * Life: ROOM_NEW, no VM yet → ROOM_STARTING, onStart runs (everything else waits) →
 * ROOM_RUNNING → ROOM_STOPPING, onStop runs → out of memory, or ROOM_NEW again when something
 * came meanwhile. A failed onStart leads back to ROOM_NEW. Out of memory is ROOM_GONE for the
 * rest of the loop's turn. A room's life is not its VM's: the VM may be replaced while the room,
 * its peers and its inbox stay.
 *
 * A room lives on one thread. Knows neither Lua nor sockets: what runs a party is struct
 * script_ops, what reaches a client is struct peer_kind. */
#pragma once

#include "base/counters.h"
#include "loop/timer.h"
#include "room/alarm.h"
#include "room/event.h"
#include "room/mail.h"
#include "room/outq.h"

struct party;     /* the script's: a compiled party */
struct room_data; /* data.h */
struct store;     /* store/store.h */

/* What a party may be asked without a room (hook.h). */
enum hook_kind {
    HOOK_CONNECT, /* onBeforeConnect */
    HOOK_REQUEST, /* onBeforeRequest */
    HOOK_FETCH,   /* onFetch: of the party main alone, as is the next */
    HOOK_CRON,    /* onCron */
    HOOK_KINDS
};

/* What runs a party; implemented by script. A room's VM is an instance. */
struct script_ops {
    /* A VM with the party's script loaded. NULL: it could not be made or its file scope
     * raised; said in the log already. */
    void *(*open)(void *user, struct room *room);
    /* Gives an event to the instance. For each one the script calls room_event_done exactly
     * once: before run returns, or after the handler waited. WAKE and TIMER events are not
     * reported (the script starts a turn for the handler that they concern). */
    void (*run)(void *instance, struct event *event);
    /* May a room of the party lose its instance while it has peers (Party.options.hibernate)? */
    bool (*hibernates)(const struct party *party);
    /* It is about to: what the script holds of peers is to be left with them. false: it can't be, or not yet; the
     * room keeps its instance until it is idle again. */
    bool (*hibernate)(void *instance);
    /* The peer is gone for good: its object must not lead to it any more. */
    void (*forget)(void *instance, struct peer *peer);
    /* The VM ends; handlers that still wait are dropped without being told. */
    void (*close)(void *instance);
    /* A room keeps its party by a reference; a party that is handed in comes back. */
    struct party *(*party_ref)(struct party *party);
    void (*party_unref)(struct party *party);
    /* The party of this name in the version that counts; NULL: there is none. */
    struct party *(*party_find)(void *user, struct span name);
    /* Its name, the same in all of its versions. */
    struct span (*party_name)(const struct party *party);
    /* Has it this hook? If not, nothing is to be asked of it. */
    bool (*has_hook)(const struct party *party, enum hook_kind hook);
    /* Party.options.duplicateId */
    enum duplicate_id {
        DUPLICATE_ALLOW,
        DUPLICATE_REPLACE,
        DUPLICATE_REJECT
    } (*duplicate_id)(const struct party *party);
};

struct room_limits {
    uint64_t events, handlers; /* waiting in one room */
    uint64_t connections;      /* peers of one room; 0: any number */
    uint64_t idle_ms;          /* until an idle room leaves memory */
    uint64_t output;           /* bytes that a room's output may take until it has left */
    uint64_t inbox;            /* bytes of messages and bodies waiting in one room; 0: any number */
    uint64_t queue; /* bytes waiting for one client of Server-Sent Events, or end of a link; 0: any number */
    uint64_t ping_ms; /* between signs of life that one is sent; 0: none */
    uint64_t call_ms; /* until a call to another room has to be answered; 0: any time */
};

enum room_state { ROOM_NEW, ROOM_STARTING, ROOM_RUNNING, ROOM_STOPPING, ROOM_GONE };

/* How long a room's next event is thought to take, from those before it. Rooms of one pace are served in
 * turn, a slice of time each; quick ones come first, and what was written for them has left before the
 * others run. So a room that answers at once waits for one event of the slow ones at most, however many
 * of these there are. */
enum room_pace {
    PACE_QUICK,
    PACE_NEW, /* nothing has run yet */
    PACE_SLOW,
    ROOM_PACES
};

/* How the rooms of one party have behaved, by its name: what one of them does they may all do. As long as the
 * thread's rooms. */
struct party_pace {
    struct map_node by_name; /* the hash is all that is known of the name */
    struct list link;        /* in rooms->all_paces */
    uint64_t slow_until;     /* ns: until then its quick rooms are taken for slow */
};

#define ROOM_ID_MAX 256u /* bytes */

/* A room id: valid UTF-8 of 1 to 256 bytes without control characters or "/". NULL, or why not. */
const char *room_id_problem(struct span id);

/* What has been spent of one turn of the loop on work of one kind that is no event. */
struct turn_budget {
    uint64_t turn; /* of the loop, to which used belongs */
    uint64_t used; /* ns */
};

/* The rooms of one loop thread. */
struct rooms {
    struct loop *loop;
    const struct script_ops *script;
    void *script_user;
    /* Set after rooms_init: */
    struct store *store;     /* NULL: rooms have no durable data */
    size_t share, shares;    /* this thread's, of how many; rooms_share_of says whose a room is */
    struct rooms_team *team; /* NULL: it is alone */
    struct room_limits limits;
    struct counters *counters;
    struct map by_key; /* of struct room */
    struct map paces;  /* of struct party_pace */
    struct list all_paces;
    struct map peers_by_id;        /* of struct peer; the hash covers the room too */
    struct list all;               /* of struct room */
    struct list ready[ROOM_PACES]; /* rooms with events to run, by their pace, served in turn */
    /* Rooms without a reason to stay, the longest idle first. When rooms stop: those whose turn it is to, at the deadline
     * all. */
    struct list idle;
    struct list dead;     /* rooms that have left memory, freed at the end of the turn */
    struct list arrivals; /* of struct mail, from rooms of this thread */
    struct soon arrive;
    struct list links;    /* of struct link, those that rooms of this thread have opened */
    struct list listings; /* of struct rooms_listing, which are to be served */
    struct list chores;   /* of struct room_chore */
    struct timer evict;
    struct alarms alarms;
    struct loop_hook work, late;
    struct outq staged;    /* effects of the turn that runs */
    struct room *running;  /* whose turn it is, NULL between turns */
    uint64_t turn;         /* loop turn to which direct_until belongs */
    uint64_t direct_until; /* ns: events that come in run at once until then */
    uint64_t began; /* ns: when the event that runs, or will run next, has begun; a few ms early at most */
    uint64_t marked,
        used;       /* ns: when was the CPU's time that the thread has used last looked at, and what was it */
    uint64_t slice; /* ns for which a room has its turn, if it has so much to do */
    uint64_t long_turn;                    /* loop turn in which an event took long, the last time */
    struct turn_budget evictions, working; /* working: chores */
    uint64_t last_serial;                  /* of a peer */
    uint64_t broken_said;   /* loop_now: when the log named a room whose data could not be stored; 0: never */
    uint32_t broken_unsaid; /* others since then */
    size_t n_rooms;
    unsigned late_first;          /* which of rooms_late comes first, the next time */
    bool evicting;                /* rooms are due that have been idle for long enough */
    bool stopping;                /* nothing new is let in; every room is to leave */
    bool stop_forced;             /* the deadline has passed: handlers that wait are dropped */
    void (*on_empty)(void *user); /* rooms_stop is done */
    void *on_empty_user;
};

struct room {
    struct rooms *rooms;
    struct party *party; /* a reference; the version that its next VM gets, or that it is to take over */
    void *instance;      /* the script's VM; NULL in ROOM_NEW */
    char *id;            /* owned, with a NUL behind it */
    uint8_t state;       /* enum room_state */
    bool lobby;          /* no room that anybody can enter: its party's hooks run in it (hook.h); id is "" */
    uint8_t pace;        /* enum room_pace, from its own events */
    uint8_t to_be_quick; /* PACE_SLOW: events that must not take long until it is taken for quick */
    bool input_closed;   /* a handler waits for the store: no events meanwhile, and its turn is not over */
    bool turn_open;      /* what that turn has sent so far waits in outq for its end */
    bool start_failed;   /* onStart raised in this step */
    bool stopped;        /* onStop is over; the room leaves when what it wrote is durable */
    bool wake_next;      /* the inbox was served last */
    bool reload_due;     /* the VM is to take over the party's new version before the next event */
    bool restarting;     /* room_restart was called in this step */
    bool destroying;     /* room_destroy was called in this step */
    struct map_node by_key;
    struct list in_all, in_ready, in_idle; /* in_ready: in rooms->ready, by room_pace_of */
    struct party_pace *party_pace;
    struct list inbox; /* of struct event, but for WAKE */
    struct list wakes; /* of struct event: WAKE ones, served in turn with the inbox, and while it is closed */
    uint32_t n_events; /* in the inbox that count against the limit */
    size_t inbox_size; /* bytes that those hold */
    size_t lent;       /* a lobby's: bytes of the requests that its hooks have, which go on from here */
    size_t held;       /* bytes that C holds for the script: tags and states of peers, what it has written */
    uint32_t n_waiting;        /* handlers that wait */
    uint32_t n_holds;          /* timers and other reasons of the script to stay in memory */
    uint32_t n_open;           /* requests not yet answered */
    uint32_t n_peers;          /* in peers */
    uint32_t n_connected;      /* of them, those that are not closed: NEW, or listed */
    uint32_t departures;       /* peers that have left; tells an iteration that its place is gone */
    uint32_t n_listed;         /* JOINING or OPEN: what the script sees as connected */
    uint32_t broadcasts;       /* number of the script's last one */
    struct list peers;         /* all whose onClose is not over, in the order of arrival */
    struct list blocked;       /* peers that wait for room in the inbox */
    struct peer_group *groups; /* one for each kind that joined */
    uint64_t idle_since;       /* ms of loop_now */
    uint64_t active;           /* ns: its last event was over */
    size_t unread;             /* bytes that wait to be read from links that it has opened; in held too */
    struct event *answer;   /* what the handler that waits for the store goes on with; NULL: not there yet */
    struct room_data *data; /* NULL: it has not been asked for */
    bool alarm_due;         /* an EVENT_ALARM waits, or its handler runs */
    uint64_t written, durable; /* number of the last batch handed to the store, of the last durable one */
    struct outq outq;          /* effects that wait for the gate */
};

/* What a kind of peers keeps for a room; the kind's own struct begins with it. */
struct peer_group {
    const struct peer_kind *kind;
    struct peer_group *next;
    size_t n_members; /* of a kind with a copy_cost, which counts them (peer_group_count) */
};

/* One more is a member of the group; *of is where it keeps of which one it is. */
static inline void peer_group_count(struct peer_group **of, struct peer_group *group)
{
    *of = group;
    group->n_members++;
}

/* It is none any more; member is its place among them. One that is in no group is left alone. */
static inline void peer_group_leave(struct peer_group **of, struct list *member)
{
    if (!*of)
        return;
    list_remove(member);
    (*of)->n_members--;
    *of = NULL;
}

void rooms_init(struct rooms *rooms, struct loop *loop, const struct script_ops *script, void *script_user,
                const struct room_limits *limits, struct counters *counters);

/* All rooms must have left (rooms_stop, or rooms_drop). */
void rooms_fini(struct rooms *rooms);

/* Which of so many threads a room lives on. */
static inline size_t rooms_share_of(struct span party_name, struct span id, size_t shares)
{
    return map_hash2(party_name.ptr, party_name.len, id.ptr, id.len) % shares;
}

/* The room of a party with this id, made when it isn't there; NULL: no memory, or the rooms stop.
 * It stays at least until the caller returns to the loop. */
struct room *rooms_get(struct rooms *rooms, struct party *party, struct span party_name, struct span id);

/* The rooms of the thread on which this one lives. */
struct rooms *rooms_home(struct rooms *rooms, struct span party_name, struct span id);

/* Only one that is there. */
struct room *rooms_find(struct rooms *rooms, struct span party_name, struct span id);

/* An idle room leaves memory now, as it would when idle_ms have passed; with peers, as its party allows it, its VM
 * goes. 0, or -EBUSY: it has a reason to stay. */
int rooms_evict(struct room *room) __attribute__((warn_unused_result));

/* The parties have other versions: each room whose party find still knows by its name takes it, and one
 * that has a VM gets an EVENT_RELOAD before all that waits in its inbox. Rooms of the other parties stay as
 * they are. Alarms are looked for, of parties that have come. The limits count from here on. */
void rooms_reload(struct rooms *rooms, const struct room_limits *limits,
                  struct party *(*find)(void *user, struct span name), void *user);

/* Ends all rooms: what waits in inboxes runs and handlers that wait may finish, for at most
 * grace_ms; then onStop runs in each, one after the other, as rooms leave at other times; then on_empty is
 * called. Those whose onStop is not over a second after grace_ms are dropped. Nothing new is let in from
 * here on. Peers stay connected (without a room), those too that were not yet let in: closing
 * them is edge's. */
void rooms_stop(struct rooms *rooms, uint64_t grace_ms, void (*on_empty)(void *user), void *user);

/* Ends all rooms at once, without onStop. */
void rooms_drop(struct rooms *rooms);

/* Has any room an event to run now? */
bool rooms_busy(const struct rooms *rooms);

/* ---- events from the transports ---- */

/* A request for the room, which owns it from here on. The exchange is answered in any case. */
void room_request(struct room *room, struct http_request *request, struct exchange *exchange);

/* A peer with an id, a uri and one reference of its own wants to come in; the room takes one
 * more. The request is the room's from here on. kind->accept, kind->close or kind->refuse follows. */
void room_connect(struct room *room, struct peer *peer, struct http_request *request);

/* May a message of this peer be handed in? If not, kind->resume will be called (while the rooms
 * stop, it won't). */
bool room_peer_ready(struct peer *peer);

/* A message; data is copied if it can't be given to the script at once. */
void room_message(struct peer *peer, const uint8_t *data, size_t len, bool binary);

/* A transport or protocol error; room_close follows. */
void room_error(struct peer *peer, const char *text);

/* The peer's transport has ended: called exactly once for each peer that was accepted. */
void room_close(struct peer *peer, uint16_t code, const char *reason, size_t len, bool clean);

/* ---- what a script does, during its turn ---- */

/* Sends. data is shared, not copied. 0, or -ENOMEM, or -ENOBUFS when more than limits.output
 * waits to leave. Nothing happens (-EPIPE) when the peer is not open. */
int room_send(struct peer *peer, struct bytes *data, bool binary);

/* To every open peer but the n in without. */
int room_broadcast(struct room *room, struct bytes *data, bool binary, struct peer *const *without, size_t n);

/* Closes; from here on the script sees the peer as closed. code 0: none. Without memory for the
 * reason it closes without one. 0, or -ENOMEM (it ends with 1011), or -EPIPE when it was closed. */
int room_close_peer(struct peer *peer, uint16_t code, const char *reason, size_t len);

/* Answers event->exchange, once; the response is the room's. */
void room_respond(struct room *room, struct event *event, struct http_response *response);

/* Something else leaves, behind all that was sent before it, once what was written before is durable. The
 * departure is called once, for leave or for drop, within this call or later. 0, or (it was dropped) -ENOMEM, or
 * -ENOBUFS when more than limits.output waits to leave. */
int room_depart(struct room *room, struct departure *departure);

/* The newest open peer with this id, NULL when there is none. */
struct peer *room_find_peer(struct room *room, struct span id);

/* The next older open peer with the same id, NULL when there is none. */
struct peer *room_next_peer(struct peer *peer);

/* Bytes that wait to be written to a peer, those of this turn included. */
size_t room_peer_pending(const struct peer *peer);

/* In ops->open, or onStart: why the room can't start. It is the answer to what woke it, and the room's. */
void room_fail_start(struct room *room, struct http_response *response);

/* A handler has ended; the event is the room's again. Only the script calls it. */
void room_event_done(struct room *room, struct event *event, enum outcome outcome);

/* The handler of this event is dropped with its VM, and the event is the room's again; its request is answered.
 * NULL: that of a timer. Only the script calls it, in close. */
void room_event_dropped(struct room *room, struct event *event);

/* A handler begins to wait: the turn ends when the script returns. Later, room_wake makes an
 * EVENT_WAKE with the handle; it comes in its turn, and is never refused. */
void room_wait_begin(struct room *room);
void room_wake(struct room *room, void *handle);
/* The handler that waited goes on (called by the script in EVENT_WAKE). */
void room_wait_end(struct room *room);

/* A timer of the script is due: makes an EVENT_TIMER with the handle. */
void room_timer_due(struct room *room, void *handle);
/* Takes back a WAKE or TIMER event that still waits in the inbox. */
void room_forget_handle(struct room *room, void *handle);

/* The VM is of no use any more: when the script returns it is closed, without onStop. Who is connected is
 * closed with 1011, without onClose; handlers that wait are dropped, their requests answered with 500. What
 * waits in the inbox gets a fresh VM. */
void room_restart(struct room *room);

/* ns of the CPU that the step that runs has had so far, or 0 while that is little. A few ms too many at most. */
uint64_t rooms_step_took(const struct rooms *rooms);

/* Work for a room that is no event and may take long, outside of its turns. Zeroed but for fn. */
struct room_chore {
    struct list link; /* in rooms->chores while it waits; list_remove takes it back */
    struct room *room;
    void (*fn)(struct room_chore *chore);
};

/* fn is called, once, in a turn of the loop that has time for it: in turn with events that may take long. */
void room_do_later(struct room *room, struct room_chore *chore);

/* The room is forgotten: all that it has stored goes, its alarm too, in the turn's batch, and when the script returns
 * its VM is closed, without onStop. Who is connected is closed with 1000, without onClose; other handlers that wait are
 * dropped, their requests answered with 503. What was sent before the script returns leaves when that is durable, and
 * what waits in the inbox then gets a new room. Its handler must not wait any more (data_transaction is none). 0, or
 * -ENOMEM, and nothing has changed. */
int room_destroy(struct room *room) __attribute__((warn_unused_result));

/* In an EVENT_ALARM: does the room's alarm stand, and is it due? Then it rings: it is taken for gone, and at the
 * handler's end it is taken back, or set again when the handler has failed, or left as the handler has set it. To
 * be asked when the alarm is known (data_alarm). */
bool room_alarm_begin(struct room *room);

/* A reason to stay in memory, and its end. */
void room_hold(struct room *room);
void room_release(struct room *room);
