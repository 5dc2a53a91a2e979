// The crash test's rounds: a server under load that ends at a random moment, starts again on the same data folder,
// and must have kept what the clients' books say.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, copyFile, mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import { FESTA, startServer } from "../server.mjs";
import { within } from "../wait.mjs";
import { RoomBooks } from "./books.mjs";
import { load } from "./clients.mjs";
import { Random } from "./random.mjs";

const ROOMS = 5;
const GENERATION = 5; // rounds until there are new rooms, so that rooms stay small
const FOLDER = 25; // rounds until there is a new data folder, for the same reason
const run = promisify(execFile);

// A free port below those that the kernel gives out: with so many starts, one of those would be taken by somebody
// else now and then before the server has it.
async function quietPort() {
  for (;;) {
    const port = 20000 + Math.floor(Math.random() * 10000);
    const probe = net.createServer();
    const free = await new Promise((done) => {
      probe.on("error", () => done(false)).listen(port, "127.0.0.1", () => done(true));
    });
    if (free) return new Promise((done) => probe.close(() => done(port)));
  }
}

async function start(project, threads) {
  const port = await quietPort();
  return startServer(undefined, { project, port, level: "error", args: ["--threads", String(threads)] });
}

async function keysOf(server, room) {
  const keys = {};
  let from = "";
  do {
    const page = await server.json(`/party/${room}${from && `?from=${encodeURIComponent(from)}`}`);
    Object.assign(keys, page.keys);
    from = page.last ?? "";
  } while (from);
  return keys;
}

// SQLite's own opinion of the file, from a copy: whoever opens it repairs it.
async function checkFile(data) {
  const copy = await mkdtemp(join(tmpdir(), "festa-crash-"));
  try {
    const file = join(data, "data.sqlite");
    if (!(await access(file).then(() => true, () => false))) return;
    await copyFile(file, join(copy, "data.sqlite"));
    await copyFile(`${file}-wal`, join(copy, "data.sqlite-wal")).catch((error) => assert.equal(error.code, "ENOENT"));
    const { stdout } = await run("sqlite3", [join(copy, "data.sqlite"), "PRAGMA integrity_check"]);
    assert.equal(stdout.trim(), "ok");
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

// A server that is killed somewhere in its start, which is when it recovers.
async function killInStart(project, threads, ms) {
  const args = ["run", project.directory, "--port", "0", "--host", "127.0.0.1", "--data", project.data];
  const child = spawn(FESTA, [...args, "--threads", String(threads)], { stdio: "ignore" });
  const ended = once(child, "close");
  await pause(ms);
  child.kill("SIGKILL");
  await ended;
}

// Resolves with the figures of all rounds. options:
//   project    writeProject's, with the crash party; its data folder is made and removed here
//   rounds, seed
//   end        async (server): ends the server and returns when it is gone
//   restore    async (): makes the data folder usable again; nothing where it is so anyway
//   say        (line): is told how it goes
export async function crashRounds({ project, rounds, seed, end, restore = async () => {}, say = () => {} }) {
  const random = new Random(seed);
  const figures = { rounds: 0, starts: 0, ordered: 0, answered: 0, entries: 0 };
  let all = []; // of this data folder
  let rooms; // of this generation
  let server;

  const check = async (which) => {
    for (const room of which) room.check(await keysOf(server, room.name));
  };
  // Those of generations long ago are still there, too.
  const finish = async () => {
    await check(all);
    await server.stop();
    for (const { ordered, answered, known } of all) {
      figures.ordered += ordered.size;
      figures.answered += answered.size;
      figures.entries += known.length;
    }
    say(`${figures.rounds} rounds: ${JSON.stringify(figures)}`);
    all = [];
    await rm(project.data, { recursive: true });
  };
  try {
    for (let round = 1; round <= rounds; round++) {
      if (round % FOLDER === 1) server = await start(project, random.within(1, 2));
      if (round % GENERATION === 1) {
        rooms = Array.from({ length: ROOMS }, (_, i) => new RoomBooks(`r${round}-${i}`));
        all.push(...rooms);
      }
      const loading = load(server.url, rooms, {
        round,
        random: random.fork(),
        requests: random.within(1, 4),
        sockets: random.within(1, 3),
      });
      await pause(random.within(5, 200));
      assert.equal(server.exit, undefined, `the server ended by itself\n${server.stderr.slice(-4000)}`);
      await end(server);
      const problems = await within(loading, "the clients' end");
      if (problems.length) throw new Error(`${problems[0].message}\n${server.stderr.slice(0, 2000)}`, { cause: problems[0] });
      await restore();
      await checkFile(project.data);
      for (; random.next() < 0.25; figures.starts++) await killInStart(project, random.within(1, 2), random.within(0, 40));
      server = await start(project, random.within(1, 2));
      await check(rooms);
      figures.rounds = round;
      if (round % FOLDER === 0 || round === rounds) await finish();
    }
    return figures;
  } catch (error) {
    error.message = `seed ${seed}, after ${figures.rounds} whole rounds: ${error.message}`;
    throw error;
  } finally {
    server?.kill();
  }
}
