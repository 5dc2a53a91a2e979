-- tries: patterns that try all ways to divide a text: lazy and greedy repetitions one behind the other
-- must: the handler ends with an error each time, though all time passes in one call of C
-- trigger: request
-- events: 4
-- expect: 500
return require "attack" (function(_, request)
  local text, n = ("a"):rep(30000), request.query.n
  if n == "1" then return tostring(text:find((".-"):rep(20) .. "b")) end
  if n == "2" then return tostring(text:find(("a*"):rep(20) .. "b")) end
  if n == "3" then return tostring(text:match(("a?"):rep(28) .. ("[^b]+"):rep(9) .. "b")) end
  return (text:gsub(("(.-)"):rep(20) .. "b", "%1"))
end)
