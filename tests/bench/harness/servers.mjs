/**
 * The servers that are compared: how each is started and stopped, and why one may be missing.
 */

import { once } from "node:events";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BENCH, ROOT, start } from "./machine.mjs";

const MODULES = join(BENCH, "node_modules");
const START_DEADLINE = 15_000;
const STOP_DEADLINE = 10_000;

/** Installs the npm packages if they are missing or older than the lock; returns what went wrong, or null. */
export function installPackages() {
    const installed = statSync(join(MODULES, ".package-lock.json"), { throwIfNoEntry: false });
    if (installed && installed.mtimeMs >= statSync(join(BENCH, "package-lock.json")).mtimeMs) return null;
    const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
        cwd: BENCH, encoding: "utf8", stdio: ["ignore", "ignore", "pipe"],
    });
    if (npm.error) return `npm: ${npm.error.message}`;
    return npm.status === 0 ? null : `npm ci failed: ${npm.stderr.trim().split("\n")[0]}`;
}

function packageVersion(name) {
    try {
        return JSON.parse(readFileSync(join(MODULES, name, "package.json"), "utf8")).version;
    } catch {
        return null;
    }
}

/** Why a file cannot be used, or null. */
function lack(file, hint = "") {
    return existsSync(file) ? null : `${file.replace(ROOT, "")} is missing${hint}`;
}

/**
 * The servers by name. Each has `command(port, data)`, `version()`, `missing` (why it cannot be started,
 * or null), `rooms` (false: the floor, which has none) and `spread` (it runs on the load's core too). SQLite is no
 * server: `alone(storage, secs, data)` is the command of a whole measurement.
 */
export function servers({ festa, before, floor, sqlite }) {
    const architecture = process.arch === "arm64" ? "aarch64" : process.arch;
    const bun = join(MODULES, "@oven", `bun-linux-${architecture}`, "bin", "bun");
    const ours = (threads, program = festa) => ({
        command: (port, data) => [
            program, "run", join(BENCH, "project"), "--port", String(port), "--host", "127.0.0.1",
            "--threads", String(threads), "--data", data, "--log-level", "warn",
        ],
        version: () => spawnSync(program, ["version"], { encoding: "utf8" }).stdout?.trim() || null,
        rooms: true,
        storage: true,
        spread: threads > 1,
        missing: lack(program, " (build it first)"),
    });
    return {
        festa: ours(1),
        festa2: ours(2),
        ...(before && { before: { ...ours(1, before), older: true } }),
        sqlite: {
            alone: ({ writers, outstanding, bytes }, secs, data) =>
                [sqlite, writers, outstanding, bytes, secs, secs / 3, data].map(String),
            version: () => null,
            rooms: false,
            missing: null,
        },
        floor: {
            command: (port) => [floor, String(port), "cork"],
            version: () => null,
            rooms: false,
            missing: null,
        },
        ws: {
            command: (port) => [process.execPath, join(BENCH, "peers", "ws.mjs"), String(port)],
            version: () => `${packageVersion("ws")} on Node ${process.versions.node}`,
            rooms: true,
            missing: lack(join(MODULES, "ws")),
        },
        bun: {
            command: (port) => [bun, join(BENCH, "peers", "bun.js"), String(port)],
            version: () => packageVersion("bun"),
            rooms: true,
            missing: lack(bun),
        },
    };
}

async function freePort() {
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address();
    probe.close();
    await once(probe, "close");
    return port;
}

function canConnect(port) {
    return new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1");
        const done = (yes) => () => { socket.destroy(); resolve(yes); };
        socket.once("connect", done(true)).once("error", done(false));
    });
}

/** A folder for a server's data, and what removes it. */
export function dataFolder() {
    const path = mkdtempSync(join(tmpdir(), "festa-bench-"));
    return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts a server on a core and waits until it listens; returns { pid, port, ended(), said(), stop() }. */
export async function launch(server, core) {
    const port = await freePort();
    const data = dataFolder();
    const child = start(core, server.command(port, data.path));
    let said = "";
    const listen = (chunk) => { said = (said + chunk).slice(-2000); };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    const closed = once(child, "close");

    const ended = () => child.exitCode !== null || child.signalCode !== null;
    const stop = async () => {
        child.kill("SIGTERM");
        const late = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE);
        await closed;
        clearTimeout(late);
        data.remove();
    };

    const deadline = Date.now() + START_DEADLINE;
    while (!(await canConnect(port))) {
        if (!ended() && Date.now() < deadline) {
            await new Promise((resolve) => setTimeout(resolve, 20));
            continue;
        }
        const why = ended() ? "it ended at start" : "it does not listen";
        await stop();
        throw new Error(`${why}: ${said.trim() || "it said nothing"}`);
    }
    return { pid: child.pid, port, ended, said: () => said.trim(), stop };
}
