-- tries: the address of an object, in the text about a header that can't have it as its name
-- must: no address
-- trigger: request
-- expect: 200
local Hook = {}

function Hook:onBeforeRequest(request)
  if request.subpath ~= "/attack" then return end
  local told = {}
  for _, thing in ipairs { {}, print, function() end, coroutine.create(print), request, request.headers, Response("") } do
    local _, why = pcall(function() request.headers[thing] = "x" end)
    told[#told + 1] = tostring(why)
  end
  return Response(table.concat(told, "\n"))
end

return require "attack" (function() return "never" end, Hook)
