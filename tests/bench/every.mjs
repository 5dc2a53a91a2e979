#!/usr/bin/env node
/**
 * How well many rooms hold a timer's rate: node tests/bench/every.mjs [ROOMS [RATE [SECS]]]
 *
 * Each of 1000 rooms has a party.every at 60 Hz, on one thread pinned to one core. Says what share of the runs there
 * were, how far away they were from when they were due (whole milliseconds, since a script's clock has no finer ones),
 * and what of the core they took.
 */

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BENCH, ROOT, cpuSeconds, pinning, start } from "./harness/machine.mjs";

const [rooms = 1000, rate = 60, secs = 10] = process.argv.slice(2).map(Number);
const data = mkdtempSync(join(tmpdir(), "festa-bench-"));
const { cores, why } = pinning();
if (why) console.error(why);
const server = start(cores?.server ?? null, [
    join(ROOT, "build/release/festa"), "run", join(BENCH, "project"), "--port", "0", "--threads", "1", "--data", data,
    "--log-format", "json",
]);

/** The address that the server says. */
const address = new Promise((resolve, reject) => {
    let text = "";
    const look = (piece) => {
        text += piece;
        const said = /"msg":"listening","url":"(\S+?)"/.exec(text);
        if (said) resolve(said[1]);
    };
    server.stdout.on("data", look);
    server.stderr.on("data", look);
    server.once("close", () => reject(new Error(`the server has ended: ${text}`)));
});

const url = `${await address}/parties/every`;
const ask = async (room, query = "") => (await fetch(`${url}/${room}${query}`)).text();
for (let room = 0; room < rooms; room++) await ask(room, `?rate=${rate}`);
const before = cpuSeconds(server.pid);
const began = performance.now();
const first = await tell();
await new Promise((done) => setTimeout(done, secs * 1000));
const cpu = cpuSeconds(server.pid) - before;
const took = (performance.now() - began) / 1000;
const last = await tell();

async function tell() {
    const total = { runs: 0, away: [] };
    for (let room = 0; room < rooms; room++) {
        const { runs, away } = JSON.parse(await ask(room));
        total.runs += runs;
        away.forEach((count, ms) => (total.away[ms] = (total.away[ms] ?? 0) + count));
    }
    return { ...total, at: performance.now() };
}

const runs = last.runs - first.runs;
const counts = last.away.map((count, ms) => (count ?? 0) - (first.away[ms] ?? 0));
const quantile = (share) => {
    let left = runs * share;
    return counts.findIndex((count) => (left -= count) <= 0);
};
const wanted = (rooms * rate * (last.at - first.at)) / 1000;
console.log(`${rooms} rooms at ${rate} Hz for ${took.toFixed(1)} s: ${((100 * runs) / wanted).toFixed(1)} % of the runs; ` +
    `away p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, most ${counts.findLastIndex((count) => count > 0)} ms; ` +
    `${((100 * cpu) / took).toFixed(0)} % of the core`);
server.kill("SIGTERM");
await once(server, "close");
rmSync(data, { recursive: true });
