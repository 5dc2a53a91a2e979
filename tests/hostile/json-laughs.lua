-- tries: a hundred tables, each of which has the one below it twice: 2^100 values to write
-- must: an error, of memory or of time
-- trigger: request
-- events: 3
-- expect: 500
local t = {}
for _ = 1, 100 do t = { t, t } end

return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then return json.encode(t) end
  if n == "2" then return Response.json(t, {}) end
  return t
end)
