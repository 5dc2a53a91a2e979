-- tries: names of a million objects, which the host remembers while they live
-- must: errors, memory within the cap
-- trigger: request
-- events: 2
-- expect: 500 or 200
return require "attack" (function(self)
  self.kept = self.kept or {}
  while true do
    local t = {}
    self.kept[#self.kept + 1] = t
    tostring(t)
  end
end)
