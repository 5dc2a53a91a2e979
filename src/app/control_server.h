/* The server's end of operators' commands: a socket `control` in the data folder, that the folder's user alone may
 * use. A few commands at a time; one that asks nothing or takes no answer is turned away after a while. */
#pragma once

#include "app/control.h"

#define CONTROL_SOCKET "control"

struct control_server;

/* Listens in the folder, which this process has taken (so a socket that is there is a dead server's). On the loop
 * of workers' first thread. NULL: it can't, which was said in the log; the server goes on without. */
struct control_server *control_server_open(const char *folder, struct store *store, struct workers *workers);

/* No more commands: what is at work comes to its end. Accepts NULL. */
void control_server_stop(struct control_server *server);

/* After the loops have ended; the memory goes when libuv is done with it. Accepts NULL. */
void control_server_close(struct control_server *server);
