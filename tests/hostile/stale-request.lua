-- tries: requests long after they were answered: the ones of other events, of upgrades, one that is still on its way
-- must: they can be read, and nothing more
-- trigger: request
-- events: 5
-- clients: 3
-- body: 1000
-- expect: 200 safe
local Stale, kept = {}, {}

function Stale:onConnect(connection, context)
  kept[#kept + 1] = context.request
  connection.state = context
end

return require "attack" (function(_, request)
  kept[#kept + 1] = request
  for _, old in ipairs(kept) do
    local _ = old.url, old.path, old.subpath, old.query.n, old.headers.host, old.remoteAddress, old.method
    assert(#old.body == #old:text())
    pcall(old.json, old)
    pcall(old.form, old)
    old:queryAll("n")
    for name, value in pairs(old.headers) do assert(type(name) == "string" and type(value) == "string") end
    pcall(function() old.body = "x" end)
    pcall(function() old.headers.host = "x" end)
    old.query.n = old
  end
  pcall(error, request)
  return "safe"
end, Stale)
