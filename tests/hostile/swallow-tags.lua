-- tries: getConnectionTags that loops
-- must: the client is closed with 1011
-- trigger: connect
-- expect: 101 closed 1011 or 500
local Tags = {}

function Tags:getConnectionTags() while true do end end

return require "attack" (function() return "never" end, Tags)
