-- tries: a room just under its cap, where each allocation makes the collector go through everything
-- must: the handler ends with an error; others are served meanwhile
-- trigger: message
-- events: 3
-- expect: open
-- limits: roomMemory = 33554432
return require "attack" (function(self)
  self.kept = self.kept or {}
  local kept = self.kept
  while pcall(function() for _ = 1, 1000 do kept[#kept + 1] = {} end end) do end
  while true do pcall(string.rep, "x", 30000000) end
end)
