// What outlives a room's VM: self (persist), sockets with their state (hibernate).

import assert from "node:assert/strict";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

import { config, lua, writeProject } from "./lib/project.mjs";
import { runFesta, serverFor, startServer } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";

const COUNTER = lua`
local Counter = {}
Counter.options = { persist = true }

function Counter:onStart(restored)
  self.restored = restored
  if not restored then self.count, self.deep = 0, { list = {} } end
end

function Counter:onRequest(request)
  if request.subpath == "/add" then
    self.count = self.count + 1
    table.insert(self.deep.list, self.count)
  end
  if request.subpath == "/fence" then party.storage.put("fence", now()) end
  return { count = self.count, listed = #self.deep.list, restored = self.restored }
end

return Counter
`;

const FILES = { "parties/main.lua": COUNTER };

async function again(t, project) {
  const server = await startServer(FILES, { project });
  t.after(() => server.kill());
  return server;
}

async function killed(server) {
  server.signal("SIGKILL");
  await server.ended();
}

async function kept(t) {
  const project = await writeProject(FILES);
  t.after(() => project.remove());
  return project;
}

describe("persist", () => {
  it("brings self back after SIGTERM", async (t) => {
    const project = await kept(t);
    for (let n = 1; n <= 3; n++) {
      const server = await again(t, project);
      assert.deepEqual(await server.json("/party/a/add"), { count: n, listed: n, restored: n > 1 });
      await server.stop();
    }
  });

  it("loses little by kill -9", async (t) => {
    const project = await kept(t);
    const first = await again(t, project);
    const until = Date.now() + 2500;
    let count = 0;
    while (Date.now() < until) ({ count } = await first.json("/party/a/add"));
    // it is saved each second, as far as the machine lets it
    const stored = async () => (await runFesta(["storage", "export", "--data", project.data])).stdout.includes('"self"') || undefined;
    await poll(stored, "a self that is stored");
    await killed(first);
    const second = await again(t, project);
    const found = await second.json("/party/a");
    assert.equal(found.restored, true);
    assert.ok(found.count >= 1 && found.count <= count, `${found.count} of ${count}`);
    assert.equal(found.listed, found.count, "it is as it was at one moment");
    await second.stop();
  });

  it("saves self when the script changes", async (t) => {
    const project = await kept(t);
    const first = await again(t, project);
    for (let n = 0; n < 5; n++) await first.json("/party/a/add");
    await appendFile(join(project.directory, "parties/main.lua"), "\n-- changed\n");
    first.signal("SIGHUP");
    await first.waitForLog((line) => line.msg.endsWith("reloaded"), "the reload");
    await first.json("/party/a/fence"); // what was saved before it is durable
    await killed(first);
    const second = await again(t, project);
    assert.deepEqual(await second.json("/party/a"), { count: 5, listed: 5, restored: true });
    await second.stop();
  });

  it("saves self when the room leaves memory", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": COUNTER.replace("return Counter", `function Counter:onStop() log.info("stopped") end\nreturn Counter`),
      "festa.lua": config({ limits: { idleRoom: 50 } }),
    });
    for (let n = 1; n <= 3; n++) {
      const from = server.lines.length;
      assert.deepEqual(await server.json("/party/a/add"), { count: n, listed: n, restored: n > 1 });
      await server.waitForLog((line) => line.msg === "stopped", "the eviction", { from });
    }
  });
});

const SLEEPER = lua`
local Sleeper = {}
Sleeper.options = { hibernate = true }
local ballast = {}
for i = 1, 16 do ballast[i] = ("x"):rep(1024 * 1024 + i) end

function Sleeper:onStart() log.info("made") end
function Sleeper:getConnectionTags(connection) return { "all" } end
function Sleeper:onConnect(connection) connection.state = { name = "n" .. connection.id } end

function Sleeper:onMessage(message, connection)
  for other in party.getConnections("all") do other:send(message .. " " .. other.state.name .. " " .. #ballast) end
end

function Sleeper:onClose(connection)
  party.broadcast("left: " .. connection.state.name)
end

return Sleeper
`;

describe("hibernate", () => {
  it("gives the VM's memory back, and keeps the sockets", async (t) => {
    const server = await serverFor(
      t,
      { "parties/main.lua": SLEEPER, "festa.lua": config({ limits: { idleRoom: 1500, roomMemory: 64 * 1024 * 1024, handlerTime: 30000 } }) },
      { measured: true, env: { MALLOC_MMAP_THRESHOLD_: "65536" } }, // so that what is freed is seen to be
    );
    const sockets = [];
    let high = 0; // looked at while the VM is sure to be there
    for (let i = 0; i < 200; i++) {
      sockets.push(await server.socket(`/party/a?_pk=${i}`));
      high = Math.max(high, server.memory());
    }
    await poll(async () => server.memory() < high - 8 * 1024 * 1024 || undefined, "the VM's end");
    const made = () => server.lines.filter((line) => line.msg === "made").length;
    const before = made();

    sockets[7].text("hello");
    const size = 16;
    let awake = 0;
    for (let i = 0; i < 200; i++) {
      assert.equal(await sockets[i].message(), `hello n${i} ${size}`);
      awake = Math.max(awake, server.memory());
    }
    await poll(async () => made() === before + 1 || undefined, "another VM");

    await poll(async () => server.memory() < awake - 8 * 1024 * 1024 || undefined, "its end");
    await sockets[0].leave();
    for (let i = 1; i < 200; i++) assert.equal(await sockets[i].message(), "left: n0");
  });
});
