/* What follows when code of a party raised: who is answered with what, and what the log and (in festa dev) the
 * author are told. The taking apart is failure.c's. */
#include "script/report.h"

#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "script/hooks.h"
#include "script/problem.h"
#include "script/script.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- handlers ---- */

static struct span text_of(const struct buf *buf)
{
    return (struct span){(const char *)buf->data, buf->len};
}

/* For the author's eyes; NULL where errors are not shown. handler: a name, as the log has it; id: the room that it
 * is about, ptr NULL: none. */
static struct http_problem *explain(const struct script *script, const struct room *room, struct span id,
                                    const char *handler, struct span message, struct span traceback)
{
    char title[512];

    if (!script->config->dev)
        return NULL;
    if (id.ptr)
        snprintf(title, sizeof title, "%s, room %.*s of the party %s", handler, (int)id.len, id.ptr,
                 room->party->name);
    else
        snprintf(title, sizeof title, "%s of the party %s", handler, room->party->name);
    return problem_raised(room->party->project, title, message, traceback);
}

static struct http_problem *explain_failure(const struct task *task, const struct failure *failure)
{
    return explain(task->vm->script, task->vm->room, hook_room(task->vm, task->event), task->handler,
                   text_of(&failure->message), text_of(&failure->traceback));
}

/* Tells whoever wants to know; true: that is enough. */
static bool is_told(const struct script *script, const struct room *room, const char *handler,
                    struct span message, const char *reference)
{
    return script->on_failure &&
           script->on_failure(script->on_failure_user, room, handler, message, reference != NULL);
}

static void log_failure(struct task *task, const struct failure *failure, enum call_result result,
                        const char *reference, const struct http_problem *problem)
{
    struct vm *vm = task->vm;
    struct span room = hook_room(vm, task->event);
    struct log_field fields[7] = {log_str("party", vm->party->name)};
    size_t n = 1;

    if (room.ptr)
        fields[n++] = log_text("room", room);
    fields[n++] = log_str("handler", task->handler);
    fields[n++] = log_text("error", text_of(&failure->message));
    if (reference)
        fields[n++] = log_str("reference", reference);
    if (failure->traceback.len > 0)
        fields[n++] = log_text("traceback", text_of(&failure->traceback));
    if (problem && problem->source)
        fields[n++] = log_str("source", problem->source);
    vm->script->counters->handler_errors++;
    if (result == CALL_MEMORY)
        vm->script->counters->memory_errors++;
    if (result == CALL_TIME)
        vm->script->counters->time_errors++;
    if (!is_told(vm->script, vm->room, task->handler, text_of(&failure->message), reference))
        log_line(LOG_ERROR, "handler failed", fields, n);
}

static struct http_response *text_response(int status, const void *text, size_t len)
{
    struct http_response *response = http_response_new(status);
    if (response)
        response->body = bytes_copy(text, len);
    return response;
}

/* 500 with a reference to the log, and with the problem, which it owns; that may be NULL. */
static struct http_response *error_response(const char *reference, struct http_problem *problem)
{
    char text[64];
    int len = snprintf(text, sizeof text, "Internal error (reference %s)", reference);
    struct http_response *response = text_response(500, text, (size_t)len);
    if (response)
        response->problem = problem;
    else
        http_problem_free(problem);
    return response;
}

/* 500 with a reference, and what happened in the log under it. */
static struct http_response *internal_error(struct task *task, const struct failure *failure,
                                            enum call_result result)
{
    char reference[REFERENCE_LEN + 1];
    struct http_problem *problem = explain_failure(task, failure);

    random_reference(reference);
    log_failure(task, failure, result, reference, problem);
    task->vm->script->counters->requests_failed++;
    return error_response(reference, problem);
}

/* It is nobody's answer: said in the log alone. */
static void unanswered_error(struct task *task, const struct failure *failure, enum call_result result)
{
    struct http_problem *problem = explain_failure(task, failure);
    log_failure(task, failure, result, NULL, problem);
    http_problem_free(problem);
}

static void request_failed(struct task *task, struct failure *failure, enum call_result result)
{
    struct http_response *response;

    if (failure->response) {
        response = failure->response;
        failure->response = NULL;
    } else if (failure->bad_json) {
        response = text_response(400, failure->message.data, failure->message.len);
    } else {
        response = internal_error(task, failure, result);
    }
    room_respond(task->vm->room, task->event, response);
}

/* A room's method, called by another room: that is told what was raised. */
static void method_failed(struct task *task, const struct failure *failure, enum call_result result)
{
    static const char none[] = "the method has failed";
    bool said = failure->message.len > 0;

    unanswered_error(task, failure, result);
    room_respond(task->vm->room, task->event,
                 said ? text_response(500, failure->message.data, failure->message.len)
                      : text_response(500, none, sizeof none - 1));
}

/* Before a room: who is not let in learns no more than that. */
static struct http_response *unauthorized(struct task *task, const struct failure *failure,
                                          enum call_result result)
{
    struct http_problem *problem = explain_failure(task, failure);
    struct http_response *response = http_response_text(401, "Unauthorized");

    log_failure(task, failure, result, NULL, problem);
    if (response)
        response->problem = problem;
    else
        http_problem_free(problem);
    return response;
}

static void hook_failed(struct task *task, struct failure *failure, enum call_result result)
{
    const struct event *event = task->event;

    if (!event->exchange || strcmp(task->handler, "onCron") == 0) {
        unanswered_error(task, failure, result);
        hook_fail(task, NULL, false);
    } else if (failure->response) {
        hook_fail(task, failure->response, true);
        failure->response = NULL;
    } else if (failure->bad_json) {
        hook_fail(task, text_response(400, failure->message.data, failure->message.len), true);
    } else if (hook_refuses(event, result)) {
        hook_fail(task, unauthorized(task, failure, result), true);
    } else {
        hook_fail(task, internal_error(task, failure, result), false);
    }
}

/* Closes the event's connection; of the reason goes what a close frame has room for. */
static void close_with(struct event *event, uint16_t code, const struct buf *text)
{
    const char *reason = (const char *)text->data;
    size_t len = utf8_cut(reason, text->len, 123); /* what was cut before was behind that */
    if (!utf8_valid(reason, len))
        len = 0;
    if (event->kind == EVENT_CONNECT) {
        event->close_code = code;
        event->close_reason = len > 0 ? strndup(reason, len) : NULL;
    } else {
        room_close_peer(event->peer, code, reason, len);
    }
}

/* error({ close = 4001, reason = "…" }) closes with that. Else who is not let in is told why, if errors are shown. */
static void connection_failed(struct task *task, const struct failure *failure, enum call_result result)
{
    const struct script *script = task->vm->script;
    struct event *event = task->event;

    if (failure->close) {
        close_with(event, failure->close_code, &failure->close_reason);
        return;
    }
    unanswered_error(task, failure, result);
    if (event->kind == EVENT_CONNECT && script->config->dev && !script->on_failure)
        close_with(event, 1011, &failure->message);
}

void report_event(struct task *task, enum call_result result)
{
    struct event *event = task->event;
    struct failure failure;

    call_failure(task, result, &failure);
    switch ((enum event_kind)event->kind) {
    case EVENT_REQUEST: request_failed(task, &failure, result); break;
    case EVENT_CALL: method_failed(task, &failure, result); break;
    case EVENT_HOOK: hook_failed(task, &failure, result); break;
    case EVENT_START: event->failure = internal_error(task, &failure, result); break;
    case EVENT_CONNECT:
    case EVENT_MESSAGE:
    case EVENT_ERROR:
    case EVENT_CLOSE: connection_failed(task, &failure, result); break;
    case EVENT_TIMER:
    case EVENT_WAKE:
    case EVENT_RELOAD:
    case EVENT_ALARM:
    case EVENT_CHANGE: /* has no handler */
    case EVENT_STOP: unanswered_error(task, &failure, result); break;
    }
    failure_fini(&failure);
}

void report_handler(struct task *task, enum call_result result)
{
    struct failure failure;
    call_failure(task, result, &failure);
    unanswered_error(task, &failure, result);
    failure_fini(&failure);
}

/* ---- file scopes ---- */

/* Says in the log why a file scope did not do: error has message and traceback. Returns what its author is
 * shown, NULL where errors are not. */
static struct http_problem *report_load(const char *message, struct script *script, const struct room *room,
                                        const struct buf *error, const char *reference)
{
    struct span text = error->len ? text_of(error) : SPAN("not enough memory"), first = text, rest = {0};
    const char *newline = memchr(text.ptr, '\n', text.len);
    struct log_field fields[5] = {log_str("party", room->party->name)};
    struct span id = room->lobby ? (struct span){NULL, 0} : span_of(room->id);
    size_t n = 1;

    if (id.ptr)
        fields[n++] = log_text("room", id);
    fields[n++] = log_text("error", text);
    if (newline) {
        first.len = (size_t)(newline - text.ptr);
        rest = (struct span){newline + 1, text.len - first.len - 1};
    }
    struct http_problem *problem = explain(script, room, id, "file scope", first, rest);
    if (reference)
        fields[n++] = log_str("reference", reference);
    if (problem && problem->source)
        fields[n++] = log_str("source", problem->source);
    if (!is_told(script, room, "file scope", first, reference))
        log_line(LOG_ERROR, message, fields, n);
    return problem;
}

struct http_response *report_start(struct script *script, const struct room *room, const struct buf *error)
{
    char reference[REFERENCE_LEN + 1];

    random_reference(reference);
    script->counters->requests_failed++;
    return error_response(reference, report_load("the party's script could not be started", script, room,
                                                 error, reference));
}

void report_reload(struct script *script, const struct room *room, const struct buf *error)
{
    http_problem_free(report_load("the party's new script could not be started; the one before goes on",
                                  script, room, error, NULL));
}
