-- tries: comparing long texts that differ in their last byte, full of NULs, at which Lua compares piece by
--   piece; sorting them
-- must: the handler ends with an error, or is through in time
-- trigger: request
-- expect: 500 or 200 sorted
return require "attack" (function()
  local texts, head = {}, ("\0"):rep(100000)
  for i = 1, 60 do texts[i] = head .. (i * 37) % 60 end
  for _ = 1, 100 do
    table.sort(texts)
    table.sort(texts, function(a, b) return a > b end)
  end
  return "sorted"
end)
