-- tries: keeping upgrade requests and their tables of headers and queries for each of four hundred clients
-- must: memory within the cap
-- trigger: connect
-- parallel: 400
-- expect: 101 open or 101 closed 1011 or 500 or 503
local Connect, kept = {}, {}

function Connect:onConnect(_, context)
  local request = context.request
  for _ = 1, 50 do kept[#kept + 1] = { request, request.headers, request.query, request.url, request:queryAll("n") } end
end

return require "attack" (function() return "never" end, Connect)
