// A Festa of a test's own: a project, a free port, a data folder, and all that it logs.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import net from "node:net";
import { after, before } from "node:test";

import { FESTA, REPOSITORY, SANITIZED } from "./binary.mjs";
import { config, writeProject } from "./project.mjs";
import { RawConnection } from "./raw.mjs";
import { Changes, poll, within } from "./wait.mjs";
import { openSocket, upgrade } from "./websocket.mjs";

export { FESTA, REPOSITORY, SANITIZED };

// Two, so that rooms, requests and sockets meet across threads; a test may say otherwise in its args.
const THREADS = process.env.FESTA_TEST_THREADS ?? "2";

const SANITIZER = /(Address|Leak|Memory|Thread|UndefinedBehavior)Sanitizer|runtime error:/;

export function assertNoSanitizerReport(text) {
  const found = SANITIZER.exec(text);
  if (found) assert.fail(`a sanitizer reported:\n${text.slice(Math.max(0, found.index - 500), found.index + 6000)}`);
}

const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

// Runs festa with arguments to its end: { code, signal, stdout, stderr }. For commands that
// do not serve, and starts that fail.
export async function runFesta(args, { env = {}, cwd, uid, gid, ms } = {}) {
  const child = spawn(FESTA, args, {
    env: { ...process.env, ...env },
    cwd,
    uid,
    gid,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  try {
    const [code, signal] = await within(
      new Promise((done, failed) => {
        child.on("error", failed);
        child.on("close", (...how) => done(how));
      }),
      `the end of festa ${args.join(" ")}`,
      ms,
    );
    assertNoSanitizerReport(stderr);
    return { code, signal, stdout, stderr };
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    running.delete(child);
  }
}

let roomNumber = 0;

export class Server {
  lines = []; // the log's lines as objects
  stderr = ""; // everything, as text
  broken = []; // lines that are no JSON objects
  exit = undefined; // { code, signal } once it has ended
  clients = new Set(); // open connections of tests

  #child;
  #changes = new Changes();
  #partial = "";

  constructor(child) {
    this.#child = child;
    this.pid = child.pid;
    running.add(child);
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text) => this.#read(text));
    child.on("error", (error) => {
      this.exit = { error };
      this.#changes.changed();
    });
    child.on("close", (code, signal) => {
      running.delete(child);
      this.exit = { code, signal };
      this.#changes.changed();
    });
  }

  #read(text) {
    this.stderr += text;
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop();
    for (const line of lines) {
      try {
        const object = JSON.parse(line);
        assert.equal(typeof object.msg, "string");
        this.lines.push(object);
      } catch {
        this.broken.push(line);
      }
    }
    this.#changes.changed();
  }

  get log() {
    return this.#child.stderr; // the stream, for tests that leave it unread
  }

  // A room's name that no other test has.
  room(name = "room") {
    return `${name}-${++roomNumber}`;
  }

  // The first log line, from number `from` on, that fits; waits for it.
  waitForLog(fits, what = "a log line", { from = 0, ms } = {}) {
    return this.#changes.until(
      () => {
        const line = this.lines.slice(from).find(fits);
        if (!line && this.exit) throw new Error(`${what}: the server has ended\n${this.stderr.slice(-4000)}`);
        return line;
      },
      what,
      { ms, describe: () => `\n${this.stderr.slice(-4000)}` },
    );
  }

  // Where the log goes on behind a line: what waits for the next one counts from here, for the log comes in pieces, and
  // the next one may be in the same.
  behind(line) {
    return this.lines.indexOf(line) + 1;
  }

  // A line that says what a script printed.
  waitForText(text, options) {
    return this.waitForLog((line) => line.msg.includes(text), `"${text}" in the log`, options);
  }

  // The errors that were logged from line number `from` until now. The log is written behind the
  // server's back, so a line of our own making marks where "now" is.
  async errorsSince(from) {
    const room = this.room("mark");
    await this.request(`/parties/main/${room}/mark`);
    const mark = await this.waitForLog((line) => line.level === "info" && line.room === room, "a request's line", { from });
    return this.lines
      .slice(from, this.lines.indexOf(mark))
      .filter((line) => line.level === "error" && line.room !== room);
  }

  // One request on a connection of its own: the response, strictly parsed.
  async request(path, { method = "GET", headers = {}, body, ms } = {}) {
    const connection = await this.connect();
    try {
      connection.send({ method, path, headers: { Connection: "close", ...headers }, body });
      return await connection.response({ method, ms });
    } finally {
      connection.destroy();
    }
  }

  async text(path, options) {
    return (await this.request(path, options)).text;
  }

  async json(path, options) {
    const response = await this.request(path, options);
    assert.equal(response.status, 200, `${path}: ${response.status} ${response.text}`);
    return JSON.parse(response.text);
  }

  // A bare connection.
  connect(options) {
    return RawConnection.open(this, options);
  }

  // A WebSocket that must open.
  socket(path, options) {
    return openSocket(this, path, options);
  }

  // A handshake, however it ends: { response, socket }.
  upgrade(path, options) {
    return upgrade(this, path, options);
  }

  // Waits until it accepts connections; for a server that does not say so.
  async answers() {
    await poll(async () => {
      if (this.exit) throw new Error(`the server has ended: ${JSON.stringify(this.exit)} ${this.exit.error ?? ""}\n${this.stderr.slice(-4000)}`);
      return this.connect().then(
        (connection) => (connection.destroy(), true),
        () => undefined,
      );
    }, "a server that listens");
  }

  // Waits until it refuses new connections.
  async refuses() {
    await poll(
      () =>
        this.connect().then(
          (connection) => (connection.destroy(), undefined),
          () => true,
        ),
      "a server that does not listen any more",
    );
  }

  signal(name) {
    process.kill(this.pid, name);
  }

  ended(ms) {
    return this.#changes.until(() => this.exit, "the server's end", {
      ms,
      describe: () => `\n${this.stderr.slice(-4000)}`,
    });
  }

  // User and system time so far, in milliseconds (clock ticks are 10 ms everywhere we run).
  cpu() {
    const fields = readFileSync(`/proc/${this.pid}/stat`, "latin1").replace(/^.*\) /s, "").split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  // Resident bytes.
  memory() {
    const status = readFileSync(`/proc/${this.pid}/status`, "latin1");
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) * 1024;
  }

  // Ends it as an operator would, and checks that all was well: exit code, sanitizers, and a
  // log in which each line is one JSON object.
  async stop({ code = 0, signal = "SIGTERM" } = {}) {
    try {
      for (const client of [...this.clients]) client.destroy();
      if (!this.exit && signal) this.signal(signal);
      const exit = await this.ended();
      assertNoSanitizerReport(this.stderr);
      assert.deepEqual(exit, { code, signal: null }, `how the server ended\n${this.stderr.slice(-6000)}`);
      assert.deepEqual(this.broken, [], "lines of the log that are no JSON object with a msg");
    } finally {
      if (!this.exit) this.#child.kill("SIGKILL");
    }
  }

  kill() {
    if (!this.exit) this.#child.kill("SIGKILL");
  }
}

let nextPort = 10000 + ((process.pid * 10) % 20000);

// A port that nobody takes before its server does, or between two servers of a test: it is none of those that the
// kernel gives to who asks for any, and other processes of tests look for theirs elsewhere.
export async function freePort() {
  for (;;) {
    const port = nextPort++;
    const server = net.createServer();
    const free = await new Promise((done) => server.on("error", () => done(false)).listen(port, "127.0.0.1", () => done(true)));
    if (free) return new Promise((done) => server.close(() => done(port)));
  }
}

// Starts `festa run`. Options: mode ("dev" for `festa dev`), args (more of them), env, port, level (without
// info it must be told its port), measured (its memory will be), project (one that writeProject made, which then stays), directory and data (of a project that is kept elsewhere),
// wrap (puts a command before: [command, ...args] => [command, ...args]).
export async function startServer(files, options = {}) {
  const { mode = "run", args = [], port = 0, level = "info", wrap = (command) => command } = options;
  const env = { ...process.env, ...options.env };
  // AddressSanitizer keeps freed memory back, which would be taken for the server's own
  if (options.measured) env.ASAN_OPTIONS = `${env.ASAN_OPTIONS ? `${env.ASAN_OPTIONS}:` : ""}quarantine_size_mb=1`;
  const project = options.project ?? (await writeProject({ ...(SANITIZED && { "festa.lua": config({}) }), ...files }));
  const [command, ...rest] = wrap([
    FESTA,
    mode,
    options.directory ?? project.directory,
    ...["--port", String(port)],
    ...["--host", "127.0.0.1"],
    ...["--data", project.data],
    ...["--threads", THREADS],
    ...["--log-format", "json"],
    ...["--log-level", level],
    ...args,
  ]);
  const child = spawn(command, rest, {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const server = new Server(child);
  server.project = project;
  server.removeProject = options.project ? async () => {} : project.remove;
  try {
    server.url = ["debug", "info"].includes(level)
      ? (await server.waitForLog((line) => line.msg === "listening", "the line that says where it listens")).url
      : `http://127.0.0.1:${port}`;
    const { hostname, port: bound } = new URL(server.url);
    server.hostname = hostname;
    server.port = Number(bound);
    server.host = `${hostname}:${bound}`;
    if (!["debug", "info"].includes(level)) await server.answers();
    return server;
  } catch (error) {
    server.kill();
    await server.removeProject();
    throw error;
  }
}

// A server for one test, stopped and checked at the test's end. What the test has stopped
// itself (await server.stop(...)) stays as it is.
export async function serverFor(t, files, options) {
  const server = await startServer(files, options);
  let stopped = false;
  const stop = server.stop.bind(server);
  server.stop = (how) => {
    stopped = true;
    return stop(how);
  };
  t.after(async () => {
    try {
      if (!stopped) await stop();
    } finally {
      server.kill();
      await server.removeProject();
    }
  });
  return server;
}

// A server for all tests of a describe(): an object that becomes the server before the first.
export function serverForSuite(files, options) {
  let server;
  before(async () => {
    server = await startServer(files, options);
  });
  after(async () => {
    if (!server) return;
    try {
      await server.stop();
    } finally {
      await server.removeProject();
    }
  });
  return new Proxy(
    {},
    {
      get(_, name) {
        const value = server[name];
        return typeof value === "function" ? value.bind(server) : value;
      },
    },
  );
}
