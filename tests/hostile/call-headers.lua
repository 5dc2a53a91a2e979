-- tries: a request to another room with a hundred thousand header lines of one name, whose values it wants joined
-- must: an error in the script: rooms send each other no larger headers than clients may
-- trigger: request
-- expect: 500
-- watch: 1000
-- limits: roomMemory = 33554432
return require "attack" (function(_, request)
  if request.subpath == "/many" then return tostring(#request.headers.a) end
  local lines = {}
  for i = 1, 120000 do lines[i] = "xxxxxxxxx" end
  return party.parties.hostile:get("other"):fetch("/many", { headers = { a = lines } }):text()
end)
