-- tries: messages of nothing but ends of lines to event streams, where each of them takes seven bytes
-- must: what is to be sent is bounded by what it becomes; memory within the cap; others are served
-- trigger: request
-- events: 2
-- streams: 5
-- limits: roomMemory = 33554432
-- expect: 200 sent or 500
-- watch: 1500
local lines = ("\n"):rep(1000000)

return require "attack" (function(_, request)
  if request.subpath == "/events" then return Response.events() end
  for _ = 1, 30 do
    if request.query.n == "1" and not pcall(party.broadcast, lines) then break end
    for connection in party.getConnections() do
      if request.query.n == "2" and not pcall(connection.send, connection, lines) then break end
    end
  end
  return "sent"
end)
