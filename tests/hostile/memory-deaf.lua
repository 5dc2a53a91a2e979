-- tries: sending as much as one may to twenty clients that never read, to each its own
-- must: what waits for them is bounded: memory within the cap
-- trigger: request
-- events: 10
-- deaf: 20
-- expect: 200 sent or 500
return require "attack" (function(_, request)
  local n = 0
  for connection in party.getConnections() do
    if connection.id:find("^deaf") then
      n = n + 1
      connection:send(("%d %s"):format(n, request.query.n) .. ("x"):rep(300000))
    end
  end
  return "sent"
end)
