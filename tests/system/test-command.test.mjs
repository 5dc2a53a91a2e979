// festa test: what authors' tests can do, what they are told, and the exit code.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";

import { lua, saveFile, writeProject } from "./lib/project.mjs";
import { FESTA, runFesta } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";

const PARTY = lua`
local Main = {}

function Main:onBeforeConnect(request)
  if request.query.stranger then return Response("who are you?", { status = 403 }) end
end

function Main:onBeforeRequest(request)
  request.headers["x-user"] = "ada"
end

function Main:onStart()
  self.messages = party.storage.get("messages") or {}
end

function Main:onConnect(connection, context)
  if context.request.query.full then error({ close = 4429, reason = "full" }) end
  if context.request.query.slow then sleep(100) end
end

function Main:onMessage(message, connection, binary)
  if message == "boom" then error("boom!") end
  if message == "later" then party.after(5000, function() party.broadcast("now") end) end
  if message == "alarm" then party.storage.setAlarm(now() + 3600000) end
  if message == "forever" then
    local function again() party.after(0, again) end
    again()
  end
  self.messages[#self.messages + 1] = message
  party.storage.put("messages", self.messages)
  connection:send(message, { binary = binary })
end

function Main:onClose(connection, code, reason, clean)
  party.storage.put("closed", { code = code, reason = reason, clean = clean })
end

function Main:onAlarm()
  party.broadcast("alarm")
end

function Main:onRequest(request)
  log.info("asked", { path = request.subpath })
  if request.subpath == "/slow" then sleep(1000) end
  if request.subpath == "/raise" then error("bad thing") end
  if request.subpath == "/fetch" then
    local response, why = fetch("https://example.com/api?a=1", { method = "PUT", json = { n = 1 } })
    if not response then return Response(why, { status = 502 }) end
    return { status = response.status, got = response:json() }
  end
  return { method = request.method, path = request.subpath, q = request.query.q, body = request.body,
    user = request.headers["x-user"], time = now(), clock = os.time(), env = party.env.NAME }
end

return Main
`;

// Runs a file of tests beside the party; the result has the lines "ok 1 - …" as { name: "ok" }.
async function run(tests, args = [], files = {}) {
  const project = await writeProject({ "parties/main.lua": PARTY, "tests/a_test.lua": tests, ...files });
  try {
    const result = await runFesta(["test", project.directory, ...args], { ms: 180_000 });
    const results = {};
    for (const [, word, name] of result.stdout.matchAll(/^(ok|not ok) \d+ - tests\/\w+\.lua: (.*)$/gm)) results[name] = word;
    return { ...result, results };
  } finally {
    await project.remove();
  }
}

async function passes(tests, args, files) {
  const { code, stdout, stderr } = await run(tests, args, files);
  assert.deepEqual([code, stderr], [0, ""], stdout);
  return stdout;
}

describe("festa test", () => {
  it("runs clients, requests, time, storage, restarts, hooks and fetches", async () => {
    const stdout = await passes(lua`
      local room = harness.room("main", "caf\u{e9} 1")

      test("clients", function()
        local ada, bob = room:connect({ id = "ada" }), room:connect()
        expect(ada.id).equals("ada")
        expect(ada.isOpen).equals(true)
        ada:send("hi")
        expect(ada.unread).equals(1)
        local message, binary = ada:receive()
        expect(message).equals("hi")
        expect(binary).equals(false)
        ada:send("\0\255", { binary = true })
        expect(select(2, ada:receive())).equals(true)
        bob:send({ a = { 1, 2 } })
        expect(bob:receiveJson()).equals({ a = { 1, 2 } })
        expect(bob:receiveAll()).equals({})
        ada:close(4000, "bye")
        expect(ada.state).equals("closed")
        expect(room.storage:get("closed")).equals({ code = 4000, reason = "bye", clean = true })
        bob:drop()
        expect(room.storage:get("closed").code).equals(1006)
      end)

      test("who is not let in", function()
        local refused = room:connect({ query = { stranger = 1 } })
        expect(refused.state).equals("refused")
        expect(refused.refusal).equals({ status = 403, body = "who are you?" })
        local closed = room:connect({ query = { full = 1 } })
        expect(closed.code).equals(4429)
        expect(closed.reason).equals("full")
        local slow = room:connect({ query = { slow = 1 } })
        expect(slow.state).equals("connecting")
        harness.advance(100)
        expect(slow.state).equals("open")
      end)

      test("requests", function()
        local response = room:post("/a/b?q=x%20y", { json = { n = 1 }, headers = { ["X-Test"] = "1" } })
        expect(response.status).equals(200)
        expect(response.ok).equals(true)
        expect(response.headers["CONTENT-type"]).equals("application/json")
        expect(response:json()).equals({ method = "POST", path = "/a/b", q = "x y", body = '{"n":1}', user = "ada",
          time = 1767225600000, clock = 1767225600, env = "Nina" })
        expect(room:request("PUT", "", { query = { q = "&=" } }):json().q).equals("&=")
        local raised = room:get("/raise")
        expect(raised.status).equals(500)
        expect(raised.error).contains("bad thing")
        local begun = room:begin("GET", "/slow")
        expect(begun:isAnswered()).equals(false)
        harness.advance(999)
        expect(begun:isAnswered()).equals(false)
        harness.advance(1)
        expect(begun:response().status).equals(200)
      end)

      test("time stands still", function()
        local ada = room:connect()
        ada:send("later")
        ada:receive()
        harness.advance(4999)
        expect(ada.unread).equals(0)
        harness.advance(1)
        expect(ada:receive()).equals("now")
        expect(now()).equals(1767225600000 + 5000)
        sleep(1000)
        expect(now()).equals(1767225600000 + 6000)
        expect(os.date("!%H:%M:%S")).equals("00:00:06")
      end)

      test("alarms, eviction, restarts", function()
        local ada = room:connect()
        ada:send("alarm")
        expect(room.storage:getAlarm()).equals(now() + 3600000)
        harness.restart()
        expect(ada.code).equals(1001)
        local bob = room:connect()
        harness.advance(3600000)
        expect(bob:receive()).equals("alarm")
        expect(function() room:evict() end).raises("has connections")
        bob:close()
        expect(room:isInMemory()).equals(true)
        harness.advance(10 * 60 * 1000)
        expect(room:isInMemory()).equals(false)
        room:get("/")
        room:evict()
        expect(room:isInMemory()).equals(false)
        harness.crash()
        expect(room.storage:all().messages).equals({ "alarm" })
      end)

      test("each test has rooms and storage of its own", function()
        expect(room:isInMemory()).equals(false)
        expect(room.storage:all()).equals({})
        expect(now()).equals(1767225600000)
      end)

      test("what handlers raise can be asked for", function()
        room:connect():send("boom")
        local errors = harness.errors()
        expect(#errors).equals(1)
        expect(errors[1]).contains("parties/main.lua")
      end)

      test("fetches", function()
        harness.fetch("https://example.com/", function(request)
          expect(request.url).equals("https://example.com/api?a=1")
          expect(request.method).equals("PUT")
          expect(request.json()).equals({ n = 1 })
          return Response.json({ fine = true }, { status = 201 })
        end)
        expect(room:get("/fetch"):json()).equals({ status = 201, got = { fine = true } })
      end)

      test("expectations", function()
        expect({ a = { 1, { b = 2 } } }).equals({ a = { 1, { b = 2 } } })
        expect({ 1 }).notEquals({ 1, 2 })
        expect("hello").contains("ell")
        expect({ { 1 }, { 2 } }).contains({ 2 })
        expect("room 7").matches("^room %d$")
        expect(nil).isNil()
        expect(0).isTruthy()
        expect(false).isFalsy()
        expect(3).isAtLeast(3)
        expect(3).isAtMost(3)
        expect(function() error("no") end).raises("no")
        local cycle = {}
        cycle[1] = cycle
        local other = {}
        other[1] = other
        expect(cycle).equals(other)
      end)

      describe("a group", function()
        local order = {}
        beforeEach(function() order[#order + 1] = "before" end)
        afterEach(function() order[#order + 1] = "after" end)
        test("has hooks", function() expect(order).equals({ "before" }) end)
        test("behind each", function() expect(order).equals({ "before", "after", "before" }) end)
        test.skip("can be skipped", function() error("no") end)
      end)

      test("waits in coroutines and pcall", function()
        local ok, status = pcall(coroutine.wrap(function() return room:get("/").status end))
        expect({ ok, status }).equals({ true, 200 })
      end)
    `, [], { ".env": "NAME=Nina\n" });
    assert.match(stdout, /^TAP version 14\n/);
    assert.match(stdout, /^ok \d+ - tests\/a_test\.lua: a group > can be skipped # SKIP$/m);
    assert.match(stdout, /\n1\.\.13\n# 12 passed, 0 failed, 1 skipped\n$/);
    assert.doesNotMatch(stdout, /\x1b|path=/);
  });

  it("asks onFetch, and lets crons fall due", async () => {
    const files = {
      "festa.lua": 'return { crons = { sweep = "30 * * * *", slow = "0 0 1 1 *", fails = "0 0 31 12 *" } }\n',
      "parties/main.lua": lua`
        local Main = {}

        function Main:onFetch(request)
          if request.path == "/slow" then sleep(1000) end
          if request.path == "/raise" then error("bad thing") end
          if request.path == "/none" then return nil end
          return Response.json({ method = request.method, path = request.path, q = request.query.q, body = request.body, url = request.url })
        end

        function Main:onCron(cron)
          if cron.name == "slow" then sleep(5000) end
          if cron.name == "fails" then error("oh no") end
          party.parties.main:get("log"):call("add", cron.name .. " " .. cron.schedule .. " " .. cron.scheduledTime)
        end

        function Main:add(line)
          local lines = party.storage.get("lines") or {}
          lines[#lines + 1] = line
          party.storage.put("lines", lines)
        end

        return Main
      `,
    };
    const tests = lua`
      local START = 1767225600000
      local lines = function() return harness.room("main", "log").storage:get("lines") end

      test("requests", function()
        expect(harness.get("/a?q=1"):json()).equals({ method = "GET", path = "/a", q = "1", body = "", url = "http://127.0.0.1:1999/a?q=1" })
        for _, path in ipairs({ "", "/", "/parties/main", "/parties/main/" }) do
          expect(harness.get(path):json().path).equals(path == "" and "/" or path)
        end
        expect(harness.get():json().path).equals("/")
        expect(harness.get("?q=1"):json().q).equals("1")
        expect(harness.post("/a", { json = { n = 1 }, query = { q = "ü" } }):json().body).equals('{"n":1}')
        expect(harness.request("put", "/a/b"):json().method).equals("PUT")
        expect(harness.get("/none").status).equals(404)
        local raised = harness.get("/raise")
        expect(raised.status).equals(500)
        expect(raised.error).contains("bad thing")
        local begun = harness.begin("GET", "/slow")
        expect(begun:isAnswered()).equals(false)
        harness.advance(1000)
        expect(begun:response().status).equals(200)
      end)

      test("crons fall due", function()
        harness.advance(30 * 60000 - 1)
        expect(lines()).isNil()
        harness.advance(1)
        expect(lines()).equals({ "sweep 30 * * * * " .. START + 30 * 60000 })
        harness.advance(3600000)
        expect(#lines()).equals(2)
        harness.restart()
        harness.advance(3600000)
        expect(#lines()).equals(3)
      end)

      test("days are no time", function()
        harness.advance(10 * 24 * 3600000)
        expect(#lines()).equals(240)
        expect(lines()[240]).equals("sweep 30 * * * * " .. START + 10 * 24 * 3600000 - 30 * 60000)
      end)

      test("crons run at once", function()
        harness.advance(1000)
        harness.cron("sweep")
        expect(lines()).equals({ "sweep 30 * * * * " .. START + 1000 })
        harness.cron("slow")
        harness.cron("slow")
        harness.advance(5000)
        expect(#lines()).equals(2)
        harness.cron("fails")
        expect(harness.errors()[1]).matches("^onCron of the party main: parties/main.lua:%d+: oh no")
      end)

      test("a cron that is left behind", function() harness.cron("slow") end)

      test("wrong ones", function()
        for text, fn in pairs({
          ["/parties/main/a is a room's: harness.room(party, id)"] = function() harness.get("/parties/main/a") end,
          ["/party/a is a room's: harness.room(party, id)"] = function() harness.get("/party/a") end,
          ["methods are called with a colon: pending:response()"] = function() harness.begin("GET", "/").response() end,
          ["a client's id is 1 to 256 bytes of UTF-8"] = function() harness.room():connect({ id = "" }) end,
          ["a path begins with"] = function() harness.get("a") end,
          ["has no answer"] = function() harness.get("/slow") end,
          ["no cron swep: did you mean sweep?"] = function() harness.cron("swep") end,
          ["takes a cron's name"] = function() harness.cron() end,
        }) do
          expect(fn).raises((text:gsub("%p", "%%%0")))
        end
      end)
    `;
    const stdout = await passes(tests, [], files);
    assert.match(stdout, /# 6 passed, 0 failed/);
    const { stdout: bare } = await run('test("none", function() expect(harness.get("/").status).equals(404) end)\n', [], { "parties/main.lua": "return {}\n" });
    assert.match(bare, /# 1 passed, 0 failed/);
    const { stdout: wrong } = await run(lua`
      test("elsewhere", function()
        harness.get("/parties/main/a")
      end)
      test("begun", function()
        harness.begin(1)
      end)
      test("room", function()
        harness.room():begin(1)
      end)
      test("slow", function()
        harness.room():get("/slow")
      end)
      test("a function as JSON", function()
        harness.room():post("/", { json = print })
      end)
      test("a dot", function()
        harness.room().get("/")
      end)
      test("a code", function()
        harness.room():connect():close(5)
      end)
      test("a word", function()
        harness.room():connect():close("x")
      end)
      test("no key", function()
        harness.room().storage:get()
      end)
      test("a long id", function()
        harness.room():connect({ id = ("x"):rep(300) })
      end)
      test("within", function()
        local waits = function() harness.advance(1) end
        table.sort({ 1, 2 }, waits)
      end)
    `);
    assert.deepEqual([...wrong.matchAll(/^ {2}at: (.*)$/gm)].map(([, at]) => at), [2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32].map((line) => `tests/a_test.lua:${line}`), wrong);
    const outside = await run('harness.room():get("/")\n');
    assert.match(outside.stdout, /room:get\(…\) is for tests: [^]*at: tests\/a_test\.lua:1$/m);
  });

  it("says what was expected, what was seen, and where", async () => {
    const { code, stdout, results } = await run(lua`
      local room = harness.room()
      test("differs", function()
        expect({ a = 1, list = { 1, 2, 3 }, text = ("x"):rep(70) }).equals({ a = 1, list = { 1, 2, 4 }, text = ("x"):rep(70) })
      end)
      test("nothing comes", function() room:connect({ id = "ada" }):receive() end)
      test("a typo", function() room:connect():recieve() end)
      test("a party", function() harness.room("mian") end)
      test("slow", function() room:get("/slow") end)
      test("raises", function() room:connect():send("boom") end)
      test("is unanswered", function() expect(room:get("/fetch").status).equals(502) end)
      test("is in a function", function()
        local function check(seen) assert(seen == 1, "it is not 1") end
        check(2)
      end)
      test("never rests", function() room:connect():send("forever") end)
      test("log", function() room:get("/logged") expect(1).equals(2) end)
      test("within", function()
        test("another", function() end)
      end)
      test("group within", function() describe("x", function() end) end)
      test("hook within", function() beforeEach(function() end) end)
      test("fetches itself", function()
        fetch("https://example.com/")
      end)
      test("too far", function()
        harness.advance(1e15)
      end)
      test("too long a sleep", function() sleep(0/0) end)
      test("long texts", function()
        expect(("ä"):rep(2500) .. "B" .. ("c"):rep(1000)).equals(("ä"):rep(2500) .. "b" .. ("c"):rep(2000))
      end)
      test("a part", function() expect(("x"):rep(300)).equals(("x"):rep(299)) end)
      local function list(n)
        local items = {}
        for i = 1, n do items[i] = { id = i, name = "the item number " .. i, x = 0, more = { "some", "more", "text", "in", "it" } } end
        return items
      end
      test("one of many", function()
        local seen = list(200)
        seen[150].x = { ["a b"] = 1 }
        expect(seen).equals(list(200))
      end)
      test("all of many", function()
        local seen = list(400)
        for i = 2, 400 do seen[i].x = 1 end
        expect(seen).equals(list(400))
      end)
      test("in circles", function()
        local a, b = list(3), list(3)
        a.a, b.a = a, b
        b.b = true
        expect(a).equals(b)
      end)
      test("goes on", function() expect(room:get("/").status).equals(200) end)
    `);
    assert.equal(code, 1);
    assert.deepEqual(Object.entries(results).filter(([, word]) => word === "ok").map(([name]) => name), ["goes on"]);
    const block = (name) => {
      const from = stdout.indexOf(`tests/a_test.lua: ${name}\n  ---\n`);
      assert.ok(from > 0, `${name} in ${stdout}`);
      return stdout.slice(from, stdout.indexOf("\n  ...\n", from));
    };
    assert.match(block("differs"), /^ {6}- +list = \{ 1, 2, 4 \},\n {6}\+ +list = \{ 1, 2, 3 \},$/m);
    assert.match(block("differs"), /^ {2}at: tests\/a_test\.lua:3$/m);
    assert.match(block("differs"), /^ {6}> +3 \| +expect\(/m);
    assert.match(block("nothing comes"), /no message waits for ada \(time stands still/);
    assert.match(block("a typo"), /a client has no 'recieve': did you mean 'receive'\?/);
    assert.match(block("a party"), /there is no party mian: did you mean main\?/);
    assert.match(block("slow"), /GET \/slow has no answer/);
    assert.match(block("raises"), /errors: \|\n {4}onMessage, room test of the party main: parties\/main\.lua:\d+: boom!/);
    assert.match(block("raises"), /log: \|[^]*handler failed[^]*traceback:[^]*parties\/main\.lua/);
    assert.match(block("is unanswered"), /fetch of https:\/\/example\.com\/api\?a=1: a test reaches no network/);
    assert.match(block("is in a function"), /traceback: \|\n[^]*in upvalue|traceback: \|\n[^]*in local 'check'/);
    assert.match(block("never rests"), /do not come to rest/);
    const where = (name, line) => assert.match(block(name), new RegExp(`^ {2}at: tests/a_test\\.lua:${line}$`, "m"));
    assert.match(block("within"), /test\(…\) inside of a test is never run/);
    where("within", 18);
    assert.match(block("group within"), /describe\(…\) inside of a test is never run/);
    where("group within", 20);
    assert.match(block("hook within"), /beforeEach\(…\) inside of a test is never run/);
    assert.match(block("fetches itself"), /a test reaches no network: .*harness\.fetch\(pattern, /);
    where("fetches itself", 23);
    assert.match(block("too far"), /harness\.advance takes milliseconds, from 0 to 3153600000000, not 1e\+15/);
    where("too far", 26);
    assert.match(block("too long a sleep"), /sleep takes milliseconds, from 0 to \d+, not -?nan/);
    where("too long a sleep", 28);
    assert.match(block("long texts"), /differ at: {2}byte 5001 \(of 7001 expected, 6001 seen\)/);
    assert.match(block("long texts"), /expected: … "ä{20}bc{40}" …\n.*seen: {5}… "ä{20}Bc{40}" …$/m);
    assert.match(block("a part"), /differ at: {2}byte 300 \(of 299 expected, 300 seen\)\n.*expected: … "x{40}"\n.*seen: {5}… "x{41}"$/m);
    const many = block("one of many");
    assert.match(many, /^ {4}not equal\n {6}differ at: {2}\[150\]\.x$/m);
    assert.match(many, /expected, \+ seen:\n {8}…\n {12}id = 150,\n(.*\n){2} {6}- +x = 0,\n {6}\+ +x = \{ \["a b"\] = 1 \},\n(.*\n){3} {8}…$/m);
    assert.match(block("all of many"), /differ at: {2}\[2\]\.x\n(.*\n){5}( {6}- .*\n){10} {6}- …\n( {6}\+ .*\n){10} {6}\+ …\n/);
    assert.ok(block("all of many").split("\n").length < 60, block("all of many"));
    assert.match(block("in circles"), /differ at: {2}\.b$/m);
    assert.match(block("log"), /log: \|\n.*asked.*path=\/logged/);
  });

  it("says what is wrong with a file of tests, and runs the others", async () => {
    const { code, stdout, results } = await run(`test("fine", function() end)\n`, [], {
      "tests/b_test.lua": "test(\n",
      "tests/c_test.lua": 'error("oh")\n',
      "tests/d_test.lua": 'test("", function() end)\n',
      "tests/helper.lua": 'error("is no test")\n',
      "tests/e/f/g_test.lua": 'test("deep", function() end)\n',
      "tests/.hidden/h_test.lua": "test(\n",
    });
    assert.equal(code, 1);
    assert.equal(results.fine, "ok");
    assert.match(stdout, /not ok 2 - tests\/b_test\.lua: is loaded\n[^]*b_test\.lua:\d: /);
    assert.match(stdout, /not ok 3 - tests\/c_test\.lua: is loaded\n[^]*message: \|\n {4}oh\n {2}at: tests\/c_test\.lua:1/);
    assert.match(stdout, /not ok 4 - tests\/d_test\.lua: is loaded\n[^]*a test has a name/);
    assert.match(stdout, /\nok 5 - tests\/e\/f\/g_test\.lua: deep\n/);
    assert.match(stdout, /\n1\.\.5\n/);
  });

  it("filters, shows logs, and colours where it is asked to", async () => {
    const tests = `test("one", function() harness.room():get("/") end)\ntest("two", function() end)\n`;
    assert.match(await passes(tests, ["--filter", "tw"]), /ok 1 - tests\/a_test\.lua: two\n1\.\.1\n/);
    assert.match(await passes(tests, ["--log-level", "info"]), /^# .*asked.*path=\//m);
    const project = await writeProject({ "parties/main.lua": PARTY, "tests/a_test.lua": tests });
    try {
      const { stdout } = await runFesta(["test", project.directory], { env: { FORCE_COLOR: "1" } });
      assert.match(stdout, /\x1b\[32mok 1\x1b\[0m/);
    } finally {
      await project.remove();
    }
  });

  it("fails when there are no tests, or the project can't be loaded", async () => {
    const none = await run("", ["--filter", "nothing"]);
    assert.deepEqual([none.code, none.stderr], [1, "festa: no test has 'nothing' in its name\n"]);
    const project = await writeProject({ "parties/main.lua": PARTY });
    try {
      const empty = await runFesta(["test", project.directory]);
      assert.equal(empty.code, 1);
      assert.match(empty.stderr, /no tests in .*\/tests/);
    } finally {
      await project.remove();
    }
    const broken = await run("", [], { "parties/main.lua": "return 1\n" });
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /parties\/main\.lua:1: must return the party/);
  });

  it("runs again when a file is saved", async () => {
    const project = await writeProject({ "parties/main.lua": PARTY, "tests/a_test.lua": 'test("first", function() end)\n' });
    const child = spawn(FESTA, ["test", project.directory, "--watch"], { stdio: ["ignore", "pipe", "ignore"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (said += text));
    try {
      await poll(() => said.includes("# 1 passed") || undefined, "the first run");
      await saveFile(join(project.directory, "tests/a_test.lua"), 'test("second", function() error("no") end)\n');
      await poll(() => /not ok 1 - tests\/a_test\.lua: second[^]*1 failed/.test(said) || undefined, "the second run");
    } finally {
      child.kill("SIGTERM");
      await project.remove();
    }
  });
});
