-- What a script can do to its room, its connections, requests and responses. Each test is a request of its
-- own to a room of its own, in which anna, ben and carl are connected, with the tags a, b and c; the room
-- asked for "/" names them.

require "prelude"

local P, tests = {}, {}

local huge = { math.maxinteger, math.mininteger, math.huge, -math.huge, 0 / 0 }

local function ids(tag)
  local out = {}
  for connection in party.getConnections(tag) do out[#out + 1] = connection.id end
  return table.concat(out, " ")
end

function tests.finding_connections()
  eq(ids(), "anna ben carl")
  eq(ids("b"), "ben")
  eq(ids("ben"), "ben") -- an id is a tag
  eq(ids("nobody"), "")
  eq({ party.connectionCount(), party.connectionCount("c"), party:connectionCount("x") }, { 3, 1, 0 })
  local ben = party.getConnection("ben")
  assert(rawequal(ben, party:getConnection("ben")))
  eq(party.getConnection("zoe"), nil)
  eq(party.getConnection(""), nil)
  raises("#1 to 'getConnection' (string expected, got no value)", function() party:getConnection() end)
  raises("#1 to 'getConnections' (string expected, got table)", function() party:getConnections({}) end)
  raises("#1 to 'after' (number expected, got string)", function() party:after("x", print) end)
  raises("#2 to 'every' (function expected, got nil)", function() party:every(5, nil) end)
  raises("#1 to 'broadcast' (value expected)", function() party:broadcast() end)
  raises("#1 to 'broadcast' (a message is a string", function() party:broadcast(true) end)
  raises("#1 to 'send' (a message is a string", function() ben:send(true) end)
  raises("#1 to 'Response' (a body is a string", function() return Response(true) end)
  eq(party.getConnection("ben\0"), nil)
  local iterator = party.getConnections()
  for _ = 1, 3 do assert(iterator()) end
  eq({ iterator(), iterator() }, {})
end

function tests.closing_while_iterating()
  local seen = {}
  for connection in party.getConnections() do
    seen[#seen + 1] = connection.id
    if connection.id == "anna" then
      party.getConnection("ben"):close(4000, "out")
      connection:close()
    end
  end
  eq(seen, { "anna", "carl" })
  eq(party.connectionCount(), 1)
  eq(ids(), "carl")
  for connection in party.getConnections() do
    connection:setTags({ "new" })
    sleep(0)
    eq(connection.tags, { "carl", "new" })
  end
  eq(ids("new"), "carl")
  eq(ids("c"), "")
end

function tests.fields()
  local anna = party.getConnection("anna")
  eq({ anna.id, anna.kind, anna.remoteAddress, anna.isOpen }, { "anna", "websocket", "192.0.2.9", true })
  eq(anna.tags, { "anna", "a" })
  eq(anna.uri, "http://example.org/parties/main/" .. party.id .. "?tag=a")
  eq(anna.state, nil)
  eq(anna.bufferedAmount, 0)
  anna:send("12345")
  eq(anna.bufferedAmount, 5)
  anna.state = { n = 1 }
  eq(party.getConnection("anna").state.n, 1)
  anna.state = nil
  eq(anna.state, nil)
  eq({ anna.unknown, anna[1], anna[print] }, {})
  for _, field in ipairs({ "id", "tags", "isOpen", "send", "other" }) do
    raises("connection." .. field .. " can't be set", function() anna[field] = 1 end)
  end
  raises("can't be set", function() anna[1] = 1 end)
  eq(tostring(anna), "connection anna")
  eq(getmetatable(anna), false)
  eq(type(anna), "userdata")
end

function tests.closed_connections()
  local anna = party.getConnection("anna")
  anna.state = "kept"
  anna:close(4001, "bye")
  anna:close(4002)
  eq(anna.isOpen, false)
  eq({ anna:send("x") }, { nil, "closed" })
  eq({ anna:send(print) }, { nil, "closed" })
  eq({ anna.id, anna.state }, { "anna", "kept" })
  eq(party.getConnection("anna"), nil)
  anna:setTags({ "z" })
  eq(party.connectionCount("z"), 0)
  party.broadcast("others", anna)
end

function tests.close_is_checked()
  local anna = party.getConnection("anna")
  local send, close = anna.send, anna.close
  for _, code in ipairs({ 0, 1, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000, -1, 65536 + 4000 }) do
    raises("a close code is", close, anna, code)
  end
  raises("a close code is", close, anna, math.maxinteger)
  raises("a close code is", close, anna, math.mininteger)
  raises("no integer representation", close, anna, 1.5)
  raises("number expected", close, anna, {})
  raises("not valid UTF-8", close, anna, 4000, "\xff")
  raises("a reason needs a code", close, anna, nil, "why")
  raises("string expected", close, anna, 4000, {})
  for _, bad in ipairs({ 1, "anna", {}, print, json.null, Response("x") }) do
    raises("connection expected", close, bad)
    raises("connection expected", send, bad, "x")
  end
  raises("connection expected", send)
  eq(anna.isOpen, true)
end

function tests.send_is_checked()
  local anna = party.getConnection("anna")
  local send = anna.send
  eq(anna:send("text"), true)
  eq(anna:send(""), true)
  eq(anna:send(12), true)
  eq(anna:send(1.5), true)
  eq(anna:send({ a = { 1, json.null } }), true)
  eq(anna:send("\xff", { binary = true }), true)
  eq(anna:send("x", {}), true)
  raises("value expected", send, anna)
  raises("not nil", send, anna, nil)
  raises("not boolean", send, anna, true)
  raises("not function", send, anna, print)
  raises("not userdata", send, anna, anna)
  raises("not valid UTF-8", send, anna, "\xff")
  raises("not valid UTF-8", send, anna, "\xed\xa0\x80")
  raises("json", send, anna, { print })
  raises("table expected", send, anna, "x", true)
  eq(anna:send(("x"):rep(100000)), true)
  raises("too much output", function()
    local text = ("x"):rep(1000000)
    for _ = 1, 100 do anna:send(text) end
  end)
  eq(anna.isOpen, true)
end

function tests.tags_are_checked()
  local anna = party.getConnection("anna")
  local set = anna.setTags
  raises("array of strings, not nil", set, anna, nil)
  raises("array of strings, not string", set, anna, "x")
  raises("not a string", set, anna, { 1 })
  raises("0 bytes", set, anna, { "" })
  raises("257 bytes", set, anna, { ("x"):rep(257) })
  raises("a NUL", set, anna, { "a\0b" })
  raises("not 10", set, anna, { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10" })
  eq(anna.tags, { "anna", "a" })
  anna:setTags({ ("x"):rep(256), "\xff" })
  eq(party.connectionCount("\xff"), 1)
  anna:setTags({})
  eq(anna.tags, { "anna" })
end

function tests.broadcast_is_checked()
  local send = party.broadcast
  raises("value expected", send)
  raises("not nil", send, nil)
  raises("not boolean", send, false)
  raises("not function", send, print)
  raises("not valid UTF-8", send, "\xc3")
  raises("not valid UTF-8", send, "\xc3", { binary = false })
  raises("json", send, { a = 0 / 0 })
  raises("unknown option wthout: without, to and binary are known", send, "x", { wthout = "anna" })
  raises("not both", send, "x", { "anna", to = "b" })
  raises("not number", send, "x", 7)
  raises("not boolean", send, "x", true)
  raises("not number", send, "x", { 7 })
  raises("not table", send, "x", { {} })
  raises("not userdata", send, "x", { json.null })
  raises("to is a tag, a string, not number", send, "x", { to = 7 })
  raises("not function", send, "x", { without = print })
  local many = {}
  for i = 1, 1000 do many[i] = "nobody" .. i end
  send("x", many)
  for i = 1, 1000 do many[i] = "anna" end
  send("x", many)
  raises("too much output", function()
    local text = ("x"):rep(1000000)
    for _ = 1, 100 do send(text) end
  end)
end

function tests.numbers_of_any_size()
  for _, number in ipairs(huge) do
    for _, call in ipairs({ party.getConnection, party.connectionCount, party.getConnections }) do
      pcall(call, number)
      raises("string expected", call, {})
    end
    pcall(party.broadcast, number, { to = tostring(number) })
    pcall(Response, number, { status = number })
    pcall(Response.redirect, "/", number)
    assert(not pcall(party.every, number, print))
    assert(not pcall(party.after, number, print))
  end
  raises("function expected", party.after, 1)
  raises("function expected", party.after, 1, "x")
  raises("number expected", party.after, nil, print)
  raises("an interval of 1 ms at least", party.every, 0, print)
  raises("an interval of 1 ms at least", party.every, 0.5, print)
  raises("a duration in ms", party.after, -1, print)
end

function tests.request_fields(self, request)
  local path = "/parties/main/" .. party.id .. "/request_fields"
  eq({ request.method, request.path, request.subpath }, { "POST", path, "/request_fields" })
  eq(request.url, "http://example.org" .. path)
  eq({ request.remoteAddress, request.body, request:text() }, { "192.0.2.7", "", "" })
  eq(request.query, {})
  eq(json.encode(request.query), "{}")
  eq(request:queryAll("x"), {})
  eq(request.headers.host, "example.org")
  eq(request.headers["HOST"], "example.org")
  eq({ request.headers.none, request.headers[1], request.headers[{}] }, {})
  local all = {}
  for name, value in pairs(request.headers) do all[name] = value end
  eq(all, { host = "example.org" })
  raises("read-only", function() request.headers.host = "x" end)
  raises("request.method is read-only", function() request.method = "x" end)
  raises("read-only", function() request.other = "x" end)
  eq({ request.unknown, request[1] }, {})
  assert(rawequal(request.query, request.query) and rawequal(request.headers, request.headers))
  raises("form() reads", request.form, request)
  raises("request expected", request.text, {})
  raises("request expected", request.json, party.getConnection("anna"))
  raises("string expected", request.queryAll, request)
  raises("JSON error", request.json, request)
  -- the function that pairs gives is the script's to call
  local step = pairs(request.headers)
  raises("table expected", step, 1)
  eq({ step({}) }, {})
end

function tests.a_request_is_kept(self, request)
  self.request = request
  local text = request.headers.host
  sleep(0)
  eq(self.request.headers.host, text)
  eq(self.request.subpath, "/a_request_is_kept")
end

function tests.responses_are_checked()
  raises("a body is a string, not table", Response, {})
  raises("a body is a string, not boolean", Response, true)
  raises("a body is a string, not userdata", Response, json.null)
  for _, status in ipairs({ 0, 99, 100, 101, 199, 600, 1000, -1, 200.5, math.maxinteger, "200", true }) do
    raises("a status is an integer from 200 to 599", Response, "x", { status = status })
  end
  raises("a response of status 204 can't have a body", Response, "x", { status = 204 })
  raises("a response of status 304 can't have a body", Response, "x", { status = 304 })
  raises("unknown option stats", Response, "x", { stats = 200 })
  raises("unknown option", Response, "x", { 200 })
  local long = ("o"):rep(100)
  raises("unknown option " .. long:sub(1, 64) .. "…: status", Response, "x", { [long] = 200 })
  raises("unknown option " .. long:sub(1, 64) .. ": status", Response, "x", { [long:sub(1, 64)] = 200 })
  raises("the header " .. long:sub(1, 64) .. "… is boolean", Response, "x", { headers = { [long] = true } })
  raises("table expected", Response, "x", 200)
  raises("statusText", Response, "x", { statusText = "a\r\nb" })
  raises("statusText", Response, "x", { statusText = 7 })
  raises("statusText has 1025 bytes; 1024 are allowed", Response, "x", { statusText = ("x"):rep(1025) })
  Response("x", { statusText = ("x"):rep(1024) })
  for _, name in ipairs({ "", "a b", "a:", "a\n", "a\0b", "\xc3\xa9", "(a)" }) do
    raises("a header can't have the name", Response, "x", { headers = { [name] = "v" } })
  end
  for _, value in ipairs({ "a\nb", "a\rb", "a\r\nX: y", "a\0b", "\x01" }) do
    raises("has a line break or another control character", Response, "x", { headers = { a = value } })
    raises("has a line break or another control character", Response, "x", { headers = { a = { "b", value } } })
    raises("control characters", Response.redirect, value)
  end
  raises("is table, not a string", Response, "x", { headers = { a = { {} } } })
  raises("is boolean, not a string", Response, "x", { headers = { a = true } })
  raises("one of its keys is number", Response, "x", { headers = { "a" } })
  raises("table expected", Response, "x", { headers = "a" })
  for _, name in ipairs({ "Content-Length", "transfer-encoding", "CONNECTION", "Date", "upgrade", "TE" }) do
    raises("is set by the server", Response, "x", { headers = { [name] = "1" } })
  end
  raises("a redirect's status", Response.redirect, "/", 200)
  raises("a redirect's status", Response.redirect, "/", 304)
  raises("a URL", Response.redirect, "")
  raises("string expected", Response.redirect)
  raises("string expected", Response.html)
  local function write() end
  raises("function expected", Response.stream)
  raises("function expected", Response.stream, "x")
  raises("status 204 can't have a body", Response.stream, write, { status = 204 })
  raises("unknown option", Response.stream, write, { state = 1 })
  raises("table expected", Response.events, "x")
  raises("unknown option", Response.events, { tag = "x" })
  raises("id is a string", Response.events, { id = ("x"):rep(257) })
  raises("can have 9 tags", Response.events, { tags = { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10" } })
  raises("retry is an integer", Response.events, { retry = 86400001 })
  local stream = Response.stream(write, { status = 202 })
  eq({ stream.status, stream.ok, stream.body, Response.events().status }, { 202, true, nil, 200 })
  raises("value expected", Response.json)
  raises("json", Response.json, print)
  local response = Response("x", { status = 299 })
  eq({ response.status, response.ok, response.body, response.other }, { 299, true, "x" })
  eq(Response(nil, { status = 300 }).ok, false)
  raises("Response.status is read-only", function() response.status = 1 end)
  eq(Response.html("").body, "")
  eq(Response.json({ 1 }).body, "[1]")
end

function tests.the_rest()
  eq({ party.id, party.name }, { "the_rest", "main" })
  eq(html.escape("<a href='&\">"), "&lt;a href=&#39;&amp;&quot;&gt;")
  raises("string expected", html.escape)
  assert(math.type(now()) == "integer" and now() > 1600000000000)
  assert(#crypto.randomUUID() == 36 and crypto.randomUUID() ~= crypto.randomUUID())
end

function P:getConnectionTags(_, context)
  return { context.request.query.tag }
end

function P:onRequest(request)
  if request.subpath == "/" then
    local names = {}
    for name in pairs(tests) do names[#names + 1] = name end
    table.sort(names)
    return table.concat(names, "\n")
  end
  tests[request.subpath:sub(2)](self, request)
  return "ok"
end

return P
