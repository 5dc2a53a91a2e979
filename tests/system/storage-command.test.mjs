// festa rooms and festa storage: with a server that runs, without one, and beside rooms that are at work.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";

import { lua, writeProject } from "./lib/project.mjs";
import { FESTA, runFesta, serverFor } from "./lib/server.mjs";
import { poll, within } from "./lib/wait.mjs";

const PARTY = lua`
local Party = {}

local makers = {
  all = function()
    return {
      t = true, f = false, null = json.null, int = 7, big = math.maxinteger, least = math.mininteger,
      float = 1.0, tiny = 5e-324, minus0 = -0.0, nan = 0/0, inf = math.huge, text = "é\0\n\"", long = ("x"):rep(1000),
      bytes = "\xff\x00\x80", empty = {}, object = json.object({}), array = json.array({}), list = { 1, "a", json.null },
      pairs = { a = 1, b = { c = { d = 2.5 } } }, mixed = { 1, 2, x = 3 }, keys = { [10] = 1, [2.5] = 2, [true] = 3 },
      marked = json.object({ "x" }), huge = ("y"):rep(70000),
    }
  end,
}

function Party:onRequest(request)
  local storage, query = party.storage, request.query
  if query.fill then
    for key, value in pairs(makers.all()) do storage:put(key, value) end
    storage:put("\xfe\xff key", 1)
    storage:setAlarm(4102444800000)
  elseif query.add then
    local n = (storage:get("n") or 0) + 1
    storage:put("n", n)
    return Response(json.encode(n))
  elseif query.get then
    return Response(json.encode(storage:get(query.get) or json.null))
  elseif query.alarm then
    return Response(json.encode(storage:getAlarm() or json.null))
  elseif query.put then
    storage:put(query.put, request:json())
  end
  return Response("ok")
end

function Party:onMessage(message, connection)
  local n = (party.storage:get("n") or 0) + 1
  party.storage:put("n", n)
  connection:send(json.encode(n))
end

return Party
`;

const PERSISTENT = lua`
local Party = { options = { persist = true } }

function Party:onRequest()
  self.count = (self.count or 0) + 1
  return Response(json.encode(self.count))
end

return Party
`;

const FILES = { "parties/main.lua": PARTY, "parties/kept.lua": PERSISTENT };

// Runs it with a text on its standard input.
async function runWithInput(args, input) {
  const child = spawn(FESTA, args, { stdio: ["pipe", "pipe", "pipe"] });
  const out = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (out[name] += text));
  child.stdin.on("error", () => {}); // it may have ended before it has read all
  child.stdin.end(input);
  const [code, signal] = await within(once(child, "close"), `the end of festa ${args.join(" ")}`);
  return { code, signal, ...out };
}

// Runs a command that must do well, and say nothing on stderr; what it prints.
async function run(args, input) {
  const result = input === undefined ? await runFesta(args) : await runWithInput(args, input);
  assert.deepEqual([result.code, result.stderr], [0, ""], `festa ${args.join(" ")}`);
  return result.stdout;
}

async function fails(args, code, pattern, input) {
  const result = input === undefined ? await runFesta(args) : await runWithInput(args, input);
  assert.equal(result.code, code, `festa ${args.join(" ")}: ${result.stderr}`);
  assert.equal(result.stderr.trim().split("\n").length, 1, result.stderr);
  assert.match(result.stderr, pattern);
}

const storage = (data) => ({
  get: (...args) => run(["storage", "get", ".", ...args, "--data", data]),
  put: (...args) => run(["storage", "put", ".", ...args, "--data", data]),
  delete: (...args) => run(["storage", "delete", ".", ...args, "--data", data]),
  export: (...args) => run(["storage", "export", "--data", data, ...args]),
  import: (text) => run(["storage", "import", "--data", data], text),
  rooms: async (...args) =>
    (await run(["rooms", "--json", "--data", data, ...args])).split("\n").filter(Boolean).map((line) => JSON.parse(line)),
});

// A project without a server, whose data folder is there.
async function folderFor(t) {
  const project = await writeProject(FILES);
  t.after(() => project.remove());
  await storage(project.data).import("");
  return project;
}

// Fills the second half of the data file with rubbish.
async function damage(data) {
  const file = join(data, "data.sqlite");
  const bytes = await readFile(file);
  await writeFile(file, bytes.fill(0xa5, Math.ceil(bytes.length / 8192) * 4096));
}

const lines = (text) => text.split("\n").filter(Boolean);

describe("a folder without a server", () => {
  it("get, put and delete", async (t) => {
    const { data } = await folderFor(t);
    const { get, put, delete: remove, rooms } = storage(data);
    for (const value of ["7", "-7", "1.0", '"a text"', "true", "null", "[]", "{}", '[1,[2,{"a":null}]]', '{"b":1,"a":2.5}']) {
      await put("main", "lobby", "a key", value);
      assert.equal(await get("main", "lobby", "a key"), `${value}\n`);
    }
    await run(["storage", "put", ".", "main", "lobby", "large", "-", "--data", data], JSON.stringify("x".repeat(300_000)));
    assert.equal(JSON.parse(await get("main", "lobby", "large")).length, 300_000);
    assert.deepEqual(await rooms(), [
      { party: "main", room: "lobby", keys: 2, bytes: 300_000 + "a key".length + "large".length + 21, alarm: null, inMemory: false, connections: 0 },
    ]);
    await remove("main", "lobby", "large");
    await fails(["storage", "get", ".", "main", "lobby", "large", "--data", data], 1, /room lobby of party main has no key large/);
    await fails(["storage", "delete", ".", "main", "lobby", "large", "--data", data], 1, /has no key large/);
    await remove("main", "lobby", "a key");
    assert.deepEqual(await rooms(), []);
  });

  it("finds the project's folder, and takes the current one when none is named", async (t) => {
    const { directory } = await writeProject(FILES).then((project) => (t.after(() => project.remove()), project));
    await mkdir(join(directory, ".festa"));
    await run(["storage", "put", directory, "main", "lobby", "k", "1"]);
    const here = await runFesta(["storage", "get", "main", "lobby", "k"], { cwd: directory });
    assert.deepEqual([here.code, here.stdout], [0, "1\n"]);
    await run(["storage", "backup", directory, join(directory, "..", "copy")]);
    assert.equal(await storage(join(directory, "..", "copy")).get("main", "lobby", "k"), "1\n");
    const relative = await runFesta(["storage", "backup", "another"], { cwd: directory });
    assert.equal(relative.code, 0, relative.stderr);
    assert.ok(existsSync(join(directory, "another", "data.sqlite")));
  });

  it("rooms by party and prefix, over several pages", async (t) => {
    const { data } = await folderFor(t);
    const { rooms } = storage(data);
    const all = [];
    for (const party of ["a", "b"]) for (let i = 0; i < 150; i++) all.push({ party, room: `r${String(i).padStart(3, "0")}`, key: "k", value: i });
    await storage(data).import(all.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const names = (found) => found.map(({ party, room }) => `${party}/${room}`);
    assert.deepEqual(names(await rooms()), names(all));
    assert.deepEqual(names(await rooms("--party", "b")), names(all.filter(({ party }) => party === "b")));
    assert.deepEqual(names(await rooms("--prefix", "r01")), names(all.filter(({ room }) => room.startsWith("r01"))));
    assert.deepEqual(names(await rooms("--party", "a", "--prefix", "r149")), ["a/r149"]);
    assert.deepEqual(names(await rooms("--party", "c")), []);
    const table = lines(await run(["rooms", "--data", data, "--prefix", "r000"]));
    assert.match(table[0], /^PARTY +ROOM +KEYS +BYTES +ALARM +CONNECTIONS$/);
    assert.match(table[1], /^a +r000 +1 +\d+ +- +-$/);
    assert.equal(table.length, 3);
  });

  it("an export of part of it", async (t) => {
    const { data } = await folderFor(t);
    const text = ["a", "b"].flatMap((party) => ["x", "xy"].map((room) => `{"party":"${party}","room":"${room}","key":"k","value":1}\n`));
    await storage(data).import(text.join(""));
    assert.equal(await storage(data).export(), text.join(""));
    assert.equal(await storage(data).export("--party", "b"), text.slice(2).join(""));
    assert.equal(await storage(data).export("--party", "b", "--room", "x"), text[2]);
    assert.equal(await storage(data).export("--prefix", "xy"), text[1] + text[3]);
  });

  it("keys of a room over many pages", async (t) => {
    const { data } = await folderFor(t);
    const text = Array.from({ length: 40 }, (_, i) => `{"party":"p","room":"r","key":"${String.fromCharCode(97 + i % 26)}${i}","value":"${"v".repeat(20_000)}"}\n`);
    await storage(data).import(text.join(""));
    assert.equal(await storage(data).export(), text.sort().join(""));
  });

  it("says which line of an import is wrong, and keeps those before it", async (t) => {
    const { data } = await folderFor(t);
    const good = '{"party":"p","room":"r","key":"k","value":1}';
    for (const [bad, pattern] of [
      ["{", /line 3: no JSON: .*\(lines stored: \d\)/],
      ["[]", /line 3: a line is one JSON object/],
      ['{"party":"p","room":"r"}', /line 3: a line has "key" and "value", or "alarm", or "self"/],
      ['{"party":"p","room":"r","key":"","value":1}', /line 3: "key" is empty/],
      ['{"party":"p","key":"k","value":1}', /line 3: "party" and "room" are missing/],
      ['{"party":"p","room":"r","key":"k","value":1,"valueBytes":"AQE="}', /line 3: "value" is there in two forms/],
      ['{"party":"p","room":"r","key":"k","valueBytes":"AQE"}', /line 3: valueBytes is no base64/],
      ['{"party":"p","room":"r","key":"k","valueBytes":"/w=="}', /line 3: valueBytes is no stored value/],
      ['{"party":"p","room":"r","alarm":-1}', /line 3: alarm is no number that it can be/],
      ['{"party":"p","room":"r","self":5}', /line 3: "self" is no object/],
      ['{"party":"p","room":"r","self":"text"}', /line 3: "self" is no object/],
      ['{"party":"p","room":"r","colour":1}', /line 3: the field "colour" is not known/],
    ]) {
      await fails(["storage", "import", "--data", data], 1, pattern, `${good}\n\n${bad}\n`);
    }
    await fails(["storage", "import", "--data", data], 1, /\(lines stored: 1\)/, `{"party":"q","room":"r","key":"k","value":1}\n${good}\n{\n`);
    assert.equal(await storage(data).get("q", "r", "k"), "1\n");
  });

  it("a backup of a damaged file is none", async (t) => {
    const project = await folderFor(t);
    const { put, get } = storage(project.data);
    for (const key of ["a", "b"]) await put("main", "lobby", key, "1");
    await damage(project.data);
    const copy = join(project.root, "copy");
    const backup = ["storage", "backup", ".", copy, "--data", project.data];
    await fails(backup, 1, /data\/data\.sqlite: the data file is damaged: put back a backup/);
    assert.ok(!existsSync(copy) && !existsSync(`${copy}.part`));
    const server = await serverFor(t, undefined, { project });
    await fails(backup, 1, /data\/data\.sqlite: the data file is damaged: put back a backup/);
    assert.ok(!existsSync(copy) && !existsSync(`${copy}.part`));
    await server.stop();
  });

  it("takes names that parties and rooms can have, and no others", async (t) => {
    const { data } = await folderFor(t);
    const party = /there can't be such a party: a party's name is of lower-case letters/;
    const bad = [
      ...["EV", "../x", ".", "a b", "x".repeat(65), "é"].map((name) => [name, "lobby", party]),
      ["ev", "a/b", /there can't be such a room: The room id has a slash/],
      ["ev", "new\nline", /there can't be such a room: The room id has a control character/],
      ["ev", "x".repeat(257), /there can't be such a room: The room id is longer than 256 bytes/],
    ];
    for (const [party, room, pattern] of bad) {
      await fails(["storage", "put", ".", party, room, "k", "1", "--data", data], 1, pattern);
      const text = [{ party: "ev", room: "lobby", key: "k", value: 1 }, { party, room, key: "k", value: 1 }];
      const input = text.map((line) => `${JSON.stringify(line)}\n`).join("");
      await fails(["storage", "import", "--data", data], 1, new RegExp(`line 2: ${pattern.source}.*\\(lines stored: 0\\)`), input);
    }
    const bytes = '{"party":"ev","roomBytes":"gA==","key":"k","value":1}\n';
    await fails(["storage", "import", "--data", data], 1, /line 1: there can't be such a room: The room id is not valid UTF-8/, bytes);
    await fails(["storage", "import", "--data", data], 1, /line 1: there can't be such a room: The room id is empty/, '{"party":"ev","room":"","alarm":1}');
    assert.deepEqual(await storage(data).rooms(), []);
    for (const room of ["x".repeat(256), "é ü", "."]) await storage(data).put("of-no-project", room, "k", "1");
    assert.equal((await storage(data).rooms()).length, 3);
  });

  it("reads and deletes what is there under other names", async (t) => {
    const { data } = await folderFor(t);
    const { put, get, delete: remove, export: all, rooms } = storage(data);
    await put("ev", "lobby", "k", "1");
    const db = join(data, "data.sqlite");
    await writeFile(db, (await readFile(db, "latin1")).replaceAll("evlobby", "EVlo/by"), "latin1");
    assert.equal(await get("EV", "lo/by", "k"), "1\n");
    assert.equal(await all(), '{"party":"EV","room":"lo/by","key":"k","value":1}\n');
    await remove("EV", "lo/by", "k");
    assert.deepEqual(await rooms(), []);
  });

  it("reads a folder that can't be written", async (t) => {
    // root may write everywhere: then festa runs as somebody else
    const who = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {};
    const works = await runFesta(["version"], who).catch(() => undefined);
    if (works?.code !== 0) return t.skip("another user may not run festa here");
    const project = await writeProject(FILES);
    const data = join(project.root, "back %up? #1");
    t.after(async () => {
      await chmod(data, 0o755);
      await project.remove();
    });
    const line = '{"party":"main","room":"lobby","key":"k","value":[1]}\n';
    await storage(data).import(line);
    await chmod(project.root, 0o755);
    await chmod(join(data, "data.sqlite"), 0o444);
    await chmod(data, 0o555);
    const reads = async (args) => {
      const { code, stdout, stderr } = await runFesta([...args, "--data", data], { ...who, cwd: project.root });
      assert.deepEqual([code, stderr], [0, ""], args.join(" "));
      return stdout;
    };
    const refuses = async (args, pattern) => {
      const { code, stderr } = await runFesta([...args, "--data", data], { ...who, cwd: project.root });
      assert.equal(code, 1, stderr);
      assert.match(stderr, pattern);
    };
    const before = await readdir(data);
    assert.match(await reads(["rooms"]), /^main +lobby +1 /m);
    assert.equal(await reads(["storage", "get", ".", "main", "lobby", "k"]), "[1]\n");
    assert.equal(await reads(["storage", "export"]), line);
    const copies = join(project.root, "copies");
    await mkdir(copies);
    await chmod(copies, 0o777);
    await reads(["storage", "backup", ".", join(copies, "copy")]);
    assert.deepEqual(await readdir(data), before);
    await refuses(["storage", "put", ".", "main", "lobby", "k", "1"], /the data folder can't be written to/);
    await refuses(["storage", "delete", ".", "main", "lobby", "k"], /the data folder can't be written to/);
    await chmod(data, 0o755);
    await writeFile(join(data, "data.sqlite-wal"), "");
    await chmod(data, 0o555);
    await refuses(["rooms"], /data\.sqlite-wal: it holds what was written last, .* make the folder writable/);
    await chmod(data, 0o755);
    for (const file of await readdir(data)) await rm(join(data, file));
    await chmod(data, 0o555);
    await refuses(["rooms"], /there is no data in this folder/);
  });

  it("names the file that is damaged", async (t) => {
    const { data } = await folderFor(t);
    const { put } = storage(data);
    await put("main", "lobby", "k", "1");
    await damage(data);
    const damaged = /data\/data\.sqlite: the data file is damaged/;
    await fails(["rooms", "--json", "--data", data], 1, damaged);
    await fails(["storage", "export", "--data", data], 1, damaged);
    await fails(["storage", "get", ".", "main", "lobby", "k", "--data", data], 1, damaged);
    const { code, stderr } = await runFesta(["storage", "put", ".", "main", "lobby", "k", "1", "--data", data]);
    assert.deepEqual([code, damaged.test(stderr)], [1, true], stderr);
  });

  it("what is wrong with the folder", async (t) => {
    const project = await writeProject(FILES);
    t.after(() => project.remove());
    await fails(["rooms", project.directory], 1, /\.festa: there is no data folder: name the project's folder, or it with --data/);
    assert.ok(!existsSync(join(project.directory, ".festa")));
    await mkdir(project.data);
    for (const args of [["rooms"], ["storage", "export"], ["storage", "get", ".", "p", "r", "k"],
        ["storage", "delete", ".", "p", "r", "k"], ["storage", "backup", ".", join(project.root, "copy")]]) {
        await fails([...args, "--data", project.data], 1, /data: there is no data in this folder: name the project's, or the data folder with --data/);
    }
    assert.deepEqual([await readdir(project.data), existsSync(join(project.root, "copy"))], [[], false]);
    await writeFile(join(project.data, "data.sqlite"), "this is no database, but it is long enough to be taken for one".repeat(100));
    await fails(["rooms", "--data", project.data], 1, /data\.sqlite/);
  });
});

describe("usage", () => {
  it("is said in one line, with exit code 2", async () => {
    for (const [args, pattern] of [
      [["storage"], /storage what\? get, put, delete, export, import or backup/],
      [["storage", "gte"], /unknown command of storage gte: did you mean get\?/],
      [["storage", "get"], /usage: festa storage get \[DIR\] PARTY ROOM KEY/],
      [["storage", "get", ".", "main", "lobby", "key", "more"], /usage: festa storage get/],
      [["storage", "put", "main", "lobby", "key"], /usage: festa storage put \[DIR\] PARTY ROOM KEY JSON/],
      [["storage", "delete", "main"], /usage: festa storage delete/],
      [["storage", "backup"], /usage: festa storage backup \[DIR\] TARGET/],
      [["storage", "get", "main", "", "key"], /a party, a room and a key have names/],
      [["storage", "export", "a", "b"], /one project folder only/],
      [["storage", "export", "--room", "r"], /--room needs --party/],
      [["storage", "get", "a", "b", "c", "--json"], /--json is no option of this command/],
      [["rooms", "a", "b"], /one project folder only/],
      [["rooms", "--port", "1"], /--port is no option of this command/],
      [["run", "--party", "main"], /--party is no option of this command/],
      [["rooms", "--partty", "main"], /unknown option --partty: did you mean --party\?/],
    ]) {
      await fails(args, 2, pattern);
    }
  });

  it("a value that is no JSON", async (t) => {
    const { data } = await folderFor(t);
    for (const value of ["", "text", "{a:1}", "1 2", "NaN"]) {
      await fails(["storage", "put", ".", "main", "lobby", "key", value, "--data", data], 1, /the value is no JSON: .*a text stands in quotes/);
    }
    for (const value of ["12345678901234567890", '{"a":[-9223372036854775809]}', "1e999"]) {
      await fails(["storage", "put", ".", "main", "lobby", "key", value, "--data", data], 1, /: the value can't be stored: a number is out of range\n$/);
    }
    assert.deepEqual(await storage(data).rooms(), []);
  });

  it("an argument too few behind a project's folder", async (t) => {
    const { directory } = await folderFor(t);
    for (const args of [["get", directory, "main", "lobby"], ["delete", directory, "main", "lobby"], ["put", directory, "main", "lobby", "k"]]) {
      await fails(["storage", ...args], 2, /usage: festa storage \w+ \[DIR\] PARTY ROOM KEY.* \(.* is a project's folder, so one is missing behind it\)/);
    }
  });
});

describe("beside a server", () => {
  it("goes through a room that is in memory: both see what the other has written", async (t) => {
    const server = await serverFor(t, FILES);
    const { get, put, delete: remove } = storage(server.project.data);
    const room = server.room();
    assert.equal(await server.json(`/parties/main/${room}?add=1`), 1);
    assert.equal(await get("main", room, "n"), "1\n");
    await put("main", room, "n", "40");
    assert.equal(await server.json(`/parties/main/${room}?add=1`), 41);
    assert.equal(await get("main", room, "n"), "41\n");
    await remove("main", room, "n");
    assert.equal(await server.json(`/parties/main/${room}?get=n`), null);
    await fails(["storage", "get", ".", "main", room, "n", "--data", server.project.data], 1, /has no key n/);
  });

  it("does not start a room for a change, and the room finds it", async (t) => {
    const server = await serverFor(t, FILES);
    const { put, rooms } = storage(server.project.data);
    for (const party of ["main", "gone"]) await put(party, "cold", "n", "7");
    for (const room of await rooms()) assert.deepEqual([room.room, room.inMemory], ["cold", false]);
    assert.equal(await server.json("/parties/main/cold?add=1"), 8);
    assert.deepEqual((await rooms("--party", "main")).map(({ inMemory }) => inMemory), [true]);
  });

  it("lists rooms in memory with their connections, whether they have stored anything or not", async (t) => {
    const server = await serverFor(t, FILES);
    const { rooms } = storage(server.project.data);
    const socket = await server.socket("/parties/main/full");
    const other = await server.socket("/parties/main/full");
    socket.text("add");
    assert.equal(await socket.message(), "1");
    await server.text("/parties/main/empty");
    const found = Object.fromEntries((await rooms()).map(({ room, ...rest }) => [room, rest]));
    assert.deepEqual(found.full, { party: "main", keys: 1, bytes: 3, alarm: null, inMemory: true, connections: 2 });
    assert.deepEqual(found.empty, { party: "main", keys: 0, bytes: 0, alarm: null, inMemory: true, connections: 0 });
    other.destroy();
    socket.destroy();
  });

  it("an alarm that is imported rings", async (t) => {
    const server = await serverFor(t, FILES);
    await server.text("/parties/main/warm?add=1");
    await storage(server.project.data).import(
      ["warm", "cold"].map((room) => `{"party":"main","room":"${room}","alarm":4102444800000,"attempt":2}\n`).join(""),
    );
    for (const room of ["warm", "cold"]) assert.equal(await server.json(`/parties/main/${room}?alarm=1`), 4102444800000);
    assert.match(await storage(server.project.data).export("--room", "warm", "--party", "main"), /"alarm":4102444800000,"attempt":2/);
  });

  it("self of a room in memory can't be replaced; of another one it can", async (t) => {
    const server = await serverFor(t, FILES);
    const { data } = server.project;
    assert.equal(await server.json("/parties/kept/warm"), 1);
    const line = (room) => `{"party":"kept","room":"${room}","self":{"count":41}}\n`;
    await fails(["storage", "import", "--data", data], 1, /line 1: the room is in memory, and has a self of its own/, line("warm"));
    // What is refused is told when a later line is read.
    const later = '{"party":"kept","room":"later","key":"k","value":1}\n';
    await fails(["storage", "import", "--data", data], 1, /line 1: the room is in memory.*\(lines stored: 0\)/, line("warm") + later);
    await fails(
      ["storage", "import", "--data", data],
      1,
      /lines 2 to 3 \(room warm of party kept\): the room is in memory.*\(lines stored: 1\)/,
      later + later.replace("later", "warm") + line("warm") + later,
    );
    await storage(data).import(line("cold"));
    assert.equal(await server.json("/parties/kept/cold"), 42);
    assert.equal(await server.json("/parties/kept/warm"), 2);
  });

  it("an import makes a folder of as many files as the project's server would", async (t) => {
    const project = await writeProject({ ...FILES, "festa.lua": "return { storageFiles = 3 }" });
    t.after(() => project.remove());
    const line = '{"party":"kept","room":"r","key":"k","value":1}\n';
    await run(["storage", "import", project.directory, "--data", project.data], line);
    const names = await readdir(project.data);
    assert.deepEqual(names.filter((name) => name.endsWith(".sqlite")).sort(), [1, 2, 3].map((n) => `data-${n}.sqlite`));
    await writeFile(join(project.directory, "festa.lua"), "return { storageFiles = 2 }");
    const server = await serverFor(t, undefined, { project });
    const warning = await server.waitForLog((entry) => entry.msg === "the data folder keeps the number of files that it was made with");
    assert.deepEqual([warning.files, warning.storageFiles], [3, 2]);
  });

  it("loses nothing beside a room that writes all the time", async (t) => {
    const server = await serverFor(t, FILES);
    const { data } = server.project;
    const socket = await server.socket("/parties/main/busy");
    let sent = 0;
    let answered = 0;
    let going = true;
    const work = (async () => {
      while (going) {
        socket.text("add");
        sent++;
        assert.equal(await socket.message(), String(sent));
        answered++;
      }
    })();
    for (let i = 0; i < 10; i++) {
      await storage(data).put("main", "busy", `from-${i}`, String(i));
      const before = answered;
      assert.ok(Number(await storage(data).get("main", "busy", "n")) >= before);
    }
    await Promise.all(Array.from({ length: 4 }, (_, i) => storage(data).put("main", "busy", `at-once-${i}`, "1")));
    const backup = join(server.project.root, "busy-backup");
    await run(["storage", "backup", ".", backup, "--data", data]);
    going = false;
    await work;
    assert.equal(await storage(data).get("main", "busy", "n"), `${answered}\n`);
    const found = (await storage(data).rooms()).find(({ room }) => room === "busy");
    assert.equal(found.keys, 15);
    assert.equal((await storage(backup).rooms())[0].keys, 15);
    socket.destroy();
  });

  it("a backup is a data folder that a server can begin with", async (t) => {
    const server = await serverFor(t, FILES);
    await server.text("/parties/main/full?fill=1");
    assert.equal(await server.json("/parties/main/full?add=1"), 1);
    const copy = join(server.project.root, "copy");
    await run(["storage", "backup", ".", copy, "--data", server.project.data]);
    assert.equal((await stat(copy)).mode & 0o777, 0o700);
    assert.equal(await server.json("/parties/main/full?add=1"), 2);
    await fails(["storage", "backup", ".", copy, "--data", server.project.data], 1, /copy: it is there already/);
    await fails(["storage", "backup", ".", "/nowhere/at/all", "--data", server.project.data], 1, /can't be made/);
    const other = await serverFor(t, FILES, { project: { ...server.project, data: copy } });
    assert.equal(await other.json("/parties/main/full?add=1"), 2);
    assert.equal(await storage(copy).export(), (await storage(server.project.data).export()));
  });

  it("what was exported comes back byte for byte", async (t) => {
    const server = await serverFor(t, FILES);
    await server.text("/parties/main/full?fill=1");
    await server.text("/parties/kept/self");
    const { data } = server.project;
    await server.stop();
    const text = await storage(data).export();
    const records = lines(text).map((line) => JSON.parse(line));
    assert.ok(records.some((record) => record.keyBytes === Buffer.from("\xfe\xff key", "latin1").toString("base64")));
    const by = Object.fromEntries(records.filter(({ room, key }) => room === "full" && key).map((record) => [record.key, record]));
    for (const key of ["nan", "inf", "bytes", "array", "mixed", "keys", "marked"]) assert.ok("valueBytes" in by[key], key);
    for (const key of ["t", "f", "null", "int", "least", "float", "tiny", "minus0", "text", "long", "empty", "object", "list", "pairs", "huge"]) {
      assert.ok("value" in by[key], key);
    }
    assert.match(text, /"key":"float","value":1\.0}/);
    assert.match(text, /"key":"minus0","value":-0\.0}/);
    assert.match(text, /"key":"big","value":9223372036854775807}/);
    assert.deepEqual(by.list.value, [1, "a", null]);
    assert.ok(records.some((record) => record.self?.count === 1));
    const other = join(server.project.root, "other");
    assert.match(await storage(other).import(text), new RegExp(`^lines stored: ${records.length}\n$`));
    assert.equal(await storage(other).export(), text);
  });

  it("get says when JSON is not all of a value", async (t) => {
    const server = await serverFor(t, FILES);
    await server.text("/parties/main/full?fill=1");
    for (const [key, shown] of [["nan", "null"], ["mixed", '{"1":1,"2":2,"x":3}'], ["bytes", '"\\u00ff\\u0000\\u0080"'], ["marked", '{"1":"x"}']]) {
      const { code, stdout, stderr } = await runFesta(["storage", "get", ".", "main", "full", key, "--data", server.project.data]);
      assert.deepEqual([code, stdout], [0, `${shown}\n`]);
      assert.match(stderr, /^festa: JSON can't say all of this value; storage export does\n$/);
    }
  });

  it("only its user may use the socket, and clients that hang or send anything hurt nobody", async (t) => {
    const server = await serverFor(t, FILES);
    const { data } = server.project;
    const path = join(data, "control");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const client = async (bytes) => {
      const socket = net.connect(path).on("error", () => {});
      await within(once(socket, "connect"), "the socket");
      if (bytes) socket.write(bytes);
      return socket;
    };
    const ended = (socket) => within(new Promise((done) => (socket.resume().on("close", done))), "the server's close");
    const frame = (...bytes) => Buffer.from([bytes.length, 0, 0, 0, ...bytes]);
    await ended(await client(Buffer.from([255, 255, 255, 255]))); // far too large
    for (const bytes of [[], [1], [9, 0], [1, 99], [1, 0], [1, 2, 255, 255, 255, 255], [1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 77], [1, 1, 200, 0, 0, 0]]) {
      const socket = await client(frame(...bytes));
      const [answer] = await within(once(socket, "data"), "an answer");
      assert.match(answer.toString("latin1"), /does not understand/);
      socket.destroy();
    }
    const hanging = await Promise.all(Array.from({ length: 8 }, () => client(Buffer.from([1, 0]))));
    const { code, stderr } = await runFesta(["rooms", "--data", data]);
    assert.equal(code, 1);
    assert.match(stderr, /other commands at work/);
    assert.equal(await server.json("/parties/main/room?add=1"), 1);
    for (const socket of hanging) socket.destroy();
    await poll(async () => (await runFesta(["rooms", "--data", data])).code === 0 || undefined, "commands that work again");
    await client(Buffer.from([1, 0])); // still there when the server stops
    await server.stop();
    assert.ok(!existsSync(path));
  });

  it("the socket of a killed server is no obstacle", async (t) => {
    const server = await serverFor(t, FILES);
    const { data } = server.project;
    assert.equal(await server.json("/parties/main/room?add=1"), 1);
    server.kill();
    await server.ended();
    assert.ok(existsSync(join(data, "control")));
    assert.equal(await storage(data).get("main", "room", "n"), "1\n");
    const next = await serverFor(t, FILES, { project: server.project });
    await storage(data).put("main", "room", "n", "5");
    assert.equal(await next.json("/parties/main/room?add=1"), 6);
    server.stop({ signal: null }).catch(() => {}); // how it ended was the test's will
  });

  it("commands at once, without a server, wait for each other", async (t) => {
    const { data } = await folderFor(t);
    await Promise.all(Array.from({ length: 6 }, (_, i) => storage(data).put("main", "room", `k${i}`, String(i))));
    assert.equal((await storage(data).rooms())[0].keys, 6);
    assert.match(await readFile(join(data, "lock"), "utf8"), /^\d+ command\n$/);
  });
});
