// A terminal: a command on a pseudo-terminal of util-linux's script(1), its keys and what it shows.

import { spawn } from "node:child_process";

import { Changes } from "./wait.mjs";

const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Terminal {
  shown = "";
  code = undefined; // of the command, once it has ended

  #child;
  #changes = new Changes();

  // A command line for sh.
  constructor(command, { env = {} } = {}) {
    this.#child = spawn("script", ["--quiet", "--flush", "--return", "--command", command, "/dev/null"], {
      env: { ...process.env, TERM: "xterm", SHELL: "/bin/sh", ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    running.add(this.#child);
    this.#child.stdout.setEncoding("utf8").on("data", (text) => {
      this.shown += text.replaceAll("\r\n", "\n");
      this.#changes.changed();
    });
    this.#child.on("close", (code) => {
      running.delete(this.#child);
      this.code = code;
      this.#changes.changed();
    });
  }

  // Waits until a text or pattern is shown behind position `from`; returns the match's groups.
  sees(what, { from = 0 } = {}) {
    return this.#changes.until(
      () => {
        const text = this.shown.slice(from);
        const found = typeof what === "string" ? text.includes(what) || null : what.exec(text);
        if (!found && this.code !== undefined) throw new Error(`${what}: the command has ended\n${this.shown}`);
        return found ?? undefined;
      },
      String(what),
      { describe: () => `\n${this.shown}` },
    );
  }

  type(keys) {
    this.#child.stdin.write(keys);
  }

  ended() {
    return this.#changes.until(() => this.code, "the command's end", { describe: () => `\n${this.shown}` });
  }

  kill() {
    if (this.code === undefined) this.#child.kill("SIGKILL");
  }
}
