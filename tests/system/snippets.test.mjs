// Every Lua block of the documentation works. Its first line says which file of a project it is ("-- parties/main.lua"):
// the blocks of a page that are files are a project, which `festa check` loads, and `festa test` if there are tests in
// it. A block that is a part of a file has the comment <!-- fragment --> above it, and is compiled.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

import { writeProject } from "./lib/project.mjs";
import { REPOSITORY, runFesta } from "./lib/server.mjs";

const PLACE = /^-- ((?:parties|lib|tests)\/[\w/-]+\.lua|festa\.lua)\b/;

async function pages() {
  const docs = (await readdir(join(REPOSITORY, "docs"))).filter((name) => name.endsWith(".md"));
  return ["README.md", ...docs.map((name) => `docs/${name}`)];
}

// { line, text, fragment } for each.
function blocksOf(page) {
  const lines = page.split("\n");
  const blocks = [];
  for (let i = 0; i < lines.length; i++) {
    if (!/^```lua\s*$/.test(lines[i])) continue;
    const end = lines.indexOf("```", i);
    assert.ok(end > i, `the block of line ${i + 1} has no end`);
    let above = i - 1;
    while (above > 0 && lines[above].trim() === "") above--;
    blocks.push({ line: i + 1, text: lines.slice(i + 1, end).join("\n") + "\n", fragment: /^<!-- fragment -->$/.test(lines[above] ?? "") });
    i = end;
  }
  return blocks;
}

// Projects out of the blocks that are files; a configuration, or a file that comes again, begins another one, with the
// modules so far.
function projectsOf(blocks) {
  const projects = [{}];
  for (const { text } of blocks) {
    const place = PLACE.exec(text)[1];
    let project = projects.at(-1);
    if (place in project || place === "festa.lua") {
      project = Object.fromEntries(Object.entries(project).filter(([name]) => name.startsWith("lib/")));
      projects.push(project);
    }
    project[place] = text;
  }
  return projects.filter((project) => Object.keys(project).length > 0);
}

async function checks(files, command) {
  const parties = Object.keys(files).some((name) => name.startsWith("parties/"));
  const project = await writeProject(parties ? files : { ...files, "parties/main.lua": "return {}\n" });
  try {
    const { code, stdout, stderr } = await runFesta([command, project.directory, "--var", "TOKEN=x"], { ms: 120_000 });
    assert.equal(code, 0, `${Object.keys(files).join(", ")}:\n${stdout}${stderr}`);
  } finally {
    await project.remove();
  }
}

const quoted = (text) => `[==[\n${text}]==]`;

describe("snippets", async () => {
  let total = 0;
  for (const page of await pages()) {
    const blocks = blocksOf(await readFile(join(REPOSITORY, page), "utf8"));
    if (blocks.length === 0) continue;
    total += blocks.length;
    it(`${page}: ${blocks.length} blocks`, async () => {
      for (const { line, text, fragment } of blocks) {
        assert.ok(fragment || PLACE.test(text), `${page}:${line}: say in the first line which file it is, or mark it as a fragment`);
      }
      for (const files of projectsOf(blocks.filter(({ fragment }) => !fragment))) {
        await checks(files, "check");
        if (Object.keys(files).some((name) => name.startsWith("tests/"))) await checks(files, "test");
      }
      for (const { line, text } of blocks.filter(({ fragment }) => fragment)) {
        await checks({ "parties/main.lua": `assert(load(${quoted(text)}, "=${page}:${line}"))\nreturn {}\n` }, "check");
      }
    });
  }

  it("there are some", () => assert.ok(total > 20, `${total} blocks`));
});
