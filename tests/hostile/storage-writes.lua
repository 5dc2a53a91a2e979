-- tries: writing without end in one event: keys, the alarm, everything cleared, in transactions and out of them
-- must: fail with an error, or be cut
-- trigger: request
-- events: 5
-- expect: 500
local function attack(_, request)
  local n, i = tonumber(request.query.n), 0
  if n == 1 then
    while true do
      i = i + 1
      party.storage.put("k" .. i, i)
    end
  elseif n == 2 then
    while true do party.storage.setAlarm(5e12) end
  elseif n == 3 then
    while true do party.storage.deleteAll() end
  elseif n == 4 then
    local value = ("v"):rep(1000000)
    while true do party.storage.transaction(function(txn) txn.put("k", value) end) end
  end
  party.storage.transaction(function(txn)
    while true do
      i = i + 1
      txn.put("k" .. i, i)
      pcall(error)
    end
  end)
end

return require "attack" (attack)
