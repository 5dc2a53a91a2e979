// The benchmark: Festa beside the kernel's floor, npm ws and Bun. See README.md, or run it with --help.

import { once } from "node:events";
import { basename, join, resolve } from "node:path";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { check } from "./harness/check.mjs";
import {
    ROOT, buildPrograms, busySeconds, cpuSeconds, describe, pinning, softInterruptThread, start,
} from "./harness/machine.mjs";
import { MODES } from "./harness/modes.mjs";
import { figures, faults, medians, modeTable, summary } from "./harness/report.mjs";
import { dataFolder, installPackages, launch, servers } from "./harness/servers.mjs";

const PEERS = ["festa", "floor", "ws", "bun", "sqlite"];
const KNOWN = [...PEERS, "festa2", "before"]; // on two threads, another binary: only when they are asked for
const USAGE = `usage: node tests/bench/run.mjs [options]
  --rounds N     how often each server is measured in each mode (3); medians are shown
  --secs S       seconds of each measurement (3), after a warm-up of a third of that
  --quick        one round of one second: whether it works, not what it costs
  --modes A,B    ${Object.keys(MODES).join(",")}
  --peers A,B    ${KNOWN.join(",")}; ${PEERS.join(",")} if not given
  --festa FILE   the binary to measure (build/release/festa)
  --before FILE  another one, to be compared with: the peer "before"
  --json FILE    all runs and medians`;

function wrongUsage(message) {
    console.error(`${message}\n${USAGE}`);
    process.exit(2);
}

function positive(name, text) {
    const value = Number(text);
    if (!(value > 0)) wrongUsage(`--${name} must be a number above 0, not "${text}"`);
    return value;
}

function chosen(name, text, known, usual = known) {
    const names = text === undefined ? usual : text.split(",");
    const unknown = names.find((one) => !known.includes(one));
    if (unknown !== undefined) wrongUsage(`--${name}: no "${unknown}"; there are ${known.join(", ")}`);
    return names;
}

function options() {
    let values;
    try {
        ({ values } = parseArgs({
            options: {
                rounds: { type: "string" }, secs: { type: "string" }, quick: { type: "boolean" },
                modes: { type: "string" }, peers: { type: "string" }, festa: { type: "string" },
                before: { type: "string" }, json: { type: "string" }, help: { type: "boolean" },
            },
        }));
    } catch (error) {
        wrongUsage(error.message);
    }
    if (values.help) {
        console.log(USAGE);
        process.exit(0);
    }
    const peers = chosen("peers", values.peers, KNOWN, values.before ? [...PEERS, "before"] : PEERS);
    if (peers.includes("before") && !values.before) wrongUsage("the peer before needs --before FILE");
    return {
        rounds: Math.ceil(positive("rounds", values.rounds ?? (values.quick ? 1 : 3))),
        secs: positive("secs", values.secs ?? (values.quick ? 1 : 3)),
        modes: chosen("modes", values.modes, Object.keys(MODES)),
        peers,
        festa: resolve(values.festa ?? join(ROOT, "build", "release", "festa")),
        before: values.before && resolve(values.before),
        json: values.json,
    };
}

/** Runs the load generator, or what measures itself, to its end and returns the object that it printed. */
async function load(program, core, args) {
    const child = start(core, [program, ...args]);
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => { out += chunk; });
    child.stderr.on("data", (chunk) => { err += chunk; });
    await once(child, "close");
    try {
        return JSON.parse(out);
    } catch {
        throw new Error(`${basename(program)} ${args[0]}: ${err.trim() || out.trim() || "it reported nothing"}`);
    }
}

/** Where a server runs: on its core, one that is spread on the load's too; null: anywhere. Storage has a thread of
 * its own. */
function coresOf(server, cores, mode = {}) {
    if (!cores) return null;
    return server.spread || mode.storage ? `${cores.server},${cores.load}` : cores.server;
}

/** The work of a mode without a server. `others` is not known: the program is its own load. */
async function measureAlone(bench, server, mode) {
    const data = dataFolder();
    try {
        const [program, ...args] = server.alone(mode.storage, bench.options.secs, data.path);
        return { raw: await load(program, coresOf(server, bench.cores, mode), args), others: NaN };
    } finally {
        data.remove();
    }
}

/**
 * One server, freshly started, in one mode: { raw, others }. `others` is the CPU, in cores, that programs
 * other than the server and the load took meanwhile.
 */
async function measure(bench, server, mode) {
    const { cores, programs, options: { secs } } = bench;
    if (server.alone) return measureAlone(bench, server, mode);
    const instance = await launch(server, coresOf(server, cores, mode));
    try {
        // the soft-interrupt thread of the server's core works for the server: its CPU counts as the server's
        const pids = [instance.pid, ...(bench.softInterrupts ? [bench.softInterrupts] : [])].join(",");
        const common = ["--port", instance.port, "--pid", pids, "--json", "-t", secs, "-w", secs / 3];
        const args = ([name, ...rest]) => [name, ...common.map(String), ...rest];
        const core = mode.storage ? coresOf(server, cores, mode) : (cores?.load ?? null);
        if (mode.before) await load(programs.partyload, core, args(mode.before));
        const books = () => ({
            time: process.hrtime.bigint(), busy: busySeconds(),
            ours: cpuSeconds("self", true) + cpuSeconds(instance.pid),
        });
        const before = books();
        const raw = await load(programs.partyload, core, args(mode.load));
        const after = books();
        const seconds = Number(after.time - before.time) / 1e9;
        const others = (after.busy - before.busy - (after.ours - before.ours)) / seconds;
        return { raw, others: Math.max(0, others) };
    } catch (error) {
        if (!instance.ended()) throw error;
        throw new Error(`the server ended: ${instance.said() || error.message}`);
    } finally {
        await instance.stop();
    }
}

/** The servers that can be measured: present, and behaving as the benchmark's parties. */
async function usable(known, names, cores, failures) {
    const ready = [];
    const { WebSocket } = await import("ws").catch(() => ({}));
    for (const name of names) {
        const server = known[name];
        if (server.missing) {
            console.log(`${name}: skipped, ${server.missing}`);
            continue;
        }
        try {
            if (server.rooms && WebSocket) {
                const instance = await launch(server, coresOf(server, cores));
                server.storage = await check(WebSocket, instance.port, server).finally(instance.stop);
            }
            const state = !server.rooms ? "ready" : WebSocket ? "answers as it should" : "not checked";
            console.log([`${name}: ${state}`, server.version()].filter(Boolean).join(", "));
            ready.push(name);
        } catch (error) {
            failures.push(`${name}: ${error.message}`);
            console.log(`${name}: skipped, it fails the check: ${error.message}`);
        }
    }
    return ready;
}

/** Does a server do what a mode measures? */
function fits(server, mode) {
    if (server.alone) return mode.storage?.writers > 0;
    return (server.rooms || !mode.rooms) && (server.storage || !mode.storage);
}

/** Measures one round and appends its runs; the order of the servers moves on with each mode and round. */
async function runRound(bench, round, runs, failures) {
    for (const [turn, name] of bench.options.modes.entries()) {
        const mode = MODES[name];
        const peers = bench.peers.filter((peer) => fits(bench.servers[peer], mode));
        for (let i = 0; i < peers.length; i++) {
            const peer = peers[(i + turn + round) % peers.length];
            try {
                const { raw, others } = await measure(bench, bench.servers[peer], mode);
                const result = { figures: figures(mode, raw), faults: faults(raw), others, raw };
                runs.push({ round: round + 1, mode: name, peer, ...result });
            } catch (error) {
                failures.push(`${name}, ${peer}, round ${round + 1}: ${error.message}`);
            }
            if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kround ${round + 1}: ${name} ${peer}`);
        }
    }
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

function print(bench, runs) {
    const results = {};
    for (const name of bench.options.modes) {
        const mine = runs.filter((run) => run.mode === name);
        if (!mine.length) continue;
        const ordered = bench.peers.flatMap((peer) => mine.filter((run) => run.peer === peer));
        results[name] = medians(ordered);
        const faulty = ordered.filter((run) => run.faults.length)
            .map((run) => `${run.peer}, round ${run.round}: ${run.faults.join(", ")}`);
        console.log(`\n${modeTable(name, MODES[name], results[name], faulty)}`);
    }
    const all = summary(MODES, results);
    if (all) console.log(`\n${all}`);
    const others = runs.map((run) => run.others).filter(Number.isFinite).sort((a, b) => a - b);
    if (others.length) {
        const [median, most] = [others[others.length >> 1], others.at(-1)].map((cores) => cores.toFixed(2));
        console.log(`\nCPU that other programs took meanwhile, in cores: median ${median}, most ${most}`);
    }
    return results;
}

async function main() {
    const opts = options();
    const programs = buildPrograms();
    const npmFault = opts.peers.some((peer) => ["ws", "bun", "festa"].includes(peer)) ? installPackages() : null;
    const { cores, why } = pinning();
    const machine = describe();
    console.log(`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}`);
    console.log(cores ? `server on core ${cores.server}, load on core ${cores.load}` : `not pinned: ${why}`);
    if (npmFault) console.log(`${npmFault}; answers cannot be checked without npm ws`);

    const failures = [];
    const known = servers({ ...programs, festa: opts.festa, before: opts.before });
    const bench = {
        options: opts, programs, cores, servers: known,
        softInterrupts: cores && softInterruptThread(cores.server),
        peers: await usable(known, opts.peers, cores, failures),
    };
    const pairs = opts.modes.flatMap((name) => bench.peers.filter((peer) => fits(known[peer], MODES[name])));
    const count = pairs.length * opts.rounds;
    console.log(`${count} runs, about ${Math.ceil((count * (1.5 * opts.secs + 1)) / 60)} min`);
    const runs = [];
    for (let round = 0; round < opts.rounds; round++) await runRound(bench, round, runs, failures);
    console.log(`medians over rounds: ${opts.rounds}, of ${opts.secs} s`);
    const results = print(bench, runs);
    if (opts.json) {
        const versions = Object.fromEntries(bench.peers.map((peer) => [peer, known[peer].version()]));
        const { rounds, secs } = opts;
        const all = { machine, cores, versions, rounds, secs, medians: results, runs, failures };
        writeFileSync(opts.json, `${JSON.stringify(all, null, 2)}\n`);
    }
    for (const failure of failures) console.error(`failed: ${failure}`);
    return failures.length ? 1 : 0;
}

process.on("SIGINT", () => process.exit(130)).on("SIGTERM", () => process.exit(143));
main().then((status) => process.exit(status), (error) => {
    console.error(error.message);
    process.exit(1);
});
