-- tries: formats that grow: the widest and most exact numbers, two hundred thousand items in one format, %s with
--   a width, %a, %i of huge floats, bad conversions at the end of a long format
-- must: errors in the script or a deadline; never more than the cap
-- trigger: request
-- events: 5
-- expect: 500 or 200
return require "attack" (function(_, request)
  local n = tonumber(request.query.n)
  local formats = { ("%99.99f"):rep(200), ("%5s"):rep(200), ("%99d"):rep(200), ("%.99a"):rep(200), ("%%"):rep(1000000) .. "%y" }
  local arg = { -1e308, ("x"):rep(100000), math.mininteger, 1e-308, 1 }
  local args = {}
  for i = 1, 200 do args[i] = arg[n] end
  for _ = 1, 10000 do
    pcall(string.format, formats[n], table.unpack(args))
  end
  return "done"
end)
