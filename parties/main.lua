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
