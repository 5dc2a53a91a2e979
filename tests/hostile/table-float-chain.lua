-- tries: floats that differ in bits of the mantissa which no hash looks at: all keys in one chain, whatever the
--   table's size
-- must: the handler ends with an error, or the keys lie apart
-- trigger: request
-- events: 4
-- expect: 200 or 500
-- limits: roomMemory = 33554432
local t, n = {}, 0

return require "attack" (function()
  for _ = 1, 33000 do
    n = n + 1
    t[0.5 + n * 2.0 ^ -53] = true
  end
  return tostring(n)
end)
