-- What files of tests find: test, describe, expect and harness. Runs in the VM of a file of tests, before that; its
-- ground is the table of C functions __host (src/testing/commands.c), of which those that do something wait until all
-- that follows from it is over.

local host = __host
__host = nil

local harness = {}

-- Errors are the test's: they carry the place in its file that is so many calls above.
local function fail(text, level)
  error(text, level + 1)
end

local loaded = false -- the file has run: what tests there are is known

-- For methods: they are called on what they belong to, and while a test runs.
local function check_call(self, meta, call)
  if type(self) ~= "table" or getmetatable(self) ~= meta then fail("methods are called with a colon: " .. call, 3) end
  if not loaded then fail(call .. " is for tests: what a file does outside of them is over before there is a room", 3) end
end

local function keys_of(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

local function no_such(what, members, key)
  local meant = type(key) == "string" and host.suggest(key, keys_of(members))
  return ("%s has no '%s'"):format(what, tostring(key)) .. (meant and (": did you mean '%s'?"):format(meant) or "")
end

-- A table whose unknown names are errors, with what may have been meant.
local function strict(what, members)
  return setmetatable(members, {
    __index = function(_, key) fail(no_such(what, members, key), 2) end,
  })
end

-- ---- values as text ----

local WIDTH = 72

local function quoted(text)
  local escaped = ("%q"):format(text):gsub("\\\n", "\\n"):gsub("\r", "\\r"):gsub("\0", "\\0"):gsub("\t", "\\t")
  return escaped
end

local function key_text(key, show)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key end
  return "[" .. show(key, "") .. "]"
end

local function order(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return ta < tb end
  if ta == "number" or ta == "string" then return a < b end
  return tostring(a) < tostring(b)
end

-- A value as Lua would write it, keys in order; on several lines when it is long.
local function show(value, indent, seen)
  if value == json.null then return "json.null" end
  if type(value) == "string" then return quoted(value) end
  if type(value) ~= "table" then return tostring(value) end
  seen = seen or {}
  if seen[value] then return "(itself)" end
  seen[value] = true
  local inner = indent .. "  "
  local parts = {}
  local n = #value
  for i = 1, n do
    parts[i] = show(value[i], inner, seen)
  end
  local keys = {}
  for key in pairs(value) do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then keys[#keys + 1] = key end
  end
  table.sort(keys, order)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = key_text(key, show) .. " = " .. show(value[key], inner, seen)
  end
  seen[value] = nil
  if #parts == 0 then return "{}" end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #line + #indent <= WIDTH and not line:find("\n", 1, true) then return line end
  return "{\n" .. inner .. table.concat(parts, ",\n" .. inner) .. ",\n" .. indent .. "}"
end

-- ---- deep equality ----

local function equal(a, b, pairs_seen)
  if rawequal(a, b) or a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" or a == json.null or b == json.null then return false end
  pairs_seen = pairs_seen or {}
  local seen = pairs_seen[a]
  if seen and seen[b] then return true end
  if not seen then
    seen = {}
    pairs_seen[a] = seen
  end
  seen[b] = true
  for key, value in pairs(a) do
    if not equal(value, b[key], pairs_seen) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- The way to what differs first in two tables that are not equal: "[150].x".
local function way_to_difference(a, b, on_way)
  local keys = {}
  for key in pairs(a) do keys[#keys + 1] = key end
  for key in pairs(b) do
    if a[key] == nil then keys[#keys + 1] = key end
  end
  table.sort(keys, order)
  on_way[a] = b
  for _, key in ipairs(keys) do
    local x, y = a[key], b[key]
    local deeper = type(x) == "table" and type(y) == "table" and x ~= json.null and y ~= json.null
    if not (deeper and on_way[x] == y) and not equal(x, y) then
      local name = key_text(key, show)
      return (name:find("^%[") and name or "." .. name) .. (deeper and way_to_difference(x, y, on_way) or "")
    end
  end
  return ""
end

-- ---- what differs ----

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do
    lines[#lines + 1] = line
  end
  return lines
end

local DIFF_LINES = 200 -- that are compared one by one
local FIRST_LINES = 10 -- of each that are shown where there are more
local CONTEXT = 3 -- lines around one that differs

-- How many lines are the same at the beginning, and behind that at the end.
local function same_ends(a, b)
  local most, first, last = math.min(#a, #b), 0, 0
  while first < most and a[first + 1] == b[first + 1] do first = first + 1 end
  while last < most - first and a[#a - last] == b[#b - last] do last = last + 1 end
  return first, last
end

-- Gives put the lines of both in their order: mark "-": in a alone, "+": in b alone, " ": in both.
local function merge(a, b, put)
  local longest = {}
  for i = #a + 1, 1, -1 do
    longest[i] = {}
    for k = #b + 1, 1, -1 do
      if i > #a or k > #b then longest[i][k] = 0
      elseif a[i] == b[k] then longest[i][k] = longest[i + 1][k + 1] + 1
      else longest[i][k] = math.max(longest[i + 1][k], longest[i][k + 1]) end
    end
  end
  local i, k = 1, 1
  while i <= #a or k <= #b do
    if i <= #a and k <= #b and a[i] == b[k] then
      put(" ", a[i])
      i, k = i + 1, k + 1
    elseif i <= #a and (k > #b or longest[i + 1][k] >= longest[i][k + 1]) then
      put("-", a[i])
      i = i + 1
    else
      put("+", b[k])
      k = k + 1
    end
  end
end

local function put_first(lines, mark, put)
  for i = 1, math.min(#lines, FIRST_LINES) do put(mark, lines[i]) end
  if #lines > FIRST_LINES then put(mark, "…") end
end

-- Lines of both, those that are in one alone marked: "-" is expected, "+" was seen. Of the others those are shown that
-- are near.
local function diff(expected, seen)
  local a, b = lines_of(expected), lines_of(seen)
  local first, last = same_ends(a, b)
  local middle_a, middle_b = table.move(a, first + 1, #a - last, 1, {}), table.move(b, first + 1, #b - last, 1, {})
  local marks, lines, near = {}, {}, {}
  local function put(mark, line)
    local n = #lines + 1
    marks[n], lines[n] = mark, line
    if mark ~= " " then
      for i = n - CONTEXT, n + CONTEXT do near[i] = true end
    end
  end
  for i = 1, first do put(" ", a[i]) end
  if #middle_a <= DIFF_LINES and #middle_b <= DIFF_LINES then
    merge(middle_a, middle_b, put)
  else
    put_first(middle_a, "-", put)
    put_first(middle_b, "+", put)
  end
  for i = #a - last + 1, #a do put(" ", a[i]) end
  local out = { "- expected, + seen:" }
  for i, line in ipairs(lines) do
    if near[i] then
      out[#out + 1] = "  " .. marks[i] .. " " .. line
    elseif near[i - 1] or i == 1 then
      out[#out + 1] = "    …"
    end
  end
  return table.concat(out, "\n")
end

local LONG = 200 -- bytes of a text that is shown as a whole
local AROUND = 40 -- bytes on each side of the place where two long ones differ

-- Where two texts differ first.
local function first_difference(a, b)
  local same, most = 0, math.min(#a, #b)
  while same < most do
    local middle = (same + most + 1) // 2
    if a:sub(same + 1, middle) == b:sub(same + 1, middle) then same = middle else most = middle - 1 end
  end
  return same + 1
end

-- The part of a text around this byte; characters are not cut.
local function excerpt(text, at)
  local first, last = math.max(at - AROUND, 1), math.min(at + AROUND, #text)
  local function continues(pos)
    local byte = text:byte(pos)
    return byte and byte & 0xC0 == 0x80
  end
  for _ = 1, 3 do
    if first > 1 and continues(first) then first = first - 1 end
    if continues(last + 1) then last = last + 1 end
  end
  return (first > 1 and "… " or "") .. quoted(text:sub(first, last)) .. (last < #text and " …" or "")
end

local function compare_long(expected, seen)
  local at = first_difference(expected, seen)
  return ("  differ at:  byte %d (of %d expected, %d seen)\n  expected: %s\n  seen:     %s"):format(at, #expected, #seen,
    excerpt(expected, at), excerpt(seen, at))
end

local function compare_text(expected, seen)
  if type(expected) == "string" and type(seen) == "string" and #expected + #seen > 2 * LONG then
    return compare_long(expected, seen)
  end
  local want, got = show(expected, ""), show(seen, "")
  if want:find("\n", 1, true) or got:find("\n", 1, true) then
    local way = type(expected) == "table" and type(seen) == "table" and way_to_difference(expected, seen, {}) or ""
    return (way ~= "" and "  differ at:  " .. way .. "\n" or "") .. diff(want, got)
  end
  return "  expected: " .. want .. "\n  seen:     " .. got
end

-- ---- expect ----

local matchers = {}

function matchers.equals(seen, expected)
  return equal(expected, seen), function() return "not equal\n" .. compare_text(expected, seen) end
end

function matchers.notEquals(seen, other)
  return not equal(other, seen), function() return "equal, and should not be\n  seen:     " .. show(seen, "  ") end
end

function matchers.contains(seen, part)
  local found = false
  if type(seen) == "string" then
    found = seen:find(tostring(part), 1, true) ~= nil
  elseif type(seen) == "table" then
    for _, value in pairs(seen) do
      if equal(part, value) then found = true end
    end
  end
  return found, function()
    return ("does not contain it\n  expected: %s\n  seen:     %s"):format(show(part, ""), show(seen, ""))
  end
end

function matchers.matches(seen, pattern)
  return type(seen) == "string" and seen:find(pattern) ~= nil, function()
    return ("does not match\n  expected: a string like %s\n  seen:     %s"):format(quoted(pattern), show(seen, ""))
  end
end

local function simple(name, expected, holds)
  matchers[name] = function(seen)
    return holds(seen), function() return ("not as expected\n  expected: %s\n  seen:     %s"):format(expected, show(seen, "")) end
  end
end

simple("isNil", "nil", function(seen) return seen == nil end)
simple("isTruthy", "a value that counts as true", function(seen) return seen and true or false end)
simple("isFalsy", "nil or false", function(seen) return not seen end)

local function bound(name, expected, holds)
  matchers[name] = function(seen, limit)
    return type(seen) == "number" and holds(seen, limit), function()
      return ("not as expected\n  expected: %s %s\n  seen:     %s"):format(expected, show(limit, ""), show(seen, ""))
    end
  end
end

bound("isAtLeast", "at least", function(seen, limit) return seen >= limit end)
bound("isAtMost", "at most", function(seen, limit) return seen <= limit end)

function matchers.raises(fn, pattern)
  if type(fn) ~= "function" then return false, function() return "raises is for functions: expect(function() … end).raises()" end end
  local ok, raised = pcall(fn)
  if ok then return false, function() return "did not raise" end end
  if pattern == nil then return true end
  local text = type(raised) == "string" and raised or show(raised, "")
  return text:find(pattern) ~= nil, function()
    return ("raised something else\n  expected: an error like %s\n  seen:     %s"):format(quoted(pattern), quoted(text))
  end
end

function expect(seen)
  return setmetatable({}, {
    __index = function(_, name)
      local matcher = matchers[name]
      if not matcher then fail(no_such("expect", matchers, name), 2) end
      return function(...)
        local holds, why = matcher(seen, ...)
        if not holds then fail(why(), 2) end
      end
    end,
  })
end

-- ---- requests ----

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function query_of(query, level)
  if query == nil then return "" end
  if type(query) ~= "table" then fail("query is a table of names and values", level + 1) end
  local parts = {}
  for _, name in ipairs(keys_of(query)) do
    local values = type(query[name]) == "table" and query[name] or { query[name] }
    for _, value in ipairs(values) do
      parts[#parts + 1] = escape(name) .. "=" .. escape(value)
    end
  end
  return table.concat(parts, "&")
end

local function with_query(path, query)
  if query == "" then return path end
  return path .. (path:find("?", 1, true) and "&" or "?") .. query
end

local function headers_of(headers, level)
  if headers == nil then return "" end
  if type(headers) ~= "table" then fail("headers are a table of names and values", level + 1) end
  local lines = {}
  for _, name in ipairs(keys_of(headers)) do
    local values = type(headers[name]) == "table" and headers[name] or { headers[name] }
    for _, value in ipairs(values) do
      local line = name .. ": " .. tostring(value)
      if line:find("[\r\n]") then fail("a header has no line break in it", level + 1) end
      lines[#lines + 1] = line .. "\r\n"
    end
  end
  return table.concat(lines)
end

local function has_header(headers, wanted)
  for name in pairs(headers or {}) do
    if type(name) == "string" and name:lower() == wanted then return true end
  end
  return false
end

local function check_options(options, known, level)
  if options == nil then return {} end
  if type(options) ~= "table" then fail("options are a table", level + 1) end
  for key in pairs(options) do
    if not known[key] then fail(no_such("the table of options", known, key), level + 1) end
  end
  return options
end

local case_blind = {
  __index = function(t, name)
    return type(name) == "string" and rawget(t, name:lower()) or nil
  end,
}

local response_methods = {}

function response_methods:text()
  return self.body
end

function response_methods:json()
  local ok, value = pcall(json.decode, self.body)
  if not ok then fail("the body is no JSON: " .. tostring(value) .. "\n  seen:     " .. show(self.body, ""), 2) end
  return value
end

local response_fields = { status = true, ok = true, headers = true, body = true, error = true }

local response_meta = {
  __index = function(_, key)
    if response_methods[key] then return response_methods[key] end
    if key == "error" then return nil end
    local known = { text = true, json = true }
    for name in pairs(response_fields) do known[name] = true end
    fail(no_such("a response", known, key), 2)
  end,
}

local function make_response(status, lines, body, raised)
  local headers = {}
  for name, value in lines:gmatch("([^:\r\n]+): ([^\r\n]*)\r\n") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. (name == "set-cookie" and "\n" or ", ") .. value or value
  end
  if body ~= "" and not headers["content-type"] then headers["content-type"] = "text/plain;charset=UTF-8" end
  return setmetatable({
    status = status,
    ok = status < 300,
    headers = setmetatable(headers, case_blind),
    body = body,
    error = raised,
  }, response_meta)
end

local pending, pending_meta = {}, {}

-- Is there an answer?
function pending:isAnswered()
  check_call(self, pending_meta, "pending:isAnswered()")
  return host.answer(self.number) ~= nil
end

-- The answer; it must be there.
function pending:response()
  check_call(self, pending_meta, "pending:response()")
  local status, lines, body, raised = host.answer(self.number)
  if status == nil then
    fail(self.what .. " has no answer yet: its handler waits for something (time stands still; harness.advance lets it pass)", 2)
  end
  return make_response(status, lines, body, raised)
end

pending_meta.__index = strict("a request that was begun", pending)

local REQUEST_OPTIONS = { json = true, body = true, headers = true, query = true }

-- send(method, path, headers, body) → the request's number, or nil and why not.
local function begin_request(send, method, path, options, level)
  if type(method) ~= "string" then fail("a request begins with a method: request(\"GET\", \"/\")", level + 1) end
  if path ~= nil and type(path) ~= "string" then fail("a path is a string: request(\"GET\", \"/users\")", level + 1) end
  options = check_options(options, REQUEST_OPTIONS, level + 1)
  local headers, body = headers_of(options.headers, level + 1), options.body
  if options.json ~= nil then
    if body ~= nil then fail("a request has a body or json, not both", level + 1) end
    body = json.encode(options.json)
    if not has_header(options.headers, "content-type") then headers = headers .. "Content-Type: application/json\r\n" end
  elseif body ~= nil then
    body = tostring(body)
  end
  path = with_query(path or "", query_of(options.query, level + 1))
  local number, why = send(method:upper(), path, headers, body)
  if not number then fail(why, level + 1) end
  return setmetatable({ number = number, what = method .. " " .. (path == "" and "/" or path) }, pending_meta)
end

-- What it was answered with.
local function answer_of(begun, level)
  local status, lines, body, raised = host.answer(begun.number)
  if status == nil then
    fail(begun.what .. " has no answer: its handler waits for something. begin(…) in place of request(…) sends a request and goes on", level + 1)
  end
  return make_response(status, lines, body, raised)
end

-- ---- clients ----

local client, client_meta = {}, {}

local function describe_end(self)
  local state, _, code, reason, status = host.client(self.number)
  if state == "closed" then
    return (" (its connection is closed, with %d%s)"):format(code, reason ~= "" and " " .. reason or "")
  elseif state == "refused" then
    return (" (it was refused, with %d)"):format(status)
  elseif state == "connecting" then
    return " (it is not let in yet: its onConnect waits for something)"
  end
  return " (time stands still; harness.advance lets it pass)"
end

-- Sends a string or a number as text, a table as JSON.
function client:send(message, options)
  check_call(self, client_meta, "client:send(…)")
  options = check_options(options, { binary = true }, 2)
  if type(message) == "table" then
    message = json.encode(message)
  elseif type(message) ~= "string" and type(message) ~= "number" then
    fail("a message is a string, a number or a table, not " .. type(message), 2)
  end
  local ok, why = host.send(self.number, tostring(message), options.binary)
  if not ok then fail(self.id .. " can't send: " .. why, 2) end
end

-- The oldest message that was not read, and whether it is binary.
function client:receive()
  check_call(self, client_meta, "client:receive()")
  local message, binary = host.receive(self.number)
  if message == nil then fail("no message waits for " .. self.id .. describe_end(self), 2) end
  return message, binary
end

-- The same, read as JSON.
function client:receiveJson()
  check_call(self, client_meta, "client:receiveJson()")
  local message = host.receive(self.number)
  if message == nil then fail("no message waits for " .. self.id .. describe_end(self), 2) end
  local ok, value = pcall(json.decode, message)
  if not ok then fail("the message is no JSON: " .. tostring(value) .. "\n  seen:     " .. show(message, ""), 2) end
  return value
end

-- All that was not read.
function client:receiveAll()
  check_call(self, client_meta, "client:receiveAll()")
  local messages = {}
  while true do
    local message = host.receive(self.number)
    if message == nil then return messages end
    messages[#messages + 1] = message
  end
end

-- Closes the connection, as a client does.
function client:close(code, reason)
  check_call(self, client_meta, "client:close(…)")
  if code ~= nil and math.type(code) ~= "integer" then fail("a close code is an integer, not " .. show(code, ""), 2) end
  if reason ~= nil and type(reason) ~= "string" then fail("a reason is a string, not " .. type(reason), 2) end
  local ok, why = host.close(self.number, code or 0, reason)
  if not ok then fail(why, 2) end
end

-- The connection is lost: 1006 for the room.
function client:drop()
  check_call(self, client_meta, "client:drop()")
  host.close(self.number, 1006)
end

local client_fields = {
  state = function(self) return (host.client(self.number)) end,
  isOpen = function(self) return host.client(self.number) == "open" end,
  unread = function(self) return (select(2, host.client(self.number))) end,
  code = function(self) return (select(3, host.client(self.number))) end,
  reason = function(self) return (select(4, host.client(self.number))) end,
  refusal = function(self)
    local _, _, _, _, status, body = host.client(self.number)
    return status and { status = status, body = body } or nil
  end,
}

function client_meta.__index(self, key)
  if client[key] then return client[key] end
  if client_fields[key] then return client_fields[key](self) end
  local known = { id = true }
  for name in pairs(client) do known[name] = true end
  for name in pairs(client_fields) do known[name] = true end
  fail(no_such("a client", known, key), 2)
end

function client_meta.__tostring(self)
  return "client " .. self.id
end

-- ---- rooms ----

local room, room_meta = {}, {}

local CONNECT_OPTIONS = { id = true, query = true, headers = true, path = true }

-- A WebSocket client that connects; it is let in, refused or closed when this returns, unless onConnect waits.
function room:connect(options)
  check_call(self, room_meta, "room:connect(…)")
  options = check_options(options, CONNECT_OPTIONS, 2)
  local query = {}
  for name, value in pairs(options.query or {}) do query[name] = value end
  if options.id ~= nil then query._pk = options.id end
  local id = query._pk or crypto.randomUUID()
  local bytes = tostring(id)
  if bytes == "" or #bytes > 256 or bytes:find("\0", 1, true) or not utf8.len(bytes) then fail("a client's id is 1 to 256 bytes of UTF-8", 2) end
  local path = with_query(options.path or "", query_of(query, 2))
  local number, why = host.connect(self.party, self.id, path, headers_of(options.headers, 2), tostring(id))
  if not number then fail(why, 2) end
  return setmetatable({ number = number, id = tostring(id) }, client_meta)
end

-- (In what follows the parentheses around a call keep it from being a tail call, which has no level of its own.)

local function sender_to(self)
  return function(...) return host.request(self.party, self.id, ...) end
end

-- Sends a request and returns its answer.
function room:request(method, path, options)
  check_call(self, room_meta, "room:request(…)")
  return (answer_of(begin_request(sender_to(self), method, path, options, 2), 2))
end

function room:get(path, options)
  check_call(self, room_meta, "room:get(…)")
  return (answer_of(begin_request(sender_to(self), "GET", path, options, 2), 2))
end

function room:post(path, options)
  check_call(self, room_meta, "room:post(…)")
  return (answer_of(begin_request(sender_to(self), "POST", path, options, 2), 2))
end

-- Sends a request without waiting for its answer, for handlers that wait.
function room:begin(method, path, options)
  check_call(self, room_meta, "room:begin(…)")
  return (begin_request(sender_to(self), method, path, options, 2))
end

-- The room leaves memory, as it does when it has been idle; the next event makes it anew.
function room:evict()
  check_call(self, room_meta, "room:evict()")
  local ok, why = host.evict(self.party, self.id)
  if not ok then fail("the room " .. self.id .. " stays: " .. why, 2) end
end

-- Has it a VM?
function room:isInMemory()
  check_call(self, room_meta, "room:isInMemory()")
  return host.inMemory(self.party, self.id)
end

local storage, storage_meta = {}, {}

function storage:get(key)
  check_call(self, storage_meta, "room.storage:get(…)")
  if type(key) ~= "string" then fail("a key is a string, not " .. type(key), 2) end
  return host.stored(self.room.party, self.room.id, key)
end

function storage:all()
  check_call(self, storage_meta, "room.storage:all()")
  return host.storedAll(self.room.party, self.room.id)
end

function storage:getAlarm()
  check_call(self, storage_meta, "room.storage:getAlarm()")
  return host.alarm(self.room.party, self.room.id)
end

storage_meta.__index = strict("room.storage", storage)

room_meta.__index = strict("a room", room)

-- ---- harness ----

-- A room of the project; it is made when something is done with it.
function harness.room(party_name, id)
  party_name, id = party_name or "main", id or "test"
  if type(party_name) ~= "string" or type(id) ~= "string" then fail("harness.room takes names: harness.room(\"main\", \"lobby\")", 2) end
  local parties, known = host.parties(), false
  for _, name in ipairs(parties) do known = known or name == party_name end
  if not known then
    local meant = host.suggest(party_name, parties)
    fail(("there is no party %s"):format(party_name) .. (meant and (": did you mean %s?"):format(meant) or ""), 2)
  end
  local made = { party = party_name, id = id }
  made.storage = setmetatable({ room = made }, storage_meta)
  return setmetatable(made, room_meta)
end

-- To a URL that is no room's.
local function begin_elsewhere(method, path, options, level)
  if not loaded then fail("requests are for tests: what a file does outside of them is over before anybody could answer", level + 1) end
  if type(path) == "string" and (path:find("^/parties/[^/?]+/[^/?]") or path:find("^/party/[^/?]")) then
    fail(path .. " is a room's: harness.room(party, id):request(…) asks it", level + 1)
  end
  if path == nil or path == "" or type(path) == "string" and path:sub(1, 1) == "?" then path = "/" .. (path or "") end
  return (begin_request(host.fetch, method, path, options, level + 1))
end

-- Sends a request to a URL that is no room's, for onFetch of the party main, and returns its answer.
function harness.request(method, path, options)
  return (answer_of(begin_elsewhere(method, path, options, 2), 2))
end

function harness.get(path, options)
  return (answer_of(begin_elsewhere("GET", path, options, 2), 2))
end

function harness.post(path, options)
  return (answer_of(begin_elsewhere("POST", path, options, 2), 2))
end

-- The same without waiting for its answer.
function harness.begin(method, path, options)
  return (begin_elsewhere(method, path, options, 2))
end

-- Runs a cron of the configuration now, whenever it is due.
function harness.cron(name)
  if not loaded then fail("harness.cron is for tests", 2) end
  if type(name) ~= "string" then fail("harness.cron takes a cron's name: harness.cron(\"sweep\")", 2) end
  local ok, why = host.cron(name)
  if ok then return end
  local meant = host.suggest(name, host.crons())
  fail(why .. (meant and (": did you mean %s?"):format(meant) or ""), 2)
end

local LONGEST_MS = 100 * 365 * 24 * 3600 * 1000 -- a hundred years, as everywhere

local function check_duration(what, ms, level)
  if type(ms) ~= "number" or not (ms >= 0 and ms <= LONGEST_MS) then
    fail(what .. " takes milliseconds, from 0 to " .. LONGEST_MS .. ", not " .. tostring(ms), level)
  end
end

-- Lets so many milliseconds pass: timers, alarms, crons and sleeps that fall due run in order.
function harness.advance(ms)
  check_duration("harness.advance", ms, 3)
  host.advance(ms)
end

-- The server is stopped, with onStop in every room, and started again: what was stored is there.
function harness.restart()
  host.restart(false)
end

-- The server is killed, and started again.
function harness.crash()
  host.restart(true)
end

-- What handlers have raised that was nobody's answer, as texts. Without asking for it, such a test fails.
function harness.errors()
  return host.errors()
end

-- ---- what parties fetch ----

local fetches = {} -- of the test that runs: { pattern, fn }

-- What parties fetch from URLs like this (a Lua pattern, or a plain beginning) is answered by fn(request), which returns
-- a Response, a string or a table. The newest counts.
function harness.fetch(pattern, fn)
  if type(pattern) ~= "string" or type(fn) ~= "function" then fail("harness.fetch takes a pattern and a function", 2) end
  table.insert(fetches, 1, { pattern = pattern, fn = fn })
end

local HIDDEN = { ["festa-url"] = true, ["festa-method"] = true, host = true, ["content-length"] = true }

local function answer_fetch(request)
  local url = request.headers["festa-url"]
  for _, one in ipairs(fetches) do
    if url:sub(1, #one.pattern) == one.pattern or url:find(one.pattern) then
      local headers = setmetatable({}, case_blind)
      for name, value in pairs(request.headers) do
        if not HIDDEN[name] then headers[name] = value end
      end
      return one.fn({
        url = url,
        method = request.headers["festa-method"],
        headers = headers,
        body = request.body,
        json = function() return request:json() end,
      })
    end
  end
  return Response(nil, { status = 599 })
end

_G.harness = strict("harness", harness)

-- ---- tests ----

local tests, names, scope = {}, {}, { path = "", before = {}, after = {} }
-- Nobody would ever run what a test that runs adds.
local function refuse_late(what, level)
  if loaded then fail(what .. " inside of a test is never run: tests are named while their file loads; write it beside the test", level + 1) end
end

local function clean(name)
  return (name:gsub("%c", " "))
end

local function add(name, fn, skipped, level)
  refuse_late("test(…)", level + 1)
  if type(name) ~= "string" or name == "" then fail("a test has a name: test(\"a message reaches everybody\", function() … end)", level + 1) end
  if type(fn) ~= "function" and not skipped then fail("a test is a function: test(\"…\", function() … end)", level + 1) end
  tests[#tests + 1] = { fn = fn, scope = scope }
  names[#names + 1] = (skipped and "-" or "+") .. clean(scope.path .. name)
end

local test_members = {
  -- Is listed, and not run.
  skip = function(name, fn) add(name, fn, true, 2) end,
}

test = setmetatable({}, {
  __call = function(_, name, fn) add(name, fn, false, 2) end,
  __index = function(_, key)
    if test_members[key] then return test_members[key] end
    fail(no_such("test", test_members, key), 2)
  end,
})

-- A group of tests, with hooks of its own.
function describe(name, fn)
  refuse_late("describe(…)", 2)
  if type(name) ~= "string" or type(fn) ~= "function" then fail("describe takes a name and a function", 2) end
  local outer = scope
  scope = { path = outer.path .. name .. " > ", before = {}, after = {}, outer = outer }
  fn()
  scope = outer
end

function beforeEach(fn)
  refuse_late("beforeEach(…)", 2)
  table.insert(scope.before, fn)
end

function afterEach(fn)
  refuse_late("afterEach(…)", 2)
  table.insert(scope.after, fn)
end

local function run_before(from)
  if from.outer then run_before(from.outer) end
  for _, fn in ipairs(from.before) do fn() end
end

local function run_after(from)
  for i = #from.after, 1, -1 do from.after[i]() end
  if from.outer then run_after(from.outer) end
end

local function has_after(from)
  return from ~= nil and (#from.after > 0 or has_after(from.outer))
end

local function run(number)
  local one = tests[number]
  if not one then error("there is no test " .. number) end
  fetches = {}
  run_before(one.scope)
  if not has_after(one.scope) then -- an error keeps its traceback
    one.fn()
    return
  end
  local ok, raised = pcall(one.fn)
  run_after(one.scope)
  if not ok then error(raised, 0) end
end

-- ---- the file ----

-- In a test time passes when the test says so.
function sleep(ms)
  check_duration("sleep", ms, 3)
  host.advance(ms)
end

-- What parties fetch goes to harness.fetch; a test has nothing to fetch from.
function fetch()
  fail("a test reaches no network: room:request(…) asks a room, and harness.fetch(pattern, function(request) … end) answers what "
    .. "parties fetch", 2)
end

local env = party.env
party = setmetatable({ env = env }, {
  __index = function(_, key) fail("party." .. tostring(key) .. " is for parties; a test has harness.room", 2) end,
})

host.load()()
loaded = true

local Tests = {}

function Tests:onRequest(request)
  if request.subpath == "/fetch" then return answer_fetch(request) end
  local number = math.tointeger(tonumber(request.subpath:sub(2)))
  if number == 0 then return table.concat(names, "\n") end
  run(number)
  return "passed"
end

return Tests
