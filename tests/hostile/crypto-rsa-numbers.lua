-- tries: private keys of RSA of 8192 bits whose exponents have hundreds of thousands: to sign takes seconds
-- must: refused as the key is read
-- trigger: request
-- events: 3
-- expect: 200 refused
local der = require "der"

local tlv = der.tlv
local int = der.int
local function number(n) return int("\255" .. crypto.randomBytes(n - 2) .. "\255") end

local huge = 20000 -- bytes
local keys = {
  { 1024, huge, 512, 512, 512, 512, 512 }, -- n, d, p, q, dp, dq, qi
  { 1024, 1024, 512, 512, huge, 512, 512 },
  { 1024, 1024, huge, huge, 512, 512, 512 },
}

return require "attack" (function(_, request)
  local numbers = {}
  for i, n in ipairs(keys[tonumber(request.query.n)]) do numbers[i] = number(n) end
  table.insert(numbers, 2, int("\1\0\1"))
  local der = tlv(0x30, int("\0") .. table.concat(numbers))
  local text = crypto.base64.encode(der):gsub(("."):rep(64), "%0\n")
  local ok = pcall(crypto.jwt.sign, { a = 1 }, "-----BEGIN RSA PRIVATE KEY-----\n" .. text .. "\n-----END RSA PRIVATE KEY-----\n")
  return ok and "signed" or "refused"
end)
