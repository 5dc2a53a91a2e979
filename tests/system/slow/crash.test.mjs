// What someone was told is there after a crash, and turns are whole: the server is killed under load, or the power of
// its disk is cut. `./dev crash` runs many rounds of it; FESTA_CRASH_SEED repeats one.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

import { FILES } from "../lib/crash/party.mjs";
import { crashRounds } from "../lib/crash/run.mjs";
import { writeProject } from "../lib/project.mjs";

const rounds = Number(process.env.FESTA_CRASH_ROUNDS ?? 25);
const seed = Number(process.env.FESTA_CRASH_SEED ?? Date.now() % 4294967296);

async function kill(server) {
  server.kill();
  await server.ended();
}

it(`SIGKILL under load, ${rounds} rounds, seed ${seed}`, async (t) => {
  const project = await writeProject(FILES);
  try {
    await crashRounds({ project, rounds, seed, end: kill, say: (line) => t.diagnostic(line) });
  } finally {
    await project.remove();
  }
});

// In namespaces that end, with all processes and mounts in them, when this process does.
const CONFINED =
  "setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc";

it(`a power cut under load, ${rounds} rounds, seed ${seed}`, async (t) => {
  if (process.getuid() !== 0) return t.skip("only root can mount a disk");
  const program = fileURLToPath(new URL("../lib/crash/power.mjs", import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), "festa-power-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const confined = spawnSync("sh", ["-c", `${CONFINED} true`], { encoding: "utf8" });
  if (confined.status !== 0) return t.skip(`no place where a disk can be cut off: ${confined.stderr.trim()}`);
  const [command, ...args] = [...CONFINED.split(" "), process.execPath, program, folder, String(rounds), String(seed)];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  const [code] = await once(child, "close");
  if (code === 77) return t.skip(`no disk whose power can be cut: ${said.trim()}`);
  assert.equal(code, 0, said);
  for (const line of said.trim().split("\n")) t.diagnostic(line);
});
