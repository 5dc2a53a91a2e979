-- tries: forty thousand values of one header, each a line of its own
-- must: made in a time that grows with their number alone, or ended
-- trigger: request
-- expect: 500 or 200 made
return require "attack" (function()
  local values = {}
  for i = 1, 40000 do values[i] = "v" end
  for _ = 1, 20 do Response("", { headers = { ["x-many"] = values } }) end
  return "made"
end)
