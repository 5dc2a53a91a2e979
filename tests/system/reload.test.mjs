// A project that changes while it is served: `festa dev` by itself, `festa run` by SIGHUP.

import assert from "node:assert/strict";
import { appendFile, mkdir, open, rename, rm, unlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";

import { config, link, lua, saveFile, writeProject } from "./lib/project.mjs";
import { assertNoSanitizerReport, runFesta, serverFor } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";

const RELOADED = ["reloaded", "mended and reloaded"];
const FAILED = "the project could not be loaded again; the version before goes on";

// A party that says its version, keeps a list in self, and tells its sockets of onReload.
const versioned = (version, more = "") => lua`
local P = {}
${more}
function P:onStart() self.list = {} end
function P:onReload()
  table.insert(self.list, "${version}")
  party.broadcast("now ${version}")
end
function P:onMessage(message, connection)
  table.insert(self.list, message)
  connection:send("${version}: " .. message)
end
function P:onRequest() return "${version} " .. table.concat(self.list, ",") end
return P
`;

function write(server, name, text) {
  return saveFile(join(server.project.directory, name), text);
}

// Does something that has the project reloaded, and waits for that: the line that says how it went.
async function reload(server, change, fits = (line) => RELOADED.includes(line.msg)) {
  const from = server.lines.length;
  await change();
  return server.waitForLog(fits, "a reload", { from });
}

const fails = (line) => line.msg === FAILED;

function dev(t, files, options) {
  return serverFor(t, files, { mode: "dev", ...options });
}

describe("festa dev", () => {
  it("takes over a party that is saved, with its sockets open and self kept", async (t) => {
    const server = await dev(t, { "parties/main.lua": versioned(1) });
    const socket = await server.socket("/party/a");
    socket.text("one");
    assert.equal(await socket.message(), "1: one");
    const line = await reload(server, () => write(server, "parties/main.lua", versioned(2)));
    assert.equal(line.parties, 1);
    assert.equal(await socket.message(), "now 2");
    socket.text("two");
    assert.equal(await socket.message(), "2: two");
    assert.equal(await server.text("/party/a"), "2 one,2,two");
    assert.equal(await server.text("/party/new"), "2 ");
    await socket.leave();
  });

  it("takes over modules, variables, limits and origins", async (t) => {
    const server = await dev(t, {
      "parties/main.lua": lua`
        local words = require "deep.words"
        return { onRequest = function(self, r) return words .. " " .. (party.env.A or "-") .. " " .. #r.body end }
      `,
      "lib/deep/words.lua": `return "one"`,
    });
    const page = { headers: { Origin: "https://app.example" } };

    assert.equal(await server.text("/party/a", { method: "POST", body: "12345" }), "one - 5");
    assert.equal((await server.upgrade("/party/a", page)).response.status, 403);
    await reload(server, () => write(server, "lib/deep/words.lua", `return "two"`));
    assert.equal(await server.text("/party/a"), "two - 0");
    await reload(server, () => write(server, ".env", "A=from .env\n"));
    assert.equal(await server.text("/party/a"), "two from .env 0");
    await reload(server, () =>
      write(server, "festa.lua", config({ limits: { body: 3 }, allowedOrigins: ["https://app.example"], vars: { A: "x" } })),
    );
    assert.equal((await server.request("/party/a", { method: "POST", body: "12345" })).status, 413);
    await (await server.socket("/party/a", page)).leave();
    assert.equal(await server.text("/party/a"), "two from .env 0");
    await reload(server, () => unlink(join(server.project.directory, ".env")));
    assert.equal(await server.text("/party/a"), "two x 0");
  });

  it("leaves rooms alone whose party is the same as before", async (t) => {
    const files = { "parties/main.lua": versioned(1, "require 'words'"), "lib/words.lua": "return {}" };
    const server = await dev(t, { ...files, "parties/other.lua": versioned("x") });
    const socket = await server.socket("/party/a");
    const pong = async () => (socket.text("?"), assert.equal(await socket.message(), "1: ?"));
    await reload(server, () => write(server, "parties/other.lua", versioned("y")));
    await pong();
    await reload(server, () => write(server, "parties/more.lua", versioned("z")));
    await pong();
    await reload(server, () => write(server, "festa.lua", config({ limits: { body: 3 } })));
    await pong();
    await reload(server, () => server.signal("SIGHUP"));
    await pong();
    await reload(server, () => write(server, "lib/words.lua", "return { 1 }"));
    assert.equal(await socket.message(), "now 1");
    await reload(server, () => write(server, ".env", "A=b"));
    assert.equal(await socket.message(), "now 1");
    await socket.leave();
  });

  it("serves a folder public/ that comes, and comes again", async (t) => {
    const server = await dev(t, { "parties/main.lua": versioned(1) });

    assert.equal((await server.request("/")).status, 404);
    for (const text of ["one", "two"]) {
      await reload(server, async () => {
        await rm(join(server.project.directory, "public"), { recursive: true, force: true });
        await mkdir(join(server.project.directory, "public"));
        await write(server, "public/index.html", text);
      });
      assert.equal(await server.text("/"), text);
    }
  });

  it("finds new parties, and forgets those that are gone", async (t) => {
    const server = await dev(t, { "parties/main.lua": versioned(1), "parties/old.lua": versioned("old") });
    const socket = await server.socket("/parties/old/a");

    assert.equal((await server.request("/parties/new/a")).status, 404);
    const from = server.lines.length;
    await reload(server, async () => {
      await mkdir(join(server.project.directory, "parties/new"));
      await write(server, "parties/new/init.lua", versioned("new"));
    });
    await server.waitForLog((line) => line.msg === "party" && line.party === "new", "the new party", { from });
    assert.equal(await server.text("/parties/new/a"), "new ");
    await reload(server, () => unlink(join(server.project.directory, "parties/old.lua")));
    assert.equal(await server.text("/parties/old/a"), "Party old not found");
    socket.text("still");
    assert.equal(await socket.message(), "old: still"); // those that are in stay
    await reload(server, () => write(server, "parties/old.lua", versioned("newer")));
    assert.equal(await socket.message(), "now newer");
    await socket.leave();
  });

  for (const [name, save] of [
    ["a new file over the old one", async (path, text) => {
      await writeFile(`${path}~`, text);
      await rename(`${path}~`, path);
    }],
    ["the old file away, a new one in its place", async (path, text) => {
      await rename(path, `${path}.bak`);
      await writeFile(path, text);
    }],
    ["the file cut and written in pieces", async (path, text) => {
      const file = await open(path, "w");
      for (let i = 0; i < text.length; i += 10) await file.write(text.slice(i, i + 10));
      await file.close();
    }],
    ["a new folder over the old one", async (path, text) => {
      const folder = dirname(path);
      await mkdir(`${folder}.new`);
      await writeFile(path.replace(folder, `${folder}.new`), text);
      await rm(folder, { recursive: true });
      await rename(`${folder}.new`, folder);
    }],
  ]) {
    it(`notices ${name}`, async (t) => {
      const server = await dev(t, { "parties/main.lua": versioned(0) });
      const socket = await server.socket("/party/a");
      for (const version of [1, 2, 3]) {
        await save(join(server.project.directory, "parties/main.lua"), versioned(version));
        // what was there in between may have been seen, and said to be wrong
        assert.equal(await socket.message(), `now ${version}`);
      }
      await socket.leave();
    });
  }

  it("does not take a file that was only touched for another", async (t) => {
    const server = await dev(t, { "parties/main.lua": versioned(1) });
    const path = join(server.project.directory, "parties/main.lua");
    const from = server.lines.length;
    for (let i = 0; i < 5; i++) await utimes(path, new Date(), new Date());
    await writeFile(path, versioned(1));
    await reload(server, () => writeFile(path, versioned(2)));
    await reload(server, () => writeFile(path, versioned(3)));
    assert.equal(server.lines.slice(from).filter((line) => RELOADED.includes(line.msg)).length, 2);
  });

  it("goes on with the version before when one is broken, and says when it is mended", async (t) => {
    const server = await dev(t, { "parties/main.lua": versioned(1), "lib/words.lua": "return {}" });
    const socket = await server.socket("/party/a");
    const broken = [
      ["parties/main.lua", "return {\n  onMessage = function(\n}\n", "parties/main.lua:3: ", "  >    3 | }"],
      ["parties/main.lua", "local P = {}\nerror('at load')\nreturn P\n", "parties/main.lua:2: at load", "  >    2 | error("],
      ["parties/main.lua", "require 'words'\nreturn { onMesage = print }", "did you mean onMessage?", "  >    2 |"],
      ["lib/words.lua", "local x = = 1", "lib/words.lua:1: ", "= = 1"],
      ["festa.lua", "return {\n  limts = {},\n}", "did you mean limits?", "  >    2 |   limts = {},"],
      [".env", "not a variable\n", ".env:1: ", "expected NAME=value"],
    ];
    for (const [name, text, where, excerpt] of broken) {
      const good = { "parties/main.lua": versioned(1, "require 'words'"), ".env": "" }[name] ?? "return {}";
      const line = await reload(server, () => write(server, name, text), fails);
      assert.ok(line.error.includes(where), line.error);
      assert.ok(line.error.includes(excerpt), line.error);
      assert.equal(line.level, "error");
      assert.match(await server.text("/party/a"), /^1 /);
      const mended = await reload(server, () => write(server, name, good));
      assert.equal(mended.msg, "mended and reloaded");
    }
    socket.text("here");
    for (;;) if ((await socket.message()) === "1: here") break;
    await socket.leave();
  });

  it("leaves a room its script when the new one does not load there", async (t) => {
    const server = await dev(t, { "parties/main.lua": versioned(1) });
    assert.equal(await server.text("/party/a"), "1 ");
    const from = server.lines.length;
    await reload(server, () => write(server, "parties/main.lua", `if party.id == "a" then error("not here") end\n${versioned(2)}`));
    const line = await server.waitForLog((l) => l.level === "error", "the room's error", { from });
    assert.equal(line.msg, "the party's new script could not be started; the one before goes on");
    assert.equal(line.room, "a");
    assert.match(line.source, /^  >    1 \| if party\.id/m);
    assert.equal(await server.text("/party/a"), "1 ");
    assert.equal(await server.text("/party/b"), "2 ");
  });

  it("says what needs a restart, and keeps what it had", async (t) => {
    const server = await dev(t, { "parties/main.lua": versioned(1), "festa.lua": config({ threads: 1 }) });
    const from = server.lines.length;
    await reload(server, () => write(server, "festa.lua", config({ port: 1, threads: 2, limits: { connections: 5, body: 1 } })));
    const line = await server.waitForLog((l) => l.level === "warn", "a warning", { from });
    assert.equal(line.keys, "connections"); // flags win over port and threads
    assert.equal((await server.request("/party/a", { method: "POST", body: "12" })).status, 413);
  });

  it("starts with a broken project, shows what is wrong, and serves it when it is mended", async (t) => {
    const server = await dev(t, { "parties/main.lua": "return {\n  x = = 1\n}" });
    const line = await server.waitForLog((l) => l.level === "error", "the error");
    assert.match(line.error, /^parties\/main\.lua:2: /);
    const json = await server.request("/party/a");
    assert.equal(json.status, 500);
    const { error } = JSON.parse(json.text);
    assert.equal(error.file, "parties/main.lua");
    assert.equal(error.line, 2);
    assert.match(error.source, />    2 \|   x = = 1/);
    const html = await server.request("/", { headers: { Accept: "text/html" } });
    assert.equal(html.status, 500);
    assert.match(html.header("content-type"), /^text\/html/);
    assert.match(html.text, /<mark>  &gt;    2 \|   x = = 1<\/mark>/);
    assert.equal((await server.upgrade("/party/a")).response.status, 500);

    const other = await reload(server, () => write(server, "parties/main.lua", "error('other')"), fails);
    assert.match(other.error, /other/);
    assert.match(await server.text("/party/a"), /"message":"other"/);
    const mended = await reload(server, () => write(server, "parties/main.lua", versioned(1)));
    assert.equal(mended.msg, "mended and reloaded");
    assert.equal(await server.text("/party/a"), "1 ");
    await (await server.socket("/party/a")).leave();
  });

  it("starts without a party, and finds the first one", async (t) => {
    const server = await dev(t, { "readme.md": "" });
    await server.waitForLog((l) => l.level === "error", "the error");
    assert.match(await server.text("/party/a"), /there is no folder parties/);
    await reload(server, async () => {
      await mkdir(join(server.project.directory, "parties"));
      await write(server, "parties/main.lua", versioned(1));
    });
    assert.equal(await server.text("/party/a"), "1 ");
  });

  it("needs a folder", async () => {
    const { code, stderr } = await runFesta(["dev", "/nonexistent"]);
    assert.equal(code, 1);
    assert.match(stderr, /nonexistent can't be read/);
  });

  it("lets pages of this machine connect, from any port", async (t) => {
    const origin = (value) => ({ headers: { Origin: value } });
    const server = await dev(t, { "parties/main.lua": versioned(1) });
    for (const good of ["http://localhost:5173", "https://127.0.0.1:3000", "http://[::1]:80"])
      await (await server.socket("/party/a", origin(good))).leave();
    assert.equal((await server.upgrade("/party/a", origin("http://localhost.example"))).response.status, 403);
    const run = await serverFor(t, { "parties/main.lua": versioned(1) });
    assert.equal((await run.upgrade("/party/a", origin("http://localhost:5173"))).response.status, 403);
  });
});

describe("errors of scripts", () => {
  const FILES = {
    "parties/main.lua": lua`
local deep = require "deep"
local P = {}
function P:onStart()
  if party.id:sub(1, 5) == "start" then error("<no> & start") end
end
function P:onRequest(request)
  return (deep(request))
end
function P:onMessage(message)
  error("message " .. message)
end
return P
`,
    "lib/deep.lua": lua`
return function(request)
  return request.nothing.here
end
`,
  };

  it("are explained by festa dev: to programs as JSON", async (t) => {
    const server = await dev(t, FILES);
    const response = await server.request("/party/a");
    assert.equal(response.status, 500);
    assert.equal(response.header("content-type"), "application/json");
    const { error } = JSON.parse(response.text);
    assert.deepEqual(Object.keys(error), ["message", "file", "line", "traceback", "source"]);
    assert.match(error.message, /^attempt to index a nil value \(field 'nothing'\)/);
    assert.equal(error.file, "lib/deep.lua");
    assert.equal(error.line, 2);
    assert.match(error.traceback, /^lib\/deep\.lua:2:.*\nparties\/main\.lua:7:/);
    assert.equal(
      error.source,
      ["       1 | return function(request)", "  >    2 |   return request.nothing.here", "       3 | end"].join("\n"),
    );
  });

  it("are explained by festa dev: to browsers as a page", async (t) => {
    const server = await dev(t, FILES);
    const accept = { headers: { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" } };
    const response = await server.request("/party/a", accept);
    assert.equal(response.status, 500);
    assert.equal(response.header("content-type"), "text/html;charset=UTF-8");
    assert.match(response.text, /<h1>attempt to index a nil value \(field &#39;nothing&#39;\)<\/h1>/);
    assert.match(response.text, /<mark>  &gt;    2 \|   return request\.nothing\.here<\/mark>/);
    const start = await server.request("/party/start", accept);
    assert.match(start.text, /<h1>&lt;no&gt; &amp; start<\/h1>\n<p>onStart, room start of the party main<\/p>/);
    const head = await server.request("/party/a", { method: "HEAD", ...accept });
    assert.equal(head.status, 500);
    assert.equal(head.text, "");
    assert.match((await server.upgrade("/party/start2")).response.text, /^\{"error":\{"message":"<no> & start"/);
  });

  // A script can make up the place where an error is. What it can't read itself is not shown to it, or to its clients.
  it("are shown with lines of code alone", async (t) => {
    const raises = lua`
local P = {}
function P:onRequest(request)
  error(request.query.place .. ":1: made up", 0)
end
return P
`;
    const server = await dev(t, {
      "parties/main.lua": raises,
      "parties/notes.txt": "SECRET",
      "lib/words.lua": "return { 'shown' }",
      "lib/outside.lua": link("../.env"),
      "data.lua": "SECRET",
      ".env": "KEY=SECRET\n",
    });
    const explained = async (place) => JSON.parse(await server.text(`/party/a?place=${encodeURIComponent(place)}`)).error;
    const hidden = [".env", "data.lua", "festa.lua", "parties/notes.txt", "lib/outside.lua", "lib/../.env", "lib/../data.lua", "./lib/words.lua"];
    for (const place of hidden) {
      const error = await explained(place);
      assert.equal(error.message, "made up");
      assert.equal(error.source, null, place);
    }
    assert.equal((await explained("lib/words.lua")).source, "  >    1 | return { 'shown' }");
    const line = await reload(server, () => write(server, "parties/main.lua", "error('.env:1: made up', 0)"), fails);
    assert.match(line.error, /^parties\/main\.lua:1: \.env:1: made up/);
    assert.doesNotMatch(JSON.stringify(server.lines), /SECRET/);
  });

  it("are in its log with their source", async (t) => {
    const server = await dev(t, FILES);
    const socket = await server.socket("/party/a");
    socket.text("hello");
    const line = await server.waitForLog((l) => l.msg === "handler failed", "the error");
    assert.match(line.source, /^  >   10 \|   error\("message "/m);
    await socket.leave();
  });

  it("stay in the log of festa run, under a reference", async (t) => {
    const server = await serverFor(t, FILES);
    for (const path of ["/party/a", "/party/start"]) {
      const from = server.lines.length;
      const response = await server.request(path, { headers: { Accept: "text/html" } });
      assert.equal(response.status, 500);
      const [, reference] = /^Internal error \(reference ([0-9a-f]{8})\)$/.exec(response.text);
      const line = await server.waitForLog((l) => l.reference === reference, "the error", { from });
      assert.equal(line.source, undefined);
    }
  });

  it("of a file scope that fails in its room are explained too", async (t) => {
    const source = "if party.id then\n  error('only in rooms')\nend\nreturn {}\n";
    const server = await dev(t, { "parties/main.lua": source });
    const { error } = JSON.parse(await server.text("/party/a"));
    assert.equal(error.message, "only in rooms");
    assert.equal(error.line, 2);
    const run = await serverFor(t, { "parties/main.lua": source });
    const [, reference] = /^Internal error \(reference ([0-9a-f]{8})\)$/.exec(await run.text("/party/a"));
    await run.waitForLog((l) => l.reference === reference, "the error");
  });
});

describe("SIGHUP", () => {
  it("that comes while the server starts is taken when it has", async (t) => {
    // A server that starts waits for a command that has the data folder; it gets the signal then, and goes on.
    const held = `
      echo "1 command" > "$0/lock"
      flock "$0/lock" sh -c "until ls -l /proc/$$/fd | grep -q /lock; do sleep 0.01; done; kill -HUP $$" &
      while flock -n "$0/lock" true; do sleep 0.01; done
      exec "$@"`;
    const project = await writeProject({ "parties/main.lua": versioned(1) });
    t.after(() => project.remove());
    await mkdir(project.data, { recursive: true });
    const server = await serverFor(t, undefined, { project, wrap: (command) => ["sh", "-c", held, project.data, ...command] });
    await server.waitForLog((line) => RELOADED.includes(line.msg), "the reload");
    assert.equal(await server.text("/party/a"), "1 ");
  });

  it("has festa run reload", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": versioned(1) });
    const socket = await server.socket("/party/a");
    await write(server, "parties/main.lua", versioned(2));
    assert.equal(await server.text("/party/a"), "1 "); // not by itself
    await reload(server, () => server.signal("SIGHUP"));
    assert.equal(await socket.message(), "now 2");
    await appendFile(join(server.project.directory, "parties/main.lua"), "oops");
    const line = await reload(server, () => server.signal("SIGHUP"), fails);
    assert.match(line.error, /main\.lua:\d+: .*oops/);
    assert.equal(await server.text("/party/a"), "2 2");
    await write(server, "parties/main.lua", versioned(3));
    assert.equal((await reload(server, () => server.signal("SIGHUP"))).msg, "mended and reloaded");
    assert.equal(await socket.message(), "now 3");
    await socket.leave();
  });

  it("changes nothing for what waits", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": lua`
        local P = {}
        function P:onRequest(r)
          print("waits")
          while not self.go do sleep(1) end
          return "old"
        end
        return P
      `,
    });
    const waiting = server.text("/party/a");
    await server.waitForText("waits");
    await write(server, "parties/main.lua", `return { onRequest = function(self) self.go = true return "new" end }`);
    await reload(server, () => server.signal("SIGHUP"));
    assert.equal(await server.text("/party/a"), "new");
    assert.equal(await waiting, "old");
  });

  it("does nothing to a server that stops", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": `return { onStop = function() print("stopping now") sleep(50) end, onRequest = function() return "x" end }`,
    });
    await server.text("/party/a");
    server.signal("SIGTERM");
    await server.waitForText("stopping now");
    server.signal("SIGHUP");
    await server.ended();
    assertNoSanitizerReport(server.stderr);
    assert.ok(!server.lines.some((line) => RELOADED.includes(line.msg)));
  });

  // A file scope that takes some of its time, so that loading the project takes long.
  const slow = (version) => versioned(version, "local began = os.clock() while os.clock() - began < 0.1 do end");
  const slowParties = (version) =>
    Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`parties/slow${i}.lua`, slow(version)]));
  const isReload = (line) => RELOADED.includes(line.msg);

  it("is no room's business until the project is loaded", async (t) => {
    const files = { "parties/main.lua": versioned(1), ...slowParties(1) };
    const server = await serverFor(t, files, { args: ["--threads", "1"] });
    const socket = await server.socket("/party/a");
    await write(server, "parties/main.lua", versioned(2));
    const from = server.lines.length;
    server.signal("SIGHUP");
    for (let i = 0; i < 5; i++) {
      socket.text("?");
      assert.equal(await socket.message(), "1: ?");
    }
    assert.ok(!server.lines.slice(from).some(isReload), "messages waited for the reload");
    await server.waitForLog(isReload, "the reload", { from });
    assert.equal(await socket.message(), "now 2");
    await socket.leave();
  });

  it("while the project is being loaded has it loaded once more behind that", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": versioned(1), ...slowParties(1) });
    const from = server.lines.length;
    server.signal("SIGHUP");
    await server.text("/party/a"); // so that it was taken before the next
    await write(server, "parties/slow0.lua", versioned(3));
    await write(server, "parties/main.lua", versioned(3));
    for (let i = 0; i < 5; i++) {
      server.signal("SIGHUP");
      await server.text("/party/a");
    }
    const reloads = () => server.lines.slice(from).filter(isReload);
    await poll(() => (reloads().length === 2 ? true : undefined), "the second reload");
    assert.equal(await server.text("/party/new"), "3 ");
    const before = server.lines.length;
    await reload(server, () => server.signal("SIGHUP"));
    assert.equal(server.lines.slice(from, before).filter(isReload).length, 2);
  });

  it("is dropped by a stop that comes meanwhile", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": versioned(1), ...slowParties(1) });
    server.signal("SIGHUP");
    await server.text("/party/a");
    await server.stop();
    assert.ok(!server.lines.some(isReload), "it was taken over");
  });

  it("with a party that is too much to compile changes nothing", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": versioned(1) });
    await write(server, "parties/long.lua", `return ${"a or ".repeat(100_000)}a`);
    const line = await reload(server, () => server.signal("SIGHUP"), fails);
    assert.equal(line.error, "parties/long.lua: takes more than 1000 ms to compile");
    assert.equal(await server.text("/party/a"), "1 ");
  });
});
