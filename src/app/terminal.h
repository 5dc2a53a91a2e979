/* The terminal of `festa dev`: the addresses with a QR code for the phone, and single keys.
 *
 * While keys are read the terminal neither waits for Enter nor shows what is typed. Its mode is put back by
 * terminal_close, while the process is stopped (Ctrl-Z), and by any signal that ends it but SIGKILL. */
#pragma once

#include "loop/loop.h"

struct terminal;

/* What the keys do. */
struct terminal_ops {
    void (*reload)(void *user);
    void (*quit)(void *user); /* also when the terminal is gone */
};

/* Prints where the server at this host and port can be reached, if stdout is a terminal, and reads keys if
 * stdin is one. address: the one that host has led to. Once in a process at a time. Does not keep the loop running. */
struct terminal *terminal_open(struct loop *loop, bool secure, const char *host, const char *address,
                               int port, const struct terminal_ops *ops, void *user);

/* No call follows; its memory goes with the loop's next turns. Accepts NULL. */
void terminal_close(struct terminal *terminal);

/* Puts the terminal's mode back at once, for a process that is about to end. */
void terminal_restore(void);

/* Writes the URL of a host and port: an IPv6 address stands in brackets. */
void terminal_url(char out[512], bool secure, const char *host, int port);
