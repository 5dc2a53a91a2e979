-- A number that everybody sees and anybody can change. Shows storage: a client that has its answer, or has
-- seen the new number, finds it after a crash too, since nothing is sent before it is on the disk.
--
--   GET  /parties/counter/:room              {"value":3}
--   POST /parties/counter/:room {"by":1}     adds, and answers with the sum
--   the same objects as messages of a socket; every change is broadcast
local check = require "check"

local Counter = {}

local function value()
  return party.storage.get("value") or 0
end

-- No other event of the room comes between the read and the write.
local function add(by)
  local sum = value() + by
  party.storage.put("value", sum)
  party.broadcast({ value = sum })
  return sum
end

function Counter:onConnect(connection)
  connection:send({ value = value() })
end

function Counter:onMessage(message, connection, binary)
  local request = check.object(message, binary)
  local by = request and check.integer(request.by, -100, 100)
  if not by then
    connection:send({ error = 'send {"by": n}, a whole number from -100 to 100' })
    return
  end
  add(by)
end

function Counter:onRequest(request)
  if request.method == "GET" then return { value = value() } end
  if request.method ~= "POST" then
    return Response("Method not allowed", { status = 405, headers = { Allow = "GET, POST" } })
  end
  local payload = request:json()
  local by = type(payload) == "table" and check.integer(payload.by, -100, 100)
  if not by then
    return Response.json({ error = "by is to be a whole number from -100 to 100" }, { status = 400 })
  end
  return { value = add(by) }
end

return Counter
