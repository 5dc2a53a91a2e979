-- crypto.jwt: the tokens of RFC 7515 A.1 to A.3, every rule for what is refused, and signing.

local jwt, base64url = crypto.jwt, crypto.base64url

-- The keys of RFC 7515 A.1 to A.3 and RFC 8037 A.
local secret = { kty = "oct", k = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" }
local rsa = { kty = "RSA", e = "AQAB", n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR" ..
  "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB" ..
  "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia" ..
  "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" }
local rsaPrivate = { kty = "RSA", e = rsa.e, n = rsa.n, d = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46su" ..
  "i395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4" ..
  "qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB" ..
  "4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ" }
local ec = { kty = "EC", crv = "P-256", x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
             y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }
local ed = { kty = "OKP", crv = "Ed25519", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }
local rsaPem = [[
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj
NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz
P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo
9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB
EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX
FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp
oQIDAQAB
-----END PUBLIC KEY-----
]]
local ecPem = [[
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----
]]
local ecPrivatePem = [[
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49
AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b
focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END EC PRIVATE KEY-----
]]
local edPem = [[
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
]]
local edPrivatePem = [[
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
]]
local weakPem = [[
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC0sCf3IGiOVjX9NLi+/M7g1ps+
d6vFkK1s9mNpE4jun6g3G2m33ySbCE8mqEV3xjTes4TejnB/owP3nQoq2xcgIXMX
PUKkTMerTINYPOgWL4dXKazq14HlV3kG8kbl+TnICtJP7qRKIfG1Wv1UrHYPHEOz
kTvkCWY5X2Cl7T3SdQIDAQAB
-----END PUBLIC KEY-----
]]

local function with(t, more)
  local copy = {}
  for key, value in pairs(t) do copy[key] = value end
  for key, value in pairs(more) do copy[key] = value end
  return copy
end

-- A token of these two parts, JSON text or tables, signed by HMAC with this secret, whatever the header says.
local function token(header, claims, key)
  if type(header) == "table" then header = json.encode(header) end
  if type(claims) == "table" then claims = next(claims) and json.encode(claims) or "{}" end
  local text = base64url.encode(header) .. "." .. base64url.encode(claims)
  return text .. "." .. base64url.encode(crypto.hmac("sha256", key, text))
end

-- It is refused, with a message that has this text in it.
local function refused(text, ...)
  local claims, message = jwt.verify(...)
  eq(claims, nil)
  if not string.find(message, text, 1, true) then error("refused by " .. message .. ", not " .. text, 2) end
end

local HS256 = { alg = "HS256" }
local KEY = "a secret of the tests, long enough"
local hour = 3600
local today = now() // 1000

-- They expired in 2011.
local payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
local long = { leeway = 1e10 }
local wanted = { iss = "joe", exp = 1300819380, ["http://example.com/is_root"] = true }

test("the published tokens", function()
  local a1 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." .. payload .. ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
  local a2 = "eyJhbGciOiJSUzI1NiJ9." .. payload .. "." .. "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9" ..
  "uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB" ..
  "_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq" ..
  "Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
  local a3 = "eyJhbGciOiJFUzI1NiJ9." .. payload ..
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
  eq(jwt.verify(a1, secret, long), wanted)
  eq(jwt.verify(a1, base64url.decode(secret.k), long), wanted)
  eq(jwt.verify(a2, rsa, long), wanted)
  eq(jwt.verify(a2, rsaPem, long), wanted)
  eq(jwt.verify(a2, json.encode(rsa), long), wanted)
  eq(jwt.verify(a3, ec, long), wanted)
  eq(jwt.verify(a3, ecPem, long), wanted)
  eq(jwt.verify(a3, { keys = { secret, rsa, ec, ed } }, long), wanted)
  refused("expired", a1, secret)
  refused("expired", a2, rsa)
  refused("expired", a3, ec)
  refused("not the one that the key is for", a1, rsa, long)
  refused("not the one that the key is for", a2, secret, long)
  refused("not the one that the key is for", a3, rsaPem, long)
  refused("not the one that the key is for", a3, "secret", long)
  refused("signature does not match", a1, "another secret", long)
  refused("signature does not match", a1:gsub("dBjf", "dBjg"), secret, long)
  -- RFC 8037's signs a text, not claims
  refused("claims are no JSON object",
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." ..
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg", ed)
end)

test("there and back with every kind of key", function()
  local pairs_of_keys = {
    { KEY, KEY }, { secret, secret }, { rsaPrivate, rsaPem }, { ecPrivatePem, ecPem }, { ecPrivatePem, ec },
    { edPrivatePem, edPem }, { edPrivatePem, ed }, { rsaPrivate, rsaPrivate }, { ecPrivatePem, ecPrivatePem },
    { { keys = { secret } }, { keys = { ed, secret } } },
  }
  for _, keys in ipairs(pairs_of_keys) do
    local claims = { sub = "anna", exp = today + hour, list = { 1, 2 }, deep = { a = { b = true } }, half = 0.5 }
    eq(jwt.verify(jwt.sign(claims, keys[1]), keys[2]), claims)
  end
  eq(jwt.sign({ sub = "anna" }, "secret"), -- as other libraries make it
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm5hIn0.fkxZZY8LpWLPT9gIkuIa7c8pYTntzkEaE0965LWg66M")
  eq(jwt.verify(jwt.sign({}, KEY), KEY), {})
end)

test("a public key is no secret", function()
  for _, key in ipairs { rsaPem, ecPem, edPem } do
    refused("not the one that the key is for", token(HS256, { sub = "x" }, key), key)
    refused("not the one that the key is for", token(HS256, { sub = "x" }, key), key, { algs = { "HS256" } })
    refused("not the one that the key is for", token(HS256, { sub = "x" }, "x"), { keys = { rsa } })
    local bare = key:gsub("%-%-%-%-%-[^\n]*\n", "")
    raises("public key is no secret", jwt.verify, token(HS256, { sub = "x" }, bare), bare)
    raises("public key is no secret", jwt.verify, token(HS256, {}, bare), crypto.base64.decode((bare:gsub("\n", ""))))
  end
  for _, key in ipairs { rsa, ec, ed } do
    local text = json.encode(key)
    refused("not the one that the key is for", token(HS256, { sub = "x" }, text), text)
    refused("not the one that the key is for", token(HS256, { sub = "x" }, text), key)
  end
  raises("this is no JSON", jwt.verify, token(HS256, {}, "{x"), "{x")
  raises("public key is no secret", jwt.sign, {}, { kty = "oct", k = base64url.encode(rsaPem) })
end)

test("alg", function()
  local function none(name)
    return base64url.encode(json.encode({ alg = name })) .. "." .. base64url.encode('{"sub":"x"}') .. "."
  end
  for _, name in ipairs { "none", "None", "NONE", "nOnE", "" } do
    refused('"alg" is "' .. name .. '"', none(name), KEY)
    refused('"alg" is "' .. name .. '"', none(name), rsa)
    refused('"alg" is "' .. name .. '"', none(name), { keys = {} })
  end
  raises("no algorithm none", jwt.verify, none("none"), KEY, { algs = { "none" } })
  for _, name in ipairs { "HS512", "hs256", "RS512", "PS256", "ES384", "HS256\0" } do
    refused('the token\'s "alg" is', token({ alg = name }, {}, KEY), KEY)
  end
  refused('has no "alg"', token({ typ = "JWT" }, {}, KEY), KEY)
  refused('has no "alg"', token({ alg = 1 }, {}, KEY), KEY)
  refused('has no "alg"', token('{"alg":null}', {}, KEY), KEY)
  refused('has no "alg"', token({ alg = { "HS256" } }, {}, KEY), KEY)
  eq(jwt.verify(token(HS256, {}, KEY), KEY, { algs = { "HS256" } }), {})
  eq(jwt.verify(token(HS256, {}, KEY), KEY, { algs = "HS256" }), {})
  refused("algs does not allow", token(HS256, {}, KEY), KEY, { algs = { "RS256", "ES256", "EdDSA" } })
  refused("another \"alg\"", token(HS256, {}, "k"), { kty = "oct", k = "aw", alg = "HS512" })
  eq(jwt.verify(token(HS256, {}, "k"), { kty = "oct", k = "aw", alg = "HS256" }), {})
end)

test("the header", function()
  refused('"crit"', token({ alg = "HS256", crit = { "exp" } }, {}, KEY), KEY)
  refused('"crit"', token({ alg = "HS256", crit = { "b64" }, b64 = false }, {}, KEY), KEY)
  refused('"crit"', token('{"alg":"HS256","crit":null}', {}, KEY), KEY)
  refused("header is no JSON object", token("[]", {}, KEY), KEY)
  refused("header is no JSON object", token('"HS256"', {}, KEY), KEY)
  refused("header is no JSON object", token("", {}, KEY), KEY)
  refused("header is no JSON object", token('{"alg":"HS256"', {}, KEY), KEY)
  refused("header is no JSON object", token('{"alg":"HS256","x":"\xff"}', {}, KEY), KEY)
  refused('"kid" in the token\'s header is no string', token({ alg = "HS256", kid = 1 }, {}, KEY), KEY)
  eq(jwt.verify(token({ alg = "HS256", typ = "at+jwt", jwk = rsa, jku = "http://x" }, {}, KEY), KEY), {})
end)

test("what is no token", function()
  local good = token(HS256, { sub = "x" }, KEY)
  refused("there is no token", nil, KEY)
  refused("has not three parts", "", KEY)
  refused("has not three parts", "a.b", KEY)
  refused("has not three parts", good .. ".", KEY)
  refused("encrypted", "a.b.c.d.e", KEY)
  refused("header is no JSON", "..", KEY)
  refused("header is no JSON", " " .. good, KEY)
  refused("no base64url", good .. "=", KEY)
  refused("no base64url", good .. " ", KEY)
  refused("no base64url", good .. "\n", KEY)
  refused("does not match", good:match "^(.*%.).*$", KEY)
  refused("header is no JSON", good:gsub("^.", "%0="), KEY)
  local head, body, signature = good:match "^(.*)%.(.*)%.(.*)$"
  refused("does not match", head .. "." .. body .. "A." .. signature, KEY)
  refused("claims are no JSON object", token(HS256, "[1]", KEY), KEY)
  refused("claims are no JSON object", token(HS256, "1", KEY), KEY)
  refused("claims are no JSON object", token(HS256, "", KEY), KEY)
  refused("claims are no JSON object", token(HS256, '{"sub":"x"} x', KEY), KEY)
  raises("string expected", jwt.verify, {}, KEY)
  raises("string expected", jwt.verify, true, KEY)
end)

test("exp, nbf and leeway", function()
  local function check(claims, options) return jwt.verify(token(HS256, claims, KEY), KEY, options) ~= nil end
  eq(check { exp = today + hour }, true)
  eq(check { exp = today + hour + 0.5 }, true)
  eq(check { exp = today - 1 }, false)
  eq(check({ exp = today - 10 }, { leeway = 60 }), true)
  eq(check({ exp = today - 100 }, { leeway = 60 }), false)
  eq(check { nbf = today - 1 }, true)
  eq(check { nbf = today + hour }, false)
  eq(check({ nbf = today + 10 }, { leeway = 60 }), true)
  eq(check({ nbf = today + 100 }, { leeway = 60 }), false)
  eq(check { iat = today + hour }, true)
  refused("expired", token(HS256, { exp = 0 }, KEY), KEY)
  refused("expired", token(HS256, { exp = -1e300 }, KEY), KEY)
  refused("not valid yet", token(HS256, { nbf = 1e300 }, KEY), KEY)
  for _, name in ipairs { "exp", "nbf", "iat" } do
    refused("is no number", token(HS256, { [name] = "1" }, KEY), KEY)
    refused("is no number", token(HS256, { [name] = true }, KEY), KEY)
    refused("is no number", token(HS256, { [name] = {} }, KEY), KEY)
  end
end)

test("issuer and audience", function()
  local function check(claims, options) return jwt.verify(token(HS256, claims, KEY), KEY, options) ~= nil end
  eq(check({ iss = "a" }, { issuer = "a" }), true)
  eq(check({ iss = "a" }, { issuer = { "b", "a" } }), true)
  eq(check({ iss = "a" }, { issuer = "A" }), false)
  eq(check({ iss = "a" }, { issuer = { "b" } }), false)
  eq(check({}, { issuer = "a" }), false)
  eq(check({ iss = { "a" } }, { issuer = "a" }), false)
  eq(check({ iss = 1 }, { issuer = "1" }), false)
  eq(check({ aud = "a" }, { audience = "a" }), true)
  eq(check({ aud = { "b", "a" } }, { audience = "a" }), true)
  eq(check({ aud = { "b", "a" } }, { audience = { "c", "a" } }), true)
  eq(check({ aud = "a" }, { audience = { "c", "a" } }), true)
  eq(check({ aud = { "b", "c" } }, { audience = "a" }), false)
  eq(check({ aud = {} }, { audience = "a" }), false)
  eq(check({ aud = { 1, { "a" }, "a" } }, { audience = "a" }), true)
  eq(check({}, { audience = "a" }), false)
  eq(check({ aud = 1 }, { audience = "a" }), false)
  eq(check { aud = "a" }, true)
  refused("issuer (iss)", token(HS256, {}, KEY), KEY, { issuer = "a" })
  refused("audience (aud)", token(HS256, {}, KEY), KEY, { audience = "a" })
end)

test("JWKS", function()
  local function oct(kid, key, more)
    return with({ kty = "oct", kid = kid, k = base64url.encode(key) }, more or {})
  end
  local set = { keys = { oct("one", "1"), oct("two", "2"), rsa, with(ec, { kid = "three" }), "junk", { kty = "new" } } }
  eq(jwt.verify(token({ alg = "HS256", kid = "two" }, {}, "2"), set), {})
  eq(jwt.verify(token({ alg = "HS256", kid = "two" }, {}, "2"), json.encode(set)), {})
  eq(jwt.verify(token(HS256, {}, "2"), set), {})
  refused("does not match", token({ alg = "HS256", kid = "one" }, {}, "2"), set)
  refused('no key with the kid "four"', token({ alg = "HS256", kid = "four" }, {}, "2"), set)
  refused("no key with the kid that can't be shown", token({ alg = "HS256", kid = "<\n>" }, {}, "2"), set)
  refused("not the one that the key is for", token({ alg = "HS256", kid = "three" }, {}, "2"), set)
  refused("does not match", token(HS256, {}, "3"), set)
  refused("no key in the JWKS", token(HS256, {}, "3"), { keys = {} })
  refused('"use"', token({ alg = "HS256", kid = "e" }, {}, "1"), { keys = { oct("e", "1", { use = "enc" }) } })
  refused('"key_ops"', token(HS256, {}, "1"), { keys = { oct("e", "1", { key_ops = { "sign" } }) } })
  refused('another "alg"', token(HS256, {}, "1"), { keys = { oct("e", "1", { alg = "HS384" }) } })
  eq(jwt.verify(token(HS256, {}, "1"),
    { keys = { oct("e", "1", { use = "sig", alg = "HS256", key_ops = { "sign", "verify" } }) } }), {})
  -- two with the same kid: the one that fits
  local same = { keys = { with(rsa, { kid = "x" }), with(ed, { kid = "x" }), with(ec, { kid = "x" }) } }
  eq(jwt.verify(jwt.sign({}, edPrivatePem, { kid = "x" }), same), {})
  eq(jwt.verify(jwt.sign({}, ecPrivatePem, { kid = "x" }), same), {})
  -- a bad key beside it harms nobody
  local bad = { keys = { { kty = "RSA", n = 1 }, { kty = "EC", crv = "P-256", x = "AA", y = "AA" }, ed } }
  eq(jwt.verify(jwt.sign({}, edPrivatePem), bad), {})
end)

test("keys that are wrong raise", function()
  local good = token(HS256, {}, KEY)
  raises("a key expected (a secret, PEM, JWK or JWKS), got nil", jwt.verify, good)
  raises("a key expected", jwt.verify, good, 42)
  raises("secret is empty", jwt.verify, good, "")
  raises('neither the "kty"', jwt.verify, good, {})
  raises('neither the "kty"', jwt.verify, good, { kty = 1 })
  raises("2048 bits at least", jwt.verify, good, weakPem)
  raises("PEM is damaged", jwt.verify, good, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
  raises("are strings", jwt.verify, good, { kty = "oct", k = 1 })
  raises("not Ed25519", jwt.verify, good, with(ed, { crv = "X25519" }))
  raises("no option issuers", jwt.verify, good, KEY, { issuers = "a" })
  raises("no option of this kind", jwt.verify, good, KEY, { "HS256" })
  raises("table expected", jwt.verify, good, KEY, "HS256")
  raises("algs names no algorithm", jwt.verify, good, KEY, { algs = {} })
  raises("no algorithm HS384", jwt.verify, good, KEY, { algs = { "HS384" } })
  raises("no algorithm number", jwt.verify, good, KEY, { algs = 1 })
  raises("issuer is a string", jwt.verify, good, KEY, { issuer = 1 })
  raises("issuer is a string", jwt.verify, good, KEY, { issuer = {} })
  raises("audience is a string", jwt.verify, good, KEY, { audience = { "a", 1 } })
  raises("leeway is a number", jwt.verify, good, KEY, { leeway = "1" })
  raises("leeway is a number", jwt.verify, good, KEY, { leeway = -1 })
  raises("leeway is a number", jwt.verify, good, KEY, { leeway = math.huge })
  raises("leeway is a number", jwt.verify, good, KEY, { leeway = 0 / 0 })
end)

test("signing", function()
  local function header(text) return json.decode(base64url.decode((text:match "^[^.]*"))) end
  eq(header(jwt.sign({}, KEY)), { alg = "HS256", typ = "JWT" })
  eq(header(jwt.sign({}, KEY, { kid = 'a"b' })), { alg = "HS256", typ = "JWT", kid = 'a"b' })
  eq(header(jwt.sign({}, edPrivatePem, { alg = "EdDSA" })), { alg = "EdDSA", typ = "JWT" })
  local one, two = with(secret, { kid = "one" }), with(rsaPrivate, { kid = "two" })
  eq(header(jwt.sign({}, one)).kid, "one")
  eq(header(jwt.sign({}, one, { kid = "other" })).kid, "other")
  eq(header(jwt.sign({}, { keys = { one, two } }, { kid = "two" })), { alg = "RS256", typ = "JWT", kid = "two" })
  raises("name one by its kid", jwt.sign, {}, { keys = { one, two } })
  raises("no key with this kid", jwt.sign, {}, { keys = { one, two } }, { kid = "three" })
  raises("has no key", jwt.sign, {}, { keys = {} })
  raises("the key is for HS256", jwt.sign, {}, KEY, { alg = "RS256" })
  raises("the key is for EdDSA", jwt.sign, {}, edPrivatePem, { alg = "HS256" })
  raises("no algorithm none", jwt.sign, {}, KEY, { alg = "none" })
  for _, key in ipairs { rsa, rsaPem, ec, ecPem, ed, edPem } do raises("public one", jwt.sign, {}, key) end
  raises("belongs to another public one", jwt.sign, {}, with(ec, { d = base64url.encode(("d"):rep(32)) }))
  raises("belongs to another public one", jwt.sign, {}, with(ed, { d = base64url.encode(("d"):rep(32)) }))
  raises('"use"', jwt.sign, {}, with(secret, { use = "enc" }))
  raises('"key_ops"', jwt.sign, {}, with(secret, { key_ops = { "verify" } }))
  raises("table expected", jwt.sign, "x", KEY)
  raises("a table with names", jwt.sign, { 1, 2 }, KEY)
  raises("exp is in seconds", jwt.sign, { exp = now() + 60000 }, KEY)
  raises("nbf is a number", jwt.sign, { nbf = "x" }, KEY)
  raises("kid is a string", jwt.sign, {}, KEY, { kid = 1 })
  raises("no option expires", jwt.sign, {}, KEY, { expires = 1 })
  raises("a key expected", jwt.sign, {})
  raises("cycle", function() local t = {} t.t = t jwt.sign(t, KEY) end)
end)

test("what a key says is not asked of its metatable", function()
  local inherited = setmetatable({}, { __index = secret })
  raises('neither the "kty"', jwt.verify, token(HS256, {}, KEY), inherited)
  local changing = setmetatable({}, { __index = function() return 7 end })
  eq(jwt.verify(token(HS256, {}, KEY), KEY, changing), {})
end)
