-- tries: the same with 2^19 keys, whose rehash would take a minute
-- must: the insert is quick, or ended with its room
-- trigger: request
-- events: 17
-- expect: 200 or 500
-- limits: roomMemory = 67108864
local t, n = {}, 0

return require "attack" (function()
  for _ = 1, 32768 do
    n = n + 1
    t[n * 1048575] = true
  end
  return tostring(n)
end)
