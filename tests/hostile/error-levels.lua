-- tries: levels that no stack has, places in stacks of a hundred thousand calls, errors in errors in errors
-- must: 500 each time
-- trigger: request
-- events: 6
-- expect: 500
local function deep(n, f) if n == 0 then f() end return 1 + deep(n - 1, f) end

return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then error("x", math.maxinteger) end
  if n == "2" then error("x", math.mininteger) end
  if n == "3" then deep(50000, function() error("x", 49999) end) end
  if n == "4" then deep(50000, function() for level = 1, 100 do debug.traceback("x", level * 500) end error(debug.traceback("x", 49990)) end) end
  if n == "5" then deep(1000000, print) end
  local function nest(k) local ok, err = xpcall(nest, function(e) return nest(k - 1) end, k - 1) error(err) end
  nest(100000)
end)
