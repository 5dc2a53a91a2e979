-- tries: broadcasts that leave out a hundred thousand times the same client, which each recipient is compared with
-- must: others are served meanwhile
-- trigger: request
-- clients: 300
-- expect: 200 sent or 500
-- watch: 500
-- limits: roomMemory = 33554432
return require "attack" (function()
  local without = {}
  for i = 1, 100000 do without[i] = "client-1" end
  for _ = 1, 30 do
    if not pcall(party.broadcast, "x", { without = without }) then break end
  end
  return "sent"
end)
