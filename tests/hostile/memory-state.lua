-- tries: connections that are kept after they have gone, with state, ids and tags as large as they may be
-- must: memory within the cap
-- trigger: close
-- parallel: 400
-- expect: closed
-- watch: 500
local State, kept = {}, {}

function State:onConnect(connection)
  local tags = {}
  for i = 1, 9 do tags[i] = i .. ("t"):rep(255) end
  connection:setTags(tags)
  connection.state = ("s"):rep(20000)
  kept[#kept + 1] = connection
end

return require "attack" (function() return "never" end, State)
