// Handlers that wait, and timers: what runs meanwhile, and how waits and timers end.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { serverForSuite } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";
import { frame } from "./lib/websocket.mjs";

const WAITER = lua`
local Waiter = {}
local waits = {}

-- each waits in another place and returns "ok"
function waits.plain() sleep(5) return "ok" end
function waits.zero() sleep(0) return "ok" end
function waits.many() for _ = 1, 20 do sleep(1) end return "ok" end
function waits.pcall()
  local ok, value = pcall(function() sleep(5) return "ok" end)
  return ok and value
end
function waits.pcallraise()
  local ok, err = pcall(function() sleep(5) error("caught", 0) end)
  return not ok and err == "caught" and "ok"
end
function waits.xpcall()
  local ok, text = xpcall(function() sleep(5) error("x", 0) end, function(err) return err .. "!" end)
  return not ok and text == "x!" and "ok"
end
function waits.coroutine()
  local co = coroutine.create(function(a)
    sleep(5)
    local b = coroutine.yield(a + 1)
    sleep(5)
    return b + 1
  end)
  local ok, first = coroutine.resume(co, 1)
  local ok2, second = coroutine.resume(co, 10)
  return ok and ok2 and first == 2 and second == 11 and coroutine.status(co) == "dead" and "ok"
end
function waits.wrap()
  local sum = 0
  for n in coroutine.wrap(function() for n = 1, 3 do sleep(2) coroutine.yield(n) end end) do sum = sum + n end
  return sum == 6 and "ok"
end
function waits.nested()
  local inner = coroutine.wrap(function() sleep(2) coroutine.yield("in") sleep(2) return "ner" end)
  local outer = coroutine.wrap(function() local a = inner() sleep(2) coroutine.yield(a) return inner() end)
  return outer() .. outer() == "inner" and "ok"
end
function waits.coroutineraise()
  local co = coroutine.create(function() sleep(5) error("inside", 0) end)
  local ok, err = coroutine.resume(co)
  return not ok and err == "inside" and "ok"
end
function waits.index() return setmetatable({}, { __index = function(_, key) sleep(5) return key end }).ok end
function waits.add() return setmetatable({}, { __add = function() sleep(5) return "ok" end }) + 1 end
function waits.call() return setmetatable({}, { __call = function(_, text) sleep(5) return text end })("ok") end
function waits.compare()
  local mt = { __lt = function() sleep(5) return true end, __eq = function() sleep(5) return true end }
  local a, b = setmetatable({}, mt), setmetatable({}, mt)
  return a < b and a == b and "ok"
end
function waits.concat() return setmetatable({}, { __concat = function() sleep(5) return "ok" end }) .. "x" end
function waits.iterator()
  local n = 0
  for _ in function() sleep(1) n = n + 1 return n < 4 or nil end do end
  return n == 4 and "ok"
end
function waits.close()
  local closed
  do
    local guard <close> = setmetatable({}, { __close = function() sleep(5) closed = true end })
  end
  return closed and "ok"
end
function waits.deep()
  local function down(n) if n == 0 then sleep(5) return "ok" end local text = down(n - 1) return text end
  return down(100)
end
function waits.arguments()
  local results = table.pack(select(2, pcall(function(...) sleep(5) return ... end, 1, nil, "x", nil)))
  return results.n == 4 and results[1] == 1 and results[2] == nil and results[3] == "x" and "ok"
end
function waits.bad()
  local raised = 0
  for _, ms in ipairs({ -1, "x", {}, 0 / 0, true }) do
    if not pcall(sleep, ms) then raised = raised + 1 end
  end
  return raised == 5 and not pcall(sleep) and "ok" or tostring(raised)
end

function Waiter:onRequest(request)
  local name = request.subpath:sub(2)
  if waits[name] then return waits[name]() or "wrong" end
  if name == "raise" then sleep(5) error("late") end
  if name == "order" then
    self.order = (self.order or "") .. "<" .. request.query.n
    while request.query.behind and not self.order:find(request.query.behind, 1, true) do sleep(1) end
    sleep(1)
    self.order = self.order .. request.query.n .. ">"
    return self.order
  end
  if name == "begun" then return self.order or "nothing" end
  if name == "time" then
    local before = now()
    sleep(50)
    return tostring(now() - before)
  end
end

function Waiter:onMessage(message, connection)
  local what, ms = message:match("^(%a+) ?(%d*)$")
  if ms ~= "" then sleep(tonumber(ms)) end
  connection:send(what)
  if what == "raise" then error("late") end
end

function Waiter:onClose(connection)
  sleep(5)
  party.broadcast("left")
end

return Waiter
`;

const TIMERS = lua`
local Timers = {}
local started = {}

function Timers:onMessage(message, connection)
  local what = message:match("^%a+")
  local function say(text) connection:send(text) end

  if what == "after" then
    party.after(30, function() say("second") end)
    party.after(10, function() say("first") end)
    say("now")
  elseif what == "colon" then
    party:after(5, function() say("after") end)
  elseif what == "zero" then
    party.after(0, function() say("later") end)
    say("now")
  elseif what == "every" then
    local n = 0
    local timer
    timer = party.every(5, function()
      n = n + 1
      say("tick " .. n)
      if n == 4 then timer:cancel() say("done") end
    end)
  elseif what == "cancel" then
    local timer = party.after(1, function() say("never") end)
    timer:cancel()
    timer:cancel() -- is no error
    local every = party.every(1, function() say("never") end)
    every:cancel()
    party.after(60, function() say("end") end)
  elseif what == "cancelother" then
    local victim = party.after(20, function() say("never") end)
    party.after(1, function() victim:cancel() say("cancelled") end)
    party.after(60, function() say("end") end)
  elseif what == "raise" then
    party.after(1, function() error("in a timer") end)
    local n = 0
    local timer
    timer = party.every(5, function()
      n = n + 1
      if n == 3 then timer:cancel() say("done") end
      error("every time")
    end)
  elseif what == "wait" then
    party.after(1, function() sleep(10) say("after a wait") end)
  elseif what == "overlap" then
    local running, worst, n = 0, 0, 0
    local timer
    timer = party.every(5, function()
      running = running + 1
      worst = math.max(worst, running)
      sleep(22)
      running = running - 1
      n = n + 1
      if n == 3 then timer:cancel() say("worst " .. worst) end
    end)
  elseif what == "bad" then
    local raised = {}
    for _, arguments in ipairs({
      { "x", print }, { -1, print }, { 0 / 0, print }, { 5, "f" }, { 5 }, {}, { {}, print },
    }) do
      raised[#raised + 1] = not pcall(party.after, table.unpack(arguments, 1, 2))
      raised[#raised + 1] = not pcall(party.every, table.unpack(arguments, 1, 2))
    end
    say(json.encode(raised))
  elseif what == "state" then
    self.n = (self.n or 0) + 1
    party.after(5, function() say(party.name .. " " .. party.id .. " " .. self.n .. " " .. party.connectionCount()) end)
  elseif what == "many" then
    local fired = 0
    for n = 1, 500 do
      party.after(n % 20, function()
        fired = fired + 1
        if fired == 500 then say("all") end
      end)
    end
  end
end

return Timers
`;

describe("a handler that waits", () => {
  const server = serverForSuite({ "parties/main.lua": WAITER });

  it("may wait anywhere", async () => {
    const names = [...WAITER.matchAll(/^function waits\.(\w+)/gm)].map((match) => match[1]);
    assert.ok(names.length >= 20);
    for (const name of names) assert.equal(await server.text(`/party/anywhere/${name}`), "ok", name);
    const at = (name) => server.text(`/party/${server.room()}/${name}`);
    assert.deepEqual(await Promise.all(names.map(at)), names.map(() => "ok"), "all at once");
  });

  it("waits about as long as it says", async () => {
    const ms = Number(await server.text("/party/time/time"));
    assert.ok(ms >= 49, `${ms} ms`);
  });

  it("lets other events of the room run", async () => {
    const room = `/party/${server.room()}`;
    const connection = await server.connect();
    connection.send({ path: `${room}/order?n=1&behind=2%3E` }); // waits until the second is over
    await poll(async () => (await server.text(`${room}/begun`)) === "<1" || undefined, "the first request");
    const second = await server.text(`${room}/order?n=2`);
    assert.equal(second, "<1<22>");
    assert.equal((await connection.response()).text, "<1<22>1>");
    connection.destroy();
  });

  it("lets the next message of the same connection run", async () => {
    const socket = await server.socket(`/party/${server.room()}`);
    // in one packet, so that all are there before the first one's time is over
    socket.write(Buffer.concat(["slow 150", "fast", "middle 40"].map((payload) => frame({ payload }))));
    assert.deepEqual([await socket.message(), await socket.message(), await socket.message()], ["fast", "middle", "slow"]);
    socket.destroy();
  });

  it("may lose its connection meanwhile", async () => {
    const room = `/party/${server.room()}`;
    const witness = await server.socket(room);
    const socket = await server.socket(room);
    const from = server.lines.length;
    socket.text("gone 80");
    await socket.fence();
    socket.drop();
    assert.equal(await witness.message(), "left");
    witness.text("later 100"); // ends behind the other's wait
    assert.equal(await witness.message(), "later");
    assert.deepEqual(await server.errorsSince(from), [], "sending to a closed connection is no error");
    witness.destroy();
  });

  it("may raise after it, which is logged and answered as usual", async () => {
    const from = server.lines.length;
    const room = server.room();
    assert.equal((await server.request(`/party/${room}/raise`)).status, 500);
    const line = await server.waitForLog((l) => l.level === "error" && l.room === room, "the error", { from });
    assert.equal(line.handler, "onRequest");
    assert.match(line.traceback, /main\.lua:\d+/);
    const socket = await server.socket(`/party/${room}`);
    socket.text("raise 5");
    assert.equal(await socket.message(), "raise");
    assert.deepEqual(await socket.fence(), []);
    socket.destroy();
  });

  it("is one of many", async () => {
    const room = `/party/${server.room()}`;
    const texts = await Promise.all(Array.from({ length: 100 }, (_, n) => server.text(`${room}/${n % 2 ? "plain" : "many"}`)));
    assert.deepEqual(new Set(texts), new Set(["ok"]));
  });
});

describe("timers", () => {
  const server = serverForSuite({ "parties/main.lua": TIMERS, "festa.lua": config({ limits: { idleRoom: 200 } }) });

  async function say(text) {
    const socket = await server.socket(`/party/${server.room()}`);
    socket.text(text);
    return {
      socket,
      hears: async (...texts) => {
        for (const expected of texts) assert.equal(await socket.message(expected), expected);
        assert.deepEqual(await socket.fence(), []);
        socket.destroy();
      },
    };
  }

  it("after runs once, in the order of their times", async () => (await say("after")).hears("now", "first", "second"));
  it("after with a colon", async () => (await say("colon")).hears("after"));
  it("after 0 ms runs later", async () => (await say("zero")).hears("now", "later"));
  it("every runs until it is cancelled, from within too", async () =>
    (await say("every")).hears("tick 1", "tick 2", "tick 3", "tick 4", "done"));
  it("a cancelled timer does not run", async () => (await say("cancel")).hears("end"));
  it("one timer may cancel another", async () => (await say("cancelother")).hears("cancelled", "end"));
  it("may wait", async () => (await say("wait")).hears("after a wait"));
  it("every never overlaps with itself", async () => (await say("overlap")).hears("worst 1"));
  it("many at once", async () => (await say("many")).hears("all"));

  it("that raise are logged, and go on", async () => {
    const from = server.lines.length;
    await (await say("raise")).hears("done");
    const lines = await server.errorsSince(from);
    assert.equal(lines.filter((line) => JSON.stringify(line).includes("in a timer")).length, 1);
    assert.ok(lines.filter((line) => JSON.stringify(line).includes("every time")).length >= 2);
    for (const line of lines) {
      assert.equal(line.party, "main");
      assert.match(line.traceback, /main\.lua:\d+/);
    }
  });

  it("know their room, and self is what it was", async () => {
    const { socket } = await say("state");
    assert.match(await socket.message(), /^main room-\d+ 1 1$/);
    socket.text("state");
    assert.match(await socket.message(), /^main room-\d+ 2 1$/);
    socket.destroy();
  });

  it("raise for wrong arguments", async () => {
    const { socket } = await say("bad");
    const raised = JSON.parse(await socket.message());
    assert.deepEqual(raised, raised.map(() => true));
    assert.equal(raised.length, 14);
    socket.destroy();
  });
});
