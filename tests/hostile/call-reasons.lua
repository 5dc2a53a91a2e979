-- tries: two hundred answers of other rooms at once whose status texts are megabytes
-- must: an error in the room that answers: a status text has its bound
-- trigger: request
-- expect: 200 answered
-- watch: 2000
local text

return require "attack" (function(_, request)
  if request.subpath == "/large" then
    text = text or ("A"):rep(3500000)
    return Response("x", { statusText = text })
  end
  local n = 0
  for i = 1, 200 do
    party.after(0, function()
      party.parties.hostile:get("other" .. i % 2):fetch("/large")
      n = n + 1
    end)
  end
  local timer = party.every(1, function()
    local start = os.clock()
    while os.clock() - start < 0.1 do end
  end)
  sleep(1500)
  timer:cancel()
  return "answered " .. n
end)
