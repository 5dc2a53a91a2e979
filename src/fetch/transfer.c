/* A request's way through curl: what it is asked to do, redirects, its end. Called by fetch.c, and by curl through
 * fetcher.c; never calls an owner. */
#include "fetch/private.h"
#include "fetch/private_address.h"

#include "base/version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- connecting ---- */

static int on_resolve(void *state, void *reserved, void *user)
{
    struct transfer *transfer = user;

    (void)state;
    (void)reserved;
    transfer->resolving = true;
    return 0;
}

/* The socket for a connection to an address. */
static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = user;

    (void)purpose;
    transfer->resolving = false;
    if (!transfer->fetch)
        return CURL_SOCKET_BAD;
    if (transfer->public_only && private_address(&address->addr)) {
        transfer->blocked = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
}

/* May it be sent twice, when nobody knows whether it has come the first time (RFC 9110 §9.2.2)? */
static bool is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(method, methods[i]) == 0)
            return true;
    }
    return false;
}

/* A request is about to be sent, maybe on a connection that was made when private addresses were allowed; and maybe
 * again: curl does that, whatever the method, when a connection that was kept ends before anything is answered. */
/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl has it so */
static int on_request(void *user, char *address, char *local, int port, int local_port)
{
    struct transfer *transfer = user;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer = {.any.sa_family = AF_UNSPEC};

    (void)local;
    (void)port;
    (void)local_port;
    if (transfer->sent && !is_idempotent(transfer->method)) {
        if (transfer->fetch)
            transfer_fails(
                transfer, FETCH_NETWORK,
                "the server has closed the connection without an answer, and may have done what was asked");
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->sent = true;
    if (!transfer->public_only)
        return CURL_PREREQFUNC_OK;
    if (inet_pton(AF_INET, address, &peer.in.sin_addr) == 1)
        peer.in.sin_family = AF_INET;
    else if (inet_pton(AF_INET6, address, &peer.in6.sin6_addr) == 1)
        peer.in6.sin6_family = AF_INET6;
    transfer->blocked = private_address(&peer.any);
    return transfer->blocked ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* ---- what curl is to do ---- */

/* The next line of the headers, without its end. */
static bool next_line(struct span *rest, struct span *line)
{
    const char *end = rest->len > 0 ? memmem(rest->ptr, rest->len, "\r\n", 2) : NULL;

    if (!end)
        return false;
    *line = (struct span){rest->ptr, (size_t)(end - rest->ptr)};
    *rest = (struct span){end + 2, rest->len - line->len - 2};
    return true;
}

static int add_line(struct transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    if (!longer)
        return -ENOMEM;
    transfer->headers = longer;
    return 0;
}

/* The lines as curl wants them: one without a value ends in ";", since "name:" keeps curl from sending its own. */
static int make_headers(struct transfer *transfer)
{
    struct span rest = {(const char *)transfer->header_lines.data, transfer->header_lines.len}, line;
    bool typed = false, accepts = false;

    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    if (add_line(transfer, "Expect:") != 0) /* bodies are sent without asking first */
        return -ENOMEM;
    while (next_line(&rest, &line)) {
        struct span name = header_name(line);
        bool empty = span_trim((struct span){line.ptr + name.len, line.len - name.len}).len <= 1;
        char *text = strndup(line.ptr, empty ? name.len + 1 : line.len);
        if (!text)
            return -ENOMEM;
        if (empty)
            text[name.len] = ';';
        int rc = add_line(transfer, text);
        free(text);
        if (rc != 0)
            return rc;
        typed = typed || span_equal_nocase(name, SPAN("content-type"));
        accepts = accepts || span_equal_nocase(name, SPAN("accept-encoding"));
    }
    if (!accepts && add_line(transfer, "Accept-Encoding: " DECODE_ACCEPTED) != 0)
        return -ENOMEM;
    return typed ? 0 : add_line(transfer, "Content-Type:");
}

/* What is asked for, of whom; again after a redirect. */
static int ask(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    const char *method = transfer->method;
    bool sends = transfer->body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
                 strcmp(method, "PATCH") == 0;

    int rc = make_headers(transfer);
    if (rc != 0)
        return rc;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* takes back the others */
    if (sends) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(transfer->body ? transfer->body->len : 0));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body ? (const char *)transfer->body->data : "");
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    bool known = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "POST") == 0;
    if (!known && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) != CURLE_OK)
        return -ENOMEM;
    return curl_easy_setopt(easy, CURLOPT_URL, transfer->url) == CURLE_OK ? 0 : -ENOMEM;
}

/* What is so for all of a fetch's requests. */
static int set_up(struct transfer *transfer, const struct fetch_options *options)
{
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                     1L); /* a look-up that is under way is left alone, not waited for */
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, response_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, response_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    /* We do it: curl inflates all that it has, whoever has room for it. */
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK || /* none, whatever the environment says */
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "festa/" FESTA_VERSION) != CURLE_OK)
        return -ENOMEM;
    /* The folder, if there is one, and one's own file in the bundle's place: reading the bundle stops the loop for some
     * 40 ms. Where it must be read, it is kept for the connections that follow, if it stands alone. */
    if (transfer->fetcher->ca_folder || options->ca_file)
        return curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file) == CURLE_OK ? 0 : -ENOMEM;
    return curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK ? 0 : -ENOMEM;
}

int transfer_start(struct fetch *fetch, const struct fetch_options *options)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    int rc = -ENOMEM;

    if (!transfer)
        return -ENOMEM;
    transfer->fetcher = fetch->fetcher;
    list_push(&fetch->fetcher->transfers, &transfer->link);
    transfer->body = bytes_ref(options->body);
    transfer->share = fetch_share_ref(options->share);
    if (transfer->share)
        transfer->share->count++;
    transfer->most = options->most;
    transfer->redirect = options->redirect;
    transfer->public_only = options->public_only;
    transfer->stream = options->stream;
    transfer->method = strdup(options->method);
    transfer->url = url_resolve(options->url, options->url, &rc);
    transfer->easy = curl_easy_init();
    if (!transfer->url)
        goto free_transfer;
    rc = -ENOMEM;
    if (!transfer->method || !transfer->easy ||
        buf_append(&transfer->header_lines, options->headers.ptr, options->headers.len) != 0 ||
        set_up(transfer, options) != 0 || ask(transfer) != 0 ||
        curl_multi_add_handle(fetch->fetcher->multi, transfer->easy) != CURLM_OK)
        goto free_transfer;
    transfer->fetch = fetch;
    fetch->transfer = transfer;
    return 0;

free_transfer:
    transfer_free(transfer);
    return rc;
}

/* ---- redirects (RFC 9110 §15.4) ---- */

/* Is this field of the request left out from here on? Elsewhere nobody is shown what was meant for another; and
 * without a body nothing is said of one. */
static bool is_dropped(struct span name, bool elsewhere, bool bodyless)
{
    static const char *const secret[] = {"authorization", "cookie", "proxy-authorization", "host"};
    static const char content[] = "content-";

    for (size_t i = 0; elsewhere && i < sizeof secret / sizeof *secret; i++) {
        if (span_equal_nocase(name, span_of(secret[i])))
            return true;
    }
    return bodyless && name.len > sizeof content - 1 &&
           strncasecmp(name.ptr, content, sizeof content - 1) == 0;
}

static int drop_headers(struct transfer *transfer, bool elsewhere, bool bodyless)
{
    struct span rest = {(const char *)transfer->header_lines.data, transfer->header_lines.len}, line;
    struct buf kept = {0};

    while (next_line(&rest, &line)) {
        if (!is_dropped(header_name(line), elsewhere, bodyless) &&
            buf_append(&kept, line.ptr, line.len + 2) != 0) {
            buf_fini(&kept);
            return -ENOMEM;
        }
    }
    buf_fini(&transfer->header_lines);
    transfer->header_lines = kept;
    return 0;
}

/* Prepares the request to where it was sent; 0, or a negative code after fails. */
static int redirect(struct transfer *transfer)
{
    int rc, status = transfer->fetch->status;
    bool post = strcmp(transfer->method, "POST") == 0;
    bool becomes_get = (status == 303 && strcmp(transfer->method, "HEAD") != 0) ||
                       ((status == 301 || status == 302) && post);

    if (transfer->redirects++ == FETCH_REDIRECTS_MAX) {
        transfer_fails(transfer, FETCH_REDIRECT, "too many redirects");
        return -ELOOP;
    }
    char *url = url_resolve(transfer->url, transfer->location, &rc);
    if (!url) {
        transfer_fails(transfer, FETCH_REDIRECT,
                       rc == -EPROTONOSUPPORT ? "the server redirects to what is no http or https"
                                              : "the server redirects to what is no URL");
        return rc;
    }
    bool elsewhere = !url_same_origin(transfer->url, url);
    free(transfer->url);
    transfer->url = url;
    if (becomes_get) {
        free(transfer->method);
        transfer->method = strdup("GET");
        bytes_unref(transfer->body);
        transfer->body = NULL;
    }
    rc = drop_headers(transfer, elsewhere, becomes_get);
    if (rc == 0)
        rc = transfer->method ? ask(transfer) : -ENOMEM;
    if (rc != 0)
        transfer_no_memory(transfer);
    return rc;
}

/* Goes where the response leads. False: that is not possible. */
static bool follow(struct transfer *transfer)
{
    CURLM *multi = transfer->fetcher->multi;

    curl_multi_remove_handle(multi, transfer->easy);
    if (redirect(transfer) != 0)
        return false;
    transfer->redirecting = transfer->head_done = transfer->blocked = transfer->sent = false;
    transfer->swallowed = 0;
    return curl_multi_add_handle(multi, transfer->easy) == CURLM_OK || transfer_no_memory(transfer);
}

/* ---- its end ---- */

bool transfer_fails(struct transfer *transfer, enum fetch_error error, const char *message)
{
    struct fetch *fetch = transfer->fetch;
    if (fetch->error == FETCH_NO_ERROR) {
        fetch->error = error;
        snprintf(fetch->message, sizeof fetch->message, "%s", message);
    }
    return false;
}

bool transfer_no_memory(struct transfer *transfer)
{
    return transfer_fails(transfer, FETCH_NETWORK, "not enough memory");
}

static enum fetch_error error_of(const struct transfer *transfer, CURLcode result)
{
    switch (result) {
    case CURLE_OK: return FETCH_NO_ERROR;
    case CURLE_OPERATION_TIMEDOUT: return FETCH_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST: return FETCH_DNS;
    case CURLE_ABORTED_BY_CALLBACK: return transfer->blocked ? FETCH_BLOCKED : FETCH_NETWORK;
    case CURLE_COULDNT_CONNECT: return transfer->blocked ? FETCH_BLOCKED : FETCH_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT: return FETCH_TLS;
    default: return FETCH_NETWORK;
    }
}

static const char *message_of(const struct transfer *transfer, enum fetch_error error, CURLcode result)
{
    if (error == FETCH_BLOCKED)
        return "the address is a private one, and fetchPrivate is false";
    return transfer->error[0] ? transfer->error : curl_easy_strerror(result);
}

/* All has come. */
static void end(struct transfer *transfer)
{
    if (transfer->decoder && !decoder_whole(transfer->decoder))
        fetch_over(transfer->fetch, FETCH_NETWORK,
                   "the body breaks off: it can't be decompressed to its end");
    else
        fetch_over(transfer->fetch, FETCH_NO_ERROR, NULL);
}

void transfer_go_on(struct transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;

    if (transfer->decoder && !response_decode(transfer)) {
        fetch_over(fetch, fetch->error, NULL);
        return;
    }
    if (transfer->decoder && decoder_pending(transfer->decoder))
        return;
    if (transfer->ended) {
        end(transfer);
        return;
    }
    if (!transfer->held)
        return;
    transfer->held = false;
    /* What was held back comes at once. If that fails, only this call says so. */
    CURLcode result = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    if (result != CURLE_OK)
        fetch_over(fetch, fetch->error ? fetch->error : FETCH_NETWORK,
                   fetch->error ? NULL : curl_easy_strerror(result));
}

void transfer_done(struct transfer *transfer, CURLcode result)
{
    struct fetch *fetch = transfer->fetch;
    bool swallowed_enough = transfer->swallowed > SWALLOW_MAX;

    transfer->resolving = false;
    if (!fetch) {
        transfer_free(transfer);
        return;
    }
    if (transfer->redirecting && fetch->error == FETCH_NO_ERROR && (result == CURLE_OK || swallowed_enough) &&
        follow(transfer))
        return;
    enum fetch_error error = fetch->error;
    if (error == FETCH_NO_ERROR && result == CURLE_OK && transfer->head_done) {
        transfer->ended = true;
        if (!transfer->decoder || !decoder_pending(transfer->decoder))
            end(transfer);
    } else if (error == FETCH_NO_ERROR) {
        error = result == CURLE_OK && !transfer->head_done ? FETCH_NETWORK : error_of(transfer, result);
        fetch_over(fetch, error, message_of(transfer, error, result));
    } else {
        fetch_over(fetch, error, NULL);
    }
}

void transfer_give_up(struct transfer *transfer)
{
    transfer->fetch = NULL;
    if (!transfer->resolving)
        transfer_free(transfer);
}

void transfer_free(struct transfer *transfer)
{
    list_remove(&transfer->link);
    list_remove(&transfer->put_off);
    decoder_free(transfer->decoder);
    if (transfer->easy) {
        curl_multi_remove_handle(transfer->fetcher->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
    }
    curl_slist_free_all(transfer->headers);
    buf_fini(&transfer->header_lines);
    bytes_unref(transfer->body);
    if (transfer->share)
        transfer->share->count--;
    fetch_share_unref(transfer->share);
    free(transfer->url);
    free(transfer->method);
    free(transfer->location);
    free(transfer);
}
