/* A request's way through curl: what it is asked to do, what it is told of the response, redirects. Called by
 * fetch.c, and by curl through fetcher.c; never calls an owner. */
#include "fetch/private.h"
#include "fetch/private_address.h"

#include "base/version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWALLOW_MAX ((size_t)64 * 1024) /* bytes of a redirect's body that are read, to keep the connection */

/* ---- the response's head ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* "HTTP/1.1 200 OK": another head begins, behind one of an interim response (RFC 9110 §15.2). */
static void begin_head(struct transfer *transfer, struct span line)
{
    struct fetch *fetch = transfer->fetch;
    const char *blank = memchr(line.ptr, ' ', line.len);
    struct span rest = {line.ptr + line.len, 0};

    if (blank)
        rest = (struct span){blank + 1, line.len - (size_t)(blank + 1 - line.ptr)};
    fetch->status = 0;
    while (rest.len > 0 && rest.ptr[0] >= '0' && rest.ptr[0] <= '9' && fetch->status < 100) {
        fetch->status = fetch->status * 10 + (rest.ptr[0] - '0');
        rest = (struct span){rest.ptr + 1, rest.len - 1};
    }
    rest = span_trim(rest);
    snprintf(fetch->reason, sizeof fetch->reason, "%.*s", (int)(rest.len < 64 ? rest.len : 63), rest.ptr);
    fetch->headers.len = 0;
    free(transfer->location);
    transfer->location = NULL;
    transfer->coding = CODING_NONE;
}

static bool fails(struct transfer *transfer, enum fetch_error error, const char *message)
{
    struct fetch *fetch = transfer->fetch;
    if (fetch->error == FETCH_NO_ERROR) {
        fetch->error = error;
        snprintf(fetch->message, sizeof fetch->message, "%s", message);
    }
    return false;
}

static bool no_memory(struct transfer *transfer)
{
    return fails(transfer, FETCH_NETWORK, "not enough memory");
}

/* The empty line: is this the response that counts, or one that leads elsewhere? False: it fails. */
static bool end_head(struct transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;
    curl_off_t length = -1;

    if (fetch->status < 200)
        return true;
    transfer->head_done = true;
    if (is_redirect(fetch->status) && transfer->location && transfer->redirect != FETCH_MANUAL) {
        if (transfer->redirect == FETCH_REFUSE)
            return fails(transfer, FETCH_REDIRECT, "the server redirects");
        transfer->redirecting = true;
        return true;
    }
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (!transfer->stream && strcmp(transfer->method, "HEAD") != 0 && length >= 0 &&
        (uint64_t)length > transfer->most)
        return fails(transfer, FETCH_TOO_LARGE, "the body is too large");
    if (transfer->coding == CODING_GZIP || transfer->coding == CODING_DEFLATE) {
        transfer->decoder = decoder_new(transfer->coding);
        if (!transfer->decoder)
            return no_memory(transfer);
    }
    fetch_head(fetch);
    return true;
}

static struct span name_of(struct span line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    return (struct span){line.ptr, colon ? (size_t)(colon - line.ptr) : line.len};
}

/* One coding after another is none that we decode: there is no bound on how many. */
static void add_coding(struct transfer *transfer, struct span value)
{
    enum coding coding = coding_of(value);

    if (coding != CODING_NONE)
        transfer->coding = transfer->coding == CODING_NONE ? coding : CODING_OTHER;
}

static bool take_header(struct transfer *transfer, struct span line)
{
    struct fetch *fetch = transfer->fetch;
    struct span name = name_of(line), value = {line.ptr + line.len, 0};

    if (buf_append(&fetch->headers, line.ptr, line.len) != 0 || buf_append(&fetch->headers, "\r\n", 2) != 0)
        return no_memory(transfer);
    if (name.len < line.len)
        value = span_trim((struct span){line.ptr + name.len + 1, line.len - name.len - 1});
    if (span_equal_nocase(name, SPAN("content-encoding")))
        add_coding(transfer, value);
    /* It was not asked for (TE), and curl would inflate it without a bound. */
    if (span_equal_nocase(name, SPAN("transfer-encoding")) && !span_equal_nocase(value, SPAN("chunked")) &&
        !span_equal_nocase(value, SPAN("identity")))
        return fails(transfer, FETCH_NETWORK, "the answer has a transfer coding that was not asked for");
    if (!span_equal_nocase(name, SPAN("location")) || transfer->location || value.len == 0)
        return true;
    transfer->location = strndup(value.ptr, value.len);
    return transfer->location || no_memory(transfer);
}

/* A line of a head, with its end; also of the trailers behind a body, which nobody is told of. */
/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl has it so */
static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    struct transfer *transfer = user;
    struct span line = {data, size * n};
    bool good = true;

    if (!transfer->fetch)
        return 0;
    if (transfer->head_done)
        return size * n;
    transfer->fetch->progress = loop_now(transfer->fetcher->loop);
    transfer->fetch->head_size += line.len;
    if (transfer->fetch->head_size > FETCH_HEAD_MAX) {
        fails(transfer, FETCH_TOO_LARGE, "the headers are too large");
        return 0;
    }
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n'))
        line.len--;
    if (line.len == 0)
        good = end_head(transfer);
    else if (line.len > 5 && memcmp(line.ptr, "HTTP/", 5) == 0)
        begin_head(transfer, line);
    else
        good = take_header(transfer, line);
    return good ? size * n : 0;
}

/* ---- its body ---- */

/* Inflates what has come, as far as the owner has room for it and this turn has time. False: it fails. */
static bool decode(struct transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;
    size_t before = fetch->body.len;

    while (decoder_pending(transfer->decoder)) {
        size_t room = fetch->allowed > fetch->body.len ? fetch->allowed - fetch->body.len : 0;
        size_t left = fetcher_inflates(transfer->fetcher), len = fetch->body.len;
        if (room == 0) {
            fetch->starved = true;
            fetch_touch(fetch);
            return true;
        }
        if (left == 0) {
            fetcher_put_off(transfer);
            return true;
        }
        int rc = decoder_take(transfer->decoder, &fetch->body, room < left ? room : left);
        transfer->fetcher->inflated += fetch->body.len - len;
        if (rc == -EBADMSG)
            return fails(transfer, FETCH_NETWORK, "the body is damaged: it can't be decompressed");
        if (rc != 0)
            return no_memory(transfer);
        if (!transfer->stream && fetch->body.len > transfer->most)
            return fails(transfer, FETCH_TOO_LARGE, "the body is too large");
        if (fetch->body.len > before) {
            fetch->progress = loop_now(transfer->fetcher->loop);
            fetch_touch(fetch);
        }
    }
    return true;
}

/* The same of a body that is coded. While the last piece is not decoded to its end, no other is taken. */
static size_t on_coded(struct transfer *transfer, const char *data, size_t len)
{
    struct fetch *fetch = transfer->fetch;

    if (decoder_pending(transfer->decoder)) {
        transfer->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (decoder_give(transfer->decoder, data, len) != 0) {
        no_memory(transfer);
        return 0;
    }
    fetch->progress = loop_now(transfer->fetcher->loop);
    fetch_touch(fetch);
    return decode(transfer) ? len : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct transfer *transfer = user;
    struct fetch *fetch = transfer->fetch;
    size_t len = size * n;

    if (!fetch)
        return 0;
    if (transfer->redirecting) {
        transfer->swallowed += len;
        return transfer->swallowed > SWALLOW_MAX ? 0 : len;
    }
    if (transfer->decoder)
        return on_coded(transfer, data, len);
    if (!transfer->stream && fetch->body.len + len > transfer->most) {
        fails(transfer, FETCH_TOO_LARGE, "the body is too large");
        return 0;
    }
    if (fetch->body.len > 0 && fetch->body.len + len > fetch->allowed) {
        fetch->starved = transfer->held = true;
        fetch_touch(fetch);
        return CURL_WRITEFUNC_PAUSE;
    }
    if (buf_append(&fetch->body, data, len) != 0) {
        no_memory(transfer);
        return 0;
    }
    fetch->progress = loop_now(transfer->fetcher->loop);
    fetch_touch(fetch);
    return len;
}

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
            fails(transfer, FETCH_NETWORK,
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
        struct span name = name_of(line);
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
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
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
        if (!is_dropped(name_of(line), elsewhere, bodyless) &&
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
        fails(transfer, FETCH_REDIRECT, "too many redirects");
        return -ELOOP;
    }
    char *url = url_resolve(transfer->url, transfer->location, &rc);
    if (!url) {
        fails(transfer, FETCH_REDIRECT,
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
        no_memory(transfer);
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
    return curl_multi_add_handle(multi, transfer->easy) == CURLM_OK || no_memory(transfer);
}

/* ---- its end ---- */

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

    if (transfer->decoder && !decode(transfer)) {
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
