// festa init and festa types: a project of each template works at once, from the program alone.

import assert from "node:assert/strict";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { saveFile } from "./lib/project.mjs";
import { runFesta, serverFor } from "./lib/server.mjs";

const TEMPLATES = ["minimal", "chat", "game", "rest"];

async function inFolder(use) {
  const folder = await mkdtemp(join(tmpdir(), "festa-init-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

// All files of a folder as serverFor wants them.
async function filesOf(folder, prefix = "") {
  const files = {};
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const name = prefix ? `${prefix}/${entry.name}` : entry.name;
    if (entry.isDirectory()) Object.assign(files, await filesOf(folder, name));
    else files[name] = await readFile(join(folder, name));
  }
  return files;
}

describe("festa init", () => {
  for (const template of TEMPLATES) {
    it(`${template}: its tests pass, and it serves`, (t) =>
      inFolder(async (folder) => {
        const made = await runFesta(["init", "my-app", "--template", template], { cwd: folder });
        assert.deepEqual([made.code, made.stderr], [0, ""]);
        assert.match(made.stdout, /Next:\n {2}cd my-app\n {2}festa test\n {2}festa dev\n$/);
        const directory = join(folder, "my-app");
        const files = await filesOf(directory);
        for (const name of ["README.md", ".gitignore", ".luarc.json", "festa.lua", "parties/main.lua", "tests/main_test.lua", ".festa/types/handlers.lua", ".festa/types/harness.lua"]) {
          assert.ok(name in files, `${name} in ${Object.keys(files)}`);
        }
        assert.deepEqual(JSON.parse(files[".luarc.json"])["workspace.library"], [".festa/types"]);
        const tested = await runFesta(["test"], { cwd: directory, ms: 120_000 });
        assert.deepEqual([tested.code, tested.stderr], [0, ""], tested.stdout);
        assert.match(tested.stdout, /# [1-9]\d* passed, 0 failed\n$/);
        const checked = await runFesta(["check"], { cwd: directory });
        assert.equal(checked.code, 0, checked.stderr);

        const server = await serverFor(t, files);
        const page = await fetch(`http://127.0.0.1:${server.port}/`);
        assert.equal(page.status, template === "rest" ? 404 : 200);
        if (template === "rest") {
          const answer = await fetch(`http://127.0.0.1:${server.port}/parties/main/shopping/notes`, { method: "POST", body: '{"text":"milk"}' });
          assert.equal(answer.status, 201);
        }
      }));
  }

  it("game: a player who is back keeps the seat, also when the script has changed meanwhile", (t) =>
    inFolder(async (folder) => {
      assert.equal((await runFesta(["init", "my-app", "--template", "game"], { cwd: folder })).code, 0);
      const files = await filesOf(join(folder, "my-app"));
      const script = String(files["parties/main.lua"]).replace("GRACE_MS = 30 * 1000", "GRACE_MS = 2000");
      const server = await serverFor(t, { ...files, "parties/main.lua": script });
      const play = (id) => server.socket(`/parties/main/table?_pk=${id}`);
      const until = async (socket, fits) => {
        for (;;) {
          const game = JSON.parse(await socket.message());
          if (fits(game)) return game;
        }
      };
      const ada = await play("ada");
      let bob = await play("bob");
      await until(bob, (game) => game.you === "O");
      bob.close(1000);
      await bob.closing();
      const from = server.lines.length;
      await saveFile(join(server.project.directory, "parties/main.lua"), script.replace("it is not your turn", "wait for your turn"));
      server.signal("SIGHUP");
      await server.waitForLog((line) => line.msg === "reloaded", "the reload", { from });
      bob = await play("bob");
      await until(bob, (game) => game.you === "O");
      ada.close(1000); // whose time is up behind bob's, if that still ran
      const game = await until(bob, (told) => !told.full);
      assert.equal(game.you, "O");
      assert.equal(game.full, false);
    }));

  it("the first template is the minimal one", () =>
    inFolder(async (folder) => {
      const { code } = await runFesta(["init", "."], { cwd: folder });
      assert.equal(code, 0);
      assert.match(await readFile(join(folder, "parties/main.lua"), "utf8"), /Counter/);
    }));

  it("knows what was meant, and refuses what is not empty", () =>
    inFolder(async (folder) => {
      const unknown = await runFesta(["init", "x", "--template", "caht"], { cwd: folder });
      assert.deepEqual([unknown.code, unknown.stderr], [2, "festa: unknown template caht: did you mean chat?\n"]);
      const nowhere = await runFesta(["init"], { cwd: folder });
      assert.equal(nowhere.code, 2);
      assert.deepEqual(await readdir(folder), []);
      await mkdir(join(folder, "app", "parties"), { recursive: true });
      await writeFile(join(folder, "app/parties/main.lua"), "return {}\n");
      const full = await runFesta(["init", "app"], { cwd: folder });
      assert.equal(full.code, 1);
      assert.match(full.stderr, /^festa: the folder app is not empty: with --force .* no file is overwritten\n$/);
      assert.deepEqual(await readdir(join(folder, "app")), ["parties"]);
      const forced = await runFesta(["init", "app", "--force"], { cwd: folder });
      assert.equal(forced.code, 0);
      assert.match(forced.stdout, /parties\/main\.lua {2}\(was there, left as it is\)/);
      assert.equal(await readFile(join(folder, "app/parties/main.lua"), "utf8"), "return {}\n");
      assert.ok((await readdir(join(folder, "app"))).includes("festa.lua"));
      await writeFile(join(folder, "file"), "");
      const file = await runFesta(["init", "file"], { cwd: folder });
      assert.equal(file.code, 1);
      assert.match(file.stderr, /the folder file can't be used/);
      await mkdir(join(folder, "git/.git"), { recursive: true });
      assert.equal((await runFesta(["init", "git"], { cwd: folder })).code, 0);
    }));
});

describe("festa types", () => {
  it("writes the annotations anew, and leaves the author's settings alone", () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, ".festa/types"), { recursive: true });
      await writeFile(join(folder, ".festa/types/party.lua"), "old");
      await writeFile(join(folder, ".luarc.json"), "{}");
      const { code, stdout } = await runFesta(["types"], { cwd: folder });
      assert.equal(code, 0);
      assert.match(stdout, /\.luarc\.json that is there was left alone[^]*workspace\.library/);
      assert.equal(await readFile(join(folder, ".luarc.json"), "utf8"), "{}");
      await rm(join(folder, ".luarc.json"));
      assert.match((await runFesta(["types"], { cwd: folder })).stdout, /^Wrote \.festa\/types and \.luarc\.json: /);
      assert.equal((await runFesta(["types"], { cwd: folder })).stdout, "Wrote .festa/types.\n", "it has what it needs");
      assert.match(await readFile(join(folder, ".festa/types/party.lua"), "utf8"), /^---@meta/);
      assert.match(await readFile(join(folder, ".festa/types/handlers.lua"), "utf8"), /function Party:onMessage\(message, connection, binary\)/);
      const nowhere = await runFesta(["types", join(folder, "nowhere")]);
      assert.equal(nowhere.code, 1);
      assert.match(nowhere.stderr, /nowhere can't be used/);
    }));
});
