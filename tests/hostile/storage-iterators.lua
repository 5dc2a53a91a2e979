-- tries: iterators over what is stored, by the thousand, each with a page and with long borders in C
-- must: fail with an error for memory
-- trigger: request
-- events: 3
-- expect: 500
local kept = {}

local function attack()
  local large = ("x"):rep(300000)
  party.storage.put("a", ("v"):rep(200000))
  party.storage.put("b", 1)
  while true do
    local next = party.storage.list({ prefix = "" })
    next()
    kept[#kept + 1] = next
    kept[#kept + 1] = party.storage.list({ start = "a" .. large, finish = "b" .. large })
  end
end

return require "attack" (attack)
