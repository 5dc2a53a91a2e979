-- tries: a plain find whose needle fails at its last byte at each place, in texts of megabytes
-- must: found out in time or ended
-- trigger: request
-- events: 2
-- expect: 500 or 200 nil
return require "attack" (function(_, request)
  local n = request.query.n
  local needle = n == "1" and ("a"):rep(1500000) .. "b" or "b" .. ("a"):rep(1500000)
  return tostring(("a"):rep(3000000):find(needle, 1, true))
end)
