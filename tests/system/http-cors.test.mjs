// cors = true: preflights are answered, and every answer may be read, refusals too.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { serverForSuite } from "./lib/server.mjs";

const PATH = "/parties/main/R";
const ORIGIN = "https://app.example";

const PARTY = lua`
local Party = {}

function Party:onRequest(request)
  if request.subpath == "/raise" then error("on purpose") end
  if request.subpath == "/refuse" then error(Response("no", { status = 403 })) end
  if request.subpath == "/own" then
    return Response("own", { headers = { ["Access-Control-Allow-Origin"] = "https://own.example" } })
  end
  if request.subpath == "/json" then request:json() end
  return Response(request.method)
end

return Party
`;

describe("cors = true", () => {
  const server = serverForSuite({
    "parties/main.lua": PARTY,
    "parties/empty.lua": "return {}",
    "festa.lua": config({ cors: true, limits: { url: 200, headers: 1000, body: 1000, headerTimeout: 2000 } }),
  });

  it("answers preflights itself", async () => {
    for (const path of [PATH, "/parties/nope/R", "/nothing"]) {
      const response = await server.request(path, {
        method: "OPTIONS",
        headers: {
          Origin: ORIGIN,
          "Access-Control-Request-Method": "DELETE",
          "Access-Control-Request-Headers": "content-type, x-own",
        },
      });
      assert.ok([200, 204].includes(response.status), `${path}: ${response.status}`);
      assert.equal(response.text, "");
      assert.ok(["*", ORIGIN].includes(response.header("access-control-allow-origin")), path);
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]) {
        assert.match(response.header("access-control-allow-methods"), new RegExp(`\\b${method}\\b`));
      }
      assert.match(response.header("access-control-allow-headers"), /^\*|content-type.*x-own/i);
      assert.match(response.header("access-control-max-age"), /^\d+$/);
    }
  });

  it("adds the header to answers", async () => {
    for (const [path, method, status] of [
      [PATH, "GET", 200],
      [PATH, "POST", 200],
      [`${PATH}/raise`, "GET", 500],
      [`${PATH}/refuse`, "GET", 403],
      [`${PATH}/json`, "POST", 400],
      ["/parties/nope/R", "GET", 404],
      ["/parties/empty/R", "GET", 404],
      ["/parties/main/%zz", "GET", 400],
      ["/nothing", "GET", 404],
    ]) {
      const response = await server.request(path, { method, headers: { Origin: ORIGIN } });
      assert.equal(response.status, status, path);
      assert.ok(["*", ORIGIN].includes(response.header("access-control-allow-origin")), path);
    }
  });

  it("adds it to refusals of the protocol", async () => {
    const { host } = server;
    const headers = { Origin: ORIGIN };
    for (const [bytes, status] of [
      [requestBytes({ path: PATH, headers }), 400],
      [requestBytes({ path: PATH, host, headers, method: "FOO" }), 501],
      [requestBytes({ path: `/${"a".repeat(300)}`, host, headers }), 414],
      [requestBytes({ path: PATH, host, headers: { ...headers, X: "a".repeat(1100) } }), 431],
      [requestBytes({ path: PATH, host, headers, method: "POST", body: "x".repeat(1001) }), 413],
      [Buffer.from(`GET ${PATH} HTTP/1.1\r\nHost: x\r\nOrigin: ${ORIGIN}\r\n`), 408],
    ]) {
      const connection = await server.connect();
      connection.write(bytes);
      const response = await connection.response();
      assert.equal(response.status, status);
      assert.ok(["*", ORIGIN].includes(response.header("access-control-allow-origin")), String(status));
      connection.destroy();
    }
  });

  it("leaves a script's own header alone", async () => {
    const response = await server.request(`${PATH}/own`, { headers: { Origin: ORIGIN } });
    assert.deepEqual(response.all("access-control-allow-origin"), ["https://own.example"]);
  });

  it("is for HTTP: it lets no foreign page open a WebSocket", async () => {
    const { response } = await server.upgrade(PATH, { headers: { Origin: ORIGIN } });
    assert.equal(response.status, 403);
  });
});

describe("cors = false", () => {
  const server = serverForSuite({ "parties/main.lua": PARTY });

  it("leaves everything to the script", async () => {
    const headers = { Origin: ORIGIN, "Access-Control-Request-Method": "POST" };
    for (const method of ["GET", "OPTIONS"]) {
      const response = await server.request(PATH, { method, headers });
      assert.deepEqual([response.status, response.text], [200, method]);
      assert.equal(response.header("access-control-allow-origin"), undefined);
    }
    const own = await server.request(`${PATH}/own`, { headers });
    assert.equal(own.header("access-control-allow-origin"), "https://own.example");
  });
});
