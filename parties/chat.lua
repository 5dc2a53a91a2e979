-- A chat whose rooms keep what was said. Shows storage with a range of keys, state that belongs to a
-- connection, history that is shown in pieces, and a room that tells another one of itself (parties/directory.lua has
-- the list of rooms).
--
-- A client names itself in the URL, ?name=Anna, and sends {"type":"say","text":"…"}, or
-- {"type":"earlier","before":n} for what was said before number n. It gets
--
--   welcome  you, messages (the newest), more (there are earlier ones)
--   message  n, name, text, at: somebody has said something
--   earlier  messages, more
--   people   names of those who are here
--   announcement  text: the operator's
--   error    message
local check = require "check"
local bucket = require "bucket"

local Chat = {}

local PAGE = 50    -- messages that are sent at once
local KEPT = 1000  -- messages that a room keeps

-- Numbers as text of one length, so that the order of the keys is the order of the messages.
local function key(n)
  return ("message:%010d"):format(n)
end

-- The newest messages, or those before number n, oldest first.
local function page(before)
  local messages = {}
  local finish = before and key(before) or nil
  for _, message in party.storage.list({ prefix = "message:", finish = finish, reverse = true, limit = PAGE + 1 }) do
    table.insert(messages, 1, message)
  end
  local more = #messages > PAGE
  if more then table.remove(messages, 1) end
  return json.array(messages), more
end

function Chat:people()
  local names = {}
  for connection in party.getConnections() do
    if connection.state then names[#names + 1] = connection.state.name end
  end
  party.broadcast({ type = "people", names = json.array(names) })
  self:register()
end

-- Tells the directory, a little later: nobody waits for it, and of many that come together it is told once.
function Chat:register()
  if self.registering then return end
  self.registering = party.after(100, function()
    self.registering = nil
    local ok, why = party.parties.directory:get(party.name):call("announce", party.id, party.connectionCount())
    if not ok then log.warn("the directory was not told", { error = why }) end
  end)
end

function Chat:onStart()
  self.last = 0
  for _, message in party.storage.list({ prefix = "message:", reverse = true, limit = 1 }) do
    self.last = message.n
  end
end

function Chat:onConnect(connection, context)
  local name = check.text(context.request.query.name, 40)
  if not name then error({ close = 4400, reason = "the query wants a name of 1 to 40 characters" }) end
  connection.state = { name = name, limit = bucket.new(5, 1) }
  local messages, more = page()
  connection:send({ type = "welcome", you = name, messages = messages, more = more })
  self:people()
end

function Chat:onMessage(message, connection, binary)
  local request = check.object(message, binary)
  local kind = request and request.type
  if kind == "say" then
    self:say(request, connection)
  elseif kind == "earlier" and check.integer(request.before, 1, self.last + 1) then
    local messages, more = page(request.before)
    connection:send({ type = "earlier", messages = messages, more = more })
  else
    connection:send({ type = "error", message = "that is nothing that this room understands" })
  end
end

function Chat:say(request, connection)
  local text = check.text(request.text, 2000)
  if not text then
    connection:send({ type = "error", message = "a message has 1 to 2000 characters" })
    return
  end
  if not bucket.take(connection.state.limit) then
    connection:send({ type = "error", message = "not so fast, please" })
    return
  end
  self.last = self.last + 1
  local said = { n = self.last, name = connection.state.name, text = text, at = now() }
  party.storage.put(key(said.n), said)
  if said.n > KEPT then party.storage.delete(key(said.n - KEPT)) end
  party.broadcast({ type = "message", n = said.n, name = said.name, text = said.text, at = said.at })
end

function Chat:onClose()
  self:people()
end

-- ---- for operators (parties/admin.lua); clients can't call these

function Chat:announce(text)
  party.broadcast({ type = "announcement", text = text })
  return true
end

function Chat:wipe()
  if self.registering then self.registering:cancel() end
  party.parties.directory:get(party.name):call("announce", party.id, 0) -- there will be no onClose
  party.destroy()
  return true
end

return Chat
