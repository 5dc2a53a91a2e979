-- tries: streams that never end, as many as handlers may wait, each written to by all others, over and over
-- must: others are served
-- trigger: unanswered
-- parallel: 250
-- expect: sent
-- watch: 1500
-- room: lost
local streams = {}

return require "attack" (function()
  return Response.stream(function(stream)
    table.insert(streams, stream)
    while true do
      for _, other in ipairs(streams) do pcall(other.write, other, ("y"):rep(3000)) end
      sleep(1)
    end
  end)
end)
