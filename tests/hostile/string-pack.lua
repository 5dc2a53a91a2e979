-- tries: formats of pack and unpack as long as memory allows, sizes that overflow, results that fill the stack
-- must: errors in the script; the loop ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  local format, data = ("bXi16!16 "):rep(200000), ("\0"):rep(1000000)
  while true do
    pcall(string.packsize, format)
    pcall(string.packsize, ("c2147483647"):rep(1000))
    pcall(string.pack, ("z"):rep(100000), "")
    pcall(string.unpack, ("b"):rep(1000000), data)
    pcall(string.unpack, "s8", ("\xff"):rep(16))
    pcall(string.unpack, "z", data, math.mininteger)
  end
end)
