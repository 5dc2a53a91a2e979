-- tries: %1 against captures of all lengths at all places
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  local text = ("a"):rep(50000) .. "c" .. ("a"):rep(50000)
  return tostring(text:find("(a*)b%1"), text:find("(.*)%1(.*)%2d"))
end)
