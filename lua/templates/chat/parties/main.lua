-- A chat room: everybody hears what is said, and who comes later sees the last messages.
---@class Chat: Party
local Chat = {}

local HISTORY = 50
local LONGEST = 500
local LONGEST_NAME = 40 -- characters

function Chat:onStart()
  self.history = party.storage.get("history") or {}
end

-- The name that the query gives, cut where a character ends. A query may hold any bytes: what is not UTF-8 can't be
-- sent as JSON, so it must not get into the history.
local function name_of(query)
  local name = query.name or ""
  if name == "" or not utf8.len(name) then return "somebody" end
  local rest = utf8.offset(name, LONGEST_NAME + 1)
  return rest and name:sub(1, rest - 1) or name
end

function Chat:onConnect(connection, context)
  connection.state = { name = name_of(context.request.query) }
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
