-- Live cursors: where everybody points, while they point. Shows what is passed on and not kept: a position is
-- state of its connection and goes with it.
--
-- A client sends {"x":0.5,"y":0.25}, parts of the page's width and height, or {"gone":true} when its pointer has
-- left the page. It gets the same with the sender's id, and on arrival {"cursors":{id:{x,y}}}.
local check = require "check"

local Cursors = {}

Cursors.options = { duplicateId = "replace" }

function Cursors:onConnect(connection)
  local cursors = json.object({})
  for other in party.getConnections() do
    if other.state then cursors[other.id] = other.state end
  end
  connection:send({ cursors = cursors })
end

function Cursors:onMessage(message, connection, binary)
  local request = check.object(message, binary) or {}
  local x, y = check.number(request.x, 0, 1), check.number(request.y, 0, 1)
  if x and y then
    connection.state = { x = x, y = y }
    party.broadcast({ id = connection.id, x = x, y = y }, connection)
  elseif request.gone == true then
    connection.state = nil
    party.broadcast({ id = connection.id, gone = true }, connection)
  else
    connection:send({ error = "x and y are to be numbers from 0 to 1" })
  end
end

function Cursors:onClose(connection, code)
  if code ~= 4409 then -- else the one that took its place goes on
    party.broadcast({ id = connection.id, gone = true })
  end
end

return Cursors
