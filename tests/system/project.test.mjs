// A project's own mistakes: festa.lua, scripts that do not load, modules that lead outside.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

import { MESSAGE_SERVER } from "./lib/parties.mjs";
import { config, link, lua, writeProject } from "./lib/project.mjs";
import { runFesta, serverFor, serverForSuite } from "./lib/server.mjs";

// Everything on stderr as one text, JSON lines opened up.
function said(stderr) {
  return stderr
    .split("\n")
    .map((line) => {
      try {
        return Object.values(JSON.parse(line)).join(" ");
      } catch {
        return line;
      }
    })
    .join("\n");
}

// check and run both refuse the project with exit code 1 and words that fit the patterns.
async function refuses(files, ...patterns) {
  const project = await writeProject({ "parties/main.lua": MESSAGE_SERVER, ...files });
  try {
    for (const args of [
      ["check", project.directory],
      ["run", project.directory, "--port", "0", "--data", project.data],
    ]) {
      const { code, signal, stdout, stderr } = await runFesta(args);
      const text = said(stderr + stdout);
      assert.deepEqual([code, signal], [1, null], `${JSON.stringify(files)}\n${text}`);
      for (const pattern of patterns) assert.match(text, pattern, JSON.stringify(files));
      assert.ok(!/"?listening"?/.test(text), text);
    }
  } finally {
    await project.remove();
  }
}

async function accepts(files) {
  const project = await writeProject({ "parties/main.lua": MESSAGE_SERVER, ...files });
  try {
    const { code, stderr } = await runFesta(["check", project.directory]);
    assert.equal(code, 0, `${JSON.stringify(files)}\n${stderr}`);
  } finally {
    await project.remove();
  }
}

const LIMITS = {
  message: 1024 * 1024,
  body: 10 * 1024 * 1024,
  url: 8192,
  headers: 16384,
  headerTimeout: 10000,
  bodyTimeout: 60000,
  idleTimeout: 75000,
  closeTimeout: 5000,
  stopTimeout: 10000,
  connections: 1000,
  queue: 4 * 1024 * 1024,
  events: 1024,
  handlers: 256,
  pingInterval: 30000,
  handlerTime: 250,
  stuckTime: 10000,
  roomMemory: 32 * 1024 * 1024,
  idleRoom: 600000,
};

describe("festa.lua", () => {
  it("may set everything", async () => {
    await accepts({
      "festa.lua": lua`
return {
  port = 1999, host = "127.0.0.1", threads = 1,
  public = "public", singlePageApp = false,
  cors = false, allowedOrigins = { "https://app.example" }, subprotocols = { "a", "b" }, deflate = false,
  ioUring = true,
  vars = { GREETING = "hi" },
  limits = { message = 1024 * 1024 },
}
`,
      "public/index.html": "",
    });
    await accepts({ "festa.lua": config({ limits: LIMITS }) });
    for (const [name, value] of Object.entries(LIMITS)) await accepts({ "festa.lua": config({ limits: { [name]: value } }) });
    await accepts({ "festa.lua": "return {}" });
    await accepts({ "festa.lua": "local limits = {}\nfor _ = 1, 3 do limits.message = (limits.message or 1000) * 2 end\nreturn { limits = limits }" });
  });

  it("unknown keys: file, line and a suggestion", async () => {
    await refuses({ "festa.lua": "return {\n  prot = 8080,\n}\n" }, /festa\.lua/, /\bprot\b/, /\bport\b/, /festa\.lua:\d/);
    await refuses({ "festa.lua": "return {\n  host = 'x',\n  Cors = true,\n}\n" }, /\bCors\b/, /\bcors\b/);
    await refuses({ "festa.lua": "return {\n  limits = {\n    mesage = 5,\n  },\n}\n" }, /\bmesage\b/, /\bmessage\b/);
    await refuses({ "festa.lua": "return { limits = { headertimeout = 5 } }" }, /headertimeout/, /headerTimeout/);
    await refuses({ "festa.lua": "return { somethingElse = 5 }" }, /somethingElse/);
    await refuses({ "festa.lua": "return { 5 }" }, /festa\.lua/);
  });

  it("wrong types and values: file, key and what it should be", async () => {
    for (const [text, ...patterns] of [
      ["port = '1999'", /port/, /number|integer/],
      ["port = 1.5", /port/],
      ["port = -1", /port/],
      ["port = 65536", /port/],
      ["host = 5", /host/, /string|text/],
      ["threads = 'many'", /threads/],
      ["threads = -1", /threads/],
      ["cors = 'yes'", /cors/, /boolean|true/],
      ["cors = 1", /cors/],
      ["allowedOrigins = 'https://x'", /allowedOrigins/],
      ["allowedOrigins = { 5 }", /allowedOrigins/],
      ["subprotocols = { a = 'b' }", /subprotocols/],
      ["subprotocols = { 'not a token' }", /subprotocols/],
      ["vars = { 'x' }", /vars/],
      ["vars = 'A=b'", /vars/],
      ["limits = 5", /limits/],
      ["limits = { message = '1M' }", /message/, /number|integer/],
      ["limits = { message = 0 }", /message/],
      ["limits = { message = -1 }", /message/],
      ["limits = { message = 1.5 }", /message/],
      ["limits = { message = 0/0 }", /message/],
      ["limits = { roomMemory = 1 }", /roomMemory/],
      ["limits = { events = 0 }", /events/],
      ["limits = { handlers = true }", /handlers/],
      ["limits = { idleRoom = {} }", /idleRoom/],
    ]) {
      await refuses({ "festa.lua": `return {\n  ${text},\n}\n` }, /festa\.lua/, ...patterns);
    }
  });

  it("that is no configuration at all", async () => {
    await refuses({ "festa.lua": "return {\n  port = ,\n}\n" }, /festa\.lua:2/);
    await refuses({ "festa.lua": "return 5" }, /festa\.lua/, /table/);
    await refuses({ "festa.lua": "" }, /festa\.lua/, /table/);
    await refuses({ "festa.lua": "error('on purpose')" }, /festa\.lua/, /on purpose/);
    await refuses({ "festa.lua": Buffer.from("\x1bLua\x54\x00\x19\x93", "latin1") }, /festa\.lua/);
  });

  it("runs in an empty environment", async () => {
    for (const name of ["os", "io", "require", "load", "print", "string", "party", "pcall", "debug", "setmetatable"]) {
      await accepts({ "festa.lua": `return { cors = ${name} ~= nil and "there is ${name}" or false }` });
    }
    await refuses({ "festa.lua": 'return { host = os.getenv("HOME") }' }, /festa\.lua:1/, /os/);
  });
});

describe("scripts that do not load", () => {
  it("do not compile: file, line and five lines of source", async () => {
    const lines = Array.from({ length: 20 }, (_, n) => `local line${n + 1} = ${n + 1}`);
    lines[9] = "local broken = = 10";
    lines.push("return {}");
    await refuses(
      { "parties/bad.lua": lines.join("\n") },
      /parties\/bad\.lua:10/,
      /local line8 = 8/,
      /local line9 = 9/,
      /local broken = = 10/,
      /local line11 = 11/,
      /local line12 = 12/,
    );
    await refuses({ "parties/bad.lua": "return {" }, /parties\/bad\.lua:1/, /return \{/);
    await refuses({ "parties/bad/init.lua": "x = = 1\nreturn {}" }, /parties\/bad\/init\.lua:1/, /x = = 1/);
  });

  it("do not return a table", async () => {
    for (const text of ["", "return 5", "return nil", "return 'party'", "return function() end", "local Party = {}"]) {
      await refuses({ "parties/bad.lua": text }, /parties\/bad\.lua/, /table/);
    }
  });

  it("raise at their file scope", async () => {
    await refuses({ "parties/bad.lua": "\n\nlocal t = nil\nlocal x = t.field\nreturn {}" }, /parties\/bad\.lua:4/);
    await refuses({ "parties/bad.lua": "error('on purpose')" }, /parties\/bad\.lua/, /on purpose/);
    await refuses({ "parties/bad.lua": "error({ 'no text' })" }, /parties\/bad\.lua/);
  });

  it("have handlers that nobody calls: did you mean", async () => {
    await refuses({ "parties/bad.lua": "return { onMesage = function() end }" }, /parties\/bad\.lua/, /onMesage/, /did you mean/i, /onMessage/);
    await refuses({ "parties/bad.lua": "local P = {}\nfunction P:onConect() end\nreturn P" }, /onConect/, /onConnect/);
    await refuses({ "parties/bad.lua": "return { onStarted = function() end }" }, /onStarted/, /onStart/);
    await refuses({ "parties/bad.lua": "return { onSomethingElse = function() end }" }, /onSomethingElse/);
    await accepts({ "parties/good.lua": "return { once = true, online = 5, on = 'x', helper = function() end }" });
  });

  it("have handlers that are no functions", async () => {
    await refuses({ "parties/bad.lua": "return { onMessage = 'text' }" }, /onMessage/, /function/);
    await refuses({ "parties/bad.lua": "return { onRequest = {} }" }, /onRequest/, /function/);
  });

  it("have options that nobody knows", async () => {
    await refuses({ "parties/bad.lua": "return { options = { duplicateID = 'allow' } }" }, /parties\/bad\.lua/, /duplicateID/, /duplicateId/);
    await refuses({ "parties/bad.lua": "return { options = { somethingElse = true } }" }, /somethingElse/);
    await refuses({ "parties/bad.lua": "return { options = { duplicateId = 'maybe' } }" }, /duplicateId/, /maybe|allow/);
    await refuses({ "parties/bad.lua": "return { options = { duplicateId = 5 } }" }, /duplicateId/);
    await refuses({ "parties/bad.lua": "return { options = 'allow' }" }, /options/);
    for (const value of ["allow", "replace", "reject"]) {
      await accepts({ "parties/good.lua": `return { options = { duplicateId = '${value}' } }` });
    }
  });

  it("are bytecode", async () => {
    await refuses({ "parties/bad.lua": Buffer.from("\x1bLua\x54\x00\x19\x93\r\n\x1a\n", "latin1") }, /parties\/bad\.lua/);
  });

  it("are all named, when there are more than one", async () => {
    await refuses(
      { "parties/one.lua": "return 5", "parties/two.lua": "x = = 1", "parties/three.lua": "return { onMesage = print }" },
      /one\.lua/,
      /two\.lua/,
      /three\.lua/,
    );
  });
});

// Tells what each name that it is asked for gives.
const REQUIRING = lua`
local Requiring = {}

function Requiring:onRequest(request)
  local ok, value = pcall(require, request.query.name)
  if not ok then return Response("refused: " .. tostring(value), { status = 418 }) end
  return type(value) == "table" and tostring(value.name) or type(value)
end

return Requiring
`;

describe("require", () => {
  const server = serverForSuite({
    "parties/main.lua": REQUIRING,
    "parties/chat/init.lua": REQUIRING,
    "parties/chat/helper.lua": "return { name = 'chat helper' }",
    "parties/chat/both.lua": "return { name = 'both of chat' }",
    "parties/chat/deep/er.lua": "return { name = 'deeper in chat' }",
    "lib/scoring.lua": "return { name = 'scoring' }",
    "lib/both.lua": "return { name = 'both of lib' }",
    "lib/game/rules.lua": "return { name = 'rules' }",
    "lib/uses.lua": "local rules = require 'game.rules'\nreturn { name = 'uses ' .. rules.name }",
    "lib/counter.lua": "local counter = { n = 0 }\nfunction counter.next() counter.n = counter.n + 1 return counter.n end\nreturn counter",
    "lib/raises.lua": "error('module trouble')",
    "lib/syntax.lua": "\nx = = 1\n",
    "lib/nothing.lua": "local x = 1",
    "lib/loop_a.lua": "return { name = require('loop_b').name }",
    "lib/loop_b.lua": "return { name = require('loop_a').name }",
    "lib/bytecode.lua": Buffer.from("\x1bLua\x54\x00\x19\x93\r\n\x1a\n", "latin1"),
    "lib/outside.lua": link("../../secret.lua"),
    "lib/folder": link("../.."),
    "lib/absolute.lua": link("/etc/hostname"),
    "lib/dangling.lua": link("nowhere.lua"),
    "parties/counting.lua": lua`
local counter = require "counter"
local Counting = {}
function Counting:onRequest() return tostring(counter.next()) .. tostring(require "counter" == counter) end
return Counting
`,
    "secret.lua": "return { name = 'inside the project but no module' }",
  });

  const get = async (name, party = "main") => {
    const { status, text } = await server.request(`/parties/${party}/r?name=${encodeURIComponent(name)}`);
    return status === 418 ? text : [status, text];
  };

  it("gives modules of lib and of the party's own folder", async () => {
    // a file that must never be reached
    await writeFile(join(server.project.root, "secret.lua"), "return { name = 'outside' }");
    assert.deepEqual(await get("scoring"), [200, "scoring"]);
    assert.deepEqual(await get("game.rules"), [200, "rules"]);
    assert.deepEqual(await get("uses"), [200, "uses rules"]);
    assert.deepEqual(await get("scoring", "chat"), [200, "scoring"]);
    assert.deepEqual(await get("helper", "chat"), [200, "chat helper"]);
    assert.deepEqual(await get("deep.er", "chat"), [200, "deeper in chat"]);
    assert.match(await get("helper"), /^refused: .*helper/s, "of another party's folder");
    const both = await get("both", "chat"); // one of the two, or a word about both
    if (both[0] === 200) assert.ok(["both of chat", "both of lib"].includes(both[1]));
    else assert.match(both, /^refused: .*both/s);
  });

  it("gives Lua's and our own libraries by their names", async () => {
    for (const name of ["string", "table", "math", "utf8", "coroutine", "os", "json", "crypto"]) {
      assert.deepEqual(await get(name), [200, "nil"], name); // a table without a name
    }
    for (const name of ["io", "package", "ffi"]) assert.match(await get(name), /^refused/, name);
  });

  it("loads a module once for each room", async () => {
    assert.equal(await server.text("/parties/counting/a"), "1true");
    assert.equal(await server.text("/parties/counting/a"), "2true");
    assert.equal(await server.text("/parties/counting/b"), "1true");
  });

  it("says what is wrong with a module", async () => {
    assert.match(await get("missing"), /^refused: .*missing/s);
    assert.match(await get("raises"), /module trouble/);
    assert.match(await get("syntax"), /syntax\.lua:2/);
    assert.match(await get("loop_a"), /^refused/);
    const nothing = await get("nothing");
    assert.deepEqual(nothing, [200, "boolean"], "true, as in Lua");
  });

  it("does not leave the project, whatever the name", async () => {
    const outside = join(server.project.root, "secret");
    for (const name of [
      "../secret",
      "../../secret",
      "..secret",
      "...secret",
      "..",
      ".",
      "",
      " ",
      "/",
      "../parties/main",
      "lib/../../secret",
      "game/../../../secret",
      "scoring.lua",
      "game..rules",
      ".game.rules",
      "game.rules.",
      outside,
      `${outside}.lua`,
      "/etc/passwd",
      "file:///etc/passwd",
      "outside",
      "folder.secret",
      "absolute",
      "dangling",
      "secret",
      "parties.main",
      "main",
      "chat.helper",
      "init",
      "festa",
      "scoring\0",
      "scoring\0.lua",
      "~root",
      "%2e%2e/secret",
      "..\\secret",
      "bytecode",
      "a".repeat(10000),
      "a.".repeat(5000),
    ]) {
      for (const party of ["main", "chat"]) {
        if (party === "chat" && name === "init") continue; // its own script: harmless either way
        const answer = await get(name.slice(0, 3000), party);
        assert.match(String(answer), /^refused/, `${JSON.stringify(name.slice(0, 60))} in ${party}`);
        assert.ok(!String(answer).includes("root:"), "no word of a file outside");
      }
    }
  });

  it("wants a string", async () => {
    assert.equal((await runFestaWith("require()")).code, 1);
    assert.equal((await runFestaWith("require({})")).code, 1);
  });

  async function runFestaWith(statement) {
    const project = await writeProject({ "parties/main.lua": `${statement}\nreturn {}` });
    try {
      return await runFesta(["check", project.directory]);
    } finally {
      await project.remove();
    }
  }

  it("a module that is missing or broken stops the start, with its name", async () => {
    await refuses({ "parties/bad.lua": 'local x = require "not.there"\nreturn {}' }, /bad\.lua:1/, /not\.there/);
    await refuses({ "parties/bad.lua": 'local x = require "broken"\nreturn {}', "lib/broken.lua": "\n\nx = = 1\n" }, /broken\.lua:3/);
  });
});

describe("the sandbox", () => {
  it("has Lua's safe libraries and nothing that reaches the host", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": lua`
local Sandbox = {}

local function names(t)
  local list = {}
  for name in pairs(t) do list[#list + 1] = tostring(name) end
  table.sort(list)
  return json.array(list)
end

function Sandbox:onRequest(request)
  if request.subpath == "/code" then
    local chunk, err = load(request.body)
    if not chunk then return "no: " .. tostring(err) end
    return "ran: " .. tostring(chunk())
  end
  local seen = {}
  for _, name in ipairs({
    "io", "debug.sethook", "debug.getinfo", "debug.getregistry", "debug.getupvalue", "debug.setmetatable", "package", "dofile", "loadfile", "collectgarbage", "os.execute", "os.exit", "os.getenv", "os.remove", "os.rename",
    "os.tmpname", "os.setlocale", "string.dump", "package.loadlib", "package.loaded", "require.searchers",
  }) do
    local value = _G
    for part in name:gmatch("[^.]+") do
      value = type(value) == "table" and value[part] or nil
    end
    if value ~= nil and name ~= "collectgarbage" then seen[#seen + 1] = name end
  end
  local there = {}
  for _, name in ipairs({
    "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawlen", "rawset", "require",
    "select", "setmetatable", "tonumber", "tostring", "type", "xpcall", "load", "_G", "_VERSION",
    "string", "table", "math", "utf8", "coroutine", "os", "party", "Response", "json", "html", "crypto", "sleep", "log", "now",
    "string.format", "string.pack", "table.concat", "table.move", "math.floor", "math.pi", "utf8.char", "coroutine.wrap",
    "os.time", "os.date", "os.clock", "os.difftime",
  }) do
    local value = _G
    for part in name:gmatch("[^.]+") do
      value = value ~= nil and value[part] or nil
    end
    if value == nil then there[#there + 1] = name end
  end
  return Response.json({
    forbidden = json.array(seen), missing = json.array(there), globals = names(_G),
    method = ("x"):upper(), version = _VERSION, stringmeta = tostring(getmetatable("") ~= nil),
  })
end

return Sandbox
`,
    });
    const seen = await server.json("/party/r");
    assert.deepEqual([seen.forbidden, seen.missing], [[], []]);
    assert.deepEqual([seen.method, seen.version], ["X", "Lua 5.4"]);
    for (const name of ["assert", "string", "party", "json"]) assert.ok(seen.globals.includes(name), `pairs(_G) has ${name}`);

    const run = (body) => server.text("/party/r/code", { method: "POST", body });
    assert.equal(await run("return 1 + 1"), "ran: 2");
    assert.match(await run("return = 1"), /^no: /);
    assert.match(await run(Buffer.from("\x1bLua\x54\x00\x19\x93\r\n\x1a\n", "latin1")), /^no: /, "bytecode");
    assert.match(await run("return type(os.time()) .. type(os.date()) .. type(os.clock())"), /^ran: numberstringnumber$/);
  });
});
