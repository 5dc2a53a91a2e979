/* festa rooms: the rooms that have stored something, and those that are in the memory of a server that runs. */
#include "app/command.h"

#include "base/check.h"
#include "script/value_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A room in the server's memory. */
struct living {
    struct span party, id; /* in the answers */
    uint32_t connections;
};

struct listing {
    struct buf answers[1024]; /* of the server's threads */
    uint32_t n_answers;
    struct living *rooms; /* owned; by (party, id) */
    size_t n, cap;
    size_t at; /* the next one to be said */
};

static int compare_rooms(struct span a_party, struct span a_id, struct span b_party, struct span b_id)
{
    int order = span_compare(a_party, b_party);
    return order ? order : span_compare(a_id, b_id);
}

static int by_name(const void *a, const void *b)
{
    const struct living *x = a, *y = b;
    return compare_rooms(x->party, x->id, y->party, y->id);
}

/* ---- what the server has in memory ---- */

static bool wanted(const struct cli *cli, const struct living *room)
{
    struct span prefix = span_of(cli->prefix);
    return (!cli->party || span_equal(room->party, span_of(cli->party))) && room->id.len >= prefix.len &&
           span_equal((struct span){room->id.ptr, prefix.len}, prefix);
}

static int take_living(struct command_run *run, struct listing *listing, struct span rest)
{
    struct living room;

    while (control_take_bytes(&rest, &room.party) && control_take_bytes(&rest, &room.id) &&
           control_take_u32(&rest, &room.connections)) {
        if (!wanted(run->cli, &room))
            continue;
        if (listing->n == listing->cap) {
            listing->cap = listing->cap ? listing->cap * 2 : 64;
            listing->rooms = reallocarray(listing->rooms, listing->cap, sizeof room);
            CHECK(listing->rooms);
        }
        listing->rooms[listing->n++] = room;
    }
    return 0;
}

static int ask_memory(struct command_run *run, struct listing *listing)
{
    uint32_t threads = 1, most = sizeof listing->answers / sizeof listing->answers[0];
    struct span rest;

    for (uint32_t i = 0; i < threads && i < most; i++) {
        int rc = command_begin(run, CONTROL_MEMORY);
        if (rc == 0)
            rc = control_put_u32(&run->request, i);
        rc = command_ask(run, rc, &rest);
        if (rc != 0)
            return rc;
        if (!control_take_u32(&rest, &threads))
            return command_fail(run, "the server's answer is damaged");
        listing->answers[listing->n_answers++] = run->answer;
        run->answer = (struct buf){0};
        (void)take_living(run, listing, rest);
    }
    if (listing->n > 0)
        qsort(listing->rooms, listing->n, sizeof *listing->rooms, by_name);
    return 0;
}

/* ---- lines ---- */

static void print_time(char text[32], int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm when;

    if (ms == 0 || !gmtime_r(&seconds, &when) || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &when) == 0)
        snprintf(text, 32, "-");
}

/* A name that may hold anything, for a terminal. */
static void print_name(struct span name, int width)
{
    int columns = 0;

    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c < 0x20 || c == 0x7f)
            columns += printf("\\x%02x", c);
        else {
            putchar(c);
            columns += (c & 0xc0) != 0x80;
        }
    }
    printf("%*s  ", columns < width ? width - columns : 0, "");
}

static void print_columns(const struct store_found *room, const struct living *living)
{
    char alarm[32], memory[32] = "-";

    print_time(alarm, room->alarm);
    if (living)
        snprintf(memory, sizeof memory, "%" PRIu32, living->connections);
    print_name(room->party, 12);
    print_name(room->id, 24);
    printf("%8" PRIu64 "  %12" PRIu64 "  %-20s  %s\n", room->keys, room->bytes, alarm, memory);
}

static int print_json(const struct store_found *room, const struct living *living)
{
    struct buf line = {0};
    int rc = buf_printf(&line, "{\"party\":");

    if (rc == 0)
        rc = value_json_string(&line, room->party);
    if (rc == 0)
        rc = buf_printf(&line, ",\"room\":");
    if (rc == 0)
        rc = value_json_string(&line, room->id);
    if (rc == 0)
        rc = buf_printf(&line, ",\"keys\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"alarm\":", room->keys,
                        room->bytes);
    if (rc == 0)
        rc = room->alarm ? buf_printf(&line, "%" PRId64, room->alarm) : buf_printf(&line, "null");
    if (rc == 0)
        rc = buf_printf(&line, ",\"inMemory\":%s,\"connections\":%" PRIu32 "}\n", living ? "true" : "false",
                        living ? living->connections : 0);
    if (rc == 0)
        (void)!fwrite(line.data, 1, line.len, stdout); /* an error is seen when it is flushed */
    buf_fini(&line);
    return rc;
}

static int print(struct command_run *run, const struct store_found *room, const struct living *living)
{
    if (run->cli->json)
        return print_json(room, living) ? command_fail(run, "not enough memory") : 0;
    print_columns(room, living);
    return 0;
}

/* ---- both in one order ---- */

/* Those in memory that come before this place (NULL: all) and have stored nothing. */
static int print_living_before(struct command_run *run, struct listing *listing,
                               const struct store_found *place)
{
    int rc = 0;

    for (; rc == 0 && listing->at < listing->n; listing->at++) {
        const struct living *living = &listing->rooms[listing->at];
        struct store_found room = {.party = living->party, .id = living->id};
        if (place && compare_rooms(living->party, living->id, place->party, place->id) >= 0)
            break;
        rc = print(run, &room, living);
    }
    return rc;
}

static int on_room(struct command_run *run, const struct store_found *room, void *user)
{
    struct listing *listing = user;

    int rc = print_living_before(run, listing, room);
    if (rc != 0)
        return rc;
    const struct living *living = listing->at < listing->n ? &listing->rooms[listing->at] : NULL;
    if (living && compare_rooms(living->party, living->id, room->party, room->id) != 0)
        living = NULL;
    listing->at += living != NULL;
    return print(run, room, living);
}

int command_rooms(struct command_run *run)
{
    struct listing *listing = xcalloc(sizeof *listing);

    int rc = control_client_has_server(run->client) ? ask_memory(run, listing) : 0;
    if (rc == 0 && !run->cli->json)
        printf("%-12s  %-24s  %8s  %12s  %-20s  %s\n", "PARTY", "ROOM", "KEYS", "BYTES", "ALARM",
               "CONNECTIONS");
    if (rc == 0)
        rc = command_each_room(run, on_room, listing);
    if (rc == 0)
        rc = print_living_before(run, listing, NULL);
    for (uint32_t i = 0; i < listing->n_answers; i++)
        buf_fini(&listing->answers[i]);
    free(listing->rooms);
    free(listing);
    return rc;
}
