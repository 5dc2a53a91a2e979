-- Sends each message to everyone in the room, the sender included.
local Room = {}

local BINARY = { binary = true }

function Room:onMessage(message, _, binary)
  party.broadcast(message, binary and BINARY or nil)
end

return Room
