-- tries: setting the longest tags that there may be on three hundred connections, again and again
-- must: the handler ends with an error; memory within the cap
-- trigger: request
-- clients: 300
-- expect: 500
return require "attack" (function()
  local n = 0
  while true do
    n = n + 1
    local tags = {}
    for i = 1, 9 do tags[i] = i .. ("t"):rep(200) .. n end
    for connection in party.getConnections() do connection:setTags(tags) end
  end
end)
