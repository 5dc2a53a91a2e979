// What `festa dev` shows on a terminal, and its keys.

import assert from "node:assert/strict";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { writeProject } from "./lib/project.mjs";
import { FESTA } from "./lib/server.mjs";
import { Terminal } from "./lib/terminal.mjs";
import { poll } from "./lib/wait.mjs";

const MODE = "echo mode $(stty -g)";
const PARTY = `return { onRequest = function() return "hello" end }`;

// festa dev on a terminal, between two looks at the terminal's mode. before: commands for sh.
async function devFor(t, { args = "", files = { "parties/main.lua": PARTY }, env, before = ":" } = {}) {
  const project = await writeProject(files);
  const run = `'${FESTA}' dev '${project.directory}' --port 0 --data '${project.data}' ${args}`;
  const terminal = new Terminal(`${before}; ${MODE}; ${run}; echo "code $?"; ${MODE}`, { env });
  terminal.project = project;
  t.after(async () => {
    terminal.kill();
    await project.remove();
  });
  return terminal;
}

// It has ended with this code, and the terminal is as it was.
async function endsWell(terminal, code = 0) {
  await terminal.ended();
  const modes = terminal.shown.match(/^mode [0-9a-f:]+$/gm) ?? [];
  assert.ok(modes.length >= 2, terminal.shown);
  for (const mode of modes) assert.equal(mode, modes[0]);
  assert.match(terminal.shown, new RegExp(`^code ${code}$`, "m"));
}

const READY = /r reload {3}o open in a browser {3}c clear {3}h addresses {3}q quit/;
const CODE = /\x1b\[30;107m {2,}[▀▄█ ]+\x1b\[0m\n/;

describe("festa dev on a terminal", () => {
  it("prints its address and takes keys: r reloads, q quits", async (t) => {
    const terminal = await devFor(t);
    const [, url] = await terminal.sees(/ {2}Local {4}(http:\/\/127\.0\.0\.1:\d+)\n {2}Network {2}.*--host 0\.0\.0\.0/);
    await terminal.sees(READY);
    assert.doesNotMatch(terminal.shown, CODE); // nobody could reach it
    assert.equal(await (await fetch(`${url}/party/a`)).text(), "hello");
    terminal.type("x\n\x1bOq"); // unknown keys mean nothing, nor do those of more than a letter
    await poll(() => (terminal.type("r"), terminal.shown.includes("reloaded") || undefined), "a reload");
    terminal.type("q");
    await endsWell(terminal);
    await terminal.sees(/stopped/);
  });

  it("shows a QR code of the address that other machines can reach", async (t) => {
    const terminal = await devFor(t, { args: "--host 0.0.0.0" });
    await terminal.sees(READY);
    assert.match(terminal.shown, / {2}Local {4}http:\/\/localhost:\d+\n/);
    const addresses = Object.values(networkInterfaces()).flat().filter((at) => !at.internal && at.family === "IPv4");
    if (addresses.length > 0) {
      assert.match(terminal.shown, new RegExp(`Network {2}http://(${addresses.map((at) => at.address).join("|")}):\\d+\n`));
      assert.match(terminal.shown, CODE);
    } else {
      assert.match(terminal.shown, /Network {2}not reachable/);
    }
    terminal.type("q");
    await endsWell(terminal);
  });

  for (const [host, local] of [["*", /http:\/\/localhost:/], ["0", /http:\/\/localhost:/], ["0:0:0:0:0:0:0:0", /http:\/\/localhost:/], ["127.1", /http:\/\/127\.1:/]]) {
    it(`knows what the host ${host} means`, async (t) => {
      const terminal = await devFor(t, { args: `--host '${host}'` });
      await terminal.sees(READY);
      assert.match(terminal.shown, new RegExp(` {2}Local {4}${local.source}`));
      assert.ok(!terminal.shown.includes("//*") && !terminal.shown.includes("//0:") && !terminal.shown.includes("[0:"), terminal.shown);
      if (host === "127.1") assert.match(terminal.shown, /Network {2}not reachable/);
      const [, url] = await terminal.sees(/(http:\/\/\S+)\/parties\/main/); // in the log
      assert.equal(await (await fetch(`${url}/party/a`)).text(), "hello");
      terminal.type("q");
      await endsWell(terminal);
    });
  }

  it("shows no QR code where it has no place, and sends a dumb terminal no sequences", async (t) => {
    if (!Object.values(networkInterfaces()).flat().some((at) => !at.internal && at.family === "IPv4")) return t.skip("no network");
    for (const [before, env, shown] of [
      ["stty rows 24 cols 80", {}, true],
      ["stty rows 10 cols 80", {}, false],
      ["stty rows 24 cols 30", {}, false],
      ["stty rows 24 cols 80", { TERM: "dumb" }, false],
    ]) {
      const terminal = await devFor(t, { args: "--host 0.0.0.0", before, env });
      await terminal.sees(READY);
      assert.equal(CODE.test(terminal.shown), shown, `${before} ${JSON.stringify(env)}`);
      const from = terminal.shown.length;
      terminal.type("c");
      await terminal.sees(READY, { from });
      assert.equal(terminal.shown.includes("\x1b[2J"), !env.TERM);
      terminal.type("q");
      await endsWell(terminal);
    }
  });

  it("clears the screen with c, and says it all again with h", async (t) => {
    const terminal = await devFor(t);
    await terminal.sees(READY);
    await terminal.sees(/:room/); // the log's last line of the start, which comes when it comes
    const from = terminal.shown.length;
    terminal.type("c");
    await terminal.sees(/\x1b\[H\x1b\[2J\x1b\[3J\n {2}Local/, { from });
    const again = terminal.shown.length;
    terminal.type("h");
    await terminal.sees(READY, { from: again });
    terminal.type("q");
    await endsWell(terminal);
  });

  it("opens a browser with o, without a shell", async (t) => {
    const { root, remove } = await writeProject({});
    t.after(remove);
    const folder = join(root, "bin");
    const opened = join(root, "opened");
    await mkdir(folder);
    await writeFile(join(folder, "xdg-open"), `#!/bin/sh\nprintf '%s|' "$@" > '${opened}.part'; mv '${opened}.part' '${opened}'\n`);
    await chmod(join(folder, "xdg-open"), 0o755);
    const terminal = await devFor(t, { env: { FOLDER: folder }, before: 'PATH="$FOLDER:$PATH"; export PATH' });
    const [, url] = await terminal.sees(/ {2}Local {4}(\S+)/);
    await terminal.sees(READY);
    terminal.type("o");
    assert.equal(await poll(() => readFile(opened, "utf8").catch(() => undefined), "a browser"), `${url}|`);
    terminal.type("q");
    await endsWell(terminal);
  });

  it("says when there is no browser", async (t) => {
    const { directory, remove } = await writeProject({});
    t.after(remove);
    const before = `ln -s "$(command -v stty)" '${directory}/stty'; PATH='${directory}'; export PATH`;
    const terminal = await devFor(t, { before });
    await terminal.sees(READY);
    terminal.type("o");
    await terminal.sees(/no browser could be opened .*xdg-open is not installed/);
    terminal.type("q");
    await endsWell(terminal);
  });

  it("shows what is wrong, with source", async (t) => {
    const terminal = await devFor(t, { files: { "parties/main.lua": "return {\n  x = = 1\n}" } });
    await terminal.sees(/the project can't be loaded/);
    await terminal.sees(/parties\/main\.lua:2: [^\n]*\n +1 \| return \{\n +> +2 \| +x = = 1\n +3 \| \}/);
    const from = terminal.shown.length;
    await writeFile(join(terminal.project.directory, "parties/main.lua"), PARTY);
    await terminal.sees("mended and reloaded", { from });
    terminal.type("q");
    await endsWell(terminal);
  });

  it("leaves the terminal as it was on Ctrl-C", async (t) => {
    const terminal = await devFor(t, { before: "trap : INT" });
    await terminal.sees(READY);
    terminal.type("\x03");
    await endsWell(terminal);
  });

  it("leaves the terminal as it was on Ctrl-Z, and takes keys again behind fg", async (t) => {
    const project = await writeProject({ "parties/main.lua": PARTY });
    const script = `set -m; ${MODE}; '${FESTA}' dev '${project.directory}' --port 0; echo "stopped $?"; ${MODE}; fg; echo "code $?"; ${MODE}`;
    await writeFile(join(project.root, "script.sh"), script);
    const terminal = new Terminal(`bash '${join(project.root, "script.sh")}'`);
    t.after(async () => {
      terminal.kill();
      await project.remove();
    });
    await terminal.sees(READY);
    terminal.type("\x1a");
    await terminal.sees(/^stopped 1\d\d\nmode /m);
    await poll(() => (terminal.type("r"), terminal.shown.includes("reloaded") || undefined), "a key behind fg");
    terminal.type("q");
    await endsWell(terminal);
  });

  it("leaves the terminal as it was when it is killed by a signal", async (t) => {
    const terminal = await devFor(t, { before: "trap : QUIT; ulimit -c 0" });
    await terminal.sees(READY);
    terminal.type("\x1c"); // SIGQUIT, which nobody expects
    await endsWell(terminal, 131);
  });

  it("reads no keys in the background", async (t) => {
    const project = await writeProject({ "parties/main.lua": PARTY });
    const script = `set -m; '${FESTA}' dev '${project.directory}' --port 0 & read -r line; echo "read $line"; kill %1; wait %1; echo "code $?"`;
    await writeFile(join(project.root, "script.sh"), script);
    const terminal = new Terminal(`bash '${join(project.root, "script.sh")}'`);
    t.after(async () => {
      terminal.kill();
      await project.remove();
    });
    await terminal.sees("listening");
    terminal.type("quiet\n");
    await terminal.sees("read quiet");
    await terminal.ended();
    assert.match(terminal.shown, /^code 0$/m);
  });
});

describe("festa dev without a terminal", () => {
  it("prints nothing but its log, and ends with the terminal that it had", async (t) => {
    const project = await writeProject({ "parties/main.lua": PARTY });
    const log = join(project.root, "log");
    const terminal = new Terminal(`'${FESTA}' dev '${project.directory}' --port 0 2>'${log}' | cat`);
    t.after(async () => {
      terminal.kill();
      await project.remove();
    });
    const read = (text) =>
      poll(async () => (await readFile(log, "utf8").catch(() => "")).includes(text) || undefined, text);
    await read("listening");
    assert.equal(terminal.shown, "");
    terminal.kill(); // its keys hang up
    await read("stopped");
  });
});
