// What scripts can use (festa types --names, out of the bindings' own lists), what lua/types annotates and what
// docs/parties.md describes are the same names.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { describe, it } from "node:test";

import { runFesta } from "./lib/server.mjs";

const root = new URL("../../", import.meta.url);

// Lua's own, which editors know without us.
const STOCK_GLOBALS = new Set(
  ("assert collectgarbage error getmetatable ipairs load next pairs pcall print rawequal rawget rawlen rawset require " +
    "select setmetatable tonumber tostring type xpcall string table math utf8 os coroutine debug _G _VERSION").split(" "),
);
const STOCK_LIBRARIES = /^(string|table|math|utf8|os|coroutine|debug)\./;
const isStock = (name) => STOCK_GLOBALS.has(name) || STOCK_LIBRARIES.test(name);

// What a class of the annotations is in the list. Others (ResponseInit, party.BroadcastOptions) describe tables that
// scripts make, and the helpers of an annotation.
const CLASSES = {
  party: "party.",
  Storage: "party.storage.",
  Connection: "Connection.",
  Request: "Request.",
  Response: "Response.",
  Timer: "Timer.",
  Transaction: "Transaction.",
  Stream: "Stream.",
  Rooms: "Rooms.",
  Stub: "Stub.",
  Socket: "Socket.",
  Reply: "Reply.",
  FetchResponse: "FetchResponse.",
  Party: "Party.",
  "Party.Options": "Party.options.",
};

async function listed() {
  const { code, stdout, stderr } = await runFesta(["types", "--names"]);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout.trim().split("\n");
}

// The names that one file of annotations declares, written as the list has them.
function annotated(text) {
  const names = [];
  let owner;
  for (const line of text.split("\n")) {
    let match;
    if ((match = /^---@class ([\w.]+)/.exec(line))) owner = match[1];
    else if ((match = /^---@field (\w+)\??/.exec(line)) && owner in CLASSES) names.push(CLASSES[owner] + match[1]);
    else if ((match = /^function ([\w.]+[.:]\w+|\w+)\(/.exec(line))) names.push(match[1]);
    else if ((match = /^([\w.]+) = /.exec(line))) names.push(match[1]);
  }
  return names;
}

async function annotations() {
  const names = new Set();
  const folder = new URL("lua/types/", root);
  const files = (await readdir(folder)).filter((file) => file.endsWith(".lua") && file !== "harness.lua");
  assert.ok(files.length >= 5, files.join());
  for (const file of files) for (const name of annotated(await readFile(new URL(file, folder), "utf8"))) names.add(name);
  return names;
}

describe("names", () => {
  it("all that scripts can use has an annotation, and nothing else has", async () => {
    const bindings = (await listed()).filter((name) => !isStock(name));
    const annotated = await annotations();
    annotated.delete("Party.options"); // the table of them; they are listed one by one
    assert.ok(bindings.length > 70, `${bindings.length} names`);
    assert.deepEqual(
      bindings.filter((name) => !annotated.has(name)),
      [],
      "without an annotation",
    );
    const known = new Set(bindings);
    assert.deepEqual(
      [...annotated].filter((name) => !known.has(name)),
      [],
      "annotated, but scripts don't have them",
    );
  });

  it("all that scripts can use is in docs/parties.md", async () => {
    const docs = await readFile(new URL("docs/parties.md", root), "utf8");
    const words = new Set(docs.match(/[\w.:]+/g));
    // As the page writes a name: in full, or as a method or field of a variable that is named like the class, or by
    // itself where a table of the class lists it.
    const spellings = (name) => {
      const [, owner, separator, last] = /^(?:(.*?)([.:]))?(\w+)$/.exec(name) ?? [];
      if (name.startsWith("party.storage.")) return [last];
      if (name.startsWith("Party")) return [last];
      if (owner === undefined) return [name];
      if (owner === "Rooms") return [`party.parties.NAME${separator}${last}`];
      if (owner === "Reply") return [last, `response${separator}${last}`]; // in a sentence
      if (owner === "FetchResponse") return [`response${separator}${last}`];
      return [name, owner.toLowerCase() + separator + last, `${owner === "Transaction" ? "txn" : owner}${separator}${last}`];
    };
    const missing = (await listed())
      .filter((name) => !STOCK_LIBRARIES.test(name) || name.startsWith("os.") || name.startsWith("debug."))
      .filter((name) => !spellings(name).some((spelling) => words.has(spelling) || words.has(spelling.replace(/^(os|debug)\./, ""))));
    assert.deepEqual(missing, []);
  });

  it("the page names nothing that scripts don't have", async () => {
    const docs = await readFile(new URL("docs/parties.md", root), "utf8");
    const known = new Set((await listed()).map((name) => name.replace(/^FetchResponse/, "Response").replace(/^[A-Z]\w+(?=[.:])/, (owner) => owner.toLowerCase()).replace(":", ".")));
    const owners = "party\\.storage|party|connection|request|response|Response|json|crypto|log|html|timer|txn";
    const used = new Set([...docs.matchAll(new RegExp(`(?<![\\w./-])(${owners})[.:](?!f\\b)([a-z]\\w*)(?![\\w-]*\\.(?:lua|json|md))`, "g"))].map(
      ([, owner, name]) => `${owner === "txn" ? "transaction" : owner}.${name}`));
    assert.ok(used.size > 40, `${used.size} names`);
    const lower = new Set([...known].map((name) => name.toLowerCase()));
    assert.deepEqual([...used].filter((name) => !lower.has(name.toLowerCase())), []);
  });

  it("the page describes no handler or option that there is not", async () => {
    const docs = await readFile(new URL("docs/parties.md", root), "utf8");
    const handlers = new Set((await listed()).filter((name) => name.startsWith("Party:")).map((name) => name.slice(6)));
    const table = docs.slice(docs.indexOf("## Handlers"), docs.indexOf("**No room is made before"));
    const described = [...table.matchAll(/^\| `(\w+)\(/gm)].map((match) => match[1]);
    assert.ok(described.length >= 10);
    assert.deepEqual(described.filter((name) => !handlers.has(name)), []);
    assert.deepEqual([...handlers].filter((name) => !described.includes(name)), []);
  });
});
