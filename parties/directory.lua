-- Which rooms of a party are in use, for pages that list them. Shows rooms that tell another room of themselves: the
-- room "chat" of this party is told by all rooms of the party chat.
--
-- A socket gets {"rooms":[{"id","people"}]} on arrival and with each change; GET answers with the same.
local Directory = {}

function Directory:onStart()
  self.people = {}
end

function Directory:list()
  local rooms = {}
  for id, people in pairs(self.people) do rooms[#rooms + 1] = { id = id, people = people } end
  table.sort(rooms, function(a, b) return a.people > b.people or a.people == b.people and a.id < b.id end)
  return { rooms = json.array(rooms) }
end

-- Called by rooms, which clients can't: `party.parties.directory:get("chat"):call("announce", id, people)`.
function Directory:announce(id, people)
  self.people[id] = people > 0 and people or nil
  party.broadcast(self:list())
  return true
end

function Directory:onConnect(connection)
  connection:send(self:list())
end

function Directory:onRequest(request)
  if request.method ~= "GET" then return Response("Method not allowed", { status = 405, headers = { Allow = "GET" } }) end
  return self:list()
end

return Directory
