-- tries: streams that are over, or never began, written to and thrown about
-- must: errors, and nothing else
-- trigger: request
-- events: 50
-- expect: 200
local kept = {}
local cached = Response.stream(function(stream)
  table.insert(kept, stream)
  for _, old in ipairs(kept) do pcall(old.write, old, "x") end
  local co = coroutine.wrap(function() stream:write(("z"):rep(200000)) end)
  co()
  pcall(table.sort, { 1, 2, 3 }, function() stream:write(("z"):rep(200000)) end)
  local closing <close> = setmetatable({}, { __close = function() stream:write("closing") end })
end)

return require "attack" (function(self, request)
  for _, old in ipairs(kept) do
    assert(not old.isOpen)
    assert(not pcall(old.write, old, "x"))
  end
  Response.stream(function() error("never runs") end)
  pcall(error, Response.events())
  return cached
end)
