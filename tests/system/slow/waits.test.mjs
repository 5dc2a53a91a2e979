// What takes its time: the limits' own defaults, and clients that come back at their own pace.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { PartySocket } from "partysocket";
import WebSocket from "ws";

import { ECHO, MESSAGE_SERVER, MIRROR } from "../lib/parties.mjs";
import { config, lua } from "../lib/project.mjs";
import { freePort, serverFor } from "../lib/server.mjs";
import { Changes, poll } from "../lib/wait.mjs";

const LONG = 180_000;

describe("the defaults", { concurrency: true }, () => {
  it("a head has 10 s", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MIRROR });
    const connection = await server.connect();
    connection.write("GET / HTTP/1.1\r\n");
    assert.equal((await connection.response({ ms: LONG })).status, 408);
    await connection.closesSilently();
  });

  it("a body has 60 s", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MIRROR });
    const connection = await server.connect();
    connection.send({ method: "POST", path: "/party/r", headers: { "Content-Length": "5" } });
    assert.equal((await connection.response({ ms: LONG })).status, 408);
    await connection.closesSilently();
  });

  it("an idle connection has 75 s", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MIRROR });
    const connection = await server.connect();
    connection.send({ path: "/party/r" });
    assert.equal((await connection.response()).status, 200);
    await connection.closesSilently(LONG);
  });

  it("a WebSocket is pinged after 30 s", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": ECHO });
    const socket = await server.socket("/party/r");
    const ping = await socket.frame("a ping", LONG);
    assert.equal(ping.opcode, 9);
    socket.pong(ping.payload);
    socket.text("alive");
    assert.equal(await socket.message(), "alive");
  });

  it("a close that is not answered has its end", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": "return { onMessage = function(self, message, connection) connection:close(4000) end }",
    });
    const socket = await server.socket("/party/r");
    socket.text("close me");
    assert.equal((await socket.closing()).code, 4000);
    await socket.gone(LONG);
  });
});

describe("a client that never reads again", () => {
  it("loses its place, though nothing can be told it", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": lua`
local Flood = {}
function Flood:onMessage(message, connection)
  party.broadcast(("x"):rep(tonumber(message)))
end
return Flood
`,
      "festa.lua": config({ limits: { message: 65536, queue: 262144, connections: 2 } }),
    });
    const slow = await server.socket("/party/r");
    slow.connection.pause();
    const reader = await server.socket("/party/r");
    const refused = await server.upgrade("/party/r");
    assert.equal(refused.response.status, 503);
    refused.connection.destroy();
    await poll(
      async () => {
        for (let n = 0; n < 20; n++) {
          reader.text("65000");
          assert.equal((await reader.message()).length, 65000);
        }
        const { socket, connection } = await server.upgrade("/party/other");
        connection.destroy();
        return socket ? true : undefined;
      },
      "the slow client's place",
      { ms: LONG, pause: 100 },
    );
    reader.destroy();
    slow.destroy();
  });
});

describe("partysocket, at its own pace", () => {
  it("comes back after a restart", async (t) => {
    const files = { "parties/main.lua": MESSAGE_SERVER };
    const first = await serverFor(t, files, { port: await freePort() });
    const changes = new Changes();
    let opened = 0;
    const messages = [];
    const socket = new PartySocket({ host: first.host, room: "r", id: "me", WebSocket });
    t.after(() => socket.close());
    socket.addEventListener("open", () => {
      opened++;
      changes.changed();
    });
    socket.addEventListener("message", ({ data }) => {
      messages.push(data);
      changes.changed();
    });
    await changes.until(() => (opened === 1 ? true : undefined), "open");
    await first.stop();
    const second = await serverFor(t, files, { port: first.port });
    await changes.until(() => (opened === 2 ? true : undefined), "open again", { ms: LONG });
    await second.request("/party/r", { method: "POST", body: '{"message":"back"}' });
    await changes.until(() => (messages.includes("back") ? true : undefined), "a message");
  });
});
