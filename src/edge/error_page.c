#include "edge/error_page.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "http/accept.h"

#include <stdio.h>
#include <stdlib.h>

bool error_page_wants_html(const struct http_request *request)
{
    return http_accept_weight(request, "text/html") > http_accept_weight(request, "application/json");
}

/* ---- texts ---- */

/* What stands for a character inside of a JSON string, or NULL. */
static const char *json_escape(unsigned char c, char space[8])
{
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\t': return "\\t";
    default: break;
    }
    if (c >= 0x20 && c != 0x7f)
        return NULL;
    snprintf(space, 8, "\\u%04x", c);
    return space;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): as json_escape */
static const char *html_escape(unsigned char c, char space[8])
{
    (void)space;
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case '\n':
    case '\t': return NULL;
    default: return c < 0x20 || c == 0x7f ? "\xef\xbf\xbd" : NULL;
    }
}

/* Text of any bytes, as valid UTF-8. */
static void add_text(struct buf *out, const char *text, const char *(*escape)(unsigned char c, char space[8]))
{
    bool valid = utf8_valid(text, strlen(text));

    for (const char *at = text; *at; at++) {
        char space[8];
        unsigned char c = (unsigned char)*at;
        const char *escaped = c >= 0x80 ? (valid ? NULL : "\xef\xbf\xbd") : escape(c, space);
        (void)!buf_append(out, escaped ? escaped : at, escaped ? strlen(escaped) : 1);
    }
}

/* ---- JSON ---- */

static void add_member(struct buf *out, const char *name, const char *text)
{
    (void)!buf_printf(out, ",\"%s\":", name);
    if (text) {
        (void)!buf_append(out, "\"", 1);
        add_text(out, text, json_escape);
        (void)!buf_append(out, "\"", 1);
    } else {
        (void)!buf_append(out, "null", 4);
    }
}

static void add_json(struct buf *out, const struct http_problem *problem)
{
    (void)!buf_printf(out, "{\"error\":{\"message\":\"");
    add_text(out, problem->message ? problem->message : "", json_escape);
    (void)!buf_append(out, "\"", 1);
    add_member(out, "file", problem->file);
    if (problem->line > 0)
        (void)!buf_printf(out, ",\"line\":%d", problem->line);
    else
        (void)!buf_printf(out, ",\"line\":null");
    add_member(out, "traceback", problem->traceback);
    add_member(out, "source", problem->source);
    (void)!buf_printf(out, "}}\n");
}

/* ---- HTML ---- */

static const char head[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>Error</title>\n"
    "<style>\n"
    ":root { --ground: #fbfaf8; --text: #24211d; --faint: #6f6a62; --line: #e4e0d8; --error: #b3261e; "
    "--mark: #fdecea }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  :root { --ground: #1b1a18; --text: #e9e5dd; --faint: #a09a90; --line: #383530; --error: #ff9088; "
    "--mark: #40211e }\n"
    "}\n"
    "body { margin: 0 auto; max-width: 60rem; padding: 8vh 1.5rem; background: var(--ground); "
    "color: var(--text); font: 1rem/1.5 system-ui, sans-serif }\n"
    "h1 { margin: 0 0 .5rem; color: var(--error); font-size: 1.35rem; line-height: 1.35; "
    "white-space: pre-wrap; overflow-wrap: anywhere }\n"
    "h2 { margin: 2rem 0 .5rem; font-size: .85rem; font-weight: 600; color: var(--faint) }\n"
    "p { margin: 0; color: var(--faint) }\n"
    "pre { margin: 0; padding: .75rem 0; border: solid var(--line); border-width: 1px 0; overflow-x: auto; "
    "font: .875rem/1.6 ui-monospace, monospace; tab-size: 4 }\n"
    "mark { display: block; width: max-content; min-width: 100%; background: var(--mark); color: inherit }\n"
    "</style>\n";

/* The line that is meant begins with ">" in the excerpt, and is marked. */
static void add_source(struct buf *out, const char *source)
{
    char *copy = strdup(source);

    for (char *rest = copy, *line; copy && (line = strsep(&rest, "\n"));) {
        bool marked = strncmp(line, "  > ", 4) == 0;
        (void)!buf_printf(out, "%s", marked ? "<mark>" : "");
        add_text(out, line, html_escape);
        (void)!buf_printf(out, "%s", marked ? "</mark>" : "\n");
    }
    free(copy);
}

static void add_html(struct buf *out, const struct http_problem *problem)
{
    (void)!buf_append(out, head, sizeof head - 1);
    (void)!buf_printf(out, "<h1>");
    add_text(out, problem->message ? problem->message : "", html_escape);
    (void)!buf_printf(out, "</h1>\n<p>");
    add_text(out, problem->title ? problem->title : "", html_escape);
    (void)!buf_printf(out, "</p>\n");
    if (problem->source) {
        (void)!buf_printf(out, "<h2>");
        add_text(out, problem->file ? problem->file : "source", html_escape);
        if (problem->line > 0)
            (void)!buf_printf(out, ", line %d", problem->line);
        (void)!buf_printf(out, "</h2>\n<pre>");
        add_source(out, problem->source);
        (void)!buf_printf(out, "</pre>\n");
    }
    if (problem->traceback) {
        (void)!buf_printf(out, "<h2>called from</h2>\n<pre>");
        add_text(out, problem->traceback, html_escape);
        (void)!buf_printf(out, "</pre>\n");
    }
}

/* ---- the response ---- */

void error_page_fill(struct http_response *response, bool html)
{
    static const char html_type[] = "Content-Type: text/html;charset=UTF-8\r\nCache-Control: no-store\r\n";
    static const char json_type[] = "Content-Type: application/json\r\nCache-Control: no-store\r\n";
    struct buf out = {0};

    if (html)
        add_html(&out, response->problem);
    else
        add_json(&out, response->problem);
    struct bytes *body = bytes_copy(out.data, out.len);
    struct bytes *headers =
        html ? bytes_copy(html_type, sizeof html_type - 1) : bytes_copy(json_type, sizeof json_type - 1);
    buf_fini(&out);
    if (!body || !headers) {
        bytes_unref(body);
        bytes_unref(headers);
        return;
    }
    bytes_unref(response->body);
    bytes_unref(response->headers);
    response->body = body;
    response->headers = headers;
    response->has_type = true;
}
