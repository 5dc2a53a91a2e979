// The program under test, and what is to be known of its build.

import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
export const FESTA = resolve(process.env.FESTA_BIN ?? join(REPOSITORY, "build/release/festa"));

// Sanitizers take many times the memory, and time.
export const SANITIZED = /__(asan|tsan)_init/.test(readFileSync(FESTA, "latin1"));
