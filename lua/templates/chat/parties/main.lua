-- A chat room: everybody hears what is said, and who comes later sees the last messages.
---@class Chat: Party
local Chat = {}

local HISTORY = 50
local LONGEST = 500

function Chat:onStart()
  self.history = party.storage.get("history") or {}
end

function Chat:onConnect(connection, context)
  connection.state = { name = (context.request.query.name or "somebody"):sub(1, 40) }
  connection:send({ history = json.array(self.history) })
  self:announce()
end

function Chat:onMessage(text, connection, binary)
  if binary or #text > LONGEST then
    connection:send({ error = "a message is a text of up to " .. LONGEST .. " bytes" })
    return
  end
  local message = { from = connection.state.name, text = text, at = now() }
  table.insert(self.history, message)
  if #self.history > HISTORY then table.remove(self.history, 1) end
  party.storage.put("history", self.history)
  party.broadcast(message) -- leaves when the message is stored
end

function Chat:onClose()
  self:announce()
end

function Chat:announce()
  party.broadcast({ online = party.connectionCount() })
end

return Chat
