/* What the bindings of other rooms share: bind_stub.c, bind_stub_request.c, bind_socket.c. */
#pragma once

#include "script/bind.h"

/* The values of a stub that its object has. */
enum { STUB_PARTY = 1, STUB_ID, STUB_VALUES = 2 };

/* Pushes party and id of the stub at index 1, which they point into while it lives. */
void stub_names(lua_State *L, struct span *party, struct span *id);

/* What path and init make of a request to a room. */
struct stub_request {
    struct http_request_parts parts; /* body is none: */
    struct span body;                /* ptr NULL: none */
    struct span connection;          /* init.id; ptr NULL: none */
};

/* Reads ([path,] [init]) from index 2 on; upgrade: for a connection, which has an id, and neither method nor body.
 * What the spans point to lies on the stack from then on. Raises for all that is wrong. */
void stub_request(lua_State *L, bool upgrade, struct stub_request *request);
