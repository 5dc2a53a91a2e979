-- Keeps each message, then answers it to its sender: the answer leaves when the message is durable.
local Store = {}

local KEYS = 16   -- of a room, in turn; sqlite.c has as many

function Store:onStart()
  self.count = 0
end

function Store:onMessage(message, connection)
  self.count = self.count + 1
  party.storage:put("key-" .. self.count % KEYS, message)
  connection:send(message)
end

return Store
