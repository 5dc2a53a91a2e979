-- tries: setting as many and as long headers as can be, and line breaks in them
-- must: what can't be a header raises; what a request may hold is bounded
-- trigger: request
-- parallel: 8
-- expect: 200 safe
local Hook = {}

function Hook:onBeforeRequest(request)
  if request.subpath ~= "/attack" then return end
  local headers = request.headers
  for _, value in ipairs { "a\r\nX-Evil: 1", "a\nb", "a\0b", "a\127b" } do
    if pcall(function() headers["x-evil"] = value end) then return Response("evil") end
    if pcall(function() headers["x" .. value] = "1" end) then return Response("evil name") end
  end
  for _, name in ipairs { "Content-Length", "Transfer-Encoding", "Host", "Connection", "Upgrade", "Sec-WebSocket-Key" } do
    if pcall(function() headers[name] = nil end) then return Response("framing") end
  end
  local total = 0
  for i = 1, 1e6 do
    local name, value = "x-" .. i, ("v"):rep(1000)
    if not pcall(function() headers[name] = value end) then break end
    total = total + #name + #value
  end
  if total > 16384 then return Response("too much: " .. total) end
end

return require "attack" (function(_, request)
  local n = 0
  for _ in pairs(request.headers) do n = n + 1 end
  return n < 40 and "safe" or "many"
end, Hook)
