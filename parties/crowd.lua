-- An audience that is too large for one room, and for one core. Shows a hook that sends each client to one of several
-- rooms: who asks for "show" gets to "show~1" … "show~4", by its id, so that it comes back to the same one. What is
-- said in one is said in all.
--
--   a socket to /parties/crowd/show sends text; gets {"shard":2,"of":4} on arrival, then {"text","shard"}
--   GET /parties/crowd/show    {"people":[n, n, n, n]}
local check = require "check"

local Crowd = {}

local SHARDS = 4

local function shardOf(id)
  return crypto.sha256(id):byte(1) % SHARDS + 1
end

local function shard(base, n)
  return party.parties[party.name]:get(base .. "~" .. n)
end

function Crowd:onBeforeConnect(request)
  if self.id:find("~", 1, true) then return Response("Ask for the room without ~", { status = 404 }) end
  local id = request.query._pk or crypto.randomUUID()
  return { party = self.name, room = self.id .. "~" .. shardOf(id) }
end

function Crowd:onStart()
  self.base, self.number = party.id:match("^(.*)~(%d+)$")
  self.number = math.tointeger(self.number)
end

function Crowd:onConnect(connection)
  connection:send({ shard = self.number, of = SHARDS })
end

function Crowd:onMessage(message, connection, binary)
  local text = not binary and check.text(message, 500)
  if not text then
    connection:send({ error = "send text of 1 to 500 characters" })
    return
  end
  self:hear(text, self.number)
  for n = 1, SHARDS do
    if n ~= self.number then
      local heard, why = shard(self.base, n):call("hear", text, self.number)
      if not heard then log.warn("a shard did not hear", { shard = n, error = why }) end
    end
  end
end

-- ---- what other rooms call

function Crowd:hear(text, from)
  party.broadcast({ text = text, shard = from })
  return true
end

function Crowd:people()
  return party.connectionCount()
end

-- The room without a number has no clients of its own; it asks those that have.
function Crowd:onRequest(request)
  if request.method ~= "GET" then return Response("Method not allowed", { status = 405, headers = { Allow = "GET" } }) end
  if self.base then return Response("Ask for the room without ~", { status = 404 }) end
  local people = {}
  for n = 1, SHARDS do people[n] = shard(party.id, n):call("people") or 0 end
  return { people = people }
end

return Crowd
