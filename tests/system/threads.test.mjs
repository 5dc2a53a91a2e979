// Rooms on several loop threads: whatever thread a connection is accepted on, it reaches its room, and nothing is
// lost or put in another order on the way.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { MESSAGE_SERVER, MIRROR } from "./lib/parties.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { serverForSuite, startServer } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";
import { frame } from "./lib/websocket.mjs";

const THREADS = ["--threads", "4"];
const ROOMS = Array.from({ length: 32 }, (_, n) => `room-${n}`);

// Keeps what it is told in the order in which it was told, by HTTP and by WebSocket.
const LIST = lua`
local List = {}

function List:onStart()
  self.list = {}
end

function List:onMessage(message, connection)
  table.insert(self.list, message)
  connection:send(message)
end

function List:onRequest(request)
  if request.method == "POST" then
    table.insert(self.list, request.body)
  end
  if request.query.sleep then sleep(tonumber(request.query.sleep)) end
  return Response(table.concat(self.list, ","), { headers = { ["X-Room"] = party.id } })
end

return List
`;

describe("rooms of several threads", () => {
  const server = serverForSuite(
    { "parties/main.lua": MESSAGE_SERVER, "parties/list.lua": LIST, "parties/mirror.lua": MIRROR },
    { args: THREADS },
  );

  it("are each one room, whoever asks", async () => {
    for (const room of ROOMS) {
      for (let n = 0; n < 4; n++)
        await server.request(`/parties/list/${room}`, { method: "POST", body: `${n}` });
    }
    for (const room of ROOMS) {
      const response = await server.request(`/parties/list/${room}`);
      assert.equal(response.text, "0,1,2,3");
      assert.equal(response.header("x-room"), room);
    }
  });

  it("hear requests of one connection in order, room after room", async () => {
    const connection = await server.connect();
    for (let n = 0; n < 3; n++) {
      for (const room of ROOMS) {
        connection.send({ method: "POST", path: `/parties/list/one-${room}`, body: `${n}` });
        assert.equal((await connection.response()).status, 200);
      }
    }
    for (const room of ROOMS) {
      connection.send({ path: `/parties/list/one-${room}` });
      assert.equal((await connection.response()).text, "0,1,2");
    }
    connection.destroy();
  });

  it("answer a pipeline in order, wherever its rooms are", async () => {
    const connection = await server.connect();
    const wanted = [];
    const bytes = [];
    for (let n = 0; n < 200; n++) {
      const room = ROOMS[(n * 7) % ROOMS.length];
      bytes.push(requestBytes({ host: server.host, method: "POST", path: `/parties/list/pipe-${room}`, body: `${n}` }));
      wanted.push(`pipe-${room}`);
    }
    connection.write(Buffer.concat(bytes));
    for (const room of wanted) assert.equal((await connection.response()).header("x-room"), room);
    connection.destroy();
  });

  it("answer a pipeline of one room in order, while the connection moves to it", async () => {
    await Promise.all(ROOMS.map(async (room) => {
      const connection = await server.connect();
      const bytes = Array.from({ length: 60 }, (_, n) =>
        requestBytes({ host: server.host, method: "POST", path: `/parties/list/same-${room}`, body: `${n}` }));
      connection.write(Buffer.concat(bytes));
      const list = [];
      for (let n = 0; n < 60; n++) {
        list.push(n);
        assert.equal((await connection.response()).text, list.join(","));
      }
      connection.destroy();
    }));
  });

  it("give a client that reads late all that it asked for, and in order", async () => {
    await Promise.all(ROOMS.slice(0, 8).map(async (room) => {
      const connection = await server.connect();
      connection.pause();
      const path = `/parties/mirror/${room}?size=400000`;
      connection.write(Buffer.concat(Array.from({ length: 20 }, () => requestBytes({ host: server.host, path }))));
      await connection.flushed();
      connection.resume();
      for (let n = 0; n < 20; n++) assert.equal((await connection.response()).body.length, 400000);
      connection.destroy();
    }));
  });

  it("let sockets in, with frames in the packet of the handshake", async () => {
    await Promise.all(ROOMS.map(async (room) => {
      const socket = await server.socket(`/parties/list/ws-${room}`, { more: frame({ payload: "first" }) });
      assert.equal(await socket.message(), "first");
      socket.text("second");
      assert.equal(await socket.message(), "second");
      assert.equal(await server.text(`/parties/list/ws-${room}`), "first,second");
      socket.destroy();
    }));
  });

  it("send what is broadcast to all sockets of the room, and to no others", async () => {
    const sockets = new Map();
    for (const room of ROOMS.slice(0, 8)) {
      const mine = [];
      for (let n = 0; n < 4; n++) mine.push(await server.socket(`/parties/main/cast-${room}`));
      sockets.set(room, mine);
    }
    for (const room of sockets.keys()) {
      const body = JSON.stringify({ message: `for ${room}` });
      assert.equal((await server.request(`/parties/main/cast-${room}`, { method: "POST", body })).text, "OK");
    }
    for (const [room, mine] of sockets) {
      for (const socket of mine) {
        assert.equal(await socket.message(), `for ${room}`);
        socket.destroy();
      }
    }
  });

  it("do not miss a client that leaves before its answer", async () => {
    for (const room of ROOMS) {
      const connection = await server.connect();
      connection.send({ method: "POST", path: `/parties/list/left-${room}?sleep=20`, body: "was here" });
      await connection.flushed();
      connection.destroy();
    }
    for (const room of ROOMS) {
      const path = `/parties/list/left-${room}`;
      await poll(async () => (await server.text(path)) === "was here" || undefined, "what the client had sent");
    }
  });

  // Its fifth request in a row for another thread's rooms takes a connection there.
  async function connectionWith(room, n) {
    const connection = await server.connect();
    const path = `/parties/list/${room}`;
    for (let i = 0; i < n; i++) {
      connection.send({ path });
      assert.equal((await connection.response()).status, 200);
    }
    connection.send({ method: "POST", path: `${path}?sleep=300`, body: "asked" });
    await poll(async () => (await server.text(path)) === "asked" || undefined, "the request that waits");
    return connection;
  }

  it("answer a client that has half-closed while the connection's first request there waits", async () => {
    await Promise.all(ROOMS.map(async (room) => {
      const connection = await connectionWith(`half-${room}`, 4);
      connection.end();
      assert.equal((await connection.response()).text, "asked");
      await connection.closed();
    }));
  });

  it("outlive a client that resets its connection while that is about to move", async () => {
    await Promise.all(ROOMS.map(async (room) => {
      const connection = await connectionWith(`reset-${room}`, 3);
      for (let n = 0; n < 2; n++) connection.send({ path: `/parties/list/reset-${room}` });
      await connection.flushed();
      connection.reset();
    }));
    await new Promise((done) => setTimeout(done, 400)); // the answer meets the reset: nobody can tell when
    for (const room of ROOMS) assert.equal(await server.text(`/parties/list/reset-${room}`), "asked");
  });

  it("refuse an upgrade that is wrong, on whatever thread", async () => {
    for (const room of ROOMS) {
      const { response } = await server.upgrade(`/parties/list/${room}`, { headers: { "Sec-WebSocket-Version": "8" } });
      assert.equal(response.status, 426);
    }
  });
});

describe("a client that resets its connection right behind its request", () => {
  const server = serverForSuite(
    {
      "parties/who.lua": lua`
local Who = {}

function Who:onRequest(request)
  if request.method == "POST" then self.who = "<" .. request.remoteAddress .. ">" end
  return self.who or "nobody"
end

return Who
`,
    },
    { args: ["--threads", "2"] },
  );

  it("has an address all the same", async () => {
    const rooms = ROOMS.map((room) => `/parties/who/${room}`);
    const connections = await Promise.all(rooms.map(() => server.connect()));
    for (const room of rooms) assert.equal(await server.text(room), "nobody"); // all are accepted by now
    server.signal("SIGSTOP");
    for (const [n, connection] of connections.entries()) {
      connection.send({ method: "POST", path: rooms[n], body: "x" });
      await connection.flushed();
      connection.reset();
    }
    server.signal("SIGCONT");
    for (const room of rooms) {
      await poll(async () => (await server.text(room)) !== "nobody" || undefined, "the request");
      assert.equal(await server.text(room), "<127.0.0.1>");
    }
  });
});

describe("the limit of connections", () => {
  const server = serverForSuite(
    { "parties/main.lua": LIST, "festa.lua": config({ limits: { connections: 8 } }) },
    { args: THREADS },
  );

  it("is the process's, not a thread's", async () => {
    const sockets = [];
    for (let n = 0; n < 8; n++) sockets.push(await server.socket(`/party/r${n}`));
    for (let n = 0; n < 4; n++) {
      const connection = await server.connect();
      connection.send({ path: "/party/r" });
      assert.equal((await connection.response()).status, 503);
      connection.destroy();
    }
    for (const socket of sockets) socket.destroy();
  });
});

describe("stopping with several threads", () => {
  it("closes all sockets with 1001, answers what waits, and ends with 0", async () => {
    const server = await startServer({ "parties/main.lua": LIST }, { args: THREADS });
    const sockets = [];
    for (const room of ROOMS) sockets.push(await server.socket(`/party/${room}`));
    const waiting = await Promise.all(ROOMS.map(async (room) => {
      const connection = await server.connect();
      connection.send({ method: "POST", path: `/party/${room}?sleep=300`, body: "x" });
      return connection;
    }));
    for (const room of ROOMS) await poll(async () => (await server.text(`/party/${room}`)) === "x" || undefined, "a request that waits");
    server.signal("SIGTERM");
    for (const connection of waiting) {
      assert.equal((await connection.response()).text, "x");
      connection.destroy();
    }
    for (const socket of sockets) {
      assert.equal((await socket.closing()).code, 1001);
      socket.destroy();
    }
    await server.stop({ signal: null });
  });

  it("works with more threads than cores, and with one", async () => {
    for (const n of ["1", "16"]) {
      const server = await startServer({ "parties/main.lua": LIST }, { args: ["--threads", n] });
      for (const room of ROOMS) assert.equal(await server.text(`/party/${room}`), "");
      await server.stop();
    }
  });
});
