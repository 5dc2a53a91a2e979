-- tries: weak tables of all kinds with a million dead entries, cleared in the collector's one atomic step
-- must: the handler ends with an error, or is through in time
-- trigger: request
-- events: 4
-- expect: 200 or 500
-- limits: roomMemory = 33554432
return require "attack" (function()
  for _ = 1, 8 do
    local weak = setmetatable({}, { __mode = "kv" })
    for i = 1, 20000 do
      weak[i] = {}
      weak[{}] = i
    end
  end
  return "through"
end)
