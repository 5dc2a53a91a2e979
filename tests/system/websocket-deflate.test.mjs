// permessage-deflate (RFC 7692): what is agreed on, messages both ways, broadcasts to clients of all
// kinds, and bombs.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { constants, deflateRawSync } from "node:zlib";

import WebSocket from "ws";

import { ECHO } from "./lib/parties.mjs";
import { config, lua } from "./lib/project.mjs";
import { serverFor, serverForSuite } from "./lib/server.mjs";
import { Changes } from "./lib/wait.mjs";
import { CONTINUATION, PING, TEXT, BINARY, deflate, inflate } from "./lib/websocket.mjs";

const AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

// Sends each message to all, and says how many there are.
const ROOM = lua`
local Room = {}

function Room:onMessage(message, connection, binary)
  if message == "count" then
    connection:send(tostring(party.connectionCount()))
  else
    party.broadcast(message, { binary = binary, without = connection.id == "sender" and connection or nil })
  end
end

return Room
`;

const FILES = {
  "parties/main.lua": ECHO,
  "parties/all.lua": ROOM,
  "festa.lua": config({ deflate: true }),
};

// Text that gets much smaller; seed makes it another one.
function json(length, seed = 1) {
  let text = "";
  for (let n = seed; text.length < length; n = (n * 48271) % 2147483647)
    text += JSON.stringify({ id: n, name: `player-${n % 100}`, alive: n % 2 === 0 });
  return text.slice(0, length);
}

function noise(length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0, n = 99; i < length; i++, n = (n * 48271) % 2147483647) bytes[i] = n >> 7;
  return bytes;
}

// A client of npm's ws that is open, with what comes in.
async function client(server, path, perMessageDeflate) {
  const socket = new WebSocket(`ws://${server.host}${path}`, { perMessageDeflate });
  const changes = new Changes();
  const messages = [];
  let end;
  socket.on("open", () => changes.changed());
  socket.on("message", (data, binary) => {
    messages.push(binary ? data : data.toString());
    changes.changed();
  });
  socket.on("error", (error) => {
    end = error;
    changes.changed();
  });
  socket.on("close", (code, reason) => {
    end ??= { code, reason: reason.toString() };
    changes.changed();
  });
  const open = () => {
    if (end) throw end;
    return socket.readyState === WebSocket.OPEN || undefined;
  };
  await changes.until(open, "an open socket");
  return {
    socket,
    next: (what = "a message") => changes.until(() => messages.shift(), what),
    closed: () => changes.until(() => end, "the end"),
    received: () => socket._socket.bytesRead, // on the wire
    leave: () => socket.terminate(),
  };
}

async function extensions(server, offers) {
  const { response, socket } = await server.upgrade("/party/r", {
    headers: { "Sec-WebSocket-Extensions": offers },
  });
  assert.equal(response.status, 101, `${offers}`);
  await socket.leave();
  return response.header("sec-websocket-extensions");
}

function compressedSocket(server, path) {
  return server.socket(path, { headers: { "Sec-WebSocket-Extensions": "permessage-deflate" } });
}

describe("the agreement", () => {
  const server = serverForSuite(FILES);

  it("is in the answer", async () => {
    for (const [offers, answer] of [
      ["permessage-deflate", AGREED],
      ["permessage-deflate; client_max_window_bits", AGREED],
      ["permessage-deflate; server_max_window_bits=10", `${AGREED}; server_max_window_bits=10`],
      ["permessage-deflate; client_max_window_bits=11", `${AGREED}; client_max_window_bits=11`],
      ["permessage-deflate; server_max_window_bits=8, permessage-deflate", AGREED],
      [["foo", "permessage-deflate; bar", "permessage-deflate"], AGREED],
      ["permessage-deflate; server_max_window_bits=8", undefined],
      ["permessage-deflate; unheard_of", undefined],
      ["permessage-bzip2", undefined],
    ])
      assert.equal(await extensions(server, offers), answer, `${offers}`);
  });

  it("needs an offer", async () => {
    const { response, socket } = await server.upgrade("/party/r");
    assert.equal(response.header("sec-websocket-extensions"), undefined);
    await socket.leave();
  });

  it("is refused when the header is none", async () => {
    const { response } = await server.upgrade("/party/r", {
      headers: { "Sec-WebSocket-Extensions": "permessage-deflate;" },
    });
    assert.equal(response.status, 400);
    assert.match(response.text, /Sec-WebSocket-Extensions/);
  });

  it("is off by default", async (t) => {
    const plain = await serverFor(t, { "parties/main.lua": ECHO });
    assert.equal(await extensions(plain, "permessage-deflate"), undefined);
    assert.equal(await extensions(plain, "permessage-deflate;"), undefined);
    const { socket, next, received, leave } = await client(plain, "/party/r", true);
    socket.send(json(10000)); // ws does not compress then
    assert.equal(await next(), json(10000));
    assert.ok(received() > 10000);
    leave();
  });
});

describe("messages", () => {
  const server = serverForSuite(FILES);

  it("of all sizes, with clients of all settings", async () => {
    for (const settings of [
      true,
      { threshold: 0 },
      { threshold: 0, serverMaxWindowBits: 9 },
      { threshold: 0, clientMaxWindowBits: 9 },
      { threshold: 0, serverMaxWindowBits: 12, clientMaxWindowBits: 10, zlibDeflateOptions: { memLevel: 1 } },
      { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
      { threshold: 0, zlibDeflateOptions: { level: 0 } },
    ]) {
      const { socket, next, leave } = await client(server, `/party/${server.room()}`, settings);
      assert.equal(socket.extensions, "permessage-deflate", JSON.stringify(settings));
      for (const size of [0, 1, 127, 128, 1000, 70000, 1024 * 1024]) {
        for (const data of [json(size), noise(size), Buffer.alloc(size)]) {
          socket.send(data);
          assert.deepEqual(await next(), data, `${size} bytes, ${JSON.stringify(settings)}`);
        }
      }
      socket.send("zwei ü ", { fin: false });
      socket.send("🎉", { fin: true });
      assert.equal(await next("fragments"), "zwei ü 🎉");
      for (let n = 0; n < 500; n++) socket.send(json(n, n + 1));
      for (let n = 0; n < 500; n++) assert.equal(await next(), json(n, n + 1));
      leave();
    }
  });

  it("are compressed when that makes them smaller", async () => {
    const socket = await compressedSocket(server, `/party/${server.room()}`);
    for (const [data, opcode, compressed] of [
      [json(127), TEXT, false], // too short
      [json(128), TEXT, true],
      [json(100000), TEXT, true],
      [Buffer.alloc(128), BINARY, true],
      [noise(1000), BINARY, false], // does not get smaller
      ["", TEXT, false],
    ]) {
      socket.send({ opcode, payload: data });
      const frame = await socket.frame();
      assert.deepEqual(
        { opcode: frame.opcode, compressed: frame.compressed, fin: frame.fin },
        { opcode, compressed, fin: true },
        `${data.length} bytes`,
      );
      const payload = frame.compressed ? inflate(frame.payload) : frame.payload;
      assert.ok(payload.equals(Buffer.from(data)));
      if (compressed) assert.ok(frame.payload.length < data.length);
    }
    await socket.leave();
  });

  it("in fragments, with pings between them, byte by byte", async () => {
    const socket = await compressedSocket(server, `/party/${server.room()}`);
    const payload = deflate(json(300));
    socket.send({ fin: false, rsv: 4, opcode: TEXT, payload: payload.subarray(0, 10) });
    socket.ping("in between");
    for (const byte of payload.subarray(10)) socket.send({ fin: false, opcode: CONTINUATION, payload: Buffer.of(byte) });
    socket.send({ opcode: CONTINUATION, payload: "" });
    const pong = await socket.frame();
    assert.equal(pong.payload.toString(), "in between");
    assert.equal(await socket.message(), json(300));
    socket.send({ rsv: 4, payload: deflate("") });
    assert.equal(await socket.message(), "");
    await socket.leave();
  });

  it("that break the rules end the connection", async () => {
    const hello = deflate("Hello");
    for (const [code, reason, ...frames] of [
      [1002, /Reserved bits/, { rsv: 4, opcode: PING }],
      [1002, /Reserved bits/, { rsv: 6, payload: hello }],
      [1002, /Reserved bits/, { rsv: 2, payload: "Hello" }],
      [1002, /Reserved bits/, { fin: false, rsv: 4, payload: hello }, { rsv: 4, opcode: CONTINUATION }],
      [1007, /Compressed message/, { rsv: 4, payload: "no deflate data" }],
      [1007, /Compressed message/, { rsv: 4, payload: hello.subarray(0, 3) }],
      [1007, /UTF-8/, { rsv: 4, payload: deflate(Buffer.of(0xc3, 0x28)) }],
    ]) {
      const socket = await compressedSocket(server, `/party/${server.room()}`);
      for (const frame of frames) socket.send(frame);
      assert.match((await socket.fails(code)).reason, reason);
    }
    const plain = await server.socket(`/party/${server.room()}`);
    plain.send({ rsv: 4, payload: hello });
    await plain.fails(1002);
  });
});

describe("broadcasts", () => {
  const server = serverForSuite(FILES);

  it("reach clients of all kinds, in order, compressed for those that can", async () => {
    const path = `/parties/all/${server.room()}`;
    const kinds = [false, true, { serverMaxWindowBits: 9 }, { serverMaxWindowBits: 12 }, true, false];
    const clients = await Promise.all(kinds.map((kind) => client(server, path, kind)));
    const sender = await client(server, `${path}?_pk=sender`, true);
    clients[0].socket.send("count");
    assert.equal(await clients[0].next(), "7");
    const before = clients.map((each) => each.received());
    for (let n = 0; n < 100; n++) sender.socket.send(json(2000, n + 1));
    sender.socket.send("short");
    sender.socket.send(noise(3000));
    for (const [i, { next }] of clients.entries()) {
      for (let n = 0; n < 100; n++) assert.equal(await next(), json(2000, n + 1), `client ${i}`);
      assert.equal(await next(), "short");
      assert.deepEqual(await next(), noise(3000));
    }
    for (const [i, { received, socket }] of clients.entries()) {
      const bytes = received() - before[i];
      if (socket.extensions) assert.ok(bytes < 130_000, `client ${i} was sent ${bytes} bytes`);
      else assert.ok(bytes > 200_000, `client ${i} was sent ${bytes} bytes`);
    }
    sender.socket.send("count"); // nothing of it came back
    assert.equal(await sender.next(), "7");
    for (const each of [...clients, sender]) each.leave();
  });

  it("go on when one of a kind has left", async () => {
    const path = `/parties/all/${server.room()}`;
    const one = await client(server, path, { serverMaxWindowBits: 10 });
    const other = await client(server, path, true);
    one.socket.send("count");
    assert.equal(await one.next(), "2");
    one.socket.close();
    await one.closed();
    other.socket.send(json(500));
    assert.equal(await other.next(), json(500));
    const late = await client(server, path, { serverMaxWindowBits: 10 });
    late.socket.send(json(600));
    assert.equal(await late.next(), json(600));
    assert.equal(await other.next(), json(600));
    other.leave();
    late.leave();
  });
});

describe("bombs", () => {
  // So many MiB of zeros; a flush that forgets makes a block that can be repeated.
  function bomb(mib) {
    const block = deflateRawSync(Buffer.alloc(1024 * 1024), { level: 9, finishFlush: constants.Z_FULL_FLUSH });
    return Buffer.concat(Array(mib).fill(block)).subarray(0, -4);
  }

  it("cost nothing, and others are served", async (t) => {
    const server = await serverFor(t, FILES, { measured: true });
    const other = await client(server, `/party/${server.room()}`, { threshold: 0 });
    const payload = bomb(1000);
    assert.ok(payload.length < 1024 * 1024 + 64 * 1024);
    const throwBomb = async () => {
      const socket = await compressedSocket(server, `/party/${server.room()}`);
      socket.send({ rsv: 4, opcode: BINARY, payload });
      assert.equal((await socket.fails(1009)).reason, "Message is too large: 1048577 > 1048576");
    };
    const echo = async (n) => {
      other.socket.send(json(5000, n));
      assert.equal(await other.next(), json(5000, n));
    };
    await throwBomb();
    await echo(1);
    const before = server.memory();
    for (let n = 2; n < 30; n++) await Promise.all([throwBomb(), throwBomb(), echo(n)]);
    const grown = server.memory() - before;
    assert.ok(grown < 16 * 1024 * 1024, `${grown} bytes`);
    other.leave();
  });

  it("of a thousand bytes under a small limit", async (t) => {
    const server = await serverFor(t, {
      ...FILES,
      "festa.lua": config({ deflate: true, limits: { message: 5000 } }),
    });
    const socket = await compressedSocket(server, "/party/r");
    socket.send({ rsv: 4, payload: deflate(Buffer.alloc(5000, "a")) });
    assert.equal(await socket.message(), "a".repeat(5000));
    socket.send({ rsv: 4, opcode: BINARY, payload: bomb(1) });
    assert.equal((await socket.fails(1009)).reason, "Message is too large: 5001 > 5000");
    const large = await compressedSocket(server, "/party/r"); // more than 5000 bytes can ever take
    large.send({ rsv: 4, opcode: BINARY, payload: noise(6000) });
    assert.equal((await large.fails(1009)).reason, "Compressed message is too large: 6000 > 5719");
  });
});
