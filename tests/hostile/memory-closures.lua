-- tries: closures with many upvalues, and functions of load, kept
-- must: errors, memory within the cap
-- trigger: request
-- events: 3
-- expect: 500 or 200
return require "attack" (function(self)
  self.kept = self.kept or {}
  local source = "local " .. ("a,"):rep(99) .. "b = 1 return function() return " .. ("a+"):rep(99) .. "b end"
  while true do
    local made = load(source)
    self.kept[#self.kept + 1] = made()
    self.kept[#self.kept + 1] = made
  end
end)
