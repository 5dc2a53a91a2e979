-- tries: lists that are too long or have holes for what takes one: tags, options, whom to leave out, headers
-- must: errors that name what is wrong
-- trigger: request
-- clients: 2
-- expect: 200 safe
return require "attack" (function()
  local connection = party.getConnections()()
  local long, hollow = {}, { "a", nil, nil, "d" }
  for i = 1, 100000 do long[i] = "x" .. i end
  for _, tags in ipairs { long, hollow, { "" }, { ("t"):rep(257) }, { 1 }, { {} }, { "a\0b" }, { [2] = "b" } } do
    pcall(connection.setTags, connection, tags)
    assert(#connection.tags <= 10)
  end
  for _, tags in ipairs { long, { "" }, { ("t"):rep(257) }, { {} }, { "a\0b" } } do assert(not pcall(connection.setTags, connection, tags)) end
  for _, options in ipairs { { to = {} }, { binary = true, bogus = 1 }, { true }, { without = print }, { [1] = "x", to = "y" }, print } do
    assert(not pcall(party.broadcast, "x", options))
  end
  for _, message in ipairs { print, true, "\xff", json.null, coroutine.create(print), { print }, { [1.5] = 1 } } do
    assert(not pcall(party.broadcast, message))
    assert(not pcall(connection.send, connection, message))
  end
  for _, headers in ipairs { { [1] = "x" }, { a = {} and { {} } }, { [""] = "x" }, { ["a b"] = "x" }, "x", { a = print } } do
    assert(not pcall(Response, "x", { headers = headers }))
  end
  assert(not pcall(Response, "x", { bogus = 1 }) and not pcall(Response, {}) and not pcall(Response, print))
  party.broadcast("x", long)
  return "safe"
end)
