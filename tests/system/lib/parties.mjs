// Parties that several files use.

import { lua } from "./project.mjs";

// The message server as the documentation has it, to the letter.
export const MESSAGE_SERVER = lua`
local MessageServer = {}

function MessageServer:onStart()
  self.messages = {}
end

function MessageServer:onRequest(request)
  -- push a new message
  if request.method == "POST" then
    local payload = request:json()
    table.insert(self.messages, payload.message)
    party.broadcast(payload.message)
    return Response("OK")
  end

  -- get all messages
  if request.method == "GET" then
    return Response(json.encode(self.messages))
  end

  return Response("Method not allowed", { status = 405 })
end

return MessageServer
`;

// Answers each request with what it saw; waits first when the query says sleep=MS, and sends
// a body of size=N bytes instead when it says so.
export const MIRROR = lua`
local Mirror = {}

function Mirror:onRequest(request)
  local ms = tonumber(request.query.sleep)
  if ms then sleep(ms) end
  local size = tonumber(request.query.size)
  if size then return Response(("x"):rep(size)) end
  return Response(("%s %s %d [%s]"):format(request.method, request.query.n or "-", #request.body, request.body:sub(1, 100)))
end

return Mirror
`;

// Sends each message back, and tells the room's other sockets of everything that happens.
export const ECHO = lua`
local Echo = {}

local function tell(connection, what, ...)
  party.broadcast({ what = what, id = connection.id, args = json.array({ ... }) }, connection)
end

function Echo:onConnect(connection)
  tell(connection, "connect")
end

function Echo:onMessage(message, connection, binary)
  connection:send(message, { binary = binary })
end

function Echo:onClose(connection, code, reason, clean)
  tell(connection, "close", code, reason or json.null, clean)
end

function Echo:onError(connection, err)
  tell(connection, "error", type(err))
end

function Echo:onRequest(request)
  return Response(tostring(party.connectionCount()))
end

return Echo
`;
