// Connections that carry more than one request: keep-alive, pipelining, and their end.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { MIRROR } from "./lib/parties.mjs";
import { chunked, requestBytes } from "./lib/raw.mjs";
import { serverForSuite } from "./lib/server.mjs";

const PATH = "/parties/main/R";

// Keeps what it is told in the order in which it was told.
const LIST = lua`
local List = {}

function List:onStart()
  self.list = {}
end

function List:onRequest(request)
  if request.method == "POST" then
    table.insert(self.list, request.body)
  end
  return Response(table.concat(self.list, ","))
end

return List
`;

describe("keep-alive", () => {
  const server = serverForSuite({ "parties/main.lua": MIRROR });

  it("answers one request after the other on a connection", async () => {
    const connection = await server.connect();
    for (let n = 1; n <= 20; n++) {
      connection.send({ method: "POST", path: `${PATH}?n=${n}`, body: `body ${n}` });
      const response = await connection.response();
      assert.equal(response.text, `POST ${n} ${`body ${n}`.length} [body ${n}]`);
      assert.ok(!response.closes);
    }
    connection.destroy();
  });

  it("goes on across rooms, parties and errors of the application", async () => {
    const connection = await server.connect();
    for (const [path, status] of [
      [PATH, 200],
      ["/parties/nope/R", 404],
      ["/parties/main/another", 200],
      ["/nothing", 404],
      ["/party/R", 200],
    ]) {
      connection.send({ path });
      const response = await connection.response();
      assert.equal(response.status, status, path);
      assert.ok(!response.closes, path);
    }
    connection.destroy();
  });

  it("ends with Connection: close, in any case and among others", async () => {
    for (const value of ["close", "Close", "CLOSE", "foo, close", "close , foo", ["foo", "close"]]) {
      const connection = await server.connect();
      connection.send({ path: PATH, headers: { Connection: value } });
      const response = await connection.response();
      assert.equal(response.status, 200);
      assert.ok(response.closes, `Connection: ${value}`);
      await connection.closesSilently();
    }
  });

  it("ends after a request of HTTP/1.0, which needs no Host", async () => {
    const connection = await server.connect();
    connection.write(requestBytes({ path: PATH, version: "HTTP/1.0" }));
    const response = await connection.response();
    assert.equal(response.status, 200);
    assert.ok(response.closes);
    await connection.closesSilently();
  });

  it("goes on after a request of HTTP/1.0 that asks for it, and says so", async () => {
    const connection = await server.connect();
    for (let n = 0; n < 3; n++) {
      connection.send({ path: PATH, version: "HTTP/1.0", headers: { Connection: "keep-alive" } });
      const response = await connection.response();
      assert.equal(response.status, 200);
      assert.match(response.header("connection") ?? "", /keep-alive/i);
    }
    connection.destroy();
  });

  it("answers a client that has ended its side", async () => {
    const connection = await server.connect();
    connection.send({ path: `${PATH}?sleep=100` });
    connection.end();
    assert.equal((await connection.response()).status, 200);
    await connection.closesSilently();
  });

  it("ends quietly when the client does, between requests and within one", async () => {
    const idle = await server.connect();
    idle.end();
    await idle.closesSilently();

    const used = await server.connect();
    used.send({ path: PATH });
    await used.response();
    used.end();
    await used.closesSilently();

    const half = await server.connect();
    half.write("GET /parties/main/R HTTP/1.1\r\nHost: ");
    half.end();
    await half.closed();
  });

  it("survives clients that go away while their handler waits", async () => {
    const gone = [];
    for (let n = 0; n < 20; n++) {
      const connection = await server.connect();
      connection.send({ path: `${PATH}?sleep=50` });
      await connection.flushed();
      gone.push(connection);
    }
    for (const [n, connection] of gone.entries()) n % 2 ? connection.reset() : connection.destroy();
    assert.equal((await server.request(`${PATH}?sleep=60`)).status, 200);
  });

  it("takes an empty line before a request", async () => {
    const connection = await server.connect();
    connection.send({ path: PATH });
    await connection.response();
    connection.write("\r\n"); // what some clients send after a body
    connection.send({ path: PATH });
    assert.equal((await connection.response()).status, 200);
    connection.destroy();
  });
});

describe("pipelining", () => {
  const server = serverForSuite({ "parties/main.lua": MIRROR, "parties/list.lua": LIST });

  it("answers in the order of the requests", async () => {
    const connection = await server.connect();
    const requests = [];
    for (let n = 0; n < 200; n++) requests.push(requestBytes({ path: `${PATH}?n=${n}`, host: server.host }));
    connection.write(Buffer.concat(requests));
    for (let n = 0; n < 200; n++) assert.equal((await connection.response()).text, `GET ${n} 0 []`);
    connection.destroy();
  });

  it("answers in order when earlier handlers wait longer", async () => {
    const connection = await server.connect();
    const waits = [120, 60, 0, 30, 1, 0, 90];
    connection.write(
      Buffer.concat(
        waits.map((ms, n) => requestBytes({ path: `/parties/main/r${n % 3}?n=${n}&sleep=${ms}`, host: server.host })),
      ),
    );
    for (let n = 0; n < waits.length; n++) assert.equal((await connection.response()).text, `GET ${n} 0 []`);
    connection.destroy();
  });

  it("gives requests of one connection to a room in their order", async () => {
    const room = `/parties/list/${server.room()}`;
    const connection = await server.connect();
    const bytes = [];
    for (let n = 0; n < 50; n++) {
      bytes.push(requestBytes({ method: "POST", path: room, host: server.host, body: String(n) }));
      bytes.push(requestBytes({ path: room, host: server.host }));
    }
    connection.write(Buffer.concat(bytes));
    const told = [];
    for (let n = 0; n < 50; n++) {
      told.push(n);
      assert.equal((await connection.response()).text, told.join(","));
      assert.equal((await connection.response()).text, told.join(","));
    }
    connection.destroy();
  });

  it("mixes methods, bodies and sizes", async () => {
    const connection = await server.connect();
    const { host } = server;
    connection.write(
      Buffer.concat([
        requestBytes({ method: "HEAD", path: `${PATH}?n=1`, host }),
        requestBytes({ method: "POST", path: `${PATH}?n=2`, host, body: "abc" }),
        requestBytes({ path: `${PATH}?size=300000`, host }),
        requestBytes({
          method: "POST",
          path: `${PATH}?n=4`,
          host,
          headers: { "Transfer-Encoding": "chunked" },
          body: chunked("de", "f"),
        }),
        requestBytes({ path: "/nothing", host }),
        requestBytes({ method: "OPTIONS", path: `${PATH}?n=6`, host }),
      ]),
    );
    assert.equal((await connection.response({ method: "HEAD" })).status, 200);
    assert.equal((await connection.response()).text, "POST 2 3 [abc]");
    assert.equal((await connection.response()).body.length, 300000);
    assert.equal((await connection.response()).text, "POST 4 3 [def]");
    assert.equal((await connection.response()).status, 404);
    assert.equal((await connection.response()).text, "OPTIONS 6 0 []");
    connection.destroy();
  });

  it("reads requests that are split anywhere", async () => {
    const { host } = server;
    const bytes = Buffer.concat([
      requestBytes({ path: `${PATH}?n=1`, host }),
      requestBytes({ method: "POST", path: `${PATH}?n=2`, host, body: "hello" }),
      requestBytes({
        method: "POST",
        path: `${PATH}?n=3`,
        host,
        headers: { "Transfer-Encoding": "chunked", Connection: "close" },
        body: chunked("ab", "c"),
      }),
    ]);
    for (let at = 1; at < bytes.length; at += 3) {
      const connection = await server.connect();
      connection.write(bytes.subarray(0, at));
      await connection.flushed();
      connection.write(bytes.subarray(at));
      assert.equal((await connection.response()).text, "GET 1 0 []", `split at ${at}`);
      assert.equal((await connection.response()).text, "POST 2 5 [hello]", `split at ${at}`);
      assert.equal((await connection.response()).text, "POST 3 3 [abc]", `split at ${at}`);
      await connection.closesSilently();
    }
  });

  it("sends the good answers first, then refuses the bad request and ends", async () => {
    for (const bad of ["garbage\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/3.0\r\nHost: x\r\n\r\n"]) {
      const connection = await server.connect();
      const { host } = server;
      connection.write(
        Buffer.concat([
          requestBytes({ path: `${PATH}?n=1&sleep=80`, host }),
          requestBytes({ path: `${PATH}?n=2`, host }),
          Buffer.from(bad),
          requestBytes({ path: `${PATH}?n=4`, host }),
        ]),
      );
      assert.equal((await connection.response()).text, "GET 1 0 []");
      assert.equal((await connection.response()).text, "GET 2 0 []");
      const response = await connection.response();
      assert.equal(response.status, bad.includes("3.0") ? 505 : 400);
      assert.ok(response.closes);
      await connection.closesSilently();
    }
  });

  it("sends the good answer alone when bytes follow a request with Connection: close", async () => {
    const { host } = server;
    const good = requestBytes({ path: `${PATH}?n=1&sleep=30`, host, headers: { Connection: "close" } });
    for (const after of [requestBytes({ path: `${PATH}?n=2`, host }), Buffer.from("\x00garbage\r\n"), Buffer.from("\r\n")]) {
      const connection = await server.connect();
      connection.write(Buffer.concat([good, after]));
      const response = await connection.response();
      assert.equal(response.text, "GET 1 0 []");
      assert.ok(response.closes);
      await connection.closesSilently();
    }
  });

  it("does not give the room what came after Connection: close", async () => {
    const room = `/parties/list/${server.room()}`;
    const { host } = server;
    const connection = await server.connect();
    connection.write(
      Buffer.concat([
        requestBytes({ method: "POST", path: room, host, body: "1", headers: { Connection: "close" } }),
        requestBytes({ method: "POST", path: room, host, body: "2" }),
      ]),
    );
    await connection.response();
    await connection.closesSilently();
    assert.equal(await server.text(room), "1");
  });
});

describe("an Upgrade that is none of ours", () => {
  const server = serverForSuite({ "parties/main.lua": MIRROR });
  const H2C = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA" };

  it("is answered as if it were not there, and what follows is not lost", async () => {
    const { host } = server;
    const connection = await server.connect();
    connection.write(
      Buffer.concat([
        requestBytes({ path: `${PATH}?n=1`, host, headers: H2C }),
        requestBytes({ path: `${PATH}?n=2`, host }),
        requestBytes({ method: "POST", path: `${PATH}?n=3`, host, headers: H2C, body: "abc" }),
        requestBytes({ path: `${PATH}?n=4`, host, headers: { Connection: "Upgrade", Upgrade: "TLS/1.0" } }),
        requestBytes({ path: `${PATH}?n=5`, host, headers: { Connection: "Upgrade" } }),
        requestBytes({
          method: "POST",
          path: `${PATH}?n=6`,
          host,
          headers: { ...H2C, "Transfer-Encoding": "chunked" },
          body: chunked("de", "f"),
        }),
        requestBytes({ path: `${PATH}?n=7`, host }),
      ]),
    );
    const answers = [];
    for (let n = 0; n < 7; n++) {
      const response = await connection.response();
      assert.equal(response.header("upgrade"), undefined);
      answers.push(response.text);
    }
    assert.deepEqual(answers, [
      "GET 1 0 []",
      "GET 2 0 []",
      "POST 3 3 [abc]",
      "GET 4 0 []",
      "GET 5 0 []",
      "POST 6 3 [def]",
      "GET 7 0 []",
    ]);
    connection.destroy();
  });

  it("does not hide a body that comes later", async () => {
    const connection = await server.connect();
    connection.send({ method: "POST", path: `${PATH}?n=1`, headers: { ...H2C, "Content-Length": "5" } });
    await connection.flushed();
    connection.write("hello");
    assert.equal((await connection.response()).text, "POST 1 5 [hello]");
    connection.destroy();
  });
});

describe("a client that sends requests and never reads", () => {
  const server = serverForSuite(
    { "parties/main.lua": MIRROR, "festa.lua": config({ limits: { message: 65536, queue: 262144 } }) },
    { measured: true },
  );

  it("does not make the server keep the answers in memory", async () => {
    await server.request(`${PATH}?size=100000`);
    const before = server.memory();
    const connection = await server.connect();
    connection.pause();
    const request = requestBytes({ path: `${PATH}?size=100000`, host: server.host });
    for (let n = 0; n < 2000; n++) connection.write(request); // 200 MB of answers
    for (let n = 0; n < 200; n++) assert.equal((await server.request(PATH)).status, 200);
    const grown = server.memory() - before;
    connection.destroy();
    assert.ok(grown < 96 * 1024 * 1024, `${grown} bytes more in memory`);
    assert.equal((await server.request(PATH)).status, 200);
  });
});
