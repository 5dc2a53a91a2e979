// Alarms of rooms: across restarts, kill -9 and eviction, on all threads.

import assert from "node:assert/strict";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

import { config, lua, writeProject } from "./lib/project.mjs";
import { serverFor, startServer } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";

const CLOCK = lua`
local Clock = {}

function Clock:onStart() log.info("started") end

function Clock:onAlarm()
  local storage = party.storage
  log.info("rang", { alarm = tostring(storage.getAlarm()) })
  local mode = storage.get("mode")
  storage.put("rang", (storage.get("rang") or 0) + 1)
  if mode == "wait" then
    storage.put("mode", "waited")
    storage.sync()
    log.info("waits")
    sleep(1000000)
  elseif mode == "fail" then
    storage.put("mode", "failed")
    error("not now")
  end
end

function Clock:onRequest(request)
  local storage = party.storage
  local q = request.query
  if q["in"] then
    storage.setAlarm(now() + tonumber(q["in"]))
    storage.put("mode", q.mode)
  end
  return { alarm = storage.getAlarm(), rang = storage.get("rang") or 0 }
end

function Clock:onStop() log.info("stopped") end

return Clock
`;

const FILES = { "parties/main.lua": CLOCK };
const says = (msg, room) => (line) => line.msg === msg && line.room === room;

// A project that is served more than once.
async function kept(t, files = FILES) {
  const project = await writeProject(files);
  t.after(() => project.remove());
  return project;
}

async function killed(server) {
  server.signal("SIGKILL");
  await server.ended();
}

const isPast = (time) => poll(async () => Date.now() > time || undefined, "the alarm's time");

// Sets an alarm in each of the rooms and ends the server before any of them rings. Where the machine was too slow for
// that it is tried again, with more time. The latest of the alarms.
async function endBefore(t, project, party, rooms, end) {
  for (let ms = 1000; ; ms *= 2) {
    const server = await startServer(FILES, { project });
    t.after(() => server.kill());
    const all = await Promise.all(rooms.map((room) => server.json(`/parties/${party}/${room}?in=${ms}&mode=plain`)));
    await end(server);
    if (!server.lines.some((line) => line.msg === "rang")) return Math.max(...all.map(({ alarm }) => alarm));
  }
}

describe("an alarm", () => {
  it("rings after a restart that it has slept through", async (t) => {
    const project = await kept(t);
    for (const [room, end] of [["a", (server) => server.stop()], ["b", killed]]) {
      await isPast(await endBefore(t, project, "main", [room], end));
      const second = await startServer(FILES, { project });
      t.after(() => second.kill());
      const line = await second.waitForLog(says("rang", room), "the alarm");
      assert.equal(line.alarm, "nil", "it is taken for gone while its handler runs");
      const { alarm, rang } = await second.json(`/party/${room}`);
      assert.equal(alarm, undefined);
      await second.stop();
      const last = await startServer(FILES, { project });
      t.after(() => last.kill());
      assert.deepEqual(await last.json(`/party/${room}`), { rang }, "it has not rung twice");
      await last.stop();
    }
  });

  it("rings again when the server was killed in its handler", async (t) => {
    const project = await kept(t);
    const first = await startServer(FILES, { project });
    t.after(() => first.kill());
    await first.json("/party/a?in=1&mode=wait");
    await first.waitForLog(says("waits", "a"), "the handler that waits");
    await killed(first);
    const second = await serverFor(t, FILES, { project });
    await second.waitForLog(says("rang", "a"), "the alarm, once more");
    assert.deepEqual(await second.json("/party/a"), { rang: 2 });
  });

  it("of a party that is away waits, which is said once, and rings when a reload brings it back", async (t) => {
    const project = await kept(t, { ...FILES, "parties/other.lua": CLOCK });
    const rooms = Array.from({ length: 8 }, (_, i) => `r${i}`);
    await isPast(await endBefore(t, project, "other", rooms, (server) => server.stop()));
    const script = join(project.directory, "parties/other.lua");
    await rename(script, `${script}.away`);
    const second = await serverFor(t, FILES, { project });
    const absent = (line) => line.msg.startsWith("alarms are due, but their party is not in the project: they wait");
    const line = await second.waitForLog(absent, "the warning");
    assert.deepEqual([line.level, line.party], ["warn", "other"]);
    await rename(`${script}.away`, script);
    const began = Date.now();
    second.signal("SIGHUP");
    for (const room of rooms) await second.waitForLog(says("rang", room), `the alarm of ${room}`);
    assert.ok(Date.now() - began < 15_000);
    assert.equal(second.lines.filter(absent).length, 1);
  });

  it("wakes a room that has left memory", async (t) => {
    const server = await serverFor(t, { ...FILES, "festa.lua": config({ limits: { idleRoom: 50 } }) });
    // on a machine that is too busy it rings before the room has left: then once more, with more time
    for (let ms = 1000; ; ms *= 2) {
      const from = server.lines.length;
      await server.json(`/party/a?in=${ms}&mode=plain`);
      const rang = await server.waitForLog(says("rang", "a"), "the alarm", { from });
      const lines = server.lines.slice(from, server.lines.indexOf(rang));
      const stopped = lines.findLastIndex(says("stopped", "a"));
      if (stopped < 0) continue;
      assert.ok(lines.slice(stopped).some(says("started", "a")));
      break;
    }
  });

  it("rings once in each of many rooms, on all threads", async (t) => {
    const server = await serverFor(t, FILES);
    const rooms = Array.from({ length: 40 }, (_, i) => `r${i}`);
    await Promise.all(rooms.map((room) => server.json(`/party/${room}?in=300&mode=plain`)));
    for (const room of rooms) await server.waitForLog(says("rang", room), `the alarm of ${room}`);
    for (const room of rooms) assert.deepEqual(await server.json(`/party/${room}`), { rang: 1 });
  });

  it("is tried again when its handler has failed", async (t) => {
    const server = await serverFor(t, FILES);
    await server.json("/party/a?in=1&mode=fail");
    await server.waitForLog((line) => line.level === "error" && line.handler === "onAlarm", "the error");
    const { alarm, rang } = await server.json("/party/a");
    assert.ok(alarm > Date.now() - 60000 || rang === 2, "it is set again");
    await poll(async () => (await server.json("/party/a")).rang === 2 || undefined, "the second try");
    assert.equal((await server.json("/party/a")).alarm, undefined);
  });
});
