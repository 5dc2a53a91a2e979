-- tries: load with a function that gives pieces for ever, of a byte, of nothing; that loops; that raises; that
--   loads in its turn
-- must: an error each time
-- trigger: request
-- events: 4
-- expect: 500
return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then while true do pcall(load, function() return " " end) end end
  if n == "2" then load(function() while true do end end) end
  if n == "3" then
    local function reader() return load(reader) and "" end
    while true do pcall(load, reader) end
  end
  local piece = ("-"):rep(100000)
  while true do pcall(load, function() return piece end) end
end)
