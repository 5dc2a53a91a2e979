-- tries: private keys of DSA and DH with huge numbers: OpenSSL computes the public ones while it reads them
-- must: refused before anything is computed
-- trigger: request
-- events: 2
-- expect: 200 refused
local der = require "der"

local tlv = der.tlv
local int = der.int
local function number(first, n) return int(first .. crypto.randomBytes(n - 2) .. "\255") end

local algorithms = {
  function(n) -- DSA: p, q, g
    return "\x06\x07\x2a\x86\x48\xce\x38\x04\x01" .. tlv(0x30, number("\255", n) .. number("\255", 32) .. number("\127", n))
  end,
  function(n) -- DH: p, g
    return "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01" .. tlv(0x30, number("\255", n) .. number("\127", n))
  end,
}

return require "attack" (function(_, request)
  local which = tonumber(request.query.n)
  local n = which == 1 and 8192 or 1240 -- bytes; OpenSSL has a bound for DH
  local der = tlv(0x30, int("\0") .. tlv(0x30, algorithms[which](n)) .. tlv(4, number("\127", n)))
  local text = crypto.base64.encode(der):gsub(("."):rep(64), "%0\n")
  for _, label in ipairs { "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY" } do
    local pem = ("-----BEGIN %s-----\n%s\n-----END %s-----\n"):format(label, text, label)
    assert(not pcall(crypto.ed25519.sign, "x", pem))
    assert(not pcall(crypto.jwt.sign, { a = 1 }, pem))
  end
  return "refused"
end)
