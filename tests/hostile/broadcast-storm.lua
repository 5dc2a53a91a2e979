-- tries: a hundred thousand broadcasts that leave one client out, to three hundred: they leave when the handler is
--   over, so nothing that watches the handler sees how long that takes
-- must: others are served meanwhile, memory within the cap
-- trigger: request
-- clients: 300
-- expect: 200 sent or 500
-- watch: 500
return require "attack" (function()
  for _ = 1, 100000 do
    if not pcall(party.broadcast, "", "client-1") then break end
  end
  return "sent"
end)
