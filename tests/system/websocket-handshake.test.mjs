// The opening handshake: what is accepted, what is refused and how, and who may come in.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { ECHO } from "./lib/parties.mjs";
import { RawConnection, requestBytes } from "./lib/raw.mjs";
import { serverForSuite } from "./lib/server.mjs";
import { acceptKey, BINARY, frame, Socket, upgradeBytes } from "./lib/websocket.mjs";

const PATH = "/parties/main/R";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

// Tells each newcomer what the room knows of it.
const INTRODUCE = lua`
local Introduce = {}

function Introduce:onConnect(connection, context)
  local request = context.request
  connection:send(json.encode({
    id = connection.id, uri = connection.uri, kind = connection.kind, isOpen = connection.isOpen,
    remoteAddress = connection.remoteAddress, tags = connection.tags, state = type(connection.state),
    bufferedAmount = connection.bufferedAmount,
    method = request.method, url = request.url, path = request.path, subpath = request.subpath,
    cookie = request.headers.cookie, token = request.query.token,
  }))
end

return Introduce
`;

// Holds the handshake until the room is told to go on.
const GATE = lua`
local Gate = {}

function Gate:onConnect(connection)
  connection:send("first")
  while not self.open do sleep(2) end
  connection:send("second")
end

function Gate:onMessage(message, connection)
  connection:send("got " .. message)
end

function Gate:onRequest(request)
  self.open = request.method == "POST"
  return Response("ok")
end

return Gate
`;

const FAILING = lua`
local Failing = {}

function Failing:onStart()
  error("no start")
end

function Failing:onConnect()
end

return Failing
`;

const FILES = {
  "parties/main.lua": ECHO,
  "parties/bare.lua": "return {}\n",
  "parties/introduce.lua": INTRODUCE,
  "parties/gate.lua": GATE,
  "parties/failing.lua": FAILING,
};

describe("the handshake", () => {
  const server = serverForSuite(FILES);

  it("answers 101 with the key of RFC 6455's example", async () => {
    const { response } = await server.upgrade(PATH, { key: "dGhlIHNhbXBsZSBub25jZQ==" });
    assert.equal(response.status, 101);
    assert.equal(response.reason, "Switching Protocols");
    assert.equal(response.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert.equal(response.header("sec-websocket-protocol"), undefined);
    assert.equal(response.header("sec-websocket-extensions"), undefined);
    assert.equal(response.header("content-type"), undefined);
  });

  it("takes the fields in any case and among others", async () => {
    for (const headers of [
      { Upgrade: "WebSocket" },
      { Upgrade: "WEBSOCKET" },
      { Connection: "upgrade" },
      { Connection: "keep-alive, Upgrade" },
      { Connection: "Upgrade,keep-alive" },
      { Connection: ["keep-alive", "Upgrade"] },
      { "Content-Length": "0" },
      { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" },
      { "Sec-WebSocket-Protocol": "unheard.of" },
    ]) {
      const { response, socket } = await server.upgrade(PATH, { headers });
      assert.equal(response.status, 101, JSON.stringify(headers));
      assert.equal(response.header("sec-websocket-extensions"), undefined);
      assert.equal(response.header("sec-websocket-protocol"), undefined);
      await socket.leave();
    }
  });

  it("takes them in lower case too, byte by byte", async () => {
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    const connection = await RawConnection.open(server);
    await connection.drip(
      `GET ${PATH} HTTP/1.1\r\nhost: ${server.host}\r\nconnection:upgrade\r\nupgrade:websocket\r\n` +
        `sec-websocket-version:13\r\nsec-websocket-key:${key}\r\n\r\n`,
    );
    const response = await connection.response();
    assert.equal(response.header("sec-websocket-accept"), acceptKey(key));
    connection.destroy();
  });

  it("opens rooms of parties that have no handlers", async () => {
    const socket = await server.socket("/parties/bare/R");
    socket.text("ignored");
    assert.deepEqual(await socket.fence(), []);
    await socket.leave();
  });

  it("works behind requests on the same connection", async () => {
    const connection = await RawConnection.open(server);
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    connection.write(
      Buffer.concat([
        requestBytes({ path: "/parties/main/other", host: server.host }),
        requestBytes({ path: "/nothing", host: server.host }),
        upgradeBytes(server.host, PATH, { key }),
        frame({ payload: "at once" }),
      ]),
    );
    assert.equal((await connection.response()).status, 200);
    assert.equal((await connection.response()).status, 404);
    const response = await connection.response();
    assert.equal(response.header("sec-websocket-accept"), acceptKey(key));
    assert.equal(await new Socket(connection).message(), "at once");
    connection.destroy();
  });

  async function refused(statuses, options, path = PATH) {
    const { response, connection } = await server.upgrade(path, options);
    assert.ok([statuses].flat().includes(response.status), `${JSON.stringify(options)}: ${response.status}`);
    connection.destroy();
    return response;
  }

  it("refuses other versions with 426 and the version that it speaks", async () => {
    for (const version of ["0", "7", "8", "12", "14", "99", "-13", "013", "thirteen", "13.0", "13, 8"]) {
      const response = await refused(426, { headers: { "Sec-WebSocket-Version": version } });
      assert.equal(response.header("sec-websocket-version"), "13");
    }
    const none = await refused([400, 426], { headers: { "Sec-WebSocket-Version": null } });
    if (none.status === 426) assert.equal(none.header("sec-websocket-version"), "13");
    await refused([400, 426], { headers: { "Sec-WebSocket-Version": ["13", "8"] } });
  });

  it("refuses keys that are none", async () => {
    for (const key of [
      null,
      "",
      "x",
      "dGhlIHNhbXBsZSBub25jZQ", // no padding
      "dGhlIHNhbXBsZSBub25jZQ=", // half of it
      "dGhlIHNhbXBsZSBub25jZQ===",
      "dGhlIHNhbXBsZSBub25jZ===",
      "dGhlIHNhbXBsZSBub25j", // 15 bytes
      "dGhlIHNhbXBsZSBub25jZWE=", // 17 bytes
      "dGhlIHNhbXBsZSBub25j!Q==",
      "dGhlIHNhbXBs ZSBub25jZQ==",
      "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
      ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="],
    ]) {
      await refused(400, { headers: { "Sec-WebSocket-Key": key } });
    }
  });

  it("refuses HTTP/1.0, bodies and other methods", async () => {
    await refused(400, { version: "HTTP/1.0" });
    await refused(400, { headers: { "Content-Length": "5" }, body: "hello" });
    await refused(400, { headers: { "Transfer-Encoding": "chunked" }, body: "5\r\nhello\r\n0\r\n\r\n" });
    for (const method of ["POST", "PUT", "HEAD", "OPTIONS"]) {
      const connection = await RawConnection.open(server);
      connection.write(upgradeBytes(server.host, PATH, { method, key: "dGhlIHNhbXBsZSBub25jZQ==" }));
      const response = await connection.response({ method });
      assert.ok([400, 405].includes(response.status), `${method}: ${response.status}`);
      connection.destroy();
    }
  });

  it("is no upgrade without Connection: upgrade", async () => {
    await refused([200, 400], { headers: { Connection: null } });
    await refused([200, 400], { headers: { Connection: "keep-alive" } });
  });

  it("is for rooms of parties", async () => {
    assert.equal((await refused(404, {}, "/parties/nope/R")).text, "Party nope not found");
    for (const path of ["/", "/parties/main", "/parties/main/", "/socket"]) {
      assert.equal((await refused(404, {}, path)).text, "Not found");
    }
    await refused(400, {}, "/parties/main/%ff");
    await refused(400, {}, "/parties/main/a%2Fb");
  });

  it("is refused with 500 when the room cannot start", async () => {
    const response = await refused(500, {}, "/parties/failing/R");
    assert.ok(!response.text.includes("no start"));
  });

  it("a refusal harms nothing: the room is as if it had not been asked", async () => {
    const witness = await server.socket(`${PATH}-w`);
    await refused(426, { headers: { "Sec-WebSocket-Version": "8" } }, `${PATH}-w`);
    await refused(400, { headers: { "Sec-WebSocket-Key": "x" } }, `${PATH}-w`);
    await refused(403, { headers: { Origin: "http://evil.example" } }, `${PATH}-w`);
    assert.deepEqual(await witness.fence(), []);
    assert.equal(await server.text(`${PATH}-w`), "1");
    witness.destroy();
  });

  it("frames that come in its packet are not lost", async () => {
    for (const more of [
      frame({ payload: "one" }),
      Buffer.concat([frame({ payload: "one" }), frame({ opcode: BINARY, payload: "two" }), frame({ payload: "three" })]),
    ]) {
      const { socket } = await server.upgrade(PATH, { more });
      assert.equal(await socket.message(), "one");
      if (more.length > 20) {
        assert.deepEqual(await socket.message(), Buffer.from("two"));
        assert.equal(await socket.message(), "three");
      }
      await socket.leave();
    }
    const part = frame({ payload: "split" });
    const { socket } = await server.upgrade(PATH, { more: part.subarray(0, 4) });
    socket.write(part.subarray(4));
    assert.equal(await socket.message(), "split");
    await socket.leave();
  });

  it("is answered when onConnect has returned; what came meanwhile waits", async () => {
    const path = `/parties/gate/${server.room()}`;
    const connection = await RawConnection.open(server);
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    connection.write(Buffer.concat([upgradeBytes(server.host, path, { key }), frame({ payload: "early" })]));
    await connection.flushed();
    assert.equal(await server.text(path), "ok"); // the room is awake and onConnect waits
    assert.equal(connection.buffer.length, 0, "nothing before onConnect has returned");
    await server.request(path, { method: "POST" });
    assert.equal((await connection.response()).status, 101);
    const socket = new Socket(connection);
    assert.equal(await socket.message(), "first");
    assert.equal(await socket.message(), "second");
    assert.equal(await socket.message(), "got early");
    await socket.leave();
  });

  it("may be given up while onConnect waits", async () => {
    const path = `/parties/gate/${server.room()}`;
    for (const how of ["destroy", "reset", "end"]) {
      const connection = await RawConnection.open(server);
      connection.write(upgradeBytes(server.host, path, { key: "dGhlIHNhbXBsZSBub25jZQ==" }));
      await connection.flushed();
      assert.equal(await server.text(path), "ok");
      connection[how]();
    }
    await server.request(path, { method: "POST" });
    const socket = await server.socket(path);
    assert.equal(await socket.message(), "first");
    await socket.leave();
  });
});

describe("what the room knows of a newcomer", () => {
  const server = serverForSuite(FILES);

  async function introduce(query = "", headers = {}) {
    const socket = await server.socket(`/parties/introduce/R${query}`, { headers });
    const seen = JSON.parse(await socket.message());
    socket.destroy();
    return seen;
  }

  it("its request", async () => {
    const seen = await introduce("/sub/path?token=a+b&_pk=me", { Cookie: "a=1; b=2" });
    assert.deepEqual(seen, {
      id: "me",
      uri: `${server.url}/parties/introduce/R/sub/path?token=a+b&_pk=me`,
      kind: "websocket",
      isOpen: true,
      remoteAddress: "127.0.0.1",
      tags: ["me"],
      state: "nil",
      bufferedAmount: seen.bufferedAmount,
      method: "GET",
      url: `${server.url}/parties/introduce/R/sub/path?token=a+b&_pk=me`,
      path: "/parties/introduce/R/sub/path",
      subpath: "/sub/path",
      cookie: "a=1; b=2",
      token: "a b",
    });
    assert.ok(Number.isInteger(seen.bufferedAmount) && seen.bufferedAmount >= 0);
  });

  it("its id: _pk, decoded, or a random UUID", async () => {
    for (const [query, id] of [
      ["?_pk=A", "A"],
      ["?_pk=a%20b%2F%C3%BC", "a b/ü"],
      ["?_pk=a+b", "a b"],
      ["?_pk=first&_pk=second", "first"],
      ["?x=1&_pk=behind", "behind"],
      [`?_pk=${"i".repeat(256)}`, "i".repeat(256)],
      [`?_pk=${"%C3%BC".repeat(128)}`, "ü".repeat(128)],
    ]) {
      assert.equal((await introduce(query)).id, id, query);
    }
    const ids = new Set();
    for (const query of ["", "", "?", "?_pk=", "?_pk", "?pk=A", "?_PK=A"]) {
      const { id, tags } = await introduce(query);
      assert.match(id, UUID, query);
      assert.deepEqual(tags, [id]);
      ids.add(id);
    }
    assert.equal(ids.size, 7);
  });

  it("ids that cannot be are refused with 400", async () => {
    for (const query of [`?_pk=${"i".repeat(257)}`, `?_pk=${"%69".repeat(257)}`, "?_pk=%ff", "?_pk=a%C3", "?_pk=%ED%A0%80"]) {
      const { response, connection } = await server.upgrade(`/parties/introduce/R${query}`);
      assert.equal(response.status, 400, query.slice(0, 30));
      connection.destroy();
    }
  });
});

describe("sub-protocols", () => {
  const server = serverForSuite({ ...FILES, "festa.lua": config({ subprotocols: ["chat.v2", "chat.v1"] }) });

  async function agreed(offer) {
    const socket = await server.socket(PATH, { headers: { "Sec-WebSocket-Protocol": offer } });
    socket.text("works");
    assert.equal(await socket.message(), "works");
    await socket.leave();
    return socket.response.header("sec-websocket-protocol");
  }

  it("one of the list that the client offers is agreed on", async () => {
    assert.equal(await agreed("chat.v1"), "chat.v1");
    assert.equal(await agreed("chat.v2"), "chat.v2");
    assert.equal(await agreed("foo, chat.v1"), "chat.v1");
    assert.equal(await agreed("foo,chat.v1 , bar"), "chat.v1");
    assert.equal(await agreed(["foo", "chat.v1"]), "chat.v1");
    assert.ok(["chat.v1", "chat.v2"].includes(await agreed("chat.v1, chat.v2")));
  });

  it("none is, when none fits", async () => {
    for (const offer of [null, "foo", "foo, bar", "chat", "chat.v", "chat.v11", "CHAT.V1", "xchat.v1"]) {
      assert.equal(await agreed(offer), undefined, String(offer));
    }
  });
});

describe("Origin, when nothing is configured: the same host, or none", () => {
  const server = serverForSuite(FILES);

  async function status(origin, host = server.host, more = {}) {
    const { response, connection } = await server.upgrade(PATH, { headers: { Host: host, Origin: origin, ...more } });
    connection.destroy();
    return response.status;
  }

  it("comes in", async () => {
    assert.equal(await status(null), 101, "no Origin");
    assert.equal(await status(`http://${server.host}`), 101);
    assert.equal(await status("http://festa.example", "festa.example"), 101);
    assert.equal(await status("https://festa.example", "festa.example"), 101, "behind a proxy that speaks TLS");
    assert.equal(await status("http://festa.example:8080", "festa.example:8080"), 101);
    assert.equal(await status("http://[::1]:8080", "[::1]:8080"), 101);
  });

  it("in any case", async () => {
    assert.equal(await status("HTTP://FESTA.EXAMPLE:8080", "festa.example:8080"), 101);
    assert.equal(await status("http://festa.example", "FESTA.example"), 101);
  });

  it("stays out", async () => {
    const port = server.port + 1;
    for (const [origin, host] of [
      ["http://evil.example"],
      ["null"],
      [`http://127.0.0.1:${port}`],
      ["http://127.0.0.1"],
      [`http://127.0.0.1:${server.port}0`],
      [`http://127.0.0.1.evil.example:${server.port}`],
      [`http://evil.example/${server.host}`],
      [`http://evil.example#${server.host}`],
      [`http://evil.example?${server.host}`],
      [`http://${server.host}@evil.example`],
      [`http://evil.example:${server.port}`],
      ["http://sub.festa.example", "festa.example"],
      ["http://festa.example", "sub.festa.example"],
      ["http://festa.example.evil", "festa.example"],
      ["http://evilfesta.example", "festa.example"],
      ["http://festa.example:81", "festa.example"],
      ["http://festa.example", "festa.example:81"],
      ["file://"],
      ["garbage"],
      ["http://"],
    ]) {
      assert.equal(await status(origin, host), 403, `${origin} at ${host ?? server.host}`);
    }
  });

  it("two Origins are refused", async () => {
    const code = await status([`http://${server.host}`, "http://evil.example"]);
    assert.ok([400, 403].includes(code), String(code));
  });

  it("is no matter for plain requests", async () => {
    const response = await server.request(PATH, { headers: { Origin: "http://evil.example" } });
    assert.equal(response.status, 200);
  });
});

describe("Origin, with allowedOrigins", () => {
  const server = serverForSuite({
    ...FILES,
    "festa.lua": config({ allowedOrigins: ["https://app.example", "http://localhost:5173"] }),
  });

  async function status(origin) {
    const { response, connection } = await server.upgrade(PATH, { headers: { Origin: origin } });
    connection.destroy();
    return response.status;
  }

  it("those of the list come in", async () => {
    for (const origin of ["https://app.example", "http://localhost:5173"]) assert.equal(await status(origin), 101, origin);
  });

  it("others stay out", async () => {
    for (const origin of [
      "http://app.example",
      "https://app.example:8443",
      "https://sub.app.example",
      "https://app.example.evil",
      "https://evilapp.example",
      "http://localhost",
      "http://localhost:51730",
      "https://localhost:5173",
      "null",
      "https://evil.example",
    ]) {
      assert.equal(await status(origin), 403, origin);
    }
  });
});

describe('Origin, with allowedOrigins = { "*" }', () => {
  const server = serverForSuite({ ...FILES, "festa.lua": config({ allowedOrigins: ["*"] }) });

  it("everybody comes in", async () => {
    for (const origin of [null, "https://anything.example", "null", "file://", `http://${server.host}`]) {
      const { response, connection } = await server.upgrade(PATH, { headers: { Origin: origin } });
      assert.equal(response.status, 101, String(origin));
      connection.destroy();
    }
  });
});
