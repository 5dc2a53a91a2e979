-- tries: arguments that become more with each call, until the stack ends or memory does; packed and kept
-- must: errors, memory within the cap
-- trigger: request
-- events: 3
-- expect: 500 or 200 full
local function more(...) return more(1, 2, 3, 4, 5, 6, 7, 8, ...) end
local function twice(...) return select("#", ...) > 0 and twice(..., table.unpack { ... }) end

return require "attack" (function(self)
  self.kept = self.kept or {}
  pcall(more)
  pcall(twice, 1, 2, 3)
  for i = 1, 1000 do
    if not pcall(function() self.kept[i] = table.pack(table.unpack({}, 1, 20000)) end) then return "full" end
  end
end)
