-- tries: PEM of tens of thousands of blocks, none of which is a key, and of a key of megabytes
-- must: refused before any is read
-- trigger: request
-- events: 6
-- limits: roomMemory = 33554432
-- expect: 200 refused
local labels = { "PUBLIC KEY", "PRIVATE KEY", "CERTIFICATE" }

return require "attack" (function(_, request)
  local n = tonumber(request.query.n)
  local begin = "-----BEGIN " .. labels[n % 3 + 1] .. "-----"
  local pem = n > 3 and begin .. "\n" .. (("A"):rep(64) .. "\n"):rep(50000)
              or begin .. "x\n" .. ("-----BEGIN A-----\nAAAA\n-----END A-----\n"):rep(80000)
  local _, why = pcall(crypto.ed25519.verify, "x", "x", pem)
  return why:find("the PEM has more than 64 KiB", 1, true) and "refused" or why
end)
