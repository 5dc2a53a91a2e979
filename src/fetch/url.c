/* URLs, as curl reads them: what is checked is what is asked for. */
#include "fetch/private.h"

#include <errno.h>
#include <stdlib.h>

static bool is_web(CURLU *handle)
{
    char *scheme = NULL;

    if (curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return false;
    bool web = strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0;
    curl_free(scheme);
    return web;
}

static int set(CURLU *handle, const char *url)
{
    switch (curl_url_set(handle, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE)) {
    case CURLUE_OK: return 0;
    case CURLUE_OUT_OF_MEMORY: return -ENOMEM;
    default: return -EINVAL;
    }
}

static int parse(CURLU **handle, const char *url)
{
    *handle = curl_url();
    if (!*handle)
        return -ENOMEM;
    int rc = set(*handle, url);
    if (rc == 0 && !is_web(*handle))
        rc = -EPROTONOSUPPORT;
    if (rc == 0)
        return 0;
    curl_url_cleanup(*handle);
    *handle = NULL;
    return rc;
}

int fetch_url_check(const char *url)
{
    CURLU *handle;
    int rc = parse(&handle, url);
    curl_url_cleanup(handle);
    return rc;
}

char *url_resolve(const char *base, const char *reference, int *rc)
{
    CURLU *handle;
    char *url = NULL, *copy = NULL;

    *rc = parse(&handle, base);
    if (*rc != 0)
        return NULL;
    *rc = set(handle, reference);
    if (*rc == 0 && !is_web(handle))
        *rc = -EPROTONOSUPPORT;
    if (*rc == 0) {
        (void)curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
        if (curl_url_get(handle, CURLUPART_URL, &url, 0) == CURLUE_OK)
            copy = strdup(url);
        *rc = copy ? 0 : -ENOMEM;
    }
    curl_free(url);
    curl_url_cleanup(handle);
    return copy;
}

/* Are they equal, but for case? */
static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *in_a = NULL, *in_b = NULL;
    bool same = curl_url_get(a, part, &in_a, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(b, part, &in_b, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(in_a, in_b) == 0;
    curl_free(in_a);
    curl_free(in_b);
    return same;
}

bool url_same_origin(const char *a, const char *b)
{
    CURLU *in_a = NULL, *in_b = NULL;
    bool same = parse(&in_a, a) == 0 && parse(&in_b, b) == 0 && same_part(in_a, in_b, CURLUPART_SCHEME) &&
                same_part(in_a, in_b, CURLUPART_HOST) && same_part(in_a, in_b, CURLUPART_PORT);
    curl_url_cleanup(in_a);
    curl_url_cleanup(in_b);
    return same;
}
