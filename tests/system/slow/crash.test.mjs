// What someone was told is there after a crash, and turns are whole. `./dev crash` runs many rounds of it.

import { it } from "node:test";

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
