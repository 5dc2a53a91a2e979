-- Reactions that fly over everybody's screen. Shows a limit for each client, and how a flood becomes a trickle:
-- what comes in within a tenth of a second goes out as one message.
--
-- A client sends one of the reactions below as text. It gets {"totals":{…}} on arrival, {"burst":{"🎉":3},
-- "totals":{…}} while others react, {"slow":true} when it was too fast, and {"error":…}.
local bucket = require "bucket"

local Reactions = {}

Reactions.options = { persist = true } -- the totals; a second of them may be lost

local KINDS = { "🎉", "❤️", "😂", "👏", "🤔" }

local known = {}
for _, kind in ipairs(KINDS) do known[kind] = true end

function Reactions:onStart(restored)
  if not restored then
    self.totals = {}
    for _, kind in ipairs(KINDS) do self.totals[kind] = 0 end
  end
  self.burst = nil -- what a room that was stopped had not sent yet is old news
end

function Reactions:onConnect(connection)
  connection.state = bucket.new(10, 4)
  connection:send({ totals = self.totals })
end

function Reactions:onMessage(message, connection, binary)
  if binary or not known[message] then
    connection:send({ error = "send one of " .. table.concat(KINDS, " ") })
    return
  end
  if not bucket.take(connection.state) then
    connection:send({ slow = true })
    return
  end
  self.totals[message] = self.totals[message] + 1
  if not self.burst then
    self.burst = {}
    party.after(100, function() self:flush() end)
  end
  self.burst[message] = (self.burst[message] or 0) + 1
end

function Reactions:flush()
  party.broadcast({ burst = self.burst, totals = self.totals })
  self.burst = nil
end

return Reactions
