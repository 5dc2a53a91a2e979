-- tries: one insert that takes minutes, with floats: their hash is the upper half of the mantissa plus the
--   exponent, so keys can be calculated that lie apart until the table grows
-- must: the insert is quick, or ended with its room
-- trigger: request
-- events: 6
-- expect: 200 or 500
-- limits: roomMemory = 33554432
local t, count = {}, 0

-- the k-th float of an exponent whose hash is a multiple of 2^17 - 1
local function key(k, exponent) return (131071 * k - exponent) * 2.0 ^ (exponent - 31) end

return require "attack" (function()
  for _ = 1, 14000 do
    local k, exponent = 8193 + count % 8190, -(count // 8190) - 40
    t[key(k, exponent)] = true
    count = count + 1
  end
  return tostring(count)
end)
