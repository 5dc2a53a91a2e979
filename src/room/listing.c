/* Lists the rooms of a party, see listing.h. */
#include "room/listing.h"

#include "base/clock.h"
#include "room/private.h"

#include <errno.h>
#include <stdlib.h>

static void free_found(struct rooms_listing *listing, size_t from)
{
    for (size_t i = from; i < listing->n_found; i++)
        free(listing->found[i].id);
    if (from < listing->n_found)
        listing->n_found = from;
}

static void listing_free(struct rooms_listing *listing)
{
    free_found(listing, 0);
    free(listing->found);
    free(listing->party);
    free(listing->prefix);
    free(listing->after);
    free(listing);
}

struct rooms_listing *rooms_listing_new(struct span party, struct span prefix, struct span after,
                                        uint32_t limit)
{
    struct rooms_listing *listing = calloc(1, sizeof *listing);

    if (!listing)
        return NULL;
    listing->limit = limit;
    listing->cap = 2 * (size_t)limit;
    listing->party = strndup(party.ptr, party.len);
    listing->prefix = strndup(prefix.ptr ? prefix.ptr : "", prefix.len);
    listing->after = after.ptr ? strndup(after.ptr, after.len) : NULL;
    listing->found = calloc(listing->cap, sizeof *listing->found);
    if (!listing->party || !listing->prefix || (after.ptr && !listing->after) || !listing->found) {
        listing_free(listing);
        return NULL;
    }
    return listing;
}

void rooms_listing_end(struct rooms_listing *listing)
{
    if (!listing)
        return;
    listing->ended = true;
    if (!listing->away)
        listing_free(listing);
}

/* ---- what is found ---- */

/* By id; of two with the same id the one that is in memory comes first. */
static int compare(const void *a, const void *b)
{
    const struct listed_room *one = a, *other = b;
    int order = strcmp(one->id, other->id); /* bytewise: there are no NULs in ids */
    return order ? order : (other->active > one->active) - (other->active < one->active);
}

/* In order, each once, and no more than are wanted. */
static void tidy_up(struct rooms_listing *listing)
{
    struct listed_room *found = listing->found;
    size_t n = 0;

    qsort(found, listing->n_found, sizeof *found, compare);
    for (size_t i = 0; i < listing->n_found; i++) {
        if (n < listing->limit && (n == 0 || strcmp(found[n - 1].id, found[i].id) != 0))
            found[n++] = found[i];
        else
            free(found[i].id);
    }
    listing->n_found = n;
}

static void add(struct rooms_listing *listing, struct span id, uint32_t connections, int64_t active)
{
    char *copy = strndup(id.ptr, id.len);

    if (!copy) {
        listing->result = -ENOMEM;
        return;
    }
    listing->found[listing->n_found++] =
        (struct listed_room){.id = copy, .connections = connections, .active = active};
    if (listing->n_found == listing->cap)
        tidy_up(listing);
}

/* ---- in memory ---- */

static bool is_wanted(const struct rooms_listing *listing, const struct room *room)
{
    bool lives = room->instance || room->n_peers > 0 || !list_empty(&room->inbox);

    return lives && !room->lobby &&
           span_equal(room->rooms->script->party_name(room->party), span_of(listing->party)) &&
           strncmp(room->id, listing->prefix, strlen(listing->prefix)) == 0 &&
           (!listing->after || strcmp(room->id, listing->after) > 0);
}

static void look(struct rooms_listing *listing, struct rooms *rooms)
{
    uint64_t now = clock_coarse_ns();
    int64_t wall = clock_wall_ms();

    list_each(it, &rooms->all) {
        const struct room *room = container_of(it, struct room, in_all);
        if (listing->result == 0 && is_wanted(listing, room)) {
            uint64_t ago = now > room->active ? (now - room->active) / NS_PER_MS : 0;
            add(listing, span_of(room->id), room->n_listed, wall - (int64_t)ago);
        }
    }
}

/* ---- the way ---- */

static void finish(struct rooms_listing *listing)
{
    tidy_up(listing);
    listing->away = false;
    mail_release(listing->from);
    if (listing->ended)
        listing_free(listing);
    else
        listing->done(listing);
}

static void on_search(struct store_search *search)
{
    struct rooms_listing *listing = container_of(search, struct rooms_listing, search);
    struct span rest = {(const char *)search->found.data, search->found.len};
    struct store_found found;

    if (search->result != STORE_OK) {
        listing->result = -EIO;
        listing->text = search->text;
    }
    while (listing->result == 0 && store_next_found(&rest, &found))
        add(listing, found.id, 0, 0);
    buf_fini(&search->found);
    finish(listing);
}

static void on_home(struct mail *mail)
{
    struct rooms_listing *listing = container_of(mail, struct rooms_listing, mail);
    struct store *store = listing->from->store;

    tidy_up(listing); /* so that there is room for as many again */
    if (!store || listing->result != 0) {
        finish(listing);
        return;
    }
    listing->search = (struct store_search){.store = store,
                                            .loop = listing->from->loop,
                                            .kind = STORE_ROOMS,
                                            .done = on_search,
                                            .party = span_of(listing->party),
                                            .prefix = span_of(listing->prefix),
                                            .after_id = span_of(listing->after),
                                            .limit = listing->limit};
    store_search(&listing->search);
}

static void on_visit(struct mail *mail)
{
    struct rooms *rooms = mail->to;

    list_push(&rooms->listings, &container_of(mail, struct rooms_listing, mail)->link);
    loop_keep_turning(rooms->loop);
}

static void go_on(struct rooms_listing *listing, struct rooms *from)
{
    const struct rooms_team *team = listing->from->team;

    if (listing->next < (team ? team->count : 1)) {
        struct rooms *to = team ? team->rooms[listing->next] : from;
        listing->next++;
        mail_send(&listing->mail, from, to, on_visit);
    } else {
        mail_send(&listing->mail, from, listing->from, on_home);
    }
}

void rooms_list(struct rooms_listing *listing, struct rooms *from)
{
    listing->from = from;
    listing->away = true;
    mail_hold(from);
    go_on(listing, from);
}

bool listing_serve(struct rooms *rooms)
{
    struct list *link = list_pop(&rooms->listings);

    if (!link)
        return false;
    struct rooms_listing *listing = container_of(link, struct rooms_listing, link);
    look(listing, rooms);
    go_on(listing, rooms);
    return true;
}
