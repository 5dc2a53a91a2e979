-- tries: numbers of a million digits: tonumber with and without a base, arithmetic with texts, hexadecimal
--   floats, in a loop that swallows
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  local digits, hex = ("9"):rep(1000000), "0x" .. ("f"):rep(1000000) .. "p-4000000"
  while true do
    tonumber(digits)
    tonumber(digits, 36)
    tonumber(hex)
    pcall(function() return digits + 1, hex * 2, -hex end)
  end
end)
