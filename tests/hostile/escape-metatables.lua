-- tries: the metatables of the host's objects and of strings: reading, replacing, calling what stands in them with
--   other objects
-- must: hidden and closed
-- trigger: request
-- clients: 1
-- expect: 200 safe
return require "attack" (function(_, request)
  local connection = party.getConnections()()
  local objects = { connection, request, request.headers, Response("x"), party.after(1e9, print), party, json, string, Response, "text" }
  for i, object in ipairs(objects) do
    assert(not getmetatable(object), i)
    assert(not pcall(setmetatable, object, {}), i)
    if type(object) == "userdata" then
      assert(not pcall(rawset, object, "x", 1), i)
      assert(not pcall(rawget, object, "x"), i)
      assert(not pcall(next, object), i)
      assert(not pcall(function() object.__index = print end), i)
      assert(not pcall(function() object.id = "x" end), i)
      assert(not pcall(function() return #object end), i)
    end
    for _, key in ipairs { "__index", "__newindex", "__gc", "__metatable", "__close", "__pairs", "__name" } do
      local ok, value = pcall(function() return object[key] end)
      assert(not ok or value == nil, key)
    end
  end
  -- a method with another object's self; the iterator of headers with tables of the script's own
  for _, method in ipairs { connection.send, connection.close, connection.setTags, request.json, request.text, request.form, request.queryAll } do
    for i, object in ipairs(objects) do
      if object ~= connection and object ~= request then assert(not pcall(method, object, "x"), i) end
    end
  end
  local iterator = pairs(request.headers)
  for _, object in ipairs(objects) do pcall(iterator, object) end
  assert(not pcall(iterator, { a = 1 }, "b"))
  assert(iterator({}, nil) == nil)
  return "safe"
end)
