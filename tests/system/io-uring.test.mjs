// ioUring: with either value all arrive, and only with true is there a ring.

import assert from "node:assert/strict";
import { readdir, readlink } from "node:fs/promises";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { serverFor } from "./lib/server.mjs";
import { poll } from "./lib/wait.mjs";

const ROOM = lua`
local Room = {}

function Room:onMessage(message, connection)
  party.broadcast(message, connection)
  connection:send("sent " .. message)
end

return Room
`;

async function rings(server) {
  const descriptors = await readdir(`/proc/${server.pid}/fd`);
  const targets = await Promise.all(descriptors.map((fd) => readlink(`/proc/${server.pid}/fd/${fd}`).catch(() => "")));
  return targets.filter((target) => target === "anon_inode:[io_uring]").length;
}

// Fifty sockets in a room; each of five says something.
async function everybodyHears(server) {
  const path = `/parties/main/${server.room()}`;
  const sockets = await Promise.all(Array.from({ length: 50 }, () => server.socket(path)));
  for (const [n, speaker] of sockets.slice(0, 5).entries()) {
    speaker.text(`message ${n}`);
    for (const socket of sockets) {
      const expected = socket === speaker ? `sent message ${n}` : `message ${n}`;
      assert.equal(await socket.message(), expected);
    }
  }
}

describe("ioUring", () => {
  const THREADS = 3;
  const start = (t, settings) =>
    serverFor(
      t,
      { "parties/main.lua": ROOM, "festa.lua": config(settings) },
      { level: "debug", args: ["--threads", String(THREADS)] },
    );
  const refusals = (server) => server.lines.filter((line) => line.msg.startsWith("no io_uring"));

  it("true: a ring for each thread, unless the kernel refuses, which is said", async (t) => {
    for (const settings of [{}, { ioUring: true }]) {
      const server = await start(t, settings);
      await everybodyHears(server);
      await poll(
        async () => (await rings(server)) + refusals(server).length === THREADS || undefined,
        "a ring or a refusal of each thread",
      );
      for (const line of refusals(server)) assert.match(line.error, /\w/);
    }
  });

  it("false: no ring", async (t) => {
    const server = await start(t, { ioUring: false });
    await everybodyHears(server);
    assert.equal(await rings(server), 0);
    assert.deepEqual(refusals(server), []);
  });
});
