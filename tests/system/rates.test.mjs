// What one WebSocket may send in a second, what pings may cost, and how many connections a room may have.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import WebSocket from "ws";

import { config, lua } from "./lib/project.mjs";
import { serverForSuite } from "./lib/server.mjs";
import { within } from "./lib/wait.mjs";
import { CONTINUATION, PING, PONG, TEXT, frame } from "./lib/websocket.mjs";

const ROOM = lua`
local Room = {}

function Room:onConnect(connection)
  print("connect " .. party.id .. " " .. connection.id)
end

function Room:onMessage(message, connection)
  if message == "wait" then
    connection:send("waiting")
    sleep(1500)
  end
  connection:send(#message < 100 and message or #message)
end

function Room:onError(connection, err)
  print("error " .. connection.id .. " " .. err)
end

function Room:onClose(connection, code, reason, clean)
  print(string.format("close %s %d %s %s", connection.id, code, reason, clean))
end

function Room:onRequest(request)
  return Response.json({ count = party.connectionCount() })
end

return Room
`;

async function open(server, path) {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}${path}`);
  await within(once(socket, "open"), `${path} to open`);
  return socket;
}

const closed = async (socket) => {
  const [code, reason] = await within(once(socket, "close"), "a close");
  return { code, reason: reason.toString() };
};

const echo = async (socket, message) => {
  socket.send(message);
  const [data] = await within(once(socket, "message"), `the echo of ${message}`);
  assert.equal(data.toString(), message);
};

describe("messagesPerSecond", () => {
  const server = serverForSuite({
    "parties/main.lua": ROOM,
    "festa.lua": config({ limits: { messagesPerSecond: 20, handlers: 1 } }),
  });

  it("closes with 1008 whoever sends more, and nobody else", async () => {
    const room = server.room();
    const loud = await open(server, `/party/${room}?_pk=loud`);
    const quiet = await open(server, `/party/${room}?_pk=quiet`);
    let echoes = 0;
    loud.on("message", () => echoes++);
    const end = closed(loud);
    for (let i = 0; i < 500; i++) loud.send("x");
    const { code, reason } = await end;
    assert.equal(code, 1008);
    assert.equal(reason, "Too many messages: 21 > 20 (messagesPerSecond)");
    assert.ok(echoes >= 20 && echoes < 100, `${echoes} messages passed`);
    await server.waitForText(`error loud ${reason}`);
    await server.waitForText(`close loud 1008 ${reason} false`);
    await echo(quiet, "still here");
    quiet.close();
  });

  it("forgives what waited because the room could take nothing", async () => {
    const socket = await open(server, `/party/${server.room()}`);
    socket.send("wait");
    await within(once(socket, "message"), "the handler to wait");
    const echoes = [];
    socket.on("message", (data) => echoes.push(data.toString()));
    const all = new Promise((done, failed) => {
      socket.on("message", () => echoes.includes("last") && done());
      socket.on("close", (code, reason) => failed(new Error(`closed with ${code} ${reason}`)));
    });
    for (let i = 0; i < 21; i++) socket.send("x"); // 20 at once, the others for the time that they wait
    socket.send("last");
    await within(all, "all that waited");
    assert.equal(echoes.length, 23);
    socket.removeAllListeners("close");
    socket.close();
  });
});

describe("bytesPerSecond", () => {
  const server = serverForSuite({
    "parties/main.lua": ROOM,
    "festa.lua": config({ limits: { bytesPerSecond: 100_000 } }),
  });

  it("closes with 1008 whoever sends more, fragments counted as they come", async () => {
    const room = server.room();
    const other = await open(server, `/party/${room}?_pk=other`);
    const whole = await open(server, `/party/${room}?_pk=whole`);
    whole.send("x".repeat(1_000_000)); // in several reads, between which some of the second's worth comes back
    const end = await closed(whole);
    assert.equal(end.code, 1008);
    assert.match(end.reason, /^Too many bytes: \d+ > 100000 \(bytesPerSecond\)$/);

    const pieces = await server.socket(`/party/${room}?_pk=pieces`);
    pieces.send({ fin: false, opcode: TEXT, payload: "x".repeat(50_000) });
    pieces.send({ fin: false, opcode: CONTINUATION, payload: "x".repeat(950_000) });
    const { reason } = await pieces.fails(1008);
    assert.match(reason, /^Too many bytes: \d+ > 100000 \(bytesPerSecond\)$/);

    await echo(other, "still here");
    other.close();
  });
});

describe("floods without data", () => {
  const server = serverForSuite({ "parties/main.lua": ROOM });

  it("of pings end with 1008", async () => {
    const room = server.room();
    const other = await open(server, `/party/${room}?_pk=other`);
    const socket = await server.socket(`/party/${room}?_pk=flood`);
    socket.write(Buffer.concat(Array.from({ length: 100_000 }, () => frame({ opcode: PING, payload: "p" }))));
    for (;;) {
      const next = await socket.frame();
      if (next.opcode === PONG) continue;
      assert.equal(next.payload.readUInt16BE(0), 1008);
      assert.match(next.payload.subarray(2).toString(), /^Too many pings and pongs: 10001 > 10000 in a second$/);
      break;
    }
    socket.destroy();
    await echo(other, "still here");
    other.close();
  });

  it("of fragments end with 1008", async () => {
    const socket = await server.socket(`/party/${server.room()}?_pk=fragments`);
    const more = Array.from({ length: 1000 }, () => frame({ fin: false, opcode: CONTINUATION }));
    socket.write(Buffer.concat([frame({ fin: false, opcode: TEXT }), ...more]));
    const { reason } = await socket.fails(1008);
    assert.equal(reason, "Too many empty fragments: 1001 > 1000");
  });
});

describe("connectionsPerRoom", () => {
  const server = serverForSuite({
    "parties/main.lua": ROOM,
    "festa.lua": config({ limits: { connectionsPerRoom: 5 } }),
  });

  it("is exact, whoever comes at once, and told before any handler runs", async () => {
    const room = server.room();
    const tries = await Promise.all(Array.from({ length: 40 }, (_, i) => server.upgrade(`/party/${room}?_pk=c${i}`)));
    const opened = tries.filter((one) => one.socket);
    const refused = tries.filter((one) => !one.socket);
    assert.equal(opened.length, 5);
    for (const { response } of refused) {
      assert.equal(response.status, 503);
      assert.equal(response.text, "The room is full: it may have 5 connections (connectionsPerRoom)");
    }
    assert.deepEqual(await server.json(`/party/${room}`), { count: 5 });
    // the log is in order, and comes when it comes: the request's own line is behind those of the handlers
    await server.waitForLog((line) => line.msg === "request" && line.room === room, "the request's line");
    assert.equal(server.lines.filter((line) => line.msg.startsWith(`connect ${room} `)).length, 5);

    await opened[0].socket.leave();
    const next = await server.socket(`/party/${room}`);
    assert.equal((await server.upgrade(`/party/${room}`)).response.status, 503);
    const elsewhere = await server.socket(`/party/${server.room()}`);
    for (const { socket } of opened.slice(1)) socket.destroy();
    next.destroy();
    elsewhere.destroy();
  });
});
