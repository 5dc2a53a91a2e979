-- tries: sorting two hundred thousand items with comparisons that contradict themselves, that are C functions,
--   that always say yes
-- must: an error of the script or of the deadline, no read outside of the table
-- trigger: request
-- events: 4
-- expect: 500 or 200 sorted
-- limits: roomMemory = 16777216
return require "attack" (function(_, request)
  local n, t = request.query.n, {}
  for i = 1, 200000 do t[i] = (i * 7919) % 200003 end
  local compare = { function() return true end, function(a, b) return (a ~ b) % 3 > 0 end, math.ult, rawequal }
  for _ = 1, 20 do table.sort(t, compare[tonumber(n)]) end
  return "sorted"
end)
