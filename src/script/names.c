#include "script/names.h"

#include "script/bind.h"
#include "script/library.h"

#include "base/check.h"

#include <stdio.h>

static int add(struct buf *out, const char *owner, const char *separator, const char *name)
{
    return buf_printf(out, "%s%s%s\n", owner, separator, name);
}

static int add_all(struct buf *out, const char *owner, const char *separator, const char *const *names)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && names && names[i]; i++)
        rc = add(out, owner, separator, names[i]);
    return rc;
}

static int add_functions(struct buf *out, const char *owner, const char *separator, const luaL_Reg *functions)
{
    int rc = 0;

    for (const luaL_Reg *function = functions; rc == 0 && function && function->name; function++)
        rc = add(out, owner, separator, function->name);
    return rc;
}

static int add_library(struct buf *out, const struct library *library)
{
    bool globals = library == &libraries[LIBRARY_GLOBALS];
    const char *owner = globals ? "" : library->name, *separator = globals ? "" : ".";

    int rc = add_functions(out, owner, separator, library->functions);
    for (size_t i = 0; rc == 0 && library->stock && library->stock[i]; i++) {
        bool ours = false; /* in place of Lua's own */
        for (const luaL_Reg *own = library->functions; own && own->name; own++)
            ours = ours || strcmp(own->name, library->stock[i]) == 0;
        if (!ours)
            rc = add(out, owner, separator, library->stock[i]);
    }
    return rc ? rc : add_all(out, owner, separator, library->values);
}

static int add_members(struct buf *out, const char *class, const struct bind_members *members)
{
    int rc = add_functions(out, class, ":", members->methods);

    for (const struct bind_field *field = members->fields; rc == 0 && field && field->name; field++)
        rc = add(out, class, ".", field->name);
    return rc;
}

static int add_tables(struct buf *out, const char *owner, const struct bind_table *tables)
{
    char name[64];
    int rc = 0;

    for (const struct bind_table *table = tables; rc == 0 && table->name; table++) {
        CHECK(snprintf(name, sizeof name, "%s.%s", owner, table->name) < (int)sizeof name);
        rc = add_functions(out, name, ".", table->functions);
    }
    return rc;
}

static const struct {
    const char *class;
    const struct bind_members *members;
} classes[] = {
    {"Connection", &connection_members}, {"Request", &request_members}, {"Response", &response_members},
    {"Stream", &stream_members},         {"Timer", &timer_members},     {"Transaction", &transaction_members},
    {"FetchResponse", &fetched_members}, {"Rooms", &party_members},     {"Stub", &stub_members},
    {"Socket", &socket_members},         {"Reply", &reply_members},
};

int names_list(struct buf *out)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < LIBRARIES; i++)
        rc = add_library(out, &libraries[i]);
    if (rc == 0)
        rc = add_tables(out, "crypto", crypto_tables);
    if (rc == 0)
        rc = add_functions(out, "party.storage", ".", storage_members.methods);
    for (size_t i = 0; rc == 0 && i < sizeof classes / sizeof *classes; i++)
        rc = add_members(out, classes[i].class, classes[i].members);
    if (rc == 0)
        rc = add_all(out, "Party", ":", party_handlers);
    return rc ? rc : add_all(out, "Party.options", ".", party_option_names);
}
