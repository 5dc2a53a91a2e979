-- tries: a string that doubles, then as many as fit, each error caught
-- must: errors in the script, memory within the cap, the room serves on
-- trigger: request
-- events: 3
-- expect: 500 or 200 full
return require "attack" (function(self)
  local s = "x"
  while pcall(function() s = s .. s end) do end
  self.kept = self.kept or {}
  while pcall(function() self.kept[#self.kept + 1] = ("y"):rep(1000) .. #self.kept end) do end
  return "full"
end)
