// A room's life: its start, what waits for it, its failures, and its leaving memory.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { RawConnection, requestBytes } from "./lib/raw.mjs";
import { serverFor, serverForSuite } from "./lib/server.mjs";
import { frame, Socket, upgradeBytes } from "./lib/websocket.mjs";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

const SLOW_START = lua`
local Slow = {}
local starts = 0

function Slow:onStart(restored)
  starts = starts + 1
  self.restored = tostring(restored)
  sleep(200)
  self.ready = true
end

local function state(self)
  return ("%s %d %s"):format(tostring(self.ready), starts, party.id)
end

function Slow:onConnect(connection)
  connection:send("connect " .. state(self))
end

function Slow:onMessage(message, connection)
  connection:send(message .. " " .. state(self))
end

function Slow:onRequest(request)
  if request.subpath == "/restored" then return self.restored end
  return state(self)
end

return Slow
`;

// Fails to start, each time at its first try; a file-scope counter shows a fresh VM.
const NEVER = lua`
local Never = {}
local tries = 0

function Never:onStart()
  tries = tries + 1
  if party.id:find("wait", 1, true) then sleep(50) end
  error(("no start, try %d"):format(tries))
end

function Never:onRequest()
  return "running without a start"
end

function Never:onConnect()
end

return Never
`;

// Starts or fails by chance.
const CHANCE = lua`
local Chance = {}
local tries = 0

function Chance:onStart()
  tries = tries + 1
  if crypto.randomUUID():byte() % 2 == 0 then error("bad luck") end
  self.started = true
end

function Chance:onRequest()
  return ("%s %d"):format(tostring(self.started), tries)
end

return Chance
`;

describe("onStart", () => {
  const server = serverForSuite({ "parties/slow.lua": SLOW_START, "parties/never.lua": NEVER, "parties/chance.lua": CHANCE });

  it("runs once, and everything waits for it", async () => {
    const path = `/parties/slow/${server.room()}`;
    const id = path.split("/").pop();
    const requests = Array.from({ length: 6 }, () => server.text(path));
    const connection = await RawConnection.open(server);
    connection.write(Buffer.concat([upgradeBytes(server.host, path, { key: KEY }), frame({ payload: "early" })]));
    const sockets = Array.from({ length: 3 }, () => server.socket(path));
    for (const text of await Promise.all(requests)) assert.equal(text, `true 1 ${id}`);
    assert.equal((await connection.response()).status, 101);
    const early = new Socket(connection);
    assert.equal(await early.message(), `connect true 1 ${id}`);
    assert.equal(await early.message(), `early true 1 ${id}`);
    for (const socket of await Promise.all(sockets)) assert.equal(await socket.message(), `connect true 1 ${id}`);
  });

  it("has restored = false, or nothing, in a new room", async () => {
    const restored = await server.text(`/parties/slow/${server.room()}/restored`);
    assert.ok(["false", "nil"].includes(restored), restored);
  });

  it("that fails answers 500, and the next event tries again in a fresh VM", async () => {
    const room = server.room();
    for (let n = 0; n < 3; n++) {
      const from = server.lines.length;
      const response = await server.request(`/parties/never/${room}`);
      assert.equal(response.status, 500);
      assert.ok(!response.text.includes("no start"), "the script's words stay inside");
      const line = await server.waitForLog((l) => l.level === "error" && l.room === room, "the error", { from });
      assert.deepEqual([line.party, line.handler], ["never", "onStart"]);
      assert.ok(JSON.stringify(line).includes("no start, try 1"), JSON.stringify(line));
      assert.match(line.traceback, /never\.lua:\d+/);
    }
  });

  it("that fails refuses upgrades with 500 in place of the 101", async () => {
    for (const room of [server.room(), server.room("wait")]) {
      const { response } = await server.upgrade(`/parties/never/${room}`);
      assert.equal(response.status, 500);
    }
  });

  it("that fails after a wait answers all that waited for it", async () => {
    const path = `/parties/never/${server.room("wait")}`;
    const requests = Array.from({ length: 5 }, () => server.request(path));
    const upgrades = Array.from({ length: 3 }, () => server.upgrade(path));
    for (const response of await Promise.all(requests)) assert.equal(response.status, 500);
    for (const { response } of await Promise.all(upgrades)) assert.equal(response.status, 500);
  });

  it("that succeeds at a later try starts the room for good", async () => {
    let both = false;
    for (let n = 0; n < 100 && !both; n++) {
      const path = `/parties/chance/${server.room()}`;
      let failures = 0;
      let response;
      for (let tries = 0; tries < 100; tries++) {
        response = await server.request(path);
        if (response.status === 200) break;
        assert.equal(response.status, 500);
        failures++;
      }
      assert.equal(response.text, "true 1", "started in a VM where nothing had failed");
      assert.equal(await server.text(path), "true 1", "and only once");
      both = failures > 0;
    }
    assert.ok(both);
  });
});

describe("rooms are apart", () => {
  const server = serverForSuite({
    "parties/main.lua": lua`
local Apart = {}
local private = 0
shared = (shared or 0)

function Apart:onRequest(request)
  private = private + 1
  shared = shared + 1
  self.own = (self.own or 0) + 1
  string.shout = string.shout or party.id
  if request.method == "DELETE" then
    for name in pairs(string) do string[name] = nil end
    json.encode, party.broadcast, Response = nil, nil, nil
  end
  return ("%d %d %d %s"):format(private, shared, self.own, string.shout)
end

return Apart
`,
  });

  it("in file-scope locals, globals, self and libraries", async () => {
    const [a, b] = [server.room(), server.room()];
    assert.equal(await server.text(`/party/${a}`), `1 1 1 ${a}`);
    assert.equal(await server.text(`/party/${a}`), `2 2 2 ${a}`);
    assert.equal(await server.text(`/party/${b}`), `1 1 1 ${b}`);
  });

  it("even when one spoils its own", async () => {
    const [a, b] = [server.room(), server.room()];
    await server.request(`/party/${a}`, { method: "DELETE" });
    assert.equal(await server.text(`/party/${b}`), `1 1 1 ${b}`);
    await server.request(`/party/${a}`); // whatever it can still do
    assert.equal(await server.text(`/party/${b}`), `2 2 2 ${b}`);
  });
});

const LEAVING = lua`
local Leaving = {}

function Leaving:onStart()
  self.count = 0
  if party.id:find("^timer") then self.timer = party.every(20, function() self.ticks = (self.ticks or 0) + 1 end) end
end

function Leaving:onRequest(request)
  self.count = self.count + 1
  if request.query.sleep then
    sleep(tonumber(request.query.sleep))
    print(party.id .. " has waited")
  end
  if request.subpath == "/cancel" then self.timer:cancel() end
  return tostring(self.count)
end

function Leaving:onStop()
  if party.id:find("^sleepy") then
    print(party.id .. " is about to stop")
    sleep(100)
  end
  if party.id:find("^bad") then error("no stop") end
  print(("%s stops at %d"):format(party.id, self.count))
end

return Leaving
`;

describe("a room that nobody uses", () => {
  const server = serverForSuite({
    "parties/main.lua": LEAVING,
    "festa.lua": config({ limits: { idleRoom: 300 } }),
  });

  it("stops, leaves memory, and starts anew", async () => {
    const room = server.room();
    // in one packet: between two, on a machine that is busy, the room could have gone
    const connection = await server.connect();
    const request = requestBytes({ path: `/party/${room}`, host: server.host });
    connection.write(Buffer.concat([request, request]));
    for (const count of ["1", "2"]) assert.equal((await connection.response()).text, count);
    connection.destroy();
    await server.waitForText(`${room} stops at 2`);
    assert.equal(await server.text(`/party/${room}`), "1");
    await server.waitForText(`${room} stops at 1`);
  });

  it("stays while a socket is open, and goes after it", async () => {
    const kept = server.room("kept");
    const socket = await server.socket(`/party/${kept}`);
    await server.text(`/party/${kept}`);
    for (const other of [server.room(), server.room()]) {
      // one after the other, both idle for longer than `kept`
      await server.text(`/party/${other}`);
      await server.waitForText(`${other} stops`);
    }
    assert.equal(await server.text(`/party/${kept}`), "2");
    await socket.leave();
    await server.waitForText(`${kept} stops at 2`);
  });

  it("stays while a handler waits", async () => {
    const kept = server.room("kept");
    assert.equal(await server.text(`/party/${kept}?sleep=1200`), "1"); // four times as long
    const waited = await server.waitForText(`${kept} has waited`);
    const stopped = await server.waitForText(`${kept} stops at 1`);
    assert.ok(server.lines.indexOf(waited) < server.lines.indexOf(stopped), "it has stopped while its handler waited");
  });

  it("stays while a timer runs, and goes after it", async () => {
    const kept = server.room("timer");
    await server.text(`/party/${kept}`);
    const other = server.room();
    await server.text(`/party/${other}`);
    await server.waitForText(`${other} stops`);
    assert.equal(await server.text(`/party/${kept}/cancel`), "2");
    await server.waitForText(`${kept} stops at 2`);
  });

  it("is there again for what comes while it stops", async () => {
    const room = server.room("sleepy");
    let from = 0;
    const says = async (text) => (from = server.behind(await server.waitForText(`${room} ${text}`, { from })));
    for (let n = 0; n < 2; n++) {
      assert.equal(await server.text(`/party/${room}`), "1");
      await says("is about to stop");
      const socket = await server.socket(`/party/${room}`);
      assert.equal(await server.text(`/party/${room}`), "1", "in a new VM");
      await says("stops at 1");
      await socket.leave();
      await says("is about to stop");
      await says("stops at 1");
    }
  });

  it("goes even when onStop raises, which is logged", async () => {
    const room = server.room("bad");
    assert.equal(await server.text(`/party/${room}`), "1");
    const line = await server.waitForLog((l) => l.level === "error" && l.room === room, "the error of onStop");
    assert.deepEqual([line.party, line.handler], ["main", "onStop"]);
    assert.equal(await server.text(`/party/${room}`), "1");
  });
});

describe("memory", () => {
  it("of rooms that have gone is free again", async (t) => {
    const files = {
      "parties/main.lua": lua`
local Big = {}
function Big:onRequest()
  self.data = self.data or ("x"):rep(1000):rep(1000)
  return "ok"
end
function Big:onStop()
  print(party.id .. " stops")
end
return Big
`,
      "festa.lua": config({ limits: { idleRoom: 100 } }),
    };
    const server = await serverFor(t, files, { measured: true });
    const round = async () => {
      const rooms = Array.from({ length: 50 }, () => server.room());
      await Promise.all(rooms.map((room) => server.text(`/party/${room}`)));
      for (const room of rooms) await server.waitForText(`${room} stops`);
    };
    await round();
    const before = server.memory();
    for (let n = 0; n < 4; n++) await round();
    const grown = server.memory() - before;
    assert.ok(grown < 60_000_000, `${grown} bytes more after 200 rooms of 1 MB`);
  });
});
