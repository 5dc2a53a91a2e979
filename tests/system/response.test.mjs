// What a handler returns or raises, and what goes over the wire for it: never a broken response.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { lua } from "./lib/project.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { serverForSuite } from "./lib/server.mjs";

// One case for each subpath.
const CASES = lua`
local cases = {}

function cases.string() return "just text" end
function cases.empty() return "" end
function cases.binary() return "\0\1\255\n" end
function cases.array() return { 1, 2, 3 } end
function cases.object() return { a = 1 } end
function cases.emptytable() return {} end

cases["nil"] = function() return nil end
function cases.nothing() end
function cases.number() return 5 end
function cases.boolean() return true end
cases["function"] = function() return print end
function cases.two() return "first", "second" end
function cases.badtable() return { f = print } end

function cases.bare() return Response() end
function cases.text() return Response("text") end
function cases.init()
  return Response("made", { status = 201, statusText = "Made It", headers = { ["X-A"] = "1", ["x-b"] = "two" } })
end
function cases.large() return Response(("0123456789abcdef"):rep(327680)) end
function cases.owntype() return Response("<p>", { headers = { ["Content-Type"] = "text/x-own" } }) end
function cases.lowertype() return Response("<p>", { headers = { ["content-type"] = "text/x-own" } }) end
function cases.cookies() return Response("c", { headers = { ["Set-Cookie"] = { "a=1", "b=2; Path=/" } } }) end
function cases.numberheader() return Response("n", { headers = { ["X-N"] = 5 } }) end
function cases.emptyheader() return Response("n", { headers = { ["X-Empty"] = "" } }) end
function cases.utf8header() return Response("n", { headers = { ["X-U"] = "zwei ü" } }) end

function cases.json() return Response.json({ a = { 1, 2 } }) end
function cases.jsoninit() return Response.json({ 1 }, { status = 202, headers = { ["X-A"] = "1" } }) end
function cases.jsontype() return Response.json({ 1 }, { headers = { ["Content-Type"] = "application/problem+json" } }) end
function cases.jsonscalar() return Response.json("text") end
function cases.jsonnull() return Response.json(json.null) end
function cases.html() return Response.html("<b>" .. html.escape([[<a href="x">'&'</a>]]) .. "</b>") end
function cases.htmlinit() return Response.html("<p>", { status = 404 }) end
function cases.redirect() return Response.redirect("https://festa.example/there?x=1") end
function cases.redirect307() return Response.redirect("/there", 307) end

cases["204"] = function() return Response(nil, { status = 204 }) end
cases["204empty"] = function() return Response("", { status = 204 }) end
cases["304"] = function() return Response(nil, { status = 304, headers = { ETag = '"x"' } }) end
cases["404"] = function() return Response("gone", { status = 404 }) end
cases["503"] = function() return Response("busy", { status = 503, headers = { ["Retry-After"] = "5" } }) end
cases["299"] = function() return Response("odd", { status = 299 }) end
cases["599"] = function() return Response("odd", { status = 599 }) end

-- what may not be: each raises in the script
local function raising(name, f) cases["bad-" .. name] = f end
raising("status-99", function() return Response("x", { status = 99 }) end)
raising("status-100", function() return Response("x", { status = 100 }) end)
raising("status-101", function() return Response("x", { status = 101 }) end)
raising("status-199", function() return Response("x", { status = 199 }) end)
raising("status-600", function() return Response("x", { status = 600 }) end)
raising("status-1000", function() return Response("x", { status = 1000 }) end)
raising("status-0", function() return Response("x", { status = 0 }) end)
raising("status-negative", function() return Response("x", { status = -200 }) end)
raising("status-float", function() return Response("x", { status = 200.5 }) end)
raising("status-text", function() return Response("x", { status = "fine" }) end)
raising("status-table", function() return Response("x", { status = {} }) end)
raising("204-body", function() return Response("x", { status = 204 }) end)
raising("304-body", function() return Response("x", { status = 304 }) end)
raising("header-cr", function() return Response("x", { headers = { ["X-A"] = "a\rb" } }) end)
raising("header-lf", function() return Response("x", { headers = { ["X-A"] = "a\nb" } }) end)
raising("header-crlf", function() return Response("x", { headers = { ["X-A"] = "a\r\nSet-Cookie: evil=1" } }) end)
raising("header-nul", function() return Response("x", { headers = { ["X-A"] = "a\0b" } }) end)
raising("header-crlf-list", function() return Response("x", { headers = { ["Set-Cookie"] = { "a=1", "b\r\nc" } } }) end)
raising("name-crlf", function() return Response("x", { headers = { ["X-A\r\nX-B"] = "a" } }) end)
raising("name-colon", function() return Response("x", { headers = { ["X-A: b"] = "a" } }) end)
raising("name-blank", function() return Response("x", { headers = { ["X A"] = "a" } }) end)
raising("name-empty", function() return Response("x", { headers = { [""] = "a" } }) end)
raising("name-utf8", function() return Response("x", { headers = { ["X-ü"] = "a" } }) end)
raising("name-nul", function() return Response("x", { headers = { ["X\0"] = "a" } }) end)
raising("name-number", function() return Response("x", { headers = { "a" } }) end)
raising("value-table", function() return Response("x", { headers = { ["X-A"] = { {} } } }) end)
raising("value-function", function() return Response("x", { headers = { ["X-A"] = print } }) end)
raising("headers-text", function() return Response("x", { headers = "X-A: b" }) end)
raising("reason-crlf", function() return Response("x", { statusText = "a\r\nX-B: c" }) end)
raising("reason-nul", function() return Response("x", { statusText = "a\0b" }) end)
raising("init-text", function() return Response("x", "404") end)
raising("body-function", function() return Response(print) end)
raising("json-function", function() return Response.json({ f = print }) end)
raising("json-nan", function() return Response.json({ 0 / 0 }) end)
raising("json-cycle", function() local t = {} t[1] = t return Response.json(t) end)
raising("json-mixed", function() return Response.json({ 1, a = 2 }) end)
raising("redirect-status", function() return Response.redirect("/x", 200) end)
raising("redirect-crlf", function() return Response.redirect("/x\r\nX-B: c") end)
raising("redirect-nil", function() return Response.redirect() end)

-- headers that are the server's business
local function framing(name, headers) cases["own-" .. name] = function() return Response("hello", { headers = headers }) end end
framing("length", { ["Content-Length"] = "99" })
framing("short", { ["Content-Length"] = "1" })
framing("coding", { ["Transfer-Encoding"] = "chunked" })
framing("close", { ["Connection"] = "close" })
framing("upgrade", { ["Connection"] = "upgrade", ["Upgrade"] = "websocket" })
framing("date", { ["Date"] = "Mon, 01 Jan 2001 00:00:00 GMT" })
framing("trailer", { ["Trailer"] = "X" })

-- errors
function cases.raise() error("the secret of the house") end
function cases.index() local t = nil return t.field end
function cases.raisetable() error({ secret = true }) end
function cases.raisenil() error(nil) end
function cases.raisenumber() error(42) end
function cases.raiseclose() error({ close = 4001, reason = "no socket here" }) end
function cases.raisehostile()
  error(setmetatable({}, { __tostring = function() error("again") end, __name = {}, __index = error, __gc = error }))
end
function cases.raiselong() error(("long "):rep(100000)) end
function cases.raisebytes() error("bytes \0\r\n\27[31m\255") end
function cases.overflow() local function f() return 1 + f() end return f() end
function cases.deny() error(Response("denied", { status = 403, headers = { ["X-Why"] = "because" } })) end
function cases.denydeep()
  local function inner() error(Response.json({ error = "deep" }, { status = 422 })) end
  local co = coroutine.wrap(function() inner() end)
  co()
end
function cases.denyrethrown()
  local ok, err = pcall(error, Response("rethrown", { status = 409 }))
  if not ok then error(err) end
end
function cases.denylate() sleep(5) error(Response("late", { status = 410 })) end
function cases.raiselate() sleep(5) error("late secret") end
function cases.pcallresponse()
  local ok, err = pcall(error, Response("not sent", { status = 400 }))
  return tostring(ok) .. " " .. type(err)
end
function cases.catchjson(request)
  local ok, err = pcall(request.json, request)
  return Response(tostring(ok) .. " " .. type(err) .. " " .. tostring(err))
end
function cases.decode() return json.decode("{oops") end

local Cases = {}

function Cases:onRequest(request)
  return cases[request.subpath:sub(2)](request)
end

return Cases
`;

const FILES = {
  "parties/main.lua": CASES,
  "parties/empty.lua": "return {}\n",
  "parties/socketonly.lua": "return { onMessage = function() end }\n",
};

describe("responses", () => {
  const server = serverForSuite(FILES);
  let last = 0;
  const path = (name) => `/parties/main/response/${name}`;

  // The answer, on a connection that must go on after it.
  async function get(name, { method = "GET", body } = {}) {
    last = server.lines.length;
    const connection = await server.connect();
    connection.send({ method, path: path(name), body });
    const response = await connection.response({ method });
    if (response.closes) {
      await connection.closesSilently();
    } else {
      connection.send({ path: path("string") });
      assert.equal((await connection.response()).text, "just text", `the request after ${name}`);
    }
    connection.destroy();
    return response;
  }

  // The log line of the error that the last get() caused.
  const errorLine = () =>
    server.waitForLog(
      (line) => line.level === "error" && line.party === "main" && line.room === "response",
      "an error line that names party and room",
      { from: last },
    );

  async function answers(name, status, text, type) {
    const response = await get(name);
    assert.equal(response.status, status, name);
    if (text !== undefined) assert.equal(response.text, text, name);
    if (type !== undefined) assert.match(response.header("content-type") ?? "none", type, name);
    return response;
  }

  it("a string is text", async () => {
    const response = await answers("string", 200, "just text");
    assert.equal(response.header("content-type"), "text/plain;charset=UTF-8");
    assert.equal(response.reason, "OK");
    await answers("empty", 200, "");
    assert.deepEqual([...(await get("binary")).body], [0, 1, 255, 10]);
    await answers("two", 200, "first");
  });

  it("a table is JSON", async () => {
    await answers("array", 200, "[1,2,3]", /^application\/json/);
    await answers("object", 200, '{"a":1}', /^application\/json/);
    await answers("emptytable", 200, "[]", /^application\/json/);
  });

  it("what is nothing of these is a 500 that the log explains", async () => {
    for (const [name, word] of [
      ["nil", "nil|nothing"],
      ["nothing", "nil|nothing"],
      ["number", "number"],
      ["boolean", "boolean"],
      ["function", "function"],
    ]) {
      await answers(name, 500);
      const line = await errorLine();
      assert.match(JSON.stringify(line), new RegExp(`\\b(${word})\\b`), name);
    }
    await answers("badtable", 500);
  });

  it("Response: body, status, statusText, headers", async () => {
    const bare = await answers("bare", 200, "");
    assert.equal(bare.header("content-length"), "0");
    assert.equal(bare.header("content-type"), undefined);
    await answers("text", 200, "text", /^text\/plain;charset=UTF-8$/);
    const made = await answers("init", 201, "made");
    assert.deepEqual([made.reason, made.header("x-a"), made.header("x-b")], ["Made It", "1", "two"]);
    const large = await answers("large", 200);
    assert.ok(large.body.equals(Buffer.alloc(5242880, "0123456789abcdef")));
    for (const [status, reason] of [
      ["404", "Not Found"],
      ["503", "Service Unavailable"],
    ]) {
      assert.equal((await answers(status, Number(status))).reason, reason);
    }
    await answers("299", 299, "odd");
    await answers("599", 599, "odd");
  });

  it("Response: headers in their forms", async () => {
    assert.deepEqual((await get("owntype")).all("content-type"), ["text/x-own"]);
    assert.deepEqual((await get("lowertype")).all("content-type"), ["text/x-own"]);
    assert.deepEqual((await get("cookies")).all("set-cookie"), ["a=1", "b=2; Path=/"]);
    assert.equal((await get("numberheader")).header("x-n"), "5");
    assert.equal((await get("emptyheader")).header("x-empty"), "");
    assert.equal(Buffer.from((await get("utf8header")).header("x-u"), "latin1").toString("utf8"), "zwei ü");
  });

  it("Response.json, .html, .redirect", async () => {
    await answers("json", 200, '{"a":[1,2]}', /^application\/json/);
    assert.equal((await answers("jsoninit", 202, "[1]", /^application\/json/)).header("x-a"), "1");
    assert.deepEqual((await get("jsontype")).all("content-type"), ["application/problem+json"]);
    await answers("jsonscalar", 200, '"text"');
    await answers("jsonnull", 200, "null");
    const page = await answers("html", 200, undefined, /^text\/html; ?charset=utf-8$/i);
    assert.match(page.text, /^<b>&lt;a href=&quot;x&quot;&gt;(&#39;|&#x27;|&apos;)&amp;(&#39;|&#x27;|&apos;)&lt;\/a&gt;<\/b>$/);
    await answers("htmlinit", 404, "<p>", /^text\/html/);
    assert.equal((await answers("redirect", 302)).header("location"), "https://festa.example/there?x=1");
    assert.equal((await answers("redirect307", 307)).header("location"), "/there");
  });

  it("204 and 304 have no body", async () => {
    for (const [name, status] of [
      ["204", 204],
      ["204empty", 204],
      ["304", 304],
    ]) {
      const response = await answers(name, status, "");
      assert.equal(response.header("content-type"), undefined, name);
    }
    assert.equal((await get("304")).header("etag"), '"x"');
  });

  it("what cannot be sent raises in the script and is a 500", async () => {
    const names = [...CASES.matchAll(/^raising\("([^"]+)"/gm)].map((match) => match[1]);
    assert.ok(names.length >= 35, `${names.length} cases`);
    for (const name of names) {
      const response = await answers(`bad-${name}`, 500);
      assert.deepEqual([response.header("set-cookie"), response.header("x-b")], [undefined, undefined], name);
      const line = await errorLine();
      assert.equal(line.handler, "onRequest", name);
    }
  });

  it("headers of the framing are the server's", async () => {
    for (const name of ["length", "short", "coding", "close", "upgrade", "date", "trailer"]) {
      const response = await get(`own-${name}`); // the strict reader checks the rest
      assert.ok([200, 500].includes(response.status), name);
      if (response.status === 200) assert.equal(response.text, "hello", name);
    }
  });

  it("HEAD of everything is the head of it", async () => {
    for (const name of ["string", "array", "init", "large", "html", "404", "204", "raise", "bad-status-99"]) {
      const [head, whole] = [await get(name, { method: "HEAD" }), await get(name)];
      assert.equal(head.status, whole.status, name);
      assert.equal(head.header("content-type"), whole.header("content-type"), name);
      assert.equal(head.body.length, 0);
    }
  });
});

describe("errors of onRequest", () => {
  const server = serverForSuite(FILES);

  async function failing(name) {
    const from = server.lines.length;
    const response = await server.request(`/parties/main/errors/${name}`);
    assert.equal(response.status, 500, name);
    const line = await server.waitForLog((l) => l.level === "error" && l.room === "errors", `the error of ${name}`, { from });
    assert.deepEqual([line.party, line.handler], ["main", "onRequest"], name);
    return { response, line };
  }

  it("are 500 with a reference that is in the log, and no word of the script's", async () => {
    for (const name of ["raise", "raiselate"]) {
      const { response, line } = await failing(name);
      assert.match(response.header("content-type"), /^text\/plain/);
      assert.ok(response.body.length < 200, "a short text");
      assert.ok(!/secret|main\.lua|traceback/i.test(response.text), response.text);
      const words = response.text.match(/[\w-]{6,}/g) ?? [];
      const values = Object.entries(line)
        .filter(([key]) => !["msg", "traceback", "ts", "handler", "party", "room"].includes(key))
        .map(([, value]) => String(value));
      assert.ok(words.some((word) => values.includes(word)), `no reference of ${JSON.stringify(line)} in "${response.text}"`);
      assert.ok(JSON.stringify(line).includes("secret"), "the log has the message");
      assert.match(line.traceback, /main\.lua:\d+/);
    }
  });

  it("have references of their own", async () => {
    const texts = new Set();
    for (let n = 0; n < 10; n++) texts.add((await failing("raise")).response.text);
    assert.equal(texts.size, 10);
  });

  it("name file and line", async () => {
    const number = CASES.split("\n").findIndex((line) => line.startsWith("function cases.raise()")) + 1;
    const { line } = await failing("raise");
    assert.ok(JSON.stringify(line).includes(`main.lua:${number}:`), JSON.stringify(line));
  });

  it("may be any value", async () => {
    for (const name of [
      "index",
      "raisetable",
      "raisenil",
      "raisenumber",
      "raiseclose",
      "raisehostile",
      "raiselong",
      "raisebytes",
      "overflow",
      "missing-case",
      "decode",
    ]) {
      const { response } = await failing(name);
      assert.ok(response.body.length < 300, name);
    }
    assert.equal(await server.text("/parties/main/errors/string"), "just text");
  });

  it("do not flood the log", async () => {
    const { line } = await failing("raiselong");
    assert.ok(JSON.stringify(line).length < 32768, `${JSON.stringify(line).length} bytes`);
    const overflow = await failing("overflow");
    assert.ok(JSON.stringify(overflow.line).length < 32768);
  });

  it("error(Response(…)) is the answer", async () => {
    for (const [name, status, text] of [
      ["deny", 403, "denied"],
      ["denydeep", 422, '{"error":"deep"}'],
      ["denyrethrown", 409, "rethrown"],
      ["denylate", 410, "late"],
    ]) {
      const from = server.lines.length;
      const response = await server.request(`/parties/main/denies/${name}`);
      assert.deepEqual([response.status, response.text], [status, text], name);
      assert.deepEqual(await server.errorsSince(from), [], "an answer is no error");
    }
    assert.equal((await server.request("/parties/main/denies/deny")).header("x-why"), "because");
    assert.match(await server.text("/parties/main/denies/pcallresponse"), /^false (userdata|table)$/);
  });

  it("malformed JSON that the script catches is the script's", async () => {
    const response = await server.request("/parties/main/errors/catchjson", { method: "POST", body: "[1,]" });
    assert.equal(response.status, 200);
    assert.match(response.text, /^false string .*line 1\b.*column \d+/s);
  });

  it("a failed request leaves the next ones alone", async () => {
    const connection = await server.connect();
    const { host } = server;
    const names = ["raise", "string", "overflow", "array", "raiselate", "deny", "text"];
    connection.write(Buffer.concat(names.map((name) => requestBytes({ path: `/parties/main/next/${name}`, host }))));
    const statuses = [];
    for (const _ of names) statuses.push((await connection.response()).status);
    assert.deepEqual(statuses, [500, 200, 500, 200, 500, 403, 200]);
    connection.destroy();
  });
});

describe("a party without onRequest", () => {
  const server = serverForSuite(FILES);

  it("answers 404 Not implemented", async () => {
    for (const party of ["empty", "socketonly"]) {
      for (const method of ["GET", "POST", "OPTIONS"]) {
        const response = await server.request(`/parties/${party}/R/sub`, { method });
        assert.deepEqual([response.status, response.text], [404, "Not implemented"]);
      }
    }
  });
});
