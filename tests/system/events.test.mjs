// Response.events: clients of Server-Sent Events as connections of a room.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua, saveFile } from "./lib/project.mjs";
import { SANITIZED, serverFor, serverForSuite } from "./lib/server.mjs";
import { Stream } from "./lib/stream.mjs";
import { poll } from "./lib/wait.mjs";

const EVENTS = lua`
local Events = {}

function Events:onStart()
  self.seen = {}
end

local function note(self, ...) table.insert(self.seen, table.concat({ ... }, " ")) end

function Events:getConnectionTags(connection, context)
  local tag = context.request.query.tag
  return tag and { tag, "tagged" } or nil
end

function Events:onConnect(connection, context)
  local request = context.request
  note(self, "connect", connection.id, connection.kind)
  if request.query.raise then error("not welcome") end
  if request.query.turn then error({ close = 4001, reason = "turned away" }) end
  if request.query.wait then sleep(5) end
  connection.state = { last = request.headers["last-event-id"] }
  connection:send("hello " .. connection.id)
  if request.query.about then
    connection:send({ uri = connection.uri, tags = connection.tags, remote = connection.remoteAddress,
      last = connection.state.last, cookie = request.headers.cookie })
  end
  if request.query.close then connection:close(4002, "not for long") end
end

function Events:onClose(connection, code, reason, clean)
  note(self, "close", connection.id, tostring(code), tostring(clean), reason)
  for other in party.getConnections() do
    if other.id == connection.id then note(self, "still there") end
  end
end

function Events:onMessage(message, connection)
  party.broadcast(message, connection)
end

function Events:onStop()
  party.broadcast("stopping")
end

function Events:onRequest(request)
  local query = request.query
  if request.method == "POST" then
    local first
    for connection in party.getConnections() do first = first or connection end
    if query.to then
      return tostring(party.getConnection(query.to):send(request.body))
    elseif query.tag then
      party.broadcast(request.body, { to = query.tag })
    elseif query.without then
      party.broadcast(request.body, query.without)
    elseif query.binary then
      party.broadcast(request.body, { binary = true })
      local ok, err = first:send("x", { binary = true })
      return tostring(ok) .. " " .. err
    elseif query.close then
      party.getConnection(query.close):close(4003, "enough")
    elseif query.times then
      for i = 1, tonumber(query.times) do party.broadcast(request.body) end
    elseif query.store then
      party.storage:put("x", request.body)
      party.broadcast("stored " .. request.body)
      party.broadcast("read " .. party.storage:get("x"))
    else
      party.broadcast(request.body)
    end
    return "OK"
  end
  if request.subpath == "/seen" then return table.concat(self.seen, "\n") end
  if request.subpath == "/count" then
    local amount = 0
    for connection in party.getConnections() do amount = math.max(amount, connection.bufferedAmount) end
    return Response.json({ party.connectionCount(), party.connectionCount("tagged"), amount })
  end
  if request.subpath == "/thrown" then error(Response.events()) end
  if request.subpath == "/misuse" then
    local texts = {}
    for _, options in ipairs({ { id = "" }, { id = 1 }, { id = ("x"):rep(257) }, { id = "a\0b" }, { id = "\xff" }, { tags = "a" }, { tags = { "" } },
      { retry = -1 }, { retry = 1.5 }, { retry = "3" }, { other = 1 }, { 1 } }) do
      local ok, err = pcall(Response.events, options)
      assert(not ok)
      table.insert(texts, err)
    end
    table.insert(texts, select(2, pcall(Response.events, "x")))
    table.insert(texts, select(2, pcall(Response.stream, "x")))
    table.insert(texts, select(2, pcall(Response.stream, function() end, { status = 204 })))
    return table.concat(texts, "\n")
  end
  return Response.events({ id = query.id, tags = query.first and { query.first } or nil, retry = tonumber(query.retry) })
end

return Events
`;

const post = (body) => ({ method: "POST", body });

for (const threads of [1, 2]) {
  describe(`events, ${threads} thread${threads > 1 ? "s" : ""}`, () => {
    const server = serverForSuite(
      {
        "parties/main.lua": EVENTS,
        "parties/only.lua": EVENTS.replace("return Events\n", 'Events.options = { duplicateId = "replace" }\nreturn Events\n'),
        "parties/first.lua": EVENTS.replace("return Events\n", 'Events.options = { duplicateId = "reject" }\nreturn Events\n'),
        "festa.lua": config({ cors: true, limits: { message: 100000, queue: 400000, connectionsPerRoom: 3 } }),
      },
      { args: ["--threads", String(threads)] },
    );
    const each = async (test) => {
      for (let n = 0; n < (threads > 1 ? 6 : 1); n++) await test(`/party/${server.room()}`);
    };
    const seen = (room, text) =>
      poll(async () => {
        const said = await server.text(`${room}/seen`);
        return said.includes(text) ? said : undefined;
      }, `"${text}"`);

    it("begin with what onConnect sends, and bring what is sent to all and to one", () =>
      each(async (room) => {
        const one = await Stream.open(server, `${room}?_pk=one&retry=1500`);
        assert.equal(one.status, 200);
        assert.equal(one.header("content-type"), "text/event-stream");
        assert.equal(one.header("cache-control"), "no-cache");
        assert.equal(one.header("x-accel-buffering"), "no");
        assert.equal(one.header("access-control-allow-origin"), "*");
        const two = await Stream.open(server, `${room}?id=two&tag=red&wait=1`);
        assert.deepEqual(await one.heard(1), ["hello one"]);
        assert.equal(one.events.retry, 1500);
        assert.deepEqual(await two.heard(1), ["hello two"]);
        await server.request(room, post("to all"));
        await server.request(`${room}?tag=red`, post("to red"));
        await server.request(`${room}?without=one`, post("not to one"));
        await server.request(`${room}?to=one`, post("to one"));
        await server.request(room, post("last"));
        assert.deepEqual(await one.heard(4), ["hello one", "to all", "to one", "last"]);
        assert.deepEqual(await two.heard(5), ["hello two", "to all", "to red", "not to one", "last"]);
        assert.deepEqual(await server.json(`${room}/count`), [2, 1, 0]);
        one.connection.destroy();
        assert.equal(await seen(room, "close one"), "connect one events\nconnect two events\nclose one 1006 false ");
        await server.request(`${room}?close=two`, post(""));
        await two.whole();
        assert.match(await seen(room, "close two"), /close two 4003 true enough$/);
        assert.deepEqual(await server.json(`${room}/count`), [0, 0, 0]);
        two.connection.send({ path: `${room}/count` }); // the connection goes on
        assert.equal((await two.connection.response()).text, "[0,0,0]");
        two.connection.destroy();
      }));

    it("reach WebSockets and event streams of a room alike", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}?id=stream`);
        const socket = await server.socket(`${room}?_pk=socket`);
        assert.equal(await socket.message(), "hello socket");
        socket.text("from the socket");
        assert.deepEqual(await stream.heard(2), ["hello stream", "from the socket"]);
        await server.request(room, post("to both"));
        assert.equal(await socket.message(), "to both");
        assert.deepEqual((await stream.heard(3))[2], "to both");
        socket.destroy();
        stream.connection.destroy();
      }));

    it("carry any text: each line is a data line", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}?id=x`);
        const texts = ["", "\n", "a\nb", "a\r\nb\rc", "\r\r", "\n\n\n", " leading", ":colon", "data: x", "ü€😀", "x".repeat(90000), "end\n"];
        for (const text of texts) await server.request(room, post(text));
        const lines = (text) => text.replace(/\r\n|\r/g, "\n");
        assert.deepEqual(await stream.heard(texts.length + 1), ["hello x", ...texts.map(lines)]);
        stream.connection.destroy();
      }));

    it("know of the request: Last-Event-ID, cookies, tags", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}/below?about=1&first=a&_pk=m%C3%BCller`, {
          headers: { "Last-Event-ID": "41", Cookie: "a=b" },
        });
        const about = JSON.parse((await stream.heard(2))[1]);
        assert.equal(about.uri, `http://${server.host}${room}/below?about=1&first=a&_pk=m%C3%BCller`);
        assert.deepEqual(about.tags, ["müller", "a"]);
        assert.deepEqual([about.last, about.cookie, about.remote], ["41", "a=b", "127.0.0.1"]);
        stream.connection.destroy();
      }));

    it("end where onConnect raises or closes", () =>
      each(async (room) => {
        assert.equal(await (await Stream.open(server, `${room}?raise=1&id=a`)).whole(), "");
        assert.equal(await (await Stream.open(server, `${room}?turn=1&id=b`)).whole(), "");
        const short = await Stream.open(server, `${room}?close=1&id=c`);
        assert.equal(await short.whole(), "data: hello c\n\n");
        await seen(room, "close c 4002 true not for long");
        assert.equal((await server.text(`${room}/seen`)).match(/close/g).length, 1);
      }));

    it("are refused as WebSockets are", () =>
      each(async (room) => {
        const streams = [];
        for (let n = 0; n < 3; n++) streams.push(await Stream.open(server, room));
        const full = await server.request(room);
        assert.equal(full.status, 503);
        assert.match(full.text, /connectionsPerRoom/);
        for (const stream of streams) stream.connection.destroy();
        const wrong = await server.request(`${room}?_pk=%FF`);
        assert.equal(wrong.status, 400);
      }));

    it("follow the rule for ids that are there", async () => {
      const room = `/parties/only/${server.room()}`;
      const older = await Stream.open(server, `${room}?id=a`);
      const newer = await Stream.open(server, `${room}?id=a`);
      await older.whole();
      assert.deepEqual(await newer.heard(1), ["hello a"]);
      assert.match(await seen(room, "4409"), /^connect a events\nclose a 4409 \w+ Replaced by a newer connection\nconnect a events$/);
      newer.connection.destroy();
      const first = `/parties/first/${server.room()}`;
      const there = await Stream.open(server, `${first}?id=a`);
      assert.equal(await (await Stream.open(server, `${first}?id=a`)).whole(), "");
      await server.request(first, post("x"));
      assert.deepEqual(await there.heard(2), ["hello a", "x"]);
      there.connection.destroy();
    });

    it("leave binary messages out, and say so", async () => {
      const room = `/party/${server.room()}`;
      const stream = await Stream.open(server, `${room}?id=x`);
      assert.match(await server.text(`${room}?binary=1`, post("b")), /^nil event streams are text/);
      await server.request(room, post("text"));
      assert.deepEqual(await stream.heard(2), ["hello x", "text"]);
      await server.waitForText("binary messages are left out of event streams");
      stream.connection.destroy();
    });

    it("show what was stored before", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}?id=x`);
        await server.request(`${room}?store=1`, post("v"));
        assert.deepEqual(await stream.heard(3), ["hello x", "stored v", "read v"]);
        stream.connection.destroy();
      }));

    it("are HTTP/1.0 and HEAD too", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}?id=x`, { version: "HTTP/1.0" });
        assert.deepEqual(await stream.heard(1), ["hello x"]);
        await server.request(`${room}?close=x`, post(""));
        await stream.whole();
        const head = await server.request(`${room}?id=y`, { method: "HEAD" });
        assert.equal(head.header("content-type"), "text/event-stream");
        assert.ok(!(await server.text(`${room}/seen`)).includes("connect y"));
      }));

    it("are given up when their client takes nothing, and others are served", async () => {
      for (const room of [`/party/${server.room()}`, `/party/${server.room()}`]) {
        const slow = await Stream.open(server, `${room}?id=slow`);
        const quick = await Stream.open(server, `${room}?id=quick`);
        await quick.heard(1);
        const before = quick.size;
        slow.connection.pause();
        for (let n = 1; !(await server.text(`${room}/seen`)).includes("close slow"); n++) {
          assert.ok(n < 200, "the slow one is still there");
          await server.request(`${room}?times=2`, post("x".repeat(90000)));
          await quick.until((s) => s.size >= before + n * 2 * 90008, "the events");
        }
        assert.match(await server.text(`${room}/seen`), /close slow 1013 false Too much waits/);
        await server.request(room, post("end"));
        await quick.until((s) => s.text.endsWith("data: end\n\n"), "the end");
        quick.connection.destroy();
        slow.connection.destroy();
      }
    });

    it("are for onRequest alone, and their options are checked", async () => {
      const room = `/party/${server.room()}`;
      assert.equal((await server.request(`${room}/thrown`)).status, 500);
      await server.waitForLog((l) => l.error?.includes("onRequest has to return it"));
      const texts = (await server.text(`${room}/misuse`)).split("\n");
      assert.equal(texts.length, 15);
      for (const text of texts.slice(0, 5)) assert.match(text, /id is a string of 1 to 256 bytes/);
      assert.match(texts[5], /tags are an array/);
      assert.match(texts[6], /tag 1 has 0 bytes/);
      for (const text of texts.slice(7, 10)) assert.match(text, /retry is an integer/);
      for (const text of texts.slice(10, 12)) assert.match(text, /unknown option/);
      assert.match(texts[12], /table expected/);
      assert.match(texts[13], /function expected/);
      assert.match(texts[14], /status 204 can't have a body/);
    });
  });
}

describe("events of a room that goes or changes", () => {
  it("end whole when the server stops, behind what onStop sends", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": EVENTS });
    const streams = [];
    for (let n = 0; n < 6; n++) streams.push(await Stream.open(server, `/party/${server.room()}?id=x`));
    for (const stream of streams) await stream.heard(1);
    server.signal("SIGTERM");
    for (const stream of streams) {
      await stream.whole();
      assert.deepEqual([...stream.events], ["hello x", "stopping"]);
      assert.equal(await stream.connection.closed(), "end");
    }
    await server.stop({ signal: null });
  });

  it("go on through a reload", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": EVENTS });
    const room = `/party/${server.room()}`;
    const stream = await Stream.open(server, `${room}?id=x`);
    await saveFile(`${server.project.directory}/parties/main.lua`, EVENTS.replace('return "OK"', 'return "NEW"'));
    server.signal("SIGHUP");
    await poll(async () => ((await server.text(room, post("again"))) === "NEW" ? true : undefined), "the reload");
    await stream.until((s) => s.text.endsWith("data: again\n\n"), "an event");
    stream.connection.destroy();
  });

  it("wake a room that hibernates, whose state and tags they keep", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": EVENTS.replace("return Events\n", 'Events.options = { hibernate = true }\nreturn Events\n').replace(
        "function Events:onStart()",
        'function Events:onStart()\n  print("started")',
      ),
      "festa.lua": config({ limits: { idleRoom: 50 } }),
    });
    const room = `/party/${server.room()}`;
    const stream = await Stream.open(server, `${room}?id=x&tag=red`);
    await stream.heard(1);
    const count = () => server.lines.filter((l) => l.msg === "started").length;
    await poll(async () => {
      await server.request(`${room}?tag=red`, post("x"));
      return count() >= 2 ? true : undefined;
    }, "a room that woke", { pause: 200 });
    await server.request(`${room}?tag=red`, post("end"));
    await stream.until((s) => s.text.endsWith("data: end\n\n"), "an event");
    stream.connection.destroy();
  });

  it("are told that they are alive, and are given up with their client", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": EVENTS,
      "festa.lua": config({ limits: { pingInterval: 100, idleTimeout: 300 } }),
    });
    const room = `/party/${server.room()}`;
    const stream = await Stream.open(server, `${room}?id=x`);
    await stream.until((s) => s.text.split(": keep-alive\n\n").length > 8, "signs of life");
    assert.deepEqual(await stream.heard(1), ["hello x"]);
    stream.connection.reset();
    await poll(async () => ((await server.text(`${room}/seen`)).includes("close x 1006 false") ? true : undefined), "its onClose");
  });

  it("end when a room is restarted", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": EVENTS.replace('if request.subpath == "/thrown"', 'if request.subpath == "/hoard" then for i = 1, 1e9 do self[i] = ("x"):rep(1000000) .. i end end\n  if request.subpath == "/thrown"'),
      "festa.lua": config({ limits: { handlerTime: 60000 } }), // a sanitizer takes long to fill the memory
    });
    const room = `/party/${server.room()}`;
    const stream = await Stream.open(server, `${room}?id=x`);
    for (let n = 0; n < 3 && !stream.done; n++) {
      assert.equal((await server.request(`${room}/hoard`)).status, 500);
      stream.take();
    }
    await stream.whole();
    assert.equal(await server.text(`${room}/seen`), "");
  });
});

it("a crowd of event streams hears everything, in order", { timeout: 300000 }, async (t) => {
  const server = await serverFor(t, { "parties/main.lua": EVENTS }, { args: ["--threads", "2"] });
  const room = `/party/${server.room()}`;
  const streams = await Promise.all(Array.from({ length: SANITIZED ? 30 : 100 }, (_, n) => Stream.open(server, `${room}?id=${n}`)));
  for (let n = 0; n < 50; n++) await server.request(room, post(`message ${n}`));
  for (const [n, stream] of streams.entries()) {
    const wanted = [`hello ${n}`, ...Array.from({ length: 50 }, (_, i) => `message ${i}`)];
    await stream.until((s) => s.text.endsWith("data: message 49\n\n"), "the last one");
    assert.deepEqual([...stream.events], wanted);
    stream.connection.destroy();
  }
});
