-- tries: the same where the limit of headers was raised to all that it may be
-- must: joining them takes no longer than it takes to read them
-- trigger: request
-- expect: 200 or 500
-- watch: 1000
-- limits: roomMemory = 67108864, headers = 1048576
return require "attack" (function(_, request)
  if request.subpath == "/many" then return tostring(#request.headers.a) end
  local lines = {}
  for i = 1, 100000 do lines[i] = "xxxxx" end
  return party.parties.hostile:get("other"):fetch("/many", { headers = { a = lines } }):text()
end)
