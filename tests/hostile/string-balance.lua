-- tries: %b on a text that only opens: each place is looked at to the end
-- must: the handler ends with an error
-- trigger: request
-- events: 2
-- expect: 500
return require "attack" (function(_, request)
  local text = ("("):rep(1000000)
  if request.query.n == "1" then return tostring(text:find("%b()")) end
  return (text:gsub("%b()", ""))
end)
