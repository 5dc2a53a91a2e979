-- tries: sending as many messages as the room may, to twenty clients that read them, as long as the handler runs
-- must: an error when too much is sent at once, or the deadline; others are served
-- trigger: request
-- events: 5
-- clients: 20
-- expect: 500 or 200
-- watch: 300
return require "attack" (function()
  while true do
    party.broadcast("flood")
    for connection in party.getConnections() do connection:send("flood of one") end
  end
end)
