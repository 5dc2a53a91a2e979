// fetch: requests that scripts make, to servers of the tests' own.

import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";

import { CERTIFICATE, KEY } from "./lib/certificate.mjs";
import { config, lua, writeProject } from "./lib/project.mjs";
import { runFesta, SANITIZED, serverFor, serverForSuite } from "./lib/server.mjs";
import { Changes, within } from "./lib/wait.mjs";

// Requests run their body as Lua, with the origin's URL as O; what it returns is answered as an array. Messages are
// echoed.
const RUNNER = lua`
local Runner = {}

function Runner:onRequest(request)
  local env = setmetatable({ self = self, request = request, O = request.query.o }, { __index = _G })
  local results = table.pack(assert(load(request.body, "=code", "t", env))())
  local list = json.array({})
  for n = 1, results.n do list[n] = results[n] == nil and json.null or results[n] end
  return Response.json(list)
end

function Runner:onMessage(message, connection)
  connection:send(message)
end

return Runner
`;

// A server with handlers by path; each gets (request, response, body).
class Origin {
  requests = 0;
  open = 0; // connections
  changes = new Changes();

  constructor(routes, create = (handler) => http.createServer({ keepAliveTimeout: 60_000 }, handler)) {
    this.server = create((request, response) => {
      const body = [];
      this.requests++;
      this.changes.changed();
      request.on("data", (data) => body.push(data));
      request.on("end", () => {
        const path = new URL(request.url, "http://x").pathname;
        const [, route] = Object.entries(routes).find(([name]) => path === name || (name.endsWith("/") && path.startsWith(name))) ?? [];
        if (!route) response.writeHead(404).end("not here");
        else route(request, response, Buffer.concat(body));
        this.changes.changed();
      });
      request.on("error", () => {});
    });
    const count = (socket) => {
      this.open++;
      socket.on("error", () => {});
      socket.on("close", () => (this.open--, this.changes.changed()));
      this.sockets.add(socket);
    };
    this.sockets = new Set();
    this.server.on("connection", count);
    this.server.on("sessionError", () => {});
    this.server.on("tlsClientError", () => {});
  }

  async start(scheme = "http") {
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    this.url = `${scheme}://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  stop() {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  until(check, what) {
    return this.changes.until(() => (check() ? true : undefined), what);
  }
}

async function originFor(t, routes, create, scheme) {
  const origin = await new Origin(routes, create).start(scheme);
  t.after(() => origin.stop());
  return origin;
}

// What the code returns, in a room of its own or this one.
async function run(server, origin, code, room = server.room()) {
  return server.json(`/party/${room}?o=${encodeURIComponent(origin?.url ?? "")}`, { method: "POST", body: code });
}

// The message of what the code raises.
const raised = async (server, origin, code) =>
  (await run(server, origin, `local good, why = pcall(function() ${code} end) return good, tostring(why)`))[1];

const ROUTES = {
  "/hello": (request, response) => {
    response.writeHead(200, "Very Good", { "Content-Type": "text/plain", "X-Two": ["a", "b"], "Set-Cookie": ["a=1", "b=2"] });
    response.end("hello\nthere\r\n\nend");
  },
  "/echo": (request, response, body) => {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body: body.toString("latin1") }));
  },
  "/status/": (request, response) => response.writeHead(Number(request.url.slice(8))).end(),
  "/gzip": (request, response) => {
    assert.match(request.headers["accept-encoding"], /gzip/);
    response.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipSync("zipped ".repeat(1000)));
  },
  "/bomb": (request, response) => response.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipSync(Buffer.alloc(64 * 1024 * 1024))),
  "/chunked": (request, response) => {
    response.write("one ");
    setImmediate(() => response.end("two"));
  },
  "/large/": (request, response) => response.end(Buffer.alloc(Number(request.url.slice(7)), "x")),
  "/manyheaders": (request, response) => {
    for (let n = 0; n < 200; n++) response.setHeader(`X-Header-${n}`, `value ${n}`);
    response.end();
  },
  "/hugeheaders": (request, response) => {
    for (let n = 0; n < 100; n++) response.setHeader(`X-Header-${n}`, "x".repeat(1000));
    response.end();
  },
  "/early": (request, response) => {
    response.writeHead(200, { "Content-Length": 100 });
    response.write("only this", () => request.socket.destroy());
  },
  "/never": () => {},
  "/bad.json": (request, response) => response.end('{"a": oops}'),
  "/null.json": (request, response) => response.end("null"),
  "/to/": (request, response) => response.writeHead(302, { Location: decodeURIComponent(request.url.slice(4)) }).end("moved"),
  "/loop": (request, response) => response.writeHead(307, { Location: "/loop" }).end(),
};

describe("fetch", () => {
  const server = serverForSuite({ "parties/main.lua": RUNNER });
  let origin;
  before(async () => {
    origin = await new Origin(ROUTES).start();
  });
  after(() => origin.stop());
  const lua1 = async (code) => (await run(server, origin, code))[0];

  it("gives status, headers and body", async () => {
    const got = await lua1(`
      local r = assert(fetch(O .. "/hello"))
      local names = {}
      for name, value in pairs(r.headers) do names[name] = value end
      return { r.status, r.statusText, r.ok, r.url, r.headers["content-type"], r.headers["CONTENT-TYPE"], r.headers["x-two"],
        r.headers.nothing == nil, r:headerAll("X-Two"), r:headerAll("set-cookie"), r:headerAll("none"), names["x-two"],
        r:text(), r:text(), r.nothing == nil }`);
    assert.deepEqual(got, [
      200, "Very Good", true, `${origin.url}/hello`, "text/plain", "text/plain", "a, b", true, ["a", "b"], ["a=1", "b=2"], [], "a, b",
      "hello\nthere\r\n\nend", "hello\nthere\r\n\nend", true,
    ]);
  });

  it("gives lines and pieces of a body that is there, again and again", async () => {
    const got = await lua1(`
      local r, out = assert(fetch(O .. "/hello")), {}
      for _ = 1, 2 do for line in r:lines() do out[#out + 1] = line end end
      for chunk in r:chunks() do out[#out + 1] = chunk end
      out[#out + 1] = r:text()
      local e = assert(fetch(O .. "/status/200"))
      for line in e:lines() do out[#out + 1] = line end
      for chunk in e:chunks() do out[#out + 1] = chunk end
      return out`);
    const lines = ["hello", "there", "", "end"];
    assert.deepEqual(got, [...lines, ...lines, "hello\nthere\r\n\nend", "hello\nthere\r\n\nend"]);
  });

  it("sends method, headers and body", async () => {
    const got = await lua1(`
      local function echo(init) return assert(fetch(O .. "/echo?q=1", init)):json() end
      return { echo(), echo({ method = "post", body = "a\\0\\255b", headers = { ["X-A"] = "1", ["x-list"] = { "p", "q" }, Empty = "" } }),
        echo({ method = "PUT", json = { a = { 1, 2.5 } } }), echo({ method = "PATCH", json = json.null }),
        echo({ method = "POST", body = "x", headers = { ["content-type"] = "text/x", ["User-Agent"] = "me" } }),
        echo({ method = "DELETE" }), echo({ method = "POST" }), echo({ method = "PURGE", body = "" }) }`);
    const [plain, post, put, patch, typed, remove, empty, own] = got;
    assert.equal(plain.method, "GET");
    assert.equal(plain.url, "/echo?q=1");
    assert.match(plain.headers["user-agent"], /^festa\/\d/);
    assert.equal(plain.headers["content-type"], undefined);
    assert.equal(post.method, "POST");
    assert.equal(post.body, "a\0\xffb");
    assert.equal(post.headers["x-a"], "1");
    assert.equal(post.headers["x-list"], "p, q");
    assert.equal(post.headers.empty, "");
    assert.equal(post.headers["content-type"], "text/plain;charset=UTF-8");
    assert.equal(put.body, '{"a":[1,2.5]}');
    assert.equal(put.headers["content-type"], "application/json");
    assert.equal(patch.body, "null");
    assert.deepEqual([typed.headers["content-type"], typed.headers["user-agent"]], ["text/x", "me"]);
    assert.deepEqual([remove.method, remove.body], ["DELETE", ""]);
    assert.deepEqual([empty.method, empty.headers["content-length"], empty.headers["content-type"]], ["POST", "0", undefined]);
    assert.equal(own.method, "PURGE");
  });

  it("raises for what can't be meant", async () => {
    const cases = [
      ["fetch()", /bad argument #1.*string expected/],
      ["fetch('nonsense')", /a whole URL expected, like https:/],
      ["fetch('/path')", /a whole URL expected/],
      ["fetch('http://' .. ('a.'):rep(40000))", /a URL has at most 64 KiB/],
      ["fetch('ftp://example.com/')", /the URL is not of http or https/],
      ["fetch('file:///etc/passwd')", /the URL is not of http or https/],
      ["fetch('http://a/\\r\\nX: y')", /a whole URL expected/],
      ["fetch('http://a/\\0')", /a whole URL expected/],
      ["fetch('http://a/', 1)", /bad argument #2/],
      ["fetch('http://a/', { metod = 'GET' })", /unknown option metod: method, headers, body/],
      ["fetch('http://a/', { method = 'GET /x' })", /method is a name/],
      ["fetch('http://a/', { method = 'A\\nB' })", /method is a name/],
      ["fetch('http://a/', { method = '' })", /method is a name/],
      ["fetch('http://a/', { method = 7 })", /method is a name/],
      ["fetch('http://a/', { method = 'CONNECT' })", /CONNECT can't be used/],
      ["fetch('http://a/', { method = 'trace' })", /trace can't be used/],
      ["fetch('http://a/', { headers = 'x' })", /headers is a table/],
      ["fetch('http://a/', { headers = { x = 'a\\r\\nb' } })", /the header x has a line break/],
      ["fetch('http://a/', { headers = { x = 'a\\0b' } })", /the header x has a line break/],
      ["fetch('http://a/', { headers = { ['x y'] = 'a' } })", /a header can't have the name 'x y'/],
      ["fetch('http://a/', { headers = { ['content-length'] = '7' } })", /content-length is set by the server/],
      ["fetch('http://a/', { headers = { ['Transfer-Encoding'] = 'chunked' } })", /is set by the server/],
      ["fetch('http://a/', { body = 'x' })", /a GET has no body: say method = "POST"/],
      ["fetch('http://a/', { method = 'head', json = 1 })", /a HEAD has no body/],
      ["fetch('http://a/', { method = 'POST', body = {} })", /body is a string, not table \(json sends tables\)/],
      ["fetch('http://a/', { method = 'POST', body = 'x', json = 1 })", /body and json can't be used together/],
      ["fetch('http://a/', { method = 'POST', json = { print } })", /function/],
      ["fetch('http://a/', { timeout = 0 })", /timeout is a number of ms/],
      ["fetch('http://a/', { timeout = '5' })", /timeout is a number of ms/],
      ["fetch('http://a/', { timeout = 0/0 })", /timeout is a number of ms/],
      ["fetch('http://a/', { redirect = 'no' })", /redirect is "follow", "manual" or "error"/],
      ["fetch('http://a/', { stream = 1 })", /stream is true or false/],
      ["table.sort({ 1, 2 }, function() fetch(O .. '/hello') end)", /waiting is not possible inside of a function/],
      ["party.storage:transaction(function() fetch(O .. '/hello') end)", /waiting is not possible inside of a transaction/],
      ["local r = fetch(O .. '/hello') r.status = 1", /response.status is read-only/],
      ["local r = fetch(O .. '/hello') r.headers.x = 1", /headers.x is read-only/],
      ["local r = fetch(O .. '/hello') r.text()", /bad argument #1/],
      ["local r = fetch(O .. '/bad.json') r:json()", /the response is not JSON: .*line 1, column 7/],
    ];
    for (const [code, message] of cases) assert.match(await raised(server, origin, code), message, code);
  });

  it("is not possible in the file scope", async (t) => {
    const project = await writeProject({ "parties/main.lua": "fetch('http://127.0.0.1:1/')\nreturn {}\n" });
    t.after(project.remove);
    const { code, stderr } = await runFesta(["check", project.directory]);
    assert.equal(code, 1);
    assert.match(stderr, /waiting is possible in handlers and timers only/);
  });

  it("decodes, joins and reads all kinds of bodies", async () => {
    const got = await lua1(`
      local function text(path, init) local r = assert(fetch(O .. path, init)) return { r.status, r.ok, r:text() } end
      return { text("/gzip"), text("/chunked"), text("/hello", { method = "HEAD" }), text("/status/204"), text("/status/304"),
        text("/nowhere"), text("/status/500"), fetch(O .. "/null.json"):json() == json.null }`);
    assert.deepEqual(got, [
      [200, true, "zipped ".repeat(1000)], [200, true, "one two"], [200, true, ""], [204, true, ""], [304, false, ""],
      [404, false, "not here"], [500, false, ""], true,
    ]);
  });

  it("takes many headers, and not too many", async () => {
    const got = await run(server, origin, `
      local r = assert(fetch(O .. "/manyheaders"))
      return r.headers["x-header-199"], fetch(O .. "/hugeheaders")`);
    assert.deepEqual(got, ["value 199", null, "the headers are too large", "too_large"]);
  });

  it("follows redirects, or shows them, or refuses", async () => {
    const to = (path) => `/to/${encodeURIComponent(path)}`;
    const got = await lua1(`
      local r = assert(fetch(O .. "${to("/hello")}"))
      local m = assert(fetch(O .. "${to("/hello")}", { redirect = "manual" }))
      local post = assert(fetch(O .. "${to("/echo")}", { method = "POST", json = {} })):json()
      return { r.status, r.url, m.status, m.headers.location, m:text(), m.ok, post.method, post.body }`);
    assert.deepEqual(got, [200, `${origin.url}/hello`, 302, "/hello", "moved", false, "GET", ""]);
  });

  it("says how it failed", async () => {
    const to = (path) => `/to/${encodeURIComponent(path)}`;
    const cases = [
      ['fetch(O .. "/early")', "network", /./],
      ['fetch(O .. "/never", { timeout = 50 })', "timeout", /no answer within 50 ms/],
      ['fetch("http://127.0.0.1:1/")', "connect", /./], // which nobody has
      [`fetch("${origin.url.replace("http", "https")}")`, "tls", /./],
      [`fetch(O .. "${to("/hello")}", { redirect = "error" })`, "redirect", /the server redirects/],
      ['fetch(O .. "/loop")', "redirect", /too many redirects/],
      [`fetch(O .. "${to("file:///etc/passwd")}")`, "redirect", /no http or https/],
      ['fetch(O .. "/large/10485761")', "too_large", /the body is too large/],
      ['fetch(O .. "/bomb")', "too_large", /the body is too large/],
    ];
    for (const [code, expected, message] of cases) {
      const [response, why, found] = await run(server, origin, `return ${code}`);
      assert.deepEqual([response, found], [null, expected], `${code}: ${why}`);
      assert.match(why, message, code);
    }
  });

  it("works wherever handlers can wait", async () => {
    const got = await run(server, origin, `
      local function get() return assert(fetch(O .. "/hello")).status end
      local good, status = pcall(get)
      local wrapped = coroutine.wrap(function() coroutine.yield(get()) coroutine.yield(get() + 1) end)
      local index = setmetatable({}, { __index = get })
      local out
      party.after(0, function() out = get() end)
      while not out do sleep(1) end
      return good, status, wrapped(), wrapped(), index.x, out`);
    assert.deepEqual(got, [true, 200, 200, 201, 200, 200]);
  });

  it("reaches this very server", async () => {
    const other = server.room();
    const got = await run(server, { url: server.url }, `return fetch(O .. "/party/${other}", { method = "POST", body = "return 7" }):json()`);
    assert.deepEqual(got, [[7]]);
  });

  it("hundreds at once, of which one room may have so many", async () => {
    const room = server.room();
    const gate = await new Origin({ "/": (request, response) => gate.waiting.push(response) }).start();
    gate.waiting = [];
    const answers = Array.from({ length: 64 }, (_, n) => run(server, gate, `return fetch(O .. "/${n}"):text()`, room));
    await gate.until(() => gate.waiting.length === 64, "64 requests");
    // one more is too many; the room does everything else meanwhile
    assert.deepEqual(await run(server, gate, 'return fetch(O .. "/more")', room), [null, "too many fetches at once: 64 (fetches)", "too_many"]);
    const socket = await server.socket(`/party/${room}`);
    socket.text("still here");
    assert.equal(await socket.message(), "still here");
    const elsewhere = Array.from({ length: 192 }, (_, n) => run(server, gate, `return fetch(O .. "/x${n}"):text()`));
    await gate.until(() => gate.waiting.length === 256, "256 requests");
    for (const response of gate.waiting) response.end(response.req.url);
    assert.deepEqual(await Promise.all(answers), Array.from({ length: 64 }, (_, n) => [`/${n}`]));
    assert.deepEqual(await Promise.all(elsewhere), Array.from({ length: 192 }, (_, n) => [`/x${n}`]));
    socket.destroy();
    gate.stop();
  });
});

describe("a response that streams", () => {
  const server = serverForSuite({ "parties/main.lua": RUNNER, "festa.lua": config({ limits: { fetchBody: 300_000 } }) });

  it("gives each line when it comes, while the room goes on", async (t) => {
    let out;
    const origin = await originFor(t, { "/": (request, response) => ((out = response), response.write("fi"), origin.changes.changed()) });
    const room = server.room();
    const socket = await server.socket(`/party/${room}`);
    const answer = run(server, origin, `
      local r = assert(fetch(O .. "/", { stream = true }))
      party.broadcast("status " .. r.status)
      local n = 0
      for line in r:lines() do party.broadcast("[" .. line .. "]") n = n + 1 end
      return n, r:text()`, room);
    assert.equal(await socket.message(), "status 200");
    socket.text("echo 1");
    assert.equal(await socket.message(), "echo 1");
    out.write("rst\nsecond\r\nthi");
    assert.equal(await socket.message(), "[first]");
    assert.equal(await socket.message(), "[second]");
    socket.text("echo 2");
    assert.equal(await socket.message(), "echo 2");
    out.write("rd\n\n");
    assert.equal(await socket.message(), "[third]");
    assert.equal(await socket.message(), "[]");
    out.write("x".repeat(200_000)); // a line larger than any window
    out.write("\nlast");
    assert.equal(await socket.message(), `[${"x".repeat(200_000)}]`);
    out.end();
    assert.equal(await socket.message(), "[last]");
    assert.deepEqual(await answer, [5 + 1, ""]);
    socket.destroy();
  });

  it("is read at the pace of its reader", async (t) => {
    const origin = await originFor(t, ROUTES);
    const size = SANITIZED ? 4_000_000 : 20_000_000; // a handler's time is that of the CPU
    const got = await run(server, origin, `
      local r, n, largest = assert(fetch(O .. "/large/${size}", { stream = true })), 0, 0
      for chunk in r:chunks() do
        n, largest = n + #chunk, math.max(largest, #chunk)
        if n < 1000000 then sleep(1) end
      end
      return n, largest <= 65536`);
    assert.deepEqual(got, [size, true]);
  });

  it("gives the rest as text or JSON, up to fetchBody", async (t) => {
    const origin = await originFor(t, { ...ROUTES, "/json": (request, response) => response.end('first\n{"a":[1,2]}') });
    const got = await run(server, origin, `
      local r = assert(fetch(O .. "/json", { stream = true }))
      local first = r:lines()()
      return first, r:json().a, assert(fetch(O .. "/large/300000", { stream = true })):text() == ("x"):rep(300000),
        fetch(O .. "/large/400000", { stream = true }):text()`);
    assert.deepEqual(got, ["first", [1, 2], true, null, "the body is too large", "too_large"]);
  });

  it("that breaks off raises in a loop, and is nil, message, code as text", async (t) => {
    const origin = await originFor(t, ROUTES);
    const [good, why, n, ...rest] = await run(server, origin, `
      local r, n = assert(fetch(O .. "/early", { stream = true })), 0
      local good, why = pcall(function() for chunk in r:chunks() do n = n + #chunk end end)
      return good, why, n, r:text()`);
    assert.equal(good, false);
    assert.match(why, /the response broke off: /);
    assert.equal(n, 9);
    assert.equal(rest[0], null);
    assert.equal(rest[2], "network");
  });

  it("ends when it is closed, and when nobody reads it", async (t) => {
    const origin = await originFor(t, {
      "/": (request, response) => {
        const more = () => response.writable && response.write(Buffer.alloc(65536)) && setImmediate(more);
        response.on("drain", more);
        more();
      },
    });
    const room = server.room();
    const got = await run(server, origin, `
      local r = assert(fetch(O .. "/", { stream = true }))
      r:chunks()()
      r:close()
      repeat self.kept = fetch(O .. "/", { stream = true, timeout = 200 }) until self.kept -- a machine may be too slow for that
      return pcall(function() for _ in r:chunks() do end end)`, room);
    assert.equal(got[0], false);
    assert.match(got[1], /the response was closed/);
    await origin.until(() => origin.requests >= 2 && origin.open === 0, "the end of both connections");
    const after = await run(server, origin, "for _ in self.kept:chunks() do end", room).catch((error) => error.message);
    assert.match(String(after), /500/);
  });

  it("is one handler's at a time", async (t) => {
    let out;
    const origin = await originFor(t, { "/": (request, response) => ((out = response), response.write("x")) });
    const room = server.room();
    const first = run(server, origin, 'self.r = assert(fetch(O .. "/", { stream = true })) self.r:chunks()() return self.r:text()', room);
    await within((async () => {
      while (!(await run(server, origin, "return self.r ~= nil", room))[0]);
    })(), "the response");
    assert.match(await (async () => (await run(server, origin, "return pcall(self.r.text, self.r)", room))[1])(), /another handler is reading/);
    out.end("rest");
    assert.deepEqual(await first, ["rest"]);
  });
});

describe("TLS", () => {
  const secure = (handler) => https.createServer({ key: KEY, cert: CERTIFICATE }, handler);
  const http2Only = (handler) => http2.createSecureServer({ key: KEY, cert: CERTIFICATE, allowHTTP1: false }, handler);

  it("is refused without a certificate that is trusted", async (t) => {
    const origin = await originFor(t, ROUTES, secure, "https");
    const server = await serverFor(t, { "parties/main.lua": RUNNER });
    const [response, why, code] = await run(server, origin, 'return fetch(O .. "/hello")');
    assert.deepEqual([response, code], [null, "tls"], why);
    assert.match(why, /certificate/);
    assert.equal(origin.requests, 0);
  });

  it("is trusted by fetchCa, and HTTP/2 is spoken", async (t) => {
    const origin = await originFor(t, ROUTES, secure, "https");
    const modern = await originFor(t, ROUTES, http2Only, "https");
    const project = await writeProject({ "parties/main.lua": RUNNER, "ca.pem": CERTIFICATE, "festa.lua": config({ fetchCa: "ca.pem" }) });
    t.after(project.remove);
    const server = await serverFor(t, undefined, { project });
    assert.deepEqual(await run(server, origin, 'local r = assert(fetch(O .. "/hello")) return r.status, #r:text()'), [200, 17]);
    const code = `
      local echo = assert(fetch(O .. "/echo", { method = "POST", json = { 1 } }))
      local r, n = assert(fetch(O .. "/large/5000000", { stream = true })), 0
      for chunk in r:chunks() do
        n = n + #chunk
        if n < 300000 then sleep(1) end
      end
      local dropped = assert(fetch(O .. "/large/5000000", { stream = true }))
      dropped:chunks()()
      dropped:close()
      return echo:json().body, echo.statusText, n, assert(fetch(O .. "/hello")):text()`;
    assert.deepEqual(await run(server, modern, code), ["[1]", "", 5_000_000, "hello\nthere\r\n\nend"]);
    // another name than the certificate's
    const [, , failure] = await run(server, { url: origin.url.replace("127.0.0.1", "127.0.0.2") }, 'return fetch(O .. "/hello")');
    assert.match(failure, /tls|connect/);
  });

  it("wants a file with certificates", async (t) => {
    const project = await writeProject({ "parties/main.lua": RUNNER, "festa.lua": 'return {\n  fetchCa = "ca.pem",\n}\n' });
    t.after(project.remove);
    const check = () => runFesta(["check", project.directory]);
    let { code, stderr } = await check();
    assert.equal(code, 1);
    assert.match(stderr, /festa\.lua:2: fetchCa = "ca\.pem" can't be read: No such file/);
    await writeFile(join(project.directory, "ca.pem"), "nothing");
    ({ code, stderr } = await check());
    assert.equal(code, 1);
    assert.match(stderr, /festa\.lua:2: fetchCa = "ca\.pem" has no certificate in it/);
    await writeFile(join(project.directory, "ca.pem"), CERTIFICATE);
    assert.equal((await check()).code, 0);
  });
});

describe("what is configured", () => {
  it("fetchPrivate = false: not to this machine", async (t) => {
    const origin = await originFor(t, ROUTES);
    const server = await serverFor(t, { "parties/main.lua": RUNNER, "festa.lua": config({ fetchPrivate: false }) });
    const port = new URL(origin.url).port;
    for (const host of ["127.0.0.1", "localhost", "0", "[::1]", "[::ffff:127.0.0.1]", "2130706433"]) {
      const [response, why, code] = await run(server, { url: `http://${host}:${port}` }, 'return fetch(O .. "/hello")');
      assert.deepEqual([response, code], [null, "blocked"], `${host}: ${why}`);
    }
    assert.equal(origin.open + origin.requests, 0);
  });

  it("fetches, fetchTimeout, fetchBody and roomMemory", async (t) => {
    const origin = await originFor(t, ROUTES);
    const limits = { fetches: 2, fetchTimeout: 300, fetchBody: 4_000_000, roomMemory: 2_000_000 };
    const server = await serverFor(t, { "parties/main.lua": RUNNER, "festa.lua": config({ limits }) });
    const room = server.room();
    const held = [];
    const gate = await originFor(t, { "/": (request, response) => held.push(response) });
    const waiting = [1, 2].map(() => run(server, gate, 'return fetch(O .. "/", { timeout = 600000 }).status', room));
    await gate.until(() => held.length === 2, "two requests");
    assert.deepEqual(await run(server, origin, 'return fetch(O .. "/hello")', room), [null, "too many fetches at once: 2 (fetches)", "too_many"]);
    for (const response of held) response.end();
    for (const answer of waiting) assert.deepEqual(await answer, [200]);
    assert.deepEqual(await run(server, origin, 'return fetch(O .. "/never")', room), [null, "no answer within 300 ms", "timeout"]);
    const again = await run(server, origin, 'local t = { timeout = 20000 } return fetch(O .. "/hello", t).status, fetch(O .. "/large/4000001", t)', room);
    assert.deepEqual(again, [200, null, "the body is too large", "too_large"]);
    const memory = await run(server, origin, 'return fetch(O .. "/large/3999999", { timeout = 20000 })', room);
    assert.deepEqual(memory, [null, "the body is too large for the room's memory", "too_large"]);
    assert.deepEqual(await run(server, origin, 'return #fetch(O .. "/large/300000", { timeout = 20000 }):text()', room), [300_000]);
  });

  it("no proxy of the environment", async (t) => {
    const origin = await originFor(t, ROUTES);
    const env = { http_proxy: "http://127.0.0.1:1", HTTPS_PROXY: "http://127.0.0.1:1", ALL_PROXY: "http://127.0.0.1:1" };
    const server = await serverFor(t, { "parties/main.lua": RUNNER }, { env });
    assert.deepEqual(await run(server, origin, 'return fetch(O .. "/hello").status'), [200]);
  });
});

describe("a room that goes", () => {
  it("cancels its fetches: when the server stops, and when it is restarted", async (t) => {
    const origin = await originFor(t, ROUTES);
    const server = await serverFor(t, {
      "parties/main.lua": RUNNER,
      "festa.lua": config({ limits: { stopTimeout: 100, roomMemory: 4_000_000, handlerTime: 60_000 } }),
    });
    const room = server.room();
    const dropped = server.request(`/party/${room}?o=${origin.url}`, { method: "POST", body: 'fetch(O .. "/never")' });
    await origin.until(() => origin.requests === 1, "the request");
    const fill = "self.kept = {} while true do self.kept[#self.kept + 1] = ('x'):rep(1000) .. #self.kept end";
    for (let n = 0; n < 3; n++) await server.request(`/party/${room}`, { method: "POST", body: fill });
    assert.equal((await dropped).status, 500);
    await origin.until(() => origin.open === 0, "the connection's end");
    const others = [1, 2, 3].map(() => server.request(`/party/${server.room()}?o=${origin.url}`, {
      method: "POST",
      body: 'local s = fetch(O .. "/large/9000000", { stream = true }) s:chunks()() fetch(O .. "/never")',
    }));
    await origin.until(() => origin.requests === 1 + 2 * others.length, "the requests");
    server.signal("SIGTERM");
    for (const other of await Promise.all(others)) assert.equal(other.status, 500);
    await server.stop({ signal: null }); // exit code 0, no sanitizer's report
  });
});
