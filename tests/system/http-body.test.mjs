// Bodies: by length and in chunks, with trailers, expected and unexpected; HEAD and OPTIONS.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { chunked, requestBytes } from "./lib/raw.mjs";
import { serverForSuite } from "./lib/server.mjs";

const PATH = "/parties/main/R";

// Sends the body back as it is; GET sends a body of its own.
const BODY = lua`
local Body = {}

function Body:onRequest(request)
  if request.method == "POST" then
    return Response(request.body, { headers = { ["X-Trailer"] = request.headers["x-trailer"] or "none" } })
  end
  return Response("hello", { headers = { ["X-Method"] = request.method } })
end

return Body
`;

describe("request bodies", () => {
  const server = serverForSuite({ "parties/main.lua": BODY, "festa.lua": config({ limits: { body: 3000000 } }) });

  async function post(bytes) {
    const connection = await server.connect();
    connection.write(bytes);
    const response = await connection.response();
    connection.destroy();
    return response;
  }

  function chunkedRequest(body, headers = {}) {
    return requestBytes({
      method: "POST",
      path: PATH,
      host: server.host,
      headers: { "Transfer-Encoding": "chunked", ...headers },
      body: Buffer.from(body, "latin1"),
    });
  }

  it("come through by length, whatever bytes they have", async () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    for (const body of [Buffer.alloc(0), Buffer.from("x"), all, Buffer.alloc(65536, 0xff), Buffer.alloc(2500000, "ab")]) {
      const response = await server.request(PATH, { method: "POST", body });
      assert.equal(response.status, 200);
      assert.ok(response.body.equals(body), `${body.length} bytes`);
    }
  });

  it("come through in chunks", async () => {
    const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
    for (const chunks of [[], ["a"], ["hello", " ", "world"], [all, all], ["x".repeat(100000), "y"], Array(3000).fill("z")]) {
      const response = await post(chunkedRequest(chunked(...chunks)));
      assert.equal(response.status, 200);
      assert.equal(response.body.toString("latin1"), chunks.join(""));
    }
  });

  it("come through in chunks written in any legal way", async () => {
    for (const [body, text] of [
      ["A\r\n0123456789\r\n0\r\n\r\n", "0123456789"],
      ["a\r\n0123456789\r\n0\r\n\r\n", "0123456789"],
      ["0005\r\nhello\r\n000\r\n\r\n", "hello"],
      ["5;ext\r\nhello\r\n0\r\n\r\n", "hello"],
      ["5;ext=value;other=\"quoted text\"\r\nhello\r\n0;last\r\n\r\n", "hello"],
      ["5\r\nhello\r\n0\r\nX-Trailer: yes\r\nAnother: one\r\n\r\n", "hello"],
      ["5\r\n\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n"],
    ]) {
      const connection = await server.connect();
      connection.write(Buffer.concat([chunkedRequest(body), requestBytes({ path: PATH, host: server.host })]));
      const response = await connection.response();
      assert.equal(response.status, 200, body);
      assert.equal(response.text, text, body);
      assert.equal(response.header("x-trailer"), "none", "trailers are no headers");
      assert.equal((await connection.response()).text, "hello", "the next request");
      connection.destroy();
    }
  });

  it("come through byte by byte", async () => {
    for (const bytes of [
      requestBytes({ method: "POST", path: PATH, host: server.host, body: "hello world" }),
      chunkedRequest("5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: x\r\n\r\n"),
    ]) {
      const connection = await server.connect();
      await connection.drip(bytes);
      assert.equal((await connection.response()).text, "hello world");
      connection.destroy();
    }
  });

  it("are refused when the chunks are broken", async () => {
    for (const body of [
      "x\r\nhello\r\n0\r\n\r\n",
      "-5\r\nhello\r\n0\r\n\r\n",
      "+5\r\nhello\r\n0\r\n\r\n",
      "0x5\r\nhello\r\n0\r\n\r\n",
      "\r\nhello\r\n0\r\n\r\n",
      ";ext\r\nhello\r\n0\r\n\r\n",
      "5\r\nhelloX\r\n0\r\n\r\n",
      "5\r\nhello0\r\n\r\n",
      "5\r\nhello\n0\r\n\r\n",
      "5\nhello\r\n0\r\n\r\n",
      "5\rhello\r\n0\r\n\r\n",
      "5;a\nb\r\nhello\r\n0\r\n\r\n",
      "5;a\x00b\r\nhello\r\n0\r\n\r\n",
      "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
      "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
      "5\r\nhello\r\n0\r\nX: y\r\n folded\r\n\r\n",
      "5\r\nhello\r\n0\r\nX: y\nZ: z\r\n\r\n",
      "5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
      "5\r\nhello\r\n0\r\n: empty name\r\n\r\n",
    ]) {
      const connection = await server.connect();
      connection.write(Buffer.concat([chunkedRequest(body), requestBytes({ path: PATH, host: server.host })]));
      const response = await connection.response();
      assert.equal(response.status, 400, JSON.stringify(body));
      assert.ok(response.closes, JSON.stringify(body));
      await connection.closesSilently();
    }
  });

  it("are refused when a chunk's size does not fit any number", async () => {
    for (const size of ["FFFFFFFFFFFFFFFF", "10000000000000000", "FFFFFFFFFFFFFFFFF", "7FFFFFFFFFFFFFFF", `${"0".repeat(64)}F${"0".repeat(16)}`]) {
      const response = await post(chunkedRequest(`${size}\r\nhello`));
      assert.ok([400, 413].includes(response.status), `${size}: ${response.status}`);
      assert.ok(response.closes);
    }
  });

  it("may be announced by a field that is written in any legal way", async () => {
    for (const line of ["Transfer-Encoding: Chunked", "transfer-encoding:chunked", "TRANSFER-ENCODING: CHUNKED", "Transfer-Encoding:  chunked "]) {
      const response = await post(
        Buffer.from(`POST ${PATH} HTTP/1.1\r\nHost: ${server.host}\r\n${line}\r\n\r\n${chunked("hello")}`, "latin1"),
      );
      assert.deepEqual([response.status, response.text], [200, "hello"], line);
    }
    for (const line of ["Content-Length: 005", "content-length:5", "CONTENT-LENGTH:\t5 "]) {
      const response = await post(Buffer.from(`POST ${PATH} HTTP/1.1\r\nHost: ${server.host}\r\n${line}\r\n\r\nhello`));
      assert.deepEqual([response.status, response.text], [200, "hello"], line);
    }
  });

  it("of a GET is read, and does not become the next request", async () => {
    const connection = await server.connect();
    connection.send({ path: PATH, body: "GET /parties/main/evil HTTP/1.1\r\n\r\n" });
    connection.send({ path: PATH });
    assert.equal((await connection.response()).text, "hello");
    assert.equal((await connection.response()).text, "hello");
    connection.destroy();
  });
});

describe("Expect: 100-continue", () => {
  const server = serverForSuite({ "parties/main.lua": BODY, "festa.lua": config({ limits: { body: 100000 } }) });

  it("is answered before the body is sent", async () => {
    for (const value of ["100-continue", "100-Continue"]) {
      const connection = await server.connect();
      connection.send({ method: "POST", path: PATH, headers: { Expect: value, "Content-Length": "5" } });
      await connection.until(() => (connection.buffer.includes("\r\n\r\n") ? true : undefined), "100 Continue");
      assert.match(connection.buffer.toString("latin1"), /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
      connection.write("hello");
      const response = await connection.response();
      assert.equal(response.text, "hello");
      assert.deepEqual(
        response.informational.map((r) => r.status),
        [100],
      );
      connection.destroy();
    }
  });

  it("works with chunks too", async () => {
    const connection = await server.connect();
    connection.send({ method: "POST", path: PATH, headers: { Expect: "100-continue", "Transfer-Encoding": "chunked" } });
    await connection.until(() => (connection.buffer.includes("\r\n\r\n") ? true : undefined), "100 Continue");
    connection.write(chunked("hel", "lo"));
    const response = await connection.response();
    assert.deepEqual([response.status, response.text], [200, "hello"]);
    connection.destroy();
  });

  it("is refused without a 100 when the body would be too large", async () => {
    const connection = await server.connect();
    connection.send({ method: "POST", path: PATH, headers: { Expect: "100-continue", "Content-Length": "100001" } });
    const response = await connection.response();
    assert.equal(response.status, 413);
    assert.deepEqual(response.informational, []);
    assert.ok(response.closes);
    await connection.closesSilently();
  });

  it("of a client of HTTP/1.0 is ignored", async () => {
    const connection = await server.connect();
    connection.send({
      method: "POST",
      path: PATH,
      version: "HTTP/1.0",
      headers: { Expect: "100-continue" },
      body: "hello",
    });
    const response = await connection.response();
    assert.deepEqual([response.status, response.text, response.informational], [200, "hello", []]);
    connection.destroy();
  });

  it("comes in its turn in a pipeline", async () => {
    const connection = await server.connect();
    connection.send({ path: PATH });
    connection.send({ method: "POST", path: PATH, headers: { Expect: "100-continue", "Content-Length": "5" } });
    const first = await connection.response();
    assert.deepEqual([first.text, first.informational], ["hello", []]);
    await connection.until(() => (connection.buffer.includes("\r\n\r\n") ? true : undefined), "100 Continue");
    connection.write("world");
    assert.equal((await connection.response()).text, "world");
    connection.destroy();
  });

  it("may be left out by a client that sends its body at once", async () => {
    const connection = await server.connect();
    connection.send({ method: "POST", path: PATH, headers: { Expect: "100-continue" }, body: "hello" });
    assert.equal((await connection.response()).text, "hello");
    connection.send({ path: PATH });
    assert.equal((await connection.response()).text, "hello");
    connection.destroy();
  });

  it("of something else is refused or ignored, and never kept waiting", async () => {
    const connection = await server.connect();
    connection.send({ method: "POST", path: PATH, headers: { Expect: "a-pony" }, body: "hello" });
    const response = await connection.response();
    assert.ok([200, 417].includes(response.status), String(response.status));
    connection.destroy();
  });
});

describe("HEAD and OPTIONS", () => {
  const server = serverForSuite({ "parties/main.lua": BODY });

  it("HEAD runs the script and sends the head alone", async () => {
    const connection = await server.connect();
    for (let n = 0; n < 3; n++) {
      connection.send({ method: "HEAD", path: PATH });
      const response = await connection.response({ method: "HEAD" });
      assert.equal(response.status, 200);
      assert.equal(response.header("x-method"), "HEAD");
      assert.equal(response.header("content-length"), "5");
      assert.equal(response.header("content-type"), "text/plain;charset=UTF-8");
    }
    for (const path of ["/nothing", "/parties/nope/R"]) {
      connection.send({ method: "HEAD", path });
      assert.equal((await connection.response({ method: "HEAD" })).status, 404);
    }
    connection.send({ path: PATH });
    assert.equal((await connection.response()).text, "hello");
    connection.destroy();
  });

  it("a refused HEAD has no body either", async () => {
    const connection = await server.connect();
    connection.write("HEAD / HTTP/1.1\r\n\r\n");
    const response = await connection.response({ method: "HEAD" });
    assert.equal(response.status, 400);
    await connection.closesSilently();
  });

  it("OPTIONS of a room goes to the script", async () => {
    const response = await server.request(PATH, { method: "OPTIONS" });
    assert.equal(response.text, "hello");
    assert.equal(response.header("x-method"), "OPTIONS");
    assert.equal(response.header("access-control-allow-origin"), undefined);
  });

  it("OPTIONS * is about the server", async () => {
    const connection = await server.connect();
    connection.send({ method: "OPTIONS", path: "*" });
    const response = await connection.response();
    assert.ok([200, 204].includes(response.status), String(response.status));
    assert.match(response.header("allow") ?? "", /GET/);
    connection.send({ path: PATH });
    assert.equal((await connection.response()).text, "hello");
    connection.destroy();
  });
});
