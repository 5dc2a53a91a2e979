// Bad days: no descriptors left, nobody reads the log, garbage, crowds, broken connections.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ECHO, MESSAGE_SERVER, MIRROR } from "./lib/parties.mjs";
import { config, lua } from "./lib/project.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { serverFor, serverForSuite } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";
import { frame, upgradeBytes } from "./lib/websocket.mjs";

const PATH = "/parties/main/R";
const limitFiles = (n) => (command) => ["bash", "-c", `ulimit -n ${n} && exec "$@"`, "bash", ...command];

// Numbers that are the same in every run.
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

// Connects as often as told, sends a request on each connection, and reads what comes.
async function crowd(server, n) {
  const connections = [];
  for (let i = 0; i < n; i++) {
    const connection = await server.connect();
    connection.send({ path: PATH });
    connections.push(connection);
  }
  const answers = await Promise.all(
    connections.map(async (connection) => {
      try {
        return await connection.response();
      } catch (error) {
        if (!connection.ended) throw error;
        return undefined; // closed without an answer
      }
    }),
  );
  return { connections, answers };
}

describe("more connections than there may be", () => {
  for (const [name, settings, options] of [
    ["of descriptors, which the process has few of", {}, { wrap: limitFiles(100) }],
    ["of the limit `connections`", { limits: { connections: 36 } }, {}],
  ]) {
    it(`${name}: 503 with Retry-After, and all is well when they have gone`, async (t) => {
      const server = await serverFor(t, { "parties/main.lua": MIRROR, "festa.lua": config(settings) }, options);
      const { connections, answers } = await crowd(server, 60);
      const statuses = answers.map((answer) => answer?.status);
      assert.deepEqual(
        [statuses.filter((status) => status === 200).length, statuses.filter((status) => status === 503).length],
        [36, 24],
        String(statuses),
      );
      for (const answer of answers.filter(({ status }) => status === 503)) {
        assert.match(answer.header("retry-after") ?? "", /^\d+$/);
        assert.ok(answer.closes);
      }
      // those inside are served all the while
      for (const [n, connection] of connections.entries()) {
        if (answers[n].status !== 200) continue;
        connection.send({ path: PATH });
        assert.equal((await connection.response()).status, 200);
      }
      for (const connection of connections) connection.destroy();
      await poll(async () => {
        const again = await crowd(server, 36);
        for (const connection of again.connections) connection.destroy();
        return again.answers.every((answer) => answer?.status === 200) ? true : undefined;
      }, "room for as many as before");
    });
  }

  it("sockets count too, and are refused in the same way", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": ECHO,
      "festa.lua": config({ limits: { connections: 5 } }),
    });
    const sockets = [];
    for (let n = 0; n < 5; n++) sockets.push(await server.socket(PATH));
    const { response, connection } = await server.upgrade(PATH);
    assert.equal(response.status, 503);
    connection.destroy();
    sockets[0].text("works");
    let said;
    do said = await sockets[0].message();
    while (said !== "works");
    sockets[1].drop();
    await poll(async () => {
      const again = await server.upgrade(PATH);
      again.connection.destroy();
      return again.socket ? true : undefined;
    }, "room for a new socket");
  });

  it("no descriptor at all: the server neither spins nor goes deaf", async (t) => {
    const server = await serverFor(
      t,
      { "parties/main.lua": MIRROR, "festa.lua": config({ limits: { connections: 10000 } }) },
      { wrap: limitFiles(80) },
    );
    const inside = await server.connect();
    inside.send({ path: PATH });
    assert.equal((await inside.response()).status, 200);
    const others = [];
    for (let n = 0; n < 150; n++) others.push(await server.connect()); // the kernel accepts them for it
    const before = server.cpu();
    inside.send({ path: `${PATH}?sleep=1000` });
    assert.equal((await inside.response()).status, 200);
    const used = server.cpu() - before;
    assert.ok(used < 500, `${used} ms of CPU in a second of doing nothing`);
    for (const other of others) other.destroy();
    await poll(async () => {
      try {
        return (await server.request(PATH)).status === 200 ? true : undefined;
      } catch {
        return undefined;
      }
    }, "an answer after the crowd has gone");
  });
});

describe("nobody reads the log", () => {
  const path = `/parties/main/${"long".repeat(60)}`;

  async function flood(server) {
    const connection = await server.connect();
    const request = requestBytes({ path, host: server.host });
    for (let round = 0; round < 40; round++) {
      connection.write(Buffer.concat(Array(100).fill(request)));
      for (let n = 0; n < 100; n++) assert.equal((await connection.response()).status, 200);
    }
    connection.destroy();
  }

  it("the server serves on, and what is read later is in good order", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MIRROR });
    server.log.pause();
    await flood(server); // more than a megabyte of lines
    server.log.resume();
    const from = server.lines.length;
    const room = server.room();
    await poll(async () => {
      await server.request(`/parties/main/${room}`);
      return server.lines.slice(from).some((line) => line.room === room) ? true : undefined;
    }, "new lines in the log");
  });

  it("the server can be stopped", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MIRROR });
    server.log.pause();
    await flood(server);
    server.signal("SIGTERM");
    await poll(() => {
      try {
        process.kill(server.pid, 0);
        return undefined;
      } catch {
        return true;
      }
    }, "the process's end");
    server.log.resume();
    await server.stop({ signal: null });
  });

  it("nor is there anybody at all", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": MIRROR });
    server.log.destroy(); // the pipe has no reader any more
    await flood(server);
    await server.stop();
  });
});

describe("crowds", () => {
  const server = serverForSuite({ "parties/main.lua": ECHO, "parties/messages.lua": MESSAGE_SERVER });

  it("500 sockets in 50 rooms, all heard", async () => {
    const rooms = Array.from({ length: 50 }, () => `/parties/messages/${server.room()}`);
    const sockets = await Promise.all(rooms.flatMap((path) => Array.from({ length: 10 }, () => server.socket(path))));
    await Promise.all(
      rooms.map((path, n) => server.request(path, { method: "POST", body: JSON.stringify({ message: `room ${n}` }) })),
    );
    for (const [n, socket] of sockets.entries()) assert.deepEqual(await socket.fence(), [`room ${Math.floor(n / 10)}`]);
    for (const socket of sockets) socket.destroy();
  });

  it("500 connections that do nothing do not disturb one that does", async () => {
    const idle = await Promise.all(Array.from({ length: 500 }, () => server.connect()));
    for (let n = 0; n < 100; n++) assert.equal((await server.request(PATH)).status, 200);
    for (const connection of idle) connection.destroy();
  });

  it("sockets that come and go all the time", async () => {
    const path = `/parties/main/${server.room()}`;
    for (let round = 0; round < 10; round++) {
      const sockets = await Promise.all(Array.from({ length: 30 }, () => server.socket(path)));
      for (const [n, socket] of sockets.entries()) {
        if (n % 3 === 0) socket.close(1000);
        else if (n % 3 === 1) socket.drop();
        else socket.connection.reset();
      }
    }
    await poll(async () => ((await server.text(path)) === "0" ? true : undefined), "an empty room");
  });

  it("2,000 rooms", async () => {
    const connection = await server.connect();
    const { host } = server;
    connection.write(Buffer.concat(Array.from({ length: 2000 }, (_, n) => requestBytes({ path: `/parties/messages/many-${n}`, host }))));
    for (let n = 0; n < 2000; n++) assert.equal((await connection.response()).text, "[]");
    connection.destroy();
  });
});

describe("garbage", () => {
  const server = serverForSuite({
    "parties/main.lua": ECHO,
    "festa.lua": config({ limits: { message: 1000, headerTimeout: 2000, closeTimeout: 500 } }),
  });

  // Random bytes, and good ones with random changes, to be survived.
  async function survive(make, rounds) {
    for (let seed = 1; seed <= rounds; seed++) {
      const connection = await server.connect();
      connection.write(make(random(seed)));
      connection.end();
      await connection.closed();
    }
    assert.equal((await server.request(PATH)).status, 200);
  }

  const bytes = (below, length) => Buffer.from(Array.from({ length }, () => below(256)));

  function spoil(good, below) {
    const bad = Buffer.from(good);
    for (let n = below(5) + 1; n > 0; n--) bad[below(bad.length)] = below(256);
    return below(3) ? bad : bad.subarray(0, below(bad.length));
  }

  it("in place of requests", () => survive((below) => bytes(below, below(2000) + 1), 150));

  it("in requests", () =>
    survive((below) => {
      const { host } = server;
      return spoil(
        Buffer.concat([
          requestBytes({ path: `${PATH}/a?b=c`, host, headers: { X: "y", Cookie: "a=b" } }),
          requestBytes({ method: "POST", path: PATH, host, body: "hello" }),
          requestBytes({
            method: "POST",
            path: PATH,
            host,
            headers: { "Transfer-Encoding": "chunked" },
            body: "5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n",
          }),
        ]),
        below,
      );
    }, 300));

  it("in frames", () =>
    survive((below) => {
      const head = upgradeBytes(server.host, `${PATH}?_pk=x`, { key: "dGhlIHNhbXBsZSBub25jZQ==" });
      const mask = bytes(below, 4);
      const frames = Buffer.concat([
        frame({ payload: "zwei ü", mask }),
        frame({ fin: false, payload: "a", mask }),
        frame({ opcode: 9, payload: "ping", mask }),
        frame({ opcode: 0, payload: "b".repeat(200), mask }),
        frame({ opcode: 2, payload: bytes(below, 300), mask }),
        frame({ opcode: 8, payload: Buffer.from([3, 232, 97]), mask }),
      ]);
      return Buffer.concat([head, below(4) ? spoil(frames, below) : bytes(below, 500)]);
    }, 300));
});

describe("many rooms that fail at once", () => {
  const server = serverForSuite({
    "parties/main.lua": lua`
local Bad = {}
function Bad:onRequest(request)
  if request.query.sleep then sleep(tonumber(request.query.sleep)) end
  error({ "not", "a", "string" })
end
function Bad:onConnect() sleep(1) error() end
function Bad:onStop() error("no") end
return Bad
`,
    "festa.lua": config({ limits: { idleRoom: 50, closeTimeout: 200 } }),
  });

  it("are answered, each and every one", async () => {
    const responses = await Promise.all(
      Array.from({ length: 100 }, (_, n) => server.request(`/party/${n % 30}?sleep=${n % 7}`)),
    );
    for (const response of responses) assert.equal(response.status, 500);
    const sockets = await Promise.all(Array.from({ length: 50 }, (_, n) => server.socket(`/party/${n % 30}`)));
    for (const socket of sockets) {
      assert.equal((await socket.closing()).code, 1011);
      socket.destroy();
    }
  });
});
