-- A room counts what it is told, and tells everybody.
---@class Counter: Party
local Counter = {}

function Counter:onStart()
  self.count = party.storage.get("count") or 0
end

function Counter:onConnect(connection)
  connection:send({ count = self.count })
end

function Counter:onMessage(message)
  if message == "add" then
    self.count = self.count + 1
    party.storage.put("count", self.count)
    party.broadcast({ count = self.count })
  end
end

function Counter:onRequest()
  return { count = self.count }
end

return Counter
