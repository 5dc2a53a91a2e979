// What runs before a room, or without one: onBeforeConnect, onBeforeRequest, onFetch, and the crons' configuration.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";

import { fetch } from "undici";
import WebSocket from "ws";

import { config, lua, saveFile } from "./lib/project.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { runFesta, serverFor, serverForSuite } from "./lib/server.mjs";
import { within } from "./lib/wait.mjs";
import { frame } from "./lib/websocket.mjs";

// Hooks that do what the query says, and a room that tells what it sees.
const PARTY = lua`
local P = {}

function P:who() return self.name .. "/" .. tostring(self.id) end

local ways = {}
function ways.wait(self, request)
  print("a hook waits")
  sleep(tonumber(request.query.ms or "20"))
end
local running, many = 0, false
function ways.count(self, request) -- goes on when there are several
  running = running + 1
  many = many or running > 5
  while not many do sleep(1) end
  request.headers["x-running"] = running
  running = running - 1
end
function ways.deny() return Response("Members only", { status = 401, headers = { ["X-Why"] = "token" } }) end
function ways.forbid() return Response(("é"):rep(80), { status = 403 }) end
function ways.raise() error("the token of anna is wrong") end
function ways.answer() error(Response("teapot", { status = 418 })) end
function ways.number() return 42 end
function ways.move(self, request) return { party = request.query.party, room = request.query.room } end
function ways.impossible() return { room = "a/b" } end
function ways.body(self, request)
  local value = request:json()
  request.headers["x-sum"] = value.a + value.b
end
function ways.headers(self, request)
  request.headers["X-User"] = self:who()
  request.headers["x-secret"] = nil
  request.headers["accept"] = "changed"
end
function ways.split(self, request) request.headers["x-evil"] = "a\r\nX-More: b" end

local function hook(self, request)
  local way = ways[request.query.way]
  if way then return way(self, request) end
end

P.onBeforeConnect, P.onBeforeRequest = hook, hook

local function seen(request)
  local headers = {}
  for name, value in pairs(request.headers) do headers[name] = value end
  return { room = party.id, party = party.name, subpath = request.subpath, url = request.url,
           method = request.method, body = request.body, headers = json.object(headers) }
end

function P:onConnect(connection, context) connection:send(seen(context.request)) end
function P:onMessage(message, connection) connection:send(message) end
function P:onRequest(request) return seen(request) end

return P
`;

const FETCH = lua`
local P = {}

function P:onBeforeRequest(request) return Response("it was asked", { status = 500 }) end
function P:onBeforeConnect(request) return Response("it was asked", { status = 500 }) end

function P:onFetch(request)
  if request.path == "/hello" then
    return Response.html("<p>" .. html.escape(request.query.name or "you") .. tostring(self.id) .. tostring(party.id))
  end
  if request.path == "/echo" then return Response(request.method .. " " .. request.body) end
  if request.path == "/slow" then sleep(20) return Response("slow") end
  if request.path == "/raise" then error("a secret") end
  if request.path == "/string" then return "text" end
  if request.path == "/stream" then
    return Response.stream(function(stream)
      for n = 1, 3 do
        stream:write(n .. "\n")
        sleep(5)
      end
    end)
  end
  if request.path == "/events" then return Response.events() end
  if request.path == "/static.txt" then return Response("never") end
end

function P:onRequest() return "room" end

return P
`;

const FILES = {
  "parties/main.lua": FETCH,
  "parties/chat.lua": PARTY,
  "parties/other.lua": PARTY.replace("P.onBeforeConnect, P.onBeforeRequest = hook, hook", `
function P:onBeforeConnect() return Response("the other's hook", { status = 409 }) end
function P:onBeforeRequest() return Response("the other's hook", { status = 409 }) end`),
  "public/static.txt": "static",
  "public/404.html": "<h1>nothing here</h1>",
};

const ROOMS = Array.from({ length: 12 }, (_, n) => `room-${n}`);

async function roomsOf(server) {
  const { stdout, code } = await runFesta(["rooms", server.project.directory, "--data", server.project.data, "--json"]);
  assert.equal(code, 0);
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .map(({ party, room }) => `${party}/${room}`);
}

describe("hooks before a room", () => {
  const server = serverForSuite(FILES, { args: ["--threads", "2"] });
  const path = (room, way, more = "") => `/parties/chat/${room}/sub?way=${way}${more}`;

  it("let a request go on, with its body and the headers that they have set", async () => {
    for (const room of ROOMS) {
      const seen = await server.json(path(room, "headers"), {
        method: "PUT",
        body: "the body",
        headers: { "X-Secret": "1", Accept: "text/html", "X-Twice": ["a", "b"] },
      });
      assert.equal(seen.headers["x-user"], `chat/${room}`);
      assert.equal(seen.headers["x-secret"], undefined);
      assert.equal(seen.headers.accept, "changed");
      assert.equal(seen.headers["x-twice"], "a, b");
      assert.equal(seen.headers["content-length"], "8");
      assert.equal(seen.body, "the body");
      assert.deepEqual([seen.room, seen.party, seen.subpath, seen.method], [room, "chat", "/sub", "PUT"]);
      assert.equal(seen.url, `${server.url}${path(room, "headers")}`);
    }
  });

  it("see the body", async () => {
    for (const room of ROOMS.slice(0, 4)) {
      const seen = await server.json(path(room, "body"), { method: "POST", body: '{"a":1,"b":2}' });
      assert.equal(seen.headers["x-sum"], "3");
      assert.equal(seen.body, '{"a":1,"b":2}');
    }
    const big = "x".repeat(1_000_000); // several pieces, and little time of a handler under a sanitizer
    const response = await fetch(`${server.url}${path("big", "body")}`, { method: "POST", body: `{"a":1,"b":2,"c":"${big}"}` });
    assert.equal((await response.json()).body.length, big.length + 20);
    const malformed = await server.request(path("x", "body"), { method: "POST", body: "{" });
    assert.equal(malformed.status, 400);
    assert.match(malformed.text, /^JSON error in line 1, column 2/);
  });

  it("answer in the room's place", async () => {
    const denied = await server.request(path("n1", "deny"));
    assert.deepEqual([denied.status, denied.text, denied.header("x-why")], [401, "Members only", "token"]);
    assert.equal((await server.request(path("n2", "answer"))).status, 418);
    const raised = await server.request(path("n3", "raise"));
    assert.deepEqual([raised.status, raised.text], [401, "Unauthorized"]);
    const line = await server.waitForLog(({ room, level }) => room === "n3" && level === "error", "the error");
    assert.deepEqual([line.party, line.room, line.handler], ["chat", "n3", "onBeforeRequest"]);
    assert.match(line.error, /the token of anna is wrong$/);
    assert.equal((await server.request(path("n4", "split"))).status, 401);
    const wrong = await server.request(path("n5", "number"));
    assert.equal(wrong.status, 500);
    assert.match(wrong.text, /^Internal error \(reference [0-9a-f]{8}\)$/);
    await server.waitForLog(({ error }) => /^onBeforeRequest returned number; a Response, \{ party = , room = \} or nil is expected$/.test(error), "the type");
  });

  it("send a request to another room, whose own hooks are not asked", async () => {
    for (const room of ROOMS) {
      const seen = await server.json(path("x", "move", `&room=${encodeURIComponent(room)}-%C3%B6`));
      assert.deepEqual([seen.party, seen.room, seen.subpath], ["chat", `${room}-ö`, "/sub"]);
      const other = await server.json(path("x", "move", `&party=other&room=${room}`));
      assert.deepEqual([other.party, other.room], ["other", room]);
      const same = await server.json(path(room, "move", "&party=other"));
      assert.deepEqual([same.party, same.room], ["other", room]);
    }
    assert.deepEqual(await server.text(path("x", "move", "&party=nope&room=r")), "Party nope not found");
    assert.equal((await server.request(path("x", "move", "&party=nope&room=r"))).status, 404);
    for (const room of ["", "a%2Fb", "a%01b", "x".repeat(257)]) {
      const { status, text } = await server.request(path("x", "move", `&room=${room}`));
      assert.equal(status, 500);
      const [, reference] = text.match(/^Internal error \(reference ([0-9a-f]{8})\)$/) ?? assert.fail(text);
      const line = await server.waitForLog((line) => line.reference === reference, "the error");
      assert.equal(line.msg, "a hook chose a room that can't be");
      assert.equal(line.chosen, decodeURIComponent(room));
    }
  });

  it("do the same for WebSockets", async () => {
    for (const room of ROOMS) {
      const socket = await server.socket(path(room, "headers"), { headers: { "X-Secret": "1" } });
      const seen = await socket.json();
      assert.equal(seen.headers["x-user"], `chat/${room}`);
      assert.equal(seen.headers["x-secret"], undefined);
      assert.equal(seen.room, room);
      await socket.leave();
      const moved = await server.socket(path("x", "move", `&party=other&room=${room}`));
      const there = await moved.json();
      assert.deepEqual([there.party, there.room, there.subpath], ["other", room, "/sub"]);
      moved.text("hello");
      assert.equal(await moved.message(), "hello");
      await moved.leave();
    }
    for (const [way, status, text] of [
      ["deny", 401, "Members only"],
      ["raise", 401, "Unauthorized"],
      ["answer", 418, "teapot"],
      ["move&party=nope", 404, "Party nope not found"],
    ]) {
      const { response } = await server.upgrade(path("x", way));
      assert.deepEqual([response.status, response.text], [status, text]);
    }
    const { response } = await server.upgrade(path("x", "impossible"));
    assert.equal(response.status, 500);
    assert.match(response.text, /^Internal error \(reference [0-9a-f]{8}\)$/);
  });

  it("keep what a client sends while they wait", async () => {
    for (const room of ROOMS) {
      const { socket } = await server.upgrade(path(room, "wait"), { more: Buffer.concat([frame({ payload: "one" }), frame({ payload: "two" })]) });
      assert.equal((await socket.json()).room, room);
      assert.equal(await socket.message(), "one");
      assert.equal(await socket.message(), "two");
      await socket.leave();
    }
  });

  it("serve ws and undici", async () => {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}${path("ws", "wait")}`);
    const message = await within(new Promise((done, failed) => socket.on("message", done).on("error", failed)), "a message");
    assert.equal(JSON.parse(message).room, "ws");
    socket.close();
    const refused = new WebSocket(`${server.url.replace("http", "ws")}${path("ws", "deny")}`);
    const [, response] = await within(
      new Promise((done, failed) => refused.on("unexpected-response", (...what) => done(what)).on("error", failed)),
      "a refusal",
    );
    assert.equal(response.statusCode, 401);
    response.destroy();
    assert.equal((await fetch(`${server.url}${path("u", "deny")}`)).status, 401);
  });

  it("keep the order of a pipeline", async () => {
    const connection = await server.connect();
    const ways = ["wait&ms=60", "deny", "", "wait&ms=10", "raise", "headers"];
    connection.write(Buffer.concat(ways.map((way, n) => requestBytes({ host: server.host, path: path(`p${n}`, way) }))));
    const answers = [];
    for (const _ of ways) {
      const response = await connection.response();
      answers.push(response.status === 200 ? JSON.parse(response.text).room : response.status);
    }
    assert.deepEqual(answers, ["p0", 401, "p2", "p3", 401, "p5"]);
    connection.destroy();
  });

  it("run many at once", async () => {
    const rooms = Array.from({ length: 60 }, (_, n) => `many-${n}`);
    const seen = await Promise.all(rooms.map((room) => server.json(path(room, "count"))));
    assert.deepEqual(seen.map(({ room }) => room), rooms);
  });

  it("come after all that is wrong without them", async () => {
    for (const [options, status] of [
      [{ key: "x" }, 400],
      [{ headers: { "Sec-WebSocket-Version": "12" } }, 426],
      [{ headers: { Origin: "https://elsewhere.example" } }, 403],
    ]) {
      const { response } = await server.upgrade("/parties/main/x", options);
      assert.equal(response.status, status);
    }
    assert.equal((await server.upgrade(`/parties/main/x?_pk=${"x".repeat(257)}`)).response.status, 400);
    assert.equal((await server.request("/parties/main/%2f")).status, 400);
    assert.equal((await server.request("/parties/nope/r")).status, 404);
    assert.equal((await server.request("/parties/main/x")).status, 500); // here it was asked
  });

  it("make no room for those who are refused", async (t) => {
    const own = await serverFor(t, FILES, { args: ["--threads", "2"] });
    for (let n = 0; n < 40; n++) {
      assert.equal((await own.request(path(`r${n}`, n % 2 ? "deny" : "raise"))).status, 401);
      assert.equal((await own.upgrade(path(`s${n}`, n % 2 ? "deny" : "raise"))).response.status, 401);
    }
    assert.equal(await own.text("/page"), "<h1>nothing here</h1>");
    assert.deepEqual(await roomsOf(own), []); // nor is a lobby listed
    assert.equal((await own.json(path("in", "wait"))).room, "in");
    assert.deepEqual(await roomsOf(own), ["chat/in"]);
  });
});

describe("onFetch", () => {
  const server = serverForSuite(FILES, { args: ["--threads", "2"] });

  it("answers what is no room and no file", async () => {
    const page = await server.request("/hello?name=%3Cb%3E");
    assert.deepEqual([page.status, page.text], [200, "<p>&lt;b&gt;nilnil"]);
    assert.match(page.header("content-type"), /^text\/html/);
    assert.equal(await server.text("/slow"), "slow");
    assert.equal(await server.text("/echo", { method: "POST", body: "abc" }), "POST abc");
    assert.equal(await server.text("/echo", { method: "DELETE" }), "DELETE ");
    assert.equal(await (await fetch(`${server.url}/stream`)).text(), "1\n2\n3\n");
    const head = await server.request("/hello", { method: "HEAD" });
    assert.deepEqual([head.status, head.header("content-length"), head.text], [200, "12", ""]);
  });

  it("comes after files, and before 404.html", async () => {
    assert.equal(await server.text("/static.txt"), "static");
    const post = await server.request("/static.txt", { method: "POST", body: "x" });
    assert.deepEqual([post.status, post.header("allow")], [405, "GET, HEAD"]);
    const missing = await server.request("/missing");
    assert.deepEqual([missing.status, missing.text], [404, "<h1>nothing here</h1>"]);
    assert.equal((await server.request("/missing", { method: "POST", body: "x" })).status, 404);
    assert.equal((await server.request("/parties/main")).status, 404);
  });

  it("fails as requests do", async () => {
    const raised = await server.request("/raise");
    assert.equal(raised.status, 500);
    assert.match(raised.text, /^Internal error \(reference/);
    assert.equal((await server.request("/events")).status, 500); // a connection of which room?
    assert.equal((await server.request("/string")).status, 500);
    const line = await server.waitForLog(
      ({ error }) => error === "onFetch returned string; a Response or nil is expected",
      "the type in the log",
    );
    assert.equal(line.handler, "onFetch");
    assert.equal(line.room, undefined);
  });
});

describe("rejectWithClose", () => {
  const server = serverForSuite({ ...FILES, "festa.lua": config({ rejectWithClose: true }) }, { args: ["--threads", "2"] });
  const path = (way) => `/parties/chat/r/sub?way=${way}`;

  it("closes with a code where a hook has refused", async () => {
    for (const [way, code, reason] of [
      ["deny", 4401, "Members only"],
      ["raise", 4401, "Unauthorized"],
      ["answer", 4403, "teapot"],
      ["forbid", 4403, "é".repeat(61)], // 122 bytes: another would be cut in two
    ]) {
      const from = server.lines.length;
      const socket = await server.socket(path(way));
      assert.deepEqual(await socket.closing(), { code, reason });
      socket.close(code, "");
      await socket.gone();
      for (const msg of ["socket opened", "socket closed"])
        await server.waitForLog((l) => l.msg === msg && l.party === "chat" && l.room === "r", msg, { from });
    }
    const socket = new WebSocket(`${server.url.replace("http", "ws")}${path("deny")}`);
    const [code, reason] = await within(
      new Promise((done, failed) => socket.on("close", (...what) => done(what)).on("error", failed)),
      "a close",
    );
    assert.deepEqual([code, String(reason)], [4401, "Members only"]);
    assert.deepEqual(await roomsOf(server), []);
  });

  it("leaves everything else as it is", async () => {
    for (const [way, status] of [
      ["number", 500],
      ["impossible", 500],
      ["move&party=nope", 404],
    ])
      assert.equal((await server.upgrade(path(way))).response.status, status);
    assert.equal((await server.upgrade("/parties/nope/r")).response.status, 404);
    assert.equal((await server.request(path("deny"))).status, 401);
    const socket = await server.socket(path("wait"));
    assert.equal((await socket.json()).room, "r");
    await socket.leave();
  });
});

describe("festa dev", () => {
  it("shows what a hook has raised", async (t) => {
    const server = await serverFor(t, FILES, { mode: "dev" });
    const page = await server.request("/parties/chat/r?way=raise", { headers: { Accept: "text/html" } });
    assert.equal(page.status, 401);
    assert.match(page.text, /the token of anna is wrong/);
    assert.match(page.text, /onBeforeRequest, room r of the party chat/);
    const { response } = await server.upgrade("/parties/chat/r?way=raise");
    assert.equal(response.status, 401);
    assert.equal(JSON.parse(response.text).error.message, "the token of anna is wrong");
    const impossible = "The room id has a slash";
    const chosen = await server.request("/parties/chat/r?way=impossible", { headers: { Accept: "text/html" } });
    assert.equal(chosen.status, 500);
    assert.ok(chosen.text.includes(impossible) && chosen.text.startsWith("<!doctype html>"), chosen.text);
    assert.match(chosen.text, /onBeforeRequest, room r of the party chat/);
    const upgraded = await server.upgrade("/parties/chat/r?way=impossible");
    assert.equal(upgraded.response.status, 500);
    assert.equal(JSON.parse(upgraded.response.text).error.message, impossible);
    const fetched = await server.request("/raise", { headers: { Accept: "text/html" } });
    assert.equal(fetched.status, 500);
    assert.match(fetched.text, /a secret/);
    assert.match(fetched.text, /onFetch of the party main/);
  });

  it("takes over hooks that change, come and go", async (t) => {
    const party = (hooks) => lua`
      local P = { options = { persist = true } }
      ${hooks}
      function P:onRequest(request) return tostring(request.headers["x-hook"]) end
      return P
    `;
    const server = await serverFor(t, { "parties/main.lua": party("") }, { mode: "dev", args: ["--threads", "2"] });
    const save = async (hooks) => {
      const from = server.lines.length;
      await saveFile(join(server.project.directory, "parties/main.lua"), party(hooks));
      await server.waitForLog(({ msg }) => msg === "reloaded", "a reload", { from });
    };
    const texts = async () => {
      const all = await Promise.all(ROOMS.map((room) => server.request(`/party/${room}`)));
      return [...new Set(all.map(({ status, text }) => `${status} ${text}`))];
    };
    assert.deepEqual(await texts(), ["200 nil"]);
    await save(`function P:onBeforeRequest(request) request.headers["x-hook"] = "one" end`);
    assert.deepEqual(await texts(), ["200 one"]);
    await save(`function P:onBeforeRequest(request) request.headers["x-hook"] = "two" end`);
    assert.deepEqual(await texts(), ["200 two"]);
    await save(`function P:onBeforeRequest(request) return Response("closed", { status = 503 }) end`);
    assert.deepEqual(await texts(), ["503 closed"]);
    await save("");
    assert.deepEqual(await texts(), ["200 nil"]);
  });
});

describe("the end of a server", () => {
  const waiting = (server, n) =>
    server.waitForLog(() => server.lines.filter(({ msg }) => msg === "a hook waits").length >= n, `${n} hooks that wait`);

  it("lets hooks finish", async (t) => {
    const server = await serverFor(t, FILES, { args: ["--threads", "2"] });
    const asked = Promise.all(ROOMS.map((room) => server.request(`/parties/chat/${room}?way=wait&ms=400`)));
    const upgrades = Promise.all(ROOMS.map((room) => server.upgrade(`/parties/chat/${room}?way=wait&ms=400`)));
    await waiting(server, 2 * ROOMS.length);
    server.signal("SIGTERM");
    for (const response of await asked) assert.ok([200, 503].includes(response.status), `${response.status}`);
    for (const { response, connection } of await upgrades) {
      assert.ok([101, 503].includes(response.status), `${response.status}`);
      connection.destroy();
    }
    await server.stop({ signal: null });
  });

  it("ends hooks that do not", async (t) => {
    const server = await serverFor(
      t,
      { ...FILES, "festa.lua": config({ limits: { stopTimeout: 200 } }) },
      { args: ["--threads", "2"] },
    );
    const asked = Promise.all(ROOMS.map((room) => server.request(`/parties/chat/${room}?way=wait&ms=1000000`)));
    await waiting(server, ROOMS.length);
    server.signal("SIGTERM");
    for (const response of await asked) assert.ok([500, 503].includes(response.status), `${response.status}`);
    await server.stop({ signal: null });
  });

  it("does not mind clients that have left", async (t) => {
    const server = await serverFor(t, FILES, { args: ["--threads", "2"] });
    for (const room of ROOMS) {
      const connection = await server.connect();
      connection.send({ path: `/parties/chat/${room}?way=wait&ms=30` });
      const other = await server.connect();
      other.write(
        `GET /parties/chat/${room}?way=wait&ms=30 HTTP/1.1\r\nHost: ${server.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      );
      await server.text("/hello");
      connection.destroy();
      other.destroy();
    }
    assert.equal((await server.json("/parties/chat/after?way=wait&ms=60")).room, "after");
    await server.stop();
  });
});

describe("crons", () => {
  const check = async (t, files) => {
    const server = await import("./lib/project.mjs");
    const project = await server.writeProject(files);
    t.after(project.remove);
    return runFesta(["check", project.directory]);
  };
  const cron = { "festa.lua": config({ crons: { nightly: "0 3 * * *" } }) };

  it("need a party main with onCron", async (t) => {
    const none = await check(t, { "parties/chat.lua": "return {}", ...cron });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /parties\/main\.lua: is missing: the configuration has crons \(nightly\)/);
    const without = await check(t, { "parties/main.lua": "return {}", ...cron });
    assert.equal(without.code, 1);
    assert.match(without.stderr, /parties\/main\.lua: has no onCron, and the configuration has crons \(nightly\)/);
    const fine = await check(t, { "parties/main.lua": "return { onCron = function() end }", ...cron });
    assert.equal(fine.code, 0, fine.stderr);
  });

  it("are checked when the server starts, and when it reloads", async (t) => {
    const main = "return { onCron = function() end }";
    const wrong = await check(t, { "parties/main.lua": main, "festa.lua": `return {\n  crons = { nightly = "0 25 * * *" } }\n` });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /festa\.lua:2: crons\.nightly is no schedule, "0 25 \* \* \*": "25" is no hour \(0 to 23\)/);

    const server = await serverFor(t, { "parties/main.lua": main, ...cron });
    const reload = async (schedule, fits) => {
      const from = server.lines.length;
      await saveFile(join(server.project.directory, "festa.lua"), config({ crons: { nightly: schedule } }));
      server.signal("SIGHUP");
      return server.waitForLog(fits, "a reload", { from });
    };
    const failed = await reload("never", ({ level }) => level === "error");
    assert.match(JSON.stringify(failed), /it has 1 fields of five|\\"never\\" is no minute/);
    await reload("30 4 * * *", ({ msg }) => ["reloaded", "mended and reloaded"].includes(msg));
  });
});
