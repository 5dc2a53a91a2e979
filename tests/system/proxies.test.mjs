// What a proxy in front says of its clients: believed of those that the configuration trusts, by nobody else.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua, writeProject } from "./lib/project.mjs";
import { runFesta, serverForSuite } from "./lib/server.mjs";
import { Socket, upgradeBytes } from "./lib/websocket.mjs";

const SHOW = lua`
local Show = {}

function Show:onRequest(request)
  return Response.json({ remote = request.remoteAddress, url = request.url })
end

function Show:onConnect(connection, context)
  connection:send({
    remote = connection.remoteAddress,
    uri = connection.uri,
    request = context.request.remoteAddress,
    url = context.request.url,
  })
end

return Show
`;

const TRUSTED = "127.0.0.1";
const CHAINED = "127.0.0.7"; // trusted too
const OTHER = "127.0.0.2";

// [peer, headers, the address to be seen, the scheme]
const MATRIX = [
  [TRUSTED, {}, TRUSTED, "http"],
  [TRUSTED, { "X-Forwarded-For": "203.0.113.9" }, "203.0.113.9", "http"],
  [TRUSTED, { "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https" }, "203.0.113.9", "https"],
  [TRUSTED, { "X-Forwarded-For": "6.6.6.6, 203.0.113.9" }, "203.0.113.9", "http"],
  [TRUSTED, { "X-Forwarded-For": `203.0.113.9, ${CHAINED}` }, "203.0.113.9", "http"],
  [TRUSTED, { "X-Forwarded-For": ["6.6.6.6", `2001:DB8::9, ${CHAINED}`] }, "2001:db8::9", "http"],
  [TRUSTED, { "X-Forwarded-For": "203.0.113.9, unknown" }, TRUSTED, "http"],
  [TRUSTED, { "X-Forwarded-For": `${CHAINED}` }, CHAINED, "http"],
  [TRUSTED, { Forwarded: 'for="[2001:db8::9]:4711";proto=https' }, "2001:db8::9", "https"],
  [TRUSTED, { Forwarded: `for=203.0.113.9;proto=https, for=${CHAINED};proto=http` }, "203.0.113.9", "https"],
  [TRUSTED, { Forwarded: "for=6.6.6.6", "X-Forwarded-For": "203.0.113.9" }, "203.0.113.9", "http"],
  [TRUSTED, { "X-Forwarded-Proto": "wss" }, TRUSTED, "https"],
  [CHAINED, { "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https" }, "203.0.113.9", "https"],
  [OTHER, {}, OTHER, "http"],
  [OTHER, { "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https" }, OTHER, "http"],
  [OTHER, { "X-Forwarded-For": TRUSTED }, OTHER, "http"],
  [OTHER, { Forwarded: "for=203.0.113.9;proto=https" }, OTHER, "http"],
];

async function request(server, peer, headers) {
  const connection = await server.connect({ localAddress: peer });
  connection.send({ path: "/party/r?a=b", headers: { Connection: "close", ...headers } });
  const response = await connection.response();
  connection.destroy();
  assert.equal(response.status, 200);
  return JSON.parse(response.text);
}

async function handshake(server, peer, headers) {
  const connection = await server.connect({ localAddress: peer });
  connection.write(upgradeBytes(server.host, "/party/r?_pk=me", { key: "dGhlIHNhbXBsZSBub25jZQ==", headers }));
  const response = await connection.response();
  return { connection, response };
}

describe("trustedProxies", () => {
  const server = serverForSuite({
    "parties/main.lua": SHOW,
    "festa.lua": config({ trustedProxies: [TRUSTED, "127.0.0.7/32", "private"] }),
  });

  for (const [peer, headers, remote, scheme] of MATRIX) {
    it(`${peer} with ${JSON.stringify(headers)}: ${remote}, ${scheme}`, async () => {
      assert.deepEqual(await request(server, peer, headers), {
        remote,
        url: `${scheme}://${server.host}/party/r?a=b`,
      });
      const from = server.lines.length;
      const { connection, response } = await handshake(server, peer, headers);
      assert.equal(response.status, 101);
      const uri = `${scheme}://${server.host}/party/r?_pk=me`;
      assert.deepEqual(await new Socket(connection, response).json(), { remote, uri, request: remote, url: uri });
      connection.destroy();
      await server.waitForLog((line) => line.msg === "socket opened" && line.remote === remote, "its line", { from });
    });
  }

  it("each request of a proxy's connection speaks for its own client", async () => {
    const connection = await server.connect();
    for (const client of ["203.0.113.1", "203.0.113.2", undefined, "203.0.113.3"]) {
      connection.send({ path: "/party/r", headers: client ? { "X-Forwarded-For": client } : {} });
      assert.equal(JSON.parse((await connection.response()).text).remote, client ?? TRUSTED);
    }
    connection.destroy();
  });

  it("the page's origin is compared with Host, whoever says otherwise", async () => {
    const says = async (headers) => {
      const { connection, response } = await handshake(server, TRUSTED, headers);
      connection.destroy();
      return response.status;
    };
    const forwarded = { "X-Forwarded-Host": "app.example", "X-Forwarded-Proto": "https" };
    assert.equal(await says({ Host: "app.example", Origin: "https://app.example" }), 101);
    assert.equal(await says({ Origin: "https://app.example", ...forwarded }), 403);
  });
});

describe("trustedProxies and several threads", () => {
  const server = serverForSuite({
    "parties/main.lua": SHOW,
    "festa.lua": config({ threads: 2, trustedProxies: ["127.0.0.1"] }),
  });

  it("believe the proxy alone, wherever its connection has moved", async () => {
    const connection = await server.connect();
    const other = await server.connect({ localAddress: OTHER });
    for (const room of ["a", "b", "c", "d", "e"]) {
      for (let i = 0; i < 20; i++) {
        const client = i % 2 ? undefined : `203.0.113.${i}`;
        const headers = client ? { "X-Forwarded-For": client } : {};
        connection.send({ path: `/party/${room}`, headers });
        assert.equal(JSON.parse((await connection.response()).text).remote, client ?? TRUSTED);
        other.send({ path: `/party/${room}`, headers });
        assert.equal(JSON.parse((await other.response()).text).remote, OTHER);
      }
      const { connection: socket, response } = await handshake(server, TRUSTED, { "X-Forwarded-For": "203.0.113.9" });
      assert.equal((await new Socket(socket, response).json()).remote, "203.0.113.9");
      socket.destroy();
    }
    connection.destroy();
    other.destroy();
  });
});

describe("without trustedProxies", () => {
  const server = serverForSuite({ "parties/main.lua": SHOW });

  it("nobody is believed", async () => {
    for (const [peer, headers] of MATRIX) {
      assert.deepEqual(await request(server, peer, headers), {
        remote: peer,
        url: `http://${server.host}/party/r?a=b`,
      });
    }
  });
});

describe("mistakes in trustedProxies", () => {
  it("are said with file and line", async () => {
    const project = await writeProject({
      "parties/main.lua": SHOW,
      "festa.lua": 'return {\n  trustedProxies = { "10.0.0.0/8", "proxy.example" },\n}\n',
    });
    const { code, stderr } = await runFesta(["check", project.directory]);
    await project.remove();
    assert.equal(code, 1);
    assert.match(stderr, /festa\.lua:2: trustedProxies is an array of addresses.*, not "proxy\.example"/);
  });
});
