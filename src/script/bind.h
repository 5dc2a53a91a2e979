/* The types and functions that scripts see; one bind_<type>.c for each. */
#pragma once

#include "room/room.h"
#include "script/call.h"
#include "script/vm.h"

#include <lauxlib.h>

/* Makes the metatable of a type in the registry under the name's address, at first use: methods, and
 * __index/__newindex that know its fields; __metatable is false. Leaves it on the stack. */
void bind_metatable(lua_State *L, const char *name, const luaL_Reg *metamethods);

/* The userdata at arg if it has that metatable: bind_check raises for any other value, bind_test
 * returns NULL. */
void *bind_check(lua_State *L, int arg, const char *name);
void *bind_test(lua_State *L, int arg, const char *name);

/* Pushes the function of this name and returns true, or pushes nothing. */
bool bind_method(lua_State *L, const luaL_Reg *methods, const char *key);

/* A field of an object: its name, and what pushes its value. The object is at 1 on the stack. */
struct bind_field {
    const char *name;
    void (*push)(lua_State *L);
};

/* Pushes the field of this name and returns true, or pushes nothing. Fields end with a NULL name. */
bool bind_field(lua_State *L, const struct bind_field *fields, const char *key);

/* What objects of a type have, for its __index and for who lists all names (names.h). Each may be NULL. */
struct bind_members {
    const luaL_Reg *methods;
    const struct bind_field *fields;
};
extern const struct bind_members connection_members, request_members, response_members, stream_members,
    timer_members, storage_members, transaction_members, fetched_members, party_members, stub_members,
    socket_members, reply_members;

/* A script's text in a message: its first 64 bytes, with "…" if there is more. Messages are copied many times, and what
 * quotes megabytes takes longer than a handler may. */
struct quote {
    char text[64 + sizeof "…"];
};
struct quote bind_quote(const char *text);

/* The name of a host object's type ("connection"), NULL for any other value. */
const char *bind_type_name(lua_State *L, int index);

/* A __newindex that raises. */
int bind_read_only(lua_State *L);

/* `party.f(x)` and `party:f(x)` are the same: takes a library's own table away if it is the
 * first argument. */
void bind_skip_self(lua_State *L);

/* For arguments behind one that was taken away so: Lua's own luaL_argerror would count that one too, and call the first of
 * the others "self". What is expected of the argument and what it is, or that it is wrong. */
int skipped_error(lua_State *L, int arg, const char *message);
lua_Number skipped_number(lua_State *L, int arg);
struct span skipped_string(lua_State *L, int arg); /* its bytes are the stack's */
void skipped_type(lua_State *L, int arg, int type);

/* The room of the handler that runs; raises in the file scope and in lobbies. */
struct room *room_check(lua_State *L);

/* Milliseconds since 1970, UTC, as the room has them: in festa test the clock is the test's. */
int64_t now_ms(lua_State *L);

/* ---- storage ---- */
/* Pushes party.storage. */
void storage_push(lua_State *L);

/* ---- connection ---- */
extern const char connection_type[];
/* Pushes the object of a peer, made at first use. */
void connection_push(lua_State *L, struct peer *peer);
/* The peer of the connection at arg; NULL when it has gone. Raises for another type. */
struct peer *connection_check(lua_State *L, int arg);
/* Pushes the state of a peer's connection, which has an object. */
void connection_push_state(lua_State *L, struct peer *peer);
/* Its object, if there is one, leads nowhere from here on. */
void connection_forget(struct vm *vm, struct peer *peer);

/* The tags in the array at index, checked; they stay alive in the array. Raises. */
void tags_check(lua_State *L, int index, struct span tags[PEER_TAGS_MAX], size_t *n);

/* ---- request ---- */
extern const char request_type[], headers_type[];
/* Pushes the object of a request; it takes the request over (event->request becomes NULL), so that a
 * stashed request stays readable. */
void request_push(lua_State *L, struct event *event);
/* Takes the request of a hook out of its object at index again, with the headers as the hook has left them; the
 * object leads nowhere from here on. Raises when there is no memory; then nothing has changed. */
struct http_request *request_take(lua_State *L, int index);

/* The request at arg, which its object owns; raises for another type. */
struct http_request *request_of(lua_State *L, int arg);
/* Pushes its absolute URL. */
void request_push_url(lua_State *L, const struct http_request *request);
/* Pushes the first value of this name in its query, and returns true; or pushes nothing. */
bool request_push_query(lua_State *L, const struct http_request *request, struct span name);
/* Pushes an object like request.headers: between headers_begin and headers_end its table is at the top, to which
 * headers_add adds a field (n of them are expected). Names are found in any case; of a name that comes again the values
 * are joined. */
void headers_begin(lua_State *L, size_t n);
void headers_add(lua_State *L, struct span name, struct span value);
void headers_end(lua_State *L);
/* The next field of lines that end with CR LF; false at their end. What is no field is passed over. */
bool header_lines_next(struct span *lines, struct span *name, struct span *value);
/* Pushes an array of the values of all fields of these lines with this name. They have to stay meanwhile. */
void header_lines_push_all(lua_State *L, struct span lines, struct span name);
/* May a script change the object at the top? At first it may not. */
void headers_open(lua_State *L, bool writable);
/* The request with its headers as the object at the top, which is its, has them: itself, or one made anew that has its
 * body. Raises when there is no memory; then nothing has changed. */
struct http_request *headers_apply(lua_State *L, struct http_request *request);

/* ---- other rooms ---- */
extern const char party_type[], stub_type[], socket_type[], reply_type[];
/* Pushes party.parties. */
void parties_push(lua_State *L);
/* Pushes the stub of a room: its party's name and its id are strings at these indices. */
void stub_push(lua_State *L, int party, int id);
/* stub:connect */
int stub_connect(lua_State *L);
/* Pushes what another room has answered; the response stays the caller's. */
void reply_push(lua_State *L, const struct http_response *response);
/* The handler of an EVENT_CALL. */
int method_enter(lua_State *L);

/* ---- Response ---- */
extern const char response_type[];
extern const luaL_Reg response_functions[];
/* Response(body [, init]): the global is called; it is the first argument. */
int response_call(lua_State *L);
/* Pushes the lines of the table of headers at index, each ended by CR LF, as one string, and says if a Content-Type is
 * among them. Raises for what can't be sent, and for fields that frame a message. */
bool header_lines_push(lua_State *L, int index);
/* What a request handler returned, at index: a Response, a string, a table. Raises for anything else,
 * naming the type. The result is the caller's; NULL: no memory. */
struct http_response *response_take(lua_State *L, int index);
/* Why a stream of events can't be an answer elsewhere. */
#define RESPONSE_EVENTS_ONLY                                                                                 \
    "Response.events makes its client a connection of the room: onRequest has to return it"
/* Is it a stream of events, which events_answer is for? Pushes its options then. */
bool response_events(lua_State *L, int index);

/* Is the value a Response whose body is a stream? */
bool response_streams(lua_State *L, int index);

/* ---- streams: bodies that a script writes while they are sent ---- */
extern const char stream_type[];
/* Makes the stream that the function at index will write, and its reader's end: the caller's, to be closed by
 * whoever gets it. Raises; NULL: no memory. */
struct http_source *stream_open(lua_State *L, int index);

/* ---- Server-Sent Events ---- */
/* Pushes the options at index, checked, as events_answer wants them. */
void events_check(lua_State *L, int index);

/* Can a connection have this id? Said of one that can't, with PEER_ID_MAX. */
bool connection_id_valid(const char *id, size_t len);
/* Said of an answer that would need the room. */
#define AFTER_DESTROY                                                                                        \
    "%s after party.destroy(): the room is gone before it is sent; answer with a Response that is whole"
#define CONNECTION_ID_EXPECTED "id is a string of 1 to %d bytes of UTF-8 without a NUL"
/* Answers the event of the handler that runs, whose request's object is at index request, with a stream of events:
 * the options are at index options. Raises. */
void events_answer(lua_State *L, int options, int request);

/* ---- what runs later ---- */

/* Something of the script's that an EVENT_TIMER is for: its handle. */
struct due {
    enum call_result (*run)(struct vm *vm, struct due *due);
};

/* ---- fetch ---- */
extern const char fetched_type[];
int base_fetch(lua_State *L);

/* ---- timers ---- */
extern const char timer_type[];
int party_after(lua_State *L);
int party_every(lua_State *L);
/* Stops all timers of a VM that ends. */
void timers_stop(struct vm *vm);

/* ---- json ---- */
/* Pushes the value at index as JSON. Raises as json.encode does. */
void json_push(lua_State *L, int index, bool pretty);
/* Pushes the value of the text, or nil and a message with line and column; returns true or false. A NUL
 * follows the text, as it does in Lua's strings.
 * null_in_objects: keep null as json.null in objects too. */
bool json_decode(lua_State *L, const char *text, size_t len, bool null_in_objects);

/* A message for sending at arg: a string or number as it is, a table as JSON. Leaves the string on
 * the stack in place of the value and returns it. Raises for other types, and for text (not binary)
 * that is not UTF-8. */
const char *message_check(lua_State *L, int arg, bool binary, size_t *len);

/* A copy of the message for the room; raises when there is no memory. */
struct bytes *message_bytes(lua_State *L, const char *text, size_t len);

/* What a script closes with: the code (0: none), and the reason, cut at 123 bytes on a character's edge. */
struct closing {
    uint16_t code;
    const char *reason;
    size_t len;
};

/* [code [, reason]] at arg; raises for what can't be. */
struct closing closing_check(lua_State *L, int arg);

/* Raises for what room_send and its like return, but for -EPIPE. */
void output_check(lua_State *L, int rc);

/* ---- handlers (script.c) ---- */
/* The continuation of a handler whose results are not wanted. */
int handler_returned(lua_State *L, int status, lua_KContext context);

/* ---- the libraries' functions ---- */
extern const luaL_Reg party_functions[];
extern const luaL_Reg json_functions[];
extern const luaL_Reg crypto_functions[];
extern const luaL_Reg jwt_functions[]; /* of crypto.jwt */
/* The tables of functions inside of crypto, ended by a NULL name. */
struct bind_table {
    const char *name;
    const luaL_Reg *functions;
};
extern const struct bind_table crypto_tables[];
extern const luaL_Reg log_functions[];
extern const luaL_Reg html_functions[];
extern const luaL_Reg base_functions[]; /* print, load, require, sleep, now, … */
bool party_value(lua_State *L, const char *key);
bool json_value(lua_State *L, const char *key);
bool crypto_value(lua_State *L, const char *key);
extern const char *const party_values[];
extern const char *const json_values[];
extern const char *const crypto_values[];
