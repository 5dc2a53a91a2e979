-- tries: broadcasts to a tag and counting by tag among three hundred connections with nine long tags each, in a loop
-- must: the handler ends with an error
-- trigger: request
-- clients: 300
-- expect: 500
local Tags = {}

function Tags:getConnectionTags()
  local tags = {}
  for i = 1, 9 do tags[i] = ("t"):rep(255) .. i end
  return tags
end

return require "attack" (function()
  local tag = ("t"):rep(255) .. "x"
  while true do
    pcall(party.connectionCount, tag)
    pcall(party.broadcast, "x", { to = tag })
    pcall(party.getConnections(tag))
  end
end, Tags)
