/**
 * The machine: the cores that the server and the load run on, the C programs, and the kernel's CPU times.
 */

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const BENCH = fileURLToPath(new URL("..", import.meta.url));
export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const BUILD = join(ROOT, "build", "bench");
const TICKS_PER_SECOND = 100;   // of the times in /proc, whatever the kernel's own tick

/** Cores that this process may use, as numbers. */
function allowedCores() {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))[1];
    return list.split(",").flatMap((range) => {
        const [first, last = first] = range.split("-").map(Number);
        return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

/** { server, load }: a core for each, or null with a reason why nothing can be pinned. */
export function pinning() {
    const cores = allowedCores();
    if (cores.length < 2) return { cores: null, why: "there is one core only: server and load share it" };
    if (spawnSync("taskset", ["-c", String(cores[0]), "true"]).status !== 0)
        return { cores: null, why: "taskset is missing or refused: server and load run on any core" };
    return { cores: { server: cores[0], load: cores[1] }, why: null };
}

const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

/** Starts a program on a core (null: any), with all the descriptors it may have; it does not outlive us. */
export function start(core, command) {
    const raised = ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh", ...command];
    const [program, ...args] = core === null ? raised : ["taskset", "-c", String(core), ...raised];
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    child.once("close", () => children.delete(child));
    return child;
}

/** The pid of the kernel's soft-interrupt thread of a core, or null where it cannot be seen. */
export function softInterruptThread(core) {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
        try {
            if (readFileSync(`/proc/${pid}/comm`, "utf8").trim() === `ksoftirqd/${core}`) return Number(pid);
        } catch {
            // the process has ended meanwhile
        }
    }
    return null;
}

/** CPU seconds of a process with all its threads; with `children`, also of those it has waited for. */
export function cpuSeconds(pid, children = false) {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
    const [utime, stime, cutime, cstime] = fields.slice(11, 15);
    return (utime + stime + (children ? cutime + cstime : 0)) / TICKS_PER_SECOND;
}

/** CPU seconds that all cores have worked since boot. */
export function busySeconds() {
    const total = readFileSync("/proc/stat", "utf8").split("\n")[0];
    const [user, nice, system, , , irq, softirq] = total.trim().split(/\s+/).slice(1).map(Number);
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

export function describe() {
    const cores = cpus();
    return { cpu: cores[0]?.model ?? "unknown", cores: cores.length, kernel: release(), node: process.version };
}

function newest(files) {
    return Math.max(...files.map((file) => statSync(file).mtimeMs));
}

/** Builds a C program of this folder unless it is newer than its sources; returns its path. */
function build(name, sources, libraries = []) {
    const binary = join(BUILD, name);
    const age = statSync(binary, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (age > newest(sources)) return binary;
    mkdirSync(BUILD, { recursive: true });
    const units = sources.filter((file) => file.endsWith(".c"));
    const flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"];
    const made = spawnSync("cc", [...flags, "-o", binary, ...units, ...libraries], { stdio: "inherit" });
    if (made.error) throw new Error(`cc: ${made.error.message}`);
    if (made.status !== 0) throw new Error(`${name} does not compile`);
    return binary;
}

export function buildPrograms() {
    const folder = join(BENCH, "partyload");
    return {
        partyload: build("partyload", readdirSync(folder).map((file) => join(folder, file))),
        floor: build("floor", [join(BENCH, "floor.c")]),
        sqlite: build("sqlite", [join(BENCH, "sqlite.c")], ["-lsqlite3"]),
    };
}
