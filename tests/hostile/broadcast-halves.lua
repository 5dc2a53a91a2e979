-- tries: broadcasts that leave out one half of three hundred clients, then the other one: no two that follow each other
--   go to the same
-- must: others are served meanwhile
-- trigger: request
-- clients: 300
-- limits: roomMemory = 33554432
-- expect: 200 sent or 500
-- watch: 500
return require "attack" (function()
  local halves = { {}, {} }
  for connection in party.getConnections() do
    local half = halves[#halves[1] < 150 and 1 or 2]
    half[#half + 1] = connection
  end
  for i = 1, 100000 do
    if not pcall(party.broadcast, "x", { without = halves[i % 2 + 1] }) then break end
  end
  return "sent"
end)
