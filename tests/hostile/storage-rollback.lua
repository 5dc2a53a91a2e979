-- tries: taking back a transaction over all that an earlier turn has written and that is not durable yet
-- must: go well, or be cut
-- trigger: request
-- events: 3
-- expect: 200 as before or 500
local values = {}
for i = 1, 20000 do values[i .. ""] = 1 end

local function attack()
  party.storage.put(values)
  sleep(0) -- another turn
  local ok = pcall(party.storage.transaction, function(transaction)
    transaction:put(values)
    transaction:put("1", 2)
    error("no")
  end)
  return not ok and party.storage.get("1") == 1 and party.storage.get("20000") == 1 and "as before" or "lost"
end

return require "attack" (attack)
