// The clients that people have, as they come from their registries: ws, partysocket, undici, curl.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";

import { PartySocket } from "partysocket";
import { Client, fetch } from "undici";
import WebSocket from "ws";

import { ECHO, MESSAGE_SERVER, MIRROR } from "./lib/parties.mjs";
import { config } from "./lib/project.mjs";
import { freePort, serverFor, serverForSuite } from "./lib/server.mjs";
import { Changes, within } from "./lib/wait.mjs";

// What comes out of an emitter or an event target, to be waited for one after the other.
class Inbox {
  items = [];
  #changes = new Changes();

  add(item) {
    this.items.push(item);
    this.#changes.changed();
  }

  next(what) {
    return this.#changes.until(() => this.items.shift(), what);
  }
}

function wsClient(url, protocols, options) {
  const socket = new WebSocket(url, protocols, options);
  const inbox = new Inbox();
  socket.on("open", () => inbox.add({ open: true }));
  socket.on("message", (data, binary) => inbox.add({ data: binary ? data : data.toString() }));
  socket.on("pong", (data) => inbox.add({ pong: data.toString() }));
  socket.on("close", (code, reason) => inbox.add({ close: code, reason: reason.toString() }));
  socket.on("unexpected-response", (request, response) => {
    inbox.add({ status: response.statusCode });
    request.destroy();
  });
  socket.on("error", (error) => inbox.add({ error: error.message }));
  return { socket, inbox, next: (what) => inbox.next(what) };
}

describe("ws", () => {
  const server = serverForSuite({
    "parties/main.lua": ECHO,
    "parties/messages.lua": MESSAGE_SERVER,
    "festa.lua": config({ subprotocols: ["chat"] }),
  });
  const url = (path) => `ws://${server.host}${path}`;

  it("text, bytes, pings, a close with code and reason", async () => {
    const { socket, next } = wsClient(url(`/party/${server.room()}`)); // it offers deflate
    assert.deepEqual(await next("open"), { open: true });
    assert.equal(socket.extensions, "");
    for (const data of ["text", "", "zwei ü 🎉", "x".repeat(1024 * 1024)]) {
      socket.send(data);
      assert.deepEqual(await next("text"), { data });
    }
    for (const data of [Buffer.alloc(0), Buffer.from([0, 1, 255]), Buffer.alloc(1024 * 1024, 7)]) {
      socket.send(data);
      assert.ok((await next("bytes")).data.equals(data));
    }
    socket.send("frag", { fin: false });
    socket.send("ment", { fin: true });
    assert.deepEqual(await next("fragments"), { data: "fragment" });
    socket.ping("are you there");
    assert.deepEqual(await next("pong"), { pong: "are you there" });
    socket.close(4001, "adieu");
    assert.equal((await next("close")).close, 4001);
  });

  it("many messages, in order", async () => {
    const { socket, next } = wsClient(url(`/party/${server.room()}`));
    await next("open");
    for (let n = 0; n < 5000; n++) socket.send(String(n));
    for (let n = 0; n < 5000; n++) assert.equal((await next("message")).data, String(n));
    socket.terminate();
  });

  it("sub-protocols", async () => {
    const { socket, next } = wsClient(url("/party/r"), ["other", "chat"]);
    await next("open");
    assert.equal(socket.protocol, "chat");
    socket.terminate();
    const none = wsClient(url("/party/r"), ["other"]);
    assert.match((await none.next("an error")).error, /subprotocol/i);
  });

  it("refusals are HTTP answers", async () => {
    for (const [path, status, options] of [
      ["/parties/nope/r", 404],
      ["/nothing", 404],
      ["/party/%ff", 400],
      ["/party/r", 403, { origin: "http://evil.example" }],
    ]) {
      const { next } = wsClient(url(path), [], options);
      assert.deepEqual(await next("a refusal"), { status }, path);
    }
  });

  it("a message over the limit: 1009", async () => {
    const { socket, next } = wsClient(url("/party/r"));
    await next("open");
    socket.send(Buffer.alloc(1024 * 1024 + 1));
    let last;
    do last = await next("close");
    while (last.close === undefined);
    assert.ok([1009, 1006].includes(last.close), `${last.close} ${last.reason}`);
  });
});

describe("partysocket", () => {
  const files = { "parties/main.lua": MESSAGE_SERVER, "parties/echo.lua": ECHO };
  const server = serverForSuite(files);

  function partyClient(host, options) {
    const inbox = new Inbox();
    const socket = new PartySocket({
      host,
      WebSocket,
      minReconnectionDelay: 50,
      maxReconnectionDelay: 200,
      ...options,
    });
    socket.addEventListener("open", () => inbox.add("open"));
    socket.addEventListener("message", (event) => inbox.add({ data: event.data }));
    socket.addEventListener("close", (event) => inbox.add({ close: event.code }));
    return { socket, inbox, next: (what) => inbox.next(what) };
  }

  it("connects to its room, with its id, path and query, and talks", async () => {
    const room = server.room("zwei ü");
    const witness = await server.socket(`/parties/echo/${encodeURIComponent(room)}`);
    const { socket, next } = partyClient(server.host, {
      party: "echo",
      room,
      id: "me",
      path: "sub/x",
      query: { token: "a b", nothing: null, empty: "" },
    });
    socket.send("before it is open");
    assert.equal(await next("open"), "open");
    assert.deepEqual(await witness.json(), { what: "connect", id: "me", args: [] });
    assert.deepEqual(await next("an echo"), { data: "before it is open" });
    socket.send("hello");
    assert.deepEqual(await next("an echo"), { data: "hello" });
    socket.close(4000, "enough");
    const closed = await witness.json();
    assert.deepEqual([closed.what, closed.id, closed.args[2]], ["close", "me", true]);
    witness.destroy();
  });

  it("PartySocket.fetch", async () => {
    const options = { host: server.host, room: server.room(), fetch };
    assert.equal(await (await PartySocket.fetch(options)).text(), "[]");
    const posted = await PartySocket.fetch(options, { method: "POST", body: JSON.stringify({ message: "Hello!" }) });
    assert.deepEqual([posted.status, await posted.text()], [200, "OK"]);
    assert.equal(await (await PartySocket.fetch(options)).text(), '["Hello!"]');
  });

  it("comes back when the server restarts on the same port", async (t) => {
    const first = await serverFor(t, files, { port: await freePort() });
    const { socket, next } = partyClient(first.host, { room: "r", id: "me" });
    t.after(() => socket.close());
    assert.equal(await next("open"), "open");
    const post = (message) => ({ method: "POST", body: JSON.stringify({ message }) });
    assert.equal((await first.request("/party/r", post("one"))).text, "OK");
    assert.deepEqual(await next("a message"), { data: "one" });

    await first.stop();
    assert.deepEqual(await next("close"), { close: 1001 });

    const second = await serverFor(t, files, { port: first.port });
    let event;
    do event = await next("to be open again");
    while (event !== "open");
    assert.equal((await second.request("/party/r", post("two"))).text, "OK");
    assert.deepEqual(await next("a message"), { data: "two" });
    socket.close();
  });

  it("comes back after the server has been killed", async (t) => {
    const first = await serverFor(t, files, { port: await freePort() });
    const { socket, next } = partyClient(first.host, { room: "r", id: "me" });
    t.after(() => socket.close());
    assert.equal(await next("open"), "open");
    await first.stop({ signal: "SIGKILL", code: null }).catch(() => {});
    assert.deepEqual(await next("close"), { close: 1006 });
    const second = await serverFor(t, files, { port: first.port });
    let event;
    do event = await next("to be open again");
    while (event !== "open");
    assert.equal((await second.request("/party/r", { method: "POST", body: '{"message":"back"}' })).text, "OK");
    assert.deepEqual(await next("a message"), { data: "back" });
    socket.close();
  });
});

describe("undici", () => {
  const server = serverForSuite({ "parties/main.lua": MIRROR, "parties/messages.lua": MESSAGE_SERVER });

  it("keep-alive: many requests on one connection", async () => {
    const client = new Client(server.url);
    try {
      for (let n = 0; n < 100; n++) {
        const { statusCode, body } = await client.request({ path: `/party/r?n=${n}`, method: "GET" });
        assert.deepEqual([statusCode, await body.text()], [200, `GET ${n} 0 []`]);
      }
    } finally {
      await client.close();
    }
  });

  it("pipelining: ten at a time, slow ones among them", async () => {
    const client = new Client(server.url, { pipelining: 10 });
    try {
      const answers = await Promise.all(
        Array.from({ length: 100 }, async (_, n) => {
          const { body } = await client.request({ path: `/party/r?n=${n}&sleep=${n % 5 ? 0 : 20}`, method: "GET" });
          return body.text();
        }),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 100 }, (_, n) => `GET ${n} 0 []`),
      );
    } finally {
      await client.close();
    }
  });

  it("fetch: bodies of both kinds, HEAD, errors", async () => {
    const url = `${server.url}/party/r`;
    const post = await fetch(url, { method: "POST", body: "x".repeat(100000) });
    assert.match(await post.text(), /^POST - 100000 /);
    async function* pieces() {
      for (let n = 0; n < 10; n++) yield Buffer.from(`piece ${n} `);
    }
    const streamed = await fetch(url, { method: "POST", body: pieces(), duplex: "half" });
    assert.match(await streamed.text(), /^POST - 80 \[piece 0 piece 1/);
    const head = await fetch(url, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    assert.equal((await fetch(`${server.url}/nothing`)).status, 404);
    const form = await fetch(url, { method: "POST", body: new URLSearchParams({ a: "b c" }) });
    assert.match(await form.text(), /\[a=b\+c\]$/);
  });

  it("fetch: fifty at once", async () => {
    const texts = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => (await fetch(`${server.url}/party/r${n % 7}?n=${n}`)).text()),
    );
    assert.deepEqual(
      texts,
      Array.from({ length: 50 }, (_, n) => `GET ${n} 0 []`),
    );
  });
});

// Runs curl; { code, stdout, stderr }, undefined where there is none.
function curl(...args) {
  return within(
    new Promise((done, failed) => {
      execFile("curl", ["-sS", "--max-time", "60", ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        if (error?.code === "ENOENT") return done(undefined);
        if (error && typeof error.code !== "number") return failed(error);
        done({ code: error?.code ?? 0, stdout, stderr });
      });
    }),
    "curl",
  );
}

describe("curl", () => {
  const server = serverForSuite({ "parties/main.lua": MESSAGE_SERVER, "parties/mirror.lua": MIRROR });

  it("takes the documented steps and more", async (t) => {
    if (!(await curl("--version"))) return t.skip("there is no curl here");
    const url = `${server.url}/parties/main/${server.room()}`;
    const out = async (...args) => {
      const { code, stdout, stderr } = await curl(...args);
      assert.equal(code, 0, `curl ${args.join(" ")}: ${stderr}`);
      return stdout;
    };
    assert.equal(await out(url), "[]");
    assert.equal(await out("-d", '{"message":"Hello!"}', url), "OK");
    assert.equal(await out(url), '["Hello!"]');
    assert.equal(await out("-X", "PUT", "-w", " %{http_code}", url), "Method not allowed 405");
    assert.match(await out("-d", "{", "-w", " %{http_code}", url), /line 1\b.* 400$/s);

    const mirror = `${server.url}/parties/mirror/r`;
    assert.equal(await out(`${mirror}?n=1`, `${mirror}?n=2`), "GET 1 0 []GET 2 0 []", "one connection for both");
    assert.match(await out("-I", mirror), /^HTTP\/1\.1 200 OK\r\n/);
    assert.equal(await out("-0", `${mirror}?n=3`), "GET 3 0 []");
    assert.equal(await out("--http2", `${mirror}?n=4`), "GET 4 0 []", "an upgrade to h2c that is not taken");
    const big = "x".repeat(2_000_000);
    const expecting = await out("-H", "Expect: 100-continue", "--data-binary", big.slice(0, 100_000), mirror);
    assert.match(expecting, /^POST - 100000 /);
    const piped = await out("-H", "Transfer-Encoding: chunked", "--data-binary", big.slice(0, 100_000), mirror);
    assert.match(piped, /^POST - 100000 /);
    assert.equal((await out(`${mirror}?size=500000`)).length, 500_000);
    assert.match(await out("-F", "field=value", mirror), /^POST - \d+ /);
  });
});
