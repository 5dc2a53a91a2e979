// The client that the server has for pages without a bundler: lua/client/client.js, at /_festa/client.js.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { fetch } from "undici";
import WebSocket from "ws";

import { ECHO, MESSAGE_SERVER } from "./lib/parties.mjs";
import { config, lua } from "./lib/project.mjs";
import { REPOSITORY, serverFor, serverForSuite } from "./lib/server.mjs";
import { Changes } from "./lib/wait.mjs";

const SOURCE = readFileSync(join(REPOSITORY, "lua/client/client.js"), "utf8");
const { PartySocket, connect } = await import(`data:text/javascript,${encodeURIComponent(SOURCE)}`);

// ---- without a server: a WebSocket that does what the test says, and a clock that the test moves

// What a microtask puts off has happened behind this.
const settled = () => new Promise((done) => setImmediate(done));

class FakeSocket extends EventTarget {
  static made = [];
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  closed = undefined;

  constructor(url, protocols) {
    super();
    this.url = url;
    this.protocols = protocols;
    FakeSocket.made.push(this);
  }

  send(data) {
    this.sent.push(data);
  }

  close(code, reason) {
    if (code !== 1000 && code !== undefined && !(code >= 3000 && code <= 4999)) throw new RangeError(`the code ${code}`);
    this.closed = [code, reason];
    this.readyState = 2;
  }

  // what the server does
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  message(data) {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  lose(code = 1006, reason = "") {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason, wasClean: code !== 1006 }));
  }

  fail() {
    this.dispatchEvent(Object.assign(new Event("error"), { error: new Error("no route") }));
    this.lose();
  }
}

class FakeClock {
  timers = [];
  chance = 0; // what random() gives: 0 is the longest of delays

  setTimeout = (fn, ms) => {
    const timer = { fn, ms };
    this.timers.push(timer);
    return timer;
  };
  clearTimeout = (timer) => {
    this.timers = this.timers.filter((other) => other !== timer);
  };
  random = () => this.chance;

  get delays() {
    return this.timers.map(({ ms }) => ms);
  }

  // The one timer that there is comes due.
  async ring() {
    assert.equal(this.timers.length, 1, "one timer at a time");
    this.timers.pop().fn();
    await settled();
  }
}

async function fake(options = {}) {
  FakeSocket.made = [];
  const clock = new FakeClock();
  const socket = new PartySocket({ host: "127.0.0.1:1", room: "r", id: "me", WebSocket: FakeSocket, clock, ...options });
  const events = [];
  for (const type of ["open", "message", "error", "close"])
    socket.addEventListener(type, (event) => events.push(event.code ? `close ${event.code}` : event.data ?? event.message ?? type));
  await settled();
  return { socket, clock, events, last: () => FakeSocket.made.at(-1), made: () => FakeSocket.made.length };
}

describe("PartySocket, by itself", () => {
  it("waits longer each time, and as long as the first time once a connection has stood", async () => {
    const { clock, last } = await fake();
    const delays = [];
    for (let n = 0; n < 8; n++) {
      assert.deepEqual(clock.delays, [4000], "the try has its time");
      last().fail();
      delays.push(...clock.delays);
      await clock.ring();
    }
    assert.deepEqual(delays, [1000, 1500, 2250, 3375, 5062.5, 7593.75, 10000, 10000]);
    last().open();
    assert.deepEqual(clock.delays, [5000], "it has to stand for so long");
    last().lose();
    assert.deepEqual(clock.delays, [10000], "which it has not");
    await clock.ring();
    last().open();
    await clock.ring();
    assert.deepEqual(clock.delays, []);
    last().lose();
    assert.deepEqual(clock.delays, [1000]);
  });

  it("spreads those that were disconnected together", async () => {
    const { clock, last } = await fake({ minReconnectionDelay: 100, reconnectionDelayGrowFactor: 2, maxReconnectionDelay: 300 });
    const delays = [];
    for (clock.chance of [0.999, 0.5, 0, 1]) {
      last().fail();
      delays.push(...clock.delays.map(Math.round));
      await clock.ring();
    }
    assert.deepEqual(delays, [50, 150, 300, 150]);
  });

  it("gives up after maxRetries, and says so in the last close", async () => {
    const { socket, clock, last, made } = await fake({ maxRetries: 2 });
    const told = [];
    socket.onclose = () => told.push(socket.shouldReconnect);
    for (let n = 0; n < 2; n++) {
      last().fail();
      await clock.ring();
    }
    last().fail();
    assert.deepEqual(told, [true, true, false]);
    assert.deepEqual([clock.delays, made(), socket.readyState], [[], 3, PartySocket.CLOSED]);
    socket.reconnect();
    await settled();
    assert.equal(made(), 4);
  });

  it("keeps its id and what was said meanwhile, in order, and sends it before open is heard", async () => {
    const { socket, clock, events, last } = await fake({ query: { token: "a b", none: null } });
    assert.equal(socket.readyState, PartySocket.CONNECTING);
    assert.equal(last().url, "ws://127.0.0.1:1/parties/main/r?_pk=me&token=a+b");
    assert.equal(socket.send("1"), false);
    assert.equal(socket.send(new Uint8Array(3)), false);
    assert.equal(socket.bufferedAmount, 4);
    socket.onopen = () => assert.equal(last().sent.length, 2);
    last().open();
    assert.equal(socket.send("3"), true);
    assert.deepEqual(last().sent, ["1", new Uint8Array(3), "3"]);
    last().lose();
    assert.equal(socket.readyState, PartySocket.CLOSED);
    socket.send("4");
    await clock.ring();
    assert.equal(last().url, "ws://127.0.0.1:1/parties/main/r?_pk=me&token=a+b");
    socket.onopen = null;
    last().open();
    assert.deepEqual(last().sent, ["4"]);
    last().message("hi");
    assert.deepEqual(events, ["open", "close 1006", "open", "hi"]);
  });

  it("drops what is more than maxEnqueuedMessages, and gives back what waits", async () => {
    const { socket, last } = await fake({ maxEnqueuedMessages: 2 });
    for (const text of ["1", "2", "3"]) assert.equal(socket.send(text), false);
    assert.deepEqual(socket.drainQueuedMessages(), ["1", "2"]);
    last().open();
    assert.deepEqual(last().sent, []);
  });

  it("stays away when the server's code says that it should", async () => {
    for (const [code, again] of [[4401, false], [4403, false], [4404, false], [4409, false], [1000, true], [1001, true], [1011, true], [1013, true], [4000, true]]) {
      const { socket, clock, events, last } = await fake();
      last().open();
      last().lose(code);
      assert.deepEqual([clock.delays.length, socket.shouldReconnect], again ? [1, true] : [0, false], String(code));
      assert.deepEqual(events, ["open", `close ${code}`]);
    }
    const { clock, last } = await fake({ shouldReconnectOnClose: ({ code }) => code === 4409 });
    last().open();
    last().lose(4409);
    assert.equal(clock.delays.length, 1, "the page's own word counts");
    await clock.ring();
    last().lose(1001);
    assert.deepEqual(clock.delays, []);
  });

  it("close: the event comes at once, once, and what the old socket still says is not heard", async () => {
    const { socket, clock, events, last, made } = await fake();
    last().open();
    socket.close(4000, "enough");
    assert.deepEqual(events, ["open", "close 4000"]);
    assert.deepEqual([last().closed, socket.readyState, clock.delays], [[4000, "enough"], PartySocket.CLOSED, []]);
    last().message("late");
    last().lose(1006);
    socket.close();
    await settled();
    assert.deepEqual(events, ["open", "close 4000"]);
    assert.equal(socket.send("for later"), false);
    socket.reconnect();
    await settled();
    last().open();
    assert.deepEqual([last().sent, made()], [["for later"], 2]);
  });

  it("close with a code that may not be raises and changes nothing", async () => {
    const { socket, last } = await fake();
    last().open();
    assert.throws(() => socket.close(1006), RangeError);
    assert.equal(socket.shouldReconnect, true);
    assert.equal(socket.send("still here"), true);
  });

  it("close while it connects, while it waits, and before it has begun", async () => {
    const { socket, events, last } = await fake();
    socket.close();
    last().open();
    assert.deepEqual(events, ["close 1000"]);

    const waiting = await fake();
    waiting.last().fail();
    waiting.socket.close();
    assert.deepEqual([waiting.events, waiting.clock.delays], [["no route", "close 1006"], []], "that it is closed was said");

    FakeSocket.made = [];
    new PartySocket({ host: "a", room: "r", WebSocket: FakeSocket }).close();
    await settled();
    assert.deepEqual(FakeSocket.made, []);
  });

  it("reconnect: a new connection at once, the old one closed", async () => {
    const { socket, clock, events, last, made } = await fake();
    last().open();
    const old = last();
    socket.reconnect(4001, "again");
    await settled();
    assert.deepEqual([old.closed, made(), clock.delays], [[4001, "again"], 2, [4000]]);
    old.lose(4001);
    last().open();
    assert.deepEqual(events, ["open", "close 4001", "open"]);
  });

  it("reconnect: the close event knows that an open follows, and its listener may decide otherwise", async () => {
    const { socket, last, made } = await fake();
    const told = [];
    socket.onclose = () => told.push(socket.shouldReconnect);
    last().open();
    socket.reconnect();
    await settled();
    last().open();
    assert.deepEqual([told, made()], [[true], 2]);
    socket.onclose = () => socket.close();
    socket.reconnect();
    await settled();
    assert.deepEqual([made(), socket.shouldReconnect, socket.readyState], [2, false, PartySocket.CLOSED]);
  });

  it("refuses names that a URL would take for folders", () => {
    for (const name of [".", ".."]) {
      for (const names of [{ room: name }, { room: "r", party: name }])
        assert.throws(() => new PartySocket({ host: "a", WebSocket: FakeSocket, startClosed: true, ...names }), /can't be "\.+"/);
    }
    const socket = new PartySocket({ host: "a", room: "...", WebSocket: FakeSocket, startClosed: true });
    assert.equal(socket.roomUrl, "wss://a/parties/main/...");
  });

  it("a try that takes too long is over", async () => {
    const { clock, events, last } = await fake({ connectionTimeout: 70 });
    const first = last();
    assert.deepEqual(clock.delays, [70]);
    await clock.ring();
    assert.deepEqual(events, ["TIMEOUT", "close 1006"]);
    assert.notEqual(first.closed, undefined);
    first.open();
    assert.deepEqual(events, ["TIMEOUT", "close 1006"]);
    await clock.ring();
    assert.notEqual(last(), first);
  });

  it("query and protocols are asked anew for each connection, and may fail", async () => {
    let n = 0;
    const { clock, events, last } = await fake({
      query: async () => {
        if (++n === 2) throw new Error("no token");
        return { token: n };
      },
      protocols: () => [`p${n}`],
    });
    assert.deepEqual([last().url, last().protocols], ["ws://127.0.0.1:1/parties/main/r?_pk=me&token=1", ["p0"]]);
    last().lose();
    await clock.ring();
    assert.deepEqual(events, ["close 1006", "no token", "close 1006"]);
    await clock.ring();
    assert.match(last().url, /token=3$/);
  });

  it("updateProperties changes where it goes, and keeps the id", async () => {
    const { socket, last } = await fake({ id: undefined });
    const { id } = socket;
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    socket.updateProperties({ room: "other", party: "chat" });
    socket.reconnect();
    await settled();
    assert.equal(last().url, `ws://127.0.0.1:1/parties/chat/other?_pk=${id}`);
    assert.deepEqual([socket.id, socket.room, socket.name], [id, "other", "chat"]);
  });

  it("has an id of the right form, whatever there is to make it with", () => {
    const { crypto } = globalThis;
    const instead = (value) => Object.defineProperty(globalThis, "crypto", { value, configurable: true, writable: true });
    const ids = new Set();
    try {
      for (const there of [crypto, crypto && { getRandomValues: (bytes) => crypto.getRandomValues(bytes) }, undefined]) {
        instead(there);
        const socket = new PartySocket({ host: "a", room: "r", WebSocket: FakeSocket, startClosed: true });
        assert.match(socket.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        ids.add(socket.id);
      }
    } finally {
      instead(crypto);
    }
    assert.equal(ids.size, 3);
  });

  it("startClosed waits for reconnect, and for a room", async () => {
    const { socket, last, made } = await fake({ room: undefined, startClosed: true });
    assert.deepEqual([made(), socket.readyState], [0, PartySocket.CLOSED]);
    assert.throws(() => socket.reconnect(), /room is missing/);
    socket.updateProperties({ room: "found" });
    socket.reconnect();
    await settled();
    assert.match(last().url, /\/parties\/main\/found\?_pk=me$/);
  });

  it("builds its addresses", () => {
    const url = (options) => {
      const socket = new PartySocket({ room: "r", WebSocket: FakeSocket, ...options });
      socket.close();
      return socket.roomUrl;
    };
    for (const [options, expected] of [
      [{ host: "localhost:1999" }, "ws://localhost:1999/parties/main/r"],
      [{ host: "192.168.1.5:1999" }, "ws://192.168.1.5:1999/parties/main/r"],
      [{ host: "172.20.0.1" }, "ws://172.20.0.1/parties/main/r"],
      [{ host: "172.32.0.1" }, "wss://172.32.0.1/parties/main/r"],
      [{ host: "example.com/" }, "wss://example.com/parties/main/r"],
      [{ host: "http://example.com" }, "ws://example.com/parties/main/r"],
      [{ host: "wss://localhost:1999" }, "wss://localhost:1999/parties/main/r"],
      [{ host: "example.com", protocol: "ws" }, "ws://example.com/parties/main/r"],
      [{ host: "a.b", party: "chat", room: "café ?#%", path: "x/y" }, "wss://a.b/parties/chat/caf%C3%A9%20%3F%23%25/x/y"],
      [{ host: "a.b", basePath: "own/place" }, "wss://a.b/own/place"],
      [{ host: "a.b", prefix: "p/q" }, "wss://a.b/p/q/main/r"],
    ])
      assert.equal(url(options), expected);
    for (const [options, message] of [
      [{}, /host is missing/],
      [{ host: "a.b", room: undefined }, /room is missing/],
      [{ host: "a.b", room: "x/y" }, /has a slash/],
      [{ host: "a.b", party: "x/y" }, /has a slash/],
      [{ host: "a.b", path: "/x" }, /must not begin/],
      [{ host: "a b/c/d" }, /is no host/],
    ])
      assert.throws(() => url(options), message);
  });
});

// ---- with the server

const files = {
  "parties/main.lua": MESSAGE_SERVER,
  "parties/echo.lua": ECHO,
  "parties/who.lua": lua`
    local Who = {}
    Who.options = { duplicateId = "replace" }
    function Who:onConnect(connection, context) connection:send({ id = connection.id, token = context.request.query.token }) end
    function Who:onMessage(message, connection) connection:close(tonumber(message), "as you wish") end
    return Who
  `,
};

// A socket whose events can be waited for one after the other.
function listen(socket) {
  const changes = new Changes();
  const events = [];
  const add = (event) => (events.push(event), changes.changed());
  socket.addEventListener("open", () => add("open"));
  socket.addEventListener("message", ({ data }) => add(data));
  socket.addEventListener("close", ({ code }) => add(`close ${code}`));
  return (what) => changes.until(() => events.shift(), what);
}

describe("PartySocket, with a server", () => {
  const server = serverForSuite(files);
  const open = (t, options) => {
    const socket = new PartySocket({ host: server.host, room: server.room(), WebSocket, minReconnectionDelay: 1, ...options });
    t.after(() => socket.close());
    return { socket, next: listen(socket) };
  };

  it("text and bytes", async (t) => {
    const { socket, next } = open(t, { party: "echo" });
    socket.binaryType = "arraybuffer";
    socket.send("said before it was open");
    assert.equal(await next("open"), "open");
    assert.equal(await next("the echo"), "said before it was open");
    socket.send(new Uint8Array([1, 2, 255]));
    assert.deepEqual(new Uint8Array(await next("bytes")), new Uint8Array([1, 2, 255]));
  });

  it("comes back with its id when the party closes it, and stays away for 4403", async (t) => {
    const { socket, next } = open(t, { party: "who", id: "anna", query: async () => ({ token: "t" }) });
    for (const code of [1000, 4000]) {
      assert.equal(await next("open"), "open");
      assert.deepEqual(JSON.parse(await next("who it is")), { id: "anna", token: "t" });
      socket.send(String(code));
      assert.equal(await next("the close"), `close ${code}`);
    }
    assert.equal(await next("open"), "open");
    await next("who it is");
    socket.send("4403");
    assert.equal(await next("the close"), "close 4403");
    assert.deepEqual([socket.shouldReconnect, socket.readyState], [false, PartySocket.CLOSED]);
  });

  it("one that another has replaced does not take its place back", async (t) => {
    const room = server.room();
    const first = open(t, { party: "who", id: "me", room });
    assert.equal(await first.next("open"), "open");
    await first.next("who it is");
    const second = open(t, { party: "who", id: "me", room });
    assert.equal(await second.next("open"), "open");
    assert.equal(await first.next("the close"), "close 4409");
    assert.equal(first.socket.shouldReconnect, false);
  });

  it("PartySocket.fetch", async () => {
    const options = { host: server.host, room: server.room(), fetch, query: { x: 1 } };
    const posted = await PartySocket.fetch(options, { method: "POST", body: JSON.stringify({ message: "Hello!" }) });
    assert.deepEqual([posted.status, await posted.text()], [200, "OK"]);
    assert.equal(await (await PartySocket.fetch(options)).text(), '["Hello!"]');
  });

  it("comes back when the server does, with what was said meanwhile", async (t) => {
    const first = await serverFor(t, files);
    const socket = connect("echo", "r", { host: first.host, WebSocket, minReconnectionDelay: 1, maxReconnectionDelay: 50 });
    t.after(() => socket.close());
    const next = listen(socket);
    assert.equal(await next("open"), "open");
    const { id } = socket;
    await first.stop();
    assert.equal(await next("the close"), "close 1001");
    socket.send("meanwhile");
    await serverFor(t, files, { port: first.port });
    let event;
    do event = await next("to be open again");
    while (event !== "open");
    assert.equal(await next("the echo"), "meanwhile");
    assert.equal(socket.id, id);
  });
});

describe("/_festa/client.js", () => {
  const server = serverForSuite({ ...files, "public/_festa/client.js": "no", "public/_festa/own.txt": "no", "public/_festal.txt": "yes" });
  const bare = serverForSuite({ ...files, "festa.lua": config({ cors: true, singlePageApp: true }) });

  it("is the client, with type, tag, and for all origins; whatever lies in public/", async () => {
    for (const [from, path] of [[server, "/_festa/client.js"], [server, "/_festa/client.js?x=1"], [server, "/_fest%61/client%2Ejs"], [bare, "/_festa/client.js"]]) {
      const response = await from.request(path);
      assert.equal(response.status, 200);
      assert.equal(response.text, SOURCE, path);
      assert.equal(response.header("content-type"), "text/javascript; charset=utf-8");
      assert.equal(response.header("cache-control"), "no-cache");
      assert.equal(response.header("x-content-type-options"), "nosniff");
      assert.equal(response.header("access-control-allow-origin"), "*");
      assert.match(response.header("etag"), /^"[0-9a-f]{16}"$/);
    }
    const head = await server.request("/_festa/client.js", { method: "HEAD" });
    assert.deepEqual([head.status, Number(head.header("content-length"))], [200, Buffer.byteLength(SOURCE)]);
  });

  it("is revalidated by its tag", async () => {
    const etag = (await server.request("/_festa/client.js")).header("etag");
    assert.equal((await bare.request("/_festa/client.js")).header("etag"), etag);
    const ask = async (headers) => (await server.request("/_festa/client.js", { headers })).status;
    assert.equal(await ask({ "If-None-Match": etag }), 304);
    assert.equal(await ask({ "If-None-Match": `"other", W/${etag}` }), 304);
    assert.equal(await ask({ "If-None-Match": '"other"' }), 200);
    assert.equal(await ask({ "If-Match": '"other"' }), 412);
    assert.equal(await ask({ "If-Modified-Since": new Date().toUTCString() }), 200);
    assert.equal(await ask({ "If-Unmodified-Since": new Date(0).toUTCString() }), 200);
    const response = await server.request("/_festa/client.js", { headers: { "If-None-Match": etag } });
    assert.deepEqual([response.text, response.header("etag")], ["", etag]);
  });

  it("and the folder is the server's own", async () => {
    for (const path of ["/_festa", "/_festa/", "/_festa/own.txt", "/_festa/client.js/", "/_festa/client.jsx", "/_festa/../_festa/client.js"])
      for (const from of [server, bare]) assert.equal((await from.request(path, { headers: { Accept: "text/plain" } })).status, 404, path);
    assert.equal((await server.request("/_festa/x", { headers: { Accept: "text/html" } })).text, "Not found");
    assert.equal(await server.text("/_festal.txt"), "yes");
    const post = await server.request("/_festa/client.js", { method: "POST", body: "x" });
    assert.deepEqual([post.status, post.header("allow")], [405, "GET, HEAD"]);
  });
});
