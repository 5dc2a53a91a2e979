-- tries: formats of megabytes for os.date: a call into the C library for each two bytes of them
-- must: the handler ends with an error, or is through in time
-- trigger: request
-- events: 2
-- expect: 500 or 200
-- limits: roomMemory = 67108864
return require "attack" (function(_, request)
  local format = request.query.n == "1" and ("%n"):rep(4000000) or ("%c"):rep(300000)
  return tostring(#os.date("!" .. format))
end)
