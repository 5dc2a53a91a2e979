-- tries: string.rep of nothing, 2^60 times: a loop in C that needs no memory
-- must: the handler ends with an error
-- trigger: request
-- events: 2
-- expect: 500
return require "attack" (function(_, request)
  if request.query.n == "1" then return ("").rep("", 1 << 60) end
  return ("").rep("", 1 << 60, "")
end)
