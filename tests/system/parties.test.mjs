// Rooms that talk to other rooms: fetch, call, connect, list, and a room that ends itself. All of it with rooms of one
// thread, and of two.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { serverFor, serverForSuite } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";

// A request's body is run as a function's, and what it returns is the answer, as JSON.
const RUNS = lua`
local function run(self, request)
  local code = assert(load("local self, request = ...\n" .. request.body, "=code"))
  local results = table.pack(pcall(code, self, request))
  if not results[1] then
    return Response(tostring(results[2]), { status = 400 })
  end
  local array = {}
  for i = 2, results.n do
    array[i - 1] = results[i] == nil and json.null or results[i]
  end
  return Response.json(json.array(array))
end
`;

const MAIN = lua`
${RUNS}
local Main = {}

function Main:onStart()
  self.sum = 0
  self.log = {}
end

function Main:onRequest(request)
  if request.query.run then return run(self, request) end
  return Response(json.encode({
    room = party.id, method = request.method, subpath = request.subpath, path = request.path,
    query = request.query, body = request.body, type = request.headers["content-type"] or "none",
    extra = request.headers["x-extra"] or "none", remote = request.remoteAddress,
  }), { status = tonumber(request.query.status) or 200, headers = { ["Content-Type"] = "application/json", ["X-Room"] = party.id } })
end

function Main:onConnect(connection, context)
  local path = context.request.subpath
  if path == "/raises" then error("no") end
  if path == "/closes" then error({ close = 4003, reason = "not you" }) end
  if path == "/slow" then sleep(20) end
  connection:send(connection.kind .. " " .. connection.id .. " " .. (context.request.headers["x-extra"] or ""))
end

function Main:onMessage(message, connection, binary)
  if message == "close" then return connection:close(4001, "as you wish") end
  if message == "broadcast" then return party.broadcast("to all") end
  if message == "many" then
    for i = 1, 200 do connection:send(("x"):rep(1000) .. i) end
    return
  end
  connection:send(message .. " back", { binary = binary })
end

function Main:onClose(connection, code, reason, clean)
  table.insert(self.log, ("%s %d %s %s"):format(connection.id, code, reason, tostring(clean)))
end

function Main:closes() return table.unpack(self.log) end
function Main:add(a, b) return a + b end
function Main:echo(...) return ... end
function Main:who() return party.name, party.id end
function Main:count(n) self.sum = self.sum + n return self.sum end
function Main:total() return self.sum end
function Main:nothing() end
function Main:fail() error("not enough gold", 0) end
function Main:failTable() error({ code = 1 }) end
function Main:loop() while true do end end
function Main:bad() return print end
function Main:wait(ms) sleep(ms) return "waited" end
function Main:stop() party.destroy() return "gone" end
function Main:eat() local t = {} while true do t[#t + 1] = ("x"):rep(1000000) .. #t end end
Main.value = 5

function Main:nest(names, n)
  local name = names[n % #names + 1]
  local depth, message = party.parties.main:get(name):call("nest", names, n + 1)
  return depth or n, message
end

function Main:nestFetch(n)
  local response = party.parties.main:get("deep"):fetch("/?run=1", { body = "return self:nestFetch(" .. (n + 1) .. ")" })
  if response.status == 508 then return n, response:text() end
  return table.unpack(response:json())
end

function Main:callBack(name) return party.parties.main:get(name):call("add", 1, 1) end

function Main:write(key, value) party.storage.put(key, value) return party.storage.get(key) end
function Main:read(key) return party.storage.get(key) end

return Main
`;

// Each room of a ring calls the next from its onStart: "name 1 of 3" and so on.
const RING = lua`
local Ring = {}
function Ring:onStart()
  local name, n, of = party.id:match("^(%w+)-(%d)-(%d)$")
  self.seen = { party.parties.ring:get(("%s-%d-%d"):format(name, n % of + 1, of)):call("first") }
end
function Ring:first() return party.id, table.unpack(self.seen, 1, 2) end
function Ring:onRequest()
  local name, next, after = self:first()
  return json.encode({ name, tostring(next), tostring(after) })
end
return Ring
`;

// Calls back whoever starts it, from its onStart.
const STARTS = lua`
${RUNS}
local Starts = {}
function Starts:onStart()
  self.seen = table.pack(party.parties.main:get("helper"):call("callStarts", party.id))
  self.fetched = party.parties.starts:get(party.id):fetch("/"):text()
  self.socket = table.pack(party.parties.starts:get(party.id):connect())[2]
end
function Starts:onRequest(request)
  if request.query.run then return run(self, request) end
  return json.encode({ tostring(self.seen[1]), tostring(self.seen[2]), self.fetched, self.socket })
end
function Starts:hello() return "hello" end
return Starts
`;

for (const threads of [1, 2]) {
  describe(`rooms that talk, ${threads} thread(s)`, () => {
    const server = serverForSuite(
      {
        "parties/main.lua": MAIN.replace("return Main\n", 'function Main:callStarts(id) return party.parties.starts:get(id):call("hello") end\nreturn Main\n'),
        "parties/starts.lua": STARTS,
        "parties/ring.lua": RING,
      },
      { args: ["--threads", String(threads)] },
    );

    // Runs the code in a room: the array of what it returned.
    async function run(code, room = "caller") {
      const response = await server.request(`/parties/main/${room}?run=1`, { method: "POST", body: code });
      assert.equal(response.status, 200, response.text);
      return JSON.parse(response.text);
    }
    async function raises(code, what) {
      const response = await server.request("/parties/main/caller?run=1", { method: "POST", body: code });
      assert.equal(response.status, 400, response.text);
      assert.match(response.text, what);
    }

    test("fetch: what arrives, and what comes back", async () => {
      const [status, ok, reply, room, type] = await run(`
        local r = party.parties.main:get("a ü%"):fetch("/x/y?q=1&status=201", { json = { a = 1 }, headers = { ["X-Extra"] = "e" } })
        return r.status, r.ok, r:json(), r.headers["x-room"], r.headers["CONTENT-TYPE"]`);
      assert.deepEqual([status, ok, room, type], [201, true, "a ü%", "application/json"]);
      assert.deepEqual(reply, {
        room: "a ü%",
        method: "POST",
        subpath: "/x/y",
        path: "/parties/main/a%20%C3%BC%25/x/y",
        query: { q: "1", status: "201" },
        body: '{"a":1}',
        type: "application/json",
        extra: "e",
        remote: "",
      });
      assert.deepEqual(await run(`local r = party.parties.main:get("b"):fetch() return r.status, r:json().method, r:json().subpath, r.statusText, r.body == r:text()`), [
        200,
        "GET",
        "/",
        "OK",
        true,
      ]);
      assert.deepEqual(await run(`local r = party.parties.main:get("b"):fetch({ method = "put", body = "text" }) return r:json().method, r:json().type, r:json().body`), [
        "PUT",
        "text/plain;charset=UTF-8",
        "text",
      ]);
      assert.deepEqual(await run(`local r = party.parties.main:get("b"):fetch("/?status=503") return r.status, r.ok`), [503, false]);
    });

    test("wrong arguments raise", async () => {
      await raises(`return party.parties.mian`, /there is no party mian; did you mean main\?/);
      await raises(`return party.parties.something`, /there is no party something$/);
      await raises(`return party.parties[1]`, /a party's name is a string/);
      await raises(`return party.parties.main:get("a/b")`, /has a slash/);
      await raises(`return party.parties.main:get("")`, /is empty/);
      await raises(`party.parties.main = 1`, /read-only/);
      const stub = `party.parties.main:get("b")`;
      await raises(`return ${stub}:fetch("x")`, /a path begins with "\/": 'x' does not/);
      await raises(`return ${stub}:fetch("/a b")`, /percent-encode it/);
      await raises(`return ${stub}:fetch("/", { methd = 1 })`, /unknown option methd/);
      await raises(`return ${stub}:fetch("/", { method = "TRACE" })`, /no method that is served/);
      await raises(`return ${stub}:fetch("/", { body = "a", json = {} })`, /not both/);
      await raises(`return ${stub}:fetch("/", { headers = { ["a b"] = "c" } })`, /can't have the name/);
      await raises(`return ${stub}:fetch("/", { headers = { a = "c\\r\\nd: e" } })`, /line break/);
      await raises(`return ${stub}:fetch("/", { headers = { a = {{}} } })`, /not a string/);
      await raises(`return ${stub}:call()`, /string expected/);
      await raises(`return ${stub}:call("add", print)`, /can't be passed to another room: argument 1 is a function/);
      await raises(`return ${stub}:call("add", 1, { { print } })`, /argument 2\[1\]\[1\] is a function/);
      await raises(`return ${stub}:connect("/", { body = "x" })`, /headers and id are known/);
      await raises(`return ${stub}:connect("/", { id = ("x"):rep(257) })`, /of 1 to 256 bytes/);
      await raises(`return party.parties.main:list({ limit = 0 })`, /from 1 to 1000/);
      await raises(`return party.parties.main:list({ limt = 1 })`, /unknown option limt/);
      await raises(`party.storage.transaction(function() ${stub}:call("add", 1, 2) end)`, /inside of a transaction/);
      await raises(`party.storage.transaction(function() party.destroy() end)`, /inside of a transaction/);
    });

    test("call: values are copied, errors come back", async () => {
      const stub = `party.parties.main:get("callee")`;
      assert.deepEqual(await run(`return ${stub}:call("add", 1, 2)`), [3]);
      assert.deepEqual(await run(`return ${stub}:call("who")`), ["main", "callee"]);
      assert.deepEqual(await run(`return ${stub}:call("nothing")`), []);
      assert.deepEqual(await run(`return ${stub}:call("echo", nil, 1.5, nil, { a = { true } }, "\\0\\xff" == "x", nil)`), [null, 1.5, null, { a: [true] }, false, null]);
      assert.deepEqual(await run(`local t = { 1 } local back = ${stub}:call("echo", t) return back == t, back[1]`), [false, 1]);
      assert.deepEqual(await run(`return ${stub}:call("fail")`), [null, "not enough gold"]);
      assert.deepEqual(await run(`return ${stub}:call("nope")`), [null, "no method nope"]);
      assert.deepEqual(await run(`return ${stub}:call("value")`), [null, "no method value"]);
      assert.deepEqual(await run(`return ${stub}:call("onRequest", {})`), [null, "onRequest is a handler, which only the server calls"]);
      assert.deepEqual(await run(`return ${stub}:call("getConnectionTags")`), [null, "getConnectionTags is a handler, which only the server calls"]);
      const [nothing, bad] = await run(`return ${stub}:call("bad")`);
      assert.equal(nothing, null);
      assert.match(bad, /can't be returned to another room: result 1 is a function/);
      assert.match((await run(`return ${stub}:call("loop")`))[1], /handlerTime/);
      assert.match((await run(`return ${stub}:call("eat")`))[1], /memory|handlerTime/);
      assert.match((await run(`return ${stub}:call("failTable")`))[1], /./);
      assert.deepEqual(await run(`return ${stub}:call("add", 20, 1)`), [21]);
    });

    test("calls from coroutines, pcall, timers and several at once", async () => {
      assert.deepEqual(
        await run(`
          local stub = party.parties.main:get("callee")
          local co = coroutine.wrap(function() coroutine.yield(stub:call("add", 1, 1)) coroutine.yield(stub:call("add", 2, 2)) end)
          local a, b = co(), co()
          local ok, c = pcall(stub.call, stub, "add", 3, 3)
          local d
          party.after(0, function() d = stub:call("add", 4, 4) end)
          while not d do sleep(1) end
          return a, b, ok, c, d`),
        [2, 4, true, 6, 8],
      );
      const sums = await Promise.all(Array.from({ length: 50 }, (_, i) => run(`return party.parties.main:get("sums"):call("count", ${i})`)));
      assert.equal(Math.max(...sums.map(([sum]) => sum)), (49 * 50) / 2);
    });

    test("a room calls itself while it waits", async () => {
      assert.deepEqual(await run(`return party.parties.main:get(party.id):call("add", 1, 2)`, "self"), [3]);
      assert.deepEqual(await run(`return party.parties.main:get("other"):call("callBack", party.id)`, "self"), [2]);
    });

    test("calls nest 16 deep", async () => {
      for (const names of [`{ "n1" }`, `{ "n1", "n2", "n3" }`]) {
        assert.deepEqual(await run(`return self:nest(${names}, 0)`), [16, "calls from room to room nest at most 16 deep"]);
      }
      assert.deepEqual(await run(`return self:nestFetch(0)`), [16, "calls from room to room nest at most 16 deep"]);
    });

    test("a room that starts and waits for itself is told so", async () => {
      for (const room of ["s1", "s2", "s3"]) {
        const told = "The room waits for this call itself, and can't take it before that ends";
        assert.deepEqual(await server.json(`/parties/starts/${room}`), ["nil", told, told, told]);
      }
    });

    test("rooms that call each other as they start are told so", async () => {
      const told = "The room waits for this call itself, and can't take it before that ends";
      for (const name of ["a", "b", "c", "d", "e"]) {
        assert.deepEqual(await server.json(`/parties/ring/${name}-1-2`), [`${name}-1-2`, `${name}-2-2`, "nil"]);
        assert.deepEqual(await server.json(`/parties/ring/${name}-2-2`), [`${name}-2-2`, "nil", told]);
        assert.deepEqual(await server.json(`/parties/ring/${name}-1-3`), [`${name}-1-3`, `${name}-2-3`, `${name}-3-3`]);
      }
    });

    test("connect: both directions, order, ends", async () => {
      const [first, answers, open, code, reason, closes] = await run(`
        local stub = party.parties.main:get("linked")
        local socket = assert(stub:connect("/path", { id = "me", headers = { ["X-Extra"] = "extra" } }))
        local answers, first = {}, nil
        for i = 1, 100 do socket:send("m" .. i) end
        for message, binary in socket:messages() do
          if not first then first = message else answers[#answers + 1] = message end
          if #answers == 100 then socket:send("bytes", { binary = true }) end
          if #answers == 101 then
            assert(binary)
            socket:send("close")
          end
        end
        assert(select(2, socket:send("late")) == "closed")
        return first, answers, socket.isOpen, socket.closeCode, socket.closeReason, { stub:call("closes") }`);
      assert.equal(first, "room me extra");
      assert.deepEqual(answers, [...Array.from({ length: 100 }, (_, i) => `m${i + 1} back`), "bytes back"]);
      assert.deepEqual([open, code, reason], [false, 4001, "as you wish"]);
      assert.deepEqual(closes, ["me 4001 as you wish true"]);
    });

    test("connect: closed from this side, broadcasts, ids", async () => {
      const room = server.room("ends");
      const [message, isOpen, ids] = await run(`
        local stub = party.parties.main:get("${room}")
        local a, b = stub:connect("/?_pk=from%20query"), stub:connect()
        a:send("broadcast")
        local got
        for message in b:messages() do if message == "to all" then got = message break end end
        b:close(4002, "enough")
        a:close()
        return got, a.isOpen, { a.id, #b.id }`);
      assert.deepEqual([message, isOpen, ids], ["to all", false, ["from query", 36]]);
      const closes = await run(`
        local stub = party.parties.main:get("${room}")
        local all
        repeat all = { stub:call("closes") } until #all == 2 or sleep(1)
        table.sort(all)
        return all[1]:match(" .*"), all[2]`);
      assert.ok(closes.includes("from query 1005  true"), JSON.stringify(closes));
      assert.ok(closes.includes(" 4002 enough true"), JSON.stringify(closes));
    });

    test("connect: not let in", async () => {
      assert.deepEqual(await run(`return party.parties.main:get("refuses"):connect("/raises")`), [null, "closed with 1011: Internal error"]);
      assert.deepEqual(await run(`return party.parties.main:get("refuses"):connect("/closes")`), [null, "closed with 4003: not you"]);
      assert.deepEqual(await run(`local s = party.parties.main:get("refuses"):connect("/slow", { id = "x" }) for m in s:messages() do return m end`), ["room x "]);
    });

    test("a socket ends with the room of either side", async () => {
      const [code] = await run(`
        local stub = party.parties.main:get("ended")
        local socket = stub:connect()
        party.after(0, function() stub:call("stop") end)
        for message in socket:messages() do end
        return socket.closeCode`);
      assert.equal(code, 1000);
      const far = server.room("far");
      await run(`self.socket = assert(party.parties.main:get("${far}"):connect("/", { id = "near" })) party.after(0, function() party.destroy() end)`, "near");
      const [closes] = await run(`
        local stub, all = party.parties.main:get("${far}"), nil
        repeat all = stub:call("closes") until all or sleep(1)
        return all`);
      assert.match(closes, /^near 100[16]  /);
    });

    test("list: rooms in memory and with storage, page by page", async () => {
      const names = Array.from({ length: 12 }, (_, i) => `list-${String.fromCharCode(97 + i)}`);
      for (const name of names.slice(0, 6)) await run(`return 1`, name);
      for (const name of names.slice(4)) {
        await run(`party.storage.put("k", 1) return 1`, name);
      }
      const before = Date.now();
      const socket = await server.socket(`/parties/main/${names[0]}`);
      const [all] = await run(`return party.parties.main:list({ prefix = "list-" })`);
      assert.deepEqual(
        all.map((room) => room.id),
        names,
      );
      assert.equal(all[0].connections, 1);
      assert.equal(all[1].connections, 0);
      assert.ok(Math.abs(all[0].lastActive - before) < 60000);
      await socket.leave();
      const [pages] = await run(`
        local pages, after = {}, nil
        repeat
          local page = party.parties.main:list({ prefix = "list-", limit = 5, after = after })
          for _, room in ipairs(page) do pages[#pages + 1] = room.id after = room.id end
        until #page < 5
        return pages`);
      assert.deepEqual(pages, names);
      assert.deepEqual(await run(`return party.parties.starts:list({ prefix = "none" })`), [[]]);
    });

    test("destroy: connections, storage, alarm and memory go; what was sent leaves", async () => {
      const room = server.room("doomed");
      const socket = await server.socket(`/parties/main/${room}`);
      await run(`party.storage.put("k", 1) party.storage.setAlarm(now() + 1000000) self.log[1] = "old"`, room);
      const waiting = server.request(`/parties/main/${room}?run=1`, { method: "POST", body: "self.waits = true sleep(100000) return 1" });
      await poll(async () => (await run(`return self.waits`, room))[0] || undefined, "the request that waits");
      const [answer, known, late] = await run(
        `party.broadcast("last words") party.destroy() party.storage.put("after", 1)
         return "done", party.storage.get("k") == nil, select(2, pcall(sleep, 1))`,
        room,
      );
      assert.equal(answer, "done");
      assert.equal(known, true);
      assert.match(late, /the room was destroyed by this handler/);
      assert.equal((await waiting).status, 503);
      assert.match(await socket.message(), /^websocket /);
      assert.equal(await socket.message(), "last words");
      const { code } = await socket.closing();
      assert.equal(code, 1000);
      const [k, after, alarm, log] = await run(`return party.storage.get("k") == nil, party.storage.get("after") == nil, party.storage.getAlarm() == nil, #self.log`, room);
      assert.deepEqual([k, after, alarm, log], [true, true, true, 0]);
    });

    test("destroy is seen by list, by callers, and by calls under way", async () => {
      const room = server.room("seen");
      await run(`party.storage.put("k", 1)`, room);
      assert.deepEqual(await run(`return party.parties.main:get("${room}"):call("stop")`), ["gone"]);
      assert.deepEqual(await run(`return #party.parties.main:list({ prefix = "${room}" })`), [0]);
      const [nothing, message] = await run(`
        local stub = party.parties.main:get("${room}")
        party.after(20, function() stub:call("stop") end)
        return stub:call("wait", 100000)`);
      assert.deepEqual([nothing, message], [null, "The room was destroyed"]);
    });

    test("ten thousand calls among a hundred rooms", async () => {
      const totals = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          run(
            `local done = 0
             for i = 0, 999 do
               local sum, message = party.parties.main:get("hundred-" .. i % 100):call("count", i)
               if not sum then return message end
               done = done + 1
             end
             return done`,
            `caller-${i}`,
          ),
        ),
      );
      assert.deepEqual(totals.flat(), Array(10).fill(1000));
      const [sum] = await run(`
        local sum = 0
        for i = 0, 99 do sum = sum + party.parties.main:get("hundred-" .. i):call("total") end
        return sum`);
      assert.equal(sum, (10 * (999 * 1000)) / 2);
    });
  });
}

describe("bounds of calls", () => {
  test("callTimeout: a room that does not answer", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MAIN, "festa.lua": config({ limits: { callTimeout: 50 } }) });
    const run = async (body) => server.json("/parties/main/caller?run=1", { method: "POST", body });
    assert.deepEqual(await run(`return party.parties.main:get("slow"):call("wait", 100000)`), [null, "The room has not answered within 50 ms (callTimeout)"]);
    assert.deepEqual(await run(`return party.parties.main:get("slow"):fetch("/?run=1", { body = "sleep(100000)" }).status`), [504]);
  });

  test("a room that has too much to do answers with 503", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MAIN, "festa.lua": config({ limits: { handlers: 3 } }) });
    const run = async (body, room = "caller") => server.json(`/parties/main/${room}?run=1`, { method: "POST", body });
    assert.deepEqual(
      await run(`
        local stub, refused = party.parties.main:get("full"), nil
        local first = stub:fetch("/?run=1", { body = "for i = 1, 3 do party.after(0, function() sleep(1000000) end) end" })
        repeat refused = select(2, stub:call("add", 1, 1)) until refused or sleep(1)
        return refused, stub:fetch().status`),
      ["The room has too much to do", 503],
    );
    // its own handlers wait for what it can't take
    assert.deepEqual(
      await run(
        `for i = 1, 2 do party.after(0, function() sleep(1000000) end) end
         sleep(20)
         return party.parties.main:get(party.id):fetch().status`,
        "selfish",
      ),
      [508],
    );
  });

  test("links: messages that are too large, and readers that do not read", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": MAIN,
      "festa.lua": config({ limits: { message: 20000, queue: 102000 } }),
    });
    const run = async (body, room = "caller") => server.json(`/parties/main/${room}?run=1`, { method: "POST", body });
    assert.match((await run(`local s = party.parties.main:get("l"):connect() return select(2, pcall(s.send, s, ("x"):rep(20001)))`))[0], /20001 bytes; 20000 are allowed/);
    assert.deepEqual(
      await run(`
        local s = party.parties.main:get("l"):connect()
        s:send("many")
        while s.isOpen do sleep(1) end
        return s.closeCode, s.closeReason`),
      [1013, "Too much waits to be sent to this connection"],
    );
    assert.deepEqual(
      await run(`
        local s = party.parties.main:get("l"):connect()
        local sent = 0
        while s:send(("x"):rep(20000)) do sent = sent + 1 end
        return sent, s.closeCode`),
      [5, 1013],
    );
  });

  test("nothing of a write that fails is seen by another room", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MAIN });
    const run = async (body, room = "caller") => server.json(`/parties/main/${room}?run=1`, { method: "POST", body });
    // what is called finds what its caller has stored, and what it stores itself is durable before the answer
    assert.deepEqual(
      await run(`
        party.storage.put("mine", 1)
        local value = party.parties.main:get("keeper"):call("write", "k", "v")
        return value, party.parties.main:get("keeper"):call("read", "k")`),
      ["v", "v"],
    );
    await server.stop();
  });

  test("a server that stops ends links and calls", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MAIN, "festa.lua": config({ limits: { stopTimeout: 60000 } }) });
    const read = server.request("/parties/main/reader?run=1", {
      method: "POST",
      body: `local s = party.parties.main:get("source"):connect() print("reads") for m in s:messages() do end return s.closeCode, s.closeReason`,
    });
    await server.waitForText("reads");
    const began = Date.now();
    server.signal("SIGTERM");
    assert.deepEqual(JSON.parse((await read).text), [1001, "The server is stopping"]);
    await server.stop({ signal: null });
    assert.ok(Date.now() - began < 50000);
  });

  test("rooms that start, stop and reload talk too", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": MAIN,
      "parties/last.lua": lua`
        local Last = {}
        function Last:onStart() self.started = party.parties.main:get("store"):call("add", 1, 1) end
        function Last:onRequest() return tostring(self.started) end
        function Last:onAlarm() party.parties.main:get("store"):call("write", "alarm", party.id) party.destroy() end
        function Last:onConnect() party.storage.setAlarm(now()) end
        function Last:onStop() party.parties.main:get("store"):call("write", "stop", party.id) end
        return Last
      `,
      "festa.lua": config({ limits: { idleRoom: 30 } }),
    });
    const run = async (body, room = "caller") => server.json(`/parties/main/${room}?run=1`, { method: "POST", body });
    assert.equal(await server.text("/parties/last/l1"), "2");
    assert.deepEqual(await run(`local v repeat v = party.parties.main:get("store"):call("read", "stop") until v or sleep(5) return v`), ["l1"]);
    const socket = await server.socket("/parties/last/l2");
    assert.equal((await socket.closing()).code, 1000);
    assert.deepEqual(await run(`return party.parties.main:get("store"):call("read", "alarm")`), ["l2"]);
  });

  test("destroy in onStart answers 503, and lets the next one try", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": lua`
        local Main = {}
        function Main:onStart()
          if party.storage.get("second") then return end
          if party.id == "twice" then party.storage.put("x", 1) end
          party.destroy()
        end
        function Main:onRequest() return "never" end
        return Main
      `,
    });
    assert.deepEqual([(await server.request("/parties/main/once")).status, (await server.request("/parties/main/once")).status], [503, 503]);
    assert.equal((await server.request("/parties/main/twice")).text, "The room was destroyed");
    const { response } = await server.upgrade("/parties/main/once");
    assert.equal(response.status, 503);
  });

  test("persist: what was kept of self goes with destroy", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": lua`
        local Main = { options = { persist = true } }
        function Main:onStart(restored) self.restored = restored self.n = self.n or 0 end
        function Main:onRequest(request)
          if request.subpath == "/destroy" then party.destroy() return "bye" end
          self.n = self.n + 1
          return json.encode({ self.n, self.restored })
        end
        return Main
      `,
      "festa.lua": config({ limits: { idleRoom: 20 } }),
    });
    assert.deepEqual(await server.json("/parties/main/p"), [1, false]);
    const [n] = await poll(
      async () => {
        const answer = await server.json("/parties/main/p");
        return answer[1] ? answer : undefined;
      },
      "a room that was made again",
      { pause: 40 },
    );
    assert.ok(n > 1);
    assert.equal(await server.text("/parties/main/p/destroy"), "bye");
    assert.deepEqual(await server.json("/parties/main/p"), [1, false]);
  });
});
