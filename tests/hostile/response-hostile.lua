-- tries: answers that would break the client: line breaks in headers, in the status text, in URLs, hundreds of
--   thousands of headers, impossible statuses
-- must: an error where it is made, never a broken answer
-- trigger: request
-- events: 12
-- expect: 500 or 200 or 302
return require "attack" (function(_, request)
  local n = tonumber(request.query.n)
  local many = {}
  for i = 1, n == 9 and 50000 or 1 do many["x-" .. i] = "v" end
  local tries = {
    function() return Response("", { headers = { ["X-A"] = "a\r\nSet-Cookie: b=c" } }) end,
    function() return Response("", { headers = { ["X-A\r\nX-B"] = "a" } }) end,
    function() return Response("", { statusText = "OK\r\nX: y\r\n\r\nbody" }) end,
    function() return Response.redirect("/\r\nX: y") end,
    function() return Response("", { headers = { ["Content-Length"] = "5", ["Transfer-Encoding"] = "chunked" } }) end,
    function() return Response("x", { status = 204 }) end,
    function() return Response("x", { status = 101 }) end,
    function() return Response("x", { status = math.maxinteger }) end,
    function() return Response("x", { headers = many }) end,
    function() return Response("x", { headers = { ["X-A"] = ("v"):rep(1000000) } }) end,
    function() return Response("x", { headers = { ["X-A"] = "\0" } }) end,
    function() return Response("x", { headers = setmetatable({}, { __index = error, __pairs = error }) }) end,
  }
  return tries[n]()
end)
