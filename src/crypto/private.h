/* What the sources of keys share. */
#pragma once

#include "crypto/key.h"

/* The pkey becomes the key, which owns it from here on, also when it is refused: the type must be one of ours, and
 * the key no weaker than it has to be. Returns as key_from_pem. */
const char *key_adopt(struct key *key, struct evp_pkey_st *pkey, bool private)
    __attribute__((warn_unused_result));
