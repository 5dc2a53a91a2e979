// From a URL to a room, and what the room sees of the request.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { lua } from "./lib/project.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { serverForSuite } from "./lib/server.mjs";

// Says which room it is, and what it was asked. Counts, so that two URLs of one room show.
const WHERE = lua`
local Where = {}

function Where:onStart()
  self.count = 0
end

function Where:onRequest(request)
  self.count = self.count + 1
  return Response.json({
    id = party.id, name = party.name, count = self.count,
    method = request.method, url = request.url, path = request.path, subpath = request.subpath,
  })
end

return Where
`;

const FIELDS = lua`
local Fields = {}

local views = {}

function views.query(request)
  local seen = {}
  for name in (request.query.names or ""):gmatch("[^,]+") do
    seen[name] = { first = request.query[name] or json.null, all = json.array(request:queryAll(name)) }
  end
  return json.object(seen)
end

function views.headers(request)
  local seen = {}
  for name in request.query.names:gmatch("[^,]+") do
    seen[name] = request.headers[name] or json.null
  end
  return json.object(seen)
end

function views.form(request)
  local form = request:form()
  local seen = {}
  for name in request.query.names:gmatch("[^,]+") do
    seen[name] = form[name] or json.null
  end
  return json.object(seen)
end

function views.json(request)
  return { value = request:json() }
end

function views.body(request)
  return { body = request.body, text = request:text(), same = request.body == request:text(), kind = type(request.body) }
end

function views.address(request)
  return { remoteAddress = request.remoteAddress }
end

function views.readonly(request)
  local refused = {}
  for _, name in ipairs({ "method", "url", "path", "subpath", "query", "headers", "body", "remoteAddress", "unknown" }) do
    refused[name] = not pcall(function() request[name] = "changed" end)
  end
  return refused
end

function views.type(request)
  return { methods = json.array({ type(request.text), type(request.json), type(request.form), type(request.queryAll) }) }
end

function Fields:onRequest(request)
  local view = views[request.subpath:sub(2)]
  return Response.json(view(request))
end

return Fields
`;

const server = () => serverForSuite({ "parties/main.lua": WHERE, "parties/my-dash_2.lua": WHERE, "parties/9/init.lua": WHERE, "parties/fields.lua": FIELDS });

// Names that this file writes as bytes, not as characters.
const utf8 = (text) => Buffer.from(text, "utf8").toString("latin1");

describe("rooms by URL", () => {
  const festa = server();

  async function roomOf(path) {
    const connection = await festa.connect();
    connection.write(requestBytes({ path, host: festa.host, headers: { Connection: "close" } }));
    const response = await connection.response();
    connection.destroy();
    return response.status === 200 ? JSON.parse(response.text) : response;
  }

  async function refused(path, ...statuses) {
    const response = await roomOf(path);
    assert.ok(statuses.includes(response.status), `${path}: ${response.status ?? `room ${JSON.stringify(response.id)}`}`);
  }

  it("/party/:room is /parties/main/:room", async () => {
    assert.deepEqual([(await roomOf("/parties/main/alias")).count, (await roomOf("/party/alias")).count], [1, 2]);
    assert.equal((await roomOf("/party/alias/x/y?z")).count, 3);
    assert.equal((await roomOf("/party/main")).id, "main");
  });

  it("party names have digits, dashes and underscores, and may be folders", async () => {
    assert.deepEqual(await roomOf("/parties/my-dash_2/r"), {
      id: "r",
      name: "my-dash_2",
      count: 1,
      method: "GET",
      url: `${festa.url}/parties/my-dash_2/r`,
      path: "/parties/my-dash_2/r",
      subpath: "/",
    });
    assert.equal((await roomOf("/parties/9/r")).name, "9");
  });

  it("ids are percent-decoded", async () => {
    for (const [path, id] of [
      ["a%20b", "a b"],
      ["%61%62%63", "abc"],
      ["a+b", "a+b"],
      ["a%2Bb", "a+b"],
      ["%C3%BC%E2%9C%93", "ü✓"],
      ["%c3%bc%e2%9c%93", "ü✓"],
      ["%F0%9F%8E%89", "🎉"],
      ["%F4%8F%BF%BF", "\u{10ffff}"],
      ["a%3Fb", "a?b"],
      ["a%23b", "a#b"],
      ["a%26b%3Dc", "a&b=c"],
      ["%5C", "\\"],
      ["%22%27%3C%3E", "\"'<>"],
      ["a:b@c;d=e,f!$&'()*~-._", "a:b@c;d=e,f!$&'()*~-._"],
      ["CaSe", "CaSe"],
    ]) {
      assert.equal((await roomOf(`/parties/main/${path}`)).id, id, path);
    }
  });

  it("ids are decoded once", async () => {
    assert.equal((await roomOf("/parties/main/%2520")).id, "%20");
    assert.equal((await roomOf("/parties/main/%252F")).id, "%2F");
    assert.equal((await roomOf("/parties/main/%25zz")).id, "%zz");
  });

  it("the decoded id is the room, however it was written", async () => {
    const counts = [];
    for (const path of ["/parties/main/one%20room", "/parties/main/%6Fne%20roo%6d", "/party/one%20room/x", "/parties/main/one%20room/?q"]) {
      counts.push((await roomOf(path)).count);
    }
    assert.deepEqual(counts, [1, 2, 3, 4]);
    assert.equal((await roomOf("/parties/my-dash_2/one%20room")).count, 1, "of another party");
    assert.equal((await roomOf("/parties/main/One%20room")).count, 1, "in another case");
  });

  it("ids have 1 to 256 bytes", async () => {
    assert.equal((await roomOf(`/parties/main/${"a".repeat(256)}`)).id.length, 256);
    assert.equal((await roomOf(`/parties/main/${"%C3%BC".repeat(128)}`)).id, "ü".repeat(128));
    await refused(`/parties/main/${"a".repeat(257)}`, 400);
    await refused(`/parties/main/${"%C3%BC".repeat(128)}a`, 400);
    await refused(`/parties/main/${"%61".repeat(257)}`, 400);
  });

  it("ids that cannot be are refused", async () => {
    for (const id of [
      "%", "%2", "%zz", "a%", "a%4", "%G0", "%%20", // no escapes
      "%FF", "%80", "%C3", "%C3%28", "a%C3", // no UTF-8
      "%C0%AF", "%E0%80%AF", "%C1%81", // written longer than needed
      "%ED%A0%80", "%ED%BF%BF", // surrogates
      "%F4%90%80%80", "%F8%88%80%80%80", // beyond Unicode
      "%00", "a%00b", "%01", "%0A", "%0D", "%09", "%1B", "%1F", "%7F", // control characters
      "%2F", "a%2Fb", "a%2fb", "%2F%2F", // a slash
    ]) {
      await refused(`/parties/main/${id}`, 400);
      await refused(`/parties/main/${id}/sub`, 400);
      await refused(`/party/${id}`, 400);
    }
  });

  it("a refused id is the application's matter: the connection goes on", async () => {
    const connection = await festa.connect();
    connection.send({ path: "/parties/main/%FF" });
    assert.equal((await connection.response()).status, 400);
    connection.send({ path: "/parties/main/fine" });
    assert.equal((await connection.response()).status, 200);
    connection.destroy();
  });

  it("dots do not lead anywhere else", async () => {
    for (const [path, id, subpath] of [
      ["/parties/main/.", ".", "/"],
      ["/parties/main/..", "..", "/"],
      ["/parties/main/%2e%2e", "..", "/"],
      ["/parties/main/../my-dash_2/x", "..", "/my-dash_2/x"],
      ["/parties/main/%2e%2e/my-dash_2/x", "..", "/my-dash_2/x"],
    ]) {
      const seen = await roomOf(path);
      if (seen.id === undefined) assert.ok([400, 404].includes(seen.status), path);
      else assert.deepEqual([seen.name, seen.id, seen.subpath], ["main", id, subpath], path);
    }
    await refused("/parties/../parties/main/x", 400, 404);
    await refused("/./parties/main/x", 400, 404);
    await refused("//parties/main/x", 400, 404);
  });

  it("subpaths", async () => {
    for (const [path, subpath] of [
      ["/parties/main/r", "/"],
      ["/parties/main/r/", "/"],
      ["/parties/main/r?x=/y", "/"],
      ["/parties/main/r/?x", "/"],
      ["/parties/main/r/a", "/a"],
      ["/parties/main/r/a/", "/a/"],
      ["/parties/main/r/a/b/c.txt?x=1", "/a/b/c.txt"],
      ["/parties/main/r//a//", "//a//"],
      ["/parties/main/r/main/r", "/main/r"],
      ["/party/r/a/b", "/a/b"],
    ]) {
      const seen = await roomOf(path);
      assert.deepEqual([seen.id, seen.subpath], ["r", subpath], path);
      assert.equal(seen.path, path.split("?")[0]);
      assert.equal(seen.url, `${festa.url}${path}`);
    }
  });

  it("no room, no party", async () => {
    for (const path of ["/parties/main//x", "/parties//x", "/parties///", "/parties/main?x", "/party?x", "/party//x", "/parties/main/?x"]) {
      await refused(path, 404);
    }
    const hostile = await festa.request("/parties/%3Cscript%3Ealert(1)%3C%2Fscript%3E/r");
    assert.ok([400, 404].includes(hostile.status));
    assert.match(hostile.header("content-type"), /^text\/plain/);
  });

  it("a long name of a party is no trouble", async () => {
    await refused(`/parties/${"p".repeat(4000)}/r`, 404);
  });
});

describe("what a request tells", () => {
  const festa = server();

  it("method", async () => {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      assert.equal((await festa.json("/party/m", { method })).method, method);
    }
  });

  it("url: absolute, with the host that was asked", async () => {
    for (const host of ["festa.example", "FESTA.example:8080", "[::1]:80", "a_b"]) {
      const { url } = await festa.json("/party/u/x?y=1&y=2", { headers: { Host: host } });
      assert.equal(url.toLowerCase(), `http://${host.toLowerCase()}/party/u/x?y=1&y=2`);
    }
    assert.equal((await festa.json("/party/u?")).url.replace(/\?$/, ""), `${festa.url}/party/u`);
    assert.equal((await festa.json("/party/a%20b/c%20d")).url, `${festa.url}/party/a%20b/c%20d`);
  });

  it("url: an absolute form wins over Host", async () => {
    const connection = await festa.connect();
    connection.write("GET http://absolute.example/party/u?x HTTP/1.1\r\nHost: other.example\r\n\r\n");
    const seen = JSON.parse((await connection.response()).text);
    assert.deepEqual([seen.url, seen.path], ["http://absolute.example/party/u?x", "/party/u"]);
    connection.destroy();
  });

  it("query: first value wins, queryAll has all, in order", async () => {
    const seen = await festa.json(
      "/parties/fields/q/query?a=1&b=x+y&a=2&c=x%20y&d&e=&f=%C3%BC&a=&g=a%3Db%26c&h=a=b&%69=name&j%20k=1&names=a,b,c,d,e,f,g,h,i,j%20k,missing",
    );
    assert.deepEqual(seen, {
      a: { first: "1", all: ["1", "2", ""] },
      b: { first: "x y", all: ["x y"] },
      c: { first: "x y", all: ["x y"] },
      d: { first: "", all: [""] },
      e: { first: "", all: [""] },
      f: { first: "ü", all: ["ü"] },
      g: { first: "a=b&c", all: ["a=b&c"] },
      h: { first: "a=b", all: ["a=b"] },
      i: { first: "name", all: ["name"] },
      "j k": { first: "1", all: ["1"] },
      missing: { first: null, all: [] },
    });
    assert.deepEqual(await festa.json("/parties/fields/q/query"), {});
    assert.deepEqual(await festa.json("/parties/fields/q/query?"), {});
    assert.deepEqual(await festa.json("/parties/fields/q/query?&&names=a&&"), { a: { first: null, all: [] } });
  });

  it("query: a broken escape harms nobody", async () => {
    const response = await festa.request("/parties/fields/q/query?a=%zz&b=2&names=b");
    assert.ok([200, 400].includes(response.status), String(response.status));
    if (response.status === 200) assert.deepEqual(JSON.parse(response.text), { b: { first: "2", all: ["2"] } });
  });

  it("headers: in any case, repeated ones joined", async () => {
    const connection = await festa.connect();
    connection.write(
      "GET /parties/fields/h/headers?names=x-one,X-One,X-ONE,host,HOST,x-list,X-Empty,x-spaces,missing HTTP/1.1\r\n" +
        `hOsT: ${festa.host}\r\nx-oNe: First\r\nX-List: a\r\nx-list: b, c\r\nX-LIST: d\r\nX-Empty:\r\nX-Spaces: \t in  side \t\r\n\r\n`,
    );
    const response = await connection.response();
    assert.deepEqual(JSON.parse(response.text), {
      "x-one": "First",
      "X-One": "First",
      "X-ONE": "First",
      host: festa.host,
      HOST: festa.host,
      "x-list": "a, b, c, d",
      "X-Empty": "",
      "x-spaces": "in  side",
      missing: null,
    });
    connection.destroy();
  });

  it("body and text(): the same bytes", async () => {
    const body = "zwei ü\n\u0000🎉";
    assert.deepEqual(await festa.json("/parties/fields/b/body", { method: "POST", body }), {
      body,
      text: body,
      same: true,
      kind: "string",
    });
    assert.deepEqual(await festa.json("/parties/fields/b/body"), { body: "", text: "", same: true, kind: "string" });
  });

  it("json(): values as they are", async () => {
    const nested = '{"a":[1,2.5,"x",true],"b":{"c":{}}}'; // whose order of keys is nobody's business
    assert.deepEqual(await festa.json("/parties/fields/j/json", { method: "POST", body: nested }), { value: JSON.parse(nested) });
    for (const text of ["[]", "[[],[[]]]", '"text"', "5", "-0.5", "9007199254740993", "false", '{"ü":"✓"}']) {
      const response = await festa.request("/parties/fields/j/json", { method: "POST", body: text });
      assert.equal(response.text, `{"value":${text}}`);
    }
  });

  it("json(): what is no JSON answers 400 with line and column", async () => {
    for (const [body, place] of [
      ["", /line 1\b.*column 1\b/s],
      ["{", /line 1\b/],
      ['{\n"a": 1,\n}', /line 3\b/],
      ["[1,\n2,\n\n x]", /line 4\b.*column 2\b/s],
      ["NaN", /line 1\b.*column 1\b/s],
      ["{} x", /line 1\b.*column 4\b/s],
      ['"\\ud800"', /line 1\b/],
      ["01", /line 1\b/],
      [`${"[".repeat(100000)}`, /line 1\b/],
    ]) {
      const response = await festa.request("/parties/fields/j/json", { method: "POST", body });
      assert.equal(response.status, 400, body.slice(0, 40));
      assert.match(response.text, place, body.slice(0, 40));
    }
  });

  it("form(): names and values, first one wins", async () => {
    assert.deepEqual(
      await festa.json("/parties/fields/f/form?names=a,b,c,d,missing", {
        method: "POST",
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        body: "a=1&b=x+y%21&a=2&c=%C3%BC&d=",
      }),
      { a: "1", b: "x y!", c: "ü", d: "", missing: null },
    );
  });

  it("remoteAddress", async () => {
    assert.deepEqual(await festa.json("/parties/fields/a/address"), { remoteAddress: "127.0.0.1" });
  });

  it("its methods are functions and its fields are read-only", async () => {
    assert.deepEqual(await festa.json("/parties/fields/t/type"), { methods: ["function", "function", "function", "function"] });
    assert.deepEqual(await festa.json("/parties/fields/r/readonly"), {
      method: true,
      url: true,
      path: true,
      subpath: true,
      query: true,
      headers: true,
      body: true,
      remoteAddress: true,
      unknown: true,
    });
  });

  it("bytes over 127 in a header reach the script as they are", async () => {
    const connection = await festa.connect();
    connection.write(
      `GET /parties/fields/h/headers?names=x HTTP/1.1\r\nHost: ${festa.host}\r\nX: ${utf8("zwei ü")}\r\n\r\n`,
    );
    assert.deepEqual(JSON.parse((await connection.response()).text), { x: "zwei ü" });
    connection.destroy();
  });
});
