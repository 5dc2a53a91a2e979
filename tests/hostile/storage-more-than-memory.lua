-- tries: storing many times what the room may have in memory, and reading all of it, in each of the ways
-- must: fail where it would be in memory at once, and go well where it would not
-- trigger: request
-- events: 4
-- expect: 200 stored or 200 failed or 200 counted or 200 deleted
local value = ("v"):rep(1000000)

local function attack(_, request)
  local n = tonumber(request.query.n)
  local keys = {}
  for i = 1, 60 do keys[i] = "k" .. i end
  if n == 1 then
    for _, key in ipairs(keys) do
      party.storage.put(key, value)
      sleep(0) -- another event
    end
    return "stored"
  elseif n == 2 then
    return pcall(party.storage.get, keys) and "found all" or "failed"
  elseif n == 3 then
    local bytes = 0
    for _, key in ipairs(keys) do bytes = bytes + #party.storage.get(key) end
    for _, found in party.storage.list() do bytes = bytes - #found end
    return bytes == 0 and "counted" or "lost " .. bytes
  end
  return party.storage.delete(keys) == 60 and "deleted" or "lost"
end

return require "attack" (attack)
