-- Connections that only stay: without onConnect a socket costs no Lua. A GET makes the room.
local Idle = {}

function Idle:onRequest()
  return Response("OK")
end

return Idle
