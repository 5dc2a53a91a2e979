-- tries: keys of DER at random, as PEM with all labels and as JWK with members at random
-- must: each is read or refused
-- trigger: request
-- events: 5
-- expect: 200
local der = require "der"

local random = math.random
local tlv = der.tlv
local function blob() return crypto.randomBytes(random(0, 80)) end

local oids = {
  "\x2a\x86\x48\xce\x38\x04\x01", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "\x2a\x86\x48\xce\x3d\x02\x01", "\x2b\x65\x70",
  "\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01", "\x2a\x86\x48\xce\x3d\x03\x01\x07", "\x2b\x65\x6e",
}
local labels = { "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "EC PARAMETERS" }

local function node(depth)
  local kind = random(8)
  if depth == 0 or kind == 1 then return tlv(2, blob()) end
  if kind == 2 then return tlv(4, node(depth - 1)) end
  if kind == 3 then return tlv(3, "\0" .. node(depth - 1)) end
  if kind == 4 then return tlv(6, oids[random(#oids)]) end
  if kind == 5 then return tlv(0xa0 + random(0, 3), node(depth - 1)) end
  local parts = {}
  for i = 1, random(4) do parts[i] = node(depth - 1) end
  return tlv(0x30, table.concat(parts))
end

local function algorithm() return tlv(0x30, tlv(6, oids[random(#oids)]) .. (random(2) == 1 and tlv(6, oids[6]) or node(2))) end

local ways = {
  function() return tlv(0x30, tlv(2, "\0") .. algorithm() .. tlv(4, random(2) == 1 and node(3) or tlv(4, crypto.randomBytes(32)))) end,
  function() return tlv(0x30, algorithm() .. tlv(3, "\0" .. (random(2) == 1 and node(3) or crypto.randomBytes(32)))) end,
  function() return node(5) end,
}

local function jwk()
  local key = { kty = ({ "RSA", "EC", "OKP", "oct" })[random(4)], crv = ({ "P-256", "Ed25519" })[random(2)] }
  for _, member in ipairs { "k", "n", "e", "x", "y", "d", "p", "q", "dp", "dq", "qi" } do
    if random(3) > 1 then key[member] = crypto.base64url.encode(crypto.randomBytes(({ 32, 256, 3, 1, 1025, 0, 257 })[random(7)])) end
  end
  return key
end

return require "attack" (function()
  local from = os.clock()
  while os.clock() - from < 0.1 do
    local der, label = ways[random(#ways)](), labels[random(#labels)]
    local text = crypto.base64.encode(der):gsub(("."):rep(64), "%0\n")
    local pem = ("-----BEGIN %s-----\n%s\n-----END %s-----\n"):format(label, text, label)
    pcall(crypto.ed25519.sign, "x", pem)
    pcall(crypto.ed25519.verify, ("s"):rep(64), "x", pem)
    pcall(crypto.jwt.sign, { a = 1 }, pem)
    pcall(crypto.jwt.sign, {}, der)
    pcall(crypto.jwt.sign, { a = 1 }, jwk())
  end
  return "done"
end)
