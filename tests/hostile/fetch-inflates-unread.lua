-- tries: answers of 60 KB that inflate to 60 MB, fetched as streams that nobody reads
-- must: no more is inflated than waits to be read, and that counts as the room's
-- trigger: request
-- expect: 200 kept or 500
-- watch: 4000
-- room: lost
local mib = "\xec\xc1\x31\x01\0\0\0\xc2\xa0\xf5\x4f\x6d\x08\x5f\xa0" .. ("\0"):rep(1016) .. "\x3e\x03\0\0\xff\xff" -- of zeros
local bomb = "\x1f\x8b\8\0\0\0\0\0\0\3" .. mib:rep(60)
local kept = {}

return require "attack" (function(_, request)
  if request.subpath == "/bomb" then return Response(bomb, { headers = { ["Content-Encoding"] = "gzip" } }) end
  local url = request.url:match("^(.-/hostile/)") .. "bomb/bomb"
  for _ = 1, 60 do
    party.after(0, function()
      local response = fetch(url, { stream = true, timeout = 20000 })
      kept[#kept + 1] = response
    end)
  end
  sleep(2000)
  return "kept " .. #kept
end)
