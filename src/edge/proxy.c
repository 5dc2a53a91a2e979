#include "edge/proxy.h"

#include "http/field.h"

/* What one element of a field says: who spoke to the proxy that wrote it, and how. */
struct hop {
    struct address client;
    bool known;        /* it says who */
    struct span proto; /* ptr NULL: it does not say how */
};

static bool trusted(const struct config *config, const struct address *address)
{
    for (size_t i = 0; i < config->n_trusted_proxies; i++) {
        if (address_in_range(address, &config->trusted_proxies[i]))
            return true;
    }
    return false;
}

/* ---- elements ---- */

/* Takes the last element off a comma-separated list, blanks around it gone; false at the end. Commas inside
 * quotes do not count. From the end, since what a client wrote in front can't change how it is read. */
static bool last_element(struct span *rest, struct span *element)
{
    bool quoted = false;
    size_t at = rest->len;

    if (!rest->ptr)
        return false;
    for (; at > 0 && (quoted || rest->ptr[at - 1] != ','); at--)
        quoted = quoted != (rest->ptr[at - 1] == '"');
    *element = span_trim((struct span){rest->ptr + at, rest->len - at});
    *rest = at > 0 ? (struct span){rest->ptr, at - 1} : (struct span){NULL, 0};
    return true;
}

static bool is_port(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return text.len >= 1 && text.len <= 5;
}

/* An address, maybe with a port; one of IPv6 in brackets, or without both. */
static bool parse_node(struct span text, struct address *address)
{
    const char *end = text.ptr + text.len;
    const char *colon = memchr(text.ptr, ':', text.len);
    struct span host = text;

    if (text.len > 0 && *text.ptr == '[') {
        const char *bracket = memchr(text.ptr, ']', text.len);
        if (!bracket || (bracket + 1 < end && bracket[1] != ':'))
            return false;
        host = (struct span){text.ptr + 1, (size_t)(bracket - text.ptr) - 1};
        colon = bracket + 1 < end ? bracket + 1 : NULL;
        if (!memchr(host.ptr, ':', host.len))
            return false;
    } else if (colon && memchr(colon + 1, ':', (size_t)(end - colon) - 1)) {
        colon = NULL; /* IPv6 */
    } else if (colon) {
        host.len = (size_t)(colon - text.ptr);
    }
    if (colon && !is_port((struct span){colon + 1, (size_t)(end - colon) - 1}))
        return false;
    return address_parse(host, address);
}

static struct hop read_forwarded_for(struct span element)
{
    struct hop hop = {.known = false};
    hop.known = parse_node(element, &hop.client);
    return hop;
}

/* Takes name=value off the front of an element of Forwarded, and the ";" behind it; the value is a token or
 * stands in quotes, without escapes, which no address and no scheme needs. */
static bool next_pair(struct span *rest, struct span *name, struct span *value)
{
    const char *at = rest->ptr, *end = at + rest->len;

    *name = (struct span){at, http_token_run(at, rest->len)};
    at += name->len;
    if (name->len == 0 || at == end || *at != '=')
        return false;
    at++;
    if (at < end && *at == '"') {
        const char *quote = memchr(at + 1, '"', (size_t)(end - at) - 1);
        if (!quote || memchr(at, '\\', (size_t)(quote - at)))
            return false;
        *value = (struct span){at + 1, (size_t)(quote - at) - 1};
        at = quote + 1;
    } else {
        /* An address with a port is no token, but is often sent without the quotes that it needs. */
        *value = (struct span){at, 0};
        while (at < end && (http_token_run(at, 1) == 1 || (*at && strchr(":[]", *at))))
            at++;
        value->len = (size_t)(at - value->ptr);
    }
    *rest = span_trim((struct span){at, (size_t)(end - at)});
    if (rest->len == 0)
        return true;
    bool more = *rest->ptr == ';';
    *rest = span_trim((struct span){rest->ptr + 1, rest->len - 1});
    return more;
}

/* Nothing is known of an element that is not as RFC 7239 §4 has it. */
static struct hop read_forwarded(struct span element)
{
    static const struct hop nothing = {.known = false};
    struct hop hop = nothing;
    struct span name, value, node = {NULL, 0};

    while (element.len > 0) {
        if (!next_pair(&element, &name, &value))
            return nothing;
        struct span *known = span_equal_nocase(name, SPAN("for"))     ? &node
                             : span_equal_nocase(name, SPAN("proto")) ? &hop.proto
                                                                      : NULL;
        if (known && known->ptr)
            return nothing; /* twice */
        if (known)
            *known = value;
    }
    hop.known = node.ptr && parse_node(node, &hop.client);
    return hop;
}

/* ---- fields ---- */

/* The hop that counts: from the end of all fields of this name, the first whose client is not trusted or not
 * known, else the last one seen. False: there is no such field, or nothing in it. */
static bool find_hop(const struct config *config, const struct http_request *request, struct span name,
                     struct hop (*read)(struct span element), struct hop *hop)
{
    bool found = false;

    for (size_t i = request->n_headers; i > 0; i--) {
        struct span rest = request->headers[i - 1].value, element;
        if (!span_equal_nocase(request->headers[i - 1].name, name))
            continue;
        while (last_element(&rest, &element)) {
            if (element.len == 0)
                continue;
            found = true;
            *hop = read(element);
            if (!hop->known || !trusted(config, &hop->client))
                return true;
        }
    }
    return found;
}

/* The last element of all fields of this name; ptr NULL: there is none. */
static struct span last_of(const struct http_request *request, struct span name)
{
    for (size_t i = request->n_headers; i > 0; i--) {
        struct span rest = request->headers[i - 1].value, element;
        if (!span_equal_nocase(request->headers[i - 1].name, name))
            continue;
        while (last_element(&rest, &element)) {
            if (element.len > 0)
                return element;
        }
    }
    return (struct span){NULL, 0};
}

void proxy_apply(const struct config *config, struct http_request *request)
{
    struct hop hop = {.known = false};
    struct address peer;

    if (config->n_trusted_proxies == 0 || !address_parse(span_of(request->remote), &peer) ||
        !trusted(config, &peer))
        return;
    if (!find_hop(config, request, SPAN("X-Forwarded-For"), read_forwarded_for, &hop))
        find_hop(config, request, SPAN("Forwarded"), read_forwarded, &hop);
    if (hop.known)
        address_format(&hop.client, request->remote);

    struct span proto = last_of(request, SPAN("X-Forwarded-Proto"));
    if (!proto.ptr)
        proto = hop.proto;
    if (span_equal_nocase(proto, SPAN("https")) || span_equal_nocase(proto, SPAN("wss")))
        request->secure = true;
    else if (span_equal_nocase(proto, SPAN("http")) || span_equal_nocase(proto, SPAN("ws")))
        request->secure = false;
}
