-- tries: one insert that takes minutes. Lua's hash of an integer is its remainder by the table's size less one:
--   multiples of 2^17 - 1 lie apart in a table of 2^16 places, and all in one place when that grows
-- must: the insert is quick, or ended with its room: there is no point inside at which Lua could be stopped
-- trigger: request
-- events: 5
-- expect: 200 or 500
-- limits: roomMemory = 33554432
local t, n = {}, 0

return require "attack" (function()
  -- 16384 keys for each event: filling is quick, and the fifth event's first insert is the one
  for _ = 1, 16384 do
    n = n + 1
    t[n * 131071] = true
  end
  return tostring(n)
end)
