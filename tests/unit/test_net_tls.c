/* Connections that speak TLS, with a client of OpenSSL's on the other end, all on one thread: in order in both
 * directions, beside plain ones in a group, slowly, across loops; and those who don't speak it. */
#include "net_driver.h"

#include "net/conn_move.h"
#include "net/tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#define MEGABYTE (1u << 20)

static struct world world, other;
static struct net_total total;
static struct tls_server *server;
static SSL_CTX *client_ctx;
static char folder[] = "/tmp/festa-tls-XXXXXX";
static char cert_path[64], key_path[64];
static const char plain_text[] = "this is TLS";

/* ---- certificates ---- */

static void make_pair(const char *name, const char *cert_file, const char *key_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    assert_true(key && cert);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *file = fopen(cert_file, "w");
    assert_true(file && PEM_write_X509(file, cert) == 1);
    fclose(file);
    file = fopen(key_file, "w");
    assert_true(file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(file);
    assert_int_equal(chmod(key_file, 0600), 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    (void)state;
    struct buf error = {0}, warnings = {0};

    assert_non_null(mkdtemp(folder));
    snprintf(cert_path, sizeof cert_path, "%s/cert.pem", folder);
    snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
    make_pair("one.test", cert_path, key_path);
    server = tls_server_open(&(struct tls_pair){cert_path, key_path}, 1, &error, &warnings);
    assert_non_null(server);
    assert_int_equal(error.len + warnings.len, 0);
    client_ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(client_ctx);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_server_unref(server);
    SSL_CTX_free(client_ctx);
    unlink(cert_path);
    unlink(key_path);
    rmdir(folder);
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    total = (struct net_total){0};
    world_open(&world, MEGABYTE, 100, 4);
    world_open(&other, MEGABYTE, 100, 4);
    net_share(&world.net, &total);
    net_share(&other.net, &total);
    net_set_tls(&world.net, server);
    world.net.plain_answer = (struct span){plain_text, sizeof plain_text - 1};
    return 0;
}

static int done(void **state)
{
    (void)state;
    world_close(&world);
    world_close(&other);
    return 0;
}

/* ---- a client ---- */

struct client {
    int fd;
    SSL *ssl;
    struct buf got;
    bool ready, ended, failed;
};

/* Goes on, as far as it can without waiting; reads at most max bytes in all. */
static bool client_step(struct client *client, size_t max)
{
    if (!client->ready) {
        int rc = SSL_connect(client->ssl);
        client->ready = rc == 1;
        if (rc != 1) {
            int error = SSL_get_error(client->ssl, rc);
            client->failed = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
            return false;
        }
    }
    while (client->got.len < max && !client->ended && !client->failed) {
        assert_int_equal(buf_reserve(&client->got, 16384), 0);
        size_t room = max - client->got.len < 16384 ? max - client->got.len : 16384;
        int n = SSL_read(client->ssl, client->got.data + client->got.len, (int)room);
        if (n > 0) {
            client->got.len += (size_t)n;
            continue;
        }
        int error = SSL_get_error(client->ssl, n);
        client->ended = error == SSL_ERROR_ZERO_RETURN;
        client->failed = !client->ended && error != SSL_ERROR_WANT_READ;
        break;
    }
    return true;
}

static void client_start(struct client *client)
{
    client->ssl = SSL_new(client_ctx);
    assert_non_null(client->ssl);
    SSL_set_fd(client->ssl, client->fd);
    SSL_set_mode(client->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static struct side *dial_tls(struct client *client, bool small)
{
    *client = (struct client){0};
    struct side *side = dial(&world, &client->fd, small);
    client_start(client);
    WAIT(&world, client_step(client, 0));
    return side;
}

static void client_say(struct world *where, struct client *client, const char *data, size_t len)
{
    uint64_t until = clock_monotonic_ns() + TEST_SECONDS * 1000000000ull;

    while (len > 0) {
        int n = SSL_write(client->ssl, data, (int)len);
        assert_true(clock_monotonic_ns() < until);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else {
            loop_step(&where->loop);
        }
    }
}

static void client_end(struct client *client)
{
    SSL_free(client->ssl);
    buf_fini(&client->got);
    close(client->fd);
}

static void pattern(char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 7 + i / 251);
}

/* ---- tests ---- */

static void bytes_go_both_ways_and_the_end_is_said(void **state)
{
    (void)state;
    struct client client;
    struct side *side = dial_tls(&client, false);

    assert_true(side->conn->secure);
    client_say(&world, &client, "question", 8);
    WAIT(&world, side->got.len == 8);
    assert_bytes(&side->got, "question");
    conn_write(side->conn, "answer", 6);
    WAIT(&world, (client_step(&client, 6), client.got.len == 6));
    assert_bytes(&client.got, "answer");
    conn_write(side->conn, " and end", 8);
    conn_close(side->conn);
    WAIT(&world, (client_step(&client, 100), client.ended));
    assert_bytes(&client.got, "answer and end");
    client_end(&client);
    WAIT(&world, side->closes == 1);
    assert_int_equal(world.counters.tls_failed, 0);
    side_free(side);
}

static void the_peers_end_is_seen_and_it_can_be_answered(void **state)
{
    (void)state;
    struct client client;
    struct side *side = dial_tls(&client, false);

    client_say(&world, &client, "last", 4);
    SSL_shutdown(client.ssl);
    WAIT(&world, side->ends == 1);
    assert_bytes(&side->got, "last");
    conn_write(side->conn, "answer", 6);
    WAIT(&world, (client_step(&client, 6), client.got.len == 6));
    shutdown(client.fd, SHUT_WR); /* after its close_notify: not seen as a second end */
    conn_write(side->conn, "!", 1);
    WAIT(&world, (client_step(&client, 7), client.got.len == 7));
    assert_int_equal(side->ends, 1);
    conn_close(side->conn);
    WAIT(&world, side->closes == 1);
    client_end(&client);
    side_free(side);
}

static void a_group_of_plain_ones_and_of_tls(void **state)
{
    (void)state;
    struct conn_group group;
    struct client client;
    struct buf plain = {0};
    char text[32];
    int fd;

    struct side *secure = dial_tls(&client, false);
    net_set_tls(&world.net, NULL);
    struct side *open = dial(&world, &fd, false);
    assert_null(open->conn->tls);
    conn_group_init(&group, &world.net);
    conn_group_join(&group, secure->conn);
    conn_group_join(&group, open->conn);
    size_t len = 0, own = 0;
    for (int i = 0; i < 400; i++) {
        struct conn *without[] = {i % 2 ? secure->conn : open->conn};
        int n = snprintf(text, sizeof text, "message %04d;", i);
        conn_group_write(&group, text, 4, text + 4, (size_t)n - 4, without, i % 10 == 0);
        len += i % 10 == 0 ? 0 : (size_t)n; /* i even: the plain one is left out */
        if (i % 7 == 0) {
            conn_write(secure->conn, "own;", 4);
            own += 4;
        }
        if (i % 50 == 0)
            loop_step(&world.loop);
    }
    WAIT(&world, (client_step(&client, SIZE_MAX / 2), client_read(fd, &plain, 1 << 20),
                  plain.len >= len && client.got.len >= len + (size_t)40 * 13 + own));
    assert_int_equal(plain.len, len);
    assert_int_equal(client.got.len, len + (size_t)40 * 13 + own);
    /* each is in order */
    int last = -1;
    size_t at = 0;
    while (at < client.got.len) {
        if (memcmp(client.got.data + at, "own;", 4) == 0) {
            at += 4;
            continue;
        }
        int number = atoi((char *)client.got.data + at + 8);
        assert_int_equal(number, last + 1);
        last = number;
        at += 13;
    }
    conn_group_leave(secure->conn);
    conn_group_leave(open->conn);
    conn_group_fini(&group);
    buf_fini(&plain);
    hang_up(open, fd);
    client_end(&client);
    hang_up(secure, -1);
}

static void much_to_a_slow_reader(void **state)
{
    (void)state;
    struct client client;
    struct side *side = dial_tls(&client, true);
    size_t len = 900000;
    struct bytes *body = bytes_new(len);

    assert_non_null(body);
    pattern((char *)body->data, len);
    conn_write_message(side->conn, "head", 4, body);
    WAIT(&world, conn_pending(side->conn) > 0 && side->conn->tls_sending);
    conn_write(side->conn, "tail", 4); /* behind all that */
    for (int i = 0; i < 20; i++)
        loop_step(&world.loop);
    assert_int_equal(side->drains, 0);
    assert_true(conn_pending(side->conn) > len / 2);
    WAIT(&world, (client_step(&client, len + 8), client.got.len == len + 8));
    assert_memory_equal(client.got.data, "head", 4);
    assert_memory_equal(client.got.data + 4, body->data, len);
    assert_memory_equal(client.got.data + 4 + len, "tail", 4);
    WAIT(&world, side->drains == 1);
    assert_int_equal(conn_pending(side->conn), 0);
    assert_int_equal(side->overflows, 0);
    bytes_unref(body);
    client_end(&client);
    hang_up(side, -1);
}

static void too_much_overflows(void **state)
{
    (void)state;
    struct client client;
    struct side *side = dial_tls(&client, true);
    struct bytes *body = bytes_new(3u * MEGABYTE);

    assert_non_null(body);
    memset(body->data, 'x', body->len);
    conn_write_message(side->conn, NULL, 0, body);
    WAIT(&world, side->overflows == 1);
    assert_true(conn_pending(side->conn) > MEGABYTE);
    conn_close(side->conn); /* the peer takes nothing: reset when the time is over */
    WAIT(&world, side->closes == 1);
    bytes_unref(body);
    client_end(&client);
    side_free(side);
}

static size_t takes_one_and_pauses(struct side *side, uint8_t *data, size_t len)
{
    (void)data;
    (void)len;
    conn_pause(side->conn);
    return 1;
}

static void a_reader_that_pauses_misses_nothing(void **state)
{
    (void)state;
    struct client client;
    struct side *side = dial_tls(&client, false);
    static char text[40000];

    pattern(text, sizeof text);
    side->on_read = takes_one_and_pauses;
    client_say(&world, &client, text, sizeof text);
    for (size_t i = 1; i < 200; i++) {
        WAIT(&world, side->got.len == i);
        conn_resume(side->conn);
    }
    WAIT(&world, side->got.len == 200);
    side->on_read = NULL;
    conn_resume(side->conn);
    WAIT(&world, side->got.len == sizeof text);
    assert_memory_equal(side->got.data, text, sizeof text);
    client_end(&client);
    hang_up(side, -1);
}

static void it_moves_to_another_loop_with_all_that_was_begun(void **state)
{
    (void)state;
    struct client client;
    struct conn_parcel parcel;
    static char text[40000];
    struct side *side = dial_tls(&client, false);

    pattern(text, sizeof text);
    side->on_read = takes_one_and_pauses;
    client_say(&world, &client, text, sizeof text);
    WAIT(&world, side->got.len == 1);
    conn_write(side->conn, "before", 6);
    assert_int_equal(conn_export(side->conn, &parcel), 0);
    WAIT(&world, world.net.n_conns == 0);
    assert_int_equal(side->closes, 0);
    side->on_read = NULL;
    side->conn = conn_import(&other.net, &parcel);
    assert_non_null(side->conn);
    assert_true(side->conn->secure);
    side->world = &other;
    world.n_sides--;
    other.n_sides++;
    conn_set_owner(side->conn, &side_ops, side);
    conn_start(side->conn);
    WAIT(&other, side->got.len == sizeof text);
    assert_memory_equal(side->got.data, text, sizeof text);
    conn_write(side->conn, " after", 6);
    WAIT(&other, (client_step(&client, 12), client.got.len == 12));
    assert_bytes(&client.got, "before after");
    client_say(&other, &client, "more", 4);
    WAIT(&other, side->got.len == sizeof text + 4);
    client_end(&client);
    WAIT(&other, side->ends == 1);
    assert_int_equal(world.counters.tls_failed + other.counters.tls_failed, 0);
    hang_up(side, -1);
}

static void who_speaks_no_tls(void **state)
{
    (void)state;
    struct buf answer = {0};
    int fd;

    struct side *side = dial(&world, &fd, false);
    client_send(&world, fd, "GET / HTTP/1.1\r\n\r\n", 18);
    WAIT(&world, client_read(fd, &answer, 100) == 0);
    assert_bytes(&answer, plain_text);
    assert_int_equal(side->reads, 0);
    close(fd);
    WAIT(&world, side->closes == 1);
    side_free(side);
    assert_int_equal(world.counters.tls_failed, 1);

    side = dial(&world, &fd, false);
    client_send(&world, fd, "\x16\x03\x01\x00\x05hello and more", 20);
    WAIT(&world, side->closes == 1);
    assert_int_equal(side->reads + side->errors, 0);
    close(fd);
    side_free(side);
    assert_int_equal(world.counters.tls_failed, 2);

    side = dial(&world, &fd, false); /* one that says nothing is closed before it has begun */
    conn_write(side->conn, "never said", 10);
    conn_close(side->conn);
    answer.len = 0;
    WAIT(&world, client_read(fd, &answer, 100) == 0);
    assert_int_equal(answer.len, 0);
    close(fd);
    WAIT(&world, side->closes == 1);
    side_free(side);
    assert_int_equal(world.counters.tls_failed, 3);

    side = dial(&world, &fd, false); /* one that goes in the middle */
    client_send(&world, fd, "\x16\x03\x01", 3);
    close(fd);
    WAIT(&world, side->ends == 1);
    conn_close(side->conn);
    WAIT(&world, side->closes == 1);
    side_free(side);
    assert_int_equal(world.counters.tls_failed, 4);
    buf_fini(&answer);
}

static void garbage_behind_the_handshake(void **state)
{
    (void)state;
    struct client client;
    struct side *side = dial_tls(&client, false);

    client_send(&world, client.fd, "this is no record of TLS at all", 31);
    WAIT(&world, side->closes == 1);
    assert_int_equal(side->errors, 1);
    assert_int_equal(side->error, -EPROTO);
    assert_int_equal(side->reads, 0);
    client_end(&client);
    side_free(side);
}

static void what_is_no_certificate(void **state)
{
    (void)state;
    char other_cert[64], other_key[64];
    struct buf error = {0}, warnings = {0};

    snprintf(other_cert, sizeof other_cert, "%s/other.pem", folder);
    snprintf(other_key, sizeof other_key, "%s/other.key", folder);
    make_pair("two.test", other_cert, other_key);
    const struct {
        struct tls_pair pair;
        const char *problem;
    } tests[] = {
        {{"/nowhere/cert.pem", key_path}, "/nowhere/cert.pem: No such file"},
        {{cert_path, folder}, "it is no file"},
        {{key_path, key_path}, "key.pem: there is no certificate in it"},
        {{cert_path, cert_path}, "cert.pem: there is no private key in it"},
        {{cert_path, other_key}, "other.key: it is not the key of the certificate"},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        const struct tls_pair pairs[] = {{other_cert, other_key}, tests[i].pair};
        assert_null(tls_server_open(pairs, 2, &error, &warnings));
        assert_int_equal(buf_append(&error, "", 1), 0);
        if (!strstr((char *)error.data, tests[i].problem))
            fail_msg("%s, not %s", (char *)error.data, tests[i].problem);
        assert_null(strchr((char *)error.data, '\n'));
        error.len = 0;
    }
    warnings.len = 0; /* a certificate that was given as a key may be read by everybody */
    assert_int_equal(chmod(other_key, 0644), 0);
    struct tls_server *opened =
        tls_server_open(&(struct tls_pair){other_cert, other_key}, 1, &error, &warnings);
    assert_non_null(opened);
    assert_int_equal(buf_append(&warnings, "", 1), 0);
    assert_non_null(strstr((char *)warnings.data, "everybody on this machine can read this key"));
    tls_server_unref(opened);
    unlink(other_cert);
    unlink(other_key);
    buf_fini(&error);
    buf_fini(&warnings);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways_and_the_end_is_said),
        TEST(the_peers_end_is_seen_and_it_can_be_answered),
        TEST(a_group_of_plain_ones_and_of_tls),
        TEST(much_to_a_slow_reader),
        TEST(too_much_overflows),
        TEST(a_reader_that_pauses_misses_nothing),
        TEST(it_moves_to_another_loop_with_all_that_was_begun),
        TEST(who_speaks_no_tls),
        TEST(garbage_behind_the_handshake),
        TEST(what_is_no_certificate),
    };
    set_up(NULL);
    int failed = RUN_BOTH_WAYS(tests);
    tear_down(NULL);
    return failed;
}
