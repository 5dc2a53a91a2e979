-- A relay for Yjs documents: y-websocket's clients, and what is built on them (editors, whiteboards), sync through
-- it. `new WebsocketProvider("ws://HOST/parties/yjs", "my-document", doc)`; the room is the document.
--
-- It understands the protocol's frames and not what is in them. A document is a log of updates, which all are
-- stored and sent to who asks; Yjs doesn't mind in which order they come, or twice. The log is kept short by those who
-- do understand it: behind the log a client is asked for all that it has, which is one update with everything in
-- it, and that takes the log's place. (So a client that lies can spoil a document; it could delete all of it, too.)
--
-- Frames: 0 sync (0 step 1: what have you? 1 step 2: all of it, 2 an update), 1 awareness (cursors, names: not kept).
local Yjs = {}

local SYNC, AWARENESS, QUERY_AWARENESS = 0, 1, 3
local STEP1, STEP2, UPDATE = 0, 1, 2
local NOTHING = "\0\0" -- an update that changes nothing; also what an empty document has

-- ---- lib0's encoding: numbers in groups of 7 bits, bytes with their length in front

-- The number at pos, and where it ends; raises for what is none, without the place in this file: the text is for the client.
local function readNumber(text, pos)
  local value, shift = 0, 0
  while true do
    local byte = text:byte(pos) or error("the frame ends in a number", 0)
    value = value | (byte & 127) << shift
    pos, shift = pos + 1, shift + 7
    if byte < 128 then return value, pos end
    if shift > 56 then error("a number is too large", 0) end
  end
end

local function readBytes(text, pos)
  local length, start = readNumber(text, pos)
  if #text - start + 1 < length then error("the frame is cut short", 0) end
  return text:sub(start, start + length - 1), start + length
end

local function number(value)
  local bytes = {}
  while value > 127 do
    bytes[#bytes + 1] = string.char(value & 127 | 128)
    value = value >> 7
  end
  return table.concat(bytes) .. string.char(value)
end

local function bytes(text)
  return number(#text) .. text
end

local function frame(kind, step, payload)
  return string.char(kind, step) .. bytes(payload)
end

-- ---- the log

local function key(n)
  return ("update:%012d"):format(n)
end

function Yjs:onStart()
  self.log = {} -- number to update
  self.first, self.last = 1, 0
  for name, update in party.storage.list({ prefix = "update:" }) do
    local n = tonumber(name:sub(#"update:" + 1))
    if self.last == 0 then self.first = n end
    self.log[n], self.last = update, n
  end
end

function Yjs:append(update)
  self.last = self.last + 1
  self.log[self.last] = update
  party.storage.put(key(self.last), update)
end

-- The log up to number n is in a later update as well.
function Yjs:forget(n)
  for old = self.first, n do
    self.log[old] = nil
    party.storage.delete(key(old))
  end
  self.first = math.max(self.first, n + 1)
end

-- ---- sync

function Yjs:sync(step, payload, connection)
  if step == STEP1 then
    for n = self.first, self.last do
      connection:send(frame(SYNC, UPDATE, self.log[n]), { binary = true })
    end
    connection:send(frame(SYNC, STEP2, NOTHING), { binary = true }) -- "synced" for y-websocket
    connection:send(frame(SYNC, STEP1, "\0"), { binary = true })    -- and you? an empty state vector: all of it
    connection.state.asked = self.last
  elseif step == STEP2 and connection.state.asked then
    local asked = connection.state.asked
    connection.state.asked = nil
    if payload == NOTHING or self.first == self.last and self.log[self.last] == payload then return end
    self:append(payload) -- at the end: what others have sent since it was asked is not in it
    self:forget(asked)
    party.broadcast(frame(SYNC, UPDATE, payload), { without = connection, binary = true })
  elseif step == UPDATE and payload ~= NOTHING then
    self:append(payload)
    party.broadcast(frame(SYNC, UPDATE, payload), { without = connection, binary = true })
  end
end

-- ---- awareness: entries of client, clock and state

-- Remembers what a connection has said of which clients, so that it can be told to newcomers, and taken back.
function Yjs:aware(payload, connection)
  local count, pos = readNumber(payload, 1)
  for _ = 1, count do
    local client, clock, state
    client, pos = readNumber(payload, pos)
    clock, pos = readNumber(payload, pos)
    state, pos = readBytes(payload, pos)
    connection.state.clients[client] = { clock = clock, state = state }
  end
  party.broadcast(string.char(AWARENESS) .. bytes(payload), { without = connection, binary = true })
end

-- One frame about all clients of a connection; gone: they are no more. Nil if there are none.
local function awareness(connection, gone)
  local entries, count = {}, 0
  for client, known in pairs(connection.state.clients) do
    count = count + 1
    local state = gone and "null" or known.state
    entries[count] = number(client) .. number(known.clock + (gone and 1 or 0)) .. bytes(state)
  end
  if count > 0 then return string.char(AWARENESS) .. bytes(number(count) .. table.concat(entries)) end
end

function Yjs:introduce(connection)
  for other in party.getConnections() do
    local known = other.state and awareness(other)
    if known and other ~= connection then connection:send(known, { binary = true }) end
  end
end

-- ---- the room

function Yjs:onConnect(connection)
  connection.state = { clients = {} }
  self:introduce(connection)
end

function Yjs:onMessage(message, connection, binary)
  local ok, problem = pcall(function()
    if not binary then error("text is nothing that Yjs sends", 0) end
    local kind, pos = readNumber(message, 1)
    if kind == SYNC then
      local step, start = readNumber(message, pos)
      self:sync(step, readBytes(message, start), connection)
    elseif kind == AWARENESS then
      self:aware(readBytes(message, pos), connection)
    elseif kind == QUERY_AWARENESS then
      self:introduce(connection)
    end
  end)
  if not ok then connection:close(1003, tostring(problem)) end
end

function Yjs:onClose(connection)
  local gone = awareness(connection, true)
  if gone then party.broadcast(gone, { binary = true }) end
end

-- For people: how large is it?
function Yjs:onRequest(request)
  if request.method ~= "GET" then return Response("Method not allowed", { status = 405, headers = { Allow = "GET" } }) end
  local size, updates = 0, 0
  for n = self.first, self.last do
    size, updates = size + #self.log[n], updates + 1
  end
  return { updates = updates, bytes = size, clients = party.connectionCount() }
end

return Yjs
