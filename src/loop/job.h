/* Work that may block (a file on a slow disk), done by a thread of libuv's pool. */
#pragma once

#include "loop/loop.h"

/* Lies inside its owner, who sets run and done. */
struct job {
    uv_work_t request;
    struct loop *loop;
    void (*run)(struct job *job);  /* on a thread of the pool; touches nothing of the loop's */
    void (*done)(struct job *job); /* on the loop's thread, behind run; it may start or free the job */
};

/* Starts it. It can't be called back: whoever goes meanwhile leaves a mark for done. While one is under way
 * the loop runs on. */
void job_start(struct loop *loop, struct job *job);
