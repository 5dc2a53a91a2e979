#include "net/tls.h"

#include "base/check.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of TLS 1.2; those of 1.3 are all sound. Each has forward secrecy and authenticates what it encrypts. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_server {
    _Atomic size_t refs;
    size_t n;
    SSL_CTX *contexts[]; /* one for each pair */
};

struct tls {
    SSL *ssl;
    struct tls_server *server; /* a reference */
    struct buf in, out;        /* ciphertext; without memory while they are empty */
    size_t in_at, out_at;      /* taken of them */
    bool ready, shut, failed;
    const char *problem;
};

/* ---- ciphertext ---- */

static void take(struct buf *buf, size_t *at, size_t len)
{
    *at += len;
    if (*at == buf->len) {
        buf_fini(buf);
        *at = 0;
    }
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls *tls = BIO_get_data(bio);
    return buf_append(&tls->out, data, (size_t)len) == 0 ? len : -1;
}

static int bio_read(BIO *bio, char *out, int size)
{
    struct tls *tls = BIO_get_data(bio);
    size_t len = tls->in.len - tls->in_at;

    BIO_clear_retry_flags(bio);
    if (len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (len > (size_t)size)
        len = (size_t)size;
    memcpy(out, tls->in.data + tls->in_at, len);
    take(&tls->in, &tls->in_at, len);
    return (int)len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;

static void make_method(void)
{
    CHECK((method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "festa")) != NULL);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

/* ---- the server ---- */

/* The protocol is HTTP/1.1 (RFC 7301); who speaks others only is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *user)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;

    (void)ssl;
    (void)user;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL has it so */
static int choose_certificate(SSL *ssl, int *alert, void *user)
{
    const struct tls_server *server = user;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    for (size_t i = 0; name && i < server->n; i++) {
        if (X509_check_host(SSL_CTX_get0_certificate(server->contexts[i]), name, 0, 0, NULL) == 1) {
            SSL_set_SSL_CTX(ssl, server->contexts[i]);
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

/* Nobody is there to be asked. NOLINTNEXTLINE(readability-non-const-parameter) */
static int no_password(char *buffer, int size, int writes, void *data)
{
    (void)buffer;
    (void)size;
    (void)writes;
    (void)data;
    return -1;
}

/* The error of OpenSSL that led to the others, as text. */
static const char *first_error(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());
    return text ? text : "it can't be read";
}

static void say(struct buf *out, const char *file, const char *what)
{
    (void)!buf_printf(out, "%stls: %s: %s", out->len ? "\n" : "", file, what);
}

static int say_file(struct buf *error, const char *file, const char *what)
{
    say(error, file, what);
    ERR_clear_error();
    return -EINVAL;
}

/* Can it be read? It is opened by OpenSSL, whose errors say little. */
static int check_file(const char *file, bool secret, struct buf *error, struct buf *warnings)
{
    struct stat info;
    FILE *opened = fopen(file, "re");

    if (!opened || fstat(fileno(opened), &info) != 0) {
        say(error, file, strerror(errno));
        if (opened)
            fclose(opened);
        return -EINVAL;
    }
    fclose(opened);
    if (!S_ISREG(info.st_mode))
        return say_file(error, file, "it is no file");
    if (secret && (info.st_mode & S_IROTH) != 0)
        say(warnings, file, "everybody on this machine can read this key (chmod o-r)");
    return 0;
}

static int load_pair(SSL_CTX *ctx, const struct tls_pair *pair, struct buf *error, struct buf *warnings)
{
    if (check_file(pair->cert, false, error, warnings) || check_file(pair->key, true, error, warnings))
        return -EINVAL;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, pair->cert) != 1)
        return say_file(error, pair->cert,
                        ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE
                            ? "there is no certificate in it"
                            : first_error());
    if (SSL_CTX_use_PrivateKey_file(ctx, pair->key, SSL_FILETYPE_PEM) != 1) {
        int reason = ERR_GET_REASON(ERR_peek_error());
        bool mismatch = reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH;
        const char *what = mismatch ? "it is not the key of the certificate"
                           : reason == PEM_R_BAD_PASSWORD_READ
                               ? "the key is encrypted; give it without a password"
                               : "there is no private key in it";
        return say_file(error, pair->key, what);
    }
    if (SSL_CTX_check_private_key(ctx) != 1)
        return say_file(error, pair->key, "it is not the key of the certificate");
    const X509 *cert = SSL_CTX_get0_certificate(ctx);
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        say(warnings, pair->cert, "the certificate has expired");
    else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        say(warnings, pair->cert, "the certificate is not valid yet");
    return 0;
}

static SSL_CTX *make_context(struct tls_server *server)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);         /* an idle connection has none */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets carry the sessions */
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(ctx, server);
    return ctx;
}

struct tls_server *tls_server_open(const struct tls_pair *pairs, size_t n, struct buf *error,
                                   struct buf *warnings)
{
    struct tls_server *server = calloc(1, sizeof *server + n * sizeof *server->contexts);
    int rc = server ? 0 : -ENOMEM;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        SSL_CTX *ctx = make_context(server);
        if (!ctx) {
            rc = -ENOMEM;
            break;
        }
        server->contexts[server->n++] = ctx;
        rc = load_pair(ctx, &pairs[i], error, warnings);
    }
    if (rc == -ENOMEM)
        say(error, n > 0 ? pairs[0].cert : "", "not enough memory");
    if (server)
        server->refs = 1;
    if (rc != 0) {
        tls_server_unref(server);
        return NULL;
    }
    return server;
}

struct tls_server *tls_server_ref(struct tls_server *server)
{
    if (server)
        server->refs++;
    return server;
}

void tls_server_unref(struct tls_server *server)
{
    if (!server || --server->refs > 0)
        return;
    for (size_t i = 0; i < server->n; i++)
        SSL_CTX_free(server->contexts[i]);
    free(server);
}

/* ---- a connection ---- */

struct tls *tls_new(struct tls_server *server)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct tls *tls = calloc(1, sizeof *tls);

    CHECK(pthread_once(&once, make_method) == 0);
    BIO *bio = tls ? BIO_new(method) : NULL;
    if (!bio) {
        free(tls);
        return NULL;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    tls->ssl = SSL_new(server->contexts[0]);
    if (!tls->ssl) {
        BIO_free(bio);
        free(tls);
        return NULL;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_accept_state(tls->ssl);
    tls->server = tls_server_ref(server);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    tls_server_unref(tls->server);
    buf_fini(&tls->in);
    buf_fini(&tls->out);
    free(tls);
}

int tls_feed(struct tls *tls, const void *data, size_t len)
{
    return buf_append(&tls->in, data, len);
}

/* Says why, once. */
static void fail(struct tls *tls)
{
    if (!tls->failed)
        tls->problem = first_error();
    tls->failed = true;
    ERR_clear_error();
}

int tls_handshake(struct tls *tls)
{
    if (tls->failed)
        return -EPROTO;
    ERR_clear_error();
    int rc = SSL_do_handshake(tls->ssl);
    if (rc == 1) {
        tls->ready = true;
        return 1;
    }
    if (SSL_get_error(tls->ssl, rc) == SSL_ERROR_WANT_READ)
        return 0;
    fail(tls);
    return -EPROTO;
}

bool tls_ready(const struct tls *tls)
{
    return tls->ready;
}

const char *tls_problem(const struct tls *tls)
{
    return tls->problem ? tls->problem : "the peer has gone";
}

ssize_t tls_read(struct tls *tls, void *out, size_t size)
{
    size_t len;

    if (tls->failed)
        return TLS_BROKEN;
    ERR_clear_error();
    int rc = SSL_read_ex(tls->ssl, out, size, &len);
    if (rc == 1)
        return (ssize_t)len;
    switch (SSL_get_error(tls->ssl, rc)) {
    case SSL_ERROR_WANT_READ: return 0;
    case SSL_ERROR_ZERO_RETURN: return TLS_ENDED;
    default: fail(tls); return TLS_BROKEN;
    }
}

bool tls_pending(const struct tls *tls)
{
    return tls->in.len > tls->in_at || SSL_has_pending(tls->ssl);
}

int tls_write(struct tls *tls, const void *data, size_t len)
{
    size_t written;

    ERR_clear_error();
    if (tls->failed || SSL_write_ex(tls->ssl, data, len, &written) != 1) {
        fail(tls);
        return -EPROTO;
    }
    CHECK(written == len); /* memory takes it all */
    return 0;
}

size_t tls_out(const struct tls *tls, const uint8_t **data)
{
    *data = tls->out.data + tls->out_at;
    return tls->out.len - tls->out_at;
}

void tls_out_taken(struct tls *tls, size_t len)
{
    take(&tls->out, &tls->out_at, len);
}

bool tls_shutdown(struct tls *tls)
{
    if (!tls->ready || tls->failed || tls->shut)
        return false;
    tls->shut = true;
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    return tls->out.len > tls->out_at;
}
