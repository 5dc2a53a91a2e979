-- Answers each message to its sender.
local Echo = {}

local BINARY = { binary = true }

function Echo:onMessage(message, connection, binary)
  connection:send(message, binary and BINARY or nil)
end

return Echo
