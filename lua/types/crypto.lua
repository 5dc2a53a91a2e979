---@meta

---Digests, signatures, tokens. What is raw bytes is a string of them: crypto.hex makes it readable.
crypto = {}

---A version 4 UUID.
---@return string
function crypto.randomUUID() end

---Random bytes of the system.
---@param n integer from 0 to 65536
---@return string bytes
function crypto.randomBytes(n) end

---SHA-1, for what asks for it; it is broken for anything new.
---@param data string
---@return string digest 20 bytes
function crypto.sha1(data) end

---@param data string
---@return string digest 32 bytes
function crypto.sha256(data) end

---@param data string
---@return string digest 48 bytes
function crypto.sha384(data) end

---@param data string
---@return string digest 64 bytes
function crypto.sha512(data) end

---@param alg "sha1"|"sha256"|"sha384"|"sha512"
---@param key string
---@param data string
---@return string digest as long as that of alg
function crypto.hmac(alg, key, data) end

---Are the two the same? How long it takes does not tell where they differ. nil equals nothing.
---@param a string?
---@param b string?
---@return boolean
function crypto.timingSafeEqual(a, b) end

---With "+" and "/", filled up with "=".
crypto.base64 = {}

---@param bytes string
---@return string text
function crypto.base64.encode(bytes) end

---@param text string
---@return string? bytes nil for bad text
---@return string? message what is wrong with it
function crypto.base64.decode(text) end

---With "-" and "_", and without "=".
crypto.base64url = {}

---@param bytes string
---@return string text
function crypto.base64url.encode(bytes) end

---@param text string
---@return string? bytes nil for bad text
---@return string? message what is wrong with it
function crypto.base64url.decode(text) end

---Hexadecimal digits, in lower case; both cases are read.
crypto.hex = {}

---@param bytes string
---@return string text
function crypto.hex.encode(bytes) end

---@param text string
---@return string? bytes nil for bad text
---@return string? message what is wrong with it
function crypto.hex.decode(text) end

crypto.ed25519 = {}

---@param signature string? 64 bytes; nil, and anything of another length, is no signature
---@param message string
---@param publicKey string|table 32 bytes, PEM, or a JWK
---@return boolean
function crypto.ed25519.verify(signature, message, publicKey) end

---@param message string
---@param privateKey string|table 32 bytes, PEM, or a JWK
---@return string signature 64 bytes
function crypto.ed25519.sign(message, privateKey) end

---JSON Web Tokens. A key is a secret, PEM, a JWK or a JWKS; the last two as a table or as JSON text.
crypto.jwt = {}

---@alias crypto.jwt.Alg "HS256"|"RS256"|"ES256"|"EdDSA"

---@class crypto.jwt.SignOptions
---@field alg? crypto.jwt.Alg must be the one of the key's type
---@field kid? string names the key in the token's header; a JWK's own by default

---Signs claims. Times among them (exp, nbf, iat) are in seconds.
---@param claims table
---@param key string|table
---@param options? crypto.jwt.SignOptions
---@return string token
function crypto.jwt.sign(claims, key, options) end

---@class crypto.jwt.VerifyOptions
---@field algs? crypto.jwt.Alg|crypto.jwt.Alg[] which are allowed; else the one of the key's type
---@field issuer? string|string[] what iss has to be, or one of these
---@field audience? string|string[] what has to be in aud, or one of these
---@field leeway? number seconds that the clocks may differ

---Reads a token: its claims if the key has signed it, its times are right and the options match.
---@param token string?
---@param key string|table
---@param options? crypto.jwt.VerifyOptions
---@return table? claims
---@return string? message why it is refused
function crypto.jwt.verify(token, key, options) end
