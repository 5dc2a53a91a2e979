/* TLS 1.2 and 1.3 (RFC 5246, RFC 8446) of one connection: ciphertext in and out of memory, so that it knows no
 * socket and can move to another thread with all of its state. Used by the files of net, but for tls_server_open. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Certificates with their keys. Immutable once it is made, and counted atomically: all threads share one. */
struct tls_server;

/* Two files in PEM: the certificate, behind which those may follow that lead to its root, and its key. */
struct tls_pair {
    const char *cert, *key;
};

/* A client is shown the first certificate that has the name it asks for (SNI, RFC 6066 §3), or the first of all. On
 * error NULL, and what is wrong, with the file's name, in error; warnings get a line for each thing that is
 * strange, but works. */
struct tls_server *tls_server_open(const struct tls_pair *pairs, size_t n, struct buf *error,
                                   struct buf *warnings);
struct tls_server *tls_server_ref(struct tls_server *server);
void tls_server_unref(struct tls_server *server);

struct tls;

/* The server's end of a new connection. NULL: no memory. */
struct tls *tls_new(struct tls_server *server);
void tls_free(struct tls *tls);

/* Bytes came from the peer. 0 or -ENOMEM. */
int tls_feed(struct tls *tls, const void *data, size_t len) __attribute__((warn_unused_result));

/* Goes on with the handshake: 1 it is over, 0 it needs more of the peer's bytes, -EPROTO it failed. */
int tls_handshake(struct tls *tls) __attribute__((warn_unused_result));
bool tls_ready(const struct tls *tls);

/* Why it failed, a constant. */
const char *tls_problem(const struct tls *tls);

/* After the handshake: decrypts up to size bytes and returns how many; 0 more of the peer's bytes are needed. */
#define TLS_ENDED (-1)  /* the peer's close_notify */
#define TLS_BROKEN (-2) /* what came is no TLS */
ssize_t tls_read(struct tls *tls, void *out, size_t size) __attribute__((warn_unused_result));

/* Is there something that was fed and not read yet? */
bool tls_pending(const struct tls *tls);

/* After the handshake: encrypts all of it. 0 or a negative errno. */
int tls_write(struct tls *tls, const void *data, size_t len) __attribute__((warn_unused_result));

/* What is to be sent to the peer, and how much of it was. */
size_t tls_out(const struct tls *tls, const uint8_t **data);
void tls_out_taken(struct tls *tls, size_t len);

/* Our close_notify: true if it is to be sent now, false if it was before or can't be. */
bool tls_shutdown(struct tls *tls);
