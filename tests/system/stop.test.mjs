// SIGTERM and SIGINT: nothing new, everything begun is finished, sockets are told, exit code 0.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { freePort, serverFor } from "./lib/server.mjs";

const PARTY = lua`
local Party = {}

function Party:onRequest(request)
  self.count = (self.count or 0) + 1
  local ms = tonumber(request.query.sleep)
  if ms then
    print("waiting " .. party.id)
    sleep(ms)
    party.broadcast("waited")
  end
  return "done"
end

function Party:onMessage(message, connection)
  if message:find("^sleep") then
    print("message " .. party.id)
    sleep(tonumber(message:match("%d+")))
  end
  connection:send("back " .. message)
end

function Party:onClose(connection, code, reason, clean)
  print(("%s closed %d %s"):format(party.id, code, tostring(clean)))
end

function Party:onStop()
  if party.id:find("^slow") then sleep(100) end
  if party.id:find("^bad") then error("on purpose") end
  print(("%s stopped at %d with %d"):format(party.id, self.count or 0, party.connectionCount()))
end

return Party
`;

const FILES = { "parties/main.lua": PARTY };
const withLimits = (limits) => ({ ...FILES, "festa.lua": config({ limits }) });

describe("SIGTERM", () => {
  it("with nothing to do ends at once", async (t) => {
    const server = await serverFor(t, FILES);
    await server.stop();
  });

  it("closes sockets with 1001", async (t) => {
    const server = await serverFor(t, FILES);
    const sockets = await Promise.all(Array.from({ length: 20 }, (_, n) => server.socket(`/party/r${n % 3}`)));
    server.signal("SIGTERM");
    for (const socket of sockets) {
      assert.equal((await socket.closing()).code, 1001);
      socket.close(1001);
      await socket.gone();
    }
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("lets handlers finish whose clients are connected to another thread", async (t) => {
    const server = await serverFor(t, withLimits({ closeTimeout: 1 }), { args: ["--threads", "2"] });
    const clients = await Promise.all(Array.from({ length: 8 }, () => server.connect()));
    for (const [n, client] of clients.entries()) {
      client.send({ path: "/party/one?sleep=3000" });
      await server.waitForLog(() => server.lines.filter((line) => line.msg === "waiting one").length > n, "a handler to wait");
    }
    server.signal("SIGTERM");
    for (const client of clients) assert.equal((await client.response()).text, "done");
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("does not wait for ever for clients that do not answer the close", async (t) => {
    const server = await serverFor(t, withLimits({ closeTimeout: 300 }));
    const socket = await server.socket("/party/r");
    server.signal("SIGTERM");
    assert.equal((await socket.closing()).code, 1001);
    await socket.gone();
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("does not wait for clients that do not even read", async (t) => {
    const server = await serverFor(t, withLimits({ closeTimeout: 300, message: 65536, queue: 1 << 20 }));
    const socket = await server.socket("/party/r");
    socket.connection.pause();
    const request = await server.connect();
    request.send({ path: "/party/r" });
    await request.response();
    server.signal("SIGTERM");
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("runs onStop in each room, after its last handler", async (t) => {
    const server = await serverFor(t, FILES);
    const rooms = ["a", "b", "slow", "bad", "d"];
    for (const room of rooms) await server.text(`/party/${room}`);
    const socket = await server.socket("/party/d");
    server.signal("SIGTERM");
    for (const room of rooms.filter((name) => name !== "bad")) await server.waitForText(`${room} stopped at 1`);
    await server.waitForLog((line) => line.level === "error" && line.room === "bad", "the error of onStop");
    assert.equal((await socket.closing()).code, 1001);
    socket.close(1001);
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("lets handlers finish, and their answers go out", async (t) => {
    const server = await serverFor(t, FILES);
    const connection = await server.connect();
    const socket = await server.socket("/party/s");
    connection.send({ path: "/party/r?sleep=2000" });
    socket.text("sleep 2000");
    await server.waitForText("waiting r");
    await server.waitForText("message s");
    server.signal("SIGTERM");
    const response = await connection.response();
    assert.deepEqual([response.status, response.text], [200, "done"]);
    assert.ok(response.closes);
    await connection.closesSilently();
    await server.waitForText("r stopped at 1");
    let next = await socket.frame();
    if (next.opcode === 1) {
      assert.equal(next.payload.toString(), "back sleep 2000");
      next = await socket.frame();
    }
    assert.equal(next.opcode, 8);
    assert.equal(next.payload.readUInt16BE(0), 1001);
    socket.close(1001);
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("takes no new connections meanwhile", async (t) => {
    const server = await serverFor(t, FILES);
    const connection = await server.connect();
    connection.send({ path: "/party/r?sleep=1500" });
    await server.waitForText("waiting r");
    server.signal("SIGTERM");
    await server.refuses();
    assert.equal((await connection.response()).status, 200);
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("ends idle connections, and those that have sent half a request", async (t) => {
    const server = await serverFor(t, withLimits({ closeTimeout: 100 }));
    const [fresh, used, half] = [await server.connect(), await server.connect(), await server.connect()];
    used.send({ path: "/party/r" });
    await used.response();
    half.write("GET /party/r HTTP/1.1\r\n");
    await half.flushed();
    server.signal("SIGTERM");
    await used.closesSilently();
    await fresh.closed();
    await half.closed();
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("gives up on handlers that do not finish", async (t) => {
    const server = await serverFor(t, withLimits({ stopTimeout: 300 }));
    const connection = await server.connect();
    connection.send({ path: "/party/r?sleep=3600000" });
    await server.waitForText("waiting r");
    server.signal("SIGTERM");
    const exit = await server.ended();
    assert.ok(exit.signal === null && [0, 1].includes(exit.code), JSON.stringify(exit));
    await server.stop({ signal: null, code: exit.code });
  });

  it("a second one ends it at once, with exit code 1", async (t) => {
    const server = await serverFor(t, withLimits({ stopTimeout: 3600000 }));
    const connection = await server.connect();
    connection.send({ path: "/party/r?sleep=3600000" });
    await server.waitForText("waiting r");
    server.signal("SIGTERM");
    await server.refuses(); // the first has been heard
    server.signal("SIGTERM");
    await server.stop({ signal: null, code: 1 });
  });
});

describe("SIGINT", () => {
  it("is the same", async (t) => {
    const server = await serverFor(t, FILES);
    const socket = await server.socket("/party/r");
    server.signal("SIGINT");
    assert.equal((await socket.closing()).code, 1001);
    socket.close(1001);
    await server.waitForText("r stopped at 0");
    await server.stop({ signal: null });
  });
});

describe("a restart", () => {
  it("on the same port works at once, though connections were open", async (t) => {
    const first = await serverFor(t, FILES, { port: await freePort() });
    const socket = await first.socket("/party/r");
    const connection = await first.connect();
    connection.send({ path: "/party/r" });
    await connection.response();
    first.signal("SIGTERM");
    assert.equal((await socket.closing()).code, 1001);
    socket.close(1001);
    await first.stop({ signal: null });
    const second = await serverFor(t, FILES, { port: first.port });
    assert.equal(second.port, first.port);
    assert.equal(await second.text("/party/r"), "done");
  });
});
