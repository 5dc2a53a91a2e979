-- tries: gmatch and gsub whose single steps take the square of a text's length
-- must: the handler ends with an error
-- trigger: request
-- events: 2
-- expect: 500
return require "attack" (function(_, request)
  local text = ("ab"):rep(200000)
  if request.query.n == "1" then
    for _ in text:gmatch("a.-c") do end
  end
  return (text:gsub("b.-c", ""))
end)
