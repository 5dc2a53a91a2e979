// Scripts that mean harm (tests/hostile), each in a server of its own with one thread, beside a room that
// answers messages: how long that one's answers take, how much memory the server needs, whether it goes
// on, and what the script gets to see. FESTA_HOSTILE=name,… runs some of them; the table at the end has
// the figures.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { ECHO_PARTY, EchoProbe } from "../lib/echo.mjs";
import { fits, FOLDER, heavyModules, prepare, readScripts } from "../lib/hostile.mjs";
import { link, writeProject } from "../lib/project.mjs";
import { runFesta, SANITIZED, startServer } from "../lib/server.mjs";
import { poll, within } from "../lib/wait.mjs";

const MiB = 1024 * 1024;
const HANDLER_TIME = 250; // ms, the default
const BAR = HANDLER_TIME + 150; // ms that another room's answer may take
const NOISE = 10; // times the bar is a hang
const ROOM_MEMORY = 8 * MiB; // unless the script's head says otherwise
const MEMORY_SLACK = 16 * MiB;
const AGAIN = 15_000; // ms until a room must serve again
const STOP = 8_000; // ms for a stop; stopTimeout is 1 s

const PATIENCE = BAR * NOISE * (SANITIZED ? 3 : 1);

const chosen = process.env.FESTA_HOSTILE?.split(",");
const scripts = (await readScripts()).filter(({ name }) => !chosen || chosen.includes(name));
const attack = await readFile(join(FOLDER, "lib/attack.lua"), "utf8");
const der = await readFile(join(FOLDER, "lib/der.lua"), "utf8");
const table = [];

// ms that another room's client waited, at p99, for which the server is to blame (see echo.mjs).
const waited = ({ echo }) => Math.min(echo.p99, echo.work);

// A project with the script in it, and what it must not see: a file beside the project, a variable of
// the process, what another room was told.
async function makeProject(script) {
  const id = randomBytes(8).toString("hex");
  const canaries = { file: `canary-file-${id}`, environment: `canary-environment-${id}`, room: `canary-room-${id}` };
  const project = await writeProject({
    "parties/hostile.lua": script.source,
    "parties/echo.lua": ECHO_PARTY,
    "lib/attack.lua": attack,
    "lib/der.lua": der,
    ...(script.source.includes('"heavy.') ? heavyModules() : {}),
    "lib/link.lua": link("../../secret.lua"),
    "festa.lua": `return { limits = { stopTimeout = 1000, ${script.limits ?? `roomMemory = ${ROOM_MEMORY}`} } }\n`,
  });
  writeFileSync(join(project.root, "secret.lua"), `return "${canaries.file}"\n`);
  writeFileSync(join(project.root, "secret.txt"), `${canaries.file}\n${canaries.file}\n`);
  const armed = Date.now() + 6000; // by then the server serves, however busy the machine is
  return {
    ...project,
    canaries,
    armed,
    env: { FESTA_CANARY: canaries.environment },
    args: ["--threads", "1", "--var", `ARMED=${armed}`, "--var", `OUTSIDE=${project.root}`],
  };
}

function assertNothingRead(texts, canaries) {
  const all = texts.join("\n");
  for (const [what, canary] of Object.entries(canaries)) assert.ok(!all.includes(canary), `the script has read the ${what}`);
  const address = /.{0,60}0x[0-9a-f]{9,}.{0,20}/i.exec(all);
  assert.ok(!address, `an address: ${address?.[0]}`);
}

// The largest the process has been since the last call, in bytes.
const peak = {
  reset: (pid) => writeFileSync(`/proc/${pid}/clear_refs`, "5"),
  read: (pid) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1]) * 1024,
};

// Attacks, and fills row with what was seen.
async function attackServer(script, server, probe, project, row) {
  const heard = [];
  const secret = project.canaries.room;
  await server.request("/parties/hostile/victim/keep", { method: "POST", body: secret });
  const attackers = await prepare(server, script);

  peak.reset(server.pid);
  const before = peak.read(server.pid);
  probe.begin();
  const done = attackers.trigger(heard, project).then(async (outcomes) => {
    // not a wait for an event: what happens during this time is what is measured
    await new Promise((over) => setTimeout(over, script.watch));
    return outcomes;
  });
  done.catch(() => {});
  await Promise.race([done, probe.ended]);
  row.echo = await probe.end();
  assert.ok(!server.exit, `the server has ended: ${JSON.stringify(server.exit)}\n${server.stderr.slice(-3000)}`);
  row.grown = peak.read(server.pid) - before;
  assert.equal(probe.over, undefined, "other rooms stand still");
  const outcomes = await done;
  row.outcome = [...new Set(outcomes)].join(", ").slice(0, 60);
  const wrong = outcomes.filter((outcome) => !fits(script.expect, outcome));
  assert.deepEqual(wrong, [], `"${script.expect}" was expected`);

  // all serve as if nothing had been
  if (script.room !== "lost") {
    for (const room of attackers.rooms.slice(0, 3)) {
      const good = async () => ((await server.request(`/parties/hostile/${room}/good`)).text === "good" ? true : undefined);
      await poll(good, `the room ${room} serving again`, { ms: AGAIN });
    }
  }
  assert.equal(await server.text("/parties/hostile/fresh/good"), "good", "a new room of the party");
  assert.equal(await server.text("/parties/hostile/victim/kept"), `${secret} ${secret}`, "another room's state");
  probe.begin();
  await within(probe.end(), "the echo afterwards");
  attackers.close();
  assertNothingRead([...heard, server.stderr], project.canaries);
}

async function stop(server) {
  for (const client of [...server.clients]) client.destroy();
  server.signal("SIGTERM");
  await within(server.ended(STOP), "the server's stop", STOP);
  await server.stop({ signal: null });
}

async function runInRoom(script, row) {
  const project = await makeProject(script);
  let server, probe;
  try {
    server = await startServer(null, { project, args: project.args, env: project.env, measured: true });
    probe = await EchoProbe.open(server, "/parties/echo/good", PATIENCE);
    await attackServer(script, server, probe, project, row);
    await probe.close();
    await stop(server);
  } finally {
    await probe?.close();
    server?.kill();
    await project.remove();
  }
}

// A script that is hostile while it loads: nothing starts, and soon, and with a reason.
async function runAtLoad(script, row) {
  const project = await makeProject(script);
  try {
    for (const command of ["check", "run"]) {
      const args = [command, project.directory, ...(command === "run" ? ["--port", "0", "--data", project.data] : [])];
      const from = performance.now();
      const { code, stdout, stderr } = await runFesta(args, { env: project.env, ms: PATIENCE });
      row.echo = { n: 0, p50: 0, p99: 0, work: 0, max: performance.now() - from };
      row.outcome = `exit ${code}`;
      assert.ok(fits(script.expect, `exit ${code}`), `"${script.expect}" was expected, ${row.outcome} came\n${stderr}`);
      assert.ok(stdout.length + stderr.length < 64 * 1024, `${stdout.length + stderr.length} bytes are said`);
      assertNothingRead([stdout, stderr], project.canaries);
      if (script.says) assert.match(stderr, new RegExp(script.says), "what is said");
    }
  } finally {
    await project.remove();
  }
}

// A sanitizer makes every figure here worthless, and the whole of it take half an hour.
const skip = SANITIZED && !chosen && "it takes long under sanitizers: name some in FESTA_HOSTILE";

describe("hostile scripts", { skip }, () => {
  for (const script of scripts) {
    it(script.name, { timeout: 120_000, todo: script.todo }, async () => {
      const row = { name: script.name, rooms: script.rooms };
      row.memory = Number(/roomMemory *= *(\d+)/.exec(script.limits ?? "")?.[1] ?? ROOM_MEMORY);
      table.push(row);
      try {
        await (script.trigger === "load" ? runAtLoad : runInRoom)(script, row);
        if (!SANITIZED && row.grown !== undefined) {
          const most = row.memory * script.rooms + MEMORY_SLACK;
          assert.ok(row.grown <= most, `memory grew by ${(row.grown / MiB).toFixed(1)} MiB, more than ${most / MiB}`);
        }
      } catch (error) {
        row.failed = error.message.split("\n")[0];
        throw error;
      }
    });
  }

  after(() => {
    const pad = (text, n) => String(text).padStart(n);
    const lines = table.map(({ name, echo, grown, memory, rooms, outcome = "", failed }) =>
      [
        name.padEnd(28),
        pad(echo?.p50.toFixed(1) ?? "", 7),
        pad(echo?.p99.toFixed(0) ?? "", 7),
        pad(echo?.work.toFixed(0) ?? "", 7),
        pad(echo?.max.toFixed(0) ?? "", 7),
        pad(grown === undefined ? "" : (grown / MiB).toFixed(1), 7),
        pad(`${(memory * rooms) / MiB}`, 5),
        failed ? ` FAILED: ${failed}` : waited({ echo }) > BAR ? ` over ${BAR} ms` : "",
        ` ${outcome.replace(/\s+/g, " ")}`,
      ].join(" "),
    );
    const failed = table.filter((row) => row.failed).map((row) => row.name);
    const slow = table.filter((row) => !row.failed && waited(row) > BAR).map((row) => row.name);
    console.log(
      [
        `${"script".padEnd(28)}     p50     p99    work     max   grown   cap  (echo of another room in ms, memory in MiB)`,
        ...lines,
        `${table.length} scripts, ${failed.length} failed${failed.length ? `: ${failed.join(" ")}` : ""}`,
        `over ${BAR} ms at p99: ${slow.join(" ") || "none"}`,
      ].join("\n"),
    );
  });
});
