// Floods from outside: many sockets, and few that ask for much. Beside each a client of another room that is
// to be answered meanwhile; the table at the end has the figures.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, it } from "node:test";

import { closeCrowd, openCrowd } from "../lib/crowd.mjs";
import { ECHO_PARTY, EchoProbe } from "../lib/echo.mjs";
import { config, lua } from "../lib/project.mjs";
import { SANITIZED, serverFor } from "../lib/server.mjs";
import { poll, within } from "../lib/wait.mjs";
import { BINARY, CONTINUATION, PING, TEXT, deflate, frame } from "../lib/websocket.mjs";

const MiB = 1024 * 1024;
const PATIENCE = 10_000; // ms without an answer: a failure, even on a busy machine
const LONG = 120_000;

// Node has raised its own limit to the hard one; the server does the same.
const DESCRIPTORS = Number(/Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))[1]);
const MANY = Math.min(10_000, DESCRIPTORS - 500);

const ROOM = lua`
local Room = {}

-- "7 65536": a broadcast with the number 7 and so many bytes
function Room:onMessage(message)
  local number, size = message:match("(%d+) (%d+)")
  party.broadcast(("%08d"):format(number) .. ("x"):rep(tonumber(size)))
end

function Room:onRequest()
  return Response(tostring(party.connectionCount()))
end

return Room
`;

// Says when all sixty have come.
const BOMBED = lua`
local Bombed = {}

function Bombed:onMessage(message, connection)
  self.count = (self.count or 0) + 1
  if self.count == 60 then connection:send("60") end
end

return Bombed
`;

const table = [];

// A server with a probe in a room of its own; measures what happens in during(server), which returns
// figures to be shown. most: MiB that it may need.
async function flood(t, name, most, settings, during, more = {}) {
  const files = { "parties/main.lua": ROOM, "parties/echo.lua": ECHO_PARTY, "festa.lua": config(settings), ...more };
  const server = await serverFor(t, files, { args: ["--threads", "1"], measured: true });
  const probe = await EchoProbe.open(server, "/parties/echo/good", PATIENCE);
  t.after(() => probe.close());
  const before = server.memory();
  let largest = before;
  const watch = setInterval(() => (largest = Math.max(largest, server.memory())), 20);
  const row = { name, most };
  table.push(row);
  probe.begin();
  const from = performance.now();
  try {
    row.figures = await during(server);
  } finally {
    clearInterval(watch);
    row.seconds = (performance.now() - from) / 1000;
    row.echo = await probe.end();
    row.grown = Math.max(largest, server.exit ? 0 : server.memory()) - before;
  }
  assert.equal(probe.over, undefined, "the other room is answered");
  if (!SANITIZED) assert.ok(row.grown <= most * MiB, `memory grew by ${(row.grown / MiB).toFixed(1)} MiB, more than ${most}`);
}

// Until so many of the room are connected.
const counted = (server, room, n) =>
  poll(async () => ((await server.text(`/party/${room}`)) === String(n) ? true : undefined), `${n} connections`, { ms: LONG });

describe("floods", () => {
  it(`${MANY} sockets at once`, { timeout: LONG * 2 }, async (t) => {
    await flood(t, `${MANY} sockets`, 200, {}, async (server) => {
      const empty = server.memory();
      const rooms = 100;
      const path = (i) => `/party/room-${i % rooms}`;
      const members = await openCrowd(server, MANY, path, { atOnce: MANY, sources: 20 });
      const each = (server.memory() - empty) / MANY;
      const heard = () => members.filter((member) => member.received > 100).length;
      const connections = await Promise.all(
        Array.from({ length: rooms }, async (_, i) => Number(await server.text(path(i)))),
      );
      assert.equal(connections.reduce((sum, n) => sum + n), MANY);
      for (let i = 0; i < rooms; i++) members[i].text("1 100");
      await poll(() => (heard() === MANY ? true : undefined), `a message to each (${heard()} had one)`, { ms: LONG });
      closeCrowd(members);
      await counted(server, "room-0", 0);
      return `${(each / 1024).toFixed(1)} KiB each`;
    });
  });

  it("500 clients that never read", { timeout: LONG * 2 }, async (t) => {
    await flood(t, "slow readers", 128, {}, async (server) => {
      const room = "/party/slow";
      const reader = await server.socket(room);
      const slow = await openCrowd(server, 500, () => room, { deaf: true });
      await counted(server, "slow", 501);
      for (let i = 1; i <= 1000; i++) {
        reader.text(`${i} 65536`);
        const message = await reader.message("a broadcast", LONG);
        assert.equal(message.length, 65544);
        assert.equal(Number(message.slice(0, 8)), i);
      }
      const left = await server.text(room);
      closeCrowd(slow);
      await counted(server, "slow", 1);
      return `${501 - Number(left)} of 500 closed`;
    });
  });

  it("pings without an end", { timeout: LONG }, async (t) => {
    await flood(t, "pings", 64, {}, async (server) => {
      const pings = Buffer.concat(Array.from({ length: 500 }, () => frame({ opcode: PING, payload: "p".repeat(125) })));
      const members = await openCrowd(server, 40, () => "/party/pings");
      const deaf = await openCrowd(server, 10, () => "/party/pings", { deaf: true });
      const pong = 127 * 500;
      // each of those that read sends the next 500 when the pongs of the last are there; the others just send
      let rounds = 0;
      await Promise.all([
        ...members.map(async (member) => {
          for (let i = 0; i < 40; i++) {
            const until = member.received + pong;
            member.socket.write(pings);
            await member.changes.until(() => (member.received >= until || member.gone ? true : undefined), "pongs", { ms: LONG });
            if (member.gone) return; // it was fast enough for 1008
            rounds++;
          }
        }),
        ...deaf.map(async (member) => {
          for (let i = 0; i < 1000 && !member.gone; i++) {
            member.socket.write(pings);
            await poll(() => (member.gone || member.socket.writableLength === 0 ? true : undefined), "the server reading on", { ms: LONG });
          }
          // closed with 1008, or its newest ping waits to be answered: both cost next to nothing
        }),
      ]);
      closeCrowd([...members, ...deaf]);
      assert.ok(rounds > 0, "pings are answered");
      return `${rounds * 500} answered`;
    });
  });

  it("frames that announce up to 2^64 bytes", { timeout: LONG }, async (t) => {
    await flood(t, "announced lengths", 16, {}, async (server) => {
      const lengths = [2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 32n, 1024n * 1024n + 1n];
      const some = Array.from({ length: 500 }, async (_, i) => {
        const socket = await server.socket("/party/announced");
        const announced = lengths[i % lengths.length];
        socket.send({ opcode: i % 2 ? TEXT : BINARY, payload: "x".repeat(100), announced, form: 64 });
        return (await socket.fails(1009, 1002)).code;
      });
      const codes = await Promise.all(some);
      const of = (code) => codes.filter((c) => c === code).length;
      await counted(server, "announced", 0);
      return `${of(1009)} closed with 1009, ${of(1002)} with 1002`;
    });
  });

  it("small bombs in many rooms", { timeout: LONG }, async (t) => {
    // 30 rooms of 60 messages: a few KB each on the way, almost as much as a message may have when inflated
    const rooms = SANITIZED ? 5 : 30;
    const bomb = deflate(Buffer.alloc(1_000_000));
    const bombs = Buffer.concat(Array.from({ length: 60 }, () => frame({ opcode: BINARY, rsv: 4, payload: bomb })));
    const files = { "parties/bombed.lua": BOMBED };
    await flood(t, "small bombs", 160, { deflate: true }, async (server) => {
      const sockets = [];
      for (let i = 0; i < rooms; i++)
        sockets.push(await server.socket(`/parties/bombed/${i}`, { headers: { "Sec-WebSocket-Extensions": "permessage-deflate" } }));
      for (const socket of sockets) socket.write(bombs);
      const heard = await Promise.all(sockets.map(async (socket) => (await socket.message("the sixtieth", LONG)).toString()));
      assert.deepEqual(new Set(heard), new Set(["60"]));
      return `${rooms * 60} MB inflated`;
    }, files);
  });

  it("messages that never end", { timeout: LONG }, async (t) => {
    // each holds as much as a message may have; none is ever complete
    const message = 65536;
    await flood(t, "endless messages", (200 * message) / MiB + 16, { limits: { message } }, async (server) => {
      const members = await openCrowd(server, 200, () => "/party/endless");
      const empty = Buffer.concat(Array.from({ length: 900 }, () => frame({ fin: false, opcode: CONTINUATION })));
      for (const { socket } of members) {
        socket.write(frame({ fin: false, payload: "x".repeat(message - 1) }));
        socket.write(empty);
        socket.write(frame({ fin: false, opcode: CONTINUATION, payload: "x" }));
      }
      await counted(server, "endless", 200);
      for (const { socket } of members) socket.write(frame({ fin: false, opcode: CONTINUATION, payload: "x" }));
      await counted(server, "endless", 0);
      closeCrowd(members);
      return "200 closed";
    });
  });

  it("heads and bodies that come byte by byte", { timeout: LONG }, async (t) => {
    const limits = { headerTimeout: 5000, bodyTimeout: 5000, idleTimeout: 5000 };
    const n = Math.min(2000, DESCRIPTORS - 500);
    await flood(t, "slow heads and bodies", 64, { limits }, async (server) => {
      const starts = [
        "GET /party/slow HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "POST /party/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
        "POST /party/slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff;",
        "",
      ];
      const clients = await Promise.all(
        Array.from({ length: n }, async (_, i) => {
          const client = await server.connect();
          client.write(starts[i % starts.length]); // while its time lasts, which it may not until all are connected
          return client;
        }),
      );
      const drip = setInterval(() => {
        clients.forEach((client, i) => {
          if (!client.ended && i % starts.length < 3) client.write("x");
        });
      }, 200);
      const from = performance.now();
      try {
        await Promise.all(clients.map((client) => client.closed(LONG)));
      } finally {
        clearInterval(drip);
      }
      const timedOut = clients.filter((client) => client.buffer.toString("latin1").startsWith("HTTP/1.1 408")).length;
      assert.ok(timedOut >= (n * 3) / 4 - 1, `${timedOut} of ${n} got 408`);
      return `all closed after ${((performance.now() - from) / 1000).toFixed(1)} s, ${timedOut} with 408`;
    });
  });

  it("connections that come and go", { timeout: LONG }, async (t) => {
    await flood(t, "come and go", 32, {}, async (server) => {
      const half = ["", "GET / HT", "GET /party/r HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\0".repeat(2000)];
      for (let round = 0; round < 20; round++) {
        const some = Array.from({ length: 250 }, async (_, i) => {
          const client = await server.connect();
          client.write(half[i % half.length]);
          await within(client.flushed(), "the write");
          if (i % 2) client.reset();
          else client.destroy();
        });
        await Promise.all(some.map((one) => one.catch(() => {})));
      }
      assert.equal(await server.text("/party/afterwards"), "0");
      return "5000 connections";
    });
  });

  after(() => {
    const rows = table.map(({ name, seconds, echo, grown, most, figures }) =>
      [
        name.padEnd(24),
        seconds.toFixed(1).padStart(6),
        echo.p50.toFixed(1).padStart(8),
        echo.p99.toFixed(0).padStart(8),
        echo.work.toFixed(0).padStart(8),
        echo.max.toFixed(0).padStart(8),
        (grown / MiB).toFixed(1).padStart(8),
        String(Math.round(most)).padStart(6),
        `  ${figures ?? "failed"}`,
      ].join(""),
    );
    console.log(
      [`${"flood".padEnd(24)}     s     p50     p99    work     max   grown  most  (echo of another room in ms, memory in MiB)`, ...rows].join("\n"),
    );
  });
});
