-- Rooms that talk to others of their party, from everywhere. Each test is a request of its own to a room of its own;
-- the room asked for "/" names them.

require "prelude"

local P, tests = {}, {}

local function other(id) return party.parties.main:get(id or (party.id .. "-other")) end

function P:add(a, b) return a + b end
function P:echo(...) return ... end
function P:count(n) self.n = (self.n or 0) + n return self.n end
function P:fails(value) error(value, 0) end
function P:respond() error(Response("no", { status = 403 })) end
function P:waits(...) sleep(0) return ... end
function P:callBack(id) return other(id):call("add", 1, 2) end
function P:close(id) party.getConnection(id):close(4000, "closed") end
function P:tell(message) party.broadcast(message) end
function P:destroy() party.destroy() return "last" end
function P:deep(n) return party.parties.main:get(party.id):call("deep", n + 1) end
function P:store(key, value) party.storage.put(key, value) return party.storage.get(key) end

function tests.values()
  local stub = other()
  local values = { true, false, 1, -7, 1.5, 1 / 0, -0.0, math.mininteger, "", "a\0b\xff", {}, { 1, { a = { "x" } } }, json.null, ("long"):rep(10000) }
  for _, value in ipairs(values) do eq({ stub:call("echo", value) }, { value }) end
  eq(select("#", stub:call("echo")), 0)
  eq(table.pack(stub:call("echo", nil, 1, nil)), { n = 3, nil, 1, nil })
  eq(table.pack(stub:call("waits", nil, "x")), { n = 2, nil, "x" })
  eq(select("#", stub:call("echo", table.unpack({}, 1, 200))), 200)
  local marked = stub:call("echo", json.array({}))
  eq(json.encode(marked), "[]")
end

function tests.what_is_no_value()
  local stub = other()
  raises("can't be passed to another room: argument 1 is a function", stub.call, stub, "echo", print)
  raises("argument 2.a.b", stub.call, stub, "echo", 1, { a = { b = coroutine.create(print) } })
  local cycle = {}
  cycle.cycle = cycle
  raises("argument 1", stub.call, stub, "echo", cycle)
  raises("argument 1", stub.call, stub, "echo", setmetatable({}, { __index = {} }))
  raises("argument 1", stub.call, stub, "echo", stub)
end

function tests.errors()
  local stub = other()
  eq({ stub:call("fails", "a message") }, { nil, "a message" })
  eq({ stub:call("fails", 5) }, { nil, "5" })
  eq({ stub:call("respond") }, { nil, "error(a Response with the status 403), which is for onRequest and hooks" })
  eq({ stub:call("fails", { close = 4001, reason = "no" }) },
    { nil, "error({ close = 4001 }), which is for the handlers of connections" })
  eq({ stub:call("fails", { close = 4001, message = "a message" }) }, { nil, "a message" })
  eq(select("#", stub:call("fails")), 2)
  eq({ stub:call("none") }, { nil, "no method none" })
  eq({ stub:call("options") }, { nil, "no method options" })
  eq({ stub:call("__index") }, { nil, "no method __index" })
  for _, name in ipairs { "onStart", "onMessage", "onAnything", "getConnectionTags" } do
    eq({ stub:call(name) }, { nil, name .. " is a handler, which only the server calls" })
  end
  raises("string expected", stub.call, stub)
  raises("a method expected", stub.call, stub, "")
  raises("a method expected", stub.call, stub, "a\0b")
  raises("stub expected", stub.call, {}, "add")
  raises("read-only", function() stub.id = "x" end)
  eq(stub.nothing, nil)
end

function tests.everywhere()
  local stub = other()
  eq({ pcall(stub.call, stub, "add", 1, 2) }, { true, 3 })
  eq(coroutine.wrap(function() return stub:call("add", 3, 4) end)(), 7)
  local add = setmetatable({}, { __add = function(_, n) return stub:call("add", 10, n) end })
  eq(add + 5, 15)
  local got
  party.after(0, function() got = stub:fetch("/ping"):text() end)
  while not got do sleep(0) end
  eq(got, "pong")
  raises("waiting is not possible", table.sort, { 1, 2 }, function() stub:call("add", 1, 1) end)
  local names = {}
  for name in pairs { add = 1 } do names[#names + 1] = stub:call("echo", name) end
  eq(names, { "add" })
end

function tests.itself()
  eq(other(party.id):call("add", 1, 2), 3)
  eq(other():call("callBack", party.id), 3)
  eq({ other():call("deep", 0) }, { nil, "calls from room to room nest at most 16 deep" })
end

function tests.many_at_once()
  local stub, done = other(), 0
  for i = 1, 50 do
    party.after(0, function()
      stub:call("count", i)
      done = done + 1
    end)
  end
  while done < 50 do sleep(0) end
  eq(stub:call("count", 0), 50 * 51 // 2)
end

function tests.fetch()
  local response = other():fetch("/echo?a=b", { method = "put", headers = { ["X-One"] = "1", ["x-many"] = { "a", "b" } }, body = "body" })
  eq({ response.status, response.ok, response.statusText, response.headers["X-ROOM"], response.headers["content-type"] },
    { 201, true, "Made", party.id .. "-other", "text/plain;charset=UTF-8" })
  eq(response:text(), "PUT /echo b 1 a, b body")
  eq(response.headers["set-cookie"], "a=1, b=2")
  eq({ response:headerAll("Set-Cookie"), response:headerAll("none") }, { { "a=1", "b=2" }, {} })
  raises("read-only", function() response.status = 1 end)
  eq(other():fetch("/json"):json(), { a = { 1, 2 } })
  raises("line 1", function() other():fetch("/ping"):json() end)
  eq(other():fetch("/raises").status, 500)
end

function tests.large_headers()
  local stub = other()
  local most = 16 * 1024 -- the limit headers
  local lines = {}
  for i = 1, most // 5 + 1 do lines[i] = "" end -- "b: " and its end take five bytes
  for _, headers in ipairs { { a = ("x"):rep(most) }, { b = lines } } do
    raises("the headers are too large: they may have 16384 bytes (headers)", stub.fetch, stub, "/echo", { headers = headers })
    raises("the headers are too large", stub.connect, stub, "/", { headers = headers })
  end
  local fits = ("x"):rep(most - #"x-one: \r\nX-Many: \r\n")
  eq(stub:fetch("/echo?a=b", { headers = { ["x-one"] = fits, ["X-Many"] = "" } }):text(), "GET /echo b " .. fits .. "  ")
  local many = {}
  for i = 1, 1000 do many[i] = tostring(i) end
  eq(stub:fetch("/joined", { headers = { ["X-Many"] = many, Cookie = { "a=1", "b=2", "c=3" } } }):text(),
    table.concat(many, ", ") .. " a=1; b=2; c=3")
end

function tests.a_socket()
  local stub = other()
  for _, id in ipairs { 5, "", "a\0b", "\xff", ("x"):rep(257), {}, true } do
    raises("id is a string of 1 to 256 bytes of UTF-8", stub.connect, stub, "/", { id = id })
  end
  local socket = assert(stub:connect("/", { id = "me" }))
  eq({ socket.id, socket.isOpen, socket.closeCode, socket.bufferedAmount, socket.nothing }, { "me", true, nil, 0, nil })
  local got = {}
  socket:send("one")
  socket:send({ a = 1 })
  socket:send("\xff", { binary = true })
  raises("not valid UTF-8", socket.send, socket, "\xff")
  raises("a close code", socket.close, socket, 1)
  raises("read-only", function() socket.id = 1 end)
  for message, binary in socket:messages() do
    got[#got + 1] = (binary and "binary " or "") .. message
    if #got == 4 then break end
  end
  eq(got, { "hello me", "one back", '{"a":1} back', "binary \xff back" })
  stub:call("close", "me")
  for message in socket:messages() do error(message) end
  eq({ socket.isOpen, socket.closeCode, socket.closeReason }, { false, 4000, "closed" })
  eq({ socket:send("late") }, { nil, "closed" })
  socket:close()
end

function tests.a_socket_that_two_wait_for()
  local socket = assert(other():connect())
  for message in socket:messages() do eq(message:sub(1, 5), "hello") break end
  local first
  party.after(0, function()
    for message in socket:messages() do first = message end
    first = first or "ended"
  end)
  sleep(1)
  while not pcall(function() raises("another handler waits", socket:messages()) end) do sleep(1) end
  socket:close()
  while not first do sleep(0) end
  eq(first, "ended")
end

function tests.sockets_that_nobody_holds()
  local stub = other()
  for _ = 1, 20 do assert(stub:connect()) end
  while json.decode(stub:fetch("/connections"):text()) > 0 do
    for i = 1, 100 do local garbage = ("x"):rep(10000) .. i end
  end
end

function tests.list()
  local ids = {}
  for _, name in ipairs { "c", "a", "b" } do other("list-" .. name):call("add", 1, 2) end
  for _, room in ipairs(party.parties.main:list { prefix = "list-" }) do
    ids[#ids + 1] = room.id
    eq({ math.type(room.connections), room.lastActive <= now() }, { "integer", true })
  end
  eq(ids, { "list-a", "list-b", "list-c" })
  eq(#party.parties.main:list { prefix = "list-", limit = 2 }, 2)
  eq(party.parties.main:list({ prefix = "list-", after = "list-b" })[1].id, "list-c")
  raises("limit is an integer", party.parties.main.list, party.parties.main, { limit = 1001 })
  raises("prefix is a string", party.parties.main.list, party.parties.main, { prefix = 1 })
  raises("has a NUL", party.parties.main.list, party.parties.main, { after = "a\0" })
end

function tests.parties()
  raises("there is no party mian; did you mean main?", function() return party.parties.mian end)
  local long = ("x"):rep(63) .. "é" .. ("x"):rep(1000)
  raises("there is no party " .. long:sub(1, 63) .. "…", function() return party.parties[long] end) -- no half "é"
  raises("there is no party xyzzy", function() return party.parties.xyzzy end)
  raises("a string", function() return party.parties[{}] end)
  eq({ party.parties.main.name, other("x").id, other("x").party }, { "main", "x", "main" })
  raises("has a slash", party.parties.main.get, party.parties.main, "a/b")
  raises("string expected", party.parties.main.get, party.parties.main)
  raises("party expected", party.parties.main.get, {}, "x")
end

function tests.destroy()
  local stub = other()
  stub:call("count", 5)
  eq(stub:call("destroy"), "last")
  eq(stub:call("count", 1), 1)
end

function P:onStart()
  self.names = {}
  for name in pairs(tests) do self.names[#self.names + 1] = name end
  table.sort(self.names)
end

function P:onConnect(connection)
  if connection.kind == "room" then connection:send("hello " .. connection.id) end
end

function P:onMessage(message, connection, binary)
  connection:send(message .. " back", { binary = binary })
end

function P:onRequest(request)
  local path = request.subpath
  if path == "/" then return table.concat(self.names, "\n") end
  if path == "/ping" then return "pong" end
  if path == "/json" then return { a = { 1, 2 } } end
  if path == "/raises" then error("no") end
  if path == "/joined" then return request.headers["x-many"] .. " " .. request.headers.cookie end
  if path == "/connections" then return tostring(party.connectionCount()) end
  if path == "/echo" then
    local headers = request.headers
    return Response(table.concat({ request.method, path, request.query.a, headers["x-one"], headers["X-Many"], request.body }, " "),
      { status = 201, statusText = "Made", headers = { ["X-Room"] = party.id, ["Set-Cookie"] = { "a=1", "b=2" } } })
  end
  tests[path:sub(2)](self, request)
  return "ok"
end

return P
