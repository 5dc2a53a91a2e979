-- tries: three hundred clients that connect at once, each greeted by ten milliseconds of work and a broadcast
-- must: others are served between any two of them
-- trigger: connect
-- parallel: 300
-- expect: 101 open or 503
local Connect = {}

function Connect:onConnect(connection)
  local from = os.clock()
  while os.clock() < from + 0.01 do end
  party.broadcast({ joined = connection.id })
end

return require "attack" (function() return "never" end, Connect)
