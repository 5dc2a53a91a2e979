// Project directories for tests: an object of files becomes a folder that goes away again.

import { mkdtemp, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { SANITIZED } from "./binary.mjs";

// A Lua script. The text begins on the line after the backquote, so that line numbers are
// those that one counts; escapes are Lua's.
export function lua(strings, ...values) {
  return String.raw(strings, ...values).replace(/^\n/, "");
}

// A JavaScript value as Lua source.
export function luaValue(value) {
  if (value === null || value === undefined) return "nil";
  if (typeof value === "string") return JSON.stringify(value).replace(/\\u([0-9a-f]{4})/g, "\\u{$1}");
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `{ ${value.map(luaValue).join(", ")} }`;
  return `{ ${Object.entries(value)
    .map(([key, item]) => `[${JSON.stringify(key)}] = ${luaValue(item)}`)
    .join(", ")} }`;
}

// The text of a festa.lua with these settings. A handler's time is that of the CPU: where a sanitizer takes most of
// it, there is more.
export function config(settings) {
  const patience = SANITIZED ? { limits: { handlerTime: 2000, ...settings.limits } } : {};
  return `return ${luaValue({ ...settings, ...patience })}\n`;
}

// A file's content that makes a symbolic link.
export function link(target) {
  return { link: target };
}

// Replaces a file as a whole: nobody sees half of it, however slow the machine is.
export async function saveFile(path, content) {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

// Writes the files ({ "parties/main.lua": text or Buffer or link() }) to a new folder. Returns
// the folder and what removes it.
export async function writeProject(files) {
  const root = await mkdtemp(join(tmpdir(), "festa-test-"));
  const directory = join(root, "project");
  await mkdir(directory);
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    if (content !== null && typeof content === "object" && "link" in content) await symlink(content.link, path);
    else await writeFile(path, content);
  }
  return {
    directory,
    data: join(root, "data"),
    root, // the folder around the project
    remove: () => rm(root, { recursive: true, force: true }),
  };
}
