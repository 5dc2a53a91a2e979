-- tries: bytecode: dumping functions, loading chunks that begin with an escape, in pieces, in all modes
-- must: none is made and none is loaded
-- trigger: request
-- expect: 200 safe
return require "attack" (function()
  assert(string.dump == nil and ("").dump == nil)
  for name in pairs(string) do assert(name ~= "dump") end
  local header = "\27Lua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08\x78\x56\0\0\0\0\0\0\0\0\0\0\0\x28\x77\x40\1"
  for _, mode in ipairs { "b", "bt", "t", "tb", "", "bbb" } do
    assert(not load(header, "x", mode))
    assert(not load(header .. ("\0"):rep(1000), "x", mode, {}))
    local pieces = { "\27", "Lua", header:sub(5) }
    assert(not load(function() return table.remove(pieces, 1) end, "x", mode))
  end
  assert(not load("return 1", "x", "b"))
  assert(load("return 1", "x", "t")() == 1)
  return "safe"
end)
