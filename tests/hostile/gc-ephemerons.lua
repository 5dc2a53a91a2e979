-- tries: a chain of a hundred thousand keys in one weak table, each the value of the one before: the collector
--   looks through the whole table for about each two of them, in one step that can't be interrupted
-- must: ended, with its room if there is no other way
-- trigger: request
-- events: 8
-- expect: 200 or 500
-- limits: roomMemory = 33554432
local chain, last = setmetatable({}, { __mode = "k" }), {}
local first = last

return require "attack" (function(_, request)
  if request.query.n ~= "8" then
    for _ = 1, 15000 do
      local key = {}
      chain[last] = key
      last = key
    end
    return tostring(first ~= last)
  end
  local garbage
  for i = 1, 1000 do garbage = ("x"):rep(100000) .. i end
  return "collected"
end)
