-- tries: answers of 60 KB that inflate to 60 MB, twenty at once, each wanted as a whole
-- must: it ends where a body is too large, in slices
-- trigger: request
-- expect: 200 20 ended too_large or 500
-- watch: 4000
-- limits: roomMemory = 33554432
-- room: lost
local mib = "\xec\xc1\x31\x01\0\0\0\xc2\xa0\xf5\x4f\x6d\x08\x5f\xa0" .. ("\0"):rep(1016) .. "\x3e\x03\0\0\xff\xff" -- of zeros
local bomb = "\x1f\x8b\8\0\0\0\0\0\0\3" .. mib:rep(60)
local codes = {}

return require "attack" (function(_, request)
  if request.subpath == "/bomb" then return Response(bomb, { headers = { ["Content-Encoding"] = "gzip" } }) end
  local url = request.url:match("^(.-/hostile/)") .. "bomb/bomb"
  for _ = 1, 20 do
    party.after(0, function()
      local _, _, code = fetch(url, { timeout = 20000 })
      codes[#codes + 1] = code
    end)
  end
  sleep(2000)
  return #codes .. " ended " .. table.concat(codes, " ")
end)
