-- tries: constructors as large as load takes, nested as deep as it goes, called again and again and kept
-- must: errors, memory within the cap
-- trigger: request
-- events: 2
-- expect: 500 or 200
return require "attack" (function(self)
  self.kept = self.kept or {}
  local flat = load("return {" .. ("1,"):rep(120000) .. "}")
  local deep = load("return " .. ("{"):rep(190) .. ("}"):rep(190))
  local wide = load("return {" .. ("{},"):rep(80000) .. "}")
  assert(not load("return " .. ("{"):rep(100000)))
  for i = 1, 10000 do
    if not pcall(function() self.kept[#self.kept + 1] = { flat and flat(), deep and deep(), wide and wide() } end) then break end
  end
  return "full"
end)
