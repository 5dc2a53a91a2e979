-- tries: connections that were closed and have gone, in everything that takes one; again while others come
-- must: they are closed, not freed memory: errors or nil, "closed"
-- trigger: request
-- events: 4
-- clients: 4
-- limits: closeTimeout = 50, roomMemory = 8388608
-- expect: 200 safe
local Stale, kept = {}, {}

function Stale:onClose(connection)
  kept[#kept + 1] = connection
  connection.state = { connection }
  pcall(connection.send, connection, "from onClose")
end

return require "attack" (function(_, request)
  for connection in party.getConnections() do
    kept[#kept + 1] = connection
    connection:close(4000, "go")
    connection:close(4001, "again")
    assert(not connection.isOpen and select(2, connection:send("x")) == "closed")
  end
  sleep(200)
  for _, connection in ipairs(kept) do
    assert(not connection.isOpen)
    assert(connection:send("x") == nil and connection:send({ x = 1 }, { binary = true }) == nil)
    connection:close()
    connection:close(4000, ("r"):rep(1000))
    pcall(connection.setTags, connection, { "a", "b" })
    party.broadcast("x", connection)
    party.broadcast("x", { without = kept })
    party.broadcast("x", kept)
    connection.state = kept
    local _ = connection.tags, connection.uri, connection.remoteAddress, connection.bufferedAmount, tostring(connection)
    assert(connection.id:find("^client%-"))
  end
  return "safe"
end, Stale)
