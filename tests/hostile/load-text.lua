-- tries: texts that take the compiler long: thirty thousand labels in one function, as many jumps to nowhere,
--   numbers and comments of a quarter of a megabyte; in a loop that swallows
-- must: the handler ends with an error
-- trigger: request
-- events: 5
-- expect: 500
local function many(n, make)
  local parts = {}
  for i = 1, n do parts[i] = make(i) end
  return table.concat(parts, " ")
end

return require "attack" (function(_, request)
  local n = tonumber(request.query.n)
  local source = ({
    function() return many(22000, function(i) return ("::a%x::"):format(i) end) end,
    function() return many(10000, function(i) return ("goto a%x ::b%x::"):format(i, i) end) end,
    function() return "return " .. ("9"):rep(260000) end,
    function() return "return {" .. many(60, function(i) return ("(function() local a%d "):format(i) end) .. many(60, function() return "end)()" end) .. "}" end,
    function() return "local a " .. many(20000, function(i) return "a=a.b" .. i end) end,
  })[n]()
  assert(#source <= 262144)
  while true do load(source) end
end)
