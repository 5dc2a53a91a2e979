// What a request may cost: URL, headers, body, chunk extensions, time.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MIRROR } from "./lib/parties.mjs";
import { config } from "./lib/project.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { serverForSuite } from "./lib/server.mjs";

const PATH = "/parties/main/R";

// The answer is this status, says that it is the last, and is.
async function refused(connection, ...statuses) {
  const response = await connection.response();
  assert.ok(statuses.includes(response.status), `${response.status} instead of ${statuses.join(" or ")}`);
  assert.ok(response.closes, `Connection: close with ${response.status}`);
  await connection.closesSilently();
}

describe("the limits of a request, as they are without configuration", () => {
  const server = serverForSuite({ "parties/main.lua": MIRROR });

  it("URL: 8 KiB", async () => {
    const under = `${PATH}?x=${"a".repeat(8000)}`;
    assert.equal((await server.request(under)).status, 200);
    const connection = await server.connect();
    connection.send({ path: `${PATH}?x=${"a".repeat(8192)}` });
    await refused(connection, 414);
  });

  it("headers: 16 KiB", async () => {
    assert.equal((await server.request(PATH, { headers: { X: "a".repeat(15000) } })).status, 200);
    const connection = await server.connect();
    connection.send({ path: PATH, headers: { X: "a".repeat(16384) } });
    await refused(connection, 431);
  });

  it("body: 10 MiB, refused before it is sent", async () => {
    const connection = await server.connect();
    connection.send({ method: "POST", path: PATH, headers: { "Content-Length": String(10 * 1024 * 1024 + 1) } });
    await refused(connection, 413);
    const body = Buffer.alloc(10 * 1024 * 1024, "x");
    assert.match(await server.text(PATH, { method: "POST", body }), /^POST - 10485760 /);
  });
});

describe("the limits of a request, configured", () => {
  const server = serverForSuite({
    "parties/main.lua": MIRROR,
    "festa.lua": config({ limits: { url: 200, headers: 1000, body: 1000 } }),
  });

  const target = (length) => `${PATH}?x=`.padEnd(length, "a");

  it("URL: the last byte that fits, and the first that does not", async () => {
    assert.equal((await server.request(target(200))).status, 200);
    const connection = await server.connect();
    connection.send({ path: target(201) });
    await refused(connection, 414);
  });

  it("URL: without an end", async () => {
    const connection = await server.connect();
    connection.write(`GET /${"a".repeat(5000)}`);
    await refused(connection, 414);
    const slow = await server.connect();
    await slow.drip(`GET /${"a".repeat(5000)}`);
    await refused(slow, 414);
  });

  it("headers: one that is long, many that are short, and one without an end", async () => {
    const { host } = server;
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`A${n}`, ""]));
    for (const bytes of [
      requestBytes({ path: PATH, host, headers: { X: "a".repeat(1100) } }),
      requestBytes({ path: PATH, host, headers: { ["X".repeat(1100)]: "a" } }),
      requestBytes({ path: PATH, host, headers: many }),
      Buffer.from(`GET ${PATH} HTTP/1.1\r\nHost: ${host}\r\nX: ${"a".repeat(5000)}`),
      Buffer.from(`GET ${PATH} HTTP/1.1\r\nHost: ${host}\r\n${"X".repeat(5000)}`),
    ]) {
      const connection = await server.connect();
      connection.write(bytes);
      await refused(connection, 431);
      const slow = await server.connect();
      await slow.drip(bytes);
      await refused(slow, 431);
    }
    assert.equal((await server.request(PATH, { headers: { X: "a".repeat(700) } })).status, 200);
  });

  it("body: by length, the last byte that fits and the first that does not", async () => {
    assert.match(await server.text(PATH, { method: "POST", body: "x".repeat(1000) }), /^POST - 1000 /);
    const connection = await server.connect();
    connection.send({ method: "POST", path: PATH, body: "x".repeat(1001) });
    await refused(connection, 413);
  });

  it("body: in chunks, counted without their frame", async () => {
    const headers = { "Transfer-Encoding": "chunked" };
    const fits = `${"1\r\nx\r\n".repeat(1000)}0\r\n\r\n`;
    assert.match(await server.text(PATH, { method: "POST", headers, body: fits }), /^POST - 1000 /);
    for (const body of [`${"1\r\nx\r\n".repeat(1001)}0\r\n\r\n`, `${"1\r\nx\r\n".repeat(1001)}`, "3e9\r\n", "FFFFFFF\r\nxxx"]) {
      const connection = await server.connect();
      connection.write(requestBytes({ method: "POST", path: PATH, host: server.host, headers, body }));
      await refused(connection, 413);
    }
  });

  it("body: the refusal reaches a client that is still sending", async () => {
    for (let n = 0; n < 10; n++) {
      const connection = await server.connect();
      connection.send({ method: "POST", path: PATH, body: Buffer.alloc(3000000, "x") });
      const response = await connection.response();
      assert.equal(response.status, 413);
      await connection.closed();
    }
  });

  it("body: that of a request which is refused for its room is not kept for the next", async () => {
    const connection = await server.connect();
    connection.send({ method: "POST", path: "/parties/nope/R", body: "x".repeat(900) });
    connection.send({ path: PATH });
    assert.equal((await connection.response()).status, 404);
    assert.equal((await connection.response()).status, 200);
    connection.destroy();
  });

  it("chunk extensions and trailers are bounded in all", async () => {
    const { host } = server;
    const head = `POST ${PATH} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    for (const body of [
      `1;${"e".repeat(20000)}\r\nx\r\n0\r\n\r\n`, // one long
      `1;${"e".repeat(300)}\r\nx\r\n`.repeat(100), // many short
      `1;${"e".repeat(200000)}`, // without an end
      `0\r\nT: ${"t".repeat(20000)}\r\n\r\n`,
      `0\r\n${"T: trailer\r\n".repeat(2000)}\r\n`,
      `0\r\nT: ${"t".repeat(200000)}`,
      `${"0".repeat(20000)}1\r\nx\r\n0\r\n\r\n`, // a size with leading zeros
    ]) {
      const connection = await server.connect();
      connection.write(head + body);
      await refused(connection, 400, 413, 431);
    }
    const connection = await server.connect();
    connection.write(`${head}1;ext=1\r\nx\r\n0;ext=2\r\nT: trailer\r\n\r\n`);
    assert.equal((await connection.response()).text, "POST - 1 [x]");
    connection.destroy();
  });
});

// All at once: they wait for most of their time, which is to be enough for what is meant to be in time on a machine
// that is busy.
describe("the time for a request", { concurrency: true }, () => {
  const server = serverForSuite({
    "parties/main.lua": MIRROR,
    "festa.lua": config({ limits: { headerTimeout: 2000, bodyTimeout: 2000, idleTimeout: 2000 } }),
  });

  it("head: 408 when it does not come", async () => {
    await Promise.all(["G", "GET /parties/main/R", `GET ${PATH} HTTP/1.1\r\nHost: x\r\n`].map(async (bytes) => {
      const connection = await server.connect();
      connection.write(bytes);
      await refused(connection, 408);
    }));
  });

  it("head: 408 when it comes byte by byte", async () => {
    const connection = await server.connect();
    const bytes = Buffer.from(`GET ${PATH} HTTP/1.1\r\nHost: x\r\nX: ${"slow".repeat(1000)}`);
    let n = 0;
    const timer = setInterval(() => {
      if (n < bytes.length) connection.write(bytes.subarray(n, ++n));
    }, 20);
    try {
      const response = await connection.response();
      assert.equal(response.status, 408);
      assert.ok(n < bytes.length);
    } finally {
      clearInterval(timer);
      connection.destroy();
    }
  });

  it("head: the second of a connection has its time too", async () => {
    const connection = await server.connect();
    connection.send({ path: PATH });
    assert.equal((await connection.response()).status, 200);
    connection.write("GET / HT");
    await refused(connection, 408);
  });

  it("body: 408 when it does not come", async () => {
    const parts = [
      [{ "Content-Length": "10" }, ""],
      [{ "Content-Length": "10" }, "half"],
      [{ "Transfer-Encoding": "chunked" }, "5\r\nhel"],
      [{ "Transfer-Encoding": "chunked" }, "5\r\nhello\r\n0\r\n"],
    ];
    await Promise.all(parts.map(async ([headers, part]) => {
      const connection = await server.connect();
      connection.send({ method: "POST", path: PATH, headers });
      connection.write(part);
      await refused(connection, 408);
    }));
  });

  it("body: 408 after a 100 Continue that got no body", async () => {
    const connection = await server.connect();
    connection.send({ method: "POST", path: PATH, headers: { Expect: "100-continue", "Content-Length": "5" } });
    const response = await connection.response();
    assert.equal(response.status, 408);
    await connection.closesSilently();
  });

  it("idle: the connection ends without a word", async () => {
    const connection = await server.connect();
    connection.send({ path: PATH });
    assert.equal((await connection.response()).status, 200);
    await connection.closesSilently();
  });

  it("idle: a connection that never said anything ends too", async () => {
    const connection = await server.connect();
    await connection.closed();
    if (connection.buffer.length > 0) assert.equal((await connection.response()).status, 408);
  });

  it("does not run while a handler works", async () => {
    const connection = await server.connect();
    connection.send({ path: `${PATH}?n=1&sleep=5000` });
    assert.equal((await connection.response()).text, "GET 1 0 []");
    connection.send({ path: `${PATH}?n=2` });
    assert.equal((await connection.response()).text, "GET 2 0 []");
    connection.destroy();
  });

  it("does not end a WebSocket", async () => {
    const socket = await server.socket(PATH);
    const other = await server.connect();
    other.send({ path: `${PATH}?sleep=5000` }); // more than twice as long
    await other.response();
    assert.deepEqual(await socket.fence(), []);
    await socket.leave();
    other.destroy();
  });
});
