// Response.stream: bodies that a script writes while they are sent.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { request as undici } from "undici";

import { config, lua } from "./lib/project.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { SANITIZED, serverFor, serverForSuite } from "./lib/server.mjs";
import { Stream } from "./lib/stream.mjs";
import { poll } from "./lib/wait.mjs";

const STREAMS = lua`
local Streams = {}

function Streams:onStart()
  self.seen = {}
  print("started " .. party.id)
end

local ways = {}

function ways.count(self, request)
  return Response.stream(function(stream)
    for i = 1, tonumber(request.query.n or 3) do
      stream:write(i .. "\n")
      sleep(1)
    end
  end, { status = 201, headers = { ["X-Kind"] = "count" } })
end

-- writes what POST /say is given, until that is "end"
function ways.follow(self, request)
  return Response.stream(function(stream)
    self.follower = stream
    while not self.over and stream.isOpen do
      sleep(5)
    end
    table.insert(self.seen, stream.isOpen and "ended" or "left")
  end)
end

function ways.say(self, request)
  if request.body == "end" then self.over = true else self.follower:write(request.body) end
  return "said"
end

function ways.flood(self, request)
  return Response.stream(function(stream)
    local piece = ("x"):rep(100000)
    self.written = 0
    local ok, err = pcall(function()
      for i = 1, tonumber(request.query.n) do
        stream:write(piece)
        self.written = self.written + #piece
      end
    end)
    table.insert(self.seen, ok and "all" or err:gsub("^.-:%d+: ", ""))
  end)
end

function ways.huge(self, request)
  return Response.stream(function(stream) stream:write(("0123456789"):rep(500000)) end)
end

function ways.empty(self) return Response.stream(function() end) end

function ways.fails(self)
  return Response.stream(function(stream)
    stream:write("before")
    sleep(1)
    error("on purpose")
  end)
end

function ways.failsAtOnce(self)
  return Response.stream(function(stream)
    stream:write("what was ")
    stream:write("written")
    error("on purpose")
  end)
end

function ways.failsWhenTold(self)
  return Response.stream(function(stream)
    stream:write("before")
    while not self.told do sleep(1) end
    error("on purpose")
  end)
end

function ways.tell(self)
  self.told = true
  return "told"
end

function ways.silent(self)
  return Response.stream(function(stream)
    table.insert(self.seen, "begun")
    while stream.isOpen do sleep(2) end
    table.insert(self.seen, "gone")
    stream:write("nobody hears")
  end)
end

function ways.stores(self)
  return Response.stream(function(stream)
    for i = 1, 3 do
      party.storage:put("step", i)
      stream:write("stored " .. i .. "\n")
    end
    stream:write("read " .. party.storage:get("step") .. "\n")
  end)
end

function ways.keeps(self)
  return Response.stream(function(stream) self.kept = stream end)
end

function ways.after(self)
  local ok, err = pcall(self.kept.write, self.kept, "x")
  return tostring(self.kept.isOpen) .. " " .. err
end

function ways.misuse(self)
  return Response.stream(function(stream)
    local function try(...) local ok, err = pcall(...) stream:write(tostring(err) .. "\n") end
    try(stream.write, stream, {})
    try(stream.write, stream)
    try(stream.write, {}, "x")
    try(function() stream.isOpen = 1 end)
    try(function() party.storage:transaction(function() stream:write(("x"):rep(70000)) end) end)
  end)
end

function ways.seen(self) return table.concat(self.seen, ",") end
function ways.written(self) return tostring(self.written) end

function ways.loops(self)
  return Response.stream(function(stream)
    stream:write("begins")
    sleep(1)
    while true do end
  end)
end

function ways.hoards(self)
  return Response.stream(function(stream)
    stream:write("begins")
    sleep(1)
    self.hoard = ("x"):rep(100000000)
  end)
end

ways["throws"] = function()
  error(Response.stream(function(stream) stream:write("thrown") end))
end

-- an answer that comes too late, in three ways
function ways.destroyed() party.destroy() return Response.stream(function(stream) stream:write("never") end) end
function ways.destroyedThrows() party.destroy() error(Response.stream(function(stream) stream:write("never") end)) end
function ways.destroyedEvents() party.destroy() return Response.events() end

-- one object, answered with again and again
local again = Response.stream(function(stream) stream:write("again") end)
function ways.again() return again end

function Streams:onRequest(request)
  local way = ways[request.subpath:sub(2)]
  if not way then return Response("no such way", { status = 404 }) end
  return way(self, request)
end

function Streams:onConnect(connection) connection:send("hello") end
function Streams:onMessage(message, connection) connection:send(message) end

return Streams
`;

// Of the CPU: making a long text takes a sanitizer longer than the usual time of a handler.
const HANDLER_TIME = SANITIZED ? 3000 : 250;

for (const threads of [1, 2]) {
  describe(`streams, ${threads} thread${threads > 1 ? "s" : ""}`, () => {
    const server = serverForSuite(
      { "parties/main.lua": STREAMS, "festa.lua": config({ cors: true, limits: { handlerTime: HANDLER_TIME } }) },
      { args: ["--threads", String(threads)], level: "debug" },
    );
    // on several threads, rooms of both are asked from connections of both
    const each = async (test) => {
      for (let n = 0; n < (threads > 1 ? 6 : 1); n++) await test(`/party/${server.room()}`);
    };

    it("come in chunks behind their head, and the connection goes on", () =>
      each(async (room) => {
        const connection = await server.connect();
        for (let n = 0; n < 3; n++) {
          const stream = await Stream.open(server, `${room}/count`, { connection });
          assert.equal(stream.status, 201);
          assert.equal(stream.header("content-length"), undefined);
          assert.equal(stream.header("x-kind"), "count");
          assert.equal(stream.header("content-type"), "text/plain;charset=UTF-8");
          assert.equal(stream.header("access-control-allow-origin"), "*");
          assert.equal(await stream.whole(), "1\n2\n3\n");
        }
        connection.send({ path: `${room}/seen` });
        assert.equal((await connection.response()).status, 200);
        connection.destroy();
      }));

    it("are no answer after party.destroy()", () =>
      each(async (room) => {
        for (const [way, what] of [["destroyed", "stream"], ["destroyedThrows", "stream"], ["destroyedEvents", "events"]]) {
          const { status, text } = await server.request(`${room}/${way}`);
          assert.equal(status, 500);
          const [, reference] = text.match(/^Internal error \(reference ([0-9a-f]{8})\)$/) ?? assert.fail(text);
          const line = await server.waitForLog((line) => line.reference === reference, "the error");
          assert.match(line.error, new RegExp(`Response\\.${what} after party\\.destroy\\(\\): the room is gone`));
          assert.equal((await server.request(`${room}/seen`)).text, ""); // a new one
        }
      }));

    it("are read by an ordinary client", async () => {
      const answer = await undici(`${server.url}/party/${server.room()}/count?n=50`);
      assert.equal(answer.statusCode, 201);
      assert.equal((await answer.body.text()).split("\n").length, 51);
    });

    it("arrive while they are written", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}/follow`);
        await poll(async () => {
          const response = await server.request(`${room}/say`, { method: "POST", body: "one;" });
          return response.status === 200 ? true : undefined;
        }, "a follower");
        await stream.has("one;");
        await server.request(`${room}/say`, { method: "POST", body: "two;" });
        await stream.has("two;");
        await server.request(`${room}/say`, { method: "POST", body: "end" });
        assert.match(await stream.whole(), /^one;two;$/);
        assert.equal(await server.text(`${room}/seen`), "ended");
        stream.connection.destroy();
      }));

    it("end with the connection in HTTP/1.0", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}/count`, { version: "HTTP/1.0", headers: { Connection: "keep-alive" } });
        assert.equal(stream.header("transfer-encoding"), undefined);
        assert.equal(stream.header("connection"), "close");
        assert.equal(await stream.whole(), "1\n2\n3\n");
      }));

    it("have no body for HEAD, and their function does not run", () =>
      each(async (room) => {
        const connection = await server.connect();
        connection.send({ method: "HEAD", path: `${room}/silent` });
        const head = await connection.response({ method: "HEAD" });
        assert.equal(head.status, 200);
        assert.equal(head.header("content-length"), undefined);
        connection.send({ path: `${room}/seen` });
        assert.equal((await connection.response()).text, "");
        connection.destroy();
      }));

    it("may be empty, huge, thrown, and made of one Response again and again", () =>
      each(async (room) => {
        const connection = await server.connect();
        const read = async (way) => (await Stream.open(server, `${room}/${way}`, { connection })).whole();
        assert.equal(await read("empty"), "");
        assert.equal((await read("huge")).length, 5000000);
        assert.equal(await read("throws"), "thrown");
        assert.equal(await read("again"), "again");
        assert.equal(await read("again"), "again");
        connection.destroy();
      }));

    it("are followed by what was pipelined behind them", () =>
      each(async (room) => {
        const connection = await server.connect();
        const request = (path) => requestBytes({ host: server.host, path });
        connection.write(Buffer.concat([request(`${room}/count?n=20`), request(`${room}/seen`), request(`${room}/count?n=1`)]));
        const first = await Stream.open(server, "", { connection, sent: true });
        assert.equal((await first.whole()).split("\n").length, 21);
        assert.equal((await connection.response()).status, 200);
        assert.equal((await connection.response()).text, "1\n");
        connection.destroy();
      }));

    it("reach a client that has ended its side", () =>
      each(async (room) => {
        const connection = await server.connect();
        connection.send({ path: `${room}/count?n=20` });
        connection.end();
        const stream = await Stream.open(server, "", { connection, sent: true });
        assert.equal((await stream.whole()).split("\n").length, 21);
        assert.equal(await connection.closed(), "end");
        const piped = await server.connect();
        piped.write(Buffer.concat([
          requestBytes({ host: server.host, path: `${room}/count?n=3` }),
          requestBytes({ host: server.host, path: `${room}/seen` }),
        ]));
        piped.end();
        assert.equal((await piped.response()).text, "1\n2\n3\n");
        assert.equal((await piped.response()).status, 200);
        assert.equal(await piped.closed(), "end");
      }));

    it("are cut where their function raises, and that is in the log", () =>
      each(async (room) => {
        const from = server.lines.length;
        const stream = await Stream.open(server, `${room}/fails`);
        assert.equal(await stream.cut(), "before");
        const line = await server.waitForLog((l) => l.msg === "handler failed", "the error", { from });
        assert.equal(line.handler, "stream");
        assert.match(line.error, /on purpose/);
        assert.equal(await (await Stream.open(server, `${room}/failsAtOnce`)).cut(), "what was written");
        // the reset has to come by itself: one that is there together with data looks like an end to libuv, and to us
        const old = await Stream.open(server, `${room}/failsWhenTold`, { version: "HTTP/1.0" });
        await old.has("before");
        assert.equal(await server.text(`${room}/tell`), "told");
        assert.equal(await old.connection.closed(), "reset");
      }));

    it("notice at once that a client leaves while nothing is written", () =>
      each(async (room) => {
        for (const how of ["destroy", "reset"]) {
          const from = server.lines.length;
          const stream = await Stream.open(server, `${room}/silent`);
          await poll(async () => ((await server.text(`${room}/seen`)).endsWith("begun") ? true : undefined), "the function");
          stream.connection[how]();
          await poll(async () => ((await server.text(`${room}/seen`)).endsWith("gone") ? true : undefined), `the end (${how})`);
          await server.waitForLog((l) => l.msg === "a stream's client has gone", "a line of the log", { from });
          assert.deepEqual(server.lines.slice(from).filter((l) => l.level === "error" && room.endsWith(`/${l.room}`)), []);
        }
      }));

    it("wait for a slow client, and others are served meanwhile", { timeout: 300000 }, async () => {
      const room = `/party/${server.room()}`;
      const total = SANITIZED ? 20 : 40; // MB
      await server.text(`${room}/seen`);
      const before = server.memory();
      const stream = await Stream.open(server, `${room}/flood?n=${total * 10}`);
      stream.connection.pause();
      let last = -1;
      await poll(async () => {
        const now = Number(await server.text(`${room}/written`));
        const still = now === last && now > 0;
        last = now;
        return still || undefined;
      }, "a writer that waits", { pause: 200 });
      assert.ok(last < total * 1e6, `${last} bytes were written`);
      if (!SANITIZED) assert.ok(server.memory() - before < 20e6, `${server.memory() - before} bytes more`);
      assert.equal((await server.request(`/party/${server.room()}/seen`)).status, 200);
      stream.connection.resume();
      assert.equal((await stream.whole()).length, total * 1e6);
      assert.equal(await server.text(`${room}/seen`), "all");
      stream.connection.destroy();
    });

    it("raise where the client leaves while a write waits", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}/flood?n=2000`);
        stream.connection.pause();
        await poll(async () => (Number(await server.text(`${room}/written`)) > 0 ? true : undefined), "a writer");
        stream.connection.destroy();
        await poll(async () => ((await server.text(`${room}/seen`)) !== "" ? true : undefined), "the end");
        assert.equal(await server.text(`${room}/seen`), "the client has gone");
      }));

    it("show what was stored before, in order", () =>
      each(async (room) => {
        const stream = await Stream.open(server, `${room}/stores`);
        assert.equal(await stream.whole(), "stored 1\nstored 2\nstored 3\nread 3\n");
        stream.connection.destroy();
      }));

    it("can't be used after their end, or otherwise than they are meant", async () => {
      const room = `/party/${server.room()}`;
      assert.equal(await (await Stream.open(server, `${room}/keeps`)).whole(), "");
      assert.match(await server.text(`${room}/after`), /^false .*the stream has ended$/);
      const said = (await (await Stream.open(server, `${room}/misuse`)).whole()).split("\n");
      assert.match(said[0], /string expected, got table/);
      assert.match(said[1], /string expected, got no value/);
      assert.match(said[2], /stream expected, got table/);
      assert.match(said[3], /stream.isOpen is read-only/);
      assert.match(said[4], /transaction/);
    });

    it("end when their function has had its time, or the room's memory is used up", async () => {
      for (const [way, error] of [["loops", /handlerTime/], ["hoards", /roomMemory/]]) {
        const room = `/party/${server.room()}`;
        const from = server.lines.length;
        const stream = await Stream.open(server, `${room}/${way}`);
        assert.equal(await stream.cut(), "begins");
        await server.waitForLog((l) => l.msg === "handler failed" && error.test(l.error), "the error", { from });
        assert.equal(await server.text(`${room}/seen`), "");
      }
    });
  });
}

describe("streams of a room that goes", () => {
  const slow = { limits: { stopTimeout: 2000, closeTimeout: 1000 } }; // a hundred times what the short one takes

  it("are cut when the server stops and they don't end, and let end when they do", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": STREAMS, "festa.lua": config(slow) });
    const endless = [];
    for (let n = 0; n < 4; n++) endless.push(await Stream.open(server, `/party/${server.room()}/silent`));
    const short = await Stream.open(server, `/party/${server.room()}/count?n=20`);
    server.signal("SIGTERM");
    assert.equal((await short.whole()).split("\n").length, 21);
    for (const stream of endless) assert.equal(await stream.cut(), "");
    await server.stop({ signal: null });
  });

  it("go on through a reload, in the code before", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": STREAMS });
    const room = `/party/${server.room()}`;
    const stream = await Stream.open(server, `${room}/follow`);
    await poll(async () => ((await server.request(`${room}/say`, { method: "POST", body: "a" })).status === 200 ? true : undefined), "a follower");
    const { saveFile } = await import("./lib/project.mjs");
    await saveFile(`${server.project.directory}/parties/main.lua`, STREAMS.replaceAll('"said"', '"said anew"'));
    server.signal("SIGHUP");
    await poll(async () => ((await server.text(`${room}/say`, { method: "POST", body: "b" })) === "said anew" ? true : undefined), "the reload");
    await server.request(`${room}/say`, { method: "POST", body: "end" });
    assert.match(await stream.whole(), /^ab+$/);
    stream.connection.destroy();
  });
});

describe("streams of hooks", () => {
  const HOOKS = lua`
local Hooks = {}
function Hooks:onFetch(request)
  if request.path == "/events" then return Response.events() end
  return Response.stream(function(stream)
    for i = 1, 3 do stream:write(request.path .. i .. "\n") sleep(1) end
  end)
end
function Hooks:onBeforeRequest(request)
  if request.query.stream then
    return Response.stream(function(stream) stream:write("before") end)
  elseif request.query.events then
    return Response.events()
  end
end
function Hooks:onRequest() return "room" end
return Hooks
`;
  const server = serverForSuite({ "parties/main.lua": HOOKS });

  it("go on, in the lobby", async () => {
    for (let n = 0; n < 4; n++) {
      const stream = await Stream.open(server, "/somewhere");
      assert.equal(await stream.whole(), "/somewhere1\n/somewhere2\n/somewhere3\n");
      const before = await Stream.open(server, `/party/${server.room()}?stream=1`);
      assert.equal(await before.whole(), "before");
      for (const one of [stream, before]) one.connection.destroy();
    }
  });

  it("can't be events, which need a room", async () => {
    for (const path of ["/events", `/party/${server.room()}?events=1`]) {
      const from = server.lines.length;
      assert.equal((await server.request(path)).status, 500);
      await server.waitForLog((l) => l.error?.includes("onRequest has to return it"), "the error", { from });
    }
  });
});
