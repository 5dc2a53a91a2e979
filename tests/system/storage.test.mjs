// What rooms store, and that it is there again: after a restart, a kill, an eviction, and when the disk fails.

import assert from "node:assert/strict";
import { chmod, chown, mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describe, it } from "node:test";

import { config, lua, writeProject } from "./lib/project.mjs";
import { runFesta, serverFor, startServer } from "./lib/server.mjs";

// Each message is a turn that writes three keys, and is answered with its number.
const COUNTER = lua`
local Counter = {}

function Counter:onStart()
  self.n = party.storage.get("n") or 0
  self.starts = (party.storage.get("starts") or 0) + 1
  party.storage.put("starts", self.starts)
end

function Counter:onMessage(message, connection)
  self.n = self.n + 1
  party.storage.put("n", self.n)
  party.storage.put(("item:%06d"):format(self.n), message)
  party.storage.put("twin", self.n)
  connection:send(tostring(self.n))
  if message == "all" then party.broadcast("all " .. self.n) end
end

function Counter:onRequest(request)
  if request.method == "PUT" then
    party.storage.put(request.query.key, request.body)
    return "stored"
  end
  if request.query.key then return party.storage.get(request.query.key) or Response("none", { status = 404 }) end
  local items = {}
  for key, value in party.storage:list({ prefix = "item:" }) do items[#items + 1] = value end
  return { n = party.storage.get("n") or 0, twin = party.storage.get("twin") or 0, items = json.array(items),
    memory = self.n, starts = self.starts, stops = party.storage.get("stops") or 0 }
end

function Counter:onStop()
  party.storage.put("stops", (party.storage.get("stops") or 0) + 1)
  print(party.id .. " stopped")
end

return Counter
`;

const FILES = { "parties/main.lua": COUNTER };

// A project that stays while servers come and go.
async function projectFor(t, files = FILES) {
  const project = await writeProject(files);
  t.after(() => project.remove());
  return project;
}

describe("what is stored", () => {
  it("is there after a restart, as is what onStop has written", async (t) => {
    const project = await projectFor(t);
    for (let round = 0; round < 3; round++) {
      const server = await startServer(undefined, { project });
      const socket = await server.socket("/party/r");
      const other = await server.socket("/party/s");
      for (let i = 1; i <= 5; i++) {
        socket.text(`round ${round}`);
        assert.equal(await socket.message(), String(round * 5 + i));
      }
      other.text("x");
      assert.equal(await other.message(), String(round + 1));
      const found = await server.json("/party/r");
      assert.equal(found.starts, round + 1);
      assert.equal(found.stops, round);
      assert.equal(found.items.length, 5 * (round + 1));
      assert.deepEqual(new Set(found.items).size, round + 1);
      await server.stop();
    }
  });

  it("is any bytes, up to the limit", async (t) => {
    const project = await projectFor(t);
    const value = Buffer.alloc(1024 * 1024, "\u0000\u0001ÿ", "latin1");
    const first = await startServer(undefined, { project });
    assert.equal(await first.text("/party/r?key=a%20%25%01", { method: "PUT", body: value }), "stored");
    assert.equal((await first.request("/party/r?key=b", { method: "PUT", body: Buffer.alloc(2 ** 21 + 1) })).status, 500);
    await first.stop();
    const second = await serverFor(t, undefined, { project });
    const response = await second.request("/party/r?key=a%20%25%01");
    assert.equal(response.status, 200);
    assert.deepEqual(Buffer.from(response.body), value);
    assert.equal((await second.request("/party/r?key=b")).status, 404);
  });

  it("is there after kill -9, all that was answered, and whole turns of it", async (t) => {
    const project = await projectFor(t);
    const rooms = ["a", "b", "c", "d"];
    const heard = Object.fromEntries(rooms.map((room) => [room, 0]));
    for (let round = 0; round < 4; round++) {
      const server = await startServer(undefined, { project });
      for (const room of rooms) {
        const found = await server.json(`/party/${room}`);
        assert.ok(found.n >= heard[room], `${room}: ${found.n} of ${heard[room]} that were answered`);
        assert.equal(found.twin, found.n);
        assert.equal(found.memory, found.n);
        assert.equal(found.items.length, found.n);
      }
      let total = 0;
      const sockets = await Promise.all(rooms.map((room) => server.socket(`/party/${room}`)));
      const clients = sockets.map(async (socket, i) => {
        for (let n = 0; n < 5; n++) socket.text("x"); // five are always on their way
        for (;;) {
          const frame = await socket.frameOrEnd();
          if (!frame) return;
          heard[rooms[i]] = Number(frame.payload.toString());
          if (++total === 200 + 37 * round) server.kill();
          else if (!server.exit) socket.text("x");
        }
      });
      await server.ended();
      await Promise.all(clients.map((client) => client.catch(() => {})));
      for (const client of [...server.clients]) client.destroy();
      assert.ok(total >= 200);
    }
    const last = await serverFor(t, undefined, { project });
    for (const room of rooms) assert.ok((await last.json(`/party/${room}`)).n >= heard[room]);
  });

  it("is there when an idle room that has left wakes again", async (t) => {
    const server = await serverFor(t, { ...FILES, "festa.lua": config({ limits: { idleRoom: 30 } }) });
    const room = server.room();
    const socket = await server.socket(`/party/${room}`);
    for (let i = 1; i <= 3; i++) {
      socket.text("x");
      assert.equal(await socket.message(), String(i));
    }
    await socket.leave();
    for (let round = 1; round <= 3; round++) {
      const from = server.lines.length;
      const found = await server.json(`/party/${room}`);
      assert.equal(found.n, 3);
      assert.equal(found.memory, 3);
      assert.ok(found.starts >= round && found.stops === found.starts - 1);
      await server.waitForText(`${room} stopped`, { from });
    }
  });

  it("adds up when many clients write from all threads", async (t) => {
    const project = await projectFor(t);
    const server = await startServer(undefined, { project });
    const sockets = await Promise.all(Array.from({ length: 24 }, (_, n) => server.socket(`/party/r${n % 6}`)));
    await Promise.all(
      sockets.map(async (socket) => {
        for (let n = 0; n < 25; n++) {
          socket.text("x");
          await socket.message();
        }
      }),
    );
    await server.stop();
    const again = await serverFor(t, undefined, { project });
    for (let n = 0; n < 6; n++) {
      const found = await again.json(`/party/r${n}`);
      assert.equal(found.n, 100);
      assert.equal(found.items.length, 100);
    }
  });
});

describe("a disk that is full", () => {
  // Files may have so many KiB; what would make one larger fails, as on a full disk.
  const bounded = (kib) => ({
    wrap: (command) => ["bash", "-c", `trap "" XFSZ; ulimit -f ${kib}; exec "$@"`, "bash", ...command],
  });

  it("lets nothing out that is not stored, and the room starts anew from what is", async (t) => {
    const server = await serverFor(t, FILES, bounded(400));
    const room = server.room();
    const writer = await server.socket(`/party/${room}`);
    const listener = await server.socket(`/party/${room}`);
    const elsewhere = await server.socket(`/party/${server.room()}`);
    writer.text("all");
    assert.equal(await writer.message(), "1");
    assert.equal(await writer.message(), "all 1");
    assert.equal(await listener.message(), "all 1");
    const large = server.request(`/party/${room}?key=large`, { method: "PUT", body: Buffer.alloc(900_000, "x") });
    assert.equal((await large).status, 503);
    assert.deepEqual(await writer.closing(), { code: 1011, reason: "Internal error" });
    assert.deepEqual(await listener.closing(), { code: 1011, reason: "Internal error" });
    const line = await server.waitForText("what a room has written could not be stored");
    assert.equal(line.room, room);
    assert.equal(line.level, "error");
    const found = await server.json(`/party/${room}`);
    assert.equal(found.n, 1);
    assert.equal(found.starts, 2);
    assert.equal((await server.request(`/party/${room}?key=large`)).status, 404);
    elsewhere.text("x"); // other rooms have lost nothing
    assert.equal(await elsewhere.message(), "1");
    const again = await server.socket(`/party/${room}`);
    again.text("x"); // small enough
    assert.equal(await again.message(), "2");
    for (const socket of [writer, listener]) socket.close(1011);
  });
});

describe("the data folder", () => {
  // A start that fails with one line.
  async function fails(project, pattern, options = {}) {
    const args = ["run", project.directory, "--port", "0", "--data", project.data];
    const { code, stderr } = await runFesta(args, options);
    assert.equal(code, 1, stderr);
    assert.match(stderr, pattern);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
  }

  it("is .festa in the project, or what --data says", async (t) => {
    const project = await projectFor(t);
    const without = (command) => command.filter((arg, n) => arg !== "--data" && command[n - 1] !== "--data");
    const server = await serverFor(t, undefined, { project, wrap: without });
    await server.request("/party/r?key=k", { method: "PUT", body: "here" });
    await server.stop();
    assert.ok((await readdir(join(project.directory, ".festa"))).includes("data.sqlite"));
    const other = await serverFor(t, undefined, { project });
    assert.equal((await other.request("/party/r?key=k")).status, 404);
    assert.ok((await readdir(project.data)).includes("data.sqlite"));
  });

  it("is one server's at a time", async (t) => {
    const project = await projectFor(t);
    const server = await serverFor(t, undefined, { project });
    await fails(project, new RegExp(`data: the data folder is used by another festa \\(process ${server.pid}\\): end it`));
    const relative = ["run", project.directory, "--data", `./${basename(project.data)}`];
    const { stderr } = await runFesta(relative, { cwd: dirname(project.data) });
    assert.ok(stderr.startsWith(`festa: ${project.data}: `), stderr); // for who reads it elsewhere
    assert.equal(await server.text("/party/r?key=k", { method: "PUT", body: "well" }), "stored");
    await server.stop();
    const next = await serverFor(t, undefined, { project });
    assert.equal(await next.text("/party/r?key=k"), "well");
  });

  it("is to be in a folder that is there, and no file", async (t) => {
    const project = await projectFor(t);
    await fails({ ...project, data: join(project.root, "no/data") }, /the data folder can't be made: make the folder first/);
    await writeFile(project.data, "text");
    await fails(project, /data: is to be the data folder, and is a file/);
  });

  it("must be writable; a project in which none can be made is served without", async (t) => {
    // root may write everywhere: then festa runs as somebody else
    const who = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {};
    const works = await runFesta(["version"], who).catch(() => undefined);
    if (works?.code !== 0) return t.skip("another user may not run festa here");
    const project = await projectFor(t);
    await chmod(project.root, 0o755);
    await mkdir(project.data, { mode: 0o555 });
    await fails(project, /data: the data folder can't be written to \(Permission denied\): make it writable/, who);
    await fails({ ...project, data: join(project.directory, "new") }, /can't be made \(Permission denied\)/, {
      ...who,
      cwd: "/",
    });
    await chmod(project.directory, 0o555);
    const server = await serverFor(t, undefined, {
      project,
      wrap: (command) => [
        ...(who.uid ? ["setpriv", `--reuid=${who.uid}`, `--regid=${who.gid}`, "--clear-groups"] : []),
        ...command.filter((arg, n) => arg !== "--data" && command[n - 1] !== "--data"),
      ],
    });
    assert.equal((await server.waitForText("rooms can't store anything: choose a folder with --data")).level, "warn");
    assert.equal((await server.request("/party/r")).status, 500); // this party stores at its start
    const line = await server.waitForLog((entry) => entry.handler === "onStart");
    assert.match(line.error, /there is no storage here/);
  });

  it("names the file that can't be written, and leaves none behind; its own are private", async (t) => {
    const project = await projectFor(t);
    await mkdir(project.data, { mode: 0o777 });
    await chmod(project.data, 0o777);
    await chmod(project.root, 0o755);
    const server = await startServer(undefined, { project });
    assert.equal((await server.request("/party/r?key=k", { method: "PUT", body: "kept" })).status, 200);
    for (const name of (await readdir(project.data)).filter((file) => file.startsWith("data.sqlite")))
      assert.equal((await stat(join(project.data, name))).mode & 0o777, 0o600, name);
    await server.stop();
    const who = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {};
    const works = await runFesta(["version"], who).catch(() => undefined);
    if (works?.code !== 0) return;
    const file = join(project.data, "data.sqlite");
    if (who.uid) for (const name of await readdir(project.data)) await chown(join(project.data, name), who.uid, who.gid);
    const before = await readdir(project.data);
    await chmod(file, 0o400);
    await fails(project, /data\.sqlite: the data file can't be written to: make it writable for the user that runs the server/, who);
    assert.deepEqual(await readdir(project.data), before);
    await chmod(file, 0o600);
    await writeFile(`${file}-shm`, "", { mode: 0o400 });
    if (who.uid) await chown(`${file}-shm`, who.uid, who.gid);
    await fails(project, /data\.sqlite-shm: the data file can't be written to: make it writable/, who);
    await rm(`${file}-shm`);
    assert.equal((await runFesta(["rooms", "--data", project.data], who)).code, 0);
  });

  it("without a file whose WAL is there is not begun anew", async (t) => {
    const project = await projectFor(t);
    const server = await startServer(undefined, { project });
    await server.request("/party/r?key=k", { method: "PUT", body: "kept" });
    server.kill();
    await server.ended();
    const file = join(project.data, "data.sqlite");
    const wal = await readFile(`${file}-wal`);
    await rename(file, `${file}.away`);
    await rm(`${file}-shm`);
    await fails(project, /data\.sqlite: this data file is missing, and data\.sqlite-wal beside it holds what was written last: put back the file/);
    await writeFile(file, "");
    await fails(project, /data\.sqlite: this data file is empty, and data\.sqlite-wal/);
    assert.deepEqual(await readFile(`${file}-wal`), wal);
    await rename(`${file}.away`, file);
    const next = await serverFor(t, undefined, { project });
    assert.equal(await next.text("/party/r?key=k"), "kept");
  });

  it("with a damaged file says so, and what to do", async (t) => {
    const project = await projectFor(t);
    const server = await startServer(undefined, { project });
    await server.request("/party/r?key=k", { method: "PUT", body: "x" });
    await server.stop();
    await writeFile(join(project.data, "data.sqlite"), "this is no database, but long enough to be read as one ".repeat(100));
    await fails(project, /data\.sqlite: the data file is damaged: put back a backup/);
  });
});
