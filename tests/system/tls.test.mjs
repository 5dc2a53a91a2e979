// TLS by Festa itself: versions, names, certificates that change, handshakes that fail, and all that holds for plain
// connections.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, readFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import tls from "node:tls";

import { Agent, fetch } from "undici";
import { WebSocket } from "ws";

import { makeCertificate } from "./lib/certificates.mjs";
import { config, lua, saveFile, writeProject } from "./lib/project.mjs";
import { runFesta, serverFor, serverForSuite } from "./lib/server.mjs";
import { within } from "./lib/wait.mjs";

const FIRST = makeCertificate(["localhost", "first.test"]);
const SECOND = makeCertificate(["second.test", "*.wild.test"], { type: "rsa" });
const OTHER = makeCertificate(["localhost", "first.test"]);

const PARTY = lua`
local Main = {}

function Main:onMessage(message, connection)
  if message == "uri" then return connection:send(connection.uri) end
  if message == "flood" then
    for _ = 1, 64 do connection:send(("x"):rep(65536)) end
    return
  end
  if message == "bye" then return connection:close(4000, "bye") end
  party.broadcast(message, { binary = message:byte(1) == 0 })
end

function Main:onClose(connection, code)
  print(party.id .. " left with " .. code)
end

function Main:onRequest(request)
  if request.method == "POST" then return Response(tostring(#request.body)) end
  return Response(request.url)
end

return Main
`;

function files(more = {}) {
  return {
    "parties/main.lua": PARTY,
    "festa.lua": config({ tls: [{ cert: "first.pem", key: "first.key" }, { cert: "second.pem", key: "second.key" }], ...more }),
    "first.pem": FIRST.cert,
    "first.key": FIRST.key,
    "second.pem": SECOND.cert,
    "second.key": SECOND.key,
    "public/large.bin": randomBytes(3 * 1024 * 1024),
  };
}

// A TLS connection after its handshake.
async function connect(server, options = {}) {
  const socket = tls.connect({ host: server.hostname, port: server.port, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"], ...options });
  await within(
    new Promise((done, failed) => socket.once("secureConnect", done).once("error", failed)),
    "a TLS handshake",
  );
  socket.on("error", () => {});
  return socket;
}

async function readAll(socket) {
  const parts = [];
  socket.on("data", (part) => parts.push(part));
  await within(once(socket, "close"), "the connection's end");
  return Buffer.concat(parts).toString("latin1");
}

// A WebSocket that is open, with what it was told.
async function open(server, path, options = {}) {
  const socket = new WebSocket(`wss://${server.host}${path}`, { rejectUnauthorized: false, ...options });
  socket.got = [];
  socket.waiting = [];
  socket.on("message", (data, binary) => {
    socket.got.push(binary ? data : data.toString());
    while (socket.waiting.length > 0) socket.waiting.shift()();
  });
  await within(new Promise((done, failed) => socket.once("open", done).once("error", failed)), "a WebSocket");
  return socket;
}

async function told(socket, n) {
  while (socket.got.length < n) await within(new Promise((done) => socket.waiting.push(done)), `message ${n}`);
  return socket.got;
}

const names = (socket) => socket.getPeerCertificate().subjectaltname;

describe("TLS", () => {
  // a sanitizer takes long to make a flood, and a client as long to read it and to come to the close behind it
  const server = serverForSuite(files({ limits: { handlerTime: 5000, closeTimeout: 60000 } }), { args: ["--threads", "2"] });

  it("says so where it listens", () => {
    assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  });

  for (const version of ["TLSv1.2", "TLSv1.3"]) {
    it(`answers by ${version}`, async () => {
      const socket = await connect(server, { minVersion: version, maxVersion: version });
      assert.equal(socket.getProtocol(), version);
      assert.equal(socket.alpnProtocol, "http/1.1");
      socket.write("GET /parties/main/a HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n");
      const text = await readAll(socket);
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
      assert.ok(text.endsWith("https://first.test/parties/main/a"), text);
      assert.equal(socket.readableEnded, true); // close_notify, not a cut
    });
  }

  it("refuses what is older, and who speaks another protocol", async () => {
    await assert.rejects(connect(server, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }));
    await assert.rejects(connect(server, { ALPNProtocols: ["h2"] }), /no application protocol/i);
    const socket = await connect(server, { ALPNProtocols: ["h2", "http/1.1"] });
    assert.equal(socket.alpnProtocol, "http/1.1");
    socket.destroy();
    const silent = await connect(server, { ALPNProtocols: undefined });
    assert.equal(silent.alpnProtocol, false);
    silent.destroy();
  });

  it("shows each name its certificate", async () => {
    for (const [servername, wanted] of [
      ["first.test", "first.test"],
      ["second.test", "second.test"],
      ["a.wild.test", "second.test"],
      ["SECOND.test", "second.test"],
      ["nobody.test", "first.test"],
      ["", "first.test"],
    ]) {
      const socket = await connect(server, { servername });
      assert.ok(names(socket).includes(`DNS:${wanted}`), `${servername}: ${names(socket)}`);
      socket.destroy();
    }
  });

  it("resumes a session by its ticket", async () => {
    for (const version of ["TLSv1.2", "TLSv1.3"]) {
      const socket = await connect(server, { minVersion: version, maxVersion: version, servername: "first.test" });
      const session = version === "TLSv1.2" ? socket.getSession() : (await within(once(socket, "session"), "a ticket"))[0];
      socket.destroy();
      const again = await connect(server, { minVersion: version, maxVersion: version, servername: "first.test", session });
      assert.equal(again.isSessionReused(), true, version);
      again.destroy();
    }
  });

  it("does not renegotiate", async () => {
    const socket = await connect(server, { maxVersion: "TLSv1.2" });
    const refused = await within(new Promise((done) => {
      socket.once("error", done);
      socket.once("close", done);
      socket.renegotiate({}, done);
    }), "the refusal");
    assert.ok(refused !== null);
    socket.destroy();
  });

  it("tells who speaks HTTP", async () => {
    const socket = net.connect(server.port, server.hostname);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const text = await readAll(socket);
    assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(text, /This port speaks TLS: use https:\/\/ or wss:\/\/$/);
    assert.equal(Number(/Content-Length: (\d+)/.exec(text)[1]), text.length - text.indexOf("\r\n\r\n") - 4);
  });

  it("survives bad handshakes", async () => {
    const hello = Buffer.from("16030100c4010000c00303", "hex");
    const inputs = [randomBytes(100), Buffer.from([0x16, 3, 1, 0xff, 0xff, 1, 2, 3]), Buffer.alloc(20000), hello, Buffer.concat([hello, randomBytes(300)])];
    for (const input of inputs) {
      const socket = net.connect(server.port, server.hostname);
      socket.on("error", () => {});
      socket.end(input);
      socket.resume();
      await within(new Promise((done) => socket.on("close", done)), "the end of a bad handshake, by FIN or by RST");
    }
    const socket = await connect(server); // garbage behind the handshake
    socket._handle.close?.();
    const raw = net.connect(server.port, server.hostname);
    const behind = tls.connect({ socket: raw, rejectUnauthorized: false });
    await within(once(behind, "secureConnect"), "a handshake");
    behind.on("error", () => {});
    raw.on("error", () => {});
    raw.write(randomBytes(200));
    await within(new Promise((done) => raw.on("close", done)), "the end of a broken connection");
    const response = await fetch(`${server.url}/parties/main/alive`, { dispatcher: new Agent({ connect: { rejectUnauthorized: false } }) });
    assert.equal(response.status, 200);
  });

  it("takes large bodies and sends large files", async () => {
    const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
    const body = randomBytes(5 * 1024 * 1024);
    const response = await fetch(`${server.url}/parties/main/body`, { dispatcher, method: "POST", body });
    assert.equal(await response.text(), String(body.length));
    const file = await fetch(`${server.url}/large.bin`, { dispatcher });
    assert.ok(Buffer.from(await file.arrayBuffer()).equals(await readFile(join(server.project.directory, "public/large.bin"))));
    await dispatcher.close();
  });

  it("answers a pipeline in order", async () => {
    const socket = await connect(server);
    let text = "";
    for (let n = 0; n < 50; n++) text += `GET /parties/main/r${n} HTTP/1.1\r\nHost: h\r\n${n === 49 ? "Connection: close\r\n" : ""}\r\n`;
    socket.write(text);
    const answers = [...(await readAll(socket)).matchAll(/https:\/\/h\/parties\/main\/r(\d+)/g)].map((match) => Number(match[1]));
    assert.deepEqual(answers, Array.from({ length: 50 }, (_, n) => n));
  });

  it("moves WebSockets to the threads of their rooms", async () => {
    const sockets = await Promise.all(Array.from({ length: 24 }, (_, n) => open(server, `/parties/main/move-${n % 12}`)));
    for (const [n, socket] of sockets.entries()) {
      socket.send("uri");
      assert.equal((await told(socket, 1))[0], `https://${server.host}/parties/main/move-${n % 12}`);
    }
    for (const [n, socket] of sockets.entries()) {
      sockets[(n + 12) % 24].send(`from ${n}`);
      assert.equal((await told(socket, 2 + (n >= 12 ? 1 : 0))).at(n >= 12 ? 2 : 1), `from ${n}`);
    }
    for (const socket of sockets) socket.terminate();
  });

  it("carries big messages, text and binary, to all of a room", async () => {
    const sockets = await Promise.all(Array.from({ length: 8 }, () => open(server, "/parties/main/big")));
    const binary = Buffer.concat([Buffer.from([0]), randomBytes(900 * 1024)]);
    const text = "é".repeat(300 * 1024);
    sockets[0].send(binary);
    sockets[1].send(text);
    for (const socket of sockets) {
      const got = await told(socket, 2);
      const first = Buffer.isBuffer(got[0]) ? got : [got[1], got[0]];
      assert.ok(first[0].equals(binary));
      assert.equal(first[1], text);
    }
    for (const socket of sockets) socket.terminate();
  });

  it("sends a slow reader all, and closes in order", async () => {
    const socket = await open(server, "/parties/main/slow");
    socket._socket.pause();
    socket.send("flood");
    socket.send("bye");
    const other = await open(server, "/parties/main/slow-other");
    other.send("meanwhile");
    assert.deepEqual(await told(other, 1), ["meanwhile"]);
    socket._socket.resume();
    const [code, reason] = await within(once(socket, "close"), "the close");
    assert.deepEqual([code, reason.toString()], [4000, "bye"]);
    assert.equal(socket.got.length, 64);
    other.terminate();
  });

  it("keeps sending to who has ended its own half", async () => {
    const socket = await connect(server, { allowHalfOpen: true });
    socket.end("GET /large.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const text = await readAll(socket);
    assert.equal(text.length - text.indexOf("\r\n\r\n") - 4, 3 * 1024 * 1024);
  });
});

describe("TLS and limits", () => {
  it("a handshake has the time of a head", async (t) => {
    const server = await serverFor(t, files({ limits: { headerTimeout: 300 } }));
    const socket = net.connect(server.port, server.hostname);
    socket.on("error", () => {});
    socket.resume();
    await within(once(socket, "close"), "the end of who says nothing");
    const other = net.connect(server.port, server.hostname);
    other.on("error", () => {});
    other.write(Buffer.from([0x16, 3]));
    other.resume();
    await within(once(other, "close"), "the end of who says little");
  });

  it("who is one too many is told so", async (t) => {
    const server = await serverFor(t, files({ limits: { connections: 1 } }), { args: ["--threads", "1"] });
    const first = await connect(server);
    const second = await connect(server);
    assert.match(await readAll(second), /^HTTP\/1\.1 503 /);
    first.destroy();
  });

  it("a reader that takes nothing is closed at the limit `queue`", async (t) => {
    const server = await serverFor(t, files({ limits: { message: 65536, queue: 262144, closeTimeout: 500 } }));
    const socket = await open(server, "/parties/main/stuck");
    socket._socket.pause();
    for (let n = 0; n < 8; n++) socket.send("flood");
    const line = await server.waitForText("stuck left with");
    assert.match(line.msg, /left with (1013|1006)$/);
    socket.terminate();
  });
});

describe("certificates", () => {
  it("change at SIGHUP, and open connections stay", async (t) => {
    const server = await serverFor(t, files());
    const socket = await open(server, "/parties/main/stay");
    const fingerprint = async () => {
      const connection = await connect(server, { servername: "first.test" });
      const found = connection.getPeerCertificate().fingerprint256;
      connection.destroy();
      return found;
    };
    const before = await fingerprint();
    await saveFile(join(server.project.directory, "first.pem"), OTHER.cert);
    await saveFile(join(server.project.directory, "first.key"), OTHER.key);
    let from = server.lines.length;
    server.signal("SIGHUP");
    await server.waitForLog((line) => line.msg === "reloaded", "the reload", { from });
    socket.send("still here");
    assert.deepEqual(await told(socket, 1), ["still here"]);
    const after = await fingerprint();
    assert.notEqual(after, before);

    await saveFile(join(server.project.directory, "first.pem"), "no certificate\n");
    from = server.lines.length;
    server.signal("SIGHUP");
    const line = await server.waitForLog((l) => l.level === "error", "the error", { from });
    assert.match(line.error, /tls: .*first\.pem: there is no certificate in it/);
    assert.equal(await fingerprint(), after);
    socket.send("and here");
    assert.deepEqual(await told(socket, 2), ["still here", "and here"]);
    socket.terminate();
  });

  for (const [what, change, wanted] of [
    ["is not there", { "first.pem": undefined }, /first\.pem: No such file/],
    ["is empty", { "first.pem": "" }, /first\.pem: there is no certificate in it/],
    ["has another key", { "first.key": OTHER.key }, /first\.key: it is not the key of the certificate/],
    ["has a key of another kind", { "first.key": SECOND.key }, /first\.key: it is not the key of the certificate/],
    ["has no key", { "first.key": FIRST.cert }, /first\.key: there is no private key in it/],
  ]) {
    it(`one that ${what} stops the start and festa check`, async () => {
      const all = { ...files(), ...change };
      for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
      const project = await writeProject(all);
      try {
        for (const command of ["check", "run"]) {
          const { code, stderr } = await runFesta([command, project.directory, ...(command === "run" ? ["--port", "0", "--data", project.data] : [])]);
          assert.equal(code, 1);
          assert.match(stderr, wanted);
          assert.match(stderr, /^festa: \S*festa\.lua:\d+: tls: [^\n]*\n\n? {2}/, "with the line that names it");
          assert.match(stderr, /^ *> +\d+ \| .*tls/m);
        }
      } finally {
        await project.remove();
      }
    });
  }

  it("whose key everybody can read, or that has expired, gets a warning", async () => {
    const project = await writeProject({ ...files(), "first.pem": FIRST.cert });
    try {
      await chmod(join(project.directory, "first.key"), 0o644);
      await chmod(join(project.directory, "second.key"), 0o640);
      const { code, stderr } = await runFesta(["check", project.directory]);
      assert.equal(code, 0);
      assert.match(stderr, /first\.key: everybody on this machine can read this key/);
      assert.doesNotMatch(stderr, /second\.key/);
    } finally {
      await project.remove();
    }
  });
});

