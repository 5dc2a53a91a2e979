/* One room's Lua: a lua_State with an allocator that counts and caps, the sandbox, the
 * party's table and self. Everything that runs Lua code goes through call.h. */
#pragma once

#include "base/list.h"
#include "script/project.h"

#include <lua.h>

struct script; /* script.h: what the VMs of a thread share */
struct keep;   /* keep.h */

/* Places in the registry that the script layer uses. */
enum vm_slot {
    VM_PARTY = 4,   /* the table that the party's script returned */
    VM_SELF,        /* the room's state */
    VM_CONNECTIONS, /* light userdata of a peer → its object */
    VM_MODULES,     /* name → what require returned */
    VM_LIBRARY,     /* metatable of the library tables (library.h) */
    VM_BAD_JSON,    /* the message of the last request:json() that failed */
    VM_ASIDE,       /* the modules of the version before, while the file scope of another runs */
    VM_LATE,        /* what is raised when a handler has had its time (quota.h); and two texts that Lua makes
                     * outside of any protection, which costs no memory when they are there already */
    VM_SLOTS = VM_LATE + 3
};

#define VM_TEXTS (VM_SLOTS - VM_LATE)

#define VM_LIBRARIES 14
#define VM_TYPES 11

struct vm {
    struct script *script;
    struct party *party;                 /* whose script runs; with a reference to its project */
    struct room *room;                   /* NULL in a VM that only checks a script */
    lua_State *L;                        /* the main thread: for the host alone, no script code runs on it */
    size_t used;                         /* bytes of the VM, and what C holds for it (vm_charge) */
    size_t limit;                        /* of these, together with what the room's peers hold */
    int memory_errors;                   /* handlers in a row that found no memory */
    int pause;                           /* the collector's, in percent */
    struct list held;                    /* of struct held */
    bool collected;                      /* its garbage was, and nothing has run since */
    uint64_t rests_until;                /* ns: until then vm_has_room does not collect */
    bool loaded;                         /* the file scope is over: handlers run, and may wait */
    struct list warm;                    /* in script->warm: the VMs that ran last */
    size_t cold_size;                    /* bytes after it was last tidied up; 0: never */
    struct list tasks;                   /* handlers that wait */
    struct list timers;                  /* party.after and party.every that run */
    struct task *spare;                  /* kept for the next handler, with its coroutine */
    struct task *running;                /* whose Lua runs now */
    struct fetch_share *fetches;         /* that are under way; NULL: none has begun so far */
    struct keep *keep;                   /* NULL: nothing of it is to outlive it, so far */
    const lua_State *transactor;         /* the coroutine whose transaction was the last */
    struct resume_frame *resumes;        /* coroutines of the author that are being resumed (wait.c) */
    const void *libraries[VM_LIBRARIES]; /* lua_topointer of each library's table; NULL: not made yet */
    uint64_t given[VM_LIBRARIES];        /* the members of each that the script has got (library.c) */
    const void *metatables[VM_TYPES];    /* of the types of objects (bind.c); NULL: not made yet */
    const void *library_metatable;       /* theirs */
    uint64_t addresses;                  /* names given to objects by tostring */
    /* for tests: */
    uint64_t n_allocations;
    uint64_t fail_at; /* the allocation that fails, counted from 1, with the one behind it, since Lua collects
                         * and tries again; 0: none */
};

/* A VM with the sandbox, ready to load the party's code. NULL: no memory. */
struct vm *vm_new(struct script *script, struct party *party, struct room *room)
    __attribute__((warn_unused_result));

/* Runs the party's file scope and keeps the table that it returns, and makes self. On error
 * a negative code; error (appended) has message and traceback, and *line the line in the
 * party's file, if known. */
int vm_load(struct vm *vm, struct buf *error, int *line) __attribute__((warn_unused_result));

/* The VM's party is another version in which nothing differs that the script could notice. */
void vm_rebase(struct vm *vm, struct party *party);

/* Another version of the party takes over in the same VM: its file scope runs, with modules of its own, and
 * self finds the table that it returns. What self holds stays; what waits goes on in the code before. On
 * error as vm_load, and that code is still the party. Not while the VM runs. */
int vm_reload(struct vm *vm, struct party *party, struct buf *error, int *line)
    __attribute__((warn_unused_result));

/* Collects all garbage, and ends what C objects of the script hold, which Lua does not do when it has no
 * memory left. Not while the VM runs. */
void vm_collect(struct vm *vm);

/* It has run: among the VMs that ran last. One that leaves that number is tidied up: garbage is
 * collected and the coroutine that was kept for the next handler goes, so that many rooms in which
 * nothing happens take little memory, and busy ones lose no time. */
void vm_ran(struct vm *vm);

/* Ends it: timers, waiting handlers, objects of peers. Runs no Lua code. Accepts NULL. */
void vm_free(struct vm *vm);

/* Bytes that count against the limit. */
size_t vm_memory(const struct vm *vm);

/* A handler has ended, for want of memory or not: sets the collector's pace for what is used by now, and
 * restarts a room whose memory stays used up. Not while the VM runs. */
void vm_account(struct vm *vm, bool no_memory);

/* ---- memory of C that a script holds ---- */

/* May so many bytes more be used? Collects garbage for it, if that has not just been done. Not while the VM runs. */
bool vm_has_room(struct vm *vm, size_t bytes);

/* Raises Lua's error for memory unless so many bytes more may be used; collects garbage for it. */
void vm_demand(lua_State *L, size_t bytes);

/* Charges memory that C holds for the script to the room's account, or gives it back. */
static inline void vm_charge(struct vm *vm, size_t bytes)
{
    vm->used += bytes;
}
static inline void vm_discharge(struct vm *vm, size_t bytes)
{
    vm->used -= bytes;
}

/* What an object of the script's owns in C. The object's finalizer lets go of it, or the VM's end: Lua can't
 * always call a finalizer (no memory for its stack, too deep in calls), and never tries again. The owner's
 * own struct begins with it. */
struct held {
    struct list link;                                  /* in vm->held */
    void (*release)(struct vm *vm, struct held *held); /* frees what it owns, but not itself */
};

/* Pushes an object with room for n values of Lua's that owns a zeroed struct of this size. It has a metatable
 * for that alone, and may get another one with held_gc in it. Raises when there is no memory. */
void *held_push(lua_State *L, int n, size_t size, void (*release)(struct vm *vm, struct held *held));

/* The struct that the object at index owns; NULL: not any more. */
void *held_of(lua_State *L, int index);

/* For the metatable of such an object. */
int held_gc(lua_State *L);

/* The VM of a running C function or hook. */
struct vm *vm_of(lua_State *L);
