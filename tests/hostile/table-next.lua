-- tries: next on a table that was emptied, which looks through all of its quarter of a million places each time,
--   for as long as the script likes: the way in which sets are often emptied
-- must: the handler ends with an error
-- trigger: request
-- events: 4
-- expect: 500 or 200 filled
-- limits: roomMemory = 33554432
local t = {}

return require "attack" (function(self, request)
  if request.query.n ~= "4" then
    self.filled = self.filled or 0
    for _ = 1, 80000 do
      self.filled = self.filled + 1
      t["key" .. self.filled] = true
    end
    return "filled"
  end
  for key in pairs(t) do t[key] = nil end
  while true do next(t) end
end)
