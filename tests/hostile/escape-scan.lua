-- tries: going from _G, the libraries, metatables and the host's objects to all that can be reached, and giving
--   away all texts on the way
-- must: no other room's state, no variable of the process, no file, no address among them
-- trigger: message
-- expect: open
-- clients: 1
return require "attack" (function(self, connection)
  local seen, texts, n = {}, {}, 0
  local function walk(value)
    if type(value) == "string" then texts[#texts + 1] = value end
    if value == nil or type(value) == "number" or type(value) == "boolean" or seen[value] or n > 20000 then return end
    seen[value] = true
    n = n + 1
    texts[#texts + 1] = tostring(value)
    walk(getmetatable(value))
    if type(value) == "table" then
      for key, item in next, value do walk(key) walk(item) end
    end
    local ok, iterator, state = pcall(pairs, value)
    if ok then pcall(function() for key, item in iterator, state do walk(key) walk(item) end end) end
    for _, field in ipairs { "id", "uri", "tags", "state", "kind", "url", "path", "query", "headers", "body", "env", "name",
                             "__index", "__gc", "__metatable", "request", "peer", "room" } do
      pcall(function() walk(value[field]) end)
    end
  end
  walk(_G)
  walk(getmetatable(""))
  walk(connection)
  walk(self)
  walk(Response("x", { headers = { a = "b" } }))
  walk(party.after(1e9, print))
  walk(coroutine.running())
  walk(json.null)
  walk(party.getConnections())
  for client in party.getConnections() do walk(client) end
  for i = 1, #texts, 500 do connection:send(table.concat(texts, "\n", i, math.min(#texts, i + 499)), { binary = true }) end
end)
