/* Is it JSON (RFC 8259), in valid UTF-8? Strict and small, for tests of what writes JSON
 * without a library. */
#pragma once

#include "base/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct json_check {
    const char *at, *end;
};

static bool json_check_value(struct json_check *json);

static bool json_check_take(struct json_check *json, char c)
{
    if (json->at == json->end || *json->at != c)
        return false;
    json->at++;
    return true;
}

static void json_check_space(struct json_check *json)
{
    while (json->at < json->end && strchr(" \t\r\n", *json->at) && *json->at)
        json->at++;
}

static size_t json_check_class(struct json_check *json, const char *chars)
{
    size_t n = 0;
    for (; json->at < json->end && *json->at && strchr(chars, *json->at); n++)
        json->at++;
    return n;
}

static bool json_check_string(struct json_check *json)
{
    if (!json_check_take(json, '"'))
        return false;
    while (json->at < json->end && *json->at != '"') {
        if ((unsigned char)*json->at < 0x20)
            return false;
        if (!json_check_take(json, '\\')) {
            json->at++;
        } else if (json_check_take(json, 'u')) {
            for (int i = 0; i < 4; i++, json->at++) {
                if (json->at == json->end || !*json->at || !strchr("0123456789abcdefABCDEF", *json->at))
                    return false;
            }
        } else {
            if (json->at == json->end || !*json->at || !strchr("\"\\/bfnrt", *json->at))
                return false;
            json->at++;
        }
    }
    return json_check_take(json, '"');
}

static bool json_check_number(struct json_check *json)
{
    static const char digits[] = "0123456789";
    json_check_take(json, '-');
    if (!json_check_take(json, '0') && !json_check_class(json, digits))
        return false;
    if (json_check_take(json, '.') && !json_check_class(json, digits))
        return false;
    if (json_check_take(json, 'e') || json_check_take(json, 'E')) {
        if (!json_check_take(json, '-'))
            json_check_take(json, '+');
        return json_check_class(json, digits) > 0;
    }
    return true;
}

/* The members of an object or the elements of an array, after the bracket. */
static bool json_check_members(struct json_check *json, char close)
{
    json_check_space(json);
    if (json_check_take(json, close))
        return true;
    do {
        json_check_space(json);
        if (close == '}') {
            if (!json_check_string(json))
                return false;
            json_check_space(json);
            if (!json_check_take(json, ':'))
                return false;
        }
        if (!json_check_value(json))
            return false;
    } while (json_check_take(json, ','));
    return json_check_take(json, close);
}

static bool json_check_value(struct json_check *json)
{
    static const char *const words[] = {"true", "false", "null"};
    bool good = false;
    json_check_space(json);
    for (size_t i = 0; i < 3 && !good; i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(json->end - json->at) >= len && memcmp(json->at, words[i], len) == 0) {
            json->at += len;
            good = true;
        }
    }
    if (!good && json_check_take(json, '{'))
        good = json_check_members(json, '}');
    else if (!good && json_check_take(json, '['))
        good = json_check_members(json, ']');
    else if (!good && json->at < json->end && *json->at == '"')
        good = json_check_string(json);
    else if (!good)
        good = json_check_number(json);
    json_check_space(json);
    return good;
}

static bool json_valid(const char *text, size_t len)
{
    struct json_check json = {text, text + len};
    return utf8_valid(text, len) && json_check_value(&json) && json.at == json.end;
}
