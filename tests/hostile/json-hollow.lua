-- tries: writing "[]" a hundred thousand times, each for a table of a quarter of a million empty places: all time
--   passes in the encoder, which needs next to no memory
-- must: the handler ends with an error
-- trigger: request
-- events: 4
-- expect: 500 or 200 filled
-- limits: roomMemory = 33554432
local hollow = {}

return require "attack" (function(self, request)
  if request.query.n ~= "4" then
    self.filled = self.filled or 0
    for _ = 1, 80000 do
      self.filled = self.filled + 1
      hollow["key" .. self.filled] = true
    end
    return "filled"
  end
  for key in pairs(hollow) do hollow[key] = nil end
  local list = {}
  for i = 1, 100000 do list[i] = hollow end
  return json.encode(list)
end)
