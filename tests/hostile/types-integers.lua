-- tries: the largest, smallest and oddest numbers in everything that takes one, where the result is known
-- must: refused or exact
-- trigger: message
-- expect: open
return require "attack" (function(_, connection)
  local big, small = math.maxinteger, math.mininteger
  for _, ms in ipairs { big, small, -1, 1 / 0, -1 / 0, 0 / 0, 2 ^ 63, 1e308 } do
    assert(not pcall(party.after, ms, print), ms)
    assert(not pcall(party.every, ms, print), ms)
    assert(not pcall(sleep, ms), ms)
  end
  party.after(3e12, print):cancel()
  assert(not pcall(party.every, 0, print) and not pcall(party.every, 0.5, print))
  for _, code in ipairs { big, small, 0x10000 + 1000, -1000, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, 2 ^ 40 } do
    assert(not pcall(connection.close, connection, code), code)
  end
  for _, status in ipairs { big, small, 0, 99, 101, 199, 600, 0x10000 + 200, 200.5 } do
    assert(not pcall(Response, "x", { status = status }), status)
  end
  assert(not pcall(Response.redirect, "/", 0x10000 + 302))
  assert(("abc"):sub(small, big) == "abc" and ("abc"):sub(big, small) == "" and ("abc"):byte(small) == nil)
  assert(("abc"):find("b", small) == 2 and ("abc"):find("b", big) == nil and ("abc"):rep(small) == "")
  assert(select("#", select(big, 1, 2)) == 0 and not pcall(select, small, 1))
  assert(not pcall(math.random, big, small) and math.random(small, big) and not pcall(math.random, 0 - big))
  assert(not pcall(utf8.char, small) and not pcall(utf8.codepoint, "abc", small) and not pcall(utf8.offset, "abc", 1, big))
  assert(not pcall(string.char, 256) and not pcall(string.char, small) and not pcall(string.format, "%99999d", 1))
  assert(not pcall(table.insert, {}, big, 1) and not pcall(table.remove, { 1 }, big) and not pcall(table.concat, {}, "", small, small + 1))
  assert(not pcall(table.move, {}, small, big, 1) and not pcall(table.move, {}, 1, 10, big))
  assert(json.encode(small) == "-9223372036854775808" and json.decode("-9223372036854775808") == small)
  assert(not pcall(json.encode, 0 / 0) and not pcall(json.decode, "1e999") and not pcall(json.encode, { [big] = 1 }))
  assert(not pcall(function() for _ = 1, 10, 0 do end end))
  assert(small // -1 == small and small % -1 == 0 and 1 << 64 == 0 and 1 << -64 == 0 and big + 1 == small)
  assert(not pcall(function() return 1 // 0 end) and not pcall(function() return 1 % 0 end) and not pcall(function() return 2 ^ 63 | 0 end))
  assert(tostring(2 ^ 63) == "9.2233720368548e+18" and math.tointeger(2 ^ 63) == nil)
  assert(not pcall(string.pack, "i17", 1) and not pcall(string.pack, "i1", 128) and not pcall(string.unpack, "s8", ("\xff"):rep(8)))
  assert(not pcall(connection.setTags, connection, setmetatable({}, { __len = function() return big end, __index = print }))
    or #connection.tags == 1)
  connection:send("exact")
end)
