#include "loop/job.h"

#include "base/check.h"

static void run(uv_work_t *request)
{
    struct job *job = container_of(request, struct job, request);
    job->run(job);
}

static void done(uv_work_t *request, int status)
{
    struct job *job = container_of(request, struct job, request);

    (void)status; /* other than 0 only when it was cancelled, and nobody does that */
    loop_job_end(job->loop);
    job->done(job);
}

void job_start(struct loop *loop, struct job *job)
{
    job->loop = loop;
    loop_job_begin(loop);
    CHECK(uv_queue_work(&loop->uv, &job->request, run, done) == 0);
}
