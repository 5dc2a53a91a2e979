-- tries: a room a kilobyte below its cap, in which C functions make garbage: the collector goes through everything
--   for each few strings of theirs, inside of one call
-- must: the handler ends with an error each time, or the room is started anew; others are served
-- trigger: message
-- events: 5
-- expect: open or closed 1011
-- limits: roomMemory = 33554432
local kept = {}

return require "attack" (function(self, _, message)
  local n = message:match("%d")
  local text = {}
  for i = 1, 30000 do text[i] = ("%06x"):format(i * 7919 % 0xffffff) end
  text = table.concat(text)
  local source = "return {" .. text:gsub("......", "'x%0',") .. "}"
  local list = "[" .. text:gsub("......", '"%0",') .. "0]"
  while pcall(function() for _ = 1, 100 do kept[#kept + 1] = {} end end) do end
  while pcall(function() kept[#kept + 1] = {} end) do end
  for i = 1, 100 do kept[#kept] = nil end
  if n == "1" then pcall(string.gsub, text, "......", {}) end
  if n == "2" then pcall(json.decode, list) end
  if n == "3" then pcall(load, source) end
  if n == "4" then for _ in text:gmatch("......") do end end
  for i = 1, 100000 do tostring(i + 0.5) end
end)
