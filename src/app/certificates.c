#include "app/certificates.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

static char *path_from(const char *root, const char *file)
{
    struct buf path = {0};

    if (file[0] == '/')
        return xstrdup(file);
    CHECK(buf_printf(&path, "%s/%s", root, file) == 0 && buf_append(&path, "", 1) == 0);
    return (char *)path.data;
}

int certificates_open(const char *root, const struct config *config, struct tls_server **server,
                      struct buf *error, struct buf *warnings)
{
    size_t n = config->tls_certs.count;
    int rc = 0;

    *server = NULL;
    if (n == 0)
        return 0;
    struct string_list paths = {0};
    struct tls_pair *pairs = calloc(n, sizeof *pairs);
    CHECK(pairs != NULL);
    for (size_t i = 0; i < n; i++) {
        char *cert = path_from(root, config->tls_certs.items[i]),
             *key = path_from(root, config->tls_keys.items[i]);
        string_list_add(&paths, cert);
        string_list_add(&paths, key);
        free(cert);
        free(key);
    }
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct tls_pair){paths.items[2 * i], paths.items[2 * i + 1]};
    *server = tls_server_open(pairs, n, error, warnings);
    if (!*server)
        rc = -EINVAL;
    free(pairs);
    string_list_fini(&paths);
    return rc;
}
