// What one room or one client may take from the others: queues, inboxes, memory.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { serverForSuite } from "./lib/server.mjs";
import { Changes } from "./lib/wait.mjs";

const CROWD = lua`
local Crowd = {}

-- Until the test says so to the room "gate".
local function held(what)
  print(what .. " " .. party.id)
  repeat sleep(5) until party.parties.main:get("gate"):call("lets", party.id)
end

function Crowd:lets(room) return self[room] end

function Crowd:onStart()
  if party.id:find("^slow") then held("starting") end
end

function Crowd:onRequest(request)
  if request.subpath == "/hold" then held("holding") end
  if request.query.open then self[request.query.open] = true end
  return "done"
end

function Crowd:onMessage(message, connection)
  connection:send(message)
end

return Crowd
`;

describe("handlers that wait in a room", () => {
  const server = serverForSuite({ "parties/main.lua": CROWD, "festa.lua": config({ limits: { handlers: 2 } }) });

  it("are limited: more requests get 503, sockets are read later, other rooms do not notice", async () => {
    const room = server.room();
    const socket = await server.socket(`/party/${room}`);
    const holding = [server.request(`/party/${room}/hold`), server.request(`/party/${room}/hold`)];
    await server.waitForLog(() => server.lines.filter((line) => line.msg.includes(`holding ${room}`)).length === 2, "both");
    const refused = await server.request(`/party/${room}`);
    assert.equal(refused.status, 503);
    assert.equal(await server.text(`/party/${server.room()}`), "done");
    socket.text("patience");
    assert.equal(await server.text(`/party/gate?open=${room}`), "done");
    for (const response of await Promise.all(holding)) assert.equal(response.status, 200);
    assert.equal(await socket.message(), "patience");
    assert.equal(await server.text(`/party/${room}`), "done");
    socket.destroy();
  });
});

describe("events that wait in a room's inbox", () => {
  const server = serverForSuite({ "parties/main.lua": CROWD, "festa.lua": config({ limits: { events: 4 } }) });

  it("are limited: more requests get 503, those inside are answered", async () => {
    const room = server.room("slow");
    const first = server.request(`/party/${room}`);
    await server.waitForText(`starting ${room}`);
    let refused = 0;
    const changes = new Changes();
    const more = Array.from({ length: 20 }, async () => {
      const { status } = await server.request(`/party/${room}`);
      if (status === 503) refused++;
      changes.changed();
      return status;
    });
    await changes.until(() => refused >= 14 || undefined, "those that are too many");
    assert.equal(await server.text(`/party/gate?open=${room}`), "done");
    assert.equal((await first).status, 200);
    const statuses = await Promise.all(more);
    assert.deepEqual([...new Set(statuses)].sort(), [200, 503]);
    const inside = statuses.filter((status) => status === 200).length;
    assert.ok(inside >= 2 && inside <= 6, `${inside} of 20 were taken`);
    assert.equal(await server.text(`/party/${room}`), "done");
  });

  it("are limited: a socket that sends more is read later, and loses nothing", async () => {
    const room = server.room();
    const socket = await server.socket(`/party/${room}`);
    for (let n = 0; n < 1000; n++) socket.text(`message ${n}`);
    for (let n = 0; n < 1000; n++) assert.equal(await socket.message(), `message ${n}`);
    socket.destroy();
  });
});

const FLOOD = lua`
local Flood = {}

function Flood:onConnect(connection, context)
  connection.state = context.request.query.name
end

function Flood:onMessage(message, connection)
  local n = tonumber(message)
  if n then
    self.sent = (self.sent or 0) + 1
    party.broadcast(("%08d"):format(self.sent) .. ("x"):rep(n - 8))
  elseif message == "buffered" then
    local most = 0
    for c in party.getConnections() do most = math.max(most, c.bufferedAmount) end
    connection:send(tostring(most))
  end
end

function Flood:onClose(connection, code, reason, clean)
  print(("%s %s left with %d %s"):format(party.id, connection.state, code, tostring(clean)))
end

return Flood
`;

describe("a client that does not read", () => {
  const server = serverForSuite(
    { "parties/main.lua": FLOOD, "festa.lua": config({ limits: { message: 65536, queue: 262144 } }) },
    { measured: true },
  );

  it("is closed when too much waits for it, while the others get everything", async () => {
    const room = server.room();
    const path = `/party/${room}`;
    const reader = await server.socket(`${path}?name=reader`);
    const slow = await server.socket(`${path}?name=slow`);
    slow.connection.pause();
    const before = server.memory();
    let left;
    server.waitForText(`${room} slow left`, { ms: 120000 }).then(
      (line) => (left = line),
      () => {},
    );
    // what is sent is read by one and piles up for the other: first in the kernel, then in the queue
    let sent = 0;
    while (!left) {
      assert.ok(sent < 5000, "320 MB were sent and the slow client is still there");
      reader.text("65000");
      const message = await reader.message();
      assert.equal(message.length, 65000);
      assert.equal(Number(message.slice(0, 8)), ++sent);
    }
    assert.match(left.msg, / left with (1013|1006) /);
    reader.text("65000");
    assert.equal(Number((await reader.message()).slice(0, 8)), sent + 1, "the reader goes on");
    const grown = server.memory() - before;
    assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes more in memory`);

    // what the slow one got is whole frames, in order, then 1013 or a reset
    slow.connection.resume();
    let last = 0;
    for (;;) {
      const next = await slow.frameOrEnd("the slow client's end");
      if (!next) break;
      if (next.opcode === 0x8) {
        assert.equal(next.payload.readUInt16BE(0), 1013);
        continue;
      }
      const n = Number(next.payload.subarray(0, 8).toString());
      assert.equal(n, last + 1);
      assert.equal(next.payload.length, 65000);
      last = n;
    }
    assert.ok(last < sent);
    reader.destroy();
  });

  it("can be seen by the script: bufferedAmount", async () => {
    const path = `/party/${server.room()}`;
    const reader = await server.socket(`${path}?name=reader`);
    const slow = await server.socket(`${path}?name=slow`);
    slow.connection.pause();
    let most = 0;
    for (let n = 0; n < 5000 && most === 0; n++) {
      reader.text("32000");
      assert.equal((await reader.message()).length, 32000);
      reader.text("buffered");
      most = Number(await reader.message());
    }
    assert.ok(most > 0 && most < 1_000_000, `${most} bytes`);
    slow.destroy();
    reader.destroy();
  });
});

const MEMORY = lua`
local Memory = {}

local ways = {}
function ways.table() local t = {} while true do t[#t + 1] = { #t } end end
function ways.string() local s = "x" while true do s = s .. s end end
function ways.rep() return ("x"):rep(1 << 30) end
function ways.concat() local t = {} while true do t[#t + 1] = ("x"):rep(50000) table.concat(t) end end
function ways.closures() local f = function() end while true do local g = f f = function() return g() end end end
function ways.coroutines() local t = {} while true do t[#t + 1] = coroutine.create(function() end) end end
function ways.pcalled()
  local kept = {}
  for _ = 1, 3 do pcall(function() while true do kept[#kept + 1] = ("x"):rep(1000) .. #kept end end) end
  return "survived"
end
function ways.later() sleep(5) return ways.table() end
function ways.json() return Response.json({ ("x"):rep(1500000), ("y"):rep(1500000), ("z"):rep(1500000) }) end

function Memory:onRequest(request)
  local way = ways[request.subpath:sub(2)]
  if way then return way() end
  if request.method == "POST" then
    local value = request:json()
    return "parsed"
  end
  if request.subpath == "/keep" then
    self.kept = self.kept or {}
    while true do table.insert(self.kept, ("x"):rep(10000) .. #self.kept) end
  end
  return "fine"
end

function Memory:onMessage(message, connection)
  if message == "eat" then ways.table() end
  connection:send(message)
end

return Memory
`;

describe("a room that uses up its memory", () => {
  const server = serverForSuite(
    { "parties/main.lua": MEMORY, "festa.lua": config({ limits: { roomMemory: 4 * 1024 * 1024, handlerTime: 60000 } }) },
    { measured: true },
  );

  for (const way of ["table", "string", "rep", "concat", "closures", "coroutines", "later", "json"]) {
    it(`gets an error, and nobody else does: ${way}`, async () => {
      const other = server.room();
      assert.equal(await server.text(`/party/${other}`), "fine");
      const room = server.room(way);
      const from = server.lines.length;
      const before = server.memory();
      const response = await server.request(`/party/${room}/${way}`);
      assert.equal(response.status, 500);
      const line = await server.waitForLog((l) => l.level === "error" && l.room === room, "the error", { from });
      assert.match(JSON.stringify(line), /memory|too large|too long/i);
      assert.ok(server.memory() - before < 64 * 1024 * 1024);
      assert.equal(await server.text(`/party/${other}`), "fine");
      assert.equal(await server.text(`/party/${room}`), "fine", "the room itself goes on");
    });
  }

  it("may catch the error", async () => {
    const room = server.room();
    const response = await server.request(`/party/${room}/pcalled`);
    assert.ok([200, 500].includes(response.status));
    assert.equal(await server.text(`/party/${room}`), "fine");
  });

  it("is there again even when it keeps what it took", async () => {
    const room = server.room();
    assert.equal((await server.request(`/party/${room}/keep`)).status, 500);
    let fine = false;
    for (let n = 0; n < 20 && !fine; n++) {
      const response = await server.request(`/party/${room}`);
      assert.ok([200, 500].includes(response.status));
      fine = response.status === 200;
    }
    assert.ok(fine, "the room was never usable again");
    assert.equal(await server.text(`/party/${server.room()}`), "fine");
  });

  it("in onMessage leaves its sockets open or closes them, and the server serves", async () => {
    const socket = await server.socket(`/party/${server.room()}`);
    socket.text("hello");
    assert.equal(await socket.message(), "hello");
    socket.text("eat");
    socket.text("still there?");
    const next = await socket.frameOrEnd();
    if (next && next.opcode === 1) assert.equal(next.payload.toString(), "still there?");
    assert.equal(await server.text(`/party/${server.room()}`), "fine");
    socket.destroy();
  });

  it("cannot be forced by a request's JSON", async () => {
    for (const body of [`${"[".repeat(500000)}`, `${'{"a":'.repeat(200000)}`, `[${"[],".repeat(400000)}[]]`]) {
      const response = await server.request(`/party/${server.room()}`, { method: "POST", body });
      assert.ok([200, 400, 500].includes(response.status));
    }
    assert.equal(await server.text(`/party/${server.room()}`), "fine");
  });
});
